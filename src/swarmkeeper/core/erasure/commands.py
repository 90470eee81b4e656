"""The commands of erasures on request: of a task, and of all bodies of a tenant by its data keys."""

from __future__ import annotations

from dataclasses import dataclass

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Repeatable
from swarmkeeper.core.erasure.lookups import AT_REST
from swarmkeeper.core.kills.lookups import KILLS
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseTenant(Repeatable[str]):
    """Destroy the data keys of a tenant, so that no body of it can be read any more; answer with its id."""

    tenant: str  # repeated: it cannot be undone
    reason: str
    until: int  # microseconds: as in `EraseNow`

    @property
    def redacted_characters(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        tenant = self.by.tenant
        needs = [AT_REST.of(tenant), KILLS.of(tenant), lookups.ROWS_OF_TENANT.of(tenant), lookups.TENANT.of(tenant)]
        return [need for need in needs if self.tenant == tenant]
