"""CrewAI under test, with an LLM of its own kind that follows the script."""

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from crewai import Agent, Crew, Task
from crewai.events.types.llm_events import LLMCallType
from crewai.llms.base_llm import BaseLLM, llm_call_context
from crewai.tools import tool as made_tool
from pydantic import BaseModel, PrivateAttr, model_validator

from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Say, Script, Tool

TIMEOUT_SECONDS = 8.0  # nothing can cancel a request of CrewAI: it ends with its own timeout, as at any provider


class CrewAi:
    package = "crewai"
    tool_errors_end_the_run = False
    ask_before: Sequence[str] = ()  # of the last agent: CrewAI has no such setting, but the bot has

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        self.ask_before = [tool.__name__ for tool in ask_before]
        return Agent(
            role="scripted", goal="work", backstory="none", llm=llm(script), tools=[made_tool(tool) for tool in tools]
        )

    def returning(self, value: object) -> Any:
        class Output(BaseModel):
            """Reads any answer as the value."""

            found: Any

            @model_validator(mode="before")
            @classmethod
            def read(cls, _: Any) -> Any:
                return {"found": value}

        finder = Agent(role="finder", goal="find", backstory="none", llm=llm(Script(Say("{}"))))
        task = Task(description="{prompt}", expected_output="it", agent=finder, output_pydantic=Output)
        return Crew(agents=[finder], tasks=[task])

    def rate_limited(self) -> Exception:
        return ProviderRefusal("slow down")

    def approval(self, approved: bool) -> Any:
        return "approve" if approved else "deny"


class ProviderRefusal(Exception):
    """As the libraries of providers raise it."""

    status_code = 429
    response = SimpleNamespace(status_code=429, headers={"retry-after": "0.2"})


def llm(script: Script) -> Any:
    made = ScriptedLLM(model="scripted")
    made._script = script
    return made


class ScriptedLLM(BaseLLM):
    _script: Script = PrivateAttr()

    def supports_function_calling(self) -> bool:
        return True

    def call(self, messages: Any, *_: Any, **given: Any) -> Any:
        shown = json.dumps(messages, ensure_ascii=False, default=str)
        said = asyncio.run(asyncio.wait_for(self._script.answer(shown), TIMEOUT_SECONDS))
        text = isinstance(said, Say)
        with llm_call_context():
            self._emit_call_completed_event(
                response="said",
                call_type=LLMCallType.LLM_CALL if text else LLMCallType.TOOL_CALL,
                from_agent=given.get("from_agent"),
                usage={"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
            )
        if isinstance(said, Say):
            return said.text
        function = {"name": said.tool, "arguments": json.dumps(said.arguments)}
        return [{"id": f"call_{len(self._script.seen)}", "type": "function", "function": function}]
