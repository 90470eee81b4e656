"""Budgets: what a lease reserves, what an attempt settles, and when a limit is reached. Pure functions of accounts.

Theory. Each level with a budget (a tenant, a task, a subtask) has an account. A lease reserves an allowance in the
accounts of all its levels, in the commit that grants it. The attempt's end gives the allowance back, and adds what was
used to `spent`. So at each commit

    spent + reserved <= limit + overshoot

and `overshoot` grows only by what an attempt reported beyond its allowance while the limit had no room for it. Nobody
can know what a bot has used and not told yet: heartbeats tell it while the attempt runs, and an attempt that needs more
than there is ends then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from swarmkeeper.core.model import BudgetAccount, Limits, Reservation
from swarmkeeper.core.states import AttemptOutcome

COST, TOKENS, ATTEMPTS, SUBTASKS = "cost_micro_usd", "tokens", "attempts", "subtasks"
UNPRICED = "unpriced_tokens"
USED = (COST, TOKENS)  # what bots report; an allowance has these
COUNTED = (COST, TOKENS, ATTEMPTS)  # what an account counts; the number of subtasks is the task's own
TENANT, TASK, SUBTASK = "tenant", "task", "subtask"  # the levels, from the outside in

RECENT_MAX = 20  # attempts of a queue that are remembered
PERCENTILE = 90
THRESHOLDS = (50, 80, 95, 100)  # per cent of a limit at which an event tells what is spent
# An attempt with almost no allowance would be paid for and cancelled. So less than this part of what an attempt
# usually needs, or of a limit that is smaller, counts as nothing.
LEAST_PART = 20
# While a task waits for its attempts in progress, all its ready items leave their queues. They come back once there is
# room for several, not after each attempt.
RESUME_FACTOR = 4

# Ends of attempts that count: the others cost no try either.
_COUNTING = frozenset(AttemptOutcome) - {
    AttemptOutcome.UNSEEN,
    AttemptOutcome.RELEASED,
    AttemptOutcome.DEFERRED,
    AttemptOutcome.ASKED,
}
# Ends that the bot did not report: what it has used is unknown unless heartbeats told it.
_SILENT = frozenset({AttemptOutcome.EXPIRED, AttemptOutcome.TIMED_OUT, AttemptOutcome.CANCELLED})

Amounts = Mapping[str, int]
Accounts = Mapping[str, BudgetAccount]  # by level


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why there is no allowance for an attempt."""

    level: str
    amount: str  # the name of the amount that lacks
    waits: bool  # attempts in progress hold a part of it, so there may be room when they end


def room(account: BudgetAccount, name: str) -> int | None:
    """Return how much of an amount is neither spent nor reserved; None without a limit. Negative after an overshoot."""
    limit = account.limit.get(name)
    if limit is None:
        return None
    return limit - account.spent.get(name, 0) - account.reserved.get(name, 0)


