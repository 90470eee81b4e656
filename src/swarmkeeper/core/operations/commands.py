"""Commands of operations on many tasks.

An operation is stored with its tasks, and then carried out as one command for each task, by the same caller. Each of
these has an idempotency key of its own: after a crash it is sent again, and has no second effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Archive, Cancel, Command, OnTask, Pause, Repeatable, Resume, RetryFailedTask
from swarmkeeper.core.operations.lookups import OPERATION
from swarmkeeper.core.operations.records import Noted, OperationRecord, Seal
from swarmkeeper.core.ports import Key

T = TypeVar("T")
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
    seal: Seal = field(repr=False, compare=False)
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
class _OnOperation(Command[T]):
    operation: str

    def _own_needs(self) -> list[Key]:
        return [OPERATION.of(self.operation)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOperation(_OnOperation[OperationRecord | None]):
    """Have a server carry an operation out until a time. Answers None if another one does, or there is nothing to do.

    If its seal does not fit, it is marked as forged, and nobody carries it out.
    """

    owner: str
    until: int
    seal: Seal = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteItems(_OnOperation[bool]):
    """Note what came of some tasks of an operation; if none is left, it has ended.

    Answers False, and notes nothing, if the server does not carry it out any more.
    """

    owner: str
    until: int
    items: tuple[Noted, ...]
    is_last: bool
    seal: Seal = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        return 512 + 256 * len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseForged(_OnOperation[None]):
    """Mark an operation as forged: its tasks or their outcomes are not those that a server has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOperation(_OnOperation[None]):
    """Remove an operation that ended before a time."""

    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TryCommand(Command[str]):
    """Decide a command, and undo it: answers the code and detail with which it would be recorded as refused, or ""."""

    inner: Command[Any]

    def _own_needs(self) -> list[Key]:
        return self.inner.needs()
