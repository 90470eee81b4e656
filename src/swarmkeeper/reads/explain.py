"""Loads the facts that core/rules/explain.py needs to explain why a task waits, and returns the API's view of it.

The number of statements does not depend on the number of subtasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import msgspec

from swarmkeeper.access.quotas import NEAR, LimitUsage
from swarmkeeper.core import named_reads
from swarmkeeper.core.decide.decisions import tenants
from swarmkeeper.core.decide.policies import of_bot as of_bot_facts
from swarmkeeper.core.decide.policies import why
from swarmkeeper.core.kills.reads import KILLS_OF_TENANT
from swarmkeeper.core.kills.records import KillRecord, in_force, of_bot
from swarmkeeper.core.model import BotRecord, BudgetAccount, Limits, Principal, Queue, Tenant
from swarmkeeper.core.named_reads import BotRow, LastAttemptRow, OpenCountRow, OpenItemRow, TaskRow
from swarmkeeper.core.policies.labels import from_json
from swarmkeeper.core.policies.records import Policies, PolicyAction, facts, facts_of_labels
from swarmkeeper.core.ports import Read
from swarmkeeper.core.rules import budgets, explain, work_rates
from swarmkeeper.core.rules.cooldowns import scope_of
from swarmkeeper.core.rules.explain import (
    NAMES_LISTED_MAX,
    BotFacts,
    BotIndex,
    Item,
    KeyWait,
    TaskFacts,
    WaitingReason,
    Why,
)
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.core.states import TASK_CLOSED, BotType, Kind, Status, TaskStatus
from swarmkeeper.reads import causes, views, wording
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.views import View

ITEMS_MAX = 200  # listed individually; the rest is counted
APPROVALS_MAX = 500
GONE_AFTER = 86_400_000_000  # microseconds without a call until a bot is ignored, if bots are never removed
# Items that may need a person come first, so that they are among those listed.
OPEN = (Status.READY, Status.WAITING, Status.LEASED, Status.IN_REVIEW, Status.BLOCKED)

R = TypeVar("R")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """State that only the running orchestrator has."""

    time: Callable[[], int]
    seen: Callable[[str], int | None] = lambda bot: None  # when a bot last called; None: use the store's value
    asked: Callable[[str], int] | None = None  # when a bot last asked for work; None: all bots ask
    parked: Callable[[], Iterable[str]] = tuple  # ids of the bots that wait for work
    stuck: Callable[[str], tuple[Stuck, ...]] = lambda bot: ()  # a bot's code that does not end
    overloaded: Callable[[], bool] = lambda: False
    policies: Callable[[], Policies | None] = lambda: None
    usage: Callable[[Principal], list[LimitUsage]] = lambda principal: []  # of the limits that are counted in memory


class Explainer:
    """Explains why a task is not done yet, to callers that may read the task."""

    def __init__(self, queries: Queries, limits: Limits, now: Now) -> None:
        self._queries, self._limits, self._now = queries, limits, now

    async def explain(self, principal: Principal, task_id: str) -> View:
        """Return the items of a task that are not final, each with the one reason why.

        Raises:
            ResourceNotFound, PermissionDenied: the caller may not read the task.
        """
        async with self._queries.moment() as then:
            return await _Moment(then, self._limits, self._now).explain(principal, task_id)

    async def task(self, principal: Principal, task_id: str) -> tuple[View, int]:
        """Return the task with its `explanation`, and its version, from one snapshot."""
        async with self._queries.moment() as then:
            shown, version = await then.task_then(principal, task_id)
            shown["explanation"] = await _Moment(then, self._limits, self._now).explain(principal, task_id)
            return shown, version

    async def of_queues(self, then: Queries, tenant: str, queues: Sequence[Queue]) -> list[View]:
        """Return for each queue why no bot has taken what is ready in it.

        What depends on the single item is not looked at: its labels, and so policies; and who made what it reviews.
        """
        return await _Moment(then, self._limits, self._now).of_queues(tenant, queues)

    async def limits(self, principal: Principal) -> View:
        """Return the limits of the caller's tenant and key, and what of them is used."""
        async with self._queries.moment() as then:
            return await _Moment(then, self._limits, self._now).limits(principal)