def least(account: BudgetAccount, name: str, wanted: int) -> int:
    """Return the smallest allowance that is worth an attempt."""
    return max(1, -(-min(wanted, account.limit[name]) // LEAST_PART))


def allowance(accounts: Accounts, wanted: Amounts) -> Reservation | Shortfall:
    """Return what a lease may reserve in these accounts: what is wanted, or the rest of a limit if that is less.

    With less than is wanted, an attempt is granted only while no other one holds a reservation in the account: the
    others may leave something.
    """
    amounts: dict[str, int] = {}
    for name in COUNTED:
        amount = wanted[name]
        limited = False
        for level, account in accounts.items():
            left = room(account, name)
            if left is None:
                continue
            limited = True
            if left >= amount:
                continue
            if account.reserved.get(name, 0) > 0:
                return Shortfall(level, name, waits=True)
            if left < least(account, name, amount):
                return Shortfall(level, name, waits=False)
            amount = left
        if limited:
            amounts[name] = amount
    return Reservation(tuple(accounts), amounts)


def more_allowance(accounts: Accounts, reserved: Reservation, usage: Amounts, step: Amounts) -> Amounts | None:
    """Return what to add to the allowance of a running attempt that has used more; None if there is no room for it.

    Beyond what was used, a part of the rest is added, so that not each heartbeat has to ask; others need the rest, too.

    Args:
        usage: the attempt's total so far.
        step: what is added at most, beyond what was used.
    """
    more: dict[str, int] = {}
    for name in USED:
        over = usage.get(name, 0) - reserved.amounts.get(name, 0)
        if name not in reserved.amounts or over <= 0:
            continue
        left = min((left for account in accounts.values() if (left := room(account, name)) is not None), default=None)
        if left is None:  # the limit was taken away
            more[name] = over
        elif left < over:
            return None
        else:
            more[name] = over + min(step[name], (left - over) // 2)
    return more


def why_short(account: BudgetAccount, limits: Limits) -> str:
    """Return why a tenant's budget allows no ordinary attempt; empty if it does."""
    wanted = BudgetBook().wanted(0, limits)
    found = allowance({TENANT: account}, wanted)
    if not isinstance(found, Shortfall):
        return ""
    if found.waits:
        return "the rest of the tenant's budget is reserved for attempts in progress"
    spent, limit = account.spent.get(found.amount, 0), account.limit[found.amount]
    return f"the tenant's budget is used up: {spent} of {limit} {found.amount}; an operator can raise it"


def reserve(account: BudgetAccount, amounts: Amounts) -> BudgetAccount:
    return replace(account, reserved=_sum(account.reserved, amounts))


def used(
    reserved: Reservation,
    ending: AttemptOutcome,
    metered: Amounts | None,
    reported: Amounts | None,
    *,
    seen: bool,
    counts: bool = False,
) -> dict[str, int]:
    """Return what an attempt has used, as far as anyone knows.

    Totals only grow, so the larger of the heartbeats' and the report's counts. A bot that went silent and never told
    anything may have used all that it was allowed. A lease that never arrived has used nothing.

    Args:
        counts: it counts as an attempt, although its ending does not.
    """
    if not seen and ending in _SILENT | {AttemptOutcome.UNSEEN}:
        return {}
    spent = {ATTEMPTS: 1} if counts or ending in _COUNTING else {}
    if reported is None and metered is None and ending in _SILENT:
        return {**spent, **{name: reserved.amounts[name] for name in USED if name in reserved.amounts}}
    for name in (*USED, UNPRICED):
        amount = max((metered or {}).get(name, 0), (reported or {}).get(name, 0))
        if amount:
            spent[name] = amount
    # A bot that names no cost and no unpriced tokens does not know the price. That is not a price of 0.
    told = any(UNPRICED in usage for usage in (metered, reported) if usage)
    if not told and spent.get(TOKENS) and not spent.get(COST):
        spent[UNPRICED] = spent[TOKENS]
    return spent


def larger(metered: Amounts | None, told: Amounts) -> Amounts:
    """Return the larger amounts of two totals of one attempt."""
    if not metered:
        return told
    return {name: max(metered.get(name, 0), told.get(name, 0)) for name in {**metered, **told}}


def settle(account: BudgetAccount, reserved: Amounts, spent: Amounts) -> BudgetAccount:
    """Give a reservation back, and add what was spent; what neither it nor the limit covers is overshoot."""
    left = {name: account.reserved.get(name, 0) - reserved.get(name, 0) for name in account.reserved}
    total = _sum(account.spent, {name: spent[name] for name in COUNTED if name in spent})
    over = {}
    for name, limit in account.limit.items():
        beyond = spent.get(name, 0) - reserved.get(name, 0)
        excess = min(beyond, total.get(name, 0) + left.get(name, 0) - limit)
        if excess > 0:
            over[name] = excess
    return replace(
        account,
        reserved={name: amount for name, amount in left.items() if amount},
        spent=total,
        overshoot=_sum(account.overshoot, over),
        unpriced_tokens=account.unpriced_tokens + spent.get(UNPRICED, 0),
    )


def passed(account: BudgetAccount) -> tuple[BudgetAccount, list[tuple[str, int]]]:
    """Return the account with what is told, and (amount, per cent) of each limit that passed another threshold."""
    news: list[tuple[str, int]] = []
    for name, limit in account.limit.items():
        part = account.spent.get(name, 0) * 100
        reached = max((step for step in THRESHOLDS if part >= step * limit), default=0)
        if reached > account.told.get(name, 0):
            news.append((name, reached))
    if not news:
        return account, news
    return replace(account, told={**account.told, **dict(news)}), news


def may_resume(account: BudgetAccount, wanted: Amounts) -> bool:
    """Whether a task that waits for its attempts in progress may hand out work again."""
    for name in COUNTED:
        left = room(account, name)
        if left is not None and account.reserved.get(name, 0) > 0 and left < RESUME_FACTOR * wanted[name]:
            return False
    return True


def raised(account: BudgetAccount, by: Amounts) -> BudgetAccount:
    """Raise limits; events tell again of the thresholds that the spent part will pass."""
    limit = {name: most + by.get(name, 0) for name, most in account.limit.items()}
    told = {}
    for name, most in limit.items():
        part = account.spent.get(name, 0) * 100
        told[name] = max((step for step in THRESHOLDS if part >= step * most), default=0)
    return replace(account, limit=limit, told=told)


def increase(account: BudgetAccount, name: str, wanted: int) -> int:
    """Return by how much people are asked to raise a limit: half of it, enough for one attempt beyond what is spent."""
    limit = account.limit[name]
    behind = max(0, account.spent.get(name, 0) - limit)
    return behind + max(wanted, -(-limit // 2))


def with_limits(account: BudgetAccount, limit: Amounts, at_limit: str | None) -> BudgetAccount:
    """Return the account with other limits; those not given stay."""
    by = {name: most - account.limit[name] for name, most in limit.items() if name in account.limit}
    changed = raised(account, by)
    changed = replace(changed, limit={**changed.limit, **limit})
    return changed if at_limit is None else replace(changed, at_limit=at_limit)


def too_low(account: BudgetAccount, limit: Amounts) -> dict[str, int]:
    """Return the limits that are below what is spent and reserved already, with that amount."""
    gone = {name: account.spent.get(name, 0) + account.reserved.get(name, 0) for name in COUNTED}
    return {name: gone[name] for name, most in limit.items() if most < gone.get(name, 0)}


def from_request(plain: Mapping[str, int | str]) -> BudgetAccount:
    """Return the new account for a `budget` in the API's format, whose values must have been checked."""
    limit = {name: amount for name in (*COUNTED, SUBTASKS) if isinstance(amount := plain.get(name), int)}
    return BudgetAccount(limit, str(plain.get("at_limit", "ask")))


def is_sound(account: BudgetAccount) -> bool:
    """Whether the invariant holds, and no amount is negative."""
    for name in COUNTED:
        held, over = account.reserved.get(name, 0), account.overshoot.get(name, 0)
        if held < 0 or account.spent.get(name, 0) < 0:
            return False
        limit = account.limit.get(name)
        if limit is not None and account.spent.get(name, 0) + held > limit + over:
            return False
    return True


class BudgetBook:
    """What the engine remembers for budgets: which tenants have one, and what the last attempts of each queue used.

    After a restart the attempts are forgotten; then a lease reserves the default until new ones have ended.
    """

    def __init__(self) -> None:
        self.tenants: dict[str, None] = {}  # tenants that have a budget; a tenant too many only costs a load
        self.recent: dict[int, tuple[Amounts, ...]] = {}  # by queue

    def after(self, queue: int, spent: Amounts) -> tuple[Amounts, ...]:
        """Return the attempts to remember once another has ended."""
        return (*self.recent.get(queue, ())[1 - RECENT_MAX :], {name: spent.get(name, 0) for name in USED})

    def wanted(self, queue: int, limits: Limits) -> dict[str, int]:
        """Return what a lease of this queue should reserve."""
        recent = self.recent.get(queue, ())
        defaults = {COST: limits.reserve_cost, TOKENS: limits.reserve_tokens}
        return {
            **{name: max(most, percentile(usage[name] for usage in recent)) for name, most in defaults.items()},
            ATTEMPTS: 1,
        }


def percentile(amounts: Iterable[int]) -> int:
    """Return the 90th percentile (nearest rank); 0 without amounts."""
    ordered = sorted(amounts)
    return ordered[-(-len(ordered) * PERCENTILE // 100) - 1] if ordered else 0


def _sum(first: Amounts, second: Amounts) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}
