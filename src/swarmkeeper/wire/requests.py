"""Requests of clients, bots and operators.

Enumerations are spelled out here, because they are the contract; a test compares them with core/states.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, WithJsonSchema, model_validator
from pydantic_core import CoreSchema

from swarmkeeper.core import model
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import Condition, Decision
from swarmkeeper.wire.approvals import ApprovalTerms
from swarmkeeper.wire.budgets import Concurrency, SubTaskBudget, TaskBudget
from swarmkeeper.wire.failures import Failure
from swarmkeeper.wire.problems import broken_rule
from swarmkeeper.wire.shapes import (
    BATCH_MAX,
    HEARTBEAT_BODY_BYTES_MAX,
    LEASES_MAX,
    YEAR_SECONDS,
    Attempts,
    Checkpoint,
    Count,
    Deadline,
    Delay,
    Description,
    Id,
    Input,
    Json,
    Labels,
    Metadata,
    Name,
    NameOrNone,
    OnlyServerSets,
    Output,
    Priority,
    Request,
    Skills,
    Text,
    Texts,
    Timeout,
    Title,
    Unread,
    WebAddress,
    json_within,
    micros_or_none,
    something_not_null,
)

When = Literal["success", "done", "failure"]
OnFailure = Literal["fail", "continue"]
BotTypeName = Literal["Planner", "Executor", "Evaluator"]
Role = Literal[
    "client", "bot:planner", "bot:executor", "bot:evaluator", "operator", "approver", "viewer", "auditor", "admin"
]

GiveUp = Annotated[
    Deadline | None,
    Field(description="How long it may be postponed in a row (rate limits, `release`) before it fails; default 3600."),
]

# ---- plans ---------------------------------------------------------------------------------------------------------


class Dependency(Request):
    """A dependency: the state that subtask `key` must reach first. A bare `"key"` means success."""

    key: Name
    when: When = "success"


class _Dependencies:
    """A list of dependencies. A bare key is converted to a `Dependency`."""

    @staticmethod
    def _spelled_out(value: Any) -> Any:
        return {"key": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # The annotation says `str | Dependency` for authors; a real union would add its branches to error pointers.
        item = Annotated[Dependency, BeforeValidator(cls._spelled_out, json_schema_input_type=Name | Dependency)]
        return handler.generate_schema(list[item])


class SubTask(Request):
    """A subtask: work for an executor, and a node of the plan. Plans, answers and the SDK use the same record."""

    id: OnlyServerSets = None
    parent_task_id: OnlyServerSets = None
    # The key is validated in core/rules/graph.py, with the other errors of a plan.
    key: Annotated[
        str | None,
        Field(
            description="Name in the plan; by default s1, s2, … by position.",
            examples=["fetch"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"},
        ),
    ] = None
    description: Annotated[Description, Field(description="What to do, for the bot and for people.")]
    required_skills: Annotated[
        Skills, Field(description="The bot must have all of them; empty: any executor.", examples=[["text.count"]])
    ] = Field(default_factory=list)
    status: OnlyServerSets = None
    depends_on: Annotated[
        list[str | Dependency],
        _Dependencies,
        Field(description="Subtasks that must end first.", examples=[["fetch", {"key": "parse", "when": "done"}]]),
    ] = Field(default_factory=list)
    input: Input = Field(default_factory=dict)
    timeout_seconds: Annotated[Timeout | None, Field(description="Per attempt; default 900.")] = None
    max_attempts: Annotated[Attempts | None, Field(description="Failed or timed-out attempts; default 3.")] = None
    schedule_to_start_seconds: Annotated[
        Deadline | None, Field(description="Longest wait until it is leased; default a day.")
    ] = None
    give_up_after_seconds: GiveUp = None
    on_failure: Annotated[OnFailure | None, Field(description="`continue`: the task continues without it.")] = None
    assign_to: Annotated[Name | None, Field(description="Only the bot with this name may take it.")] = None
    priority: Annotated[Priority | None, Field(description="Default: the task's priority.")] = None
    budget: SubTaskBudget | None = None
    concurrency: Annotated[
        list[Concurrency],
        Field(max_length=8, description="It waits while as many subtasks with one of these keys run."),
    ] = Field(default_factory=list)
    labels: Annotated[Labels, Field(description="They flow into all that depend on it.")] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_each_key_once(self) -> SubTask:
        if len({limit.key for limit in self.concurrency}) < len(self.concurrency):
            raise broken_rule("duplicate", "a key of concurrency is named twice")
        return self

    @property
    def edges(self) -> list[Dependency]:
        return [edge if isinstance(edge, Dependency) else Dependency(key=edge) for edge in self.depends_on]

    def spec(self, position: int) -> model.SubtaskSpec:
        """Convert to the engine's record; `position` counts from 1. None means the task's default."""
        return model.SubtaskSpec(
            key=self.key if self.key is not None else f"s{position}",
            description=self.description,
            required_skills=tuple(dict.fromkeys(self.required_skills)),
            depends_on=tuple((edge.key, Condition(edge.when)) for edge in self.edges),
            input=self.input,
            timeout=micros_or_none(self.timeout_seconds),
            max_attempts=self.max_attempts,
            start=micros_or_none(self.schedule_to_start_seconds),
            give_up=micros_or_none(self.give_up_after_seconds),
            on_failure=self.on_failure,
            assign_to=self.assign_to,
            priority=self.priority,
            budget=None if self.budget is None else self.budget.limits(),
            concurrency=tuple((limit.key, limit.max) for limit in self.concurrency),
            labels=self.labels,
        )


def specs(subtasks: list[SubTask]) -> tuple[model.SubtaskSpec, ...]:
    """Convert a plan's subtasks to the engine's records."""
    return tuple(subtask.spec(position) for position, subtask in enumerate(subtasks, start=1))


def bounded(value: Any) -> Any:
    """Cut a plan's subtasks to one subtask and one edge more than the limit, to bound memory.

    core/rules/graph.py refuses the excess with the plan's other errors.
    """
    if not isinstance(value, list):
        return value
    kept = value[: graph.SUBTASKS_MAX + 1]
    left = graph.EDGES_MAX + 1
    for index, node in enumerate(kept):
        edges = node.get("depends_on") if isinstance(node, dict) else None
        if not isinstance(edges, list):
            continue
        if len(edges) > left:
            kept[index] = {**node, "depends_on": edges[:left]}
        left = max(0, left - len(edges))
    return kept


SubTasks = Annotated[list[SubTask], BeforeValidator(bounded), Field(json_schema_extra={"maxItems": graph.SUBTASKS_MAX})]
# Only describes the limit: core/rules/graph.py refuses an empty plan.
WholePlan = Annotated[SubTasks, Field(json_schema_extra={"minItems": 1, "maxItems": graph.SUBTASKS_MAX})]


class Plan(Request):
    """A planner's result."""

    subtasks: WholePlan


