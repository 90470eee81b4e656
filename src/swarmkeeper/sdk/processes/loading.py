"""Refuses `run(…)` and `serve(…)` while a file of bots is being imported: the importer runs the bots.

Without this, `run(…)` at the end of such a file would serve inside the import, and the importer would wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_refusals: list[RuntimeError] = []  # an entry for each file being imported; imports may be nested


class RunWhileLoading(RuntimeError):
    """A file of bots runs them itself while it is loaded. The traceback says where."""


@contextmanager
def loading(refusal: RuntimeError | None = None) -> Iterator[None]:
    """Refuse `run` and `serve` while a file of bots is being imported; by default with `RunWhileLoading`."""
    text = "this file is loaded for its bots, and runs them itself: guard it by __name__"
    _refusals.append(refusal or RunWhileLoading(text))
    try:
        yield
    finally:
        _refusals.pop()


def refuse_while_loading() -> None:
    """Check that no file of bots is being imported; called by `run` and `serve`.

    Raises:
        RuntimeError: the refusal that was passed to `loading`.
    """
    if _refusals:
        raise _refusals[-1]
