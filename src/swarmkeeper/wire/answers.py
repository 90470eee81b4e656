"""Records that the orchestrator sends. Clients ignore unknown fields, because answers may gain some.

A value too large to be sent inline is replaced by `{"$ref", "sha256", "bytes"}`; the SDK fetches it.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field

from swarmkeeper.core.states import AttemptOutcome, Decision, Kind, Outcome, Status, TaskStatus
from swarmkeeper.wire.approvals import StepUpOut
from swarmkeeper.wire.explain import Cause, EffectiveLabel, Explanation, TaskFailure
from swarmkeeper.wire.problems import FieldError, Problem
from swarmkeeper.wire.requests import BotInfo, BotTypeName, Finding, Progress, Quorum, Role, SubTask, Usage, When
from swarmkeeper.wire.shapes import Answer, Json, Object, Time

# A record that is strict in a request ignores unknown fields in an answer.
_FORGIVING = ConfigDict(extra="ignore", strict=False)

Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """A page of a list. Pass `next_page_token` to get the next page; it is empty on the last one."""

    items: list[Item]
    next_page_token: str = ""


class Reference(Answer):
    """A reference to a value that is too large to be sent inline."""

    ref: str = Field(validation_alias="$ref", serialization_alias="$ref", examples=["/tasks/tsk_1/subtasks/a/output"])
    sha256: str
    bytes: int


# ---- tasks ---------------------------------------------------------------------------------------------------------


class TaskProgress(Answer):
    """Counts of the task's subtasks: `done` is SUCCEEDED and SKIPPED, `failed` is FAILED and CANCELLED."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: Annotated[
        int | None,
        Field(description="How many of `failed` were cancelled; absent in lists and when none failed."),
    ] = None


class VerdictOut(Answer):
    """The evaluators' verdicts, combined."""

    decision: Decision
    score: float | None = None
    reasons: list[str] = Field(default_factory=list)
    findings: list[FindingOut] = Field(default_factory=list)


class FindingOut(Finding):
    """A finding of an evaluator."""

    model_config = _FORGIVING


class BudgetState(Answer):
    """A budget, with what is reserved for attempts in progress, and what ended ones have spent."""

    limit: dict[str, int]
    at_limit: Literal["ask", "stop"] = "ask"
    reserved: dict[str, int] = Field(default_factory=dict)
    spent: dict[str, int] = Field(default_factory=dict)
    overshoot: Annotated[
        dict[str, int], Field(description="Part of `spent` that attempts used beyond their allowance and the limit.")
    ] = Field(default_factory=dict)
    unpriced_tokens: Annotated[int, Field(description="Tokens whose cost is not known: no cost limit holds them.")] = 0


class SubTaskState(SubTask):
    """A subtask with its current state."""

    model_config = _FORGIVING

    id: Annotated[str, Field(examples=["sub_01J8"])]
    parent_task_id: str
    key: str
    status: Status
    kind: Annotated[Kind, Field(description="Planning and reviews are returned only by id, not in lists.")] = (
        Kind.EXECUTE
    )
    input: Annotated[Json, Field(description="Null in lists if it is too large; get the subtask to see it.")] = None
    attempt: Annotated[int, Field(description="Number of leases granted so far.")] = 0
    round: int = 1
    bot: Annotated[str | None, Field(description="Name of the bot that holds or finished it.")] = None
    started_at: Annotated[Time | None, Field(description="When that bot leased it.")] = None
    ended_at: Annotated[Time | None, Field(description="When its last attempt ended, if it is done.")] = None
    cause: Annotated[Cause | None, Field(description="Why its last attempt gave no result.")] = None
    progress: Annotated[
        ProgressOut | None,
        Field(description="Latest progress of the current attempt; in lists, its log is empty."),
    ] = None
    budget: BudgetState | None = None  # type: ignore[assignment]  # what is sent are limits, what is shown is more
    effective_labels: Annotated[
        list[EffectiveLabel], Field(description="Its own, those of its task, and what has flowed in.")
    ] = Field(default_factory=list)


class Attempt(Answer):
    """An attempt at a work item."""

    attempt: int
    bot: Annotated[str, Field(description="Bot id.")]
    bot_name: Annotated[str | None, Field(description="Null if the bot is no longer registered.")] = None
    lease_id: str
    started_at: Time
    ended_at: Time
    ending: AttemptOutcome
    error: Object | None = None
    reason: Annotated[str | None, Field(description="Why the bot released it.")] = None
    progress: Annotated[ProgressOut | None, Field(description="Its last progress, with the last 50 log lines.")] = None
    usage: UsageOut | None = None


