"""The records that the engine works on. Plain and slotted: they live inside one batch, and never leave the engine.

Times are integer microseconds since the epoch (UTC), `None` where there is none. Dicts and lists inside records are
replaced, never changed in place, so that a shallow copy is enough to go back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmkeeper.core.states import (
    AttemptOutcome,
    BotType,
    Condition,
    Decision,
    ErrorClass,
    Evaluation,
    Kind,
    Outcome,
    Status,
    TaskStatus,
)

Json = Any  # what a JSON document can hold


@dataclass(frozen=True, slots=True)
class RedactedField:
    pointer: str  # JSON Pointer (RFC 6901)
    rule: str
    action: str = "replaced"
    within: str = "value"  # value | key


@dataclass(frozen=True, slots=True)
class Redacted:
    """What may enter the evidence. Made in one place, govern/redaction/redactor.py."""

    value: Json
    fields: tuple[RedactedField, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as the credential says."""

    tenant: str
    key_id: str
    role: str
    bot: str | None = None  # the one bot name it may act as
    owner: str | None = None
    skills: frozenset[str] | None = None  # what its bot may claim to be able to do; None: anything


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and defaults of the rules. Built from settings at the root; durations in microseconds."""

    lease_ttl: int = 30_000_000
    timeout: int = 900_000_000
    start: int = 86_400_000_000  # schedule-to-start
    answer: int = 604_800_000_000  # how long an approval stays open
    max_attempts: int = 3
    crashes_max: int = 3
    give_up: int = 3_600_000_000  # how long work may be put off in a row, so that nothing goes round for ever
    # A lease nobody saw is a lost reply, five in a row are work that kills its bot at once.
    unseen_max: int = 4
    refusals_max: int = 3
    late_results_max: int = 20  # kept for one item
    messages_max: int = 1_000  # on one task; whoever comes to work on it is given all that are for it
    slice_rows: int = 500
    idempotency: int = 86_400_000_000
    away: int = 120_000_000
    forget_bots: int = 86_400_000_000  # not heard of for so long, a bot leaves the fleet; 0: never
    # What a tenant may have, where it was not given other bounds; 0 is no bound.
    open_tasks: int = 0
    open_subtasks: int = 0
    stored_bytes: int = 0


@dataclass(slots=True)
class Task:
    id: str
    tenant: str
    status: TaskStatus
    priority: int
    created_at: int
    updated_at: int
    spec: str  # id of the payload: description, input, metadata, acceptance_criteria
    title: str
    submitted_by: str  # key id
    labels: Mapping[str, str] = field(default_factory=dict)
    planner_skills: tuple[str, ...] = ()
    evaluator_skills: tuple[str, ...] = ()
    evaluation: Evaluation = Evaluation.FINAL
    quorum: tuple[int, int] = (1, 1)  # (accept, of)
    max_rounds: int = 3
    approval: str = "none"  # none | plan | final | rounds
    plan_timeout: int = 0
    review_timeout: int = 0
    defaults: Mapping[str, Json] = field(default_factory=dict)  # timeout_seconds, max_attempts, …
    outcome: Outcome | None = None
    failure: Mapping[str, Json] | None = None  # {code, detail, work_id?}
    hold_reasons: tuple[str, ...] = ()  # sorted
    version: int = 0  # grows with every write
    sequence: int = 0  # of the last event
    n_total: int = 0  # execute items
    n_open: int = 0  # of them, not final
    n_failed: int = 0  # of them, FAILED or CANCELLED
    round: int = 1
    reworks: int = 0  # final verdicts of rework since the last retry
    deadline: int | None = None
    deadline_left: int | None = None  # while the clock of the deadline stands
    planned: bool = False  # a plan was accepted once
    started: bool = False  # an execute item was leased once
    loading: bool = False  # rows of the plan, or of a reopen, are still being written: nothing is handed out
    contributors: tuple[str, ...] = ()  # owners who planned or made a result
    verdict: str | None = None  # payload id of the combined verdict
    usage: Mapping[str, int] = field(default_factory=dict)
    trace: str = ""  # W3C traceparent of the submission
    position: int = 0  # when it came in, and then when its plan was accepted: what was begun first is finished first


@dataclass(slots=True)
class Work:
    id: str
    task: str
    tenant: str
    kind: Kind
    key: str
    queue: int
    status: Status
    priority: int
    created_at: int
    position: int = 0  # when it joined its queue, no two alike; kept over a release
    subject: str | None = None  # of the review of one subtask: that subtask's work id
    attempt: int = 0  # leases ever granted: for order and display, never reset
    tries: int = 0  # failed or timed out since the last reopen; max_attempts bounds it
    crashes: int = 0  # expired after being seen, since the last reopen
    deferrals: int = 0  # costless endings in a row
    put_off: int = 0  # how long it was to wait after them, in all
    give_up: int = 3_600_000_000  # where that ends it
    unseen: int = 0  # leases in a row whose id never came back
    start_due: int | None = None  # when it ends for want of a taker; only while READY and not held
    start_left: int = 0  # of the schedule-to-start, while its clock stands
    start: int = 0  # the whole of it
    pending: int = 0  # edges not yet settled
    round: int = 1
    reworks: int = 0  # verdicts of rework on this item alone, since the last reopen
    timeout: int = 0
    max_attempts: int = 3
    continue_on_failure: bool = False  # on_failure is `continue`
    failure_handled: bool = False  # a failure of it is: it continues, or an edge for it leaves it
    wake: int | None = None  # WAITING until then; None: until an answer
    payload: str | None = None  # payload id: description, input …
    result: str | None = None  # payload id of the accepted result
    result_hash: str | None = None
    checkpoint: str | None = None  # payload id of what the last attempt left
    excluded: tuple[str, ...] = ()  # owners who may not have it
    reviewer_owner: str | None = None  # of a final review: the owner who has it, or has voted with it
    error: Mapping[str, Json] | None = None  # why it FAILED
    since: int = 0  # when it came into its present status
    version: int = 0
    ordinal: int = 0  # how many stood before it: in its plan, or in its round of reviews


@dataclass(frozen=True, slots=True)
class Queue:
    """Items that the same bots may take."""

    id: int
    kind: Kind
    skills: tuple[str, ...]  # sorted
    assign_to: str | None = None  # a bot's name


@dataclass(slots=True)
class Lease:
    work: str
    task: str
    tenant: str
    lease_id: str
    attempt: int
    bot: str  # bot id
    claim_id: str | None
    granted_at: int
    expires_at: int
    ends_at: int
    ttl: int
    seen: bool = False
    refusals: int = 0  # that count against it
    refused: tuple[str, ...] = ()  # hashes of refused contents, one for each refusal
    progress: Mapping[str, Json] | None = None
    usage: Mapping[str, int] | None = None
    checkpoint: str | None = None  # payload id
    cancelled: bool = False  # its task closed: lives on for its grace only
    version: int = 0


@dataclass(slots=True)
class Attempt:
    """One try, written once, when it ends."""

    work: str
    task: str
    tenant: str
    attempt: int
    lease_id: str
    bot: str
    started: int
    ended: int
    ending: AttemptOutcome
    round: int = 1
    error: Mapping[str, Json] | None = None
    result: str | None = None  # payload id
    result_hash: str | None = None
    usage: Mapping[str, int] | None = None
    answer: str | None = None  # of an `asked` or `released` attempt: what the first call was answered
    reason: str | None = None  # why the bot gave it back; redacted
    progress: Mapping[str, Json] | None = None  # how far it had come, with its last lines; redacted, see said.py


@dataclass(slots=True)
class Edge:
    task: str
    parent: str  # work id
    child: str  # work id
    condition: Condition


@dataclass(slots=True)
class Bot:
    id: str
    tenant: str
    type: BotType
    name: str
    instance: str
    version: str
    owner: str  # its own id where the key has none
    key_id: str
    created_at: int
    skills: tuple[str, ...] = ()  # sorted
    capacity: int = 1
    dedicated: bool = False
    endpoint: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    status: str = "active"  # active | draining | disabled; `away` is seen, not stored
    last_seen: int = 0
    row_version: int = 0


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    weight: int = 1  # of the engine's time where several want it
    max_backlog: int | None = None  # tasks that are not final; None: no bound
    open_tasks: int = 0  # those that are not final now
    open_subtasks: int = 0  # of its tasks, those that are not final
    stored_bytes: int = 0  # what its inputs, outputs and messages take, about


@dataclass(slots=True)
class ApiKey:
    id: str  # key_…: the record's
    public_id: str  # the ten characters in the key itself
    tenant: str
    role: str
    digest: bytes  # HMAC of the secret
    created_at: int
    bot: str | None = None
    owner: str | None = None
    skills: tuple[str, ...] | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    previous_digest: bytes | None = None  # still good after a rotation, until previous_until
    previous_until: int | None = None
    version: int = 0


@dataclass(slots=True)
class Approval:
    id: str
    tenant: str
    task: str
    kind: str  # plan | final | rounds | question
    opened_at: int
    expires_at: int
    subject_hash: str
    work: str | None = None
    asked_by: str = ""  # bot name, or key id
    question: str = ""
    choices: tuple[str, ...] = ()
    schema: Mapping[str, Json] | None = None
    subject: Mapping[str, Json] | None = None
    state: str = "open"  # open | decided | expired | cancelled
    decision: Mapping[str, Json] | None = None
    decided_by: str | None = None
    decided_at: int | None = None
    version: int = 0


@dataclass(slots=True)
class BackgroundJob:
    id: str
    task: str
    tenant: str
    kind: str
    created_at: int
    cursor: str = ""
    args: Mapping[str, Json] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class Timer:
    kind: str  # lease, ends, grace, start, wake (ref: work id), deadline (task id), answer (approval id)
    ref: str
    due: int


@dataclass(slots=True)
class QueueEntry:
    """An item that may be handed out now. `position` and then `work` order it within queue and priority.

    `since` is when it joined its queue: how long it has waited.
    """

    work: str
    queue: int
    tenant: str
    priority: int
    position: int
    since: int
    task: str
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    tenant: str
    task: str
    from_bot: str
    to_bot: str | None  # a bot's id or name; None: whoever works on the task
    payload: str  # payload id
    at: int


@dataclass(frozen=True, slots=True)
class LateResult:
    """What a bot sent under a lease that was no longer its own. Seen by operators, never applied."""

    lease_id: str
    content_hash: str
    work: str
    task: str
    tenant: str
    bot: str
    at: int
    payload: str  # payload id


@dataclass(frozen=True, slots=True)
class Feedback:
    work: str
    task: str
    round: int
    text: str
    at: int
    n: int  # order within one moment


@dataclass(frozen=True, slots=True)
class Answered:
    """A question's answer, for the item's next lease."""

    work: str
    task: str
    question: str
    answer: Json
    at: int


@dataclass(frozen=True, slots=True)
class Idempotency:
    tenant: str
    key: str
    request_hash: str
    status: int  # what the edge answered first
    resource: str  # id of what was made or changed; several are parted by a blank
    expires: int


@dataclass(slots=True)
class Event:
    """A fact in the feed. The store gives it its cursor when it is saved."""

    id: str
    at: int
    tenant: str
    task: str | None
    sequence: int  # 1, 2, 3 … within a task; 0 where there is none
    work: str | None
    kind: str  # "task.planned", "work.leased", "bot.registered" …
    actor: str
    audit: str
    body: Redacted


@dataclass(slots=True)
class AuditEntry:
    """Who did what, and what came of it: one for each accepted command and each act of the engine itself."""

    id: str
    at: int
    tenant: str
    actor_type: str  # key | bot | engine | operator
    actor: str
    key_id: str
    action: str  # "task.submit", "work.report" …
    resource: str
    task_id: str | None
    outcome: str  # accepted | refused
    effect: str  # allow | deny
    reasons: tuple[str, ...]
    events: tuple[Event, ...]  # that it caused
    body: Redacted
    salt: bytes
    trace: str = ""


@dataclass(slots=True)
class AuditLeaf:
    """An audit record as it is kept: its place in the tenant's tree, the exact bytes hashed, and the body beside."""

    tenant: str
    index: int
    id: str
    task: str | None
    actor: str
    action: str
    at: int
    leaf: bytes
    salt: bytes
    body: bytes | None  # None once erased
    hash: bytes


@dataclass(frozen=True, slots=True)
class AuditTree:
    """The head of a tenant's audit tree: what is needed to append, and what a verifier compares with."""

    tenant: str
    size: int
    frontier: bytes
    root: bytes


@dataclass(frozen=True, slots=True)
class SubtaskSpec:
    """One node of a plan, as sent, with defaults filled in."""

    key: str
    description: str
    required_skills: tuple[str, ...] = ()
    depends_on: tuple[tuple[str, Condition], ...] = ()
    input: Mapping[str, Json] = field(default_factory=dict)
    timeout: int | None = None
    max_attempts: int | None = None
    give_up: int | None = None  # microseconds
    start: int | None = None
    on_failure: str | None = None  # fail | continue
    assign_to: str | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    subtask: str
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    score: float | None = None
    reasons: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Json], ...] = ()
    targets: tuple[Target, ...] = ()
    subtasks: tuple[SubtaskSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    error_class: ErrorClass
    message: str = ""
    retry_after: int | None = None  # microseconds