# ---- tasks ---------------------------------------------------------------------------------------------------------


class Quorum(Request):
    """How many evaluators review the final result, and how many of them must accept."""

    accept: Annotated[int, Field(ge=1, le=9)] = 1
    of: Annotated[int, Field(ge=1, le=9)] = 1

    @model_validator(mode="after")
    def _within_reach(self) -> Quorum:
        if self.accept > self.of:
            raise broken_rule("out_of_range", "accept must be at most the value of `of`")
        return self


class Defaults(Request):
    """Default settings of the task's subtasks."""

    timeout_seconds: Timeout | None = None
    max_attempts: Attempts | None = None
    schedule_to_start_seconds: Deadline | None = None
    give_up_after_seconds: GiveUp = None
    on_failure: OnFailure | None = None

    def spec(self) -> dict[str, Json]:
        """Return the defaults that were set, for the engine; times in microseconds."""
        given = {
            "timeout": micros_or_none(self.timeout_seconds),
            "max_attempts": self.max_attempts,
            "start": micros_or_none(self.schedule_to_start_seconds),
            "give_up": micros_or_none(self.give_up_after_seconds),
            "on_failure": self.on_failure,
        }
        return {name: value for name, value in given.items() if value is not None}


class TaskDefinition(Request):
    """A task to do. Without `subtasks`, a planner plans it."""

    id: OnlyServerSets = None
    title: Annotated[Title, Field(examples=["Count the words of three pages"])]
    description: Description = ""
    created_at: OnlyServerSets = None
    status: OnlyServerSets = None
    priority: Priority = 5
    input: Input = Field(default_factory=dict)
    labels: Annotated[Labels, Field(examples=[{"team": "search"}])] = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=dict)
    acceptance_criteria: Annotated[Texts, Field(description="Sent to planners, executors and evaluators.")] = Field(
        default_factory=list
    )
    planner_skills: Annotated[Skills, Field(description="Skills its planner must have.")] = Field(default_factory=list)
    evaluator_skills: Annotated[Skills, Field(description="Skills its evaluators need.")] = Field(default_factory=list)
    deadline_seconds: Annotated[Deadline | None, Field(description="Time from now until COMPLETED.")] = None
    evaluation: Annotated[
        Literal["final", "each", "none"],
        Field(description="What is reviewed: the final result; each subtask and then the final result; nothing."),
    ] = "final"
    quorum: Quorum = Field(default_factory=Quorum)
    max_rounds: Annotated[int, Field(ge=0, le=100, description="How many times a verdict may request rework.")] = 3
    approval: Annotated[
        Literal["none", "plan", "final", "rounds"],
        Field(
            description="What a person must approve: nothing; the plan; the accepted result; how to continue after "
            "the last round of rework."
        ),
    ] = "none"
    approval_terms: Annotated[ApprovalTerms | None, Field(description="How long people have, and what then.")] = None
    plan_timeout_seconds: Annotated[Timeout | None, Field(description="Per attempt of a planner.")] = None
    review_timeout_seconds: Annotated[Timeout | None, Field(description="Per attempt of an evaluator.")] = None
    defaults: Defaults = Field(default_factory=Defaults)
    budget: TaskBudget | None = None
    subtasks: WholePlan | None = None


