"""Protocols of what the core needs from outside. Adapters live in storage/, broker/ and at the root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from swarmkeeper.core.erasure.records import ErasedKeyRecord
from swarmkeeper.core.errors import Detail
from swarmkeeper.core.kills.records import KillRecord
from swarmkeeper.core.model import (
    AnswerRecord,
    ApiKey,
    ApprovalRecord,
    AttemptRecord,
    AuditLeaf,
    BackgroundJob,
    BotRecord,
    BudgetAccount,
    Cooldown,
    Edge,
    Event,
    FeedbackRecord,
    Idempotency,
    Json,
    KeyLimit,
    LateResultRecord,
    LeaseRecord,
    MessageRecord,
    Principal,
    Queue,
    QueueEntry,
    Redacted,
    TaskRecord,
    Tenant,
    Timer,
    Work,
    WorkRate,
)
from swarmkeeper.core.persons.records import PersonRecord
from swarmkeeper.core.policies.records import Policies
from swarmkeeper.core.retention import LegalHoldRecord
from swarmkeeper.core.secrets.records import RowKey, SecretRecord
from swarmkeeper.core.tallies.records import CostKey, CountKey, LabelKey, Spent


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch, UTC. May jump."""

    def monotonic(self) -> int:
        """Microseconds since some fixed moment. Never goes back."""

    async def sleep(self, microseconds: int) -> None: ...


class Entropy(Protocol):
    def seed(self) -> bytes:
        """Return 16 bytes for one command; all its ids and jitter derive from them."""

    def secret(self, size: int) -> bytes:
        """Return random bytes fit for keys and peppers."""


class LogWriter(Protocol):
    """Writes one line of the log, with its fields."""

    def __call__(self, event: str, **fields: Any) -> None: ...


class Rules(Protocol):
    """The rules of access and redaction that decisions use; govern implements them."""

    hash: str
    policies: Policies | None  # what else restricts callers; None: nothing

    def redact(self, value: Json, own: Mapping[str, Json] | None = None, *, tenant: str | None) -> Redacted:
        """Return the value without its secrets.

        Args:
            own: more members of the value, made by the engine: ids, digests, numbers and fixed words. They are
                scanned only if a rule names their path.
            tenant: whose text it is. Values released to its bots are hidden, and equal secrets get equal replacements.
                None: text of no single tenant, which only operators read; what was released to any bot is hidden.
                Empty: text of somebody unknown; nothing that was released is hidden, or the answer would tell of it.
        """

    def text(self, value: str, *, tenant: str | None) -> str: ...

    def in_force(self) -> Rules:
        """Return the current rules, which stay the same for one batch."""

    def may(self, principal: Principal, action: str) -> bool: ...

    def why_not(self, principal: Principal, action: str) -> str: ...

    def check_schema(self, schema: Mapping[str, Json], *, tenant: str) -> tuple[Detail, ...]:
        """Return why a JSON Schema cannot be used for answers; pointers are below `/schema`."""

    def check_answer(self, schema: Mapping[str, Json], answer: Json, *, tenant: str) -> tuple[Detail, ...]:
        """Return where an answer violates the schema; pointers are below `/answer`."""


# A row to load: (kind, key), as `Lookup.of` returns it. lookups.py has the kinds.
Key = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class TileHash:
    """The root of a full tile of a tenant's audit log: of 256 records at level 1, of 256 such tiles at level 2, …"""

    tenant: str
    level: int
    place: int  # its number in the level
    hash: bytes


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """Size and root of a tenant's audit log, signed."""

    tenant: str
    size: int
    root: bytes
    at: int  # microseconds
    note: str  # as it is published


