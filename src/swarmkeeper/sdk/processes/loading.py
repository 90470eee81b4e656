"""Refuses `run(…)` in a file that is being loaded for its bots: the loader runs them.

Without this, `run(…)` at the end of such a file would serve inside the import, and the loader would wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_loads: list[None] = []  # an entry for each file being loaded; loads may be nested


class RunWhileLoading(RuntimeError):
    """A file of bots runs them itself while it is loaded. The traceback says where."""


@contextmanager
def loading() -> Iterator[None]:
    """Refuse `run` and `serve` while a file of bots is being loaded."""
    _loads.append(None)
    try:
        yield
    finally:
        _loads.pop()


def refuse_while_loading() -> None:
    """Check that no file of bots is being loaded; called by `run` and `serve`.

    Raises:
        RunWhileLoading: a file of bots is being loaded.
    """
    if _loads:
        raise RunWhileLoading("this file is loaded for its bots, and runs them itself: guard it by __name__")
