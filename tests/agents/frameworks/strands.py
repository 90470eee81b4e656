"""Strands Agents under test, with a Model of its own kind that follows the script."""

import json
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Annotated, Any

from pydantic import BaseModel, PlainSerializer, model_validator
from strands import Agent
from strands import tool as made_tool
from strands.hooks import BeforeToolCallEvent
from strands.models import Model
from strands.types.exceptions import ModelThrottledException

from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, Say, Script, Tool


class Strands:
    package = "strands"
    tool_errors_end_the_run = False

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        names = {tool.__name__ for tool in ask_before}

        def ask(event: BeforeToolCallEvent) -> None:
            used = event.tool_use
            if used["name"] in names and event.interrupt("approval", f"May I {used['name']} {used['input']}?") != "yes":
                event.cancel_tool = "denied by a person"

        return Agent(
            ScriptedModel(script), tools=[made_tool(tool) for tool in tools], hooks=[ask], callback_handler=None
        )

    def returning(self, value: object) -> Any:
        class Output(BaseModel):
            """Reads any answer as the value."""

            # Strands' own trace makes JSON of each output, and raises for a lone surrogate.
            found: Annotated[Any, PlainSerializer(repr, when_used="json")]

            @model_validator(mode="before")
            @classmethod
            def read(cls, _: Any) -> Any:
                return {"found": value}

        script = Script(Call("Output", {"found": 1}))
        return Agent(ScriptedModel(script), structured_output_model=Output, callback_handler=None)

    def rate_limited(self) -> Exception:
        error: Exception = ModelThrottledException("slow down")
        error.__cause__ = ProviderRefusal("slow down")
        return error

    def approval(self, approved: bool) -> Any:
        return "yes" if approved else "no"


class ProviderRefusal(Exception):
    """As the libraries of providers raise it."""

    status_code = 429
    response = SimpleNamespace(status_code=429, headers={"retry-after": "0.2"})


class ScriptedModel(Model):
    def __init__(self, script: Script) -> None:
        self._script = script
        self.config = {"model_id": "scripted"}

    def update_config(self, **_: Any) -> None:
        raise AssertionError("the bot changes no configuration")

    def get_config(self) -> Any:
        return self.config

    def structured_output(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the bot asks with stream")

    async def stream(self, messages: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        said = await self._script.answer(json.dumps(messages, ensure_ascii=False, default=str))
        yield {"messageStart": {"role": "assistant"}}
        if isinstance(said, Say):
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": said.text}}}
        else:
            used = {"toolUseId": f"call_{len(self._script.seen)}", "name": said.tool}
            yield {"contentBlockStart": {"start": {"toolUse": used}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(said.arguments)}}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn" if isinstance(said, Say) else "tool_use"}}
        usage = {"inputTokens": INPUT_TOKENS, "outputTokens": OUTPUT_TOKENS}
        yield {"metadata": {"usage": {**usage, "totalTokens": sum(usage.values())}, "metrics": {"latencyMs": 1}}}