@dataclass(slots=True)
class Changes:
    """All writes of one batch, or of a part of it. Records with a `version` replace version - 1."""

    queues: list[Queue] = field(default_factory=list)
    tasks: dict[str, TaskRecord] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    leases: dict[str, LeaseRecord] = field(default_factory=dict)  # by work id
    leases_gone: dict[str, None] = field(default_factory=dict)  # work ids, in order
    ready: dict[str, QueueEntry | None] = field(default_factory=dict)  # by work id; None takes it out
    # (kind, ref) -> due; None clears it. The kinds `lease`, `ends` and `start` repeat a time of the same changes: of
    # `leases`, and of an item in `works` that goes to `ready`. So a store may take them from those rows.
    timers: dict[tuple[str, str], int | None] = field(default_factory=dict)
    attempts: list[AttemptRecord] = field(default_factory=list)
    payloads: dict[str, tuple[str, bytes] | None] = field(
        default_factory=dict
    )  # id -> (task id, JSON); None removes it
    bots: dict[str, BotRecord | None] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    key_uses: dict[str, int] = field(default_factory=dict)  # key -> when it was last used, by the wall clock
    tenants: dict[str, Tenant] = field(default_factory=dict)  # shares and limits; `opened` has the counts
    tenant_budgets: dict[str, BudgetAccount | None] = field(default_factory=dict)
    opened: dict[str, int] = field(default_factory=dict)  # by tenant: tasks opened less tasks that became final
    opened_subtasks: dict[str, int] = field(default_factory=dict)  # likewise
    stored: dict[str, int] = field(default_factory=dict)  # by tenant: bytes of stored bodies
    # What to add to each count and sum; see core/tallies/.
    task_counts: dict[CountKey, int] = field(default_factory=dict)
    label_counts: dict[LabelKey, int] = field(default_factory=dict)
    costs: dict[CostKey, Spent] = field(default_factory=dict)
    relabelled: dict[str, Mapping[str, str]] = field(default_factory=dict)  # by task: the labels that it had before
    # What tasks are listed by beside labels, as tenant, mark, created_at, task; whether they are from now on.
    marks: dict[tuple[str, str, int, str], bool] = field(default_factory=dict)
    approvals: dict[str, ApprovalRecord] = field(default_factory=dict)
    jobs: dict[str, BackgroundJob | None] = field(default_factory=dict)
    key_limits: dict[str, KeyLimit | None] = field(default_factory=dict)
    rates: dict[str, WorkRate | None] = field(default_factory=dict)
    cooldowns: dict[str, Cooldown | None] = field(default_factory=dict)
    late_results: list[LateResultRecord] = field(default_factory=list)
    feedback: list[FeedbackRecord] = field(default_factory=list)
    answered: list[AnswerRecord] = field(default_factory=list)
    messages: list[MessageRecord] = field(default_factory=list)
    idempotency: list[Idempotency] = field(default_factory=list)
    # Events and records get their numbers from the store: while they are saved, or after the commit.
    events: list[Event] = field(default_factory=list)
    leaves: list[AuditLeaf] = field(default_factory=list)
    legal_holds: dict[tuple[str, str], LegalHoldRecord | None] = field(default_factory=dict)  # by tenant and task
    # Statements of retention.sql with their parameters, run in order after everything else was written.
    erased: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    operations: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)  # likewise, of operations.sql
    tile_hashes: list[TileHash] = field(default_factory=list)  # one that is stored already stays
    checkpoints: list[SignedCheckpoint] = field(default_factory=list)  # of an hour, only the largest is kept
    sink_cursors: dict[str, int] = field(default_factory=dict)  # by name; they move forward, never back
    kills: dict[str, KillRecord | None] = field(default_factory=dict)  # None removes it
    persons: dict[str, PersonRecord] = field(default_factory=dict)
    erased_keys: dict[str, ErasedKeyRecord] = field(default_factory=dict)  # data keys that are destroyed
    # Statements on sessions with their parameters, in order.
    sessions: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    secret_rows: dict[RowKey, SecretRecord | None] = field(default_factory=dict)  # None removes it
    alive_at: int | None = None
    requests: dict[str, str] = field(default_factory=dict)  # audit id of events -> request id; only for the log

    def __bool__(self) -> bool:
        return any(_members(self))


