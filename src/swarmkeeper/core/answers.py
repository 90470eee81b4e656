"""What commands are answered with, where that is more than an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Task

T = TypeVar("T")  # what a command is answered with


@dataclass(frozen=True, slots=True)
class Replayed:
    """The command was carried out before, under the same idempotency key."""

    resource: str


def not_replayed(answer: T | Replayed) -> T:
    """The answer to a command that had no idempotency key: it cannot have been carried out before."""
    assert not isinstance(answer, Replayed), "a command without a key is never answered with Replayed"
    return answer


@dataclass(frozen=True, slots=True)
class Reported:
    of_task: Task
    replayed: bool = False
    again: str | None = None  # lease id under which the first answer's leases were claimed

    @property
    def task_status(self) -> str:
        """As it is with the batch that took the report; whether the task is done is asked after the decision."""
        return str(self.of_task.status)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of refusal whose command has left something behind all the same (a late result, a counted refusal)."""

    error: SwarmkeeperError


@dataclass(frozen=True, slots=True)
class Directive:
    lease_id: str
    directive: str  # continue | cancel | lost
    expires_at: int | None
    task: str | None = None  # where it goes on


@dataclass(frozen=True, slots=True)
class HeartbeatResult:
    directives: tuple[Directive, ...]
    drain: bool
