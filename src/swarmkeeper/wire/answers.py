"""What the orchestrator says. Whoever reads these passes over fields they do not know: answers may gain some.

A value beyond the size that is sent inline stands as `{"$ref", "sha256", "bytes"}` in its place; the SDK fetches it.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field

from swarmkeeper.core.states import AttemptOutcome, Decision, Kind, Outcome, Status, TaskStatus
from swarmkeeper.wire.causes import Cause, TaskFailure
from swarmkeeper.wire.explain import Explanation
from swarmkeeper.wire.problems import FieldError, Problem
from swarmkeeper.wire.requests import BotInfo, BotTypeName, Finding, Progress, Quorum, Role, SubTask, Usage, When
from swarmkeeper.wire.shapes import Answer, Json, Object, Time

# A record that is also sent to us is strict there, and forgiving here.
_FORGIVING = ConfigDict(extra="ignore", strict=False)

Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """Part of a list; ask again with the token for what follows. An empty token: that was all."""

    items: list[Item]
    next_page_token: str = ""


class Reference(Answer):
    """Stands for a value too large to be sent inline."""

    ref: str = Field(validation_alias="$ref", serialization_alias="$ref", examples=["/tasks/tsk_1/subtasks/a/output"])
    sha256: str
    bytes: int


# ---- tasks ---------------------------------------------------------------------------------------------------------


class TaskProgress(Answer):
    """How many of its subtasks are where: `done` counts SUCCEEDED and SKIPPED, `failed` FAILED and CANCELLED."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: Annotated[
        int | None,
        Field(description="Those of `failed` that were cancelled; left out in lists, and where none failed."),
    ] = None


class VerdictOut(Answer):
    """What the evaluators said, all in one."""

    decision: Decision
    score: float | None = None
    reasons: list[str] = Field(default_factory=list)
    findings: list[FindingOut] = Field(default_factory=list)


class FindingOut(Finding):
    """One thing an evaluator saw."""

    model_config = _FORGIVING


class SubTaskState(SubTask):
    """A subtask as it stands in its task's answer."""

    model_config = _FORGIVING

    id: Annotated[str, Field(examples=["sub_01J8"])]
    parent_task_id: str
    key: str
    status: Status
    kind: Annotated[Kind, Field(description="The plan and reviews are found by their id alone.")] = Kind.EXECUTE
    input: Annotated[Json, Field(description="Null where it is too large for a list: the subtask itself has it.")] = (
        None
    )
    attempt: Annotated[int, Field(description="Leases ever granted for it.")] = 0
    round: int = 1
    bot: Annotated[str | None, Field(description="The name of the bot that has it, or brought it to its end.")] = None
    started_at: Annotated[Time | None, Field(description="When that bot was given it.")] = None
    ended_at: Annotated[Time | None, Field(description="When its last attempt ended, where it is done.")] = None
    cause: Annotated[Cause | None, Field(description="Why its last attempt brought no result.")] = None
    progress: Annotated[
        ProgressOut | None,
        Field(
            description="What its bot last said of the attempt that is under way; in lists without its lines of log."
        ),
    ] = None


class Attempt(Answer):
    """One try at a work."""

    attempt: int
    bot: Annotated[str, Field(description="Its id.")]
    bot_name: Annotated[str | None, Field(description="Null where it is no longer registered.")] = None
    lease_id: str
    started_at: Time
    ended_at: Time
    ending: AttemptOutcome
    error: Object | None = None
    reason: Annotated[str | None, Field(description="Why the bot gave it back.")] = None
    progress: Annotated[
        ProgressOut | None, Field(description="How far it had come, with its last 50 lines of log.")
    ] = None
    usage: UsageOut | None = None


class UsageOut(Usage):
    """What has been used."""

    model_config = _FORGIVING


class LateResult(Answer):
    """What a bot sent after its lease was lost: kept, never applied. Shown to operators."""

    lease_id: str
    bot: str
    received_at: Time
    content: Json = None


class ProgressOut(Progress):
    """How far the bot that works on it has come."""

    model_config = _FORGIVING


class SubTaskDetail(SubTaskState):
    """A subtask with all that came of it."""

    output: Json = None
    verdict: VerdictOut | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    late_results: list[LateResult] = Field(default_factory=list)


class DefaultsOut(Answer):
    """What its subtasks are given where they do not say otherwise."""

    timeout_seconds: float | None = None
    max_attempts: int | None = None
    schedule_to_start_seconds: float | None = None
    give_up_after_seconds: float | None = None
    on_failure: str | None = None