_members = attrgetter(*(member.name for member in fields(Changes)))


class StaleVersion(Exception):
    """Another writer changed a record first: run the batch again on the new state."""


class RowsBusy(StaleVersion):
    """Another writer has what a later load named: run the batch again, with `needs` in its first load."""

    def __init__(self, needs: Iterable[Key]) -> None:
        self.needs = tuple(needs)
        super().__init__(f"another writer has {self.needs}")


class StoreUnavailable(Exception):
    """The store cannot take the batch now (full, locked, connection lost). Nothing was done."""


class StoreLost(StoreUnavailable):
    """The store's files were removed or replaced while it was open. It takes no more writes: end the process.

    The last commands may be only in the lost files; do not acknowledge them.
    """


class StoreDamaged(Exception):
    """A part of the store is damaged. Operations that need that part fail; others work."""


class Transaction(Protocol):
    """One transaction."""

    reads_together: bool  # reads of one load take one round trip to a server: one more costs little

    async def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        """Read these rows in bulk. The result has every requested key, and may have more.

        lookups.py describes the keys and results of each kind, and which other rows it loads. Until the transaction
        ends, no other writer can change the tasks that were loaded, nor anything that belongs to them. For that, the
        first load of a transaction waits as long as it must; later loads never wait, so no two writers wait for each
        other.

        Raises:
            RowsBusy: a later load named what another writer has now.
        """

    async def now(self, engine: int) -> int:
        """Return the time at which this transaction decides; call it after the first load.

        Args:
            engine: the caller's engine time. A store with several engines has a clock of its own, and ignores it.
        """

    async def leases_held(self, bots: Sequence[str]) -> Mapping[str, int]:
        """Count the leases of these bots, with those in their grace period; bots without any are left out."""

    async def levels(self, tenant: str, queues: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return (queue, priority, since) for these queues, where the tenant has items to lease.

        `since` is when the oldest of these items joined its queue.
        """

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
        """Return up to `limit` items of one (queue, priority), ordered by (position, work), from the first > `after`.

        Items of tasks that another writer has now are left out; fewer than `limit` items means that there are no more.

        Args:
            owner: leave out items that exclude this owner; "" leaves out none.
            by_age: order by (since, work) instead, for all owners.
        """

    async def queue_heads(self, tenant: str, lines: Sequence[tuple[int, int, int]]) -> list[list[QueueEntry]]:
        """Return the first items of each (queue, priority, limit), as `queue_entries` does without an owner."""

    async def due(self, now: int, limit: int) -> list[Timer]:
        """Return up to `limit` timers that are due at `now`, the earliest first.

        Those of tasks that another writer has now are left out.
        """

    async def job_tenants(self) -> list[str]:
        """Return the tenants that have open jobs."""

    async def next_jobs(self, limit: int, after: str, tenant: str) -> list[BackgroundJob]:
        """Return the oldest open job of each task of a tenant, without the tasks that another writer has now.

        The order is by task id, from the first one > `after`, and wraps around.
        """

    async def save(self, changes: Changes) -> None:
        """Write the changes. May be called more than once in a transaction.

        Events and audit records get their numbers now, or after the commit in the order of commits: until then no
        reader sees them, but they are as durable as everything else.

        Raises:
            StaleVersion: a record was not at version - 1, or was made by another writer, too.
        """

    async def purge(self, now: int, limit: int) -> int:
        """Remove up to `limit` idempotency keys that expired before `now`; return the number removed."""


R = TypeVar("R")


class Read(str, Generic[R]):
    """The name of a store query, with its row class and its parameters.

    The class is a dataclass or a NamedTuple. Its fields are named like the query's columns, in any order; a field
    without a column must have a default.
    """

    __slots__ = ("parameters", "row")
    row: type[R]
    parameters: frozenset[str]

    def __new__(cls, name: str, row: type[R], *parameters: str) -> Read[R]:
        read = super().__new__(cls, name)
        read.row, read.parameters = row, frozenset(parameters)
        return read


class Reader(Protocol):
    """Runs named reads: a store, or a snapshot of it."""

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the committed rows of one named query: `name.row` records, or dicts of columns for a plain string.

        core/named_reads.py has the names; its `fetch` gives the answer its type.
        """


class ReadsOnly(Reader, Protocol):
    """A store that can be read but not written."""

    def snapshot(self) -> AbstractAsyncContextManager[Reader]:
        """Read the store as of one moment for the whole block; later commits are not visible.

        Inside the block, await only reads of the snapshot.
        """


class NotReadAhead(Exception):
    """A read that was not among those that were sent together: begin again with a snapshot."""


@runtime_checkable
class ReadsAhead(Protocol):
    """A store in a server, where each read of a snapshot costs a round trip, and its begin and end two more."""

    async def read_ahead(self, asked: Sequence[tuple[str, Mapping[str, Any]]]) -> Reader | None:
        """Run named reads at once, as of one moment; return a reader that has their rows.

        It can also read payloads, which never change; other reads raise `NotReadAhead`. None: use a snapshot, which
        teaches the store what it lacks.
        """


class Store(ReadsOnly, Protocol):
    """The durable state. At most one server has a SQLite store open."""

    shared: bool  # whether several servers may have it open at the same time

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction that commits at the end of the block, and rolls back if the block raises.

        Raises:
            StoreUnavailable: nothing was done; the caller may try again.
            StoreLost: the store's files were removed or replaced; every method raises it from then on.
            StoreDamaged: a needed part of the store is damaged; every method may raise it.
        """

    async def start(self) -> Started:
        """Return what the engine needs before its first batch."""

    async def look(self) -> Looked:
        """Return what servers keep in memory although others change it. One of a shared store asks twice a second."""

    async def grace(self, now: int, start_floor: int, *, moved: int = 0) -> None:
        """Give bots time after a stop, in which they could not send heartbeats.

        No lease expires or ends before `now` + half its TTL, and no schedule-to-start before `start_floor`. Due times
        are raised to that; repeated calls do not add up.

        In a shared store, this does nothing while other servers are alive, which bots could reach.

        Args:
            moved: microseconds by which time jumped forward; leases keep their remaining time.
        """

    async def set_back(self, by: int, wall: int) -> None:
        """Set the store's time back by `by` microseconds.

        All due times move with it, so that remaining times stay the same. Items that arrived after `wall`, which is
        impossible, move too; events, audit records and attempts keep their times. Call this only while no job is open
        and no other process writes.
        """

    async def changed_outside(self) -> bool:
        """Return whether another process has written since the last call."""

    async def keep_sink(self, name: str, owner: str, seq: int, *, seconds: float) -> int | None:
        """Own the sink for some seconds, and move its cursor forward to the event `seq`; never back.

        Calling it again changes nothing but the time.

        Args:
            name: of the sink; one that is new begins before the first event.
            seconds: for how long others are kept away; 0 lets it go.

        Returns:
            the cursor; None if another owner has the sink.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    queues: tuple[Queue, ...]
    waiting: tuple[int, ...]  # ids of the queues that have items
    next_due: int | None  # when the next timer is due
    jobs: bool  # whether a job is open
    cooling: tuple[str, ...]  # ids of the cooldowns


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Looked):
    alive_at: int  # engine time that the last run reached; 0 for a new store
    # Created with the store; used if none is configured, and if there is no `pepper_check`.
    pepper: bytes = field(repr=False)
    pepper_check: bytes | None = None  # the pepper is kept outside of the store, and this follows from it
    cursor_key: bytes = field(repr=False)  # created with the store: see govern/cursors.py
    numbers_until: int  # clients of older versions keep numbers of events up to this one


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    seq: int
    id: str  # no other event of any store has it
    tenant: str
    kind: str
    body: bytes  # a CloudEvent as JSON


