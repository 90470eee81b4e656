"""LangGraph: a callback follows the run, interrupts are the questions, the last checkpoint of the graph is the state.

A graph without a checkpointer gets one in memory, whose content travels in the attempt's checkpoint. The thread is the
work, not the attempt, so that any bot finds it.
"""

from __future__ import annotations

from typing import Any

from swarmkeeper.agents.adapter import AgentQuestion, Resumed, Turn
from swarmkeeper.agents.adapters.langgraph_events import watcher
from swarmkeeper.agents.adapters.langgraph_state import UnkeptState, fill, kept, saver_in_memory
from swarmkeeper.agents.prompt import Prompt, written
from swarmkeeper.agents.run import AgentRun

# What the prebuilt agent answers when its steps are used up.
_NEEDS_STEPS = "Sorry, need more steps to process this request."


class LangGraphAdapter:
    """See `Adapter`."""

    name = "langgraph"

    def accepts(self, agent: object) -> bool:
        return hasattr(agent, "astream") and hasattr(agent, "aget_state")

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        from langgraph.types import Command

        saver = None if agent.checkpointer else saver_in_memory()
        graph = agent if saver is None else agent.copy({"checkpointer": saver})
        thread = {"configurable": {"thread_id": run.work_id, "checkpoint_ns": ""}}
        if resumed is not None and saver is not None:
            fill(saver, run.work_id, resumed.state)
        found = await graph.aget_state(thread)
        if found.interrupts and not (resumed and resumed.waited):
            return _waiting(found, saver, run)  # it stopped here before, and the question never arrived
        given: Any = Command(resume=_answers(found, resumed.answer)) if resumed and found.interrupts else None
        if found.next or not found.values:
            config = {
                **thread,
                "callbacks": [watcher(run)],
                # A graph that goes round without a model; with one, the caps are reached long before.
                "recursion_limit": 3 * run.caps.requests + run.caps.tool_calls + 25,
            }
            start = given if found.next else _input(graph, prompt)
            async for _ in graph.astream(start, config, stream_mode="values", durability="sync", **run.options):
                try:
                    run.checkpoint(kept(saver, run.work_id))
                except UnkeptState as error:
                    run.note(str(error))
            found = await graph.aget_state(thread)
        return _waiting(found, saver, run) if found.interrupts else _result(found.values)


def _input(graph: Any, prompt: Prompt) -> dict[str, Any]:
    """Return the first state: the prompt as a message, and the fields of the subtask's input that the graph has."""
    names = graph.get_input_jsonschema().get("properties", {})
    known = {"messages": [("user", prompt.text())], "prompt": prompt.text(), "description": prompt.description}
    return {
        **{name: known[name] for name in known if name in names},
        **{n: v for n, v in prompt.input.items() if n in names},
    }


def _waiting(found: Any, saver: Any, run: AgentRun) -> Turn:
    values = [interrupt.value for interrupt in found.interrupts]
    choices = ("approve", "reject") if any(_is_review(value) for value in values) else ()
    schema = found.interrupts[0].response_schema if len(values) == 1 else None
    question = AgentQuestion("\n".join(map(_asked, values)), choices, schema if isinstance(schema, dict) else None)
    return Turn(question=question, state=kept(saver, run.work_id))


def _asked(value: object) -> str:
    """Return what a person reads: an interrupt's value may be anything, or nothing."""
    if isinstance(value, dict) and _is_review(value):
        return "\n\n".join(str(each.get("description") or each.get("name")) for each in value["action_requests"])
    return written(value) or "The agent waits for you to go on."


def _is_review(value: object) -> bool:
    """Whether LangChain's middleware for human review asks."""
    return isinstance(value, dict) and "action_requests" in value


def _answers(found: Any, answer: object) -> dict[str, Any]:
    return {
        each.id: {"decisions": [{"type": answer}] * len(each.value["action_requests"])}
        if _is_review(each.value)
        else answer
        for each in found.interrupts
    }


def _result(values: Any) -> Turn:
    if not isinstance(values, dict) or not values.get("messages"):
        return Turn(values)
    if (structured := values.get("structured_response")) is not None:
        return Turn(structured)
    last = values["messages"][-1]
    text = getattr(last, "text", None)
    text = text if isinstance(text, str) else getattr(last, "content", last)
    return Turn(str(text) if isinstance(text, str) else text, silent_cap=text if text == _NEEDS_STEPS else None)


ADAPTER = LangGraphAdapter()
