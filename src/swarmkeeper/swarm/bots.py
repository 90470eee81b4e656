"""Makes the bots of a swarm file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmkeeper.agents.caps import Caps
from swarmkeeper.swarm import prices as price_tables
from swarmkeeper.swarm.entries import (
    LOCAL,
    EvaluatorEntry,
    ExecutorEntry,
    ModelEntry,
    PlannerEntry,
    SwarmFile,
    mcp_parts,
    replica_names,
)
from swarmkeeper.swarm.prices import PriceTable

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from swarmkeeper.ai.asking import ModelWork
    from swarmkeeper.ai.pace import ModelPace
    from swarmkeeper.ai.tools import McpAccess
    from swarmkeeper.sdk.bots import BaseBot

_SCHEMA_BYTES_MAX = 1 << 20


class CannotBuild(ValueError):
    """A bot of a swarm file cannot be made.

    Attributes:
        bot: its place in `bots`, counted from 0.
    """

    def __init__(self, bot: int, why: str) -> None:
        super().__init__(f"bots[{bot}]: {why}")
        self.bot = bot
        self.why = why


def build(
    swarm: SwarmFile,
    *,
    prices: PriceTable | None = None,
    models: Mapping[str, Model] | None = None,
    environ: Mapping[str, str] = os.environ,
    files: Path | None = None,
) -> list[BaseBot]:
    """Make the bots of a swarm, each with a name of its own: run each with a key whose owner is `swarm.owners()[name]`.

    Args:
        prices: None: those of `prices.beside(swarm.folder)`.
        models: models to use in place of those that the file describes, by their name in it.
        files: a folder that executors with a model may read, beside their own tools. The model `local` calls no tools.
        environ: where keys are. They are read now; nothing of them is kept but in the models' connections.

    Raises:
        CannotBuild: a key, a file, a function or an installed package is missing; the message says which.
        BadPrices: `prices.toml` cannot be used.
    """
    table = price_tables.beside(swarm.folder) if prices is None else prices
    builder = _Builder(swarm, table, models or {}, environ, files)
    bots: list[BaseBot] = []
    for number, (entry, called) in enumerate(zip(swarm.bots, swarm.names(), strict=True)):
        try:
            bots += [builder.bot(entry, name) for name in replica_names(called, entry.replicas)]
        except (ValueError, TypeError, OSError, ImportError) as error:
            raise CannotBuild(number, str(error)) from error
    return bots


class _Builder:
    def __init__(
        self,
        swarm: SwarmFile,
        prices: PriceTable,
        models: Mapping[str, Model],
        environ: Mapping[str, str],
        files: Path | None,
    ) -> None:
        self._swarm, self._prices, self._models, self._environ = swarm, prices, models, environ
        self._files = files
        self._paces: dict[str, ModelPace] = {}  # one for each model of the file: all its bots share it

    def bot(self, entry: PlannerEntry | ExecutorEntry | EvaluatorEntry, name: str) -> BaseBot:
        if isinstance(entry, ExecutorEntry):
            if entry.command is not None:
                return self._program(entry, entry.command, name)
            if entry.agent is not None:
                return self._agent(entry, entry.agent, name)
            return self._executor(entry, name)
        return self._planner(entry, name) if isinstance(entry, PlannerEntry) else self._evaluator(entry, name)

    def _planner(self, entry: PlannerEntry, name: str) -> BaseBot:
        from swarmkeeper.ai.planner import ModelPlanner, PlanExample

        return ModelPlanner(
            self._work(entry.model, entry),
            skills=self._swarm.skills(),
            max_subtasks=entry.max_subtasks,
            instructions=entry.instructions or "",
            examples=[
                PlanExample(example.task, [step.model_dump(exclude_none=True) for step in example.steps])
                for example in entry.examples
            ],
            name=name,
            planner_skills=entry.skills,
            capacity=entry.capacity,
        )

    def _evaluator(self, entry: EvaluatorEntry, name: str) -> BaseBot:
        from swarmkeeper.ai.evaluator import ModelEvaluator

        return ModelEvaluator(
            self._work(entry.model, entry),
            criteria=entry.criteria,
            rubric=entry.rubric or "",
            instructions=entry.instructions or "",
            name=name,
            skills=entry.skills,
            capacity=entry.capacity,
        )

    def _executor(self, entry: ExecutorEntry, name: str) -> BaseBot:
        assert entry.model is not None, "the entry has exactly one of model, command and agent"
        from swarmkeeper.ai.executor import model_executor
        from swarmkeeper.ai.tools import toolset_of

        folder, work = self._folder(entry), self._work(entry.model, entry)
        tools = toolset_of(
            [tool for tool in entry.tools if mcp_parts(tool) is None],
            self._servers(entry),
            files=self._swarm.folder,
            folder=folder,
            environ=self._environ,
        )
        if self._files is not None and not work.small:
            from swarmkeeper.ai.folder_tools import ReadFolder, reading_tools
            from swarmkeeper.ai.tools import forgiving

            tools.append(forgiving(reading_tools(ReadFolder(self._files))))
        return model_executor(
            work,
            skills=entry.skills,
            instructions=entry.instructions or "",
            tools=tools,
            folder=folder,
            output=None if entry.output is None else schema_in(self._swarm.folder, entry.output),
            name=name,
            capacity=entry.capacity,
        )

    def _agent(self, entry: ExecutorEntry, agent: str, name: str) -> BaseBot:
        from swarmkeeper.agents import agent_bot
        from swarmkeeper.ai.python_files import loaded

        return agent_bot(
            loaded(agent, self._swarm.folder),
            skills=frozenset(entry.skills),
            name=name,
            caps=_caps(entry),
            cost=self._prices.cost_micro_usd,
            capacity=entry.capacity,
        )

    def _program(self, entry: ExecutorEntry, command: list[str], name: str) -> BaseBot:
        try:
            from swarmkeeper.agents.programs import command_bot
        except ImportError:
            raise ValueError("a `command` runs on POSIX only") from None
        return command_bot(
            command,
            skills=frozenset(entry.skills),
            name=name,
            **self._checkouts(entry),
            env=entry.env,
            folder=None if entry.folder is None else self._folder(entry),
            caps=_caps(entry),
            cost=self._prices.cost_micro_usd,
            capacity=entry.capacity,
        )

    def _checkouts(self, entry: ExecutorEntry) -> dict[str, Any]:
        """Return how a program gets its checkouts: of the repository in its folder, unless a subtask names another."""
        if not entry.worktree:
            return {}
        folder = self._folder(entry)
        return {"worktree": True, "roots": [self._swarm.folder, folder], "repository": folder}

    # ---- parts

    def _work(self, model: str, entry: PlannerEntry | ExecutorEntry | EvaluatorEntry) -> ModelWork:
        from swarmkeeper.ai.asking import ModelWork

        named = self._swarm.models.get(model)
        small = named is not None and set(named.use) == {LOCAL}
        return ModelWork(self._model(model), _caps(entry), self._prices.cost_micro_usd, small)

    def _model(self, name: str) -> Model:
        if name in self._models:
            return self._models[name]
        from swarmkeeper.ai.models import ModelChoice, model_of

        entry = self._swarm.models[name]
        if name not in self._paces:
            self._paces[name] = _pace(entry)
        choice = ModelChoice(
            use=entry.use,
            folder=self._swarm.folder,
            key_env=entry.key_env,
            temperature=entry.temperature,
            max_output_tokens=entry.max_output_tokens,
            timeout_seconds=entry.timeout_seconds,
            pace=self._paces[name],
        )
        return model_of(choice, self._environ)

    def _folder(self, entry: ExecutorEntry) -> Path:
        folder = self._swarm.folder if entry.folder is None else (self._swarm.folder / entry.folder).resolve()
        if not folder.is_dir():
            raise ValueError(f"there is no folder {entry.folder}")
        return folder

    def _servers(self, entry: ExecutorEntry) -> list[McpAccess]:
        from swarmkeeper.ai.tools import McpAccess

        allowed: dict[str, set[str] | None] = {}  # None: all tools of the server
        for written in entry.tools:
            if (parts := mcp_parts(written)) is None:
                continue
            server, tool = parts
            known = allowed.setdefault(server, set())
            if tool is None or known is None:
                allowed[server] = None
            else:
                known.add(tool)
        servers = []
        for name, only in allowed.items():
            mcp = self._swarm.tools[name].mcp
            servers.append(
                McpAccess(
                    name=name,
                    command=mcp.command or (),
                    env=mcp.env,
                    url=mcp.url,
                    token_env=mcp.token_env,
                    only=None if only is None else frozenset(only),
                )
            )
        return servers


def _pace(entry: ModelEntry) -> ModelPace:
    from swarmkeeper.ai.pace import ModelPace

    return ModelPace(
        requests_per_minute=entry.requests_per_minute,
        tokens_per_minute=entry.tokens_per_minute,
        max_concurrent=entry.max_concurrent,
    )


def _caps(entry: PlannerEntry | ExecutorEntry | EvaluatorEntry) -> Caps:
    limits = entry.limits
    return Caps(requests=limits.requests, tool_calls=limits.tool_calls, tokens=limits.tokens)


def schema_in(folder: Path, written: str) -> dict[str, Any]:
    """Read the JSON Schema of an output from a file of the swarm's folder.

    Raises:
        ValueError: it is not there, outside the folder, or not a JSON object.
    """
    root = folder.resolve()
    file = (root / written).resolve()
    if not file.is_relative_to(root):
        raise ValueError(f"output: {written} is outside the folder of the swarm file")
    if not file.is_file():
        raise ValueError(f"output: there is no file {written}")
    raw = file.read_bytes()
    if len(raw) > _SCHEMA_BYTES_MAX:
        raise ValueError(f"output: {written} is longer than 1 MiB")
    try:
        schema = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError(f"output: {written} is not JSON") from None
    if not isinstance(schema, dict):
        raise ValueError(f"output: {written} is not a JSON Schema of an object")
    return schema
