"""A SQLite transaction: the engine's loads and saves. They run in the engine's thread; the store commits (store.py)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import apsw

from swarmkeeper.core.lookups import KEY_LINE_READ, LIGHT_PAYLOAD_BYTES
from swarmkeeper.core.model import BackgroundJob, Edge, LeaseRecord, Queue, QueueEntry, Timer
from swarmkeeper.core.ports import Changes, Key, StaleVersion
from swarmkeeper.core.rules.match import QueueIdTaken
from swarmkeeper.core.states import FINAL, Kind, Status
from swarmkeeper.storage.sqlite import rows
from swarmkeeper.storage.sqlite.kept_rows import ABSENT, LEASE_TIMES, KeptRows, LeaseTimers
from swarmkeeper.storage.sqlite.statements import read

QUERIES: Mapping[str, str] = {**read("queries.sql", rows.TABLES), **read("limits.sql", rows.TABLES)}

_FINAL = rows.to_json(sorted(FINAL))
_Keys = Iterable[Any]
_child = attrgetter("child")


class SqliteTransaction:
    def __init__(self, connection: apsw.Connection, kept: KeptRows) -> None:
        self._connection = connection
        self._open = True
        self._kept = kept

    def end(self) -> None:
        self._open = False

    async def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        assert self._open, "this transaction has ended"
        return _Loading(self._connection, self._kept).load(needs)

    async def levels(self, tenant: str, queues: Sequence[int]) -> list[tuple[int, int, int]]:
        assert self._open, "this transaction has ended"
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
        assert self._open, "this transaction has ended"
        assert not (by_age and owner), "by age, entries cannot be filtered by owner"
        position, work = after or (-1, "")
        wanted: dict[str, Any] = {"queue": queue, "tenant": tenant, "priority": priority, "limit": limit}
        wanted |= {"place": position, "work": work}
        if owner:
            wanted["owner"] = owner
        read = "ready_by_age" if by_age else "ready_heads_for" if owner else "ready_heads"
        found = self._connection.execute(QUERIES[read], wanted)
        return list(map(rows.READY.from_row, found))

    async def due(self, now: int, limit: int) -> list[Timer]:
        assert self._open, "this transaction has ended"
        execute, asked = self._connection.execute, {"now": now, "limit": limit}
        found: list[Any] = self._lease_timers().due(now, limit)
        found += execute(QUERIES["timers_due"], asked)
        found += execute(QUERIES["starts_due"], {**asked, "kind": rows.START})
        return [Timer(kind, ref, due) for due, kind, ref in sorted(found)[:limit]]

    async def job_tenants(self) -> list[str]:
        assert self._open, "this transaction has ended"
        return [row[0] for row in self._connection.execute(QUERIES["chore_tenants"])]

    async def next_jobs(self, limit: int, after: str, tenant: str) -> list[BackgroundJob]:
        assert self._open, "this transaction has ended"
        found: list[BackgroundJob] = []
        for name in ("chores_next", "chores_first"):
            if len(found) < limit:
                wanted = {"after": after, "limit": limit - len(found), "tenant": tenant}
                found += map(rows.JOB.from_row, self._connection.execute(QUERIES[name], wanted))
        return found

    async def purge(self, now: int, limit: int) -> int:
        assert self._open, "this transaction has ended"
        self._connection.execute(QUERIES["purge_idempotency"], {"now": now, "limit": limit})
        return self._connection.changes()

    async def save(self, changes: Changes) -> int:
        assert self._open, "this transaction has ended"
        # Most batches change only tasks, items and leases: each check here saves a call, and they are many.
        self._save_plans(changes)
        if changes.leases or changes.leases_gone or changes.ready or changes.timers or changes.attempts:
            self._save_leases(changes)
        if changes.bots or changes.keys or changes.tenants or changes.approvals or changes.jobs:
            self._save_others(changes)
        if changes.key_limits or changes.cooldowns or changes.rates:
            self._put_versioned("delete_key_limit", rows.KEY_LIMIT, changes.key_limits)
            self._put("put_work_rate", "delete_work_rate", changes.rates, lambda _, row: rows.WORK_RATE.to_row(row))
            self._put("put_cooldown", "delete_cooldown", changes.cooldowns, lambda _, row: rows.COOLDOWN.to_row(row))
        counted = changes.opened.keys() | changes.opened_subtasks.keys() | changes.stored.keys()
        for name, budget in changes.tenant_budgets.items():
            self._insert("set_tenant_budget", [(budget and rows.to_json(budget), name)])
        if counted:
            counts = (changes.opened, changes.opened_subtasks, changes.stored)
            self._insert("count_opened", [(id_, *(count.get(id_, 0) for count in counts)) for id_ in sorted(counted)])
        for name, records, to_row in (
            ("insert_late_result", changes.late_results, rows.LATE_RESULT.to_row),
            ("insert_feedback", changes.feedback, rows.FEEDBACK.to_row),
            ("insert_answered", changes.answered, rows.ANSWERED.to_row),
            ("insert_message", changes.messages, rows.MESSAGE.to_row),
            ("put_idempotency", changes.idempotency, rows.IDEMPOTENCY.to_row),
        ):
            if records:
                self._insert(name, records, to_row)
        last: int | None = None
        if changes.events:
            self._insert("insert_event", changes.events, rows.EVENT.to_row)
            last = self._connection.last_insert_rowid()
        if changes.leaves:
            self._insert("insert_audit_leaf", changes.leaves, rows.AUDIT_LEAF.to_row)
        if changes.trees:
            self._insert("put_tree", changes.trees.values(), rows.AUDIT_TREE.to_row)
        if changes.alive_at is not None:
            self._insert("put_meta", [("alive_at", changes.alive_at)])
        self._kept.saved(changes)
        return self._connection.execute(QUERIES["last_event"]).get if last is None else last

    def _save_plans(self, changes: Changes) -> None:
        if changes.queues:
            self._add_queues(changes.queues)
        if changes.payloads:
            self._put("put_payload", "delete_payload", changes.payloads, lambda name, payload: (name, *payload))
        if changes.tasks:
            self._versioned(rows.TASK, changes.tasks.values())
        if changes.works:
            self._versioned(rows.WORK, changes.works.values())
        if changes.edges:
            self._insert("insert_edge", changes.edges, rows.EDGE.to_row)

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

    def _save_others(self, changes: Changes) -> None:
        self._put_versioned("delete_bot", rows.BOT, changes.bots)
        self._insert("insert_tenant", [(tenant,) for tenant in {key.tenant: None for key in changes.keys.values()}])
        self._insert(
            "set_tenant", [(tenant.weight, tenant.max_backlog, tenant.id) for tenant in changes.tenants.values()]
        )
        self._versioned(rows.API_KEY, changes.keys.values())
        self._versioned(rows.APPROVAL, changes.approvals.values())
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

    def _versioned(self, kind: rows.RecordTable[Any], records: Iterable[Any]) -> None:
        """Insert records of version 1, and update the others from the version before."""
        table = kind.table.name
        new: list[rows.Row] = []
        changed: list[rows.Row] = []
        hot_only: list[rows.Row] = []  # only hot columns have changed
        version, hot, kept = rows.VERSION[table], rows.HOT.get(table), self._kept
        for row in map(kind.to_row, records):
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


class _Loading:
    """One call of `load`: first the needs that add other rows, then those rows. Each statement runs once for all."""

    def __init__(self, connection: apsw.Connection, kept: KeptRows) -> None:
        self._execute = connection.execute
        self._kept = kept
        self._found: dict[Key, Any] = {}
        self._wanted: dict[str, dict[Any, None]] = {}

    def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        found, wanted_of, kept_row = self._found, self._wanted, self._kept.get
        for need in needs:
            kind, key = need
            if kind in _KEPT and (kept := kept_row(need)) is not ABSENT:
                found[need] = kept
            else:
                wanted_of.setdefault(kind, {})[key] = None
        if not self._wanted:  # all are kept
            return found
        for kind, find in _GATHER.items():
            if kind in self._wanted:
                find(self, self._wanted[kind])
        for kind, (statement, record, column) in _BY_KEY.items():
            wanted = self._wanted.get(kind)
            keys = [key for key in wanted if (kind, key) not in found] if wanted else None
            if keys:
                for key in keys:
                    found[kind, key] = None
                for row in self._for_keys(statement, keys):
                    found[kind, row[column]] = record(row)
                    if kind in rows.HOT:
                        self._kept.put_stored(row)
                if kind in _KEPT:
                    for key in keys:
                        if found[kind, key] is not None or kind == "lease":
                            self._kept.put_measured((kind, key), found[kind, key])
        unknown = self._wanted.keys() - _GATHER.keys() - _BY_KEY.keys()
        assert not unknown, f"unknown kinds to load: {', '.join(sorted(unknown))}"
        return self._found

    def _want(self, kind: str, key: Any) -> None:
        if kind in _KEPT and (row := self._kept.get((kind, key))) is not ABSENT:
            self._found[kind, key] = row
        else:
            self._wanted.setdefault(kind, {})[key] = None

    def _for_keys(self, statement: str, keys: _Keys, **parameters: Any) -> apsw.Cursor:
        return self._execute(QUERIES[statement], {"keys": rows.to_json(list(keys)), **parameters})

    def _ids(self, statement: str, **parameters: Any) -> list[str]:
        return [row[0] for row in self._execute(QUERIES[statement], parameters)]

    def _want_works(self, works: Iterable[str], *, leases: bool = False) -> None:
        for work in works:
            self._want("work", work)
            if leases:
                self._want("lease", work)

    def lease_id(self, keys: _Keys) -> None:
        found, ended = self._found, self._wanted.get("attempt", {})
        unknown = [key for key in keys if not self._is_kept_lease(key)]
        for key in unknown:
            found["lease_id", key] = None
        for row in self._for_keys("load_lease_id", unknown) if unknown else ():
            lease = rows.LEASE.from_row(row[:_LEASE_END])
            found["lease_id", lease.lease_id] = lease.work
            self._keep("lease", lease.work, lease)
            self._kept.put(("lease_id", lease.lease_id), lease.work)
            self._keep_hot("work", rows.WORK, row[_LEASE_END:_WORK_END])
            self._keep_hot("task", rows.TASK, row[_WORK_END:-1])
            if row[-1]:
                self._want("jobs", lease.task)
            else:
                self._keep("jobs", lease.task, [])
        for key in keys:
            if key in ended and found["lease_id", key] is not None:  # an attempt is written when its lease ends
                found["attempt", key] = None

    def _is_kept_lease(self, lease_id: str) -> bool:
        """Whether a live lease is kept with its item and task; then they are found."""
        work_id = self._kept.get(("lease_id", lease_id))
        lease = self._kept.get(("lease", work_id)) if isinstance(work_id, str) else None
        if not isinstance(lease, LeaseRecord) or lease.lease_id != lease_id:
            return False
        keys = (("work", lease.work), ("task", lease.task))
        kept = [self._kept.get(key) for key in keys]
        if ABSENT in kept:
            return False
        self._found.update(zip(keys, kept, strict=True))
        self._found["lease_id", lease_id], self._found["lease", lease.work] = lease.work, lease
        self._want("jobs", lease.task)
        return True

    def _keep(self, kind: str, key: Any, row: Any) -> None:
        """Note a row that was read, unless it is kept already: within a transaction a row stays the same object."""
        kept = self._kept.get((kind, key))
        if kept is ABSENT:
            self._kept.put_measured((kind, key), row)
            kept = row
        self._found[kind, key] = kept

    def _keep_hot(self, kind: str, table: rows.RecordTable[Any], row: rows.Row) -> None:
        kept = self._kept.get((kind, row[0]))
        if kept is ABSENT:
            kept = table.from_row(row)
            self._kept.put_measured((kind, row[0]), kept)
            self._kept.put_stored(row)
        self._found[kind, row[0]] = kept

    def work_key(self, keys: _Keys) -> None:
        for key in keys:
            self._found["work_key", key] = None
        for task, key, work in self._for_keys("works_by_key", keys):
            self._found["work_key", (task, key)] = work

    def claim(self, keys: _Keys) -> None:
        for key in keys:
            self._found["claim", key] = []
        for bot, claim_id, work in self._for_keys("works_of_claims", keys):
            self._found["claim", (bot, claim_id)].append(work)
            self._want("lease", work)

    def grants(self, keys: _Keys) -> None:
        for key in keys:
            bot, task = key
            ended = self._execute(QUERIES["ended_of_bot_on_task"], {"task": task, "bot": bot}).get
            self._found["grants", key] = (ended, self._ids("works_of_bot_on_task", bot=bot, task=task))

    def children(self, keys: _Keys) -> None:
        found = self._found
        first: dict[int, list[str]] = {}  # by page size
        for key in keys:
            work, after, n = key
            kept = self._kept.get(("children", work))
            if after or kept is not ABSENT:
                if kept is not ABSENT:
                    begin = bisect_right(kept, after, key=_child)
                    edges = kept[begin : begin + n]
                else:
                    edges = self._edges("edges_from", work=work, after=after, n=n)
                found["children", key] = edges
                self._want_works(edge.child for edge in edges)
            else:
                found["children", key] = []
                first.setdefault(n, []).append(work)
        for n, works in first.items():
            for row in self._for_keys("edges_from_each", works, n=n):
                edge = rows.EDGE.from_row(row[:_EDGE_END])
                found["children", (edge.parent, "", n)].append(edge)
                self._keep_hot("work", rows.WORK, row[_EDGE_END:])
            for work in works:
                edges = found["children", (work, "", n)]
                if len(edges) < n:  # these are all
                    self._kept.put_measured(("children", work), edges)

    def parents(self, keys: _Keys) -> None:
        for key in keys:
            edges = self._kept.get(("parents", key))
            if edges is ABSENT:
                edges = self._edges("edges_into", work=key)
                self._kept.put_measured(("parents", key), edges)
            self._found["parents", key] = edges
            self._want_works(edge.parent for edge in edges)

    def graph(self, keys: _Keys) -> None:
        for key in keys:
            works = self._ids("works_of_task", task=key, kind=Kind.EXECUTE)
            self._found["graph", key] = (works, self._edges("edges_of_task", task=key))
            self._want_works(works)

    def plan_items(self, keys: _Keys) -> None:
        for key in keys:
            works = self._kept.get(("plan_items", key))
            if works is ABSENT:
                works = self._ids("works_of_plan", task=key, kind=Kind.EXECUTE)
                self._kept.put_measured(("plan_items", key), works)
            self._found["plan_items", key] = works
            self._want_works(works)

    def light_payload(self, keys: _Keys) -> None:
        found = self._found
        missing = []
        for key in keys:
            body = self._kept.get(("payload", key))
            if body is ABSENT:
                missing.append(key)
                body = None
            found["light_payload", key] = body
        if missing:
            for key, body in self._for_keys("load_light_payload", missing, bytes=LIGHT_PAYLOAD_BYTES):
                found["light_payload", key] = body
                self._kept.put_payload(key, body)

    def _put_works(self, need: Key, works: list[str], *, leases: bool = False) -> None:
        self._found[need] = works
        self._want_works(works, leases=leases)

    def open_works(self, keys: _Keys) -> None:
        for task, after, n in keys:
            works = self._ids("works_open", task=task, after=after, n=n, final=_FINAL)
            self._put_works(("open_works", (task, after, n)), works, leases=True)

    def held_works(self, keys: _Keys) -> None:
        for task, after, n in keys:
            works = self._ids("works_in", task=task, after=after, n=n, status=Status.READY)
            self._put_works(("held_works", (task, after, n)), works)

    def key_line(self, keys: _Keys) -> None:
        for line, queue in keys:
            works = self._ids("works_in_line", line=line, queue=queue, n=KEY_LINE_READ)
            self._put_works(("key_line", (line, queue)), works)

    def bot_name(self, keys: _Keys) -> None:
        for tenant, name, instance in keys:
            found = self._ids("bot_by_name", tenant=tenant, name=name, instance=instance)
            self._found["bot_name", (tenant, name, instance)] = found[0] if found else None

    def leases_of_bot(self, keys: _Keys) -> None:
        for key in keys:
            found: list[tuple[Any, ...]] = self._execute(QUERIES["works_of_bot"], {"bot": key}).fetchall()
            self._found["leases_of_bot", key] = [work for work, _ in found]
            self._want_works((work for work, _ in found), leases=True)
            for _, task in found:
                self._want("task", task)

    def bots_of_key(self, keys: _Keys) -> None:
        self._found |= {("bots_of_key", key): self._ids("bots_of_key", key=key) for key in keys}

    def keys_of_bot(self, keys: _Keys) -> None:
        self._found |= {("keys_of_bot", key): self._ids("keys_of_bot", tenant=key[0], bot=key[1]) for key in keys}

    def bots_called(self, keys: _Keys) -> None:
        self._found |= {
            ("bots_called", key): bool(self._ids("bots_called", tenant=key[0], called=key[1])) for key in keys
        }

    def speakers(self, keys: _Keys) -> None:
        for tenant, name, key_id, task in keys:
            works = self._ids("works_of_speaker", tenant=tenant, name=name, key=key_id, task=task)
            self._put_works(("speakers", (tenant, name, key_id, task)), works, leases=True)

    def messages(self, keys: _Keys) -> None:
        self._found |= {
            ("messages", key): self._execute(QUERIES["messages_of_task"], {"task": key}).get for key in keys
        }

    def approvals(self, keys: _Keys) -> None:
        self._found |= {("approvals", key): self._ids("approvals_of_task", task=key, state="open") for key in keys}

    def jobs(self, keys: _Keys) -> None:
        for key in keys:
            self._found["jobs", key] = []
        for row in self._for_keys("chores_of_tasks", keys):
            job = rows.JOB.from_row(row)
            self._found["jobs", job.task].append(job)
        for key in keys:
            if not self._found["jobs", key]:
                self._kept.put(("jobs", key), self._found["jobs", key])

    def late(self, keys: _Keys) -> None:
        found = {key: self._execute(QUERIES["late_of_work"], {"work": key}).fetchall() for key in keys}
        self._found |= {("late", key): (len(late), late) for key, late in found.items()}

    def idempotency(self, keys: _Keys) -> None:
        for tenant, key in keys:
            found = self._execute(QUERIES["load_idempotency"], {"tenant": tenant, "key": key}).fetchone()
            self._found["idempotency", (tenant, key)] = None if found is None else rows.IDEMPOTENCY.from_row(found)

    def _edges(self, statement: str, **parameters: Any) -> list[Edge]:
        return [rows.EDGE.from_row(row) for row in self._execute(QUERIES[statement], parameters)]


def load_afresh(connection: apsw.Connection, keys: Iterable[Key]) -> Mapping[Key, Any]:
    """Load rows for the keys of KeptRows from the file alone."""
    found: dict[Key, Any] = {}
    for kind, key in keys:
        pages = {"children": (key, "", 1 << 62)}
        loaded = _Loading(connection, KeptRows()).load([(kind, pages.get(kind, key))])
        found[kind, key] = loaded[kind, pages.get(kind, key)]
    return found


# In a row of several records: where each record ends.
_LEASE_END = len(rows.LEASE.table.columns)
_WORK_END = _LEASE_END + len(rows.WORK.table.columns)
_EDGE_END = len(rows.EDGE.table.columns)

# Kinds whose rows are kept by the key that is loaded; see kept_rows.py.
_KEPT = frozenset({"task", "work", "lease", "bot", "key", "tree", "tenant", "jobs"})

# Ordered: a kind that adds other rows comes before those rows' kind.
_GATHER: Mapping[str, Callable[[_Loading, _Keys], None]] = {
    find.__name__: find
    for find in (
        *(_Loading.lease_id, _Loading.work_key, _Loading.claim, _Loading.grants, _Loading.children, _Loading.parents),
        *(_Loading.graph, _Loading.plan_items, _Loading.light_payload, _Loading.open_works, _Loading.held_works),
        *(_Loading.bot_name, _Loading.leases_of_bot, _Loading.bots_of_key, _Loading.keys_of_bot, _Loading.bots_called),
        *(_Loading.speakers, _Loading.messages, _Loading.approvals, _Loading.jobs, _Loading.late, _Loading.idempotency),
        _Loading.key_line,
    )
}

# kind -> (statement, row to record, the column that is its key)
_BY_KEY: Mapping[str, tuple[str, Callable[[rows.Row], Any], int]] = {
    "task": ("load_task", rows.TASK.from_row, 0),
    "work": ("load_work", rows.WORK.from_row, 0),
    "lease": ("load_lease", rows.LEASE.from_row, 0),
    "attempt": ("load_attempt", rows.ATTEMPT.from_row, 0),
    "bot": ("load_bot", rows.BOT.from_row, 0),
    "key": ("load_key", rows.API_KEY.from_row, 0),
    "approval": ("load_approval", rows.APPROVAL.from_row, 0),
    "payload": ("load_payload", lambda row: row[2], 0),
    "tree": ("load_tree", rows.AUDIT_TREE.from_row, 0),
    "key_limit": ("load_key_limit", rows.KEY_LIMIT.from_row, 0),
    "work_rate": ("load_work_rate", rows.WORK_RATE.from_row, 0),
    "cooldown": ("load_cooldown", rows.COOLDOWN.from_row, 0),
    "tenant": ("load_tenant", rows.tenant, 0),
}
