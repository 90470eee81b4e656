"""CloudEvents, and event streams cut into pieces of any size."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.named_reads import EventRow
from swarmkeeper.reads import views
from swarmkeeper.wire.events import SSE_ALIVE, CloudEvent, SseEvent, SseReader, sse
from swarmkeeper.wire.shapes import at, read_answer, rfc3339

IDS = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_an_event_has_the_shape_of_the_standard() -> None:
    event = views.event(
        EventRow(
            seq=17,
            id="evt_1",
            at=1_769_860_800_000_001,
            tenant="t",
            task="tsk_1",
            sequence=2,
            work=None,
            kind="task.planned",
            actor="engine",
            audit="aud_1",
            body='{"to": "PLANNED"}',
            redacted="[]",
        ),
        "8Q2k",
    )

    assert event == {
        "specversion": "1.0",
        "id": "8Q2k",
        "source": "/swarmkeeper",
        "type": "io.swarmkeeper.task.planned.v1",
        "subject": "tasks/tsk_1",
        "time": "2026-01-31T12:00:00.000001Z",
        "sequence": 2,
        "data": {"to": "PLANNED", "task_id": "tsk_1", "work_id": None, "actor": "engine", "audit_id": "aud_1"},
    }
    assert read_answer(CloudEvent, {**event, "news": 1}).kind == "task.planned"


@given(st.integers(0, 4_102_444_800_000_000))
def test_a_time_round_trips_to_the_microsecond(micros: int) -> None:
    event = read_answer(CloudEvent, {"id": "1", "type": "t", "time": rfc3339(micros)})

    assert event.time == at(micros)
    assert json.loads(event.model_dump_json())["id"] == "1"


@given(st.lists(st.integers(0, 4_102_444_800_000_000), min_size=2))
def test_times_as_text_sort_as_times(moments: list[int]) -> None:
    assert sorted(map(rfc3339, moments)) == [rfc3339(moment) for moment in sorted(moments)]


def test_an_integer_time_is_read_as_microseconds() -> None:
    event: dict[str, Any] = {"id": "1", "type": "t", "time": 1_000_000}

    assert read_answer(CloudEvent, event).time == at(1_000_000)


@given(st.lists(st.tuples(IDS, TEXTS | st.none()), max_size=5), st.lists(st.integers(0, 200), max_size=6))
def test_a_stream_is_read_correctly_wherever_it_is_cut(story: list[tuple[str, str | None]], cuts: list[int]) -> None:
    stream = b"".join(
        SSE_ALIVE if text is None else sse(json.dumps(text, ensure_ascii=False).encode(), id=name)
        for name, text in story
    )
    places = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})

    reader = SseReader()
    pieces = [stream[start:end] for start, end in pairwise(places)]
    seen = [event for piece in pieces for event in reader.feed(piece)]

    assert [(event.id, json.loads(event.data)) for event in seen] == [each for each in story if each[1] is not None]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_stream_of_another_server_is_read_too(ending: str) -> None:
    lines = ["id: 7", ": hello", "retry: 5", "event: x", "data: a", "data:b", "", "data", "", "id: 8", "", "data: c"]
    stream = "\ufeff" + ending.join([*lines, "", ""])

    whole = list(SseReader().feed(stream.encode() + b":"))
    reader = SseReader()
    bytewise = [event for byte in stream.encode() + b":" for event in reader.feed(bytes([byte]))]

    assert whole == bytewise == [SseEvent("7", "a\nb"), SseEvent("7", ""), SseEvent("8", "c")]


def test_an_incomplete_event_is_not_returned() -> None:
    assert list(SseReader().feed(b"id: 1\ndata: {}\n")) == []


@pytest.mark.parametrize(("data", "name"), [(b"{\n}", "1"), (b"{\r}", "1"), (b"{}", "1\n"), (b"{}", "\0")])
def test_sse_refuses_data_that_would_break_the_stream(data: bytes, name: str) -> None:
    with pytest.raises(AssertionError):
        sse(data, id=name)