class _Moment:
    """Explains a task from one snapshot, so that the reasons are consistent."""

    def __init__(self, queries: Queries, limits: Limits, now: Now) -> None:
        self._queries, self._limits, self._now = queries, limits, now

    async def _fetch(self, read: Read[R], **parameters: Any) -> list[R]:
        return await named_reads.fetch(self._queries.reader, read, **parameters)

    async def explain(self, principal: Principal, task_id: str) -> View:
        await self._queries.version(principal, task_id)
        (row,) = await self._fetch(named_reads.TASK_ROW, tenant=principal.tenant, task=task_id)
        task = await self._task_facts(row)
        counts: dict[WaitingReason, int] = {}
        found: list[tuple[Item, Why]] = []
        if task.status not in TASK_CLOSED:
            rates = await self._used_up(task.tenant)
            kills = in_force(await self._fetch(KILLS_OF_TENANT, tenant=task.tenant), self._now.time())
            task = replace(task, rates=rates, kills=kills)
            fleet = BotIndex(self._permitted(row, await self._bots(task.tenant, rates, kills)))
            groups = await self._fetch(
                named_reads.OPEN_COUNTS,
                task=task.task,
                statuses=_json([str(status) for status in OPEN]),
                kind=Kind.REVIEW,
            )
            # Reviews of one round must go to different owners, so each needs another owner.
            ahead = _ahead(groups)
            for group in groups:
                alike = _item(group, ahead=ahead.get(group.key, 0))
                reason = explain.why(alike, task, fleet).reason
                counts[reason] = counts.get(reason, 0) + group.number
            # A group does not say what its items ask people: some of them for more budget.
            if asked := sum(each.kind == "budget" and each.work is not None for each in task.approvals):
                counts[WaitingReason.BUDGET] = counts.get(WaitingReason.BUDGET, 0) + asked
                counts[WaitingReason.QUESTION] -= asked
                counts = {each: number for each, number in counts.items() if number}
            items = await self._items(task, ahead)
            found = [(item, explain.why(item, task, fleet)) for item in items]
            found.sort(key=lambda pair: explain.RANK[pair[1].reason])  # stable: the plan's order among equals
        shown = [_shown(item, why) for item, why in found]
        first = (found[0][0].key, found[0][1]) if found else None
        held = None if task.status in TASK_CLOSED else explain.hold(task)
        if held is not None and held.reason not in counts:
            # No item is ready, or all are done: the task itself waits.
            counts[held.reason] = 1
            shown.insert(0, _task_itself(task, held))
            first = ("", held)
        failure = await self._queries.failure(row)
        return {
            "task_id": task.task,
            "status": str(task.status),
            "failure": failure,
            "summary": wording.summary(task, counts, first, failure=_because_of(failure)),
            "waiting": shown,
            "waiting_total": sum(counts.values()),
            "reasons": {str(reason): counts[reason] for reason in sorted(counts, key=explain.RANK.__getitem__)},
            "near_limits": await self._near_limits(principal),
        }

    async def of_queues(self, tenant: str, queues: Sequence[Queue]) -> list[View]:
        rates = await self._used_up(tenant)
        kills = in_force(await self._fetch(KILLS_OF_TENANT, tenant=tenant), self._now.time())
        fleet = BotIndex(await self._bots(tenant, rates, kills))
        of_none = TaskFacts(
            task="",
            tenant=tenant,
            status=TaskStatus.IN_PROGRESS,
            since=0,
            overloaded=self._now.overloaded(),
            tenant_budget=await self._tenant_budget(tenant),
            kills=kills,
            rates=rates,
        )
        ready = (
            Item(id="", kind=each.kind, key="", status=Status.READY, queue=each, since=0, start_due=0)
            for each in queues
        )
        return [_cause(explain.why(item, of_none, fleet)) for item in ready]

    async def _near_limits(self, principal: Principal) -> list[View]:
        """Return the limits that the caller has nearly reached: why a submission was or soon will be refused."""
        used = self._now.usage(principal)
        for tenant in await self._fetch(named_reads.TENANT_ROW, tenant=principal.tenant):
            used += stored_usage(tenant, self._limits)
        return [
            {"limit": usage.limit, "scope": usage.scope, "used": usage.used, "most": usage.most}
            for usage in used
            if usage.most is not None and usage.used >= NEAR * usage.most
        ]

    async def limits(self, principal: Principal) -> View:
        used = self._now.usage(principal)
        for tenant in await self._fetch(named_reads.TENANT_ROW, tenant=principal.tenant):
            used = [*stored_usage(tenant, self._limits), *used]
        rates = await self._fetch(named_reads.RATES_OF_TENANT, tenant=principal.tenant)
        account = await self._account(principal.tenant)
        return {
            "items": [asdict(usage) for usage in used],
            "rates": [
                {
                    "key": rate.key,
                    "max": rate.most,
                    "per_minute": rate.per_minute,
                    "tokens_per_minute": rate.tokens_per_minute,
                }
                for rate in rates
            ],
            "budget": account and {"limit": account.limit, "spent": account.spent, "reserved": account.reserved},
        }

    async def _task_facts(self, row: TaskRow) -> TaskFacts:
        asked = await self._fetch(named_reads.OPEN_APPROVALS, task=row.id, state="open", limit=APPROVALS_MAX)
        return TaskFacts(
            task=row.id,
            tenant=row.tenant,
            status=TaskStatus(row.status),
            since=row.updated_at,
            hold_reasons=tuple(views.json_of(row.holds)),
            labels=views.json_of(row.labels),
            loading=bool(row.loading),
            approvals=tuple(asked),
            overloaded=self._now.overloaded(),
            tenant_budget=await self._tenant_budget(row.tenant),
        )

    async def _tenant_budget(self, tenant: str) -> str:
        """Return why the tenant's own budget allows no attempt; empty if it does, or there is none."""
        account = await self._account(tenant)
        return "" if account is None else budgets.why_short(account, self._limits)

    async def _account(self, tenant: str) -> BudgetAccount | None:
        for row in await self._fetch(named_reads.TENANT_BUDGETS):
            if row.id == tenant:
                return BudgetAccount(**views.json_of(row.budget))
        return None

    async def _used_up(self, tenant: str) -> dict[str, int]:
        """Return the rates that allow no lease now, and when each does again."""
        now = self._now.time()
        rates = await self._fetch(named_reads.RATES_OF_TENANT, tenant=tenant)
        opens = {rate.key: work_rates.opens_at(rate) for rate in rates}
        return {key: moment for key, moment in opens.items() if moment > now}

    async def _bots(self, tenant: str, rates: Mapping[str, int], kills: Sequence[KillRecord]) -> list[BotFacts]:
        parked = set(self._now.parked())
        now = self._now.time()
        found = []
        cooldowns = await self._fetch(named_reads.COOLDOWNS_OF_TENANT, tenant=tenant)
        cooling = {row.scope: row.until for row in cooldowns if row.phase != "due"}
        for row in await self._fetch(named_reads.BOTS_OF_TENANT, tenant=tenant):
            bot = _bot(row)
            last_seen = max(bot.last_seen, self._now.seen(bot.id) or 0)
            here = bot.id in parked or now - last_seen <= self._limits.away
            if not here and now - last_seen >= (self._limits.forget_bots or GONE_AFTER):
                continue  # the bot is gone, so it is not expected to take work
            asked_at = now if self._now.asked is None or bot.id in parked else self._now.asked(bot.id)
            asks = now - asked_at <= self._limits.away
            scope = scope_of(bot)
            until = max(cooling.get(scope, 0), rates.get(work_rates.of_scope(scope), 0))
            limited = (scope, until) if until else None
            stuck = self._now.stuck(bot.id)
            killed = of_bot(kills, bot)
            found.append(BotFacts(bot, here, row.held, asks, asked_at, stuck=stuck, limited=limited, killed=killed))
        return found

    def _permitted(self, row: TaskRow, bots: list[BotFacts]) -> list[BotFacts]:
        """Return the bots with what the policies say about them and the task's items."""
        policies = self._now.policies()
        if policies is None:
            return bots
        of_task: dict[str, Any] = {
            "tenant": row.tenant,
            "submitter": row.submitted_by,
            "priority": row.priority,
        }

        of_labels = views.json_of(row.labels)

        def asked_for(bot: BotRecord) -> Callable[[Item], str]:
            def denies(item: Item) -> str:
                labels = facts_of_labels(of_labels, item.labels)
                work = facts("Work", "work", kind=str(item.kind), skills=item.queue.skills, **labels, **of_task)
                decision = policies.decide(PolicyAction.WORK_CLAIM, of_bot_facts(bot), work)
                return "" if decision.allowed else why(decision)

            return denies

        return [replace(seen, denies=asked_for(seen.bot)) for seen in bots]

    async def _items(self, task: TaskFacts, ahead: Mapping[str, int]) -> list[Item]:
        """Return the first ITEMS_MAX open items with the details of each."""
        statuses = _json([str(status) for status in OPEN])
        rows = await self._fetch(named_reads.OPEN_ITEMS, task=task.task, statuses=statuses, limit=ITEMS_MAX)

        def of(status: Status) -> str:
            return _json([row.id for row in rows if row.status == status])

        tried = await self._fetch(named_reads.LAST_ATTEMPTS_OF_WORKS, works=of(Status.WAITING))
        upstream = await self._fetch(
            named_reads.OPEN_UPSTREAM, works=of(Status.BLOCKED), statuses=statuses, limit=NAMES_LISTED_MAX
        )
        endings = {last.work: last for last in tried}
        before = {row.child: views.json_of(row.keys) for row in upstream}
        return [
            _item(
                row,
                id=row.id,
                ahead=ahead.get(row.key, 0),
                since=row.since,
                attempt=row.attempt,
                round=row.round,
                bot=row.bot,
                ends_at=row.ends_at,
                upstream=tuple(before.get(row.id, ())),
                **_last(endings.get(row.id)),
            )
            for row in rows
        ]


