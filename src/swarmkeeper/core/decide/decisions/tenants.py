"""Shares and limits of tenants: the weight in the engine's time, open tasks and subtasks, stored bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import SetRate, SetTenant
from swarmkeeper.core.decide import work_rates
from swarmkeeper.core.decide.anchors import AnchoredRow
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import BacklogFull, Detail, Invalid, ResourceNotFound
from swarmkeeper.core.model import BudgetAccount, Json, Limits, Tenant, WorkRate
from swarmkeeper.core.rules import budgets
from swarmkeeper.core.rules import work_rates as rates

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
    if command.budget is not None or command.no_budget:
        changed = replace(changed, budget=_budget(tenant, None if command.no_budget else command.budget))
        working.put(working.budgets.tenants, tenant.id, None)
        working.put(working.changes.tenant_budgets, tenant.id, changed.budget)
        working.put_all(working.touched, dict.fromkeys(working.queues.by_id))  # parked polls may get work now
    working.put_row(lookups.TENANT, tenant.id, changed)
    working.put(working.changes.tenants, tenant.id, changed)
    limit = None if changed.budget is None else dict(changed.budget.limit)
    event = events.TenantSet(weight=changed.weight, max_backlog=changed.max_backlog, budget=limit)
    working.record("tenant.set", tenant.id, body=event.scanned())
    working.emit(event)
    return tenant.id


def _budget(tenant: Tenant, wish: Mapping[str, Json] | None) -> BudgetAccount:
    """Return the tenant's budget with other limits; those not given stay. None removes all, but what was spent stays.

    Raises:
        Invalid: a limit is below what is spent and reserved already.
    """
    account = tenant.budget or BudgetAccount({})
    if wish is None:
        return replace(account, limit={}, told={})
    asked = budgets.from_request(wish).limit
    if below := budgets.too_low(account, asked):
        details = [(f"/budget/{name}", "too_small", f"{gone} are spent or reserved") for name, gone in below.items()]
        raise Invalid("a limit is below what was used", details=tuple(details))
    return budgets.with_limits(account, asked, None)


def set_rate(working: WorkingSet, command: SetRate) -> str:
    """Set, replace or remove a rate; return its id. It holds for leases granted from now on.

    Raises:
        Invalid: the key is none of a rate, or `most` is not of a skill.
    """
    check_may(working, command.by, "tenant.manage")
    tenant = command.by.tenant
    if working.get(lookups.TENANT, tenant) is None:
        raise ResourceNotFound("no such tenant")
    kind, colon, name = command.key.partition(":")
    if command.key != rates.TENANT and not (colon and name and kind in ("skill", "scope")):
        raise Invalid("a rate has a key", details=(("/key", "invalid", "is `tenant`, `skill:NAME` or `scope:NAME`"),))
    if command.most is not None and kind != "skill":
        raise Invalid("only skills", details=(("/most", "invalid", "only a skill has a limit of what runs at once"),))
    wanted = WorkRate(
        work_rates.rate_id(tenant, command.key),
        tenant,
        command.key,
        command.most,
        command.per_minute,
        command.tokens_per_minute,
    )
    numbers = (command.most, command.per_minute, command.tokens_per_minute)
    known = working.get(lookups.WORK_RATE, wanted.id)
    kept = None if numbers == (None, None, None) else work_rates.renewed(known, wanted)
    working.put_row(lookups.WORK_RATE, wanted.id, kept)
    working.put(working.changes.rates, wanted.id, kept)
    working.put(working.anchored, ("work_rate", wanted.id), AnchoredRow(tenant, "", kept))
    # Polls are tried again with the new numbers; the timer of the old ones does nothing more.
    working.set_timer(work_rates.TIMER, wanted.id, working.now)
    event = events.RateSet(key=command.key, most=numbers[0], per_minute=numbers[1], tokens_per_minute=numbers[2])
    working.record("tenant.rate", tenant, body=event.scanned())
    working.emit(event)
    return wanted.id


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
