"""What clients, bots and operators send. A field that a later release brings is in later.py, or unknown.

Words of a closed set are written out here, because they are the contract; a test holds them against core/states.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, WithJsonSchema, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

from swarmkeeper.core import model
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import Condition, Decision, ErrorClass
from swarmkeeper.wire.shapes import (
    BATCH_MAX,
    LEASES_MAX,
    YEAR_SECONDS,
    Attempts,
    Checkpoint,
    Count,
    Deadline,
    Delay,
    Description,
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
    micros,
    something_not_null,
)

When = Literal["success", "done", "failure"]
OnFailure = Literal["fail", "continue"]
BotTypeName = Literal["Planner", "Executor", "Evaluator"]
Role = Literal["client", "bot:planner", "bot:executor", "bot:evaluator", "operator", "approver", "auditor", "admin"]

GiveUp = Annotated[
    Deadline | None,
    Field(description="How long it may be put off in a row (rate limits, `release`) before it fails; 3600 by default."),
]

# ---- plans ---------------------------------------------------------------------------------------------------------


class Dependency(Request):
    """An edge of a plan: what must have happened to `key` before this goes on. A bare `"key"` means success."""

    key: Name
    when: When = "success"


class _Dependencies:
    """A list of dependencies, where a bare key stands for one; kept as `Dependency` whichever was sent."""

    @staticmethod
    def _spelled_out(value: Any) -> Any:
        return {"key": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # The annotation says `str | Dependency` for those who write one; a real union would put its branches into
        # the places of errors.
        item = Annotated[Dependency, BeforeValidator(cls._spelled_out, json_schema_input_type=Name | Dependency)]
        return handler.generate_schema(list[item])


class SubTask(Request):
    """One node of a task's plan: what an executor does. The same record in a plan, in answers and in a bot's hands."""

    id: OnlyServerSets = None
    parent_task_id: OnlyServerSets = None
    # Whether a key is a good one is for core/rules/graph.py to say, with all else that a plan can have wrong.
    key: Annotated[
        str | None,
        Field(
            description="Its name in the plan. By default s1, s2, … by place.",
            examples=["fetch"],
            json_schema_extra={"pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"},
        ),
    ] = None
    description: Annotated[Description, Field(description="What is to be done, for the bot and for people.")]
    required_skills: Annotated[
        Skills, Field(description="A bot must have all of them; none: any executor.", examples=[["text.count"]])
    ] = Field(default_factory=list)
    status: OnlyServerSets = None
    depends_on: Annotated[
        list[str | Dependency],
        _Dependencies,
        Field(description="What must have ended first.", examples=[["fetch", {"key": "parse", "when": "done"}]]),
    ] = Field(default_factory=list)
    input: Input = Field(default_factory=dict)
    timeout_seconds: Annotated[Timeout | None, Field(description="For each attempt; 900 by default.")] = None
    max_attempts: Annotated[Attempts | None, Field(description="Failed or timed-out ones; 3 by default.")] = None
    schedule_to_start_seconds: Annotated[Deadline | None, Field(description="Until taken; a day by default.")] = None
    give_up_after_seconds: GiveUp = None
    on_failure: Annotated[OnFailure | None, Field(description="`continue`: the task goes on without it.")] = None
    assign_to: Annotated[Name | None, Field(description="Only the bot of this name may do it.")] = None
    priority: Annotated[Priority | None, Field(description="The task's where it is left out.")] = None

    @property
    def edges(self) -> list[Dependency]:
        return [each if isinstance(each, Dependency) else Dependency(key=each) for each in self.depends_on]

    def spec(self, place: int) -> model.SubtaskSpec:
        """The node as the engine takes it, at `place` (from 1) of its plan; `None` is left to the task's defaults."""
        return model.SubtaskSpec(
            key=self.key if self.key is not None else f"s{place}",
            description=self.description,
            required_skills=tuple(dict.fromkeys(self.required_skills)),
            depends_on=tuple((edge.key, Condition(edge.when)) for edge in self.edges),
            input=self.input,
            timeout=_micros(self.timeout_seconds),
            max_attempts=self.max_attempts,
            start=_micros(self.schedule_to_start_seconds),
            give_up=_micros(self.give_up_after_seconds),
            on_failure=self.on_failure,
            assign_to=self.assign_to,
            priority=self.priority,
        )


