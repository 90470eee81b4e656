"""An executor whose work is done by a model with tools: an agent of pydantic-ai, as any other agent bot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.toolsets import AbstractToolset
from pydantic_core import core_schema

from swarmkeeper.agents import agent_bot
from swarmkeeper.agents.adapter import Resumed, Turn
from swarmkeeper.agents.adapters.pydantic_ai import PydanticAiAdapter
from swarmkeeper.agents.bot import AgentBot
from swarmkeeper.agents.prompt import Prompt, shortened, written
from swarmkeeper.agents.run import AgentRun
from swarmkeeper.ai.asking import CORRECTIONS_MAX, ModelWork
from swarmkeeper.ai.tools import ToolFolder

Json = Any
_SCHEMA_BYTES_MAX = 64 * 1024
_PATTERN_BYTES_MAX = 1 << 20  # of a compiled pattern
_ERRORS_MAX = 10  # that the model is told at once

_SMALL_INSTRUCTIONS = "Answer with the text that is asked for, in a few sentences, and nothing else."
_INSTRUCTIONS = (
    "You do one step of a larger task. Do what the first lines of the prompt ask for, and answer with the result "
    "itself, without a remark before or after it. Use only what the data and your tools say; if something is missing, "
    "say so in the result."
)


# Characters of one piece of data in the prompt of a small model.
_SMALL_PIECE_LENGTH_MAX = 1_200


class SmallPrompt(Prompt):
    """A prompt for a small model: rules about data and marks around it are lost on it, and it repeats them.

    What stands in the data can steer it. It calls no tools, so all that it can do is to write a bad text.
    """

    def text(self) -> str:
        goal = self.input.get("goal")
        rest = {name: value for name, value in self.input.items() if name != "goal"}
        parts = [self.description]
        if isinstance(goal, str):  # the plan of a small model may say little
            parts = [f"The task: {goal}", f"Your step of it: {self.description}"]
        pieces = [*rest.items(), *((f"Result of {key}", value) for key, value in self.upstream.items())]
        pieces += [("To be improved", text) for text in self.feedback]
        parts += [f"{name}:\n{shortened(written(value), _SMALL_PIECE_LENGTH_MAX)}" for name, value in pieces]
        return "\n\n".join(parts)


class _SmallPromptAdapter(PydanticAiAdapter):
    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        small = SmallPrompt(**{each.name: getattr(prompt, each.name) for each in fields(prompt)})
        return await super().start(agent, small, resumed, run)


class BadOutputSchema(ValueError):
    """A JSON Schema cannot be used for outputs; the message says why."""


def model_executor(
    work: ModelWork,
    *,
    skills: Sequence[str],
    instructions: str = "",
    tools: Sequence[AbstractToolset[ToolFolder]] = (),
    folder: Path | None = None,
    output: Mapping[str, Json] | None = None,
    name: str | None = None,
    capacity: int = 1,
    own_loop: bool = True,
) -> AgentBot:
    """Make an executor from a model.

    Args:
        instructions: added to its own.
        tools: see `tools.toolset_of`; the model can call these and nothing else.
        folder: the working directory, as tools see it; None: that of the process.
        output: the JSON Schema (draft 2020-12) of an object. The model corrects an output that does not match, at most
            three times. None: the output is a text.
        own_loop: see `agent_bot`.

    Raises:
        BadOutputSchema: see there.
    """
    own = _SMALL_INSTRUCTIONS if work.small else _INSTRUCTIONS
    agent: Agent[ToolFolder, Any] = Agent(
        work.model,
        output_type=str if output is None else json_output(output),
        instructions=f"{own}\n\n{instructions}" if instructions else own,
        deps_type=ToolFolder,
        toolsets=list(tools),
        retries={"tools": CORRECTIONS_MAX, "output": CORRECTIONS_MAX},
        name=name,
    )
    return agent_bot(
        agent,
        skills=frozenset(skills),
        name=name,
        caps=work.caps,
        cost=work.cost,
        adapter=_SmallPromptAdapter() if work.small else None,
        options={"deps": ToolFolder((folder or Path()).resolve())},
        capacity=capacity,
        labels=work.labels,
        own_loop=own_loop,
    )


def json_output(schema: Mapping[str, Json]) -> type[Any]:
    """Return the type of an output that matches a JSON Schema.

    Raises:
        BadOutputSchema: see there.
    """
    validator = _validator(schema)

    def checked(value: dict[str, Json]) -> dict[str, Json]:
        problems = []
        for error in validator.iter_errors(value):
            problems.append(f"/{'/'.join(map(str, error.instance_path))}: {error.message}"[:300])
            if len(problems) == _ERRORS_MAX:
                break
        if problems:
            raise ValueError("the output does not match its schema: " + "; ".join(problems))
        return value

    class JsonOutput(dict[str, Json]):
        # Without this, pydantic-ai puts the object into a field of another.
        __is_model_like__ = True

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
            plain = core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())
            return core_schema.no_info_after_validator_function(checked, plain)

        @classmethod
        def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Json]:
            return dict(schema)

    return JsonOutput


def _validator(schema: Mapping[str, Json]) -> Any:
    if schema.get("type") != "object":
        raise BadOutputSchema('its type is "object": an output is an object')
    if len(json.dumps(schema)) > _SCHEMA_BYTES_MAX:
        raise BadOutputSchema("is longer than 64 KiB")
    if "$defs" in schema or "definitions" in schema:
        raise BadOutputSchema("has $defs: providers do not agree on references, so write each part where it is used")
    # Imported here: only outputs with a schema need the library.
    from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, ValidationError

    try:
        return Draft202012Validator(
            dict(schema),
            pattern_options=RegexOptions(size_limit=_PATTERN_BYTES_MAX),
            validate_formats=True,
            ignore_unknown_formats=True,
            offline=True,
        )
    except (ValidationError, ReferencingError, ValueError):
        raise BadOutputSchema("is not a valid JSON Schema (draft 2020-12)") from None
