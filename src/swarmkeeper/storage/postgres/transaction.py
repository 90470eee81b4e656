"""A PostgreSQL transaction: the engine's loads and saves. store.py begins and commits it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from swarmkeeper.core.model import (
    BackgroundJob,
    Edge,
    KeyLimit,
    LeaseRecord,
    Queue,
    QueueEntry,
    TaskRecord,
    Tenant,
    Timer,
    Work,
)
from swarmkeeper.core.ports import Changes, Key, RowsBusy, StaleVersion
from swarmkeeper.core.rules.match import QueueIdTaken
from swarmkeeper.storage import checkpoints, kills, operations, persons, retention, rows, secrets
from swarmkeeper.storage.at_rest import erasing
from swarmkeeper.storage.at_rest.bodies import BodyCodec, BodyRows
from swarmkeeper.storage.derived import saving
from swarmkeeper.storage.postgres.connections import translated_errors
from swarmkeeper.storage.postgres.entries_ahead import AskedHeads, HeadsAhead, ItemsAhead, first_entries
from swarmkeeper.storage.postgres.execution import ROW_STATEMENTS, Execution
from swarmkeeper.storage.postgres.loading import BulkLoading
from swarmkeeper.storage.postgres.locks import Locks, task_lock
from swarmkeeper.storage.postgres.outbox import Told
from swarmkeeper.storage.rows import Row, to_json

_Writes = list[tuple[str, Sequence[Row]]]
# The timers of a lease: the statement that sets one to another time than the lease's.
_PUT_OFF = {"lease": "put_off_expiry", "ends": "put_off_end"}
_NEVER = (1 << 63) - 1
# Deletions of rows that the same changes write only if an item was released and leased again.
_ALONE = frozenset({"delete_lease", "delete_ready", "delete_timer", "delete_payload"})
# Changes that have statements of their own, which are run after the others'.
_BESIDE = frozenset(
    {"tenant_budgets", "queues", "legal_holds", "erased", "tile_hashes", "checkpoints", "sink_cursors"}
    | {"secret_rows", "persons", "sessions", "kills", "operations", "erased_keys"}
)
_HOT_COLUMNS = {name: ROW_STATEMENTS[f"update_{name}_hot"].columns for name in rows.HOT}
_HOT_KEYS = {name: itemgetter(columns.index("id")) for name, columns in _HOT_COLUMNS.items()}
_HOT_ROWS = {name: itemgetter(*map(rows.TABLES[name].columns.index, columns)) for name, columns in _HOT_COLUMNS.items()}
_OF_ITEMS: Mapping[str, Callable[[Row], Any]] = {"work": rows.WORK.from_row, "task": rows.TASK.from_row}
_MORE = 4  # so many times as many rows are read when too many of them belong to tasks that others have


class PostgresTransaction:
    reads_together = True

    def __init__(
        self, execution: Execution, tenants: set[str], budgeted: set[str], bodies: BodyCodec, asked: AskedHeads
    ) -> None:
        """
        Args:
            tenants: that are known to have a row; the store keeps them.
            budgeted: those that are known to have a budget.
            asked: what earlier transactions asked of queues; the store keeps it, too.
        """
        self._asked, self._ahead, self._items = asked, HeadsAhead(), ItemsAhead()
        self._execution, self._bodies = execution, bodies
        self._locks = Locks(execution, budgeted)
        self._tenants = tenants
        self._last: _Writes = []  # saved, and written with the next statement that needs it
        self._leases_held: dict[str, int] = {}  # by bot, as of the last save
        self._stored: dict[Key, Row] = {}  # tasks and items as this transaction has read or saved them last
        self._key_limits: dict[str, int] = {}  # their versions, likewise
        self._children: dict[str, list[Edge]] = {}  # edges by the item they come from, as of the last save
        self.new_tenants: set[str] = set()
        self.told = Told()

    async def write(self) -> None:
        """Write what was saved last."""
        last, self._last = self._last, []
        with translated_errors():
            await self._execution.write(last)

    async def write_and_tell(self) -> tuple[str | None, int | None]:
        """Write what was saved last, and what the transaction tells, as its last statement.

        Returns:
            The id of the transaction, if it tells anything; and if it encrypts, how many data keys were erased.
        """
        if not self.told:
            await self.write()
            return None, None
        with translated_errors():
            return await self._execution.write_and_tell(self._last, self.told.row())

    # ---- loading -----------------------------------------------------------------------------------------------------

    async def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        needs = list(needs)
        if (came := self._items.take(needs)) is not None:
            self._stored.update(came)
            return {(kind, name): _OF_ITEMS[kind](row) for (kind, name), row in came.items()}
        await self.write()
        with translated_errors():
            locks = self._locks.first(needs)
            if locks is None and await self._locks.take(needs):
                raise RowsBusy(needs)
            # The time is asked for next. It comes with the locks; without any, with the rows.
            beside = locks or (("clock", {}) if self._locks.now is None else None)
            while True:
                loading = BulkLoading(self._execution, self._bodies, self._children)
                found = await loading.load(needs, beside)
                if beside is not None:
                    beside = None
                    if locks is None:
                        ((self._locks.now,),) = loading.beside
                    elif not self._locks.waited(loading.beside):
                        continue
                others = {task_lock(task): ("task", task) for task in _tasks_of(found)}
                others |= {self._locks.account_lock(tenant): ("tenant", tenant) for tenant in _budgeted(found)}
                others = {name: need for name, need in others.items() if not self._locks.has(name)}
                if not others:
                    for record in found.values():
                        if isinstance(record, Work):
                            self._locks.learn(record.id, record.task)
                        elif isinstance(record, LeaseRecord):
                            self._locks.learn(record.work, record.task)
                        elif isinstance(record, KeyLimit):
                            self._key_limits[record.id] = record.version
                    self._leases_held.update(loading.leases_held)
                    self._children.update(loading.children_ahead)
                    self._stored.update(loading.stored)
                    return found
                # A statement found them before they were locked: they may have changed meanwhile.
                if await self._locks.take_free(others):
                    raise RowsBusy([need for _, need in sorted(others.items())])

    async def now(self, engine: int) -> int:
        with translated_errors():
            if self._locks.now is None:
                self._locks.now = await self._execution.value("clock")
            return self._locks.now

    async def leases_held(self, bots: Sequence[str]) -> Mapping[str, int]:
        if not self._leases_held.keys() >= set(bots):
            await self.write()
            with translated_errors():
                found = await self._execution.fetch("leases_held", keys=to_json(list(bots)))
            self._leases_held |= dict.fromkeys(bots, 0) | {row[0]: row[1] for row in found}
        return {bot: held for bot in bots if (held := self._leases_held[bot])}

    # ---- pending work ------------------------------------------------------------------------------------------------

    async def levels(self, tenant: str, queues: Sequence[int]) -> list[tuple[int, int, int]]:
        lines = self._asked.guess(tenant, queues)
        levels = "ready_levels", {"tenant": tenant, "queues": to_json(list(queues))}
        await self.write()
        with translated_errors():
            found, *pages = await self._execution.fetch_together(
                [levels, *(first_entries(tenant, *line) for line in lines)]
            )
        for line, entries in zip(lines, self._taken(pages), strict=True):
            self._ahead.put(tenant, line, entries)
        return sorted(
            (queue, priority, since)
            for queue, *levels_of_queue in found
            for priority, since in enumerate(levels_of_queue)
            if since is not None
        )

    async def queue_entries(
        self,
        tenant: str,
        owner: str,
        queue: int,
        priority: int,
        limit: int,
        after: tuple[int, str] | None = None,
        *,
        by_age: bool = False,
    ) -> list[QueueEntry]:
        assert not (by_age and owner), "by age, entries cannot be filtered by owner"
        if after is None and not by_age and not owner:
            (found,) = await self.queue_heads(tenant, [(queue, priority, limit)])
            return found
        read = "ready_by_age" if by_age else "ready_heads_for" if owner else "ready_heads"
        position, work = after or (-1, "")
        asked: dict[str, Any] = {"queue": queue, "tenant": tenant, "priority": priority, "limit": limit}
        if owner:
            asked["owner"] = owner
        (found,) = await self._entries([(read, {**asked, "place": position, "work": work})])
        return found

    async def queue_heads(self, tenant: str, lines: Sequence[tuple[int, int, int]]) -> list[list[QueueEntry]]:
        for line in lines:
            self._asked.note(tenant, *line)
        ahead = {line: entries for line in lines if (entries := self._ahead.get(tenant, *line)) is not None}
        rest = [line for line in lines if line not in ahead]
        found = await self._entries([first_entries(tenant, *line) for line in rest]) if rest else []
        ahead.update(zip(rest, found, strict=True))
        return [ahead[line] for line in lines]

    async def _entries(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[list[QueueEntry]]:
        """Read only entries of tasks that this transaction has, or gets with this statement."""
        await self.write()
        with translated_errors():
            return self._taken(await self._execution.fetch_together(asked))

    def _taken(self, pages: Sequence[list[Any]]) -> list[list[QueueEntry]]:
        found = [self._items.put(page) for page in pages]
        entries = [entry for page in found for entry in page]
        self._locks.got({task_lock(entry.task) for entry in entries})
        for entry in entries:
            self._locks.learn(entry.work, entry.task)
        return found

    async def due(self, now: int, limit: int) -> list[Timer]:
        asked = limit
        await self.write()
        with translated_errors():
            while True:
                found = await self._execution.fetch("all_due", now=now, limit=asked)
                tasks = {row["task"] for row in found if row["task"] is not None}
                if await self._are_new(tasks):
                    continue  # their timers were read before they were locked
                own = [row for row in found if row["task"] is None or self._locks.has_task(row["task"])]
                if len(own) >= limit or len(found) < asked:
                    return [Timer(row["kind"], row["ref"], row["due"]) for row in own[:limit]]
                asked *= _MORE

    async def job_tenants(self) -> list[str]:
        await self.write()
        with translated_errors():
            return [row[0] for row in await self._execution.fetch("chore_tenants")]

    async def next_jobs(self, limit: int, after: str, tenant: str) -> list[BackgroundJob]:
        asked = limit
        await self.write()
        with translated_errors():
            while True:
                found: list[BackgroundJob] = []
                for name in ("chores_next", "chores_first"):
                    if len(found) < asked:
                        page = await self._execution.fetch(name, after=after, limit=asked - len(found), tenant=tenant)
                        found += map(rows.JOB.from_row, page)
                if await self._are_new({job.task for job in found}):
                    continue
                own = [job for job in found if self._locks.has_task(job.task)]
                if len(own) >= limit or len(found) < asked:
                    return own[:limit]
                asked *= _MORE

    async def _are_new(self, tasks: set[str]) -> bool:
        """Take the free locks of these tasks; return whether that gave any that this transaction had not."""
        new = {task for task in tasks if not self._locks.has_task(task)}
        await self._locks.take_free(map(task_lock, new))
        return any(map(self._locks.has_task, new))

    async def purge(self, now: int, limit: int) -> int:
        await self.write()
        with translated_errors():
            return await self._execution.execute("purge_idempotency", now=now, limit=limit)

    # ---- saving ------------------------------------------------------------------------------------------------------

    async def save(self, changes: Changes) -> None:
        await self.write()
        self._leases_held.clear()
        self._children.clear()
        self._ahead.clear()
        self._items.clear()
        gone: _Writes = []
        put: _Writes = []
        if changes.erased_keys:
            self._bodies.erase(changes.erased_keys)
            with translated_errors():
                await self._execution.run(erasing.save(changes))
        bodies = self._bodies.of(changes)
        if bodies.tasks_wanted:
            with translated_errors():
                found = await self._execution.fetch("tenants_of_tasks", keys=to_json(list(bodies.tasks_wanted)))
            bodies.learn({row[0]: row[1] for row in found})
        self._plans(changes, gone, put, bodies)
        self._leases(changes, gone, put)
        self._others(changes, gone, put, bodies)
        self.told.add(changes, bodies)
        put.append(("insert_data_key", bodies.new_keys()))
        if changes.leases_gone.keys().isdisjoint(changes.leases):
            # Nothing is deleted and written again: one statement does both.
            put += [write for write in gone if write[0] in _ALONE]
            gone = [write for write in gone if write[0] not in _ALONE]
        with translated_errors():
            # Deletions first: an item may have been released and leased again in the same batch.
            await self._execution.write(gone)
            self._last = put
            if any(getattr(changes, name) for name in _BESIDE):
                await self.write()
            if changes.tenant_budgets:
                budgets = [(budget and to_json(budget), name) for name, budget in changes.tenant_budgets.items()]
                await self._execution.write([("set_tenant_budget", budgets)])
            if changes.queues:
                await self._check_queues(changes.queues)
            if changes.legal_holds or changes.erased:
                await self._execution.run(retention.save(changes))
            if changes.operations:
                await self._execution.run(operations.save(changes))
            if changes.tile_hashes or changes.checkpoints or changes.sink_cursors:
                await self._execution.run(checkpoints.save(changes))
            if changes.secret_rows:
                await self._execution.run(secrets.save(changes))
            if changes.persons or changes.sessions:
                await self._execution.run(persons.save(changes))
            if changes.kills:
                await self._execution.run(kills.save(changes))

    def _plans(self, changes: Changes, gone: _Writes, put: _Writes, bodies: BodyRows) -> None:
        put.append(("insert_queue", list(map(rows.QUEUE.to_row, changes.queues))))
        payloads = [bodies.payload(name, payload) for name, payload in changes.payloads.items() if payload is not None]
        gone.append(("delete_payload", _absent(changes.payloads)))
        put.append(("put_payload", payloads))
        self._hot(rows.TASK, changes.tasks.values(), put)
        self._hot(rows.WORK, changes.works.values(), put)
        put.append(("insert_edge", list(map(rows.EDGE.to_row, changes.edges))))
        labels_gone, labels = saving.labels(changes)
        gone.append(("delete_task_label", labels_gone))
        put.append(("insert_task_label", labels))

    def _hot(self, kind: rows.RecordTable[Any], records: Iterable[Any], put: _Writes) -> None:
        """Save versioned records as `_versioned` does; but where only hot columns have changed, write only these."""
        name = kind.table.name
        hot, hot_row, position = rows.HOT[name], _HOT_ROWS[name], rows.VERSION[name]
        new: list[Row] = []
        changed: list[Row] = []
        hot_only: list[Row] = []
        for row in map(kind.to_row, records):
            stored = self._stored.get((name, row[0]))
            self._stored[name, row[0]] = row
            if row[position] == 1:
                new.append(row)
            elif stored is not None and hot.others(stored) == hot.others(row):
                hot_only.append(hot_row(row))
            else:
                changed.append(row)
        put.append((f"insert_{name}", new))
        put.append((f"update_{name}", sorted(changed, key=itemgetter(0))))  # in one order, as in `_versioned`
        put.append((f"update_{name}_hot", sorted(hot_only, key=_HOT_KEYS[name])))

    def _leases(self, changes: Changes, gone: _Writes, put: _Writes) -> None:
        gone.append(("delete_lease", [(work,) for work in changes.leases_gone]))
        _versioned(rows.LEASE, changes.leases.values(), put)
        gone.append(("delete_ready", _absent(changes.ready)))
        row_of = partial(rows.ready_row, changes.timers)
        put.append(("put_ready", [row_of(work, entry) for work, entry in changes.ready.items() if entry is not None]))
        self._timers(changes, gone, put)
        put.append(("insert_attempt", list(map(rows.ATTEMPT.to_row, changes.attempts))))

    def _timers(self, changes: Changes, gone: _Writes, put: _Writes) -> None:
        """Save timers. Those of leases and queue entries have no rows of their own."""
        cleared: list[Row] = []
        timers: list[Row] = []
        starts: list[Row] = []
        put_off: dict[str, list[Row]] = {name: [] for name in _PUT_OFF.values()}
        for (kind, ref), due in changes.timers.items():
            if kind in _PUT_OFF:
                if ref not in changes.leases and ref not in changes.leases_gone:
                    put_off[_PUT_OFF[kind]].append((_NEVER if due is None else due, ref))
            elif kind == rows.START:
                if ref not in changes.ready:
                    starts.append((due, ref))
            elif due is None:
                cleared.append((kind, ref))
            else:
                timers.append((kind, ref, due))
        gone.append(("delete_timer", cleared))
        put.append(("put_timer", timers))
        put.append(("set_start", starts))
        # Apart from each other, since no statement can change a row twice at once.
        gone.append(("put_off_expiry", put_off["put_off_expiry"]))
        put.append(("put_off_end", put_off["put_off_end"]))

    def _others(self, changes: Changes, gone: _Writes, put: _Writes, bodies: BodyRows) -> None:
        gone.append(("delete_bot", _absent(changes.bots)))
        _versioned(rows.BOT, _present(changes.bots), put)
        gone.append(("insert_tenant", [(tenant,) for tenant in sorted(self._unknown_tenants(changes))]))
        limits = [(tenant.weight, tenant.max_backlog, tenant.id) for tenant in changes.tenants.values()]
        put.append(("set_tenant", limits))
        _versioned(rows.API_KEY, changes.keys.values(), put)
        _versioned(rows.APPROVAL, changes.approvals.values(), put, bodies.approval)
        gone.append(("delete_chore", _absent(changes.jobs)))
        _versioned(rows.JOB, _present(changes.jobs), put)
        gone.append(("remove_key_limit", self._removed(changes.key_limits)))
        _versioned(rows.KEY_LIMIT, _present(changes.key_limits), put)
        gone.append(("delete_work_rate", _absent(changes.rates)))
        put.append(("put_work_rate", list(map(rows.WORK_RATE.to_row, _present(changes.rates)))))
        gone.append(("delete_cooldown", _absent(changes.cooldowns)))
        put.append(("put_cooldown", list(map(rows.COOLDOWN.to_row, _present(changes.cooldowns)))))
        put.append(("put_key_use", list(changes.key_uses.items())))
        put.append(("insert_late_result", list(map(rows.LATE_RESULT.to_row, changes.late_results))))
        put.append(("insert_feedback", list(map(bodies.feedback, changes.feedback))))
        put.append(("insert_answered", list(map(bodies.answered, changes.answered))))
        put.append(("insert_message", list(map(rows.MESSAGE.to_row, changes.messages))))
        put.append(("put_idempotency", list(map(rows.IDEMPOTENCY.to_row, changes.idempotency))))

    def _removed(self, limits: Mapping[str, KeyLimit | None]) -> list[Row]:
        """Return the keys to remove, each with the version after the stored one: others may count on it meanwhile."""
        removed: list[Row] = []
        for name, limit in limits.items():
            stored = self._key_limits.pop(name, None)
            if limit is not None:
                self._key_limits[name] = limit.version
            elif stored is not None:
                removed.append((name, stored + 1))
        return removed

    def _unknown_tenants(self, changes: Changes) -> set[str]:
        """Return tenants that may have no row yet; the sequencer counts in it."""
        named = {key.tenant for key in changes.keys.values()}
        named |= changes.opened.keys() | changes.opened_subtasks.keys() | changes.stored.keys()
        new = named - self._tenants - self.new_tenants
        self.new_tenants |= new
        return new

    async def _check_queues(self, queues: Sequence[Queue]) -> None:
        """Check new queues. Another writer may have inserted the same ones, since their ids follow from their meaning.

        Raises:
            QueueIdTaken: the id means another queue.
            StaleVersion: the queue exists with another id.
        """
        for queue in queues:
            found = await self._execution.fetch("queue_by_id", id=queue.id)
            if not found:
                raise StaleVersion(f"{queue} exists already with another id")
            if rows.QUEUE.from_row(found[0]) != queue:
                raise QueueIdTaken(queue, rows.QUEUE.from_row(found[0]))


def _tasks_of(found: Mapping[Key, Any]) -> set[str]:
    """Return the tasks to which loaded records belong."""
    tasks: set[str] = set()
    for (kind, _), record in found.items():
        if isinstance(record, TaskRecord):
            tasks.add(record.id)
        elif isinstance(record, (Work, LeaseRecord)) or (kind == "approval" and record is not None):
            tasks.add(record.task)
    return tasks


def _budgeted(found: Mapping[Key, Any]) -> list[str]:
    return [record.id for record in found.values() if isinstance(record, Tenant) and record.budget is not None]


def _absent(records: Mapping[str, Any]) -> list[Row]:
    return [(name,) for name, record in records.items() if record is None]


def _present(records: Mapping[str, Any]) -> list[Any]:
    return [record for record in records.values() if record is not None]


def _versioned(
    kind: rows.RecordTable[Any],
    records: Iterable[Any],
    put: _Writes,
    to_row: Callable[[Any], Row] | None = None,
) -> None:
    """Insert records of version 1, and update the others from the version before."""
    name = kind.table.name
    position = rows.VERSION[name]
    many = list(map(to_row or kind.to_row, records))
    put.append((f"insert_{name}", [row for row in many if row[position] == 1]))
    # Rows are locked in this order: with one order for all writers, no two wait for each other.
    put.append((f"update_{name}", sorted((row for row in many if row[position] != 1), key=lambda row: row[0])))
