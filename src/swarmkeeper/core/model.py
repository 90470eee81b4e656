"""The engine's records: slotted dataclasses. Mutable ones live inside one batch and never leave the engine.

Times are integer microseconds since the epoch (UTC), or `None`. Dicts and lists inside records are replaced, never
changed in place, so that a shallow copy is enough for undo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.core.policies.labels import Flow, WorkLabels
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

Json = Any  # any JSON value


@dataclass(frozen=True, slots=True)
class FieldRedaction:
    pointer: str  # JSON Pointer (RFC 6901)
    rule: str
    action: str = "replaced"
    within: str = "value"  # value | key


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value without its secrets, fit for the evidence. Only govern/redaction/redactor.py creates it."""

    value: Json
    fields: tuple[FieldRedaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as identified by the credential."""

    tenant: str
    key_id: str
    role: str
    bot: str | None = None  # the only bot name it may act as
    owner: str | None = None
    skills: frozenset[str] | None = None  # skills that its bots may register; None: any
    token: TokenLogin | None = None  # None: the credential is an API key
    person: str | None = None  # id of the person to whom the credential belongs
    sees_own: bool = False  # it sees and steers no tasks but those of its party
    secret_digest: bytes | None = field(default=None, compare=False, repr=False)  # of the secret; see key_watch.py
    session: str | None = None  # id of the browser's session, if the call has its cookie

    @property
    def party(self) -> str:
        """Whose tasks these are: the person's; without a person the owner's; without an owner the key's."""
        if self.person is not None:
            return f"person:{self.person}"
        return f"key:{self.key_id}" if self.owner is None else f"owner:{self.owner}"

    def sees(self, party: str | None) -> bool:
        """Whether the caller may know of a task of this party in its tenant."""
        return not self.sees_own or party == self.party


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits and defaults of the rules, built from the settings. Durations are in microseconds."""

    lease_ttl: int = 30_000_000
    timeout: int = 900_000_000
    start: int = 86_400_000_000  # schedule-to-start
    answer: int = 604_800_000_000  # how long an approval stays open
    max_attempts: int = 3
    crashes_max: int = 3
    give_up: int = 3_600_000_000  # longest total deferral in a row, so that no item is deferred for ever
    unseen_max: int = 4  # one unseen lease is a lost reply; five in a row mean that the work kills its bot at once
    refusals_max: int = 3
    late_results_max: int = 20  # kept for one item
    messages_max: int = 1_000  # on one task; a bot that starts work on it receives all that are for it
    slice_rows: int = 500
    idempotency: int = 86_400_000_000
    away: int = 120_000_000
    forget_bots: int = 86_400_000_000  # a bot that is not seen for this long is removed; 0: never
    open_tasks: int = 0  # of a tenant that has no limit of its own, like the two that follow; 0: no limit
    open_subtasks: int = 0
    stored_bytes: int = 0
    reserve_cost: int = 50_000  # micro-USD that a lease reserves, until attempts of its kind have shown what they need
    reserve_tokens: int = 20_000
    key_expires: int = 0  # unless it is created with another time; 0: never
    # Nobody reviews or approves their own work. False: bots of one key are of different owners, and admins decide all.
    four_eyes: bool = True
    step_up: int = 0  # how long ago who decides may have signed in; 0: a decision needs no sign-in


@dataclass(frozen=True, slots=True)
class BudgetAccount:
    """The budget of a tenant, a task or a subtask: its limits, and what was used of them; see rules/budgets.py.

    The amounts are `cost_micro_usd`, `tokens` and `attempts`; a task's limit may also name `subtasks`.
    """

    limit: Mapping[str, int]
    at_limit: str = "ask"  # ask | stop
    reserved: Mapping[str, int] = field(default_factory=dict)  # for attempts in progress
    spent: Mapping[str, int] = field(default_factory=dict)
    overshoot: Mapping[str, int] = field(default_factory=dict)  # spent beyond the limit, by attempts in progress
    unpriced_tokens: int = 0  # tokens whose cost is not known, and not in `spent`
    told: Mapping[str, int] = field(default_factory=dict)  # per cent of each limit that an event has told


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a lease has reserved, and at which levels: tenant, task, subtask."""

    levels: tuple[str, ...]
    amounts: Mapping[str, int]


@dataclass(slots=True)
class TaskRecord:
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
    n_open: int = 0  # execute items that are not final
    n_failed: int = 0  # execute items that are FAILED or CANCELLED
    round: int = 1
    reworks: int = 0  # final verdicts of rework since the last retry
    deadline: int | None = None
    deadline_left: int | None = None  # remaining time while the deadline's clock is stopped
    planned: bool = False  # a plan was accepted at some time
    started: bool = False  # an execute item was leased at some time
    loading: bool = False  # rows of the plan, or of a reopen, are still being written: nothing is leased
    contributors: tuple[str, ...] = ()  # owners of bots that made the plan or a result
    verdict: str | None = None  # payload id of the combined verdict
    usage: Mapping[str, int] = field(default_factory=dict)
    trace: str = ""  # W3C traceparent of the submission
    position: int = 0  # time of submission, later of the plan's acceptance: tasks started first are finished first
    budget: BudgetAccount | None = None
    subtask_labels: Flow = ()  # all that its subtasks have themselves
    party: str | None = None  # who submitted it; see `Principal.party`. None: a version before there were parties


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
    position: int = 0  # when it joined its queue, unique; a release keeps it
    subject: str | None = None  # for the review of one subtask: that subtask's work id
    attempt: int = 0  # leases ever granted: for order and display, never reset
    tries: int = 0  # failed or timed out since the last reopen; max_attempts bounds it
    crashes: int = 0  # leases that expired after they were seen, since the last reopen
    deferrals: int = 0  # deferred or released attempts in a row
    put_off: int = 0  # total wait of these deferrals
    give_up: int = 3_600_000_000  # total deferral at which it fails
    unseen: int = 0  # leases in a row whose id never came back
    start_due: int | None = None  # when it fails if no bot leases it; only while READY and not held
    start_left: int = 0  # remaining schedule-to-start while its clock is stopped
    start: int = 0  # schedule-to-start
    pending: int = 0  # edges not yet settled
    round: int = 1
    reworks: int = 0  # rework verdicts on this item, since the last reopen
    timeout: int = 0
    max_attempts: int = 3
    continue_on_failure: bool = False  # on_failure is `continue`
    failure_handled: bool = False  # its failure does not fail the task: it continues, or an edge accepts the failure
    wake: int | None = None  # WAITING until then; None: until an answer
    payload: str | None = None  # payload id: description, input …
    result: str | None = None  # payload id of the accepted result
    result_hash: str | None = None
    checkpoint: str | None = None  # payload id of the last attempt's checkpoint
    excluded: tuple[str, ...] = ()  # owners whose bots may not lease it
    reviewer_owner: str | None = None  # for a final review: the owner whose bot has leased it, or has voted with it
    error: Mapping[str, Json] | None = None  # why it FAILED
    since: int = 0  # when it entered its current status
    version: int = 0
    ordinal: int = 0  # its index in the plan, or in its round of reviews
    budget: BudgetAccount | None = None  # only of an execute item
    limits: str | None = None  # JSON: [[key, how many may run at once], …]; None: it has no such key
    line: str | None = None  # id of the key whose line it stands in while READY; see decide/key_lines.py
    labels: WorkLabels | None = None  # None: it has none, and none has flowed in


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue of items that the same bots may lease."""

    id: int
    kind: Kind
    skills: tuple[str, ...]  # sorted
    assign_to: str | None = None  # a bot's name


@dataclass(slots=True)
class LeaseRecord:
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
    refusals: int = 0  # refused reports that count
    refused: tuple[str, ...] = ()  # hash of the content of each refused report
    progress: Mapping[str, Json] | None = None
    usage: Mapping[str, int] | None = None
    checkpoint: str | None = None  # payload id
    cancelled: bool = False  # its task closed: the lease stays only for its grace period
    version: int = 0
    reserved: Reservation | None = None  # None if no budget applies to it


@dataclass(slots=True)
class AttemptRecord:
    """One attempt, written once, when it ends."""

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
    answer: str | None = None  # with `asked` or `released`: the answer to the first call, for repeats
    reason: str | None = None  # why the bot released it; redacted
    progress: Mapping[str, Json] | None = None  # last progress and log lines; redacted, see rules/heartbeat_log.py
    settled: Reservation | None = None  # what it has used of the budgets of these levels


@dataclass(slots=True)
class Edge:
    task: str
    parent: str  # work id
    child: str  # work id
    condition: Condition


@dataclass(slots=True)
class BotRecord:
    id: str
    tenant: str
    type: BotType
    name: str
    instance: str
    version: str
    owner: str  # of its key; the key's id if that has none
    key_id: str
    created_at: int
    skills: tuple[str, ...] = ()  # sorted
    capacity: int = 1
    dedicated: bool = False
    endpoint: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    status: str = "active"  # active | draining | disabled; `away` is derived, not stored
    scope: str = ""  # what its last rate limit named; see rules/cooldowns.py
    last_seen: int = 0
    row_version: int = 0
    person: str | None = None  # to whom its key belongs


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    weight: int = 1  # share of the engine's time when several tenants compete
    max_backlog: int | None = None  # limit of tasks that are not final; None: no limit
    open_tasks: int = 0  # tasks that are not final
    open_subtasks: int = 0  # subtasks that are not final
    stored_bytes: int = 0  # approximate size of its inputs, outputs and messages
    budget: BudgetAccount | None = None


@dataclass(slots=True)
class ApiKey:
    id: str  # key_…: id of the record
    public_id: str  # the ten-character id inside the key
    tenant: str
    role: str
    digest: bytes  # HMAC of the secret
    created_at: int
    bot: str | None = None
    owner: str | None = None
    skills: tuple[str, ...] | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    previous_digest: bytes | None = None  # valid after a rotation, until previous_until
    previous_until: int | None = None
    networks: tuple[str, ...] | None = None  # from which it may be used; None: from anywhere
    version: int = 0
    person: str | None = None  # to whom it belongs
    scope: str | None = None  # own: only tasks of its party; None: all of the tenant that its role allows


@dataclass(slots=True)
class ApprovalRecord:
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
    at_expiry: Mapping[str, Json] | None = None  # the decision if nobody decides in time: {verb, answer?}
    state: str = "open"  # open | decided | expired | cancelled
    decision: Mapping[str, Json] | None = None
    decided_by: str | None = None
    decided_at: int | None = None
    version: int = 0
    step_up: int | None = None  # how long ago who decides may have signed in; None: it needs no sign-in
    decided_person: str | None = None


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


@dataclass(frozen=True, slots=True)
class KeyLimit:
    """A key that limits how many items run at once, and how many wait. It exists while an item runs or waits."""

    id: str  # follows from tenant and key
    tenant: str
    key: str
    running: int  # leases of items with the key
    lines: Mapping[str, tuple[int, int]]  # by queue: how many of the line may be leased now, and how many wait
    version: int = 0


@dataclass(frozen=True, slots=True)
class WorkRate:
    """How many leases and tokens a minute may have for a skill, a scope or a tenant. See rules/work_rates.py."""

    id: str  # follows from tenant and key
    tenant: str
    key: str  # `tenant`, `skill:<name>` or `scope:<name>`
    most: int | None = None  # how many leases may run at once; only of a skill
    per_minute: int | None = None
    tokens_per_minute: int | None = None
    calls_at: int = 0  # the leases granted so far take up the time until then
    tokens_at: int = 0  # so do the tokens used so far


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A scope that a provider limits: bots of the scope get no work for a while. See rules/cooldowns.py."""

    id: str  # follows from tenant and scope
    tenant: str
    scope: str
    phase: str  # cooling | due | probing
    until: int  # when this phase ends; with `due`, when it began


@dataclass(slots=True)
class QueueEntry:
    """An item that may be leased now, ordered by (`position`, `work`) within its queue and priority.

    `since` is when it joined its queue.
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
class MessageRecord:
    id: str
    tenant: str
    task: str
    from_bot: str
    to_bot: str | None  # a bot's id or name; None: all bots that work on the task
    payload: str  # payload id
    at: int


@dataclass(frozen=True, slots=True)
class LateResultRecord:
    """A result reported under a lease that the bot had lost. Operators can see it; it is never applied."""

    lease_id: str
    content_hash: str
    work: str
    task: str
    tenant: str
    bot: str
    at: int
    payload: str  # payload id
    settled: Reservation | None = None  # what it told beyond what its attempt had settled


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    work: str
    task: str
    round: int
    text: str
    at: int
    n: int  # order within one moment


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """The answer to a bot's question, delivered with the item's next lease."""

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
    status: int  # status of the first answer
    resource: str  # id of the created or changed object; several are separated by blanks
    expires: int


@dataclass(slots=True)
class Event:
    """An event of the feed. The store assigns its cursor when it is saved."""

    id: str
    at: int
    tenant: str
    task: str | None
    sequence: int  # 1, 2, 3 … within a task; 0 without a task
    work: str | None
    kind: str  # "task.planned", "work.leased", "bot.registered" …
    actor: str
    audit: str
    body: Redacted


@dataclass(slots=True)
class AuditEntry:
    """An audit record: who did what, with which outcome. One for each accepted command and each engine action."""

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
    events: tuple[Event, ...]  # the events that it caused
    body: Redacted
    salt: bytes
    trace: str = ""
    rows: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)  # anchors; see govern/anchors.py
    person: str | None = None  # to whom the key or token belongs


UNPLACED = -1  # the index of an audit record that the store has not put into its tree yet


@dataclass(slots=True)
class AuditLeaf:
    """An audit record: its index in the tenant's tree, the exact hashed bytes, and the separate body."""

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
class SubtaskSpec:
    """One node of a plan as sent, with defaults filled in."""

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
    budget: Mapping[str, Json] | None = None  # in the API's format
    concurrency: tuple[tuple[str, int], ...] = ()  # (key, how many items with it may run at once)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReworkTarget:
    subtask: str
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    decision: Decision
    score: float | None = None
    reasons: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Json], ...] = ()
    targets: tuple[ReworkTarget, ...] = ()
    subtasks: tuple[SubtaskSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptFailure:
    error_class: ErrorClass
    message: str = ""
    retry_after: int | None = None  # microseconds
    scope: str | None = None  # with `rate_limited`: what the provider limits, such as "anthropic:claude-sonnet"