class OutgoingStream(Protocol):
    """Takes events for programs outside. Every error may be temporary: open it again, and append from the cursor on."""

    name: str  # what the store remembers the cursor by
    place: str  # where it is, without credentials

    async def open(self) -> None:
        """Connect. Raises what the driver raises."""

    async def append(self, events: Sequence[OutgoingEvent]) -> int:
        """Append events in order, and return how many of the first ones are stored there for certain, at least one.

        If it raises, some of the first ones may be stored, but none without those before it.

        Raises:
            EventTooLarge: the first event is; the others may be appended without it.
        """

    async def close(self) -> None:
        """Disconnect. Never raises; may be called at any time."""


class EventTooLarge(Exception):
    """The other side takes no event of this size."""


EVENTS_TOPIC = "events"  # hints that there are new events
WRITTEN_TOPIC = "written"  # hints to the server that numbers events: another one has written some
LOOK_TOPIC = "look"  # hints to other servers: the ids of queues that got items
MET_TOPIC = "met"  # hints to other servers: one more runs


Heard = tuple[str, int, int]  # a bot, when it last called, and when it last asked for work (0: never), in microseconds


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """A server that has a shared store open."""

    id: str  # drawn at its start
    version: str
    rules: str  # hash of its redaction rules
    known: int = 0  # up to which event of the feed it knows the secrets that were released
    flow: str = ""  # JSON: by tenant and queue, how many items came and were leased in the last minute