class QuorumOut(Quorum):
    """How many evaluators judge, and how many must accept."""

    model_config = _FORGIVING


class Task(Answer):
    """A task as it stands."""

    id: Annotated[str, Field(examples=["tsk_01J8"])]
    title: str
    description: str = ""
    priority: int = 5
    status: TaskStatus
    outcome: Annotated[Outcome | None, Field(description="Null until it is final.")] = None
    failure: TaskFailure | None = None
    holds: Annotated[list[str], Field(description="Why nothing of it is handed out; empty: nothing holds it.")] = Field(
        default_factory=list
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
    subtasks: Annotated[list[SubTaskState], Field(description="The first 200.")] = Field(default_factory=list)
    subtasks_total: int = 0
    result: Annotated[
        Object | None, Field(description="Outputs of the last subtasks by key; null until COMPLETED.")
    ] = None
    verdict: VerdictOut | None = None
    usage: UsageOut = Field(default_factory=UsageOut)
    explanation: Annotated[
        Explanation | None, Field(description="Why it is not done yet, of the same moment, where that was asked for.")
    ] = None
    created_at: Time
    updated_at: Time


class TaskBatchItem(Answer):
    """What became of one task of a batch: the task, or why it was refused."""

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
    """A task's plan, as it stands."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    subtasks_total: Annotated[int, Field(description="Subtasks of the whole plan.")] = 0
    loading: Annotated[
        bool, Field(description="A long plan is still being written: nodes and edges are those that are there by now.")
    ] = False


# ---- work ----------------------------------------------------------------------------------------------------------


class LeasedTask(Answer):
    """What a bot is told about the task its work belongs to."""

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
    """The subtask to be done."""

    model_config = _FORGIVING

    id: str
    parent_task_id: str
    key: str


class Feedback(Answer):
    """What an evaluator asked to be done better, or what was wrong with a plan."""

    round: int
    text: str


class Previous(Answer):
    """How the attempt before this one ended."""

    attempt: int
    ending: AttemptOutcome
    output: Json = None
    error: Object | None = None


class Answered(Answer):
    """What a person answered to a bot's question."""

    question: str
    answer: Json = None


class Review(Answer):
    """What is to be judged."""

    of: Literal["task", "subtask"]
    results: Object


class Lease(Answer):
    """The right to one attempt at one work, with all that is needed to do it."""

    lease_id: str
    kind: Kind
    attempt: int
    work_id: str
    task_id: str
    task: LeasedTask
    subtask: LeasedSubTask | None = None
    upstream: Annotated[Object, Field(description="Outputs of what it depends on, by key.")] = Field(
        default_factory=dict
    )
    feedback: list[Feedback] = Field(default_factory=list)
    previous: Previous | None = None
    checkpoint: Json = None
    answers: list[Answered] = Field(default_factory=list)
    review: Review | None = None
    expires_at: Time
    ends_at: Time
    heartbeat_after_seconds: float
    traceparent: str | None = None


class LeasePage(Answer):
    """Work for a bot, or why there is none."""

    leases: list[Lease]
    reason: Literal["nothing_ready", "no_match", "at_capacity", "draining"] | None = None
    another_process: Annotated[
        bool, Field(description="Another process polls as the same bot and instance: the two do the work of one.")
    ] = False


class ReportAnswer(Answer):
    """A result was taken."""

    accepted: bool
    replayed: Annotated[bool, Field(description="It had been taken before; nothing changed.")] = False
    task_status: TaskStatus
    leases: list[Lease] = Field(default_factory=list)


class BatchResultAnswer(Answer):
    """What became of one result of a batch; `code`, `detail` and `errors` where it was refused."""

    accepted: bool
    replayed: bool = False
    task_status: TaskStatus | None = None
    code: str | None = None
    detail: str | None = None
    errors: list[FieldError] = Field(default_factory=list)


class ReportBatchAnswer(Answer):
    results: list[BatchResultAnswer]
    leases: list[Lease] = Field(default_factory=list)


class BotMessage(Answer):
    """Something one bot tells another through the orchestrator."""

    id: str | None = None
    from_bot: str
    to_bot: str | None = None
    task_id: str
    payload: Object = Field(default_factory=dict)
    timestamp: Time


class BeatAnswer(Answer):
    """What a bot should do with one of its leases."""

    lease_id: str
    directive: Literal["continue", "cancel", "lost"]
    expires_at: Time | None = None


class HeartbeatAnswer(Answer):
    leases: list[BeatAnswer] = Field(default_factory=list)
    drain: bool = False
    messages: list[BotMessage] = Field(default_factory=list)


class ReleaseAnswer(Answer):
    """Work was given back; `replayed` where it had been before."""

    released: bool = True
    replayed: bool = False


# ---- bots, keys, evidence, health ----------------------------------------------------------------------------------


class StuckWork(Answer):
    """Code of a bot that does not end though its lease is gone."""

    work_id: str
    since: Time
    where: Annotated[str, Field(description="File, line and function; empty where the bot cannot tell.")] = ""


class Bot(BotInfo):
    """A registered bot."""

    model_config = _FORGIVING

    id: Annotated[str, Field(examples=["bot_01J8"])]
    type: BotTypeName
    name: str
    owner: str | None = None
    status: Literal["active", "draining", "disabled", "away"]
    held: Annotated[int, Field(description="Leases it holds.")] = 0
    stuck: Annotated[
        list[StuckWork],
        Field(description="Code that goes on though its lease is gone: each takes one place of the bot's capacity."),
    ] = Field(default_factory=list)
    last_seen: Time | None = None
    last_asked: Annotated[
        Time | None, Field(description="When it last asked for work, registered or reported; since the server began.")
    ] = None
    asking: Annotated[
        bool | None, Field(description="Whether it asks for work: one that only beats, or is away, gets none.")
    ] = None
    created_at: Time | None = None


class Skill(Answer):
    """A skill: who has it, and what waits for it."""

    skill: str
    bots: Annotated[int, Field(description="Registered, and neither draining nor disabled.")]
    asking: Annotated[
        int | None,
        Field(description="Those of them that asked for work in the last two minutes, or hold all they can."),
    ] = None
    waiting: int
    oldest_seconds: float | None = None


class KeyRecord(Answer):
    """An API key. The key itself is shown once, when it is made or rotated."""

    id: str
    key: Annotated[str | None, Field(description="Only in the answer that makes it.")] = None
    role: Role
    bot: str | None = None
    owner: str | None = None
    skills: list[str] | None = None
    created_at: Time
    expires_at: Time | None = None
    revoked_at: Time | None = None


class RedactedField(Answer):
    """Where something was hidden, and by which rule."""

    pointer: str
    rule: str = ""
    action: str = "replaced"
    in_: Literal["value", "key"] = Field(default="value", validation_alias="in", serialization_alias="in")


def _bare_pointer(value: Any) -> Any:
    return {"pointer": value} if isinstance(value, str) else value


class AuditActor(Answer):
    """Who did it: a key's owner, a bot, or the engine by itself."""

    type: Annotated[str, Field(examples=["key", "bot", "engine"])]
    id: str
    key: Annotated[str, Field(description="The id of the key that was shown.")] = ""


class AuditDecision(Answer):
    """Whether it was allowed, and why."""

    effect: Literal["allow", "deny"]
    policy: str = ""
    reasons: list[str] = Field(default_factory=list)


class AuditLog(Answer):
    """Who did what, redacted."""

    id: str
    index: Annotated[int | None, Field(description="Its place in the tenant's log: 0, 1, 2 … without gap.")] = None
    task_id: str | None = None
    event: Annotated[str, Field(description="What was done.", examples=["task.submit"])]
    action: Annotated[str | None, Field(description="The same as event.", examples=["task.submit"])] = None
    actor: AuditActor | None = None
    resource: Annotated[str | None, Field(description="What it was done to.", examples=["tsk_01J8"])] = None
    outcome: Annotated[str | None, Field(examples=["accepted", "refused"])] = None
    decision: AuditDecision | None = None
    events: Annotated[list[str], Field(description="The ids of the events that it caused.")] = Field(
        default_factory=list
    )
    trace: Annotated[str | None, Field(description="The traceparent of the call.")] = None
    rules: Annotated[str | None, Field(description="The hash of the redaction rules that were in force.")] = None
    hash: Annotated[str | None, Field(description="The hash of its leaf in the log's tree, hexadecimal.")] = None
    erased: Annotated[bool, Field(description="Its payload was erased; that it was made stays proved.")] = False
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
    """A task's subtasks. While a long plan is still being written, a page may be short and yet not the last."""

    subtasks_total: Annotated[int, Field(description="Subtasks of the whole plan.")] = 0


class BotPage(Page[Bot]):
    """Bots."""


class SkillPage(Page[Skill]):
    """Skills."""


class KeyPage(Page[KeyRecord]):
    """API keys, without the keys."""


class MessagePage(Page[BotMessage]):
    """Messages."""


class AuditPage(Page[AuditLog]):
    """Audit records."""
