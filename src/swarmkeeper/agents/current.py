"""The attempt that an agent's tool works for, for tools that start programs or report progress by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from swarmkeeper.sdk.context import Context

_CURRENT: ContextVar[Context | None] = ContextVar("context of the attempt that runs an agent", default=None)


@contextmanager
def working_for(context: Context) -> Iterator[None]:
    """Let all code below, in tasks and threads that get a copy of its context variables too, find the attempt."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def running_attempt() -> Context:
    """Return the context of the attempt that the calling tool works for.

    A program that a tool starts with `await running_attempt().run([…])` is killed with all that it started when the
    attempt is cancelled, lost or over, also if the bot is killed. The bot cannot know of programs that a tool starts in
    another way: they live on.

    Raises:
        RuntimeError: no agent bot runs the caller, or a thread does that has no copy of the context variables.
    """
    context = _CURRENT.get()
    if context is None:
        raise RuntimeError("running_attempt() is for tools of an agent, while its bot runs it")
    return context