def stored_usage(tenant: Tenant, limits: Limits) -> list[LimitUsage]:
    """Return a tenant's use of the limits that are counted in the store."""
    return [
        LimitUsage("open_tasks", "tenant", tenant.open_tasks, tenants.most_open(tenant, limits)),
        LimitUsage("open_subtasks", "tenant", tenant.open_subtasks, limits.open_subtasks or None),
        LimitUsage("stored_bytes", "tenant", tenant.stored_bytes, limits.stored_bytes or None),
    ]


def _because_of(failure: View | None) -> str:
    """Return why a task failed, with the first error; empty if it did not fail."""
    if failure is None:
        return ""
    said = f"{failure['detail']} [{failure['code']}]"
    return said if failure["cause"] is None else f"{said}: {causes.sentence(failure['cause'])}"


def _last(tried: LastAttemptRow | None) -> View:
    """Return how the last attempt at an item ended, its bot, and the message."""
    if tried is None:
        return {}
    said = causes.put_off(tried.ending, views.json_of(tried.error), tried.reason)
    return {"ending": tried.ending, "ended_by": tried.bot_name, "ended_for": said}


def _ahead(groups: Iterable[OpenCountRow]) -> dict[str, int]:
    """Return how many READY reviews come before each READY review of the whole task, by key."""
    keys = sorted(row.key for row in groups if row.key.startswith("review/") and row.status == Status.READY)
    return {key: number for number, key in enumerate(keys)}


