"""Decide whether a budget allows another attempt, and what happens at its limit: wait, ask people, or stop."""

from __future__ import annotations

from collections.abc import Mapping

from swarmkeeper.core import events, lookups
from swarmkeeper.core.decide.effects import accounts, closing, holding, questions
from swarmkeeper.core.decide.working_set import WorkingSet, failure
from swarmkeeper.core.errors import Detail, Invalid
from swarmkeeper.core.model import BudgetAccount, Json, Reservation, TaskRecord, Work
from swarmkeeper.core.rules import budgets
from swarmkeeper.core.rules.budgets import Shortfall
from swarmkeeper.core.states import FailureCode, Transition


def reserve(working: WorkingSet, task: TaskRecord, work: Work) -> Reservation | None:
    """Reserve an allowance for an attempt; its `levels` are empty if no budget applies.

    Returns:
        None if there is no allowance. Then the item is not to be leased now: its task waits, people were asked, or the
        task has failed. If the item itself has failed, the caller applies the consequences.
    """
    wanted = working.budgets.wanted(work.queue, working.limits)
    known = accounts.of(working, task, work)
    found = budgets.allowance(known, wanted)
    if isinstance(found, Shortfall):
        _at_limit(working, task, work, known[found.level], found, wanted[found.amount])
        return None
    accounts.add_reservation(working, task, work, found)
    return found


def check(working: WorkingSet, task: TaskRecord, work: Work) -> None:
    """Act on a limit that was reached while an attempt ran, before the next one is tried."""
    wanted = working.budgets.wanted(work.queue, working.limits)
    known = accounts.of(working, task, work)
    found = budgets.allowance(known, wanted)
    if isinstance(found, Shortfall):
        _at_limit(working, task, work, known[found.level], found, wanted[found.amount])


def no_allowance(working: WorkingSet, tenant_id: str) -> bool:
    """Whether the tenant's own budget allows no attempt now, so that its queues need not be looked at."""
    tenant = working.known(lookups.TENANT, tenant_id)
    return tenant is not None and tenant.budget is not None and accounts.is_short(working, tenant.budget)


def _at_limit(
    working: WorkingSet, task: TaskRecord, work: Work, account: BudgetAccount, short: Shortfall, wanted: int
) -> None:
    if short.level == budgets.TENANT:  # its items stay in their queues until an operator raises the limit
        return
    if short.waits:
        if short.level == budgets.TASK:
            holding.hold(working, task, accounts.HOLD)
        return
    whose = "the task's" if short.level == budgets.TASK else "its"
    spent, limit = account.spent.get(short.amount, 0), account.limit[short.amount]
    said = f"{whose} budget is used up: {spent} of {limit} {short.amount}"
    if account.at_limit == "stop":
        if short.level == budgets.TASK:
            closing.fail_task(working, task, FailureCode.BUDGET, said, work)
            return
        working.move_work(task, work, Transition.FAILED)
        work.error = failure(str(FailureCode.BUDGET), said, work)
        _tell_spent(working, task, work, account, short.amount, None)
        return
    _ask(working, task, work, account, short, wanted)


def _tell_spent(
    working: WorkingSet, task: TaskRecord, work: Work, account: BudgetAccount, name: str, approval: str | None
) -> None:
    spent, limit = account.spent.get(name, 0), account.limit[name]
    event = events.WorkBudgetSpent(
        key=work.key, kind=work.kind, amount=name, spent=spent, limit=limit, approval=approval
    )
    working.emit(event, task=task, work=work)


def _ask(
    working: WorkingSet, task: TaskRecord, work: Work, account: BudgetAccount, short: Shortfall, wanted: int
) -> None:
    name, limit = short.amount, account.limit[short.amount]
    by = budgets.increase(account, name, wanted)
    of_task = short.level == budgets.TASK
    whose = "this task" if of_task else f"subtask {work.key}"
    question = f"{whose.capitalize()} has used up its budget. Raise {name} from {limit} to {limit + by}?"
    subject: dict[str, Json] = {
        "level": short.level,
        "subtask": None if of_task else work.key,
        "amount": name,
        "limit": limit,
        "spent": account.spent.get(name, 0),
        "unpriced_tokens": account.unpriced_tokens,
        "raise_by": {name: by},
    }
    if of_task:
        holding.ask_people(working, task, "budget", question=question, subject=subject)
        return
    by_key = task.submitted_by
    approval = questions.put(working, task, "budget", question=question, subject=subject, work=work, asked_by=by_key)
    working.wait(task, work, Transition.ASKED, None)
    _tell_spent(working, task, work, account, name, approval.id)


def change(working: WorkingSet, task: TaskRecord, wish: Mapping[str, Json]) -> None:
    """Change the limits of a task's budget; those not given stay.

    Raises:
        Invalid: the task has no budget, or a limit is below what is used.
    """
    account = task.budget
    if account is None:
        where: Detail = ("/budget", "not_allowed", "a task that was submitted without a budget gets none later")
        raise Invalid("this task has no budget", details=(where,))
    asked = budgets.from_request(wish)
    if below := budgets.too_low(account, asked.limit):
        details = [
            (f"/budget/{name}", "too_small", f"{gone} are spent or reserved already") for name, gone in below.items()
        ]
        raise Invalid("a limit is below what was used", details=tuple(details))
    changed = budgets.with_limits(account, asked.limit, str(wish["at_limit"]) if "at_limit" in wish else None)
    working.edit_task(task).budget = changed
    working.emit(events.BudgetRaised(level=budgets.TASK, key=None, limit=dict(changed.limit)), task=task)
    if accounts.HOLD in task.hold_reasons:  # if it is still too little, the next claim holds it again
        holding.unhold(working, task, accounts.HOLD)


def too_many_subtasks(task: TaskRecord, more: int, *, at: str) -> list[Detail]:
    """Return the error of a plan or verdict that adds more subtasks than the budget allows."""
    most = None if task.budget is None else task.budget.limit.get(budgets.SUBTASKS)
    if most is None or task.n_total + more <= most:
        return []
    left = max(0, most - task.n_total)
    text = f"the task's budget allows {most} subtasks, and {left} more: these are {more}"
    return [(f"{at}/subtasks", "budget", text)]