class UsageOut(Usage):
    """Tokens and cost used so far."""

    model_config = _FORGIVING


class LateResult(Answer):
    """A result that a bot sent after it lost its lease: stored, never applied. Shown to operators."""

    lease_id: str
    bot: str
    received_at: Time
    content: Json = None


class ProgressOut(Progress):
    """A bot's progress on its attempt."""

    model_config = _FORGIVING


class SubTaskDetail(SubTaskState):
    """A subtask with its output, verdict and attempts."""

    output: Json = None
    verdict: VerdictOut | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    late_results: list[LateResult] = Field(default_factory=list)


class DefaultsOut(Answer):
    """Default settings of the task's subtasks."""

    timeout_seconds: float | None = None
    max_attempts: int | None = None
    schedule_to_start_seconds: float | None = None
    give_up_after_seconds: float | None = None
    on_failure: str | None = None


class ApprovalTermsOut(Answer):
    """How long the task's approvals stay open, and what happens when nobody decides."""

    expires_in_seconds: float
    at_expiry: str
    remind_after_seconds: float | None = None
    escalate_after_seconds: float | None = None
    step_up: StepUpOut | None = None


class QuorumOut(Quorum):
    """How many evaluators review, and how many must accept."""

    model_config = _FORGIVING


class Task(Answer):
    """A task with its current state."""

    id: Annotated[str, Field(examples=["tsk_01J8"])]
    title: str
    description: str = ""
    priority: int = 5
    status: TaskStatus
    outcome: Annotated[Outcome | None, Field(description="Null until the task is final.")] = None
    failure: TaskFailure | None = None
    holds: Annotated[list[str], Field(description="Why its work is not handed out; empty if nothing holds it.")] = (
        Field(default_factory=list)
    )
    progress: TaskProgress = Field(default_factory=TaskProgress)
    round: int = 1
    input: Json = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    metadata: Json = Field(default_factory=dict)
    acceptance_criteria: list[str] = Field(default_factory=list)
    planner_skills: list[str] = Field(default_factory=list)
    evaluator_skills: list[str] = Field(default_factory=list)
    deadline_at: Time | None = None
    evaluation: str = "final"
    quorum: QuorumOut = Field(default_factory=QuorumOut)
    max_rounds: int = 3
    approval: str = "none"
    plan_timeout_seconds: float | None = None
    review_timeout_seconds: float | None = None
    defaults: DefaultsOut = Field(default_factory=DefaultsOut)
    approval_terms: ApprovalTermsOut | None = None
    subtasks: Annotated[list[SubTaskState], Field(description="The first 200.")] = Field(default_factory=list)
    subtasks_total: int = 0
    result: Annotated[
        Object | None,
        Field(description="Outputs of the subtasks that no other depends on, by key; null until COMPLETED."),
    ] = None
    verdict: VerdictOut | None = None
    usage: UsageOut = Field(default_factory=UsageOut)
    budget: Annotated[BudgetState | None, Field(description="Null if it has none.")] = None
    explanation: Annotated[
        Explanation | None, Field(description="Why the task is not done yet, if requested; read at the same moment.")
    ] = None
    created_at: Time
    updated_at: Time


class TaskBatchItem(Answer):
    """The result for one task of a batch: the task, or why it was refused."""

    status: Annotated[int, Field(examples=[201])]
    task: Task | None = None
    error: Problem | None = None


class TaskBatchAnswer(Answer):
    results: list[TaskBatchItem]


class GraphNode(Answer):
    key: str
    status: Status
    attempt: int = 0


class GraphEdge(Answer):
    from_: str = Field(validation_alias="from", serialization_alias="from")
    to: str
    when: When
    state: Literal["open", "met", "broken"]


class Graph(Answer):
    """A task's plan with the state of each node and edge."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    subtasks_total: Annotated[int, Field(description="Number of subtasks in the whole plan.")] = 0
    loading: Annotated[
        bool, Field(description="A long plan is still being written; nodes and edges may be incomplete.")
    ] = False


# ---- work ----------------------------------------------------------------------------------------------------------


class LeasedTask(Answer):
    """The task that a lease belongs to, as sent to the bot."""

    title: str
    description: str = ""
    input: Json = Field(default_factory=dict)
    acceptance_criteria: list[str] = Field(default_factory=list)
    metadata: Json = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    priority: int = 5
    round: int = 1
    created_at: Time | None = None


class LeasedSubTask(SubTask):
    """The subtask to execute."""

    model_config = _FORGIVING

    id: str
    parent_task_id: str
    key: str


class Feedback(Answer):
    """What to improve: an evaluator's feedback, or what was wrong with a plan."""

    round: int
    text: str


