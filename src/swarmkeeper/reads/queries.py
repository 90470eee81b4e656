"""Reads for people and bots: each checks its permission and returns data in wire format. They change nothing.

The tenant always comes from the principal. Data of other tenants is treated as missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Invalid, Overloaded, PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.named_reads import BotRow, KeyRow, LegalHoldRow, SubtaskRow, TaskRow
from swarmkeeper.core.ports import NotReadAhead, Read, Reader, ReadsAhead, ReadsOnly, Rules
from swarmkeeper.core.rules.explain import RetryTask
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.core.states import TASK_CLOSED, AttemptOutcome, Condition, FailureCode, Kind, Status, TaskStatus
from swarmkeeper.govern.cursors import CursorOfAnotherStore, Cursors, NotACursor
from swarmkeeper.reads import causes, views, wording
from swarmkeeper.reads.feed import Position, number_of
from swarmkeeper.reads.payload_cache import PayloadCache
from swarmkeeper.reads.tasks.costs import CostQueries
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.reads.tasks.lists import TaskLists
from swarmkeeper.reads.views import Inline, View

R = TypeVar("R")
Row = TypeVar("Row", BotRow, KeyRow, LegalHoldRow)

PAGE_SIZE = 50
PAGE_SIZE_MAX = 500
SUBTASKS_SHOWN = 200

_FAILING = (AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.EXPIRED)
_WELL = (Status.SUCCEEDED, Status.SKIPPED)
# Failures that name no work item, although failing attempts may be the cause.
_LEFT_BEHIND = (FailureCode.DEADLINE, FailureCode.REVIEW_EXHAUSTED)
_ABSENT = "no such resource"  # also for what exists, and the caller may not know of


def _bot_of(principal: Principal) -> dict[str, str | None]:
    return {"tenant": principal.tenant, "bot": principal.bot, "key": principal.key_id}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _item(row: SubtaskRow, task: TaskRow, *, room: int, seen: bool) -> View:
    status = TaskStatus(task.status)
    shown = views.subtask(row, status, of_task=views.json_of(task.labels), room=room)
    said = views.said(row.said) if seen else None
    if said is not None:
        said = None if said["fraction"] is None and said["message"] is None else {**said, "log": []}
    return {
        **shown,
        **causes.who_and_when(row, status),
        "cause": causes.cause(row, status),
        "progress": said,
    }


def _subtasks_asked(task_id: str, after: int, limit: int) -> dict[str, Any]:
    return {"task": task_id, "kind": Kind.EXECUTE, "after": after, "limit": limit + 1}


def _results_asked(task_id: str) -> dict[str, Any]:
    return {"task": task_id, "kind": Kind.EXECUTE, "status": Status.SUCCEEDED, "condition": Condition.SUCCESS}


class Queries:
    """The reads of the API.

    Args:
        now: engine time, in microseconds.
        seen: when a bot last called; None if only the store knows.
        stuck: a bot's code that does not end, as it reported.
        asked: when a bot last asked for work; None: all bots ask.
        parked: the ids of the bots whose polls are waiting.
        on_read: called when outputs of a task are read, for the audit log.
    """

    def __init__(
        self,
        store: ReadsOnly,
        rules: Rules,
        limits: Limits,
        *,
        cursors: Cursors,
        now: Callable[[], int],
        seen: Callable[[str], int | None] = lambda bot: None,
        stuck: Callable[[str], Sequence[Stuck]] = lambda bot: (),
        asked: Callable[[str], int] | None = None,
        parked: Callable[[], Iterable[str]] = tuple,
        payload_cache: PayloadCache | None = None,
        on_read: Callable[[Principal, str, str], None] = lambda principal, action, task: None,
    ) -> None:
        self._store = store
        self._ahead = store if isinstance(store, ReadsAhead) else None
        self._reader: Reader = store
        self._bodies = payload_cache or PayloadCache(store)
        self._rules = rules
        self._limits, self._cursors, self._positions = limits, cursors, cursors.of_subtasks()
        self._now = now
        self._seen = seen
        self._asked = asked
        self._parked = parked
        self._stuck = stuck
        self._on_read = on_read

    async def _fetch(self, read: Read[R], **parameters: Any) -> list[R]:
        return await named_reads.fetch(self._reader, read, **parameters)

    async def _one(self, read: Read[R], **parameters: Any) -> R:
        found = await self._fetch(read, **parameters)
        if not found:
            raise ResourceNotFound(_ABSENT)
        return found[0]

    @property
    def reader(self) -> Reader:
        """The store, or within a `moment` its snapshot."""
        return self._reader

    def title(self, title: str, tenant: str) -> str:
        """Return the title of a task without secrets, for those who are not its client.

        A page shows the same titles often: `redact` remembers which are harmless, as long as no secret is new.
        """
        shown: str = self._rules.redact(title, tenant=tenant).value
        return shown

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[Queries]:
        """Yield these queries on one snapshot of the store, so that their results within the block are consistent.

        Await nothing but reads within the block.
        """
        async with self._store.snapshot() as seen:
            yield self._on(seen)

    # ---- permissions -----------------------------------------------------------------------------------------------

    def require(self, principal: Principal, action: str) -> None:
        if not self._rules.may(principal, action):
            raise PermissionDenied(self._rules.why_not(principal, action))

    async def _task(self, principal: Principal, task_id: str) -> TaskRow:
        """Return a task's row if the caller may read it.

        Raises:
            ResourceNotFound: the tenant has no such task, or the caller is a bot that has not worked on it.
            PermissionDenied: the role may not read tasks.
        """
        everything = self._rules.may(principal, "task.read")
        if not everything and not self._rules.may(principal, "task.read_held"):
            raise PermissionDenied(self._rules.why_not(principal, "task.read"))
        row = await self._one(named_reads.TASK_ROW, tenant=principal.tenant, task=task_id)
        if not principal.sees(row.party):
            raise ResourceNotFound(_ABSENT)
        if not everything and not await self._has_worked_on(principal, task_id):
            raise ResourceNotFound("no such task")
        return row

    async def _has_worked_on(self, principal: Principal, task_id: str) -> bool:
        return await self._holds(principal, task_id) or bool(
            await self._fetch(named_reads.ATTEMPT_ON_TASK, **_bot_of(principal), task=task_id)
        )

    async def _holds(self, principal: Principal, task_id: str) -> bool:
        return bool(await self._fetch(named_reads.LEASE_ON_TASK, **_bot_of(principal), task=task_id))

    async def _sees_outputs(self, principal: Principal, task_id: str) -> bool:
        """Whether the caller may read the task's outputs; a bot may while it holds a lease of the task."""
        if self._rules.may(principal, "output.read"):
            return True
        return self._rules.may(principal, "task.read_held") and await self._holds(principal, task_id)

    async def must_see_outputs(self, principal: Principal, task_id: str) -> None:
        """Check that the caller may read the task's outputs.

        Raises:
            ResourceNotFound: there is no such task, or the caller may not see it.
            PermissionDenied: the caller may read the task, but not its outputs.
        """
        await self._task(principal, task_id)
        if not await self._sees_outputs(principal, task_id):
            raise PermissionDenied(self._rules.why_not(principal, "output.read"))

    # ---- for the reads in insight/ ----------------------------------------------------------------------------------

    visible_task = _task

    def now(self) -> int:
        return self._now()

    def parked_bots(self) -> set[str]:
        return set(self._parked())

    def is_asking(self, bot_id: str, parked: Collection[str]) -> bool:
        return self._asks(bot_id, parked)[1]

    def position(self, principal: Principal, page_token: str) -> int:
        """Return the place in a task's order that a page token stands for; 0 without one.

        Raises:
            Invalid: it is none of this tenant's.
        """
        try:
            return self._positions.decode(principal.tenant, page_token) if page_token else 0
        except (NotACursor, CursorOfAnotherStore):
            raise views.bad_token() from None

    def token_at(self, principal: Principal, place: int) -> str:
        return self._positions.encode(principal.tenant, place)

    # ---- tasks -----------------------------------------------------------------------------------------------------

    async def task(self, principal: Principal, task_id: str) -> tuple[View, int]:
        """Return the task and its version, which is its ETag."""
        async with self.moment() as then:
            return await then.task_then(principal, task_id)

    async def small_task(self, principal: Principal, task_id: str) -> tuple[View, int]:
        """Return the same as `task`, at less cost: what it most likely needs is read at once. That is little."""
        if self._ahead is not None and self._rules.may(principal, "task.read"):
            seen = await self._ahead.read_ahead(
                [
                    (named_reads.TASK_ROW, {"tenant": principal.tenant, "task": task_id}),
                    (named_reads.SUBTASKS_PAGE, _subtasks_asked(task_id, 0, SUBTASKS_SHOWN)),
                    (named_reads.LAST_RESULTS_OF_TASK, _results_asked(task_id)),
                ]
            )
            with suppress(NotReadAhead):
                if seen is not None:
                    return await self._on(seen).task_then(principal, task_id)
        return await self.task(principal, task_id)

    def _on(self, reader: Reader) -> Queries:
        """Return these queries, reading from a snapshot."""
        then = object.__new__(Queries)  # `copy` takes seven times as long
        then.__dict__.update(self.__dict__)
        then._reader, then._bodies = reader, self._bodies.on(reader)
        return then

    async def submitted(self, principal: Principal, task_id: str, row: TaskRow | None) -> tuple[View, int]:
        """Return the same as `task`, at less cost if the task has no plan yet: one row shows it.

        Args:
            row: of the task, if its submission has just written it and the caller may read it.
        """
        row = row or await self._task(principal, task_id)
        if row.status != TaskStatus.CREATED or row.n_total or row.failure is not None:
            return await self.task(principal, task_id)
        shown = views.task(row, (await self._bodies.of([row.spec])).get(row.spec))
        return {**shown, "subtasks": [], "result": None, "verdict": None}, row.version

    async def task_then(self, principal: Principal, task_id: str) -> tuple[View, int]:
        """Return the same as `task`; call it within a `moment`."""
        row = await self._task(principal, task_id)
        payload_cache = await self._bodies.of([row.spec, row.verdict])
        shown = views.task(row, payload_cache.get(row.spec))
        shown["subtasks"], _, more = await self._subtasks(principal, row, 0, SUBTASKS_SHOWN)
        shown["failure"] = await self.failure(row)
        if shown["progress"]["failed"]:
            shown["progress"]["cancelled"] = await self._cancelled(row, shown, whole=not more)
        shown["result"] = await self._result(row) if await self._sees_outputs(principal, task_id) else None
        if shown["result"] is not None:
            self._on_read(principal, "output.read", task_id)
        shown["verdict"] = views.verdict(None if row.verdict is None else payload_cache.get(row.verdict))
        return shown, row.version

    async def failure(self, row: TaskRow) -> View | None:
        """Return why a task failed, with the error that caused it; None if it did not fail."""
        failure: View | None = views.json_of(row.failure)
        if failure is None:
            return None
        status = TaskStatus(row.status)
        work = failure.get("work_id")
        if work is None and failure["code"] in _LEFT_BEHIND:
            found = await self._fetch(
                named_reads.LAST_FAILURE_OF_TASK, task=row.id, endings=_json(_FAILING), well=_json(_WELL)
            )
            work = found[0].work if found else None
        behind = None
        if work is not None:
            items = await self._fetch(named_reads.SUBTASK_ROW, task=row.id, kind=Kind.EXECUTE, ref=work)
            behind = causes.cause(items[0], status) if items else None
        fix = wording.command(RetryTask(row.id)) if status is TaskStatus.FAILED else None
        return {**failure, "cause": behind, "fix": fix}

    async def _cancelled(self, row: TaskRow, shown: View, *, whole: bool) -> int:
        """Return the number of cancelled subtasks, which `failed` includes."""
        if whole:
            return sum(subtask["status"] == Status.CANCELLED for subtask in shown["subtasks"])
        found = await self._fetch(named_reads.FAILED_COUNT, task=row.id, kind=Kind.EXECUTE, status=Status.FAILED)
        return int(shown["progress"]["failed"] - (found[0].number if found else 0))

    async def version(self, principal: Principal, task_id: str) -> tuple[int, bool]:
        """Return a task's version and whether it is final: all that a waiting caller needs."""
        row = await self._task(principal, task_id)
        return row.version, row.outcome is not None

    async def _result(self, row: TaskRow) -> View | None:
        """Return the outputs that no other subtask used as input; None until the work is done."""
        status = TaskStatus(row.status)
        done = status is TaskStatus.COMPLETED or (status in TASK_CLOSED and row.n_total and not row.n_open)
        if not done:
            return None
        found = await self._fetch(named_reads.LAST_RESULTS_OF_TASK, **_results_asked(row.id))
        return await self._bodies.outputs(found, Inline())

    async def tasks(
        self,
        principal: Principal,
        filters: TaskFilter,
        *,
        order_by: str = "-created_at",
        page_size: int = PAGE_SIZE,
        page_token: str = "",
        as_rows: bool = False,
    ) -> View:
        """Return a page of tasks; see `TaskLists.page`."""
        self.check_size(page_size)
        lists = self.task_lists
        return await lists.page(
            principal, filters, order_by=order_by, page_size=page_size, page_token=page_token, as_rows=as_rows
        )

    @property
    def task_lists(self) -> TaskLists:
        return TaskLists(self._reader, self._rules, self._bodies)

    @property
    def cost_sums(self) -> CostQueries:
        return CostQueries(self._reader, self._rules, now=self._now)

    async def subtasks(
        self, principal: Principal, task_id: str, *, page_size: int = PAGE_SIZE, page_token: str = ""
    ) -> View:
        """Return a page of a task's subtasks, in the order of its plan."""
        self.check_size(page_size)
        row = await self._task(principal, task_id)
        after = self.position(principal, page_token)
        shown, end, more = await self._subtasks(principal, row, after, page_size)
        following = self.token_at(principal, end) if more or await self._written(row) < row.n_total else ""
        return views.page(shown, following) | {"subtasks_total": row.n_total}

    async def _subtasks(
        self, principal: Principal, task: TaskRow, after: int, limit: int
    ) -> tuple[list[View], int, bool]:
        """Return up to `limit` subtasks, the position of the last one, and whether there are more."""
        if not task.n_total:
            return [], after, False
        found = await self._fetch(named_reads.SUBTASKS_PAGE, **_subtasks_asked(task.id, after, limit))
        shown = found[:limit]
        # Progress may contain as much of the output as the result, so it needs the same permission.
        seen = any(row.said for row in shown) and await self._sees_outputs(principal, task.id)
        room = views.INPUTS_BYTES_IN_ALL
        items = []
        for row in shown:
            items.append(_item(row, task, room=room, seen=seen))
            if items[-1]["input"] is not None:
                room -= len(row.spec or b"")
        end = shown[-1].seq if shown else after
        return items, end, len(found) > limit

    async def _subtask_row(self, task: TaskRow, ref: str) -> SubtaskRow:
        """Return the row of a subtask by id or key.

        Raises:
            ResourceNotFound: there is none.
            Overloaded: a long plan is still being written, so the subtask may follow.
        """
        found = await self._fetch(named_reads.SUBTASK_ROW, task=task.id, kind=Kind.EXECUTE, ref=ref)
        if found:
            return found[0]
        written, total = await self._written(task), task.n_total
        if written < total:
            raise Overloaded(f"a long plan is still being written: {written} of {total} subtasks", retry_after=1)
        raise ResourceNotFound("no such resource")

    async def _written(self, task: TaskRow) -> int:
        """Return how many subtasks have been written: all, except shortly after a long plan was accepted."""
        if not task.loading:
            return int(task.n_total)
        return len(await self._fetch(named_reads.GRAPH_NODES, task=task.id, kind=Kind.EXECUTE))

    async def subtask(self, principal: Principal, task_id: str, ref: str) -> View:
        """Return a subtask by id or key, or a plan or review item by id, with its output, verdict and attempts."""
        async with self.moment() as then:
            return await then._subtask(principal, task_id, ref)

    async def _subtask(self, principal: Principal, task_id: str, ref: str) -> View:
        task = await self._task(principal, task_id)
        row = await self._subtask_row(task, ref)
        seen = await self._sees_outputs(principal, task_id)
        shown = _item(row, task, room=len(row.spec or b""), seen=seen)
        shown["output"] = None
        if row.result is not None and seen:
            self._on_read(principal, "output.read", task_id)
            body = (await self._bodies.of([row.result]))[row.result]
            fits = Inline().fits(len(body))
            whole = views.json_of(body) if fits else None
            shown["output"] = whole if fits else views.reference(task_id, row.key, views.sha256(body), len(body))
        # Its reviews have the keys review-of/<key>/<round>. "0" is the character after "/", so the range has them all.
        prefix = f"review-of/{row.key}"
        judged = await self._fetch(
            named_reads.VERDICT_ON_SUBTASK,
            task=task_id,
            from_key=f"{prefix}/",
            to_key=f"{prefix}0",
            status=Status.SUCCEEDED,
        )
        shown["verdict"] = views.verdict(judged[0].body if judged else None)
        shown["attempts"] = [
            views.attempt(tried) for tried in await self._fetch(named_reads.ATTEMPTS_OF_WORK, work=row.id)
        ]
        shown["progress"] = views.said(row.said) if seen else None
        for attempt in shown["attempts"] if not seen else ():
            attempt["progress"] = None
        if self._rules.may(principal, "late.read"):
            shown["late_results"] = [
                views.late_result(late) for late in await self._fetch(named_reads.LATE_OF_WORK, work=row.id)
            ]
        return shown

    async def output(self, principal: Principal, task_id: str, ref: str, *, attempt: int | None = None) -> bytes:
        """Return a subtask's whole output as JSON: its accepted result, or the output of one attempt.

        Raises:
            ResourceNotFound: it has no output.
            PermissionDenied: the caller may read the task, but not its outputs.
        """
        await self.must_see_outputs(principal, task_id)
        row = await self._subtask_row(await self._one(named_reads.TASK_ROW, tenant=principal.tenant, task=task_id), ref)
        wanted = row.result
        if attempt is not None:
            tried = await self._fetch(named_reads.ATTEMPTS_OF_WORK, work=row.id)
            wanted = next((row.result for row in tried if row.attempt == attempt), None)
        if wanted is None:
            raise ResourceNotFound("it has no output")
        self._on_read(principal, "output.read", task_id)
        return (await self._bodies.of([wanted]))[wanted]

    async def graph(self, principal: Principal, task_id: str) -> View:
        async with self.moment() as then:
            task = await then._task(principal, task_id)
            nodes = await then._fetch(named_reads.GRAPH_NODES, task=task_id, kind=Kind.EXECUTE)
            edges = await then._fetch(named_reads.GRAPH_EDGES, task=task_id)
        shown = views.graph(nodes, edges, TaskStatus(task.status))
        return shown | {"subtasks_total": task.n_total, "loading": len(nodes) < task.n_total}

    # ---- bots, skills, keys ----------------------------------------------------------------------------------------

    async def bots(self, principal: Principal, *, page_size: int = PAGE_SIZE, page_token: str = "") -> View:
        self.require(principal, "bot.read")
        parked = self.parked_bots()
        return await self._page(
            named_reads.BOTS_PAGE, principal, lambda row: self._bot(row, parked), page_size, page_token
        )

    async def bot(self, principal: Principal, bot_id: str) -> View:
        """Return a bot, to operators and to the bot itself."""
        row = await self._fetch(named_reads.BOT_ROW, tenant=principal.tenant, bot=bot_id)
        own = bool(row) and self._rules.may(principal, "bot.register") and self._is_own(principal, row[0])
        if not own:
            self.require(principal, "bot.read")
        if not row:
            raise ResourceNotFound("no such bot")
        return self._bot(row[0], set(self._parked()))

    def _is_own(self, principal: Principal, row: BotRow) -> bool:
        return bool(row.name == principal.bot if principal.bot is not None else row.key_id == principal.key_id)

    def _bot(self, row: BotRow, parked: Collection[str]) -> View:
        last_seen = max(row.last_seen, self._seen(row.id) or 0)
        away = row.id not in parked and self._now() - last_seen > self._limits.away
        last_asked, asks = self._asks(row.id, parked)
        return {
            **views.bot(row, last_seen=last_seen, away=away, stuck=self._stuck(row.id)),
            "last_asked": views.time(last_asked),
            "asking": asks and not away and row.status == "active",
        }

    def _asks(self, bot_id: str, parked: Collection[str]) -> tuple[int, bool]:
        """Return when a bot last asked for work, and whether that was recently."""
        now = self._now()
        asked_at = now if self._asked is None or bot_id in parked else self._asked(bot_id)
        return asked_at, now - asked_at <= self._limits.away

    async def skills(self, principal: Principal) -> View:
        """Return each skill that a bot has or work waits for, with its numbers of bots and of waiting items."""
        self.require(principal, "skill.read")
        bots: dict[str, int] = {}
        asking: dict[str, int] = {}
        parked = set(self._parked())
        waiting: dict[str, int] = {}
        oldest: dict[str, int] = {}
        for row in await self._fetch(named_reads.SKILLS_OF_BOTS, tenant=principal.tenant, status="active"):
            for skill in views.json_of(row.skills):
                bots[skill] = bots.get(skill, 0) + 1
                # A bot at full capacity is working: it will ask when a slot is free.
                if row.held >= row.capacity or self._asks(row.id, parked)[1]:
                    asking[skill] = asking.get(skill, 0) + 1
        for queue in await self._fetch(named_reads.WAITING_BY_QUEUE, tenant=principal.tenant):
            for skill in views.json_of(queue.skills):
                waiting[skill] = waiting.get(skill, 0) + queue.waiting
                oldest[skill] = min(oldest.get(skill, queue.since), queue.since)
        return views.page(
            [
                {
                    "skill": skill,
                    "bots": bots.get(skill, 0),
                    "asking": asking.get(skill, 0),
                    "waiting": waiting.get(skill, 0),
                    "oldest_seconds": views.seconds(max(0, self._now() - oldest[skill])) if skill in oldest else None,
                }
                for skill in sorted(bots.keys() | waiting.keys())
            ]
        )

    async def keys(self, principal: Principal, *, page_size: int = PAGE_SIZE, page_token: str = "") -> View:
        self.require(principal, "key.read")
        return await self._page(named_reads.KEYS_PAGE, principal, views.key, page_size, page_token)

    async def key(self, principal: Principal, key_id: str) -> View:
        self.require(principal, "key.read")
        return views.key(await self._one(named_reads.KEY_ROW, tenant=principal.tenant, key=key_id))

    async def legal_holds(self, principal: Principal, *, page_size: int = PAGE_SIZE, page_token: str = "") -> View:
        self.require(principal, "legal_hold.read")
        return await self._page(named_reads.LEGAL_HOLDS_PAGE, principal, views.legal_hold, page_size, page_token)

    async def legal_hold(self, principal: Principal, held: str) -> View:
        self.require(principal, "legal_hold.read")
        return views.legal_hold(await self._one(named_reads.LEGAL_HOLD, tenant=principal.tenant, task=held))

    async def _page(
        self, read: Read[Row], principal: Principal, view: Callable[[Row], View], page_size: int, page_token: str
    ) -> View:
        self.check_size(page_size)
        after = views.read_token(page_token, str)[0] if page_token else ""
        found = await self._fetch(read, tenant=principal.tenant, after=after, limit=page_size + 1)
        more = len(found) > page_size
        return views.page(
            [view(row) for row in found[:page_size]], views.token(found[page_size - 1].id) if more else ""
        )

    def check_size(self, page_size: int) -> None:
        if not 1 <= page_size <= PAGE_SIZE_MAX:
            raise Invalid("no such page", details=(("/query/page_size", "range", f"must be 1 to {PAGE_SIZE_MAX}"),))

    # ---- events: insight/events.py has the pages -------------------------------------------------------------------

    def cursor_of(self, principal: Principal, number: int) -> str:
        return self._cursors.encode(principal.tenant, number)

    async def may_follow(self, principal: Principal, task_id: str | None) -> None:
        """Check that the caller may read these events.

        Raises:
            PermissionDenied, ResourceNotFound: the caller may not.
        """
        if task_id is None:
            self.require(principal, "event.read")
        else:
            await self._task(principal, task_id)

    async def number_after(self, principal: Principal, task_id: str | None, after: Position) -> int:
        """Return the number that a cursor stands for; see `number_of`."""
        return await number_of(after, self._cursors, principal.tenant, self._reader, of_task=task_id is not None)