class TaskBatch(Request):
    """A batch of `TaskDefinition`; each is accepted or refused separately."""

    tasks: Annotated[list[Annotated[Json, Unread(TaskDefinition)]], Field(min_length=1, max_length=BATCH_MAX)]


class TaskPatch(Request):
    """Changes to a task. Omitted fields keep their value."""

    model_config = ConfigDict(json_schema_extra=something_not_null)

    priority: Priority | None = None
    labels: Annotated[Labels | None, Field(description="Replaces all labels.")] = None
    deadline_seconds: Annotated[Deadline | None, Field(description="Time from now until COMPLETED.")] = None
    budget: Annotated[
        TaskBudget | None, Field(description="Limits to change, of a task with a budget; others keep their value.")
    ] = None

    @model_validator(mode="after")
    def _changes_something(self) -> TaskPatch:
        if not self.model_fields_set:
            raise broken_rule("required", "at least one field is required")
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise broken_rule("type", "must not be null")
        return self


class Reason(Request):
    """The reason, stored in the audit record."""

    reason: Text | None = None


class Retry(Reason):
    """Retries a failed task."""

    deadline_seconds: Annotated[Deadline | None, Field(description="New deadline, counted from now.")] = None
    budget: Annotated[
        TaskBudget | None, Field(description="Limits to change, of a task with a budget; others keep their value.")
    ] = None


# ---- bots and keys -------------------------------------------------------------------------------------------------

_BOT_TYPES: dict[str, BotTypeName] = {"planner": "Planner", "executor": "Executor", "evaluator": "Evaluator"}


def _bot_type(value: Any) -> Any:
    return _BOT_TYPES.get(value.lower(), value) if isinstance(value, str) else value


class BotInfo(Request):
    """A bot's description of itself. `name` defaults to the bot name of its key, or else to its id."""

    id: OnlyServerSets = None
    type: Annotated[
        BotTypeName,
        BeforeValidator(
            _bot_type,
            # One casing only: code generators would make several names otherwise.
            json_schema_input_type=Annotated[
                str, WithJsonSchema({"type": "string", "enum": list(_BOT_TYPES.values())})
            ],
        ),
        Field(description="Case-insensitive.", examples=["Executor"]),
    ]
    version: Annotated[Name, Field(examples=["1.0"])]
    name: Annotated[Name | None, Field(examples=["counter"])] = None
    instance: Annotated[NameOrNone, Field(description="Distinguishes processes of one name, such as pods.")] = ""
    endpoint: Annotated[
        WebAddress | None,
        Field(description="Stored and shown, not called yet. An http or https URL.", examples=["https://a.b"]),
    ] = None
    skills: Annotated[Skills, Field(examples=[["text.count"]])] = Field(default_factory=list)
    capacity: Annotated[int, Field(ge=1, le=LEASES_MAX, description="Most leases it may hold at once.")] = 4
    dedicated: Annotated[bool, Field(description="Takes only work that requires one of its skills.")] = False
    labels: Labels = Field(default_factory=dict)
    status: OnlyServerSets = None