class Previous(Answer):
    """How the previous attempt ended."""

    attempt: int
    ending: AttemptOutcome
    output: Json = None
    error: Object | None = None


class Answered(Answer):
    """A person's answer to a bot's question."""

    question: str
    answer: Json = None


class Review(Answer):
    """The results to review."""

    of: Literal["task", "subtask"]
    results: Object


class Lease(Answer):
    """The right to one attempt at a work item, with everything needed to do it."""

    lease_id: str
    kind: Kind
    attempt: int
    work_id: str
    task_id: str
    task: LeasedTask
    subtask: LeasedSubTask | None = None
    upstream: Annotated[Object, Field(description="Outputs of its dependencies, by key.")] = Field(default_factory=dict)
    feedback: list[Feedback] = Field(default_factory=list)
    previous: Previous | None = None
    checkpoint: Json = None
    answers: list[Answered] = Field(default_factory=list)
    review: Review | None = None
    expires_at: Time
    ends_at: Time
    allowance: Annotated[
        dict[str, int] | None,
        Field(description="What this attempt may use, in `cost_micro_usd` and `tokens`; null without a budget."),
    ] = None
    heartbeat_after_seconds: float
    traceparent: str | None = None


class LeasePage(Answer):
    """Leases for a bot, or the reason why there are none."""

    leases: list[Lease]
    reason: Literal["nothing_ready", "no_match", "at_capacity", "rate_limited", "draining", "killed"] | None = None
    another_process: Annotated[
        bool, Field(description="Another process polls as the same bot and instance; they share its capacity.")
    ] = False


class ReportAnswer(Answer):
    """The result was accepted."""

    accepted: bool
    replayed: Annotated[bool, Field(description="It had been accepted before; nothing changed.")] = False
    task_status: TaskStatus
    leases: list[Lease] = Field(default_factory=list)


class BatchResultAnswer(Answer):
    """The outcome for one result of a batch; the fields from `status` on are set if it was refused."""

    accepted: bool
    replayed: bool = False
    task_status: TaskStatus | None = None
    status: Annotated[
        int | None, Field(description="The status that this result alone would have got.", examples=[409])
    ] = None
    retryable: Annotated[bool | None, Field(description="Whether the same result may be accepted later.")] = None
    code: str | None = None
    detail: str | None = None
    errors: list[FieldError] = Field(default_factory=list)


class ReportBatchAnswer(Answer):
    results: list[BatchResultAnswer]
    leases: list[Lease] = Field(default_factory=list)


class BotMessage(Answer):
    """A message from one bot to another, sent through the orchestrator."""

    id: str | None = None
    from_bot: str
    to_bot: str | None = None
    task_id: str
    payload: Object = Field(default_factory=dict)
    timestamp: Time


class BeatAnswer(Answer):
    """Tells the bot what to do with one of its leases."""

    lease_id: str
    directive: Literal["continue", "cancel", "lost"]
    expires_at: Time | None = None
    over_budget: Annotated[bool, Field(description="It is cancelled because it has used more than there is.")] = False


class HeartbeatAnswer(Answer):
    leases: list[BeatAnswer] = Field(default_factory=list)
    drain: bool = False
    messages: list[BotMessage] = Field(default_factory=list)


class ReleaseAnswer(Answer):
    """The work was released; `replayed` if it had been released before."""

    released: bool = True
    replayed: bool = False


# ---- bots, keys, evidence, health ----------------------------------------------------------------------------------


class StuckWork(Answer):
    """Bot code that is still running after its lease ended."""

    work_id: str
    since: Time
    where: Annotated[str, Field(description="File, line and function; empty if unknown.")] = ""


class Bot(BotInfo):
    """A registered bot."""

    model_config = _FORGIVING

    id: Annotated[str, Field(examples=["bot_01J8"])]
    type: BotTypeName
    name: str
    owner: str | None = None
    status: Literal["active", "draining", "disabled", "away"]
    held: Annotated[int, Field(description="Number of leases it holds.")] = 0
    stuck: Annotated[
        list[StuckWork],
        Field(description="Code still running after its lease ended; each uses one unit of the bot's capacity."),
    ] = Field(default_factory=list)
    last_seen: Time | None = None
    last_asked: Annotated[
        Time | None, Field(description="When it last asked for work, registered or reported since the server started.")
    ] = None
    asking: Annotated[
        bool | None,
        Field(description="Whether it asks for work. A bot that only sends heartbeats, or is away, gets none."),
    ] = None
    created_at: Time | None = None


