"""The records of a swarm file: what may be written in it. file.py reads one; check.py looks at what it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, model_validator

CONTRIBUTORS_OWNER, EVALUATORS_OWNER = "contributors", "evaluators"
LOCAL = "local"
MILLION = 1_000_000
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_SKILL = r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,199}$"
_PROVIDER = re.compile(r"^[a-z][a-z0-9-]*:[^\s:][^\s]*$")
_ADDRESS = re.compile(r"^https?://(?P<host>[^\s/@#?]+)(?P<path>/[^\s#?@]*)?#(?P<model>[^\s#]+)$")
_PYTHON = re.compile(r"^python:(?P<file>[^\0:]+\.py):(?P<name>[A-Za-z_][A-Za-z0-9_]*)$")
_TOOL = re.compile(r"^mcp:(?P<server>[A-Za-z0-9][A-Za-z0-9_.-]{0,63})(?:/(?P<tool>[A-Za-z0-9_.-]{1,128}))?$")

EntryName = Annotated[str, StringConstraints(pattern=_NAME)]
SkillName = Annotated[str, StringConstraints(pattern=_SKILL)]
Variable = Annotated[str, StringConstraints(pattern=_VARIABLE)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


def _model_name(written: str) -> str:
    if written == LOCAL or any(pattern.match(written) for pattern in (_PYTHON, _ADDRESS)):
        return written
    if written.startswith(("http://", "https://")):
        raise ValueError(
            "an address is that of an OpenAI-compatible API with the model's name behind a #, and without a key: "
            "http://localhost:11434/v1#qwen3"
        )
    if written.startswith("python:") or not _PROVIDER.match(written):
        raise ValueError(
            "a model is provider:name such as anthropic:claude-sonnet-4-5, http://HOST/v1#NAME, "
            "python:FILE.py:NAME, or local"
        )
    return written


def _python_name(written: str) -> str:
    if not _PYTHON.match(written):
        raise ValueError("is python:FILE.py:NAME, such as python:tools.py:fetch")
    return written


def _tool_name(written: str) -> str:
    if not _PYTHON.match(written) and not _TOOL.match(written):
        raise ValueError("a tool is python:FILE.py:FUNCTION, mcp:SERVER, or mcp:SERVER/TOOL")
    return written


ModelName = Annotated[str, AfterValidator(_model_name)]
PythonName = Annotated[str, AfterValidator(_python_name)]
ToolName = Annotated[str, AfterValidator(_tool_name)]


def python_parts(written: str) -> tuple[str, str] | None:
    """Return file and name of `python:FILE.py:NAME`; None: it is something else."""
    found = _PYTHON.match(written)
    return None if found is None else (found["file"], found["name"])


def address_parts(written: str) -> tuple[str, str] | None:
    """Return the base address and the model of `http://HOST/v1#NAME`; None: it is something else."""
    if _ADDRESS.match(written) is None:
        return None
    address, _, model = written.partition("#")
    return address, model


def mcp_parts(written: str) -> tuple[str, str | None] | None:
    """Return server and tool of `mcp:SERVER/TOOL`; the tool is None for all of the server's. None: something else."""
    found = _TOOL.match(written)
    return None if found is None else (found["server"], found["tool"])


