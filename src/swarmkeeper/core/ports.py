"""What the inside needs of the outside, as protocols. Adapters live in storage/, broker/ and at the root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import (
    Answered,
    ApiKey,
    Approval,
    Attempt,
    AuditLeaf,
    AuditTree,
    BackgroundJob,
    Bot,
    Edge,
    Event,
    Feedback,
    Idempotency,
    Json,
    LateResult,
    Lease,
    Message,
    Principal,
    Queue,
    QueueEntry,
    Redacted,
    Task,
    Tenant,
    Timer,
    Work,
)


class Clock(Protocol):
    def now(self) -> int:
        """Microseconds since the epoch, UTC. May jump."""

    def monotonic(self) -> int:
        """Microseconds since some fixed moment. Never goes back."""

    async def sleep(self, microseconds: int) -> None: ...


class Entropy(Protocol):
    def seed(self) -> bytes:
        """Sixteen bytes for one command: all its ids and jitter derive from them."""

    def secret(self, size: int) -> bytes:
        """Bytes fit for keys and peppers."""


class Rules(Protocol):
    """What decisions ask of govern."""

    hash: str

    def redact(self, value: Json, own: Mapping[str, Json] | None = None, *, tenant: str | None = None) -> Redacted:
        """The value without its secrets. `own` are more members of it, of which nothing came from outside: ids,
        digests, numbers and words of ours. They are looked at only where a rule names their place. Where `tenant` is
        named, what stands for equal secrets of it is equal."""

    def text(self, value: str, *, tenant: str | None = None) -> str: ...

    def in_force(self) -> Rules:
        """The rules as they are now, for as long as one batch takes."""

    def may(self, principal: Principal, action: str) -> bool: ...

    def why_not(self, principal: Principal, action: str) -> str: ...

    def check_schema(self, schema: Mapping[str, Json]) -> tuple[Detail, ...]:
        """What keeps a JSON Schema from being used for answers; places are below `/schema`."""

    def check_answer(self, schema: Mapping[str, Json], answer: Json) -> tuple[Detail, ...]:
        """Where an answer is not what the schema asks for; places are below `/answer`."""


# A thing to be loaded: (kind, key), as `Lookup.of` makes it. lookups.py has the kinds.
Key = tuple[str, Any]


@dataclass(slots=True)
class Changes:
    """All that one batch (or one part of it) writes. Records with a `version` are written over version - 1."""

    queues: list[Queue] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    leases: dict[str, Lease] = field(default_factory=dict)  # by work id
    leases_gone: dict[str, None] = field(default_factory=dict)  # work ids, in order
    ready: dict[str, QueueEntry | None] = field(default_factory=dict)  # by work id; None takes it out
    timers: dict[tuple[str, str], int | None] = field(default_factory=dict)  # (kind, ref) -> due; None clears it
    attempts: list[Attempt] = field(default_factory=list)
    payloads: dict[str, tuple[str, bytes] | None] = field(
        default_factory=dict
    )  # id -> (task id, JSON); None removes it
    bots: dict[str, Bot | None] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    tenants: dict[str, Tenant] = field(default_factory=dict)  # what they may have; `opened` counts
    opened: dict[str, int] = field(default_factory=dict)  # by tenant: tasks opened less tasks that became final
    opened_subtasks: dict[str, int] = field(default_factory=dict)  # likewise
    stored: dict[str, int] = field(default_factory=dict)  # by tenant: bytes of bodies written to be kept
    approvals: dict[str, Approval] = field(default_factory=dict)
    jobs: dict[str, BackgroundJob | None] = field(default_factory=dict)
    late_results: list[LateResult] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    idempotency: list[Idempotency] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    leaves: list[AuditLeaf] = field(default_factory=list)
    trees: dict[str, AuditTree] = field(default_factory=dict)
    alive_at: int | None = None
    requests: dict[str, str] = field(default_factory=dict)  # audit id of events -> id of the call; for the log alone

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


class StaleVersion(Exception):
    """Another writer was there first: run the batch again on what is there now."""


class StoreUnavailable(Exception):
    """The store cannot take the batch now (full, locked, connection lost). Nothing was done."""


class StoreLost(StoreUnavailable):
    """The store's files were removed or replaced while it was open. It takes nothing more: end the process.

    What was asked last may be in the files that are gone; it must not be acknowledged.
    """


class StoreDamaged(Exception):
    """A part of the store is not as it was written. What needs that part fails; the rest goes on."""


class Transaction(Protocol):
    """One transaction."""

    async def load(self, needs: Iterable[Key]) -> Mapping[Key, Any]:
        """Read in bulk what is named; nothing is locked twice. The answer has every want, and may have more.

        lookups.py says of each kind what its keys are, what is found under them, and what is brought along.
        """

    async def levels(self, tenant: str, queues: Sequence[int]) -> list[tuple[int, int, int]]:
        """Each (queue, priority) at which something of the tenant can be handed out, for these queues; and since when
        what waits longest there has waited."""

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
        """Up to `limit` items of one (queue, priority), by (place, work) from the first one > `after`; none whose
        `excluded` names the owner. Owner "" sees all.

        Args:
            by_age: by (since, work) instead, for all owners.
        """

    async def due(self, now: int, limit: int) -> list[Timer]:
        """Timers due at `now`, the earliest first."""

    async def job_tenants(self) -> list[str]:
        """Tenants that have open jobs."""

    async def next_jobs(self, limit: int, after: str, tenant: str) -> list[BackgroundJob]:
        """The oldest open job of each of a tenant's tasks, by task id from the first one > `after`, going round."""

    async def save(self, changes: Changes) -> int:
        """Write the changes and return the cursor of the last event. May be called more than once in a unit.

        Raises:
            StaleVersion: a record was not at version - 1.
        """

    async def purge(self, now: int, limit: int) -> int:
        """Remove up to `limit` idempotency keys that ended before `now`; how many were removed."""


