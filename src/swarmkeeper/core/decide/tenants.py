"""What a tenant may have: its share of the engine's time, and how many tasks at most that are not final yet."""

from __future__ import annotations

from dataclasses import replace

from swarmkeeper.core.commands import SetTenant
from swarmkeeper.core.errors import BacklogFull, Forbidden, NotFound
from swarmkeeper.core.model import Tenant
from swarmkeeper.core.world import World

RETRY_AFTER = 5  # seconds: some tasks end in that time where any are worked on


def set_tenant(world: World, command: SetTenant) -> str:
    """Change what is named; the tenant's id."""
    if not world.rules.may(command.by, "tenant.manage"):
        raise Forbidden(world.rules.why_not(command.by, "tenant.manage"))
    tenant: Tenant | None = world.look("tenant", command.by.tenant)
    if tenant is None:
        raise NotFound("no such tenant")
    changed = replace(
        tenant,
        weight=tenant.weight if command.weight is None else command.weight,
        max_backlog=tenant.max_backlog if command.max_backlog is None else command.max_backlog,
    )
    if command.unbounded:
        changed = replace(changed, max_backlog=None)
    world.put(world.rows, ("tenant", tenant.id), changed)
    world.put(world.changes.tenants, tenant.id, changed)
    told = {"weight": changed.weight, "max_backlog": changed.max_backlog}
    world.record("tenant.set", tenant.id, body=told)
    world.emit("tenant.set", told)
    return tenant.id


def admit(world: World, tenant_id: str) -> None:
    """Refuse a task where its tenant has as many open ones as it may have.

    Raises:
        BacklogFull: it has; the caller should come back once some have ended.
    """
    tenant: Tenant | None = world.look("tenant", tenant_id)
    if tenant is not None and tenant.max_backlog is not None and tenant.open_tasks >= tenant.max_backlog:
        raise BacklogFull(
            f"{tenant.open_tasks} tasks are open, and no more than {tenant.max_backlog} may be: "
            "submit again when some have ended",
            retry_after=RETRY_AFTER,
        )


def count(world: World, tenant_id: str, by: int) -> None:
    """A task was opened (1), or became final (-1)."""
    opened = world.changes.opened
    world.put(opened, tenant_id, opened.get(tenant_id, 0) + by)
    tenant: Tenant | None = world.rows.get(("tenant", tenant_id))
    if tenant is not None:  # so that the next submission of this batch sees it
        world.put(world.rows, ("tenant", tenant_id), replace(tenant, open_tasks=tenant.open_tasks + by))