def specs(subtasks: list[SubTask]) -> tuple[model.SubtaskSpec, ...]:
    """A plan's nodes as the engine takes them."""
    return tuple(subtask.spec(place) for place, subtask in enumerate(subtasks, start=1))


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else micros(seconds)


def bounded(value: Any) -> Any:
    """Cut a plan's list of subtasks to what is read: one subtask and one edge more than the limit.

    core/rules/graph.py refuses one too many with the plan's other errors; reading a million takes memory.
    """
    if not isinstance(value, list):
        return value
    kept = value[: graph.SUBTASKS_MAX + 1]
    left = graph.EDGES_MAX + 1
    for place, node in enumerate(kept):
        edges = node.get("depends_on") if isinstance(node, dict) else None
        if not isinstance(edges, list):
            continue
        if len(edges) > left:
            kept[place] = {**node, "depends_on": edges[:left]}
        left = max(0, left - len(edges))
    return kept


SubTasks = Annotated[list[SubTask], BeforeValidator(bounded), Field(json_schema_extra={"maxItems": graph.SUBTASKS_MAX})]
# That a plan is not empty is refused by core/rules/graph.py, too; here it is only described.
WholePlan = Annotated[SubTasks, Field(json_schema_extra={"minItems": 1, "maxItems": graph.SUBTASKS_MAX})]


class Plan(Request):
    """What a planner reports."""

    subtasks: WholePlan


# ---- tasks ---------------------------------------------------------------------------------------------------------


class Quorum(Request):
    """How many evaluators judge the final result, and how many of them must accept."""

    accept: Annotated[int, Field(ge=1, le=9)] = 1
    of: Annotated[int, Field(ge=1, le=9)] = 1

    @model_validator(mode="after")
    def _within_reach(self) -> Quorum:
        if self.accept > self.of:
            raise PydanticCustomError("quorum_beyond_reach", "accept must be at most of")
        return self


class Defaults(Request):
    """What a subtask is given where it does not say otherwise itself."""

    timeout_seconds: Timeout | None = None
    max_attempts: Attempts | None = None
    schedule_to_start_seconds: Deadline | None = None
    give_up_after_seconds: GiveUp = None
    on_failure: OnFailure | None = None

    def spec(self) -> dict[str, Json]:
        """Those that were given, as the engine takes them: times in microseconds."""
        given = {
            "timeout": _micros(self.timeout_seconds),
            "max_attempts": self.max_attempts,
            "start": _micros(self.schedule_to_start_seconds),
            "give_up": _micros(self.give_up_after_seconds),
            "on_failure": self.on_failure,
        }
        return {name: value for name, value in given.items() if value is not None}


class TaskDefinition(Request):
    """What a client wants done. Without `subtasks` a planner plans it."""

    id: OnlyServerSets = None
    title: Annotated[Title, Field(examples=["Count the words of three pages"])]
    description: Description = ""
    created_at: OnlyServerSets = None
    status: OnlyServerSets = None
    priority: Priority = 5
    input: Input = Field(default_factory=dict)
    labels: Annotated[Labels, Field(examples=[{"team": "search"}])] = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=dict)
    acceptance_criteria: Annotated[Texts, Field(description="Told to planner, executors and evaluator.")] = Field(
        default_factory=list
    )
    planner_skills: Annotated[Skills, Field(description="What its planner must have.")] = Field(default_factory=list)
    evaluator_skills: Annotated[Skills, Field(description="What evaluators must have.")] = Field(default_factory=list)
    deadline_seconds: Annotated[Deadline | None, Field(description="From now until COMPLETED.")] = None
    evaluation: Annotated[
        Literal["final", "each", "none"],
        Field(description="What is judged: the whole; each subtask, then the whole; nothing."),
    ] = "final"
    quorum: Quorum = Field(default_factory=Quorum)
    max_rounds: Annotated[int, Field(ge=0, le=100, description="How often a verdict may ask for rework.")] = 3
    approval: Annotated[
        Literal["none", "plan", "final", "rounds"],
        Field(
            description="What a person has to agree to: nothing; the plan; the result, once it is judged good; what "
            "comes after the last round of rework."
        ),
    ] = "none"
    plan_timeout_seconds: Annotated[Timeout | None, Field(description="For each attempt of a planner.")] = None
    review_timeout_seconds: Annotated[Timeout | None, Field(description="For each attempt of an evaluator.")] = None
    defaults: Defaults = Field(default_factory=Defaults)
    subtasks: WholePlan | None = None


