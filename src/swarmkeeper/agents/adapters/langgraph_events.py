"""LangChain's callbacks for model requests and tool calls, as reports of a run."""

from __future__ import annotations

from typing import Any
from uuid import UUID  # noqa: TID251 - only the type; no ids are made here

from swarmkeeper.agents.caps import ModelUsage
from swarmkeeper.agents.run import AgentRun


def watcher(run: AgentRun) -> Any:
    """Return a callback handler that reports to `run`, and whose exceptions end the run."""
    from langchain_core.callbacks import BaseCallbackHandler

    class Watcher(BaseCallbackHandler):
        raise_error = True  # else a cap would only be logged
        run_inline = True

        def __init__(self) -> None:
            self._tools: dict[UUID, str] = {}

        def on_chat_model_start(self, serialized: Any, messages: Any, **_: Any) -> None:
            run.request()

        def on_llm_start(self, serialized: Any, prompts: Any, **_: Any) -> None:
            run.request()

        def on_llm_end(self, response: Any, **_: Any) -> None:
            for generations in response.generations:
                for each in generations[:1]:
                    message = getattr(each, "message", None)
                    used = getattr(message, "usage_metadata", None) or {}
                    model = (getattr(message, "response_metadata", None) or {}).get("model_name")
                    run.used(ModelUsage(1, used.get("input_tokens", 0), used.get("output_tokens", 0), model))

        def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **_: Any) -> None:
            name = str((serialized or {}).get("name") or "tool")
            self._tools[run_id] = name
            run.tool(name, input_str)

        def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
            name = self._tools.pop(run_id, "tool")
            run.tool_ended(name, getattr(output, "content", output) if _failed(output) else None)

        def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
            if not type(error).__name__.endswith(("Interrupt", "BubbleUp", "Command")):
                run.tool_ended(self._tools.pop(run_id, "tool"), error)

    return Watcher()


def _failed(output: object) -> bool:
    return getattr(output, "status", None) == "error"
