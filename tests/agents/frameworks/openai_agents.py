"""OpenAI Agents SDK under test, with a Model of its own kind that follows the script."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import openai
from agents import Agent, AgentOutputSchemaBase, Model, ModelResponse, Usage, function_tool
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, Say, Script, Tool


class OpenAiAgents:
    package = "agents"
    tool_errors_end_the_run = False

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        made: list[Any] = [function_tool(tool, needs_approval=tool in ask_before) for tool in tools]
        return Agent(name="scripted", model=ScriptedResponses(script), tools=made)

    def returning(self, value: object) -> Any:
        class Found(AgentOutputSchemaBase):
            """Reads any answer as the value."""

            def is_plain_text(self) -> bool:
                return False

            def name(self) -> str:
                return "found"

            def json_schema(self) -> dict[str, Any]:
                return {}

            def is_strict_json_schema(self) -> bool:
                return False

            def validate_json(self, json_str: str) -> Any:
                return value

        return Agent(name="finder", model=ScriptedResponses(Script(Say("{}"))), output_type=Found())

    def rate_limited(self) -> Exception:
        request = httpx2.Request("POST", "https://provider.test/v1")
        answer = httpx2.Response(429, headers={"retry-after": "0.2"}, request=request)
        return openai.RateLimitError("slow down", response=answer, body={"error": "slow down"})

    def approval(self, approved: bool) -> Any:
        return "approve" if approved else "deny"


class ScriptedResponses(Model):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def get_response(self, system_instructions: str | None, input: Any, *_: Any, **__: Any) -> ModelResponse:  # noqa: A002 - the SDK's name
        said = await self._script.answer(json.dumps(input, ensure_ascii=False, default=str))
        number = len(self._script.seen)
        total = INPUT_TOKENS + OUTPUT_TOKENS
        usage = Usage(requests=1, input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS, total_tokens=total)
        return ModelResponse(output=[_item(said, number)], usage=usage, response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise AssertionError("the bot asks for whole answers, not for a stream")


def _item(said: Say | Call, number: int) -> Any:
    if isinstance(said, Call):
        return ResponseFunctionToolCall(
            name=said.tool, arguments=json.dumps(said.arguments), call_id=f"call_{number}", type="function_call"
        )
    text = ResponseOutputText(text=said.text, type="output_text", annotations=[])
    return ResponseOutputMessage(
        id=f"msg_{number}", content=[text], role="assistant", status="completed", type="message"
    )
