"""A model that answers from a script: each answer is the fields of the typed output, a text, or calls of tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

Json = Any


@dataclass(frozen=True)
class Calls:
    """Calls of tools, in one response."""

    calls: Sequence[tuple[str, dict[str, Json]]]


Scripted = dict[str, Json] | str | Calls | Exception | Callable[[str], dict[str, Json]]


@dataclass
class Script:
    """The answers of a model, in order; the last one is repeated. It keeps what the model was told."""

    answers: Sequence[Scripted]
    prompts: list[str] = field(default_factory=list)  # of each request
    told: list[str] = field(default_factory=list)  # the last message of each request
    instructions: list[str] = field(default_factory=list)
    tools: list[list[str]] = field(default_factory=list)
    name: str = "openai:gpt-5.2"

    def model(self) -> FunctionModel:
        return FunctionModel(self._answer, model_name=self.name)

    def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        first = next(part for part in messages[0].parts if isinstance(part, UserPromptPart))
        self.prompts.append(str(first.content))
        last: Any = messages[-1].parts[-1]
        self.told.append(str(last.content))
        self.instructions.append(info.instructions or "")
        self.tools.append(sorted(tool.name for tool in info.function_tools))
        answer = self.answers[min(len(self.prompts), len(self.answers)) - 1]
        if callable(answer) and not isinstance(answer, Calls):
            answer = answer(self.prompts[-1])
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Calls):
            parts: list[Any] = [ToolCallPart(name, arguments) for name, arguments in answer.calls]
        elif isinstance(answer, str):
            parts = [TextPart(answer)]
        else:
            parts = [ToolCallPart(info.output_tools[0].name, answer)]
        return ModelResponse(
            parts=parts, usage=RequestUsage(input_tokens=1000, output_tokens=100), model_name=self.name
        )
