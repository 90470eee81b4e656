"""What the store keeps in memory between transactions, because it is the only writer of its file: rows, and when leases
expire and end.

A kept row is the record itself, as the engine loaded or saved it: the next transaction gets the same object. So it is
true as long as no other connection writes. The store forgets all of them after a transaction that was rolled back,
after its own bulk statements, and when the file was changed by another connection (store.py). `SqliteStore.wrong_kept`
compares them with the file; the simulator does that with some of them after every few transactions.

The memory is bounded: rows are in two generations. When the young one is full, the old one is dropped, and the young
one becomes the old one. A row that is used moves to the young one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush
from operator import attrgetter, itemgetter
from typing import Any

from swarmkeeper.core.model import Edge, LeaseRecord, TaskRecord, Tenant, Work
from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.core.states import Kind
from swarmkeeper.storage.derived.spans import Folded
from swarmkeeper.storage.rows import to_json

Row = tuple[Any, ...]
ABSENT: Any = object()

BYTES_MAX = 24 << 20  # of both generations
# Dropped rows are freed after each transaction: as many as it put, so that there are never more rows while some are
# still to be freed, and at least these, so that transactions that put few free them, too. Freeing all at once would
# take milliseconds.
FREED_MIN = 8
PAYLOAD_BYTES_MAX = 4 << 10  # of one payload
_child, _parent = attrgetter("child"), attrgetter("parent")
_kind = itemgetter(0)  # of a key

# Estimated bytes of a row by kind, with its key: a record, for tasks and work items also the stored row.
_BYTES = {"task": 4_000, "work": 3_000, "lease": 1_200, "bot": 1_500, "key": 1_500, "children": 600, "parents": 600}
_BYTES_OTHERS = 400


def _more_bytes(kind: str, row: Any) -> int:
    """Estimate what callers filled in, which may be much larger than the rest."""
    if kind == "task":
        return 4 * len(row.title) + 500 * (len(row.labels) + len(row.subtask_labels)) + (2_000 if row.failure else 0)
    if kind == "work":
        labels = 0 if row.labels is None else 500 * (len(row.labels.own) + len(row.labels.inflow))
        return 200 * len(row.excluded) + (8_000 if row.error else 0) + labels
    if kind == "lease":
        return 3 * len(to_json(row.progress)) if row is not None and row.progress else 0
    if kind == "bot":
        return 0 if row is None else 500 * len(row.labels) + 100 * len(row.skills)
    if kind in ("children", "parents", "plan_items"):
        return 150 * len(row)
    return len(row) if kind == "payload" else 0


# The timers of a lease: their kind, and the column of `lease` with the time.
LEASE_TIMES: Mapping[str, str] = {"lease": "expires_at", "ends": "ends_at"}
_Name = tuple[str, str]  # of a timer: kind, work id
_STALE_MIN = 1_000  # outdated entries that are worth a new heap


class LeaseTimers:
    """When leases expire and end, earliest first.

    These timers have no rows: they follow from the table `lease`, and are read from it again (`load`) when the store
    forgets what it keeps. A timer that the engine set to another time than its lease's (because it could not be decided
    when it was due) is an exception; exceptions are kept until the lease changes, and are forgotten at a restart: then
    the timer is due again.
    """

    def __init__(self) -> None:
        self.outdated = True  # call `load` before anything else
        self._due: dict[_Name, int] = {}
        self._heap: list[tuple[int, str, str]] = []  # also has entries that `_due` no longer has
        self._exceptions: dict[_Name, int | None] = {}  # None: cleared, although the lease lives
        self._committed: dict[_Name, int | None] = {}  # exceptions as of the last commit

    def load(self, leases: Iterable[Any]) -> None:
        """Start again from all leases: (work id, `expires_at`, `ends_at`)."""
        self._due = _times_of(leases)
        for name, due in list(self._exceptions.items()):
            if name not in self._due:
                del self._exceptions[name]
            elif due is None:
                del self._due[name]
            else:
                self._due[name] = max(due, self._due[name])
        self._build()
        self.outdated = False

    def _build(self) -> None:
        self._heap = [(due, *name) for name, due in self._due.items()]
        heapify(self._heap)

    def saved(self, changes: Changes, names: Iterable[_Name]) -> None:
        """Follow a save, for these names among its timers."""
        timers, times, exceptions = changes.timers, self._due, self._exceptions
        for name in names:
            due, work = timers[name], name[1]
            if work not in changes.leases and work not in changes.leases_gone:
                if due is not None or name in times:
                    exceptions[name] = due
            elif exceptions:
                exceptions.pop(name, None)
            if due is None:
                times.pop(name, None)
            else:
                times[name] = due
                heappush(self._heap, (due, *name))
        if len(self._heap) > 2 * len(times) + _STALE_MIN:
            self._build()

    def due(self, now: int, limit: int) -> list[tuple[int, str, str]]:
        """Return up to `limit` timers that are due at `now` as (due, kind, work id), earliest first."""
        heap = self._heap
        found: list[tuple[int, str, str]] = []
        last: tuple[int, str, str] | None = None
        while heap and heap[0][0] <= now and len(found) < limit:
            entry = heappop(heap)
            if entry != last and self._due.get(entry[1:]) == entry[0]:
                found.append(entry)
            last = entry
        for entry in found:
            heappush(heap, entry)
        return found

    def commit(self) -> None:
        if self._committed != self._exceptions:
            self._committed = dict(self._exceptions)

    def roll_back(self) -> None:
        self._exceptions = dict(self._committed)
        self.outdated = True

    def wrong(self, leases: Iterable[Any]) -> list[str]:
        """Compare with all leases, as for `load`; return what differs."""
        if self.outdated:
            return []
        expected = _times_of(leases)
        queued = {entry[1:] for entry in self._heap if self._due.get(entry[1:]) == entry[0]}
        return [
            f"the timer kept for {name} is at {self._due.get(name)}, not at {expected.get(name)}"
            for name in sorted(expected.keys() | self._due.keys() | queued)
            if name not in self._exceptions
            and (self._due.get(name) != expected.get(name) or (name in expected and name not in queued))
        ]


def _times_of(leases: Iterable[Any]) -> dict[_Name, int]:
    return {name: due for work, *times in leases for name, due in zip(_names(work), times, strict=True)}


def _names(work: str) -> list[_Name]:
    return [(kind, work) for kind in LEASE_TIMES]


# Kinds of lookups whose rows are kept by the key that is loaded.
KINDS = frozenset({"task", "work", "lease", "bot", "key", "tree", "tenant", "jobs"})


class KeptRows:
    """Rows by lookup and key, as `Transaction.load` returns them.

    Lookups: task, work, lease, lease_id, bot, key, tree, tenant, small payloads, and jobs of tasks without any. Also
    `children` and `parents`, by work id: all edges from and to an item; and `plan_items`.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._half = bytes_max // 2
        self._young: dict[Key, Any] = {}
        self._old: dict[Key, Any] = {}
        self._stored: dict[str, Row] = {}  # by id: tasks and work items as stored, of the young generation
        self._stored_old: dict[str, Row] = {}
        self._size = 0  # estimated bytes of the young generation
        self._dropped: list[dict[Any, Any]] = []  # still to be freed, see `trim`
        self._put = 0  # rows put since the last `trim`
        self._to_come: list[Key] = []  # see next_items
        self.lease_timers = LeaseTimers()
        self.folded = Folded()

    def __len__(self) -> int:
        return len(self._young) + sum(key not in self._young for key in self._old)

    def next_items(self, most: int | None) -> dict[Key, Any]:
        """Return up to `most` rows, the following ones at each call; None: all."""
        if most is None:
            return {**self._old, **self._young}
        if most and not self._to_come:
            # Those of a kind together, so that a few rows are read with one statement or two; the next one is the last.
            self._to_come = sorted({**self._old, **self._young}, key=_kind, reverse=True)
        chosen: dict[Key, Any] = {}
        while self._to_come and len(chosen) < most:
            key = self._to_come.pop()
            row = self._young.get(key, ABSENT)
            if row is not ABSENT or (row := self._old.get(key, ABSENT)) is not ABSENT:
                chosen[key] = row
        return chosen

    def get(self, key: Key) -> Any:
        """Return the row, or `ABSENT` if it is not kept."""
        found = self._young.get(key, ABSENT)
        if found is ABSENT and (found := self._old.get(key, ABSENT)) is not ABSENT:
            self.put_measured(key, found)
        return found

    def put(self, key: Key, value: Any) -> None:
        if key not in self._young:
            self._size += _BYTES.get(key[0], _BYTES_OTHERS)
            self._put += 1
        self._young[key] = value

    def put_all(self, kind: str, values: Mapping[str, Any]) -> None:
        """Put rows of one kind, by key."""
        young = self._young
        before = len(young)
        for key, value in values.items():
            young[kind, key] = value
        new = len(young) - before
        self._size += new * _BYTES.get(kind, _BYTES_OTHERS)
        self._put += new

    def put_measured(self, key: Key, value: Any) -> None:
        """Put a row that callers may have made large. Counting it at each put only makes the generation end sooner."""
        self.put(key, value)
        self._size += _more_bytes(key[0], value)

    def put_payload(self, payload_id: str, body: bytes) -> None:
        if len(body) <= PAYLOAD_BYTES_MAX:
            self.put(("payload", payload_id), body)
            self._size += len(body)
        else:
            self.forget(("payload", payload_id))

    def forget(self, key: Key) -> None:
        self._young.pop(key, None)
        self._old.pop(key, None)

    def clear(self) -> None:
        self._begin_generation()
        self._begin_generation()
        self.folded.forget()

    def trim(self) -> None:
        """Keep within the bound. Call this only between transactions, so that a row stays one object within each."""
        if not self._half:
            self.clear()
        elif self._size > self._half:
            self._begin_generation()
        left = max(self._put, FREED_MIN)
        self._put = 0
        while self._dropped and left:
            rows = self._dropped[-1]
            while rows and left:
                rows.popitem()
                left -= 1
            if not rows:
                self._dropped.pop()

    def _begin_generation(self) -> None:
        self._dropped += [rows for rows in (self._old, self._stored_old) if rows]
        self._old, self._young = self._young, {}
        self._stored_old, self._stored = self._stored, {}
        self._size = 0

    # ---- stored rows: what an update compares with ------------------------------------------------------------------

    def stored(self, row_id: str) -> Row | None:
        row = self._stored.get(row_id)
        return self._stored_old.get(row_id) if row is None else row

    def put_stored(self, row: Row) -> None:
        self._stored[row[0]] = row
        self._put += 1

    # ---- what a save changes ----------------------------------------------------------------------------------------

    def saved(self, changes: Changes) -> None:
        """Follow a save. Records in `changes` are the ones that the engine uses, so they are kept as they are."""
        if changes.tasks:
            self._add_tasks(changes.tasks)
        if changes.works:
            self._add_works(changes.works)
        if changes.edges:
            self._add_edges(changes.edges)
        for work_id in changes.leases_gone:
            ended = self.get(("lease", work_id))
            if isinstance(ended, LeaseRecord):
                self.forget(("lease_id", ended.lease_id))
        if changes.leases_gone:
            self.put_all("lease", changes.leases_gone)  # their values are None: there is no lease
        if changes.leases:
            self.put_all("lease", changes.leases)
            self.put_all("lease_id", {lease.lease_id: lease.work for lease in changes.leases.values()})
            self._size += sum(_more_bytes("lease", lease) for lease in changes.leases.values() if lease.progress)
        for payload_id, written in changes.payloads.items():
            if written is None:
                self.forget(("payload", payload_id))
            else:
                self.put_payload(payload_id, written[1])
        for bot_id, bot in changes.bots.items():
            self.put_measured(("bot", bot_id), bot)
        if changes.keys:
            self.put_all("key", changes.keys)
        for job in changes.jobs.values():
            if job is not None:
                self.forget(("jobs", job.task))  # only the fact that a task has none is kept
        self._count(changes)

    def erased(self, statements: Sequence[tuple[str, Mapping[str, Any]]], payloads: Iterable[str]) -> None:
        """Forget the rows that a save has erased."""
        for _, parameters in statements:
            for work_id in parameters.get("works", ()):
                for kind in ("work", "lease", "children", "parents"):
                    self.forget((kind, work_id))
            for kind in ("task", "jobs", "plan_items"):
                self.forget((kind, parameters.get("task", "")))
        for payload_id in payloads:
            self.forget(("payload", payload_id))

    def _add_tasks(self, tasks: Mapping[str, TaskRecord]) -> None:
        self.put_all("task", tasks)
        for task in tasks.values():
            if task.labels or task.failure:
                self._size += _more_bytes("task", task)
            if task.version == 1:
                self.put(("jobs", task.id), [])

    def _add_works(self, works: Mapping[str, Work]) -> None:
        self.put_all("work", works)
        new: dict[str, list[str]] = {}  # by task: items of its plan that were inserted, in plan order
        for work in works.values():
            if work.error or work.excluded:
                self._size += _more_bytes("work", work)
            if work.version == 1:
                self.put(("lease", work.id), None)
                if work.kind is Kind.EXECUTE:
                    new.setdefault(work.task, []).append(work.id)
                else:  # no edges lead from or to it
                    self.put(("children", work.id), [])
                    self.put(("parents", work.id), [])
        for task, items in new.items():
            # Edges may be written before the item that they lead from. All edges of an item are known only if the
            # whole plan was written at once.
            is_whole = self._is_whole(task, len(items))
            before = [] if is_whole else self.get(("plan_items", task))
            if before is not ABSENT:
                self.put_measured(("plan_items", task), [*before, *items])
            for work_id in items if is_whole else ():
                self.put(("children", work_id), [])
                self.put(("parents", work_id), [])

    def _is_whole(self, task_id: str, number: int) -> bool:
        task = self.get(("task", task_id))
        return task is not ABSENT and task.n_total == number

    def _add_edges(self, edges: Sequence[Edge]) -> None:
        added: dict[Key, list[Edge]] = {}
        for edge in edges:
            added.setdefault(("children", edge.parent), []).append(edge)
            added.setdefault(("parents", edge.child), []).append(edge)
        for key, new in added.items():
            known = self.get(key)
            if known is not ABSENT:  # a new list, because a batch may hold the old one
                self.put_measured(key, sorted([*known, *new], key=_child if key[0] == "children" else _parent))

    def _count(self, changes: Changes) -> None:
        for tenant in changes.tenants.values():
            self.forget(("tenant", tenant.id))
        for tenant_id in changes.tenant_budgets:
            self.forget(("tenant", tenant_id))
        for tenant_id in changes.opened.keys() | changes.opened_subtasks.keys() | changes.stored.keys():
            tenant = self.get(("tenant", tenant_id))
            if isinstance(tenant, Tenant):
                counted = replace(
                    tenant,
                    open_tasks=tenant.open_tasks + changes.opened.get(tenant_id, 0),
                    open_subtasks=max(0, tenant.open_subtasks + changes.opened_subtasks.get(tenant_id, 0)),
                    stored_bytes=max(0, tenant.stored_bytes + changes.stored.get(tenant_id, 0)),
                )
                self.put(("tenant", tenant_id), counted)
            else:
                self.forget(("tenant", tenant_id))