class SwarmEntry(BaseModel):
    """Base of all parts: types are strict, and an unknown field is refused, because it would have no effect."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class SwarmBudget(SwarmEntry):
    """What a task may use at most. Without a limit, it is not limited."""

    cost_usd: Annotated[float | None, Field(gt=0, le=MILLION, description="US dollars.")] = None
    tokens: Annotated[int | None, Field(ge=1, le=10**12, description="Tokens, input and output together.")] = None
    attempts: Annotated[int | None, Field(ge=1, le=MILLION, description="Attempts of all its work.")] = None
    subtasks: Annotated[int | None, Field(ge=1, le=10_000, description="Subtasks that it may have.")] = None
    at_limit: Annotated[
        Literal["ask", "stop"] | None,
        Field(description="At a limit, ask a person for more, or stop the task; default: stop."),
    ] = None

    def limits(self) -> dict[str, int | str]:
        """Return it as the `budget` of a task; empty if nothing is limited."""
        cost = None if self.cost_usd is None else max(1, round(self.cost_usd * MILLION))
        named = {"cost_micro_usd": cost, "tokens": self.tokens, "attempts": self.attempts, "subtasks": self.subtasks}
        found: dict[str, int | str] = {name: most for name, most in named.items() if most is not None}
        return found | ({"at_limit": self.at_limit or "stop"} if found else {})

    @model_validator(mode="after")
    def _limits_something(self) -> SwarmBudget:
        if self.at_limit is not None and not self.limits():
            raise ValueError("at_limit has no effect without a limit")
        return self


class SwarmDefaults(SwarmEntry):
    """Defaults for the tasks that are run with this file."""

    budget: Annotated[SwarmBudget, Field(description="What a task may use at most.")] = SwarmBudget()
    evaluation: Annotated[
        Literal["none", "final", "each"] | None, Field(description="What evaluators review; default: final.")
    ] = None


class ModelEntry(SwarmEntry):
    """A model by a name of its own."""

    use: Annotated[
        list[ModelName],
        Field(min_length=1, max_length=10, description="The model; then those to use where the one before is down."),
    ]
    key_env: Annotated[
        Variable | None, Field(description="The environment variable with the key of an address in `use`.")
    ] = None
    requests_per_minute: Annotated[
        int | None, Field(ge=1, le=MILLION, description="Requests of all bots of one process.")
    ] = None
    tokens_per_minute: Annotated[
        int | None, Field(ge=1, le=10**10, description="Tokens of all bots of one process.")
    ] = None
    max_concurrent: Annotated[
        int | None, Field(ge=1, le=10_000, description="Requests at a time, of all bots of one process.")
    ] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, description="Sampling temperature.")] = None
    max_output_tokens: Annotated[int | None, Field(ge=1, le=MILLION, description="Output tokens of one request.")] = (
        None
    )
    timeout_seconds: Annotated[float | None, Field(gt=0, le=86_400, description="Time of one request.")] = None

    @model_validator(mode="after")
    def _key_has_an_address(self) -> ModelEntry:
        if self.key_env is not None and not any(address_parts(name) for name in self.use):
            raise ValueError("key_env is for an address in `use`; providers have variables of their own")
        return self


class McpServerEntry(SwarmEntry):
    """How to reach an MCP server: a program, or an address."""

    command: Annotated[
        list[Annotated[str, StringConstraints(min_length=1)]] | None,
        Field(min_length=1, max_length=100, description="The program and its arguments; it speaks on its stdin."),
    ] = None
    env: Annotated[list[Variable], Field(description="Environment variables that the program gets.")] = Field(
        default_factory=list
    )
    url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^\s/@#?]+(/[^\s@#]*)?$", description="Its address, without a key."),
    ] = None
    token_env: Annotated[
        Variable | None, Field(description="The environment variable with the bearer token for the address.")
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> McpServerEntry:
        if (self.command is None) == (self.url is None):
            raise ValueError("an MCP server has either a command or a url")
        if self.command is None and self.env:
            raise ValueError("env is for a command")
        if self.url is None and self.token_env is not None:
            raise ValueError("token_env is for a url")
        return self


class ToolEntry(SwarmEntry):
    """A server of tools."""

    mcp: Annotated[McpServerEntry, Field(description="An MCP server.")]


class EntryLimits(SwarmEntry):
    """What one attempt may use at most. There is always a limit: the default holds where none is written."""

    requests: Annotated[int, Field(ge=1, le=10_000, description="Requests to the model.")] = 50
    tool_calls: Annotated[int, Field(ge=1, le=100_000, description="Calls of tools.")] = 100
    tokens: Annotated[int, Field(ge=1, le=10**9, description="Tokens, input and output together.")] = MILLION


class PlanStepEntry(SwarmEntry):
    """A step of an example of a plan."""

    key: Annotated[EntryName, Field(description="Name of the step.")]
    description: Annotated[Words, Field(description="What to do.")]
    skill: Annotated[SkillName | None, Field(description="The skill it needs.")] = None
    after: Annotated[list[EntryName], Field(description="Keys of earlier steps that it waits for.")] = Field(
        default_factory=list
    )


class PlanExampleEntry(SwarmEntry):
    """An example of a plan, shown to the planner's model."""

    task: Annotated[Words, Field(description="The task.")]
    steps: Annotated[list[PlanStepEntry], Field(min_length=1, max_length=100, description="Its plan.")]


class _BotEntry(SwarmEntry):
    name: Annotated[EntryName | None, Field(description="Its name; default: its type, or its first skill.")] = None
    owner: Annotated[
        EntryName | None,
        Field(
            description=f"Who answers for it; default: {CONTRIBUTORS_OWNER}, and {EVALUATORS_OWNER} for an evaluator."
        ),
    ] = None
    replicas: Annotated[int, Field(ge=1, le=100, description="How many such bots.")] = 1
    capacity: Annotated[int, Field(ge=1, le=100, description="Leases that each holds at a time.")] = 1
    limits: Annotated[EntryLimits, Field(description="What one attempt may use at most.")] = EntryLimits()
    instructions: Annotated[Words | None, Field(description="Added to the instructions of its model.")] = None


class PlannerEntry(_BotEntry):
    """A bot that makes plans."""

    type: Literal["planner"]
    model: Annotated[EntryName, Field(description="Its model, a name in `models`.")]
    skills: Annotated[list[SkillName], Field(description="Skills that a task asks of its planner.")] = Field(
        default_factory=list
    )
    max_subtasks: Annotated[int, Field(ge=1, le=500, description="Subtasks of a plan, at most.")] = 40
    examples: Annotated[list[PlanExampleEntry], Field(max_length=20, description="Examples of plans.")] = Field(
        default_factory=list
    )


