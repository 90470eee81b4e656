"""Google ADK under test, with a model of its own kind that follows the script."""

import json
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

from google.adk.agents import BaseAgent, LlmAgent
from google.adk.events import Event
from google.adk.models import BaseLlm, LlmResponse
from google.adk.tools import FunctionTool
from google.genai import types
from google.genai.errors import ClientError

from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, Say, Script, Tool


class GoogleAdk:
    package = "google"
    tool_errors_end_the_run = True

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        made = [FunctionTool(tool, require_confirmation=tool in ask_before) for tool in tools]
        return LlmAgent(name="scripted", model=ScriptedLlm(model="scripted", script=script), tools=made)

    def returning(self, value: object) -> Any:
        class Finder(BaseAgent):
            async def _run_async_impl(self, ctx: Any) -> AsyncIterator[Any]:
                yield Event(invocation_id=ctx.invocation_id, author=self.name, output=value)

        return Finder(name="finder")

    def rate_limited(self) -> Exception:
        answer = SimpleNamespace(headers={"retry-after": "0.2"}, status_code=429)
        error: Exception = ClientError(429, {"error": {"code": 429, "message": "slow down"}}, answer)
        return error

    def approval(self, approved: bool) -> Any:
        return "approve" if approved else "deny"


class ScriptedLlm(BaseLlm):
    script: Any
    finish_reason: str = "STOP"

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncIterator[Any]:
        shown = [content.model_dump(mode="json", exclude_none=True) for content in llm_request.contents]
        said = await self.script.answer(json.dumps(shown, ensure_ascii=False))
        yield LlmResponse(
            content=types.Content(role="model", parts=[_part(said)]),
            finish_reason=types.FinishReason(self.finish_reason),
            model_version="scripted",
            usage_metadata=types.GenerateContentResponseUsageMetadata(
                prompt_token_count=INPUT_TOKENS,
                candidates_token_count=OUTPUT_TOKENS,
                total_token_count=INPUT_TOKENS + OUTPUT_TOKENS,
            ),
        )


def _part(said: Say | Call) -> Any:
    if isinstance(said, Say):
        return types.Part(text=said.text)
    return types.Part(function_call=types.FunctionCall(name=said.tool, args=said.arguments))