class Skill(Answer):
    """A skill: how many bots have it, and how much work waits for it."""

    skill: str
    bots: Annotated[int, Field(description="Bots that are registered and neither draining nor disabled.")]
    asking: Annotated[
        int | None,
        Field(description="Bots that asked for work in the last two minutes or are at capacity."),
    ] = None
    waiting: int
    oldest_seconds: float | None = None


class KeyRecord(Answer):
    """An API key. The key itself is shown once, when it is created or rotated."""

    id: str
    key: Annotated[str | None, Field(description="Only in the answer that creates or rotates it.")] = None
    role: Role
    bot: str | None = None
    owner: str | None = None
    person: Annotated[str | None, Field(description="Id of the person to whom it belongs.")] = None
    person_name: str | None = None
    scope: Annotated[str | None, Field(description="Of a client: `own` or `tenant`.")] = None
    skills: list[str] | None = None
    networks: Annotated[list[str] | None, Field(description="From which it may be used; null: from anywhere.")] = None
    created_at: Time
    expires_at: Time | None = None
    revoked_at: Time | None = None
    last_used: Annotated[Time | None, Field(description="To about a minute; null: never, or not yet noted.")] = None


class RedactedField(Answer):
    """A redacted field and the rule that redacted it."""

    pointer: str
    rule: str = ""
    action: str = "replaced"
    in_: Literal["value", "key"] = Field(default="value", validation_alias="in", serialization_alias="in")


class RedactionTested(Answer):
    """The value as the evidence would show it."""

    value: Json
    redacted_fields: list[RedactedField]


def _bare_pointer(value: Any) -> Any:
    return {"pointer": value} if isinstance(value, str) else value


class AuditActor(Answer):
    """Who acted: a key's owner, a bot, or the engine."""

    type: Annotated[str, Field(examples=["key", "bot", "engine"])]
    id: str
    key: Annotated[str, Field(description="Id of the API key used.")] = ""
    person: Annotated[str | None, Field(description="Id of the person to whom the key or token belongs.")] = None


class AuditDecision(Answer):
    """Whether it was allowed, and why."""

    effect: Literal["allow", "deny"]
    policy: str = ""
    reasons: list[str] = Field(default_factory=list)


class AuditLog(Answer):
    """An audit record: who did what, redacted."""

    id: str
    index: Annotated[int | None, Field(description="Index in the tenant's log: 0, 1, 2 … without gaps.")] = None
    task_id: str | None = None
    event: Annotated[str, Field(description="What was done.", examples=["task.submit"])]
    action: Annotated[str | None, Field(description="The same as event.", examples=["task.submit"])] = None
    actor: AuditActor | None = None
    resource: Annotated[str | None, Field(description="The object that was acted on.", examples=["tsk_01J8"])] = None
    outcome: Annotated[str | None, Field(examples=["accepted", "refused"])] = None
    decision: AuditDecision | None = None
    events: Annotated[list[str], Field(description="Ids of the events it caused.")] = Field(default_factory=list)
    trace: Annotated[str | None, Field(description="The call's traceparent.")] = None
    rules: Annotated[str | None, Field(description="Hash of the redaction rules in force.")] = None
    hash: Annotated[str | None, Field(description="Hash of its leaf in the log's Merkle tree, in hexadecimal.")] = None
    erased: Annotated[
        bool, Field(description="The payload was erased; the proof that the record exists remains valid.")
    ] = False
    payload: Json = None
    redacted_fields: list[
        Annotated[RedactedField, BeforeValidator(_bare_pointer, json_schema_input_type=str | RedactedField)]
    ] = Field(default_factory=list)
    timestamp: Time


class Health(Answer):
    status: Annotated[str, Field(examples=["ok"])]
    version: str | None = None


class TaskPage(Page[Task]):
    """Tasks."""


class SubTaskPage(Page[SubTaskState]):
    """A task's subtasks. While a long plan is being written, a short page may not be the last."""

    subtasks_total: Annotated[int, Field(description="Number of subtasks in the whole plan.")] = 0


class BotPage(Page[Bot]):
    """Bots."""


class SkillPage(Page[Skill]):
    """Skills."""


class KeyPage(Page[KeyRecord]):
    """API keys, without their secrets."""


class MessagePage(Page[BotMessage]):
    """Messages."""


class AuditLogFacts(Answer):
    """What a verifier of a tenant's audit log needs to know first."""

    begin: int = Field(description="Index of the first record that is still there: retention removes the oldest.")
    keys: list[str] = Field(description="Its verifier keys, `name+id+key`. Get them by a way that you trust.")


class AuditPage(Page[AuditLog]):
    """Audit records."""
