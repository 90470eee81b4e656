"""The command of an erasure on request."""

from __future__ import annotations

from dataclasses import dataclass

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Repeatable
from swarmkeeper.core.ports import Key
from swarmkeeper.core.retention import WHOLE_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseNow(Repeatable[str]):
    """Begin to erase a task that has ended; answer with its id."""

    task: str
    reason: str
    until: int  # microseconds: what changed later has not reached everybody yet, and is not erased

    @property
    def redacted_characters(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        holds = [lookups.LEGAL_HOLD.of((self.by.tenant, task)) for task in (WHOLE_TENANT, self.task)]
        return [lookups.TASK.of(self.task), lookups.JOBS.of(self.task), *holds]
