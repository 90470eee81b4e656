"""One call of `Transaction.load`: first the needs that add other rows, then those rows.

Most statements run once, for all keys of their kind; and those that need not wait for each other run as one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from swarmkeeper.core.lookups import KEY_LINE_READ, LIGHT_PAYLOAD_BYTES
from swarmkeeper.core.model import Edge, Work
from swarmkeeper.core.ports import Key
from swarmkeeper.core.states import FINAL, Kind, Status
from swarmkeeper.storage import kills, operations, persons, retention, rows, secrets
from swarmkeeper.storage.at_rest import erasing
from swarmkeeper.storage.at_rest.bodies import BodyCodec, UnknownDataKey
from swarmkeeper.storage.at_rest.data_keys import WrappedKey
from swarmkeeper.storage.derived import saving
from swarmkeeper.storage.postgres.execution import Execution

_FINAL = rows.to_json(sorted(FINAL))
_Keys = Iterable[Any]
# Every transaction inserts a row there at its end: those that have are committed then, and others wait for this one.
_WAIT_FOR_WRITERS = "LOCK TABLE outbox IN SHARE MODE"
# Those that have modules of their own.
_APART = (
    retention.LOOKUPS | secrets.LOOKUPS | kills.LOOKUPS | persons.LOOKUPS | erasing.LOOKUPS | saving.LOOKUPS
) | operations.LOOKUPS


async def load_keys(execution: Execution, bodies: BodyCodec, *, writing: bool = False) -> None:
    """Learn the data keys of the store.

    Raises:
        WrongMasterKey: they are wrapped under another master key; or there are some, none is given, and rows are to be
            written, which would not be encrypted.
    """
    stored = [WrappedKey(*row) for row in await execution.fetch("all_data_keys")]
    erased = [row[0] for row in await execution.fetch("all_erased_keys")]  # later: a key is in one of the two
    bodies.learn(stored, writing=writing, erased=erased)


async def load_looked(execution: Execution) -> tuple[dict[str, Any], int]:
    """Return the fields of `Looked`, and how many rows of the outbox wait, in one statement."""
    names = ("all_queues", "queues_waiting", "next_due", "any_chore", "all_cooldowns", "outbox_rows")
    queues, waiting, ((due,),), ((jobs,),), cooling, ((told,),) = await execution.fetch_together(
        [(name, {}) for name in names]
    )
    return {
        "queues": tuple(map(rows.QUEUE.from_row, queues)),
        "waiting": tuple(row[0] for row in waiting),
        "next_due": due,
        "jobs": jobs,
        "cooling": tuple(row[0] for row in cooling),
    }, told


class _Asked:
    """A read that waits to be sent with others; awaiting it gives its rows."""

    def __init__(self, statement: str, parameters: Mapping[str, Any]) -> None:
        self.statement, self.parameters = statement, parameters

    def __await__(self) -> Generator[_Asked, list[Any], list[Any]]:
        return (yield self)


_Find = Coroutine[_Asked, Any, None]


class BulkLoading:
    def __init__(
        self, execution: Execution, bodies: BodyCodec, children: Mapping[str, list[Edge]] = MappingProxyType({})
    ) -> None:
        """
        Args:
            children: all edges from items, by item, as far as they were read ahead. The items they lead to were, too.
        """
        self._execution, self._bodies, self._known_children = execution, bodies, children
        self.stored: dict[Key, rows.Row] = {}  # tasks and items as they are stored
        self.children_ahead: dict[str, list[Edge]] = {}  # those that this call reads ahead
        self._found: dict[Key, Any] = {}
        self._wanted: dict[str, dict[Any, None]] = {}
        self._stored: dict[str, list[Any]] = {}  # kind -> rows as they are stored: they may be encrypted
        self.beside: list[Any] = []
        self.leases_held: dict[str, int] = {}  # by bot, of those that claim work: how many leases each has

    async def load(self, needs: Iterable[Key], beside: tuple[str, Mapping[str, Any]] | None = None) -> dict[Key, Any]:
        """
        Args:
            beside: a read that the first statement runs, too. Its rows are in `self.beside` then.
        """
        found, wanted_of = self._found, self._wanted
        for kind, key in needs:
            wanted_of.setdefault(kind, {})[key] = None
        unknown = [] if wanted_of.keys() <= _LOOKUPS else sorted(wanted_of.keys() - _LOOKUPS)
        assert not unknown, f"unknown kinds to load: {', '.join(unknown)}"
        later = frozenset() if _ADDING.isdisjoint(wanted_of) else _ADDED
        first = [] if beside is None else [self._read_beside(*beside)]
        first += [find(self, wanted_of[kind]) for kind, find in GATHER.items() if kind in wanted_of]
        first += [self._by_key(kind) for kind in sorted(BY_KEY.keys() & wanted_of.keys() - later)]
        if bots := {*wanted_of.get("bot", ()), *(bot for bot, _ in wanted_of.get("claim", ()))}:
            first.append(self._count_leases(bots))
        if "lease_id" in wanted_of:
            first.append(self._read_children(wanted_of["lease_id"]))
        if "light_payload" in wanted_of and not wanted_of.keys().isdisjoint(("parents", "plan_items")):
            first.append(self._read_results(wanted_of.get("parents", ()), wanted_of.get("plan_items", ())))
        gathered = set(wanted_of)
        await self._together(first)
        if not _APART.isdisjoint(wanted_of):
            if "at_rest" in wanted_of:
                await self._execution.connection.execute(_WAIT_FOR_WRITERS)
            found |= await self._execution.run(retention.load(wanted_of))
            found |= await self._execution.run(secrets.load(wanted_of))
            found |= await self._execution.run(kills.load(wanted_of))
            found |= await self._execution.run(persons.load(wanted_of))
            found |= await self._execution.run(operations.load(wanted_of))
            found |= await self._execution.run(erasing.load(wanted_of))
            found |= await self._execution.run(saving.load(wanted_of))
        # Those that the first ones have added.
        await self._together(
            [
                *(self._by_key(kind) for kind in sorted(BY_KEY.keys() & wanted_of.keys())),
                *(GATHER[kind](self, wanted_of[kind]) for kind in sorted(GATHER.keys() & wanted_of.keys() - gathered)),
            ]
        )
        for kind, stored in self._stored.items():
            if kind == "approval":
                found.update({(kind, row[0]): rows.APPROVAL.from_row(row) for row in await self._approvals(stored)})
            else:
                found.update({(kind, name): body for name, body in await self._opened(stored)})
        return found

    async def _together(self, finds: Iterable[_Find]) -> None:
        """Run these; each time, what all of them ask for is one statement."""
        answers: dict[_Find, Any] = dict.fromkeys(finds)
        while answers:
            asked: dict[_Find, _Asked] = {}
            for find, answer in answers.items():
                with suppress(StopIteration):
                    asked[find] = find.send(answer)
            answers = {}
            if asked:
                asks = [(ask.statement, ask.parameters) for ask in asked.values()]
                answers = dict(zip(asked, await self._execution.fetch_together(asks), strict=True))

    async def _fetch(self, statement: str, /, **parameters: Any) -> list[Any]:
        found: list[Any] = await _Asked(statement, parameters)
        return found

    async def _value(self, statement: str, /, **parameters: Any) -> Any:
        """Return the first column of the first row; None if there is none."""
        found = await self._fetch(statement, **parameters)
        return found[0][0] if found else None

    async def _read_beside(self, statement: str, parameters: Mapping[str, Any]) -> None:
        self.beside = await self._fetch(statement, **parameters)

    async def _by_key(self, kind: str) -> None:
        statement, record = BY_KEY[kind]
        found = self._found
        keys = [key for key in self._wanted[kind] if (kind, key) not in found]
        if not keys:
            return
        found.update({(kind, key): None for key in keys})
        of_kind = await self._for_keys(statement, keys)
        if kind in ("payload", "approval"):
            self._stored[kind] = of_kind
        else:
            found.update({(kind, row[0]): record(row) for row in of_kind})
            if kind in rows.HOT:
                self.stored.update({(kind, row[0]): row for row in of_kind})

    def _work(self, row: rows.Row) -> Work:
        self.stored["work", row[0]] = row
        return rows.WORK.from_row(row)

    async def _count_leases(self, bots: Iterable[str]) -> None:
        self.leases_held = dict.fromkeys(bots, 0)
        self.leases_held.update(await self._for_keys("leases_held", self.leases_held))

    async def _read_children(self, leases: _Keys) -> None:
        """Read the edges from the items of leases: whoever ends a lease asks for them next."""
        read: dict[str, list[Edge]] = {}
        for row in await self._for_keys("edges_from_leases", leases, n=CHILDREN_AHEAD):
            edge = rows.EDGE.from_row(row[:_EDGE_END])
            read.setdefault(edge.parent, []).append(edge)
            if ("work", edge.child) not in self._found:
                self._found["work", edge.child] = self._work(row[_EDGE_END:])
        for lease in leases:
            work = self._found["lease_id", lease]
            if work is not None and len(edges := read.get(work, [])) < CHILDREN_AHEAD:
                self.children_ahead[work] = edges

    def _want(self, kind: str, keys: _Keys) -> None:
        self._wanted.setdefault(kind, {}).update(dict.fromkeys(keys))

    async def _for_keys(self, statement: str, keys: _Keys, **parameters: Any) -> list[Any]:
        return await self._fetch(statement, keys=rows.to_json(list(keys)), **parameters)

    async def _approvals(self, found: list[Any]) -> list[rows.Row]:
        columns = rows.APPROVAL.table.columns
        try:
            return self._bodies.texts_opened("approval", columns, found)
        except UnknownDataKey:
            await load_keys(self._execution, self._bodies)
            return self._bodies.texts_opened("approval", columns, found, again=True)

    async def _opened(self, payloads: list[Any]) -> list[tuple[str, bytes]]:
        try:
            return list(self._bodies.payloads(payloads))
        except UnknownDataKey:
            await load_keys(self._execution, self._bodies)
            return list(self._bodies.payloads(payloads))

    async def _ids(self, statement: str, /, **parameters: Any) -> list[str]:
        return [row[0] for row in await self._fetch(statement, **parameters)]

    def _put_works(self, need: Key, works: list[str], *, leases: bool = False) -> None:
        self._found[need] = works
        self._want("work", works)
        if leases:
            self._want("lease", works)

    # ---- leases ------------------------------------------------------------------------------------------------------

    async def lease_id(self, keys: _Keys) -> None:
        found, ended = self._found, self._wanted.get("attempt", {})
        for key in keys:
            found["lease_id", key] = None
        for row in await self._for_keys("load_lease_id", keys):
            lease = rows.LEASE.from_row(row[:_LEASE_END])
            found["lease_id", lease.lease_id], found["lease", lease.work] = lease.work, lease
            found["work", lease.work] = self._work(row[_LEASE_END:_WORK_END])
            self.stored["task", lease.task] = of_task = row[_WORK_END:-1]
            found["task", lease.task] = rows.TASK.from_row(of_task)
            if row[-1]:
                self._want("jobs", (lease.task,))
            else:
                found["jobs", lease.task] = []
            if lease.lease_id in ended:  # an attempt is written when its lease ends
                found["attempt", lease.lease_id] = None

    async def claim(self, keys: _Keys) -> None:
        for key in keys:
            self._found["claim", key] = []
        named = [key for key in keys if key[1]]  # a claim without an id has got nothing before: see ClaimWork
        for bot, claim_id, work in await self._for_keys("works_of_claims", named) if named else ():
            self._found["claim", (bot, claim_id)].append(work)
            self._want("lease", (work,))

    async def grants(self, keys: _Keys) -> None:
        for bot, task in keys:
            ended = await self._value("ended_of_bot_on_task", task=task, bot=bot)
            works = await self._ids("works_of_bot_on_task", bot=bot, task=task)
            self._found["grants", (bot, task)] = (ended, works)

    async def leases_of_bot(self, keys: _Keys) -> None:
        for key in keys:
            found = await self._fetch("works_of_bot", bot=key)
            self._put_works(("leases_of_bot", key), [row[0] for row in found], leases=True)
            self._want("task", (row[1] for row in found))

    async def speakers(self, keys: _Keys) -> None:
        for tenant, name, key_id, task in keys:
            works = await self._ids("works_of_speaker", tenant=tenant, name=name, key=key_id, task=task)
            self._put_works(("speakers", (tenant, name, key_id, task)), works, leases=True)

    async def late(self, keys: _Keys) -> None:
        for key in keys:
            late = [tuple(row) for row in await self._fetch("late_of_work", work=key)]
            self._found["late", key] = (len(late), late)

    # ---- tasks and their graphs --------------------------------------------------------------------------------------

    async def work_key(self, keys: _Keys) -> None:
        for key in keys:
            self._found["work_key", key] = None
        for task, key, work in await self._for_keys("works_by_key", keys):
            self._found["work_key", (task, key)] = work

    async def children(self, keys: _Keys) -> None:
        first: dict[int, list[str]] = {}  # by page size
        for work, after, n in keys:
            edges: list[Edge] = []
            known = self._known_children.get(work)
            if known is not None and not after and len(known) <= n:
                edges = known
            elif after:
                edges = await self._edges("edges_from", work=work, after=after, n=n)
                self._want("work", (edge.child for edge in edges))
            else:
                first.setdefault(n, []).append(work)
            self._found["children", (work, after, n)] = edges
        for n, works in first.items():
            for row in await self._for_keys("edges_from_each", works, n=n):
                edge = rows.EDGE.from_row(row[:_EDGE_END])
                self._found["children", (edge.parent, "", n)].append(edge)
                if ("work", edge.child) not in self._found:
                    self._found["work", edge.child] = self._work(row[_EDGE_END:])

    async def parents(self, keys: _Keys) -> None:
        for key in keys:
            self._found["parents", key] = []
        for row in await self._for_keys("parents_of_each", keys):
            edge = rows.EDGE.from_row(row[:_EDGE_END])
            self._found["parents", edge.child].append(edge)
            if ("work", edge.parent) not in self._found:
                self._found["work", edge.parent] = self._work(row[_EDGE_END:])

    async def graph(self, keys: _Keys) -> None:
        for key in keys:
            works = await self._ids("works_of_task", task=key, kind=Kind.EXECUTE)
            self._found["graph", key] = (works, await self._edges("edges_of_task", task=key))
            self._want("work", works)

    async def plan_items(self, keys: _Keys) -> None:
        for key in keys:
            self._found["plan_items", key] = []
        for row in await self._for_keys("plans_of_tasks", keys, kind=Kind.EXECUTE):
            work = self._work(row)
            self._found["plan_items", work.task].append(work.id)
            self._found.setdefault(("work", work.id), work)

    async def open_works(self, keys: _Keys) -> None:
        for task, after, n in keys:
            works = await self._ids("works_open", task=task, after=after, n=n, final=_FINAL)
            self._put_works(("open_works", (task, after, n)), works, leases=True)

    async def held_works(self, keys: _Keys) -> None:
        for task, after, n in keys:
            works = await self._ids("works_in", task=task, after=after, n=n, status=Status.READY)
            self._put_works(("held_works", (task, after, n)), works)

    async def key_line(self, keys: _Keys) -> None:
        for line, queue in keys:
            works = await self._ids("works_in_line", line=line, queue=queue, n=KEY_LINE_READ)
            self._put_works(("key_line", (line, queue)), works)

    async def jobs(self, keys: _Keys) -> None:
        wanted = [key for key in keys if ("jobs", key) not in self._found]
        for key in wanted:
            self._found["jobs", key] = []
        for row in await self._for_keys("chores_of_tasks", wanted) if wanted else ():
            job = rows.JOB.from_row(row)
            self._found["jobs", job.task].append(job)

    async def messages(self, keys: _Keys) -> None:
        for key in keys:
            self._found["messages", key] = await self._value("messages_of_task", task=key)

    async def approvals(self, keys: _Keys) -> None:
        for key in keys:
            self._found["approvals", key] = await self._ids("approvals_of_task", task=key, state="open")

    async def light_payload(self, keys: _Keys) -> None:
        for key in keys:
            self._found["light_payload", key] = None
        found = await self._for_keys("load_light_payload", keys, bytes=LIGHT_PAYLOAD_BYTES)
        self._stored.setdefault("light_payload", []).extend(found)

    async def _read_results(self, items: _Keys, tasks: _Keys) -> None:
        """Read the results of the items that these depend on, and of tasks' plans: they are asked for next."""
        of = {"items": rows.to_json(list(items)), "tasks": rows.to_json(list(tasks))}
        states = {"kind": Kind.EXECUTE, "status": Status.SUCCEEDED}
        found = await self._fetch("light_results", **of, **states, bytes=LIGHT_PAYLOAD_BYTES)
        self._stored.setdefault("light_payload", []).extend(found)

    # ---- bots, keys, calls -------------------------------------------------------------------------------------------

    async def bot_name(self, keys: _Keys) -> None:
        for tenant, name, instance in keys:
            found = await self._ids("bot_by_name", tenant=tenant, name=name, instance=instance)
            self._found["bot_name", (tenant, name, instance)] = found[0] if found else None

    async def bots_of_key(self, keys: _Keys) -> None:
        for key in keys:
            self._found["bots_of_key", key] = await self._ids("bots_of_key", key=key)

    async def keys_of_bot(self, keys: _Keys) -> None:
        for tenant, bot in keys:
            self._found["keys_of_bot", (tenant, bot)] = await self._ids("keys_of_bot", tenant=tenant, bot=bot)

    async def bots_called(self, keys: _Keys) -> None:
        for tenant, called in keys:
            found = await self._ids("bots_called", tenant=tenant, called=called)
            self._found["bots_called", (tenant, called)] = bool(found)

    async def idempotency(self, keys: _Keys) -> None:
        for tenant, key in keys:
            found = await self._fetch("load_idempotency", tenant=tenant, key=key)
            self._found["idempotency", (tenant, key)] = rows.IDEMPOTENCY.from_row(found[0]) if found else None

    async def _edges(self, statement: str, **parameters: Any) -> list[Edge]:
        return [rows.EDGE.from_row(row) for row in await self._fetch(statement, **parameters)]