class TaskBatch(Request):
    """Many tasks, each taken or refused by itself: read each as a `TaskDefinition`."""

    tasks: Annotated[list[Annotated[Json, Unread(TaskDefinition)]], Field(min_length=1, max_length=BATCH_MAX)]


class TaskPatch(Request):
    """What of a task may be changed later; what is left out stays."""

    model_config = ConfigDict(json_schema_extra=something_not_null)

    priority: Priority | None = None
    labels: Annotated[Labels | None, Field(description="All of them: they replace those before.")] = None
    deadline_seconds: Annotated[Deadline | None, Field(description="From now until COMPLETED.")] = None

    @model_validator(mode="after")
    def _changes_something(self) -> TaskPatch:
        if not self.model_fields_set:
            raise PydanticCustomError("change_missing", "at least one field is required")
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise PydanticCustomError("null", "must not be null")
        return self


class Reason(Request):
    """Why: goes into the audit record."""

    reason: Text | None = None


class Retry(Reason):
    """Try a failed task again."""

    deadline_seconds: Annotated[Deadline | None, Field(description="A new deadline, from now.")] = None


# ---- bots and keys -------------------------------------------------------------------------------------------------

_BOT_TYPES: dict[str, BotTypeName] = {"planner": "Planner", "executor": "Executor", "evaluator": "Evaluator"}


def _bot_type(value: Any) -> Any:
    return _BOT_TYPES.get(value.lower(), value) if isinstance(value, str) else value


class BotInfo(Request):
    """A bot as it says what it is; `name` defaults to the one its key is for, else to its id."""

    id: OnlyServerSets = None
    type: Annotated[
        BotTypeName,
        BeforeValidator(
            _bot_type,
            json_schema_input_type=Annotated[
                str,
                WithJsonSchema(
                    # Of one casing, or generators make three names of one.
                    {"type": "string", "enum": list(_BOT_TYPES.values())}
                ),
            ],
        ),
        Field(description="In any casing.", examples=["Executor"]),
    ]
    version: Annotated[Name, Field(examples=["1.0"])]
    name: Annotated[Name | None, Field(examples=["counter"])] = None
    instance: Annotated[NameOrNone, Field(description="Which of several under one name, such as a pod's name.")] = ""
    endpoint: Annotated[
        WebAddress | None,
        Field(description="Stored and shown; nothing calls it yet. A URL of http or https.", examples=["https://a.b"]),
    ] = None
    skills: Annotated[Skills, Field(examples=[["text.count"]])] = Field(default_factory=list)
    capacity: Annotated[int, Field(ge=1, le=LEASES_MAX, description="How many leases it may hold at once.")] = 4
    dedicated: Annotated[bool, Field(description="Takes only work that requires one of its skills.")] = False
    labels: Labels = Field(default_factory=dict)
    status: OnlyServerSets = None


class BotRegistration(BotInfo):
    """A bot as it registers itself."""

    default_name: Annotated[
        Name | None, Field(description="Its name where neither `name` nor the key says one, such as its function's.")
    ] = None


class KeyRequest(Request):
    """A new API key."""

    role: Role
    bot: Annotated[Name | None, Field(description="The one bot name it may act as.")] = None
    owner: Name | None = None
    skills: Annotated[
        Skills | None, Field(description="What its bot may claim to be able to do; left out: anything.")
    ] = None
    expires_days: Annotated[int | None, Field(ge=1, le=3650)] = None

    @model_validator(mode="after")
    def _bot_only_where_it_can_be_one(self) -> KeyRequest:
        may_be_a_bot = self.role == "admin" or self.role.startswith("bot:")
        if not may_be_a_bot and (self.bot is not None or self.skills is not None):
            raise PydanticCustomError("bots_only", "bot and skills are allowed only with bot roles and admin")
        return self


