"""Keep the accounts of budgets: end attempts and settle them, meter running ones, raise limits. See rules/budgets.py.

Nothing here is reached for work without a budget, except the check that it has none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.effects import holding
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import AttemptRecord, BudgetAccount, LeaseRecord, Reservation, TaskRecord, Work
from swarmkeeper.core.rules import budgets
from swarmkeeper.core.rules.budgets import Amounts, Shortfall
from swarmkeeper.core.states import AttemptOutcome

HOLD = "budget"  # why a task is held while the rest of its budget is reserved for attempts in progress


def of(
    working: WorkingSet, task: TaskRecord, work: Work | None, reserved: Collection[str] = ()
) -> dict[str, BudgetAccount]:
    """Return the accounts that apply to an item, by level from the outside in.

    Args:
        reserved: levels in which an attempt has reserved something. Another server may have done that, which knew of a
            tenant's budget before this one does.
    """
    found: dict[str, BudgetAccount] = {}
    may_have = budgets.TENANT in reserved or task.tenant in working.budgets.tenants
    tenant = working.get(lookups.TENANT, task.tenant) if may_have else None
    if tenant is not None and tenant.budget is not None:
        found[budgets.TENANT] = tenant.budget
    if task.budget is not None:
        found[budgets.TASK] = task.budget
    if work is not None and work.budget is not None:
        found[budgets.SUBTASK] = work.budget
    return found


def _put(working: WorkingSet, task: TaskRecord, work: Work | None, level: str, account: BudgetAccount) -> None:
    if level == budgets.TASK:
        working.edit_task(task).budget = account
    elif level == budgets.SUBTASK:
        assert work is not None, "only an item has an account at this level"
        working.edit_work(work).budget = account
    else:
        tenant = working.get(lookups.TENANT, task.tenant)
        assert tenant is not None, "a tenant with an account exists"
        working.put_row(lookups.TENANT, tenant.id, replace(tenant, budget=account))
        working.put(working.changes.tenant_budgets, tenant.id, account)


def add_reservation(working: WorkingSet, task: TaskRecord, work: Work, reserved: Reservation) -> None:
    """Reserve these amounts in the accounts of all levels."""
    known = of(working, task, work, reserved.levels)
    for level in reserved.levels:
        _put(working, task, work, level, budgets.reserve(known[level], reserved.amounts))


def end_attempt(
    working: WorkingSet,
    task: TaskRecord,
    work: Work,
    lease: LeaseRecord,
    ending: AttemptOutcome,
    *,
    over_budget: bool = False,
    **written: Any,
) -> AttemptRecord:
    """End an attempt as `WorkingSet.end_lease` does, and settle what it has used of budgets.

    Args:
        over_budget: it was ended for its use; it counts as an attempt.
    """
    attempt = working.end_lease(task, work, lease, ending, **written)
    if lease.reserved is not None:
        seen = lease.seen or working.arrivals.proves(lease)
        told = written.get("usage")
        spent = budgets.used(lease.reserved, ending, lease.usage, told, seen=seen, counts=over_budget)
        attempt.settled = Reservation(lease.reserved.levels, spent)
        _settle(working, task, work, attempt.settled, lease.reserved.amounts)
        if spent:
            recent = working.budgets.after(work.queue, spent)
            working.put(working.budgets.recent, work.queue, recent)
        _resume(working, task, work)
    return attempt


def _settle(working: WorkingSet, task: TaskRecord, work: Work, spent: Reservation, reserved: Amounts) -> None:
    known = of(working, task, work, spent.levels)
    for level in spent.levels:
        account = known.get(level)
        if account is None:  # the tenant's budget was removed meanwhile
            continue
        settled, news = budgets.passed(budgets.settle(account, reserved, spent.amounts))
        _put(working, task, work, level, settled)
        for name, percent in news:
            tell(working, task, work, level, settled, name, percent)
        if level == budgets.TENANT:
            _wake_polls(working, account, settled)


def tell(
    working: WorkingSet, task: TaskRecord, work: Work, level: str, account: BudgetAccount, name: str, percent: int
) -> None:
    """Emit the event that a part of a limit is spent."""
    reached = events.BudgetReached(
        level=level,
        key=work.key if level == budgets.SUBTASK else None,
        amount=name,
        percent=percent,
        spent=account.spent.get(name, 0),
        limit=account.limit[name],
    )
    if level == budgets.TENANT:
        working.emit(reached)
    else:
        working.emit(reached, task=task, work=work)


def _wake_polls(working: WorkingSet, before: BudgetAccount, after: BudgetAccount) -> None:
    """Reconsider parked polls if the tenant has room again: its items stayed in their queues."""
    if is_short(working, before) and not is_short(working, after):
        working.put_all(working.touched, dict.fromkeys(working.queues.by_id))


def is_short(working: WorkingSet, account: BudgetAccount) -> bool:
    """Whether an ordinary attempt would get no allowance from this account."""
    wanted = working.budgets.wanted(0, working.limits)
    return isinstance(budgets.allowance({budgets.TENANT: account}, wanted), Shortfall)


def _resume(working: WorkingSet, task: TaskRecord, work: Work) -> None:
    if HOLD not in task.hold_reasons or task.budget is None:
        return
    if budgets.may_resume(task.budget, working.budgets.wanted(work.queue, working.limits)):
        holding.unhold(working, task, HOLD)


def meter(working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord) -> bool:
    """Compare a running attempt's use with its allowance, and give it more if it needs more.

    Returns:
        False if there is no room for what it has used: end it.
    """
    assert lease.reserved is not None, "only an attempt under a budget is metered"
    known = of(working, task, work, lease.reserved.levels)
    levels = [level for level in lease.reserved.levels if level in known]
    step = working.budgets.wanted(work.queue, working.limits)
    accounts = {level: known[level] for level in levels}
    more = budgets.more_allowance(accounts, lease.reserved, lease.usage or {}, step)
    if more is None:
        return False
    if more:
        add_reservation(working, task, work, Reservation(tuple(levels), more))
        total = {name: most + more.get(name, 0) for name, most in lease.reserved.amounts.items()}
        working.edit_lease(lease).reserved = Reservation(lease.reserved.levels, total)
    return True


def settle_late(
    working: WorkingSet, task: TaskRecord, work: Work, attempt: AttemptRecord, usage: Amounts
) -> Reservation | None:
    """Count what a late report tells beyond what its attempt has settled; None if that is nothing.

    Call this once for each lease: for its first late report.
    """
    if attempt.settled is None:
        return None
    known = attempt.settled.amounts
    names = (*budgets.USED, budgets.UNPRICED)
    more = {name: extra for name in names if (extra := usage.get(name, 0) - known.get(name, 0)) > 0}
    if not more:
        return None
    settled = Reservation(attempt.settled.levels, more)
    _settle(working, task, work, settled, {})
    return settled


def raise_limits(working: WorkingSet, task: TaskRecord, work: Work | None, by: Mapping[str, int]) -> None:
    """Raise the limits of a task, or (with `work`) of a subtask, as a person has approved."""
    level = budgets.TASK if work is None else budgets.SUBTASK
    account = task.budget if work is None else work.budget
    assert account is not None, "only a budget that exists can be raised"
    changed = budgets.raised(account, by)
    _put(working, task, work, level, changed)
    raised = events.BudgetRaised(level=level, key=None if work is None else work.key, limit=dict(changed.limit))
    working.emit(raised, task=task, work=work)