class BotRegistration(BotInfo):
    """A bot's registration."""

    default_name: Annotated[Name | None, Field(description="Used if neither `name` nor the key gives one.")] = None


class KeyRotation(Request):
    """Replaces a key's secret. The old one stays valid for `overlap_seconds`, so that its users can change over."""

    overlap_seconds: Delay = 0


# ---- work ----------------------------------------------------------------------------------------------------------

LeaseId = Annotated[str, Field(min_length=1, max_length=64, examples=["lse_7Q2W"])]
LeaseCount = Annotated[int, Field(ge=1, le=64)]


class LeaseRequest(Request):
    """Requests work for a bot, and waits for it."""

    bot_id: Id
    max: LeaseCount = 1
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = 25
    lease_seconds: Annotated[float | None, Field(ge=1, le=3600, description="Default 30.")] = None
    skills: Annotated[Skills | None, Field(description="Only work for these skills of the bot.")] = None
    claim_id: Annotated[Name | None, Field(description="A retry with the same id gets the same leases.")] = None


class Usage(Request):
    """Total tokens and cost of an attempt."""

    tokens: Count = 0
    cost_micro_usd: Count = 0
    unpriced_tokens: Annotated[
        Count | None, Field(description="Tokens among `tokens` whose cost is not known, and not in `cost_micro_usd`.")
    ] = None


class Progress(Request):
    """A bot's progress on its attempt."""

    fraction: Annotated[float | None, Field(ge=0, le=1)] = None
    message: Text | None = None
    log: Texts = Field(default_factory=list)

    def record(self) -> dict[str, Json]:
        return self.model_dump(exclude_none=True)


class Finding(Request):
    """A finding of an evaluator."""

    category: Literal["quality", "safety", "rules"] = "quality"
    severity: Literal["info", "minor", "major", "blocker"] = "minor"
    criterion: Annotated[int | None, Field(ge=0, le=99, description="Index into the task's acceptance_criteria.")] = (
        None
    )
    subtask: Annotated[Name | None, Field(description="Key of the subtask.")] = None
    text: Text = ""


class Target(Request):
    """A subtask to redo, with feedback."""

    subtask: Name
    feedback: Text = ""


class Verdict(Request):
    """An evaluator's result."""

    decision: Literal["accept", "rework", "reject"]
    score: Annotated[float | None, Field(ge=0, le=1)] = None
    reasons: Texts = Field(default_factory=list)
    findings: Annotated[list[Finding], Field(max_length=100)] = Field(default_factory=list)
    targets: Annotated[
        list[Target], Field(max_length=graph.SUBTASKS_MAX, description="With rework: subtasks to redo.")
    ] = Field(default_factory=list)
    subtasks: Annotated[SubTasks, Field(description="With rework: additional subtasks.")] = Field(default_factory=list)

    @model_validator(mode="after")
    def _rework_alone_changes_the_plan(self) -> Verdict:
        if self.decision != "rework" and (self.targets or self.subtasks):
            raise broken_rule("not_allowed", "targets and subtasks are allowed only with decision rework")
        return self

    def record(self) -> model.VerdictRecord:
        return model.VerdictRecord(
            decision=Decision(self.decision),
            score=self.score,
            reasons=tuple(self.reasons),
            findings=tuple(finding.model_dump() for finding in self.findings),
            targets=tuple(model.ReworkTarget(target.subtask, target.feedback) for target in self.targets),
            subtasks=specs(self.subtasks),
        )


class Claim(Request):
    """Requests the next work along with a report, without waiting."""

    max: LeaseCount = 1
    claim_id: Name | None = None