class KeyRotation(Request):
    """A new secret for a key; the old one stays good for a while, so that nobody is locked out meanwhile."""

    overlap_seconds: Delay = 0


# ---- work ----------------------------------------------------------------------------------------------------------

LeaseId = Annotated[str, Field(min_length=1, max_length=64, examples=["lse_7Q2W"])]
Id = Annotated[str, Field(min_length=1, max_length=64)]
LeaseCount = Annotated[int, Field(ge=1, le=64)]


class LeaseRequest(Request):
    """A bot asks for work, and waits for it."""

    bot_id: Id
    max: LeaseCount = 1
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = 25
    lease_seconds: Annotated[float | None, Field(ge=1, le=3600, description="30 where it is left out.")] = None
    skills: Annotated[Skills | None, Field(description="Only work for these of its skills.")] = None
    claim_id: Annotated[Name | None, Field(description="Asked again with the same one, the same leases come.")] = None


class Usage(Request):
    """What an attempt has used in all."""

    tokens: Count = 0
    cost_micro_usd: Count = 0


class Progress(Request):
    """How far a bot has come."""

    fraction: Annotated[float | None, Field(ge=0, le=1)] = None
    message: Text | None = None
    log: Texts = Field(default_factory=list)

    def record(self) -> dict[str, Json]:
        return self.model_dump(exclude_none=True)


class Failure(Request):
    """Why an attempt failed."""

    class_: Literal["retryable", "not_retryable", "rate_limited"] = Field(
        default="retryable", validation_alias="class", serialization_alias="class"
    )
    message: Text = ""
    retry_after_seconds: Annotated[Delay | None, Field(description="With class rate_limited only.")] = None

    @model_validator(mode="after")
    def _retry_after_has_an_effect(self) -> Failure:
        if self.retry_after_seconds is not None and self.class_ != "rate_limited":
            raise PydanticCustomError(
                "retry_after_without_rate_limit", "retry_after_seconds goes with class rate_limited only"
            )
        return self

    def record(self) -> model.Failure:
        return model.Failure(ErrorClass(self.class_), self.message, _micros(self.retry_after_seconds))


class Finding(Request):
    """One thing an evaluator saw."""

    category: Literal["quality", "safety", "rules"] = "quality"
    severity: Literal["info", "minor", "major", "blocker"] = "minor"
    criterion: Annotated[int | None, Field(ge=0, le=99, description="Index into the task's acceptance_criteria.")] = (
        None
    )
    subtask: Annotated[Name | None, Field(description="Its key.")] = None
    text: Text = ""


class Target(Request):
    """A subtask to be done again, and what to do better."""

    subtask: Name
    feedback: Text = ""


class Verdict(Request):
    """What an evaluator reports."""

    decision: Literal["accept", "rework", "reject"]
    score: Annotated[float | None, Field(ge=0, le=1)] = None
    reasons: Texts = Field(default_factory=list)
    findings: Annotated[list[Finding], Field(max_length=100)] = Field(default_factory=list)
    targets: Annotated[
        list[Target], Field(max_length=graph.SUBTASKS_MAX, description="With rework only: what is done again.")
    ] = Field(default_factory=list)
    subtasks: Annotated[SubTasks, Field(description="With rework only: what is done besides.")] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _rework_alone_changes_the_plan(self) -> Verdict:
        if self.decision != "rework" and (self.targets or self.subtasks):
            raise PydanticCustomError("rework_only", "targets and subtasks go with decision rework only")
        return self

    def record(self) -> model.Verdict:
        return model.Verdict(
            decision=Decision(self.decision),
            score=self.score,
            reasons=tuple(self.reasons),
            findings=tuple(finding.model_dump() for finding in self.findings),
            targets=tuple(model.Target(target.subtask, target.feedback) for target in self.targets),
            subtasks=specs(self.subtasks),
        )


class Claim(Request):
    """Ask for the next work along with a report. It never waits."""

    max: LeaseCount = 1
    claim_id: Name | None = None