class ExecutorEntry(_BotEntry):
    """A bot that does the work: a model with tools, a program, or an agent of any framework."""

    type: Literal["executor"]
    skills: Annotated[list[SkillName], Field(min_length=1, max_length=50, description="What it can do.")]
    about: Annotated[Words | None, Field(description="What its skills are for; shown to planners.")] = None
    model: Annotated[EntryName | None, Field(description="Its model, a name in `models`.")] = None
    command: Annotated[
        list[Annotated[str, StringConstraints(min_length=1)]] | None,
        Field(min_length=1, max_length=200, description="The program and its arguments; `{prompt}` is the prompt."),
    ] = None
    agent: Annotated[PythonName | None, Field(description="An agent of any framework: python:FILE.py:NAME.")] = None
    tools: Annotated[
        list[ToolName], Field(max_length=100, description="The tools that its model may call, and no other.")
    ] = Field(default_factory=list)
    output: Annotated[
        str | None, Field(min_length=1, description="A file with the JSON Schema of its output, beside this file.")
    ] = None
    folder: Annotated[
        str | None, Field(min_length=1, description="The working directory of its tools or its program.")
    ] = None
    worktree: Annotated[
        bool, Field(description="With `command`: a git worktree for each attempt, of the repository in `folder`.")
    ] = False
    env: Annotated[list[Variable], Field(description="With `command`: environment variables that it gets.")] = Field(
        default_factory=list
    )

    @model_validator(mode="after")
    def _one_kind(self) -> ExecutorEntry:
        kinds = [name for name in ("model", "command", "agent") if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError("an executor has exactly one of model, command and agent")
        effects = {
            "model": {"tools", "output", "folder", "instructions"},
            "command": {"folder", "worktree", "env"},
            "agent": set[str](),
        }[kinds[0]]
        written = self.model_fields_set & {"tools", "output", "folder", "instructions", "worktree", "env"}
        if idle := sorted(written - effects):
            raise ValueError(f"{idle[0]} has no effect on an executor with `{kinds[0]}`")
        return self


class EvaluatorEntry(_BotEntry):
    """A bot that judges results."""

    type: Literal["evaluator"]
    model: Annotated[EntryName, Field(description="Its model, a name in `models`.")]
    skills: Annotated[list[SkillName], Field(description="Skills that a task asks of its evaluators.")] = Field(
        default_factory=list
    )
    criteria: Annotated[
        list[Words], Field(max_length=50, description="What every result must meet, beside the task's own criteria.")
    ] = Field(default_factory=list)
    rubric: Annotated[Words | None, Field(description="How to give a score from 0 to 1.")] = None


BotEntry = Annotated[PlannerEntry | ExecutorEntry | EvaluatorEntry, Field(discriminator="type")]


class SwarmFile(SwarmEntry):
    """A swarm: its bots, their models and tools, and the defaults of its tasks."""

    swarm: Annotated[SwarmDefaults, Field(description="For the tasks that are run with this file.")] = SwarmDefaults()
    models: Annotated[dict[EntryName, ModelEntry], Field(description="Models, by a name of your own.")] = Field(
        default_factory=dict
    )
    tools: Annotated[dict[EntryName, ToolEntry], Field(description="Servers of tools, by a name of your own.")] = Field(
        default_factory=dict
    )
    bots: Annotated[list[BotEntry], Field(min_length=1, max_length=100, description="The bots.")]

    _folder: Path = PrivateAttr(default_factory=Path)

    @property
    def folder(self) -> Path:
        """The folder of the file: paths in it are meant from there."""
        return self._folder

    def names(self) -> list[str]:
        """Return the name of each entry of `bots`, in order. Bots with replicas are called NAME-1, NAME-2, …"""
        taken: set[str] = {entry.name for entry in self.bots if entry.name is not None}
        found = []
        for entry in self.bots:
            name = entry.name or free_name(default_name(entry), taken)
            taken.add(name)
            found.append(name)
        return found

    def owners(self) -> dict[str, str]:
        """Return the owner of each bot, by the bot's name."""
        return {
            name: owner_of(entry)
            for entry, called in zip(self.bots, self.names(), strict=True)
            for name in replica_names(called, entry.replicas)
        }

    def skills(self) -> dict[str, str]:
        """Return the skills of all executors, each with what it is for."""
        found: dict[str, str] = {}
        for entry in self.bots:
            if isinstance(entry, ExecutorEntry):
                for skill in entry.skills:
                    found[skill] = found.get(skill) or entry.about or ""
        return found


def owner_of(entry: PlannerEntry | ExecutorEntry | EvaluatorEntry) -> str:
    return entry.owner or (EVALUATORS_OWNER if entry.type == "evaluator" else CONTRIBUTORS_OWNER)


def default_name(entry: PlannerEntry | ExecutorEntry | EvaluatorEntry) -> str:
    name = entry.skills[0] if isinstance(entry, ExecutorEntry) else entry.type
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)[:60]


def free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def replica_names(name: str, replicas: int) -> list[str]:
    return [name] if replicas == 1 else [f"{name}-{number}" for number in range(1, replicas + 1)]
