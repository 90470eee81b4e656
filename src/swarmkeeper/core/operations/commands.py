"""Commands of operations on many tasks.

An operation is stored with its tasks, and then carried out as one command for each task, by the same caller. Each of
these has an idempotency key of its own: after a crash it is sent again, and has no second effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Archive, Cancel, Command, OnTask, Pause, Repeatable, Resume, RetryFailedTask
from swarmkeeper.core.ports import Key

ITEMS_MAX = 10_000
ACTIONS: dict[str, type[OnTask]] = {
    "cancel": Cancel,
    "pause": Pause,
    "resume": Resume,
    "retry": RetryFailedTask,
    "archive": Archive,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOperation(Repeatable[str]):
    """Store an operation, which begins soon. Answers its id."""

    action: str  # one of ACTIONS
    tasks: tuple[str, ...]
    caller: str  # JSON: who carries it out; see access/operations/callers.py
    args: str  # JSON: more arguments of the command
    reason: str = ""
    dry_run: bool = False

    @property
    def size(self) -> int:
        return 1024 + 64 * len(self.tasks)

    @property
    def redacted_characters(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        return [lookups.TENANT.of(self.by.tenant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOperation(Command[None]):
    """Have a server carry an operation out until a time; nothing changes while another one does."""

    operation: str
    owner: str
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteItems(Command[None]):
    """Note what came of some tasks of an operation; if none is left, it has ended."""

    operation: str
    owner: str
    until: int
    items: tuple[tuple[int, str, str | None, str | None], ...]  # place, outcome, code and detail of a refusal

    @property
    def size(self) -> int:
        return 512 + 256 * len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOperations(Command[None]):
    """Remove operations that ended before a time, some at a time."""

    before: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TryCommand(Command[str]):
    """Decide a command, and undo it: answers the code and detail with which it would be recorded as refused, or ""."""

    inner: Command[Any]

    def _own_needs(self) -> list[Key]:
        return self.inner.needs()