# As many edges from an item are read ahead. With more they are read a page at a time, when they are asked for.
CHILDREN_AHEAD = 16
# In a row of several records: where each record ends.
_LEASE_END = len(rows.LEASE.table.columns)
_WORK_END = _LEASE_END + len(rows.WORK.table.columns)
_EDGE_END = len(rows.EDGE.table.columns)

GATHER: Mapping[str, Callable[[BulkLoading, _Keys], _Find]] = {
    find.__name__: find
    for find in (
        *(
            BulkLoading.lease_id,
            BulkLoading.work_key,
            BulkLoading.claim,
            BulkLoading.grants,
            BulkLoading.children,
            BulkLoading.parents,
        ),
        *(
            BulkLoading.graph,
            BulkLoading.plan_items,
            BulkLoading.light_payload,
            BulkLoading.open_works,
            BulkLoading.held_works,
        ),
        *(
            BulkLoading.bot_name,
            BulkLoading.leases_of_bot,
            BulkLoading.bots_of_key,
            BulkLoading.keys_of_bot,
            BulkLoading.bots_called,
        ),
        *(
            BulkLoading.speakers,
            BulkLoading.messages,
            BulkLoading.approvals,
            BulkLoading.jobs,
            BulkLoading.late,
            BulkLoading.idempotency,
        ),
        BulkLoading.key_line,
    )
}