class Result(Request):
    """What came of one attempt: a plan, an output, a verdict, or a failure.

    Plan and verdict stay as they were sent. What is wrong with them is told to the bot under its lease (`read_plan`,
    `read_verdict`), which is not what happens to a request that cannot be read at all.
    """

    lease_id: Annotated[
        LeaseId | None, Field(description="May be left out by a bot that had one lease on the task.")
    ] = None
    status: Literal["succeeded", "failed"]
    plan: Annotated[Json, Unread(Plan | None)] = None
    output: Output = None
    verdict: Annotated[Json, Unread(Verdict | None)] = None
    error: Annotated[Failure | None, Field(description="With status failed.")] = None
    usage: Usage | None = None
    progress: Annotated[Progress | None, Field(description="The last that is said of the attempt; it is kept.")] = None

    @model_validator(mode="after")
    def _one_content(self) -> Result:
        filled = sum(content is not None for content in (self.plan, self.output, self.verdict))
        if self.status == "failed":
            if filled:
                raise PydanticCustomError(
                    "content_with_failure", "must not have a plan, output or verdict where status is failed"
                )
        elif self.error is not None:
            raise PydanticCustomError("error_with_success", "must not have an error where status is succeeded")
        elif filled > 1:
            raise PydanticCustomError("content_ambiguous", "must have one of plan, output and verdict, not several")
        elif not filled and "output" not in self.model_fields_set:
            raise PydanticCustomError(
                "content_missing", "one of plan, output and verdict is required where status is succeeded"
            )
        return self

    @property
    def kind(self) -> Literal["plan", "output", "verdict", "failure"]:
        """Which of the four it is. An `output` may be null; a plan or verdict of null is none."""
        if self.status == "failed":
            return "failure"
        if self.plan is not None:
            return "plan"
        return "verdict" if self.verdict is not None else "output"

    @property
    def failure(self) -> Failure:
        """Of a failed attempt: what was said about it, or nothing but that it failed."""
        return self.error if self.error is not None else Failure()

    def content(self) -> dict[str, Json]:
        """What makes two reports the same: status and content, without use and claim. JSON, keys unsorted."""
        match self.kind:
            case "failure":
                return {"status": self.status, "error": self.failure.model_dump(by_alias=True)}
            case "plan":
                return {"status": self.status, "plan": self.plan}
            case "verdict":
                return {"status": self.status, "verdict": self.verdict}
            case _:
                return {"status": self.status, "output": self.output}


class Report(Result):
    """The result of one attempt, and perhaps the wish for the next work."""

    bot_id: Id
    claim: Claim | None = None


class BatchResult(Result):
    """One of several results."""

    task_id: Id | None = None

    @model_validator(mode="after")
    def _says_of_what(self) -> BatchResult:
        if self.lease_id is None and self.task_id is None:
            raise PydanticCustomError("place_missing", "one of lease_id and task_id is required")
        return self


class ReportBatch(Request):
    """Several results of one bot, each taken or refused by itself: read each as a `BatchResult`."""

    bot_id: Id
    results: Annotated[list[Annotated[Json, Unread(BatchResult)]], Field(min_length=1, max_length=BATCH_MAX)]
    claim: Claim | None = None


class Beat(Request):
    """A sign of life for one lease."""

    lease_id: LeaseId
    progress: Progress | None = None
    usage: Annotated[Usage | None, Field(description="The attempt's total so far, not what was added.")] = None
    checkpoint: Checkpoint = None
    messages_after: Annotated[
        Id | None, Field(description="The last message about the task that was heard; what came after it is told.")
    ] = None


class StuckCode(Request):
    """Code of a bot that does not end though its lease is gone."""

    work_id: Annotated[Id, Field(description="The work that it was at.")]
    seconds: Annotated[float, Field(ge=0, le=YEAR_SECONDS, description="How long its lease has been gone.")]
    where: Annotated[str, Field(max_length=300, description="Where it stands: file, line and function.")] = ""


class Heartbeat(Request):
    """A bot's sign of life, with all its leases."""

    leases: Annotated[list[Beat], Field(max_length=LEASES_MAX)] = Field(default_factory=list)
    stuck: Annotated[
        list[StuckCode],
        Field(max_length=LEASES_MAX, description="Code that goes on though its lease is gone, and holds a place."),
    ] = Field(default_factory=list)


class Release(Request):
    """Give work back."""

    reason: Text | None = None
    delay_seconds: Annotated[Delay, Field(description="Handed out again no sooner.")] = 0
    progress: Progress | None = None
