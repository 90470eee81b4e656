"""The queues of a tenant: what waits, for how long, what is leased, and which bots are able to do it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from swarmkeeper.core.model import Principal, Queue
from swarmkeeper.core.named_reads import BOT_ROW, fetch
from swarmkeeper.core.rules import match
from swarmkeeper.core.states import KIND_OF, BotType, Kind
from swarmkeeper.reads import views
from swarmkeeper.reads.explain import Explainer
from swarmkeeper.reads.insight.insight_reads import (
    ABLE_BOTS,
    LEASED_BY_QUEUE,
    LEASES_OF_BOT,
    QUEUES_LOOKED_AT,
    QUEUES_PAGE,
    AbleBotRow,
    LeaseOfBotRow,
    QueueRow,
)
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.views import View

# A page looks at so many queues of all tenants; it may be short, or empty, although more follow.
LOOKED_AT_MAX = 1_000
DEPTHS_MAX = 20_000  # items that are counted for a page, over all queues: a few milliseconds
LEASES_MAX = 5_000  # leases that are counted
_PRIORITIES = json.dumps(list(range(match.PRIORITY_MAX + 1)))


async def queues(
    queries: Queries,
    explainer: Explainer,
    principal: Principal,
    flow: Mapping[int, tuple[int, int]],
    *,
    page_size: int,
    page_token: str,
) -> View:
    """Return a page of the queues in which work of the tenant waits, is leased, or was within the last minute.

    Args:
        flow: by queue, how many items came and were leased in the last minute.

    Raises:
        PermissionDenied: the role may not read skills.
    """
    queries.check_size(page_size)
    queries.require(principal, "skill.read")
    after = views.read_token(page_token, int)[0] if page_token else -1
    tenant = principal.tenant
    async with queries.moment() as then:
        held = await fetch(then.reader, LEASED_BY_QUEUE, tenant=tenant, most=LEASES_MAX)
        leased = {row.id: row.number for row in held}
        (looked,) = await fetch(then.reader, QUEUES_LOOKED_AT, after=after, limit=LOOKED_AT_MAX)
        most = max(100, DEPTHS_MAX // page_size)
        found = await fetch(
            then.reader,
            QUEUES_PAGE,
            tenant=tenant,
            most=most + 1,
            priorities=_PRIORITIES,
            after=after,
            last=looked.last,
            busy=json.dumps(sorted({*leased, *flow})),
            limit=page_size + 1,
        )
        able = await fetch(then.reader, ABLE_BOTS, tenant=tenant) if found else []
        deep = [row for row in found[:page_size] if row.depth]
        causes = await explainer.of_queues(then, tenant, [_record(row) for row in deep]) if deep else []
    following = ""
    if len(found) > page_size:
        following = views.token(found[page_size - 1].id)
    elif looked.number == LOOKED_AT_MAX:
        following = views.token(looked.last)
    bots = _Able(queries, able)
    exact = sum(leased.values()) < LEASES_MAX
    why = {row.id: cause for row, cause in zip(deep, causes, strict=True)}
    now = then.now()
    items = [
        _queue(row, most, leased.get(row.id, 0), exact, flow.get(row.id, (0, 0)), bots, now) | {"why": why.get(row.id)}
        for row in found[:page_size]
    ]
    return views.page(items, following)


def _queue(row: QueueRow, most: int, leased: int, exact: bool, flow: tuple[int, int], bots: _Able, now: int) -> View:
    kind, skills = Kind(row.kind), frozenset(views.json_of(row.skills))
    fitting = bots.of(kind, skills, row.assign_to)
    return {
        "kind": row.kind,
        "skills": sorted(skills),
        "assign_to": row.assign_to,
        "waiting": min(row.depth, most),
        "waiting_at_least": row.depth > most,
        "oldest_at": views.time(row.since),
        "oldest_seconds": None if row.since is None else views.seconds(max(0, now - row.since)),
        "leased": leased,
        "leased_at_least": not exact,
        "in_per_minute": flow[0],
        "out_per_minute": flow[1],
        "bots": len(fitting),
        "bots_asking": bots.asking(fitting),
    }


def _record(row: QueueRow) -> Queue:
    return Queue(row.id, Kind(row.kind), tuple(views.json_of(row.skills)), row.assign_to)


class _Able:
    """The bots that may get work, by what they are able to do."""

    def __init__(self, queries: Queries, rows: Iterable[AbleBotRow]) -> None:
        self._parked = queries.parked_bots()
        self._queries = queries
        self._alike: dict[tuple[str, str, int], list[AbleBotRow]] = {}
        for row in rows:
            self._alike.setdefault((row.type, row.skills, row.dedicated), []).append(row)

    def of(self, kind: Kind, skills: frozenset[str], assign_to: str | None) -> list[AbleBotRow]:
        """Return the bots that serve a queue; see core/rules/match.py."""
        found: list[AbleBotRow] = []
        for (type_, own, dedicated), rows in self._alike.items():
            if KIND_OF[BotType(type_)] is kind and skills.issubset(views.json_of(own)) and (skills or not dedicated):
                found += rows if assign_to is None else [row for row in rows if row.name == assign_to]
        return found

    def asking(self, bots: Iterable[AbleBotRow]) -> int:
        """Return how many of them asked for work lately; one at full capacity will ask when it is done."""
        return sum(row.held >= row.capacity or self._queries.is_asking(row.id, self._parked) for row in bots)


async def leases_of_bot(
    queries: Queries, principal: Principal, bot_id: str, *, page_size: int, page_token: str
) -> View:
    """Return a page of the leases that a bot holds, to operators and to the bot itself.

    Raises:
        ResourceNotFound, PermissionDenied: as for the bot.
    """
    queries.check_size(page_size)
    after = views.read_token(page_token, str)[0] if page_token else ""
    async with queries.moment() as then:
        await then.bot(principal, bot_id)
        rows = await fetch(then.reader, BOT_ROW, tenant=principal.tenant, bot=bot_id)
        found = await fetch(then.reader, LEASES_OF_BOT, bot=rows[0].id, after=after, limit=page_size + 1)
    following = views.token(found[page_size - 1].work) if len(found) > page_size else ""
    return views.page([_lease(row) for row in found[:page_size]], following)


def _lease(row: LeaseOfBotRow) -> View:
    return {
        "lease_id": row.lease_id,
        "work_id": row.work,
        "task_id": row.task,
        "task_title": row.title,
        "kind": row.kind,
        "key": row.key,
        "attempt": row.attempt,
        "round": row.round,
        "priority": row.priority,
        "granted_at": views.time(row.granted_at),
        "expires_at": views.time(row.expires_at),
        "ends_at": views.time(row.ends_at),
        "cancelled": bool(row.cancelled),
    }
