"""pydantic-ai under test, with its FunctionModel."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent, TextOutput
from pydantic_ai import Tool as FrameworkTool
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Call, Say, Script, Tool


class PydanticAi:
    package = "pydantic_ai"
    tool_errors_end_the_run = True

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        made = [FrameworkTool(tool, requires_approval=tool in ask_before) for tool in tools]
        return Agent(scripted(script), tools=made)

    def returning(self, value: object) -> Any:
        def found(text: str) -> Any:
            return value

        return Agent(scripted(Script(Say("x"))), output_type=TextOutput(found))

    def rate_limited(self) -> Exception:
        return ModelHTTPError(429, "scripted", {"error": "slow down"}, headers={"retry-after": "0.2"})

    def approval(self, approved: bool) -> Any:
        return "approve" if approved else "deny"


def scripted(script: Script) -> FunctionModel:
    async def function(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said = await script.answer(ModelMessagesTypeAdapter.dump_json(messages).decode())
        number = len(script.seen)
        part = TextPart(said.text) if isinstance(said, Say) else _call(said, number)
        usage = RequestUsage(input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS)
        return ModelResponse([part], usage=usage, model_name="scripted")

    return FunctionModel(function)


def _call(said: Call, number: int) -> ToolCallPart:
    return ToolCallPart(said.tool, said.arguments, tool_call_id=f"call_{number}")
