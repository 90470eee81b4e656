"""LangGraph under test: a graph of a model and its tools, with a chat model of LangChain that follows the script."""

from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import openai
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt
from typing_extensions import TypedDict

from tests.agents.script import INPUT_TOKENS, OUTPUT_TOKENS, Say, Script, Tool


class LangGraph:
    package = "langgraph"
    tool_errors_end_the_run = False

    def agent(self, script: Script, tools: Sequence[Tool] = (), *, ask_before: Sequence[Tool] = ()) -> Any:
        model = ScriptedChatModel(script=script)

        async def think(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await model.ainvoke(state["messages"])]}

        graph = StateGraph(MessagesState)
        graph.add_node("model", think)
        graph.add_node("tools", ToolNode([_tool(tool, tool in ask_before) for tool in tools], handle_tool_errors=True))
        graph.add_edge(START, "model")
        graph.add_conditional_edges("model", tools_condition)
        graph.add_edge("tools", "model")
        return graph.compile()

    def returning(self, value: object) -> Any:
        class State(TypedDict):
            description: str
            found: Any

        graph = StateGraph(State)
        graph.add_node("find", lambda state: {"found": value})
        graph.add_edge(START, "find")
        graph.add_edge("find", END)
        return graph.compile()

    def rate_limited(self) -> Exception:
        request = httpx2.Request("POST", "https://provider.test/v1")
        answer = httpx2.Response(429, headers={"retry-after": "0.2"}, request=request)
        return openai.RateLimitError("slow down", response=answer, body={"error": "slow down"})

    def approval(self, approved: bool) -> Any:
        return "yes" if approved else "no"


class ScriptedChatModel(BaseChatModel):
    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise AssertionError("the bot asks from coroutines, with _agenerate")

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        said = await self.script.answer("\n".join(str(message.content) for message in messages))
        number = len(self.script.seen)
        calls = [] if isinstance(said, Say) else [{"name": said.tool, "args": said.arguments, "id": f"call_{number}"}]
        message = AIMessage(
            said.text if isinstance(said, Say) else "",
            tool_calls=calls,
            usage_metadata={
                "input_tokens": INPUT_TOKENS,
                "output_tokens": OUTPUT_TOKENS,
                "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def _tool(tool: Tool, ask: bool) -> StructuredTool:
    return StructuredTool.from_function(coroutine=_asking(tool) if ask else tool, name=tool.__name__, description="x")


def _asking(tool: Tool) -> Callable[..., Any]:
    async def asked(text: str) -> Any:
        answer = interrupt(f"May the agent call {tool.__name__}({text})?")
        return await tool(text) if answer == "yes" else "denied by a person"

    return asked