# Kinds that add rows of other kinds, and the kinds of those: they are asked for last.
_ADDING = frozenset(
    {"lease_id", "claim", "leases_of_bot", "children", "parents", "graph", "plan_items", "open_works", "held_works"}
    | {"speakers", "key_line"}
)
_ADDED = frozenset({"task", "work", "lease", "attempt"})

# kind -> (statement, row to record); the first column of a row is its key
BY_KEY: Mapping[str, tuple[str, Callable[[rows.Row], Any]]] = {
    "task": ("load_task", rows.TASK.from_row),
    "work": ("load_work", rows.WORK.from_row),
    "lease": ("load_lease", rows.LEASE.from_row),
    "attempt": ("load_attempt", rows.ATTEMPT.from_row),
    "bot": ("load_bot", rows.BOT.from_row),
    "key": ("load_key", rows.API_KEY.from_row),
    "approval": ("load_approval", rows.APPROVAL.from_row),
    "payload": ("load_payload", tuple),
    "key_limit": ("load_key_limit", rows.KEY_LIMIT.from_row),
    "work_rate": ("load_work_rate", rows.WORK_RATE.from_row),
    "cooldown": ("load_cooldown", rows.COOLDOWN.from_row),
    "tenant": ("load_tenant", rows.tenant),
}

_LOOKUPS = GATHER.keys() | BY_KEY.keys() | _APART
