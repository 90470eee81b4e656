"""`Services`: the services and settings that the composition root passes to the HTTP layer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from swarmkeeper.access.admission import Admission
from swarmkeeper.access.identity import Identity
from swarmkeeper.access.key_watch import KeyWatch
from swarmkeeper.access.quotas import Quotas
from swarmkeeper.access.request_turns import RequestPacer
from swarmkeeper.core.model import Json
from swarmkeeper.core.ports import Clock, Entropy, LogWriter
from swarmkeeper.engine.loop import Engine
from swarmkeeper.engine.task_waiters import TaskWaiters
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.http.intake.limits import HttpLimits
from swarmkeeper.http.intake.reader import Readers
from swarmkeeper.http.refusals import Refusals
from swarmkeeper.reads.approval_queries import ApprovalQueries
from swarmkeeper.reads.feed import Feed
from swarmkeeper.reads.insight.changes import ChangeFeed
from swarmkeeper.reads.insight.flow import Flow
from swarmkeeper.reads.insight.shared_reads import SharedReads
from swarmkeeper.reads.message_queries import Messages
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.reading_thread import ReadingThread, SmallTasks
from swarmkeeper.reads.tasks.known_tasks import KnownTasks
from swarmkeeper.secrets.broker import SecretBroker


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    engine: Engine
    queries: Queries
    task_waiters: TaskWaiters
    approval_queries: ApprovalQueries
    reading_thread: ReadingThread
    small_tasks: SmallTasks
    known_tasks: KnownTasks
    messages: Messages
    feed: Feed
    admission: Admission
    pace: RequestPacer
    readers: Readers
    identity: Identity
    quotas: Quotas
    key_watch: KeyWatch
    secrets: SecretBroker
    rules: Rulebook
    clock: Clock
    entropy: Entropy
    log: LogWriter
    version: str
    refusals: Refusals
    metrics: Callable[[str | None], tuple[bytes, str]]  # by tenant (None: all): the text and its media type
    log_keys: Callable[[str], Sequence[str]]  # what verifies the checkpoints of a tenant's audit log
    # Has "ready"; True also returns every check, or with a tenant those that tell nothing of others.
    readiness: Callable[[bool, str | None], Mapping[str, Json]]
    answered: Callable[[str, str, int, int], None]  # method, path template, status, microseconds
    limits: HttpLimits
    flow: Flow
    changes: ChangeFeed
    shared_reads: SharedReads
    operation_started: Callable[[], None]
    erasable: Callable[[str], Awaitable[int]]  # by tenant: until when what is erased on request has changed last
    # Makes the traceparent of a lease from that of its task and the lease's id; None: a lease has that of its task.
    trace_of_lease: Callable[[str, str], str] | None = None
