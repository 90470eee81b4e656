"""A graph's state as a checkpoint: it travels, it is hostile until checked, and a graph's own checkpointer is used."""

from __future__ import annotations

import dataclasses
from base64 import b64encode
from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from swarmkeeper import Context, Done, Failed, SubTask
from swarmkeeper.agents import StaleState, agent_bot
from swarmkeeper.agents.adapters.langgraph_state import UnkeptState, fill, kept, saver_in_memory
from swarmkeeper.sdk.context import Outbox
from swarmkeeper.wire.answers import Feedback

CONFIG: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


class Own:
    """A type of the author's, which LangGraph does not call safe."""


@dataclasses.dataclass
class Point:
    """One that it can write, and would not read back."""

    x: int


def stored(values: dict[str, Any]) -> Any:
    saver = saver_in_memory()
    versions = dict.fromkeys(values, "1")
    checkpoint = {"v": 4, "id": "1", "ts": "", "channel_values": values, "channel_versions": versions}
    saver.put(CONFIG, {**checkpoint, "versions_seen": {}}, {}, versions)
    return saver


def test_a_state_is_the_same_after_its_journey() -> None:
    other = saver_in_memory()
    fill(other, "t", kept(stored({"messages": [HumanMessage("hello")]}), "t"))

    assert other.get_tuple(CONFIG).checkpoint["channel_values"]["messages"][0].content == "hello"


@pytest.mark.parametrize("value", [2**70, Own(), object(), Point(1), [Point(1)]])
def test_a_value_that_cannot_travel_does_not_end_the_run(value: object) -> None:
    saver = stored({"a": value})

    assert saver.get_tuple(CONFIG).checkpoint["channel_values"]["a"] is value
    with pytest.raises(UnkeptState, match="checkpointer of its own"):
        kept(saver, "t")


def test_a_hostile_checkpoint_calls_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    call = ormsgpack.packb(("os", "mkdir", str(made)))
    for kind in range(6):
        content = ormsgpack.packb([ormsgpack.Ext(kind, call), {}, []])
        with pytest.raises(StaleState):
            fill(saver_in_memory(), "t", [["", "msgpack", b64encode(content).decode()]])
    with pytest.raises(StaleState):
        fill(saver_in_memory(), "t", [["", "pickle", b64encode(b"cos\nsystem\n(S'touch made'\ntR.").decode()]])

    assert not made.exists()


def test_a_state_with_types_that_are_not_read_back_is_stale_rather_than_wrong() -> None:
    checkpoint = stored({"n": 1}).get_tuple(CONFIG).checkpoint
    checkpoint["channel_values"]["point"] = Point(1)
    _, content = JsonPlusSerializer(allowed_msgpack_modules=True).dumps_typed([checkpoint, {}, []])

    with pytest.raises(StaleState, match="Point"):
        fill(saver_in_memory(), "t", [["", "msgpack", b64encode(content).decode()]])


@pytest.mark.parametrize("state", [None, 7, "x", [1], [["", "msgpack"]], [["", "msgpack", "%%"]], {"a": 1}])
def test_a_state_of_another_form_is_stale(state: Any) -> None:
    with pytest.raises(StaleState):
        fill(saver_in_memory(), "t", state)


def graph_of(calls: list[str], saver: Any) -> Any:
    async def think(state: MessagesState) -> dict[str, Any]:
        calls.append(str(state["messages"][-1].content))
        return {"messages": [("assistant", "thought")]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_edge(START, "think")
    graph.add_edge("think", END)
    return graph.compile(checkpointer=saver)


def attempt(number: int, **fields: Any) -> Context:
    return Context(task_id="tsk_1", work_id="sub_1", lease_id=f"lse_{number}", attempt=number, **fields)


async def test_a_graph_with_its_own_checkpointer_is_not_run_twice_for_the_same_work() -> None:
    """The bot dies after the last node and before its report: what was paid for is in the graph's own store."""
    calls: list[str] = []
    bot = agent_bot(graph_of(calls, InMemorySaver()), skills="think")
    first = await bot.execute(SubTask(description="Think"), attempt(1))
    again = await bot.execute(SubTask(description="Think"), attempt(2))
    reworked = await bot.execute(SubTask(description="Think"), attempt(3, feedback=[Feedback(round=1, text="more")]))

    assert first == again == reworked == Done({"text": "thought"})
    assert len(calls) == 2, "once for each round"
    assert "more" in calls[1]


async def test_a_graph_with_its_own_checkpointer_sends_no_state() -> None:
    at = attempt(1)
    await agent_bot(graph_of([], InMemorySaver()), skills="think").execute(SubTask(description="Think"), at)

    assert Outbox(at).heartbeat()["checkpoint"]["state"] is None


async def test_a_question_whose_state_cannot_travel_fails_for_good_and_says_what_to_do() -> None:
    """Otherwise the next attempt would start anew, and ask again for ever."""

    async def ask(state: Odd) -> dict[str, Any]:
        return {"found": interrupt("Go on?")}

    graph = StateGraph(Odd)
    graph.add_node("own", lambda state: {"own": Own()})
    graph.add_node("ask", ask)
    graph.add_edge(START, "own")
    graph.add_edge("own", "ask")
    answer = await agent_bot(graph.compile(), skills="think").execute(SubTask(description="Think"), attempt(1))

    assert isinstance(answer, Failed)
    assert (answer.kind, "checkpointer of its own" in answer.why) == ("not_retryable", True)


class Odd(TypedDict):
    description: str
    own: Any
    found: str
