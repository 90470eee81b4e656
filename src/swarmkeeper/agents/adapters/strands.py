"""Strands Agents: hooks follow the run, interrupts are the questions, the agent's snapshot is the state.

A Strands agent keeps its conversation in itself. So each attempt begins with the agent as it was at first, and the
attempts of one agent run one after the other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from swarmkeeper.agents.adapter import AgentQuestion, Resumed, StaleState, Turn
from swarmkeeper.agents.caps import ModelUsage
from swarmkeeper.agents.prompt import Prompt, written
from swarmkeeper.agents.run import AgentRun

_RESULTS = frozenset({"end_turn", "stop_sequence", "tool_use"})  # with any other, the message is no result
_REVIEW = "strands:human-in-the-loop"  # the name of the interrupts of its `HumanInTheLoop`
_LOCK_SECONDS = 0.05  # between two looks whether the agent is free
_RUN: ContextVar[AgentRun | None] = ContextVar("run of a Strands agent", default=None)  # None: it runs elsewhere


@dataclass(frozen=True, slots=True)
class _Known:
    """An agent that was made ready: its hooks are there, and cannot be taken away again."""

    snapshot: Any  # as it was at first
    busy: threading.Lock = field(default_factory=threading.Lock)  # of threads, because two bots may share the agent


class StrandsAdapter:
    """See `Adapter`."""

    name = "strands"

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()

    def accepts(self, agent: object) -> bool:
        if not (hasattr(agent, "take_snapshot") and hasattr(agent, "tool_registry")):
            return False
        if getattr(agent, "_session_manager", None) is not None:
            raise TypeError("the agent has a session manager, which would mix its tasks: make the agent without it")
        return True

    async def start(self, agent: Any, prompt: Prompt, resumed: Resumed | None, run: AgentRun) -> Turn:
        if agent not in self._known:
            self._known[agent] = _Known(agent.take_snapshot(preset="session"))
            _watch(agent, agent)
        async with _alone(self._known[agent]):
            agent.load_snapshot(self._known[agent].snapshot)
            start = prompt.text() if resumed is None else _continued(agent, resumed)
            token = _RUN.set(run)
            try:
                result = await agent.invoke_async(start, **run.options)
            finally:
                _RUN.reset(token)
            return _turn(agent, result)


@asynccontextmanager
async def _alone(known: _Known) -> AsyncIterator[None]:
    while not known.busy.acquire(blocking=False):  # noqa: ASYNC110 - the other one may be on the loop of another thread
        await asyncio.sleep(_LOCK_SECONDS)
    try:
        yield
    finally:
        known.busy.release()


def _watch(agent: Any, whole: Any) -> None:
    """Add hooks to an agent and to the agents that are its tools. Only the state of the `whole` is kept."""
    from strands.hooks import AfterModelCallEvent, AfterToolCallEvent, BeforeModelCallEvent, BeforeToolCallEvent
    from strands.types.exceptions import ModelThrottledException

    def request(event: Any) -> None:
        if (run := _RUN.get()) is None:
            return
        run.request()
        if event.agent is whole and len(whole.messages) > 1:
            run.checkpoint(_state(whole))

    def answered(event: Any) -> None:
        if (run := _RUN.get()) is None:
            return
        if isinstance(event.exception, ModelThrottledException):
            raise event.exception  # before Strands waits by itself: the work waits, and other work goes on
        if event.stop_response is not None:
            model = getattr(event.agent.model, "config", None)
            used = event.stop_response.message.get("metadata", {}).get("usage", {})
            output = used.get("outputTokens", 0)
            name = model.get("model_id") if isinstance(model, dict) else None
            run.used(ModelUsage(1, used.get("totalTokens", output) - output, output, name))

    def tool(event: Any) -> None:
        if (run := _RUN.get()) is not None:
            run.tool(event.tool_use["name"], event.tool_use["input"])

    def tool_ended(event: Any) -> None:
        if (run := _RUN.get()) is not None and event.result["status"] == "error":
            error = event.exception or event.cancel_message or written(event.result["content"])
            run.tool_ended(event.tool_use["name"], error)

    agent.add_hook(request, BeforeModelCallEvent)
    agent.add_hook(answered, AfterModelCallEvent)
    agent.add_hook(tool, BeforeToolCallEvent)
    agent.add_hook(tool_ended, AfterToolCallEvent)
    for each in agent.tool_registry.registry.values():
        if each.tool_type == "agent":
            _watch(each.agent, whole)


def _state(agent: Any) -> Any:
    from strands.types.session import encode_bytes_values

    return encode_bytes_values(agent.take_snapshot(preset="session").to_dict())


def _continued(agent: Any, resumed: Resumed) -> Any:
    """Put the state into the agent, and return what to run: nothing new, or the answers to its interrupts."""
    from strands.types._snapshot import Snapshot
    from strands.types.session import decode_bytes_values

    try:
        state = decode_bytes_values(resumed.state)
        if not all(isinstance(each["content"], list) for each in state["data"]["messages"]):
            raise StaleState("a message has no content")
        agent.load_snapshot(Snapshot.from_dict(state))
        if not resumed.waited:
            return None
        asked = state["data"]["interrupt_state"]["interrupts"].values()
        answers = [(each["id"], _answer(each["name"], resumed.answer)) for each in asked if each["response"] is None]
    except Exception as error:  # of Strands: whatever a state of another version makes it raise
        raise StaleState(f"{type(error).__name__}: {error}"[:200]) from error
    return [{"interruptResponse": {"interruptId": each, "response": answer}} for each, answer in answers]


def _answer(name: str, answer: Any) -> Any:
    return answer in ("approve", True) if name == _REVIEW else answer


def _turn(agent: Any, result: Any) -> Turn:
    if result.stop_reason == "interrupt":
        asked = "\n".join(written(each.reason) if each.reason else each.name for each in result.interrupts)
        choices = ("approve", "deny") if all(each.name == _REVIEW for each in result.interrupts) else ()
        return Turn(question=AgentQuestion(asked, choices), state=_state(agent))
    if result.structured_output is not None:
        return Turn(result.structured_output)
    text = "\n".join(block["text"] for block in result.message["content"] if "text" in block)
    told = result.stop_reason == "cancelled" and text  # a tool ended the run, with words of its own
    return Turn(text, silent_cap=None if result.stop_reason in _RESULTS or told else result.stop_reason)


ADAPTER = StrandsAdapter()
