"""Refuses to run bots from within a file that is being loaded for its bots: whoever loads it runs them.

Without this, `run(…)` at the end of such a file would serve inside the import, and what loads it would wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_under_way: list[None] = []  # one for each file that is being loaded, one from within the other


class RunWhileLoading(RuntimeError):
    """A file of bots runs them itself while it is loaded. Its traceback says where."""


@contextmanager
def loading() -> Iterator[None]:
    """Refuse `run` and `serve` for as long as a file of bots is being loaded."""
    _under_way.append(None)
    try:
        yield
    finally:
        _under_way.pop()


def refuse_while_loading() -> None:
    """Called by what runs bots.

    Raises:
        RunWhileLoading: a file of bots is being loaded.
    """
    if _under_way:
        raise RunWhileLoading("this file is loaded for its bots, and runs them itself: guard it by __name__")
