"""Microsoft Agent Framework under test, with a chat client of its own kind that follows the script."""

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    Message,
    tool,
)
from agent_framework.exceptions import ChatClientException
from pydantic import BaseModel, model_validator

from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, Say, Script, Tool


class AgentFramework:
    package = "agent_framework"
    tool_errors_end_the_run = False

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        made = [tool(each, approval_mode="always_require" if each in ask_before else None) for each in tools]
        return Agent(ScriptedClient(script), tools=made)

    def returning(self, value: object) -> Any:
        class Output(BaseModel):
            """Reads any answer as the value."""

            found: Any

            @model_validator(mode="before")
            @classmethod
            def read(cls, _: Any) -> Any:
                return {"found": value}

        return Agent(ScriptedClient(Script(Say("{}"))), default_options={"response_format": Output})

    def rate_limited(self) -> Exception:
        error: Exception = ChatClientException("the service failed to complete the prompt")
        error.__cause__ = ProviderRefusal("slow down")
        return error

    def approval(self, approved: bool) -> Any:
        return "approve" if approved else "deny"


class ProviderRefusal(Exception):
    """As the libraries of providers raise it."""

    status_code = 429
    response = SimpleNamespace(status_code=429, headers={"retry-after": "0.2"})


class ScriptedClient(FunctionInvocationLayer, ChatMiddlewareLayer, BaseChatClient):
    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.finish_reason = "stop"

    def _inner_get_response(
        self, *, messages: Sequence[Any], stream: bool, options: Mapping[str, Any], **_: Any
    ) -> Any:
        async def answered() -> Any:
            shown = json.dumps([each.to_dict() for each in messages], ensure_ascii=False, default=str)
            said = await self.script.answer(shown)
            content = Content.from_text(said.text) if isinstance(said, Say) else _call(said, len(self.script.seen))
            total = INPUT_TOKENS + OUTPUT_TOKENS
            usage = {"input_token_count": INPUT_TOKENS, "output_token_count": OUTPUT_TOKENS, "total_token_count": total}
            return ChatResponse(
                messages=[Message("assistant", [content])],
                usage_details=usage,
                model="scripted",
                finish_reason=self.finish_reason,
                response_format=options.get("response_format"),
            )

        return answered()


def _call(said: Call, number: int) -> Any:
    return Content.from_function_call(f"call_{number}", said.tool, arguments=json.dumps(said.arguments))