R = TypeVar("R")


class Read(str, Generic[R]):
    """The name of a query that a store answers, with the class of the answer's rows and the query's parameters.

    The class is a dataclass or a NamedTuple. Its fields are called as the columns that they take, in any order; only a
    field with a default may lack a column.
    """

    __slots__ = ("parameters", "row")
    row: type[R]
    parameters: frozenset[str]

    def __new__(cls, name: str, row: type[R], *parameters: str) -> Read[R]:
        read = super().__new__(cls, name)
        read.row, read.parameters = row, frozenset(parameters)
        return read


class Reader(Protocol):
    """What can be asked by name: a store, or a snapshot of it."""

    async def read(self, name: str, parameters: Mapping[str, Any]) -> list[Any]:
        """The rows of one named query, on what is committed: records of `name.row`, or dicts of columns where the name
        is a plain string.

        The names are those of core/named_reads.py, whose `fetch` gives the answer its type.
        """


class ReadsOnly(Reader, Protocol):
    """What can be looked at."""

    def snapshot(self) -> AbstractAsyncContextManager[Reader]:
        """The store as it is at one moment, for as long as the block lasts: what is committed meanwhile is not seen.

        Within the block only its own reads are awaited.
        """


class Store(ReadsOnly, Protocol):
    """Durable truth. At most one orchestrator has a SQLite store open."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """A unit that commits when the block ends, and rolls back when it raises.

        Raises:
            StoreUnavailable: nothing was done; the caller may try again.
            StoreLost: here and in every other method, from when the store's files are others.
            StoreDamaged: here and in every other method, where it meets a part that is not as it was written.
        """

    async def start(self) -> Started:
        """What the engine must know before its first batch."""

    async def grace(self, now: int, start_floor: int, *, moved: int = 0) -> None:
        """After a stop: nothing a bot's silence causes is due before `now` + half its lease's TTL (lease and its end),
        and before `start_floor` (schedule-to-start). Due times are raised to that, never added up.

        Args:
            moved: how far time was set forward at once, in which no bot could beat or work: as much is left of leases.
        """

    async def set_back(self, by: int, wall: int) -> None:
        """Set the time that the store has reached back by so much, and with it all that is still to come, so that as
        much is left of everything as before. What came in after `wall`, which cannot be, is moved too; events, audit
        records and attempts keep what was written down. Only while no job is open, and nobody else writes."""

    async def changed_outside(self) -> bool:
        """Whether another process has written since the last call."""


@dataclass(frozen=True, slots=True)
class Started:
    alive_at: int  # engine time that the last run reached; 0 for a new store
    queues: tuple[Queue, ...]
    next_due: int | None
    held: Mapping[str, int]  # bot id -> live leases
    pepper: bytes  # made with the store, for where none is configured
    bots: tuple[Bot, ...]
    jobs: bool  # whether any is open


class Broker(Protocol):
    """Carries hints to look again. A lost hint costs a moment, never a fact."""

    async def publish(self, topic: str, body: bytes = b"") -> None: ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...
