"""One call of `Transaction.load`: first the needs that add other rows, then those rows. Statements run once for all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

import apsw

from swarmkeeper.core.lookups import KEY_LINE_READ, LIGHT_PAYLOAD_BYTES
from swarmkeeper.core.model import Edge, LeaseRecord
from swarmkeeper.core.ports import Key
from swarmkeeper.core.states import FINAL, Kind, Status
from swarmkeeper.storage import kills, operations, persons, retention, rows, secrets
from swarmkeeper.storage.at_rest import erasing
from swarmkeeper.storage.at_rest.bodies import BodyCodec, UnknownDataKey
from swarmkeeper.storage.at_rest.data_keys import WrappedKey
from swarmkeeper.storage.derived import saving
from swarmkeeper.storage.sqlite.dialect import read
from swarmkeeper.storage.sqlite.kept_rows import ABSENT, KINDS, KeptRows

QUERIES: Mapping[str, str] = read(
    *("queries.sql", "limits.sql", "writes.sql", "retention.sql", "secrets.sql", "kills.sql", "persons.sql"),
    *("erasures.sql", "operations.sql", "tallies.sql"),
)

_FINAL = rows.to_json(sorted(FINAL))
_Keys = Iterable[Any]
_T = TypeVar("_T")
_ALL = 1 << 62  # as a page size
_child = attrgetter("child")

# Those that have modules of their own.
_APART = (
    retention.LOOKUPS | secrets.LOOKUPS | kills.LOOKUPS | persons.LOOKUPS | erasing.LOOKUPS | saving.LOOKUPS
) | operations.LOOKUPS


def run(execute: Callable[..., Iterable[Any]], steps: Generator[tuple[str, Mapping[str, Any]], list[Any], _T]) -> _T:
    """Run statements that are given one after another; return what their generator returns."""
    try:
        name, parameters = next(steps)
        while True:
            name, parameters = steps.send(list(execute(QUERIES[name], parameters)))
    except StopIteration as done:
        result: _T = done.value
        return result


def load_keys(execute: Callable[..., Iterable[Any]], bodies: BodyCodec, *, writing: bool = False) -> None:
    """Learn the data keys of the store.

    Raises:
        WrongMasterKey: they are wrapped under another master key; or there are some, none is given, and rows are to be
            written, which would not be encrypted.
    """
    erased = [row[0] for row in execute(QUERIES["all_erased_keys"])]
    bodies.learn([WrappedKey(*row) for row in execute(QUERIES["all_data_keys"])], writing=writing, erased=erased)


class Loading:
    """One call of `load`: first the needs that add other rows, then those rows. Each statement runs once for all."""

    def __init__(self, connection: apsw.Connection, kept: KeptRows, bodies: BodyCodec) -> None:
        self._execute = connection.execute
        self._kept, self._bodies = kept, bodies
        self._found: dict[Key, Any] = {}
        self._wanted: dict[str, dict[Any, None]] = {}

    def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        found, wanted_of, kept_row = self._found, self._wanted, self._kept.get
        for need in needs:
            kind, key = need
            if kind in KINDS and (kept := kept_row(need)) is not ABSENT:
                found[need] = kept
            else:
                wanted_of.setdefault(kind, {})[key] = None
        if not self._wanted:  # all are kept
            return found
        self._gather()
        for kind in [kind for kind in BY_KEY if kind in wanted_of]:
            statement, record, column = BY_KEY[kind]
            if keys := [key for key in wanted_of[kind] if (kind, key) not in found]:
                for key in keys:
                    found[kind, key] = None
                of_kind: Iterable[rows.Row] = self._for_keys(statement, keys)
                for row in self._plain(kind, of_kind):
                    found[kind, row[column]] = record(row)
                    if kind in rows.HOT:
                        self._kept.put_stored(row)
                if kind in KINDS:
                    for key in keys:
                        if found[kind, key] is not None or kind == "lease":
                            self._kept.put_measured((kind, key), found[kind, key])
        if not _APART.isdisjoint(self._wanted):
            found |= run(self._execute, retention.load(self._wanted))
            found |= run(self._execute, secrets.load(self._wanted))
            found |= run(self._execute, kills.load(self._wanted))
            found |= run(self._execute, persons.load(self._wanted))
            found |= run(self._execute, operations.load(self._wanted))
            found |= run(self._execute, erasing.load(self._wanted))
            found |= run(self._execute, saving.load(self._wanted))
        unknown = [] if self._wanted.keys() <= _LOOKUPS else sorted(self._wanted.keys() - _LOOKUPS)
        assert not unknown, f"unknown kinds to load: {', '.join(unknown)}"
        return self._found

    def _gather(self) -> None:
        """Find the needs that add other rows."""
        wanted_of = self._wanted
        if not wanted_of.keys().isdisjoint(GATHER):
            for kind, find in GATHER.items():
                if kind in wanted_of:
                    find(self, wanted_of[kind])

    def _want(self, kind: str, key: Any) -> None:
        if kind in KINDS and (row := self._kept.get((kind, key))) is not ABSENT:
            self._found[kind, key] = row
        else:
            self._wanted.setdefault(kind, {})[key] = None

    def _for_keys(self, statement: str, keys: _Keys, **parameters: Any) -> apsw.Cursor:
        return self._execute(QUERIES[statement], {"keys": rows.to_json(list(keys)), **parameters})

    def _plain(self, kind: str, found: Iterable[rows.Row]) -> Iterable[rows.Row]:
        """Return the rows with what is encrypted in them opened."""
        return self._opened(found) if kind == "payload" else self._approvals(found) if kind == "approval" else found

    def _approvals(self, found: Iterable[rows.Row]) -> list[rows.Row]:
        read, columns = list(found), rows.APPROVAL.table.columns
        try:
            return self._bodies.texts_opened("approval", columns, read)
        except UnknownDataKey:
            load_keys(self._execute, self._bodies)
            return self._bodies.texts_opened("approval", columns, read, again=True)

    def _opened(self, payloads: Iterable[rows.Row]) -> list[tuple[str, bytes]]:
        read = list(payloads)
        try:
            return list(self._bodies.payloads(read))
        except UnknownDataKey:
            load_keys(self._execute, self._bodies)
            return list(self._bodies.payloads(read))

    def _ids(self, statement: str, **parameters: Any) -> list[str]:
        return [row[0] for row in self._execute(QUERIES[statement], parameters)]

    def _want_works(self, works: Iterable[str], need: Key | None = None, *, leases: bool = False) -> None:
        """Load these items, too; `works` is also what was needed, if `need` is given."""
        if need is not None:
            self._found[need] = works
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
        named = [key for key in keys if key[1]]  # a claim without an id has got nothing before: see ClaimWork
        for bot, claim_id, work in self._for_keys("works_of_claims", named) if named else ():
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
        kept = {key: self._kept.get(("parents", key)) for key in keys}
        absent: dict[str, list[Edge]] = {key: [] for key, edges in kept.items() if edges is ABSENT}
        for row in self._for_keys("edges_into_each", absent) if absent else ():
            edge = rows.EDGE.from_row(row)
            absent[edge.child].append(edge)
        for key, edges in absent.items():
            self._kept.put_measured(("parents", key), edges)
        for key in keys:
            edges = absent[key] if key in absent else kept[key]
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
            for key, body in self._opened(self._for_keys("load_light_payload", missing, bytes=LIGHT_PAYLOAD_BYTES)):
                found["light_payload", key] = body
                self._kept.put_payload(key, body)

    def open_works(self, keys: _Keys) -> None:
        for task, after, n in keys:
            works = self._ids("works_open", task=task, after=after, n=n, final=_FINAL)
            self._want_works(works, ("open_works", (task, after, n)), leases=True)

    def held_works(self, keys: _Keys) -> None:
        for task, after, n in keys:
            works = self._ids("works_in", task=task, after=after, n=n, status=Status.READY)
            self._want_works(works, ("held_works", (task, after, n)))

    def key_line(self, keys: _Keys) -> None:
        for line, queue in keys:
            works = self._ids("works_in_line", line=line, queue=queue, n=KEY_LINE_READ)
            self._want_works(works, ("key_line", (line, queue)))

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
            self._want_works(works, ("speakers", (tenant, name, key_id, task)), leases=True)

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


def load_afresh(connection: apsw.Connection, keys: Iterable[Key], bodies: BodyCodec) -> Mapping[Key, Any]:
    """Load rows for the keys of KeptRows from the file alone, without the rows that they would bring along."""
    needs: dict[Key, Key] = {}
    for kind, key in keys:
        needs[kind, key] = (kind, (key, "", _ALL) if kind == "children" else key)
    loaded = _LoadingAlone(connection, KeptRows(), bodies).load(needs.values())
    return {key: loaded[need] for key, need in needs.items()}


class _LoadingAlone(Loading):
    """Loads what is asked for, and no row that is only likely to be needed with it."""

    def _want(self, kind: str, key: Any) -> None:
        pass

    def _keep_hot(self, kind: str, table: rows.RecordTable[Any], row: rows.Row) -> None:
        pass


# In a row of several records: where each record ends.
_LEASE_END = len(rows.LEASE.table.columns)
_WORK_END = _LEASE_END + len(rows.WORK.table.columns)
_EDGE_END = len(rows.EDGE.table.columns)

# Ordered: a kind that adds other rows comes before those rows' kind.
GATHER: Mapping[str, Callable[[Loading, _Keys], None]] = {
    find.__name__: find
    for find in (
        *(Loading.lease_id, Loading.work_key, Loading.claim, Loading.grants, Loading.children, Loading.parents),
        *(Loading.graph, Loading.plan_items, Loading.light_payload, Loading.open_works, Loading.held_works),
        *(Loading.bot_name, Loading.leases_of_bot, Loading.bots_of_key, Loading.keys_of_bot, Loading.bots_called),
        *(Loading.speakers, Loading.messages, Loading.approvals, Loading.jobs, Loading.late, Loading.idempotency),
        Loading.key_line,
    )
}

# kind -> (statement, row to record, the column that is its key)
BY_KEY: Mapping[str, tuple[str, Callable[[rows.Row], Any], int]] = {
    "task": ("load_task", rows.TASK.from_row, 0),
    "work": ("load_work", rows.WORK.from_row, 0),
    "lease": ("load_lease", rows.LEASE.from_row, 0),
    "attempt": ("load_attempt", rows.ATTEMPT.from_row, 0),
    "bot": ("load_bot", rows.BOT.from_row, 0),
    "key": ("load_key", rows.API_KEY.from_row, 0),
    "approval": ("load_approval", rows.APPROVAL.from_row, 0),
    "payload": ("load_payload", lambda row: row[1], 0),
    "tree": ("load_tree", rows.AUDIT_TREE.from_row, 0),
    "key_limit": ("load_key_limit", rows.KEY_LIMIT.from_row, 0),
    "work_rate": ("load_work_rate", rows.WORK_RATE.from_row, 0),
    "cooldown": ("load_cooldown", rows.COOLDOWN.from_row, 0),
    "tenant": ("load_tenant", rows.tenant, 0),
}

_LOOKUPS = GATHER.keys() | BY_KEY.keys() | _APART