def _item(row: OpenCountRow | OpenItemRow, **more: Any) -> Item:
    return Item(
        **{"id": "", "since": 0, **more},
        kind=Kind(row.kind),
        key=row.key,
        status=Status(row.status),
        queue=Queue(row.queue, Kind(row.kind), tuple(views.json_of(row.skills)), row.assign_to),
        pending=row.pending,
        wake=row.wake,
        start_due=row.start_due,
        keyed=None if row.line_key is None else KeyWait(row.line_key, row.line_running or 0, row.line_waiting or 0),
        excluded=tuple(views.json_of(row.excluded)),
        labels=from_json(views.json_of(row.labels)),
    )


def _bot(row: BotRow) -> BotRecord:
    plain = row._asdict()
    del plain["held"]
    plain |= {
        "type": BotType(row.type),
        "skills": tuple(views.json_of(row.skills)),
        "labels": views.json_of(row.labels),
        "dedicated": bool(row.dedicated),
    }
    return BotRecord(**plain)


def _shown(item: Item, why: Why) -> View:
    return {
        "work_id": item.id,
        "kind": str(item.kind),
        "key": item.key,
        "status": str(item.status),
        "attempt": item.attempt,
        **_reason(why, item.since),
    }


def _task_itself(task: TaskFacts, why: Why) -> View:
    """Return the entry of a task that waits although none of its items does."""
    status = str(task.status)
    return {"work_id": None, "kind": "task", "key": "", "status": status, "attempt": 0, **_reason(why, task.since)}


def _reason(why: Why, since: int) -> View:
    return {"bot": why.bot, "since": views.time(since), **_cause(why)}


def _cause(why: Why) -> View:
    return {
        "reason": str(why.reason),
        "detail": why.detail,
        "fix": None if why.fix is None else wording.command(why.fix),
        "until": views.time(why.until or None),
    }
