"""A model's script, the same for all frameworks: what it says to each request, and what it was shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

INPUT_TOKENS, OUTPUT_TOKENS = 10, 5  # of every request


@dataclass(frozen=True)
class Say:
    """The last text of a run."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool call; its id is the number of the request."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Hang:
    """The provider does not answer."""


Step = Say | Call | Hang | Callable[[], Exception]  # of a callable, the exception is raised


class Script:
    """Answers model requests in order; the last step is repeated for ever."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.seen: list[str] = []  # all the text of each request
        self.hung = 0
        self.cancelled = 0

    async def answer(self, shown: str) -> Say | Call:
        step = self.steps[min(len(self.seen), len(self.steps) - 1)]
        self.seen.append(shown)
        if isinstance(step, Hang):
            self.hung += 1
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if isinstance(step, Say | Call):
            return step
        assert callable(step)
        raise step()


Tool = Callable[..., Any]


class FrameworkUnderTest(Protocol):
    """What a framework gives to the scenarios: its own scripted model and its own tools."""

    package: str  # the one that agents' types come from
    tool_errors_end_the_run: bool  # else the model sees them

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        """Return an agent whose model follows the script; tools in `ask_before` need a person's approval."""
        ...

    def returning(self, value: object) -> Any:
        """Return an agent whose output is this Python value."""
        ...

    def rate_limited(self) -> Exception:
        """Return what the framework raises for a 429 with `Retry-After: 0.2`."""
        ...

    def approval(self, approved: bool) -> Any:
        """Return the answer of a person."""
        ...
