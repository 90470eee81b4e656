"""Shares and limits of tenants: the weight in the engine's time, open tasks and subtasks, stored bytes."""

from __future__ import annotations

from dataclasses import replace

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import SetTenant
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import BacklogFull, Detail, ResourceNotFound
from swarmkeeper.core.model import Limits, Tenant

RETRY_AFTER = 5  # seconds in which some tasks usually end
RETRY_AFTER_STORED = 60  # seconds; only an operator can change this


def set_tenant(working: WorkingSet, command: SetTenant) -> str:
    """Change the given values; return the tenant's id."""
    check_may(working, command.by, "tenant.manage")
    tenant: Tenant | None = working.get(lookups.TENANT, command.by.tenant)
    if tenant is None:
        raise ResourceNotFound("no such tenant")
    changed = replace(
        tenant,
        weight=tenant.weight if command.weight is None else command.weight,
        max_backlog=tenant.max_backlog if command.max_backlog is None else command.max_backlog,
    )
    if command.unbounded:
        changed = replace(changed, max_backlog=None)
    working.put_row(lookups.TENANT, tenant.id, changed)
    working.put(working.changes.tenants, tenant.id, changed)
    event = events.TenantSet(weight=changed.weight, max_backlog=changed.max_backlog)
    working.record("tenant.set", tenant.id, body=event.scanned())
    working.emit(event)
    return tenant.id


def admit(working: WorkingSet, tenant_id: str, subtasks: int) -> None:
    """Check that the tenant may submit a task with this number of subtasks.

    The limits refuse only submissions: tasks that were accepted are always finished, and their results kept.

    Raises:
        BacklogFull: the tenant has reached a limit; submit again once some tasks have ended.
    """
    tenant: Tenant | None = working.get(lookups.TENANT, tenant_id)
    if tenant is None:
        return
    limits = working.limits
    most = most_open(tenant, limits)
    if most is not None and tenant.open_tasks >= most:
        raise _full("open_tasks", f"{tenant.open_tasks} tasks are open, and no more than {most} may be")
    if limits.open_subtasks and tenant.open_subtasks + subtasks > limits.open_subtasks:
        raise _full(
            "open_subtasks",
            f"{tenant.open_subtasks} subtasks are open, and with these no more than {limits.open_subtasks} may be",
        )
    if limits.stored_bytes and tenant.stored_bytes >= limits.stored_bytes:
        raise BacklogFull(
            f"{tenant.stored_bytes} bytes are stored, and no more than {limits.stored_bytes} may be: "
            "an operator can allow more (setting stored_bytes)",
            details=(_position("stored_bytes"),),
            retry_after=RETRY_AFTER_STORED,
        )


def most_open(tenant: Tenant, limits: Limits) -> int | None:
    """Return the limit of open tasks: the tenant's own, else the general one; None for no limit."""
    return tenant.max_backlog if tenant.max_backlog is not None else limits.open_tasks or None


def _full(limit: str, detail: str) -> BacklogFull:
    again = f"{detail}: submit again when some have ended"
    return BacklogFull(again, details=(_position(limit),), retry_after=RETRY_AFTER)


def _position(limit: str) -> Detail:
    return f"/limits/{limit}/tenant", "limit", "the tenant has as much of this as it may have"
