"""Answers to commands that return more than an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import TaskRecord

T = TypeVar("T")  # the answer to a command


@dataclass(frozen=True, slots=True)
class Replayed:
    """The command was carried out before, under the same idempotency key."""

    resource: str


def not_replayed(answer: T | Replayed) -> T:
    """Return the answer to a command without an idempotency key, which is never a replay."""
    assert not isinstance(answer, Replayed), "a command without a key is never answered with Replayed"
    return answer


@dataclass(frozen=True, slots=True)
class ReportReceipt:
    of_task: TaskRecord  # a record of the batch: others may change it later
    replayed: bool = False
    again: str | None = None  # lease id under which the first answer's leases were claimed
    task_status: str = ""  # after the batch that took the report

    def settled(self) -> ReportReceipt:
        """Return this answer with the task's status. Call it once the whole batch is decided."""
        return ReportReceipt(self.of_task, self.replayed, self.again, self.of_task.status.value)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that still changed the store: it kept a late result, or counted the refusal."""

    error: SwarmkeeperError


@dataclass(frozen=True, slots=True)
class Directive:
    lease_id: str
    directive: str  # continue | cancel | lost
    expires_at: int | None
    task: str | None = None  # only with `continue`
    over_budget: bool = False  # why it says `cancel`


@dataclass(frozen=True, slots=True)
class HeartbeatResult:
    directives: tuple[Directive, ...]
    drain: bool
