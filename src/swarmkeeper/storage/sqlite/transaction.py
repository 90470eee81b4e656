"""A SQLite transaction: the engine's loads and saves. They run in the engine's thread; the store commits (store.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import apsw

from swarmkeeper.core.model import AuditLeaf, BackgroundJob, Queue, QueueEntry, Timer
from swarmkeeper.core.ports import Changes, Key, StaleVersion
from swarmkeeper.core.rules import tree
from swarmkeeper.core.rules.match import QueueIdTaken
from swarmkeeper.storage import checkpoints, kills, operations, persons, retention, rows, secrets
from swarmkeeper.storage.at_rest import erasing
from swarmkeeper.storage.at_rest.bodies import BodyCodec, BodyRows
from swarmkeeper.storage.derived import saving
from swarmkeeper.storage.sqlite.kept_rows import LEASE_TIMES, KeptRows, LeaseTimers
from swarmkeeper.storage.sqlite.loading import QUERIES, Loading, run


class SqliteTransaction:
    reads_together = False

    def __init__(self, connection: apsw.Connection, kept: KeptRows, bodies: BodyCodec) -> None:
        self._of_store: apsw.Connection | None = connection
        self._kept, self._bodies = kept, bodies

    @property
    def _connection(self) -> apsw.Connection:
        assert self._of_store is not None, "this transaction has ended"
        return self._of_store

    def end(self) -> None:
        self._of_store = None

    async def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        return Loading(self._connection, self._kept, self._bodies).load(needs)

    async def now(self, engine: int) -> int:
        return engine

    async def leases_held(self, bots: Sequence[str]) -> Mapping[str, int]:
        found: Iterable[Any] = self._connection.execute(QUERIES["leases_held"], {"keys": rows.to_json(list(bots))})
        return dict(found)

    async def levels(self, tenant: str, queues: Sequence[int]) -> list[tuple[int, int, int]]:
        wanted = {"tenant": tenant, "queues": rows.to_json(list(queues))}
        found = self._connection.execute(QUERIES["ready_levels"], wanted)
        return sorted(
            (queue, priority, since)
            for queue, *levels in found
            for priority, since in enumerate(levels)
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
        position, work = after or (-1, "")
        wanted: dict[str, Any] = {"queue": queue, "tenant": tenant, "priority": priority, "limit": limit}
        wanted |= {"place": position, "work": work}
        if owner:
            wanted["owner"] = owner
        read = "ready_by_age" if by_age else "ready_heads_for" if owner else "ready_heads"
        found = self._connection.execute(QUERIES[read], wanted)
        return list(map(rows.READY.from_row, found))

    async def queue_heads(self, tenant: str, lines: Sequence[tuple[int, int, int]]) -> list[list[QueueEntry]]:
        return [await self.queue_entries(tenant, "", *line) for line in lines]

    async def due(self, now: int, limit: int) -> list[Timer]:
        execute, asked = self._connection.execute, {"now": now, "limit": limit}
        found: list[Any] = self._lease_timers().due(now, limit)
        found += execute(QUERIES["timers_due"], asked)
        found += execute(QUERIES["starts_due"], {**asked, "kind": rows.START})
        return [Timer(kind, ref, due) for due, kind, ref in sorted(found)[:limit]]

    async def job_tenants(self) -> list[str]:
        return [row[0] for row in self._connection.execute(QUERIES["chore_tenants"])]

    async def next_jobs(self, limit: int, after: str, tenant: str) -> list[BackgroundJob]:
        found: list[BackgroundJob] = []
        for name in ("chores_next", "chores_first"):
            if len(found) < limit:
                wanted = {"after": after, "limit": limit - len(found), "tenant": tenant}
                found += map(rows.JOB.from_row, self._connection.execute(QUERIES[name], wanted))
        return found

    async def purge(self, now: int, limit: int) -> int:
        self._connection.execute(QUERIES["purge_idempotency"], {"now": now, "limit": limit})
        return self._connection.changes()

    async def save(self, changes: Changes) -> None:
        bodies = self._body_rows(changes)
        # Most batches change only tasks, items and leases: each check here saves a call, and they are many.
        self._save_plans(changes, bodies)
        if changes.leases or changes.leases_gone or changes.ready or changes.timers or changes.attempts:
            self._save_leases(changes)
        if changes.bots or changes.keys or changes.tenants or changes.approvals or changes.jobs:
            self._save_others(changes, bodies)
        if changes.key_limits or changes.cooldowns or changes.rates:
            self._put_versioned("delete_key_limit", rows.KEY_LIMIT, changes.key_limits)
            self._put("put_work_rate", "delete_work_rate", changes.rates, lambda _, row: rows.WORK_RATE.to_row(row))
            self._put("put_cooldown", "delete_cooldown", changes.cooldowns, lambda _, row: rows.COOLDOWN.to_row(row))
        if changes.key_uses:
            self._insert("put_key_use", list(changes.key_uses.items()))
        self._save_counts(changes)
        for name, records, to_row in (
            ("insert_late_result", changes.late_results, rows.LATE_RESULT.to_row),
            ("insert_feedback", changes.feedback, bodies.feedback),
            ("insert_answered", changes.answered, bodies.answered),
            ("insert_message", changes.messages, rows.MESSAGE.to_row),
            ("put_idempotency", changes.idempotency, rows.IDEMPOTENCY.to_row),
        ):
            if records:
                self._insert(name, records, to_row)
        if changes.events:
            self._insert("insert_event", changes.events, bodies.event)
        if changes.leaves:
            self._place(changes.leaves, bodies)
        self._save_tallies(changes)
        if changes.alive_at is not None:
            self._insert("put_meta", [("alive_at", changes.alive_at)])
        self._insert("insert_data_key", bodies.new_keys())
        self._kept.saved(changes)
        if changes.legal_holds or changes.erased:
            self._kept.erased(changes.erased, run(self._connection.execute, retention.save(changes)))
        if changes.tile_hashes or changes.checkpoints or changes.sink_cursors:
            run(self._connection.execute, checkpoints.save(changes))
        if changes.secret_rows or changes.kills or changes.persons or changes.sessions or changes.operations:
            for others in (operations, secrets, kills, persons):
                run(self._connection.execute, others.save(changes))

    def _body_rows(self, changes: Changes) -> BodyRows:
        if changes.erased_keys:
            self._bodies.erase(changes.erased_keys)
            self._kept.clear()
            run(self._connection.execute, erasing.save(changes))
        bodies = self._bodies.of(changes)
        if bodies.tasks_wanted:
            wanted = {"keys": rows.to_json(list(bodies.tasks_wanted))}
            bodies.learn(dict(self._connection.execute(QUERIES["tenants_of_tasks"], wanted)))
        return bodies

    def _place(self, leaves: Iterable[AuditLeaf], bodies: BodyRows) -> None:
        """Append audit records to the trees of their tenants."""
        tenants = {leaf.tenant: None for leaf in leaves}
        found = Loading(self._connection, self._kept, self._bodies).load([("tree", tenant) for tenant in tenants])
        placed, trees = tree.place({tenant: found["tree", tenant] for tenant in tenants}, leaves)
        self._insert("insert_audit_leaf", placed, bodies.leaf)
        self._insert("put_tree", trees.values(), rows.AUDIT_TREE.to_row)
        self._kept.put_all("tree", trees)

    def _save_plans(self, changes: Changes, bodies: BodyRows) -> None:
        if changes.queues:
            self._add_queues(changes.queues)
        if changes.payloads:
            self._put("put_payload", "delete_payload", changes.payloads, bodies.payload)
        if changes.tasks:
            self._versioned(rows.TASK, changes.tasks.values())
        if changes.tasks or changes.marks:
            for name, labels in zip(("delete_task_label", "insert_task_label"), saving.labels(changes), strict=True):
                self._insert(name, labels)
        if changes.works:
            self._versioned(rows.WORK, changes.works.values())
        if changes.edges:
            self._insert("insert_edge", changes.edges, rows.EDGE.to_row)

    def _save_tallies(self, changes: Changes) -> None:
        if changes.task_counts or changes.label_counts or changes.costs:
            given, folded = saving.given(changes), self._kept.folded
            run(self._connection.execute, folded.before(given[2]))
            for name, counts in saving.writes_of(*given, folded.late(given[2])):
                self._insert(name, counts)

    def _save_leases(self, changes: Changes) -> None:
        # Deletions first: an item may have been released and leased again in the same batch.
        if changes.leases_gone:
            self._insert("delete_lease", [(work,) for work in changes.leases_gone])
        if changes.leases:
            self._versioned(rows.LEASE, changes.leases.values())
        if changes.ready:
            self._put("put_ready", "delete_ready", changes.ready, partial(rows.ready_row, changes.timers))
        if changes.timers:
            self._timers(changes)
        if changes.attempts:
            self._insert("insert_attempt", changes.attempts, rows.ATTEMPT.to_row)

    def _save_counts(self, changes: Changes) -> None:
        for name, budget in changes.tenant_budgets.items():
            self._insert("set_tenant_budget", [(budget and rows.to_json(budget), name)])
        if counted := changes.opened.keys() | changes.opened_subtasks.keys() | changes.stored.keys():
            counts = (changes.opened, changes.opened_subtasks, changes.stored)
            self._insert("count_opened", [(id_, *(count.get(id_, 0) for count in counts)) for id_ in sorted(counted)])

    def _save_others(self, changes: Changes, bodies: BodyRows) -> None:
        self._put_versioned("delete_bot", rows.BOT, changes.bots)
        self._insert("insert_tenant", [(tenant,) for tenant in {key.tenant: None for key in changes.keys.values()}])
        self._insert(
            "set_tenant", [(tenant.weight, tenant.max_backlog, tenant.id) for tenant in changes.tenants.values()]
        )
        self._versioned(rows.API_KEY, changes.keys.values())
        self._versioned(rows.APPROVAL, changes.approvals.values(), bodies.approval)
        self._put_versioned("delete_chore", rows.JOB, changes.jobs)

    def _put_versioned(self, delete: str, kind: rows.RecordTable[Any], records: Mapping[str, Any]) -> None:
        self._insert(delete, [(name,) for name, record in records.items() if record is None])
        self._versioned(kind, [record for record in records.values() if record is not None])

    def _add_queues(self, queues: Sequence[Queue]) -> None:
        """Insert new queues. Another writer may have inserted the same ones, since their ids follow from their meaning.

        Raises:
            QueueIdTaken: the id means another queue.
            StaleVersion: the queue exists with another id.
        """
        self._insert("insert_queue", queues, rows.QUEUE.to_row)
        for queue in queues:
            row = self._connection.execute(QUERIES["queue_by_id"], {"id": queue.id}).fetchone()
            if row is None:
                raise StaleVersion(f"{queue} exists already with another id")
            if rows.QUEUE.from_row(row) != queue:
                raise QueueIdTaken(queue, rows.QUEUE.from_row(row))

    def _insert(self, name: str, records: Collection[Any], row: Callable[[Any], rows.Row] | None = None) -> None:
        if not records:  # an empty call costs SQLite as much as a row, and most are empty
            return
        try:
            self._connection.executemany(QUERIES[name], records if row is None else map(row, records))
        except apsw.ConstraintError as error:
            # Two writers inserted the same record: the second is stale. Any other violation is a bug.
            if name in _ONCE and getattr(error, "extendedresult", None) in _DUPLICATE_KEY:
                raise StaleVersion(f"{name}: the record exists already") from error
            raise

    def _put(self, put: str, delete: str, records: Mapping[str, Any], row: Callable[[str, Any], rows.Row]) -> None:
        """Put the records, and delete those that are None."""
        if records:
            self._insert(delete, [(name,) for name, record in records.items() if record is None])
            self._insert(put, [row(name, record) for name, record in records.items() if record is not None])

    def _timers(self, changes: Changes) -> None:
        """Save timers. Those of leases and queue entries have no rows of their own."""
        gone: list[tuple[str, str]] = []
        put: list[tuple[str, str, int]] = []
        starts: list[tuple[int | None, str]] = []
        of_leases: list[tuple[str, str]] = []
        for name, due in changes.timers.items():
            kind, ref = name
            if kind in LEASE_TIMES:
                of_leases.append(name)
            elif kind == rows.START:
                if ref not in changes.ready:
                    starts.append((due, ref))
            elif due is None:
                gone.append(name)
            else:
                put.append((kind, ref, due))
        if of_leases:
            self._lease_timers().saved(changes, of_leases)
        self._insert("set_start", starts)
        self._insert("delete_timer", gone)
        self._insert("put_timer", put)

    def _lease_timers(self) -> LeaseTimers:
        timers = self._kept.lease_timers
        if timers.outdated:
            timers.load(self._connection.execute(QUERIES["lease_times"]))
        return timers

    def _versioned(
        self,
        kind: rows.RecordTable[Any],
        records: Iterable[Any],
        to_row: Callable[[Any], rows.Row] | None = None,
    ) -> None:
        """Insert records of version 1, and update the others from the version before."""
        table = kind.table.name
        new: list[rows.Row] = []
        changed: list[rows.Row] = []
        hot_only: list[rows.Row] = []  # only hot columns have changed
        version, hot, kept = rows.VERSION[table], rows.HOT.get(table), self._kept
        for row in map(to_row or kind.to_row, records):
            if row[version] == 1:
                new.append(row)
            elif hot is not None and (stored := kept.stored(row[0])) and hot.others(stored) == hot.others(row):
                hot_only.append(row[: hot.width])
            else:
                changed.append(row)
            if hot is not None:
                kept.put_stored(row)
        if new:
            self._insert(f"insert_{table}", new)
        if changed:
            self._update(f"update_{table}", changed)
        if hot_only:
            self._update(f"update_{table}_hot", hot_only)

    def _update(self, name: str, updates: Sequence[rows.Row]) -> None:
        connection = self._connection
        before = connection.total_changes()
        connection.executemany(QUERIES[name], updates)
        if connection.total_changes() - before != len(updates):
            raise StaleVersion(f"{name}: a row is not at the previous version")


_DUPLICATE_KEY = (apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_UNIQUE)
# Inserts that fail if two writers make the same record at the same time.
_ONCE = frozenset(
    {"insert_attempt"} | {f"insert_{name}" for name, table in rows.TABLES.items() if "version" in table.columns}
)