class SharedStore(Store, Protocol):
    """A store that several servers may have open."""

    # Whether the next transaction begins at once: the commit before begins it, too. Whoever runs transactions sets it.
    more_waits: Callable[[], bool]
    # As the database is configured, when the store is opened:
    servers_max: int  # for how many it has room
    not_durable: str  # names the settings that are off without which a crash of its machine loses commits, or more

    @property
    def numbers_events(self) -> bool:
        """Whether this server numbers the events of all: one does at a time. Until then nobody reads them."""

    def numbered_ago(self) -> float | None:
        """Return how many seconds ago everything that was committed before had its number.

        Returns None if this server does not number events: then the store must be asked.
        """

    def numbered_after(self, seq: int) -> list[tuple[Any, ...]] | None:
        """Return the events that this server has numbered after this one, with their numbers, if these are all.

        Returns None if they must be read. Events before are asked for no more.
        """

    def on_numbered(self, call: Callable[[], Awaitable[None]], *, followed: Callable[[], bool]) -> None:
        """Have `call` called whenever this server has numbered events.

        Args:
            followed: whether somebody waits for the numbers of events as soon as they are committed. If nobody does,
                more of them are numbered together; who reads events does not wait longer.
        """

    def look_for_events(self) -> None:
        """Number at once what other servers have written, if this server numbers events."""

    async def forget_erased(self) -> None:
        """Forget the data keys that another server has destroyed.

        Raises:
            StoreUnavailable: they are not known.
        """

    async def share_presence(self, heard: Sequence[Heard], *, microseconds: int) -> Sequence[Heard]:
        """Tell the other servers which bots this one has heard, and return what all have told in that time.

        Raises:
            StoreUnavailable: nothing was told.
        """

    async def meet(self, own: ServerSeen, *, microseconds: int) -> Sequence[ServerSeen]:
        """Tell the other servers of this one, and return all that have told in that time, this one among them.

        Raises:
            StoreUnavailable: nothing was told.
        """

    async def leave(self, server: str) -> None:
        """Tell the other servers that this one has ended.

        Raises:
            StoreUnavailable: they were not told, and see it when it has not told for some time.
        """


class Broker(Protocol):
    """Carries hints to read again. A lost hint only causes a delay."""

    async def publish(self, topic: str, body: bytes = b"") -> None: ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...