class Result(Request):
    """The result of an attempt: a plan, an output, a verdict, or a failure.

    Plan and verdict are validated separately (`read_plan`, `read_verdict`); the bot gets their errors under its lease.
    """

    lease_id: Annotated[LeaseId | None, Field(description="Optional if the bot has one lease on the task.")] = None
    status: Literal["succeeded", "failed"]
    plan: Annotated[Json, Unread(Plan | None)] = None
    output: Output = None
    verdict: Annotated[Json, Unread(Verdict | None)] = None
    error: Annotated[Failure | None, Field(description="Only with status failed.")] = None
    usage: Usage | None = None
    progress: Annotated[Progress | None, Field(description="Final progress of the attempt; it is stored.")] = None

    @model_validator(mode="after")
    def _one_content(self) -> Result:
        filled = (self.plan is not None) + (self.output is not None) + (self.verdict is not None)
        if self.status == "failed":
            if filled:
                raise broken_rule("not_allowed", "must not have a plan, output or verdict when status is failed")
        elif self.error is not None:
            raise broken_rule("not_allowed", "must not have an error when status is succeeded")
        elif filled > 1:
            raise broken_rule("not_allowed", "must have only one of plan, output and verdict")
        elif not filled and "output" not in self.model_fields_set:
            raise broken_rule("required", "one of plan, output and verdict is required when status is succeeded")
        return self

    @property
    def kind(self) -> Literal["plan", "output", "verdict", "failure"]:
        """Which of the four it is. An `output` may be null; a null plan or verdict counts as absent."""
        if self.status == "failed":
            return "failure"
        if self.plan is not None:
            return "plan"
        return "verdict" if self.verdict is not None else "output"

    @property
    def failure(self) -> Failure:
        """The error of a failed attempt, or a default one if none was given."""
        return self.error if self.error is not None else Failure()

    def content(self) -> dict[str, Json]:
        """Return what identifies a report: status and content, without usage and claim. JSON, keys unsorted."""
        kind = self.kind
        if kind == "failure":
            return {"status": self.status, "error": self.failure.content()}
        return {"status": self.status, kind: getattr(self, kind)}


class Report(Result):
    """The result of an attempt, optionally with a claim for the next work."""

    bot_id: Id
    claim: Claim | None = None


class BatchResult(Result):
    """A result of a batch."""

    task_id: Id | None = None

    @model_validator(mode="after")
    def _says_of_what(self) -> BatchResult:
        if self.lease_id is None and self.task_id is None:
            raise broken_rule("required", "one of lease_id and task_id is required")
        return self


class ReportBatch(Request):
    """A batch of one bot's `BatchResult`; each is accepted or refused separately."""

    bot_id: Id
    results: Annotated[list[Annotated[Json, Unread(BatchResult)]], Field(min_length=1, max_length=BATCH_MAX)]
    claim: Claim | None = None


class Beat(Request):
    """The heartbeat of one lease."""

    lease_id: LeaseId
    progress: Progress | None = None
    usage: Annotated[Usage | None, Field(description="The attempt's total so far, not the increase.")] = None
    checkpoint: Checkpoint = None
    messages_after: Annotated[Id | None, Field(description="Last message received; the answer has later ones.")] = None


class StuckCode(Request):
    """Bot code that is still running after its lease ended."""

    work_id: Annotated[Id, Field(description="The work item it was leased for.")]
    seconds: Annotated[float, Field(ge=0, le=YEAR_SECONDS, description="Time since its lease ended.")]
    where: Annotated[str, Field(max_length=300, description="Its position: file, line and function.")] = ""


class Heartbeat(Request):
    """A bot's heartbeat, with all its leases."""

    longest_bytes = HEARTBEAT_BODY_BYTES_MAX

    leases: Annotated[list[Beat], Field(max_length=LEASES_MAX)] = Field(default_factory=list)
    stuck: Annotated[
        list[StuckCode],
        Field(max_length=LEASES_MAX, description="Code still running after its lease ended; it uses capacity."),
    ] = Field(default_factory=list)


class Release(Request):
    """Releases work without a result."""

    reason: Text | None = None
    delay_seconds: Annotated[Delay, Field(description="Not handed out again before this.")] = 0
    progress: Progress | None = None


# ---- evidence ------------------------------------------------------------------------------------------------------


class RedactionTest(Request):
    """A value to redact as this tenant's evidence would be. It is not stored."""

    value: Annotated[Json, json_within(64 * 1024), Field(description="Any JSON of at most 64 KiB.")]
