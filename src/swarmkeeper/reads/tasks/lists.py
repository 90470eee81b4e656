"""Lists of tasks: whole, or as rows of a table. See filters.py for how a list finds its tasks."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Invalid, PermissionDenied
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import TaskRow
from swarmkeeper.core.ports import Read, Reader, Rules
from swarmkeeper.core.states import TASK_ENDS, Status
from swarmkeeper.core.tallies import reads
from swarmkeeper.core.tallies.reads import PlaceRow, RowFactsRow, WordRow
from swarmkeeper.reads import views
from swarmkeeper.reads.payload_cache import PayloadCache
from swarmkeeper.reads.tasks.filters import Begin, TaskFilter, TaskSet, begin_of, pairs_of, refuse_words, whole_words_of
from swarmkeeper.reads.views import View

R = TypeVar("R")

# A page of tasks ends early rather than carry more of what clients sent than this.
PAGE_BYTES_MAX = 4 * 1024 * 1024
# Nor does it look at more tasks than this: each takes up to five microseconds, one whose title is searched up to ten.
LOOKED_AT_MAX = 1_000
IDS_AT_ONCE = 500  # in one turn of the reading thread
COUNTED_MAX = 10_000  # of tasks that need not be looked at
PRIORITY_MAX = 9
PRIORITIES_AT_ONCE = 5  # with many tasks that one page may pass over

FIRST = PlaceRow(-1, "")
LAST = PlaceRow(2**62, "\U0010ffff")  # sorts after every time and id
_ORDERS = ("created_at", "-created_at", "priority")
_WELL = (Status.SUCCEEDED, Status.SKIPPED)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class TaskLists:
    def __init__(self, reader: Reader, rules: Rules, bodies: PayloadCache) -> None:
        self._reader, self._rules, self._bodies = reader, rules, bodies

    async def _fetch(self, read: Read[R], **parameters: Any) -> list[R]:
        return await named_reads.fetch(self._reader, read, **parameters)

    async def page(
        self,
        principal: Principal,
        asked: TaskFilter,
        *,
        order_by: str,
        page_size: int,
        page_token: str,
        as_rows: bool = False,
    ) -> View:
        """Return a page of tasks without subtasks, result and verdict.

        It ends early if it gets large, or if many tasks lack something: it may be empty, and still not be the last.

        Args:
            as_rows: without what clients sent, and with what has happened.
        """
        if not self._rules.may(principal, "task.read"):
            raise PermissionDenied(self._rules.why_not(principal, "task.read"))
        if order_by not in _ORDERS:
            allowed = f"must be one of {', '.join(_ORDERS)}"
            raise Invalid("no such order", details=(("/query/order_by", "enum", allowed),))
        if order_by == "priority":
            if asked.words:
                raise refuse_words(order_by)
            shown, following = await self._by_priority(principal, asked, page_size, page_token)
        else:
            shown, following = await self._by_time(principal, asked, order_by, page_size, page_token)
        if as_rows:
            return views.page(await self._rows(shown), following)
        payloads = await self._bodies.of([row.spec for row in shown], erased=True)
        return views.page([views.task(row, payloads.get(row.spec)) for row in shown], following)

    async def ids(self, principal: Principal, asked: TaskFilter, page_token: str) -> tuple[list[str], str]:
        """Return the ids of some tasks, the newest first, and where others follow."""
        shown, following = await self._by_time(principal, asked, "-created_at", IDS_AT_ONCE, page_token)
        return [row.id for row in shown], following

    # ---- by time -----------------------------------------------------------------------------------------------------

    async def _by_time(
        self, principal: Principal, asked: TaskFilter, order_by: str, limit: int, token: str
    ) -> tuple[list[TaskRow], str]:
        newest = order_by.startswith("-")
        low = FIRST if asked.created_after is None else PlaceRow(asked.created_after, "")
        high = LAST if asked.created_before is None else PlaceRow(asked.created_before, "")
        if token:
            place = PlaceRow(*_read_token(token, order_by, int, str))
            low, high = (low, min(high, place)) if newest else (max(low, place), high)
        begin = await self._begin(principal, asked)
        if begin.passes_over:
            low, high, end = await self._bounded(principal.tenant, begin, low, high, newest=newest)
        else:
            end = None
        found: list[TaskRow] = []
        for each in begin.sets:
            found += await self._fetch(
                each.reads.newest if newest else each.reads.oldest,
                **_range(principal.tenant, low, high),
                **_wanted(begin),
                **each.own,
                **_near(each, end),
                limit=limit + 1,
            )
        if len(begin.sets) > 1:
            found.sort(key=lambda row: (row.created_at, row.id), reverse=newest)
        shown = _fitting(found[:limit])
        if len(shown) < len(found):
            return shown, views.token(order_by, shown[-1].created_at, shown[-1].id)
        return shown, "" if end is None else views.token(order_by, *end)

    async def _bounded(
        self, tenant: str, begin: Begin, low: PlaceRow, high: PlaceRow, *, newest: bool
    ) -> tuple[PlaceRow, PlaceRow, PlaceRow | None]:
        """Return where to begin and end, so that few tasks are looked at; and where the page ends if there are more."""
        ends: list[PlaceRow] = []
        for each in begin.sets:
            passed = _looked_at(each, len(begin.sets)) - 1
            read = each.reads.newest_until if newest else each.reads.oldest_until
            ends += await self._fetch(read, **_range(tenant, low, high), **each.own, passed=passed)
        if not ends:
            return low, high, None
        end = max(ends) if newest else min(ends)
        return (end, high, end) if newest else (low, end, end)

    async def _begin(self, principal: Principal, asked: TaskFilter) -> Begin:
        words = whole_words_of(asked.words)
        rare: list[WordRow] = []
        if words:
            rare = await self._fetch(reads.RARE_WORDS, tenant=principal.tenant, words=_json(words))
        return begin_of(principal, asked, await self.rarest(principal, asked), [row.word for row in rare])

    async def rarest(self, principal: Principal, asked: TaskFilter) -> str | None:
        """Return the label or mark that the fewest tasks have; None if none is asked for."""
        listed = asked.listed
        if len(listed) < 2:
            return next(iter(listed), None)
        if listed == asked.labels:
            numbers = await self.labelled(principal.tenant, None, listed)
        else:
            wanted = {"tenant": principal.tenant, "wanted": _json(list(listed)), "most": LOOKED_AT_MAX}
            numbers = {row.mark: row.number for row in await self._fetch(reads.COUNTS_OF_MARKS, **wanted)}
        return min(listed, key=lambda each: numbers[each])

    async def labelled(self, tenant: str, party: str | None, labels: tuple[str, ...]) -> dict[str, int]:
        """Return how many tasks have each label."""
        found = await self._fetch(
            reads.COUNTS_OF_LABELS,
            tenant=tenant,
            party=party,
            wanted=_json([pair for label in labels for pair in pairs_of(label)]),
        )
        numbers = dict.fromkeys(labels, 0)
        for row in found:
            numbers[f"{row.key}:{row.value}"] += row.number
        return numbers

    # ---- by priority -------------------------------------------------------------------------------------------------

    async def _by_priority(
        self, principal: Principal, asked: TaskFilter, limit: int, token: str
    ) -> tuple[list[TaskRow], str]:
        if asked.finds_nothing:
            return [], ""
        after: tuple[int, int, str] = (PRIORITY_MAX + 1, *FIRST)
        if token:
            after = tuple(_read_token(token, "priority", int, int, str))
        end: tuple[int, int, str] | None = None
        if principal.sees_own:
            found = await self._own_by_priority(principal, asked, after, limit + 1)
        else:
            found, end = await self._each_priority(principal.tenant, asked, after, limit + 1)
        shown = _fitting(found[:limit])
        if len(shown) < len(found):
            last = shown[-1]
            return shown, views.token("priority", last.priority, last.created_at, last.id)
        return shown, "" if end is None else views.token("priority", *end)

    async def _each_priority(
        self, tenant: str, asked: TaskFilter, after: tuple[int, int, str], limit: int
    ) -> tuple[list[TaskRow], tuple[int, int, str] | None]:
        """Return up to `limit` tasks of one priority after the other; and where the page ends if there are more."""
        begin = Begin((), None, asked.status, asked.outcome, asked.listed)
        high = LAST if asked.created_before is None else PlaceRow(asked.created_before, "")
        found: list[TaskRow] = []
        for priority in range(min(after[0], PRIORITY_MAX), -1, -1):
            low = PlaceRow(*after[1:]) if priority == after[0] else FIRST
            if asked.created_after is not None:
                low = max(low, PlaceRow(asked.created_after, ""))
            of_priority, ends = {**_range(tenant, low, high), "priority": priority}, []
            if begin.passes_over:
                passed = max(1, LOOKED_AT_MAX // PRIORITIES_AT_ONCE) - 1
                ends = await self._fetch(reads.TASKS_OF_PRIORITY_UNTIL, **of_priority, passed=passed)
            if ends:
                of_priority |= {"high_at": ends[0].at, "high_id": ends[0].id}
            found += await self._fetch(
                reads.TASKS_OF_PRIORITY, **of_priority, **_wanted(begin), limit=limit - len(found)
            )
            if len(found) >= limit:
                return found, None
            if ends:
                return found, (priority, *ends[0])
        return found, None

    async def _own_by_priority(
        self, principal: Principal, asked: TaskFilter, after: tuple[int, int, str], limit: int
    ) -> list[TaskRow]:
        return await self._fetch(
            named_reads.TASKS_OF_PARTY_BY_PRIORITY,
            tenant=principal.tenant,
            party=principal.party,
            statuses=_json(asked.status) if asked.status else None,
            outcomes=_json(asked.outcome) if asked.outcome else None,
            labels=_json(list(asked.listed)),
            created_after=asked.created_after,
            created_before=asked.created_before,
            **dict(zip(("after_priority", "after_at", "after_id"), after, strict=True)),
            limit=limit,
        )

    # ---- rows --------------------------------------------------------------------------------------------------------

    async def _rows(self, tasks: list[TaskRow]) -> list[View]:
        """Return the tasks as rows of a table, with one further read for all of them."""
        facts: dict[str, RowFactsRow] = {}
        if tasks:
            ids = _json([row.id for row in tasks])
            for row in await self._fetch(
                reads.TASK_ROW_FACTS, ids=ids, ends=_json(sorted(TASK_ENDS)), well=_json(_WELL)
            ):
                facts[row.id] = row
        return [_row(task, facts.get(task.id)) for task in tasks]

    # ---- counts ------------------------------------------------------------------------------------------------------

    async def count(self, principal: Principal, asked: TaskFilter) -> View:
        """Return how many tasks there are: exactly, or at least how many if that would mean to look at many tasks."""
        if not self._rules.may(principal, "task.read"):
            raise PermissionDenied(self._rules.why_not(principal, "task.read"))
        party = principal.party if principal.sees_own else None
        if asked.is_of_states:
            return await self._count_states(principal.tenant, party, asked)
        if asked == TaskFilter(labels=asked.labels) and len(asked.labels) == 1 and asked.labels[0].count(":") == 1:
            numbers = await self.labelled(principal.tenant, party, asked.labels)
            return _counted(numbers[asked.labels[0]], at_least=False)
        begin = await self._begin(principal, asked)
        low = FIRST if asked.created_after is None else PlaceRow(asked.created_after, "")
        high = LAST if asked.created_before is None else PlaceRow(asked.created_before, "")
        if begin.passes_over:
            low, high, end = await self._bounded(principal.tenant, begin, low, high, newest=True)
            number = 0
            for each in begin.sets:
                asked_for = {**_range(principal.tenant, low, high), **_wanted(begin), **each.own, **_near(each, end)}
                number += sum(row.number for row in await self._fetch(each.reads.counted, **asked_for))
            return _counted(number, at_least=end is not None)
        number = sum([await self._bounded_count(principal.tenant, each, low, high) for each in begin.sets])
        return _counted(min(number, COUNTED_MAX), at_least=number > COUNTED_MAX)

    async def _bounded_count(self, tenant: str, of: TaskSet, low: PlaceRow, high: PlaceRow) -> int:
        assert of.reads.bounded is not None, "a set that looks at tasks passes over some"
        found = await self._fetch(of.reads.bounded, **_range(tenant, low, high), **of.own, most=COUNTED_MAX + 1)
        return sum(row.number for row in found)

    async def _count_states(self, tenant: str, party: str | None, asked: TaskFilter) -> View:
        statuses: dict[str, int] = {}
        outcomes: dict[str, int] = {}
        for row in await self._fetch(reads.TASK_COUNTS, tenant=tenant, party=party):
            if asked.status and row.status not in asked.status:
                continue
            if asked.outcome and row.outcome not in asked.outcome:
                continue
            statuses[row.status] = statuses.get(row.status, 0) + row.number
            if row.outcome:
                outcomes[row.outcome] = outcomes.get(row.outcome, 0) + row.number
        return _counted(sum(statuses.values()), at_least=False) | {"statuses": statuses, "outcomes": outcomes}

    async def labels(self, principal: Principal, *, key: str | None, page_size: int, page_token: str) -> View:
        """Return a page of labels, in order, with how many tasks have each; of one key or of all."""
        if not self._rules.may(principal, "task.read"):
            raise PermissionDenied(self._rules.why_not(principal, "task.read"))
        first = views.read_token(page_token, str, str) if page_token else [key or "", ""]
        if key is not None and first[0] != key:
            raise views.bad_token()
        found = await self._fetch(
            reads.LABEL_COUNTS,
            tenant=principal.tenant,
            party=principal.party if principal.sees_own else None,
            first_key=first[0],
            first_value=first[1],
            last_key=LAST.id if key is None else key,
            limit=page_size + 1,
        )
        shown, more = found[:page_size], found[page_size:]
        items = [{"key": row.key, "value": row.value, "tasks": row.number} for row in shown]
        return views.page(items, views.token(more[0].key, more[0].value) if more else "")


def _counted(number: int, *, at_least: bool) -> View:
    return {"number": number, "at_least": at_least, "statuses": None, "outcomes": None}


def _range(tenant: str, low: PlaceRow, high: PlaceRow) -> dict[str, Any]:
    return {"tenant": tenant, "low_at": low.at, "low_id": low.id, "high_at": high.at, "high_id": high.id}


def _near(of: TaskSet, end: PlaceRow | None) -> dict[str, Any]:
    """Return how many tasks are between here and the end of the page, for sets that depend on it."""
    return {"near": 0 if end is None else _looked_at(of, 1)} if of.looks_at else {}


def _looked_at(of: TaskSet, sets: int) -> int:
    """Return at how many tasks of one of so many sets a page may look."""
    return max(1, LOOKED_AT_MAX // (2 if of.looks_at else sets))


def _wanted(begin: Begin) -> dict[str, Any]:
    return {
        "party": begin.party,
        "statuses": _json(begin.statuses) if begin.statuses else None,
        "outcomes": _json(begin.outcomes) if begin.outcomes else None,
        "labels": _json(list(begin.labels)),
    }


def _fitting(found: list[TaskRow]) -> list[TaskRow]:
    """Return the first tasks, with not too much of what clients sent; at least one."""
    shown: list[TaskRow] = []
    room = PAGE_BYTES_MAX
    for row in found:
        room -= row.spec_bytes or 0
        if shown and room < 0:
            break
        shown.append(row)
    return shown


def _read_token(token: str, order_by: str, *kinds: type) -> list[Any]:
    """Return the place in a token of this order.

    Raises:
        Invalid: it is of another order, or no token.
    """
    _, *place = views.read_token(token, str, *kinds)
    if views.token(order_by, *place) != token:
        raise Invalid(
            "the page token belongs to another order",
            details=(("/query/page_token", "invalid", "use it with the order_by that it came with"),),
        )
    return place


def _row(task: TaskRow, facts: RowFactsRow | None) -> View:
    failure = views.json_of(task.failure)
    return {
        "id": task.id,
        "title": task.title,
        "status": task.status,
        "outcome": task.outcome,
        "failure": None if failure is None else {"code": failure["code"], "detail": failure["detail"]},
        "error": None if facts is None else views.json_of(facts.error),
        "holds": views.json_of(task.holds),
        "priority": task.priority,
        "labels": views.json_of(task.labels),
        "progress": views.progress(task),
        "round": task.round,
        "last_bot": None if facts is None else facts.bot_name or facts.bot,
        "usage": views.json_of(task.usage),
        "created_at": views.time(task.created_at),
        "started_at": views.time(None if facts is None else facts.started),
        "ended_at": views.time(None if facts is None else facts.ended),
        "updated_at": views.time(task.updated_at),
        "deadline_at": views.time(task.deadline),
    }
