"""The client: waiting, watching, listing, following; and the same without coroutines."""

import asyncio
import inspect
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from swarmkeeper import Client, SubTask, sync
from swarmkeeper.sdk.errors import Unreachable
from tests.sdk.script import TIME, Answer, Call, Script, task, virtually


def test_a_task_can_be_submitted_with_its_plan() -> None:
    script = Script()
    script.on("POST", "/tasks", Answer(task(), 201))

    virtually(
        script.client().submit(
            "Count",
            input={"a": 1},
            subtasks=[SubTask(description="one", required_skills=["x"]), {"description": "two"}],
        )
    )

    [call] = script.calls
    assert call.body == {
        "title": "Count",
        "input": {"a": 1},
        "subtasks": [{"description": "one", "required_skills": ["x"]}, {"description": "two"}],
    }


def test_wait_polls_until_the_outcome_is_known() -> None:
    script = Script()

    async def later(call: Call) -> Any:
        assert "until=final" in call.query
        await asyncio.sleep(25)
        return task(status="IN_PROGRESS")

    script.on("GET", "/tasks/tsk_1", later, later, task(status="ARCHIVED", outcome="accepted"))

    assert virtually(script.client().wait("tsk_1")).outcome == "accepted"


def test_wait_raises_timeout_error_after_its_timeout() -> None:
    script = Script()

    async def never(call: Call) -> Any:
        await asyncio.sleep(25)
        return task(status="IN_PROGRESS")

    script.on("GET", "/tasks/tsk_1", never)

    with pytest.raises(TimeoutError):
        virtually(script.client().wait("tsk_1", timeout=60))


def test_watch_yields_each_state_once() -> None:
    script = Script()
    script.on(
        "GET",
        "/tasks/tsk_1",
        Answer(task(), headers={"etag": '"1"'}),
        Answer(None, 304),
        Answer(task(status="PLANNED"), headers={"etag": '"2"'}),
        Answer(task(status="ARCHIVED", outcome="accepted")),
    )

    async def story() -> list[str]:
        return [seen.status async for seen in script.client().watch("tsk_1")]

    assert virtually(story()) == ["CREATED", "PLANNED", "ARCHIVED"]
    assert [call.headers.get("if-none-match") for call in script.calls] == [None, '"1"', '"1"', '"2"']
    assert ["until=change" in call.query for call in script.calls] == [False, True, True, True]


def test_a_list_is_read_page_by_page() -> None:
    script = Script()
    script.on(
        "GET",
        "/tasks",
        {"items": [task(id="tsk_1"), task(id="tsk_2")], "next_page_token": "more"},
        {"items": [task(id="tsk_3")], "next_page_token": ""},
    )

    async def story() -> list[str]:
        return [each.id async for each in script.client().tasks(status=["FAILED", "ARCHIVED"], label="team:a")]

    assert virtually(story()) == ["tsk_1", "tsk_2", "tsk_3"]
    assert script.calls[0].query == "status=FAILED&status=ARCHIVED&label=team%3Aa&page_size=200"
    assert script.calls[1].query.endswith("page_token=more")


def test_the_audit_log_is_read_from_after_the_last_record_seen() -> None:
    script = Script()
    record = {"id": "aud_1", "event": "task.submit", "timestamp": TIME}
    script.on("GET", "/audit", {"items": [record | {"index": 7}], "next_page_token": "more"}, {"items": []})
    script.on("GET", "/tasks/tsk_1/audit", {"items": [record], "next_page_token": ""})

    async def story() -> list[tuple[str, int | None]]:
        client = script.client()
        records = [record async for record in client.audit(actor="bot_1", action="task.submit", after=6)]
        records += [record async for record in client.audit("tsk_1")]
        return [(record.event, record.index) for record in records]

    assert virtually(story()) == [("task.submit", 7), ("task.submit", None)]
    assert script.calls[0].query == "actor=bot_1&action=task.submit&after=6&page_size=200"
    assert script.calls[1].query.endswith("&page_token=more")


def test_the_audit_log_of_a_time_and_the_body_of_a_record_are_read() -> None:
    script = Script()
    script.on("GET", "/audit", {"items": []})
    opened = {"index": 7, "alg": "sha256-salted-parts", "salt": "00", "body": "{}", "rest": "ff"}
    script.on("GET", "/audit/7/body", opened)

    async def story() -> tuple[int, str | None, str | None, str | None]:
        client = script.client()
        async for _ in client.audit(since=datetime(2026, 11, 29, tzinfo=UTC), until="2026-11-30T00:00:00Z"):
            pass
        body = await client.audit_body(7)
        return body.index, body.salt, body.body, body.rest

    assert virtually(story()) == (7, "00", "{}", "ff")
    query = "since=2026-11-29T00%3A00%3A00%2B00%3A00&until=2026-11-30T00%3A00%3A00Z&page_size=200"
    assert script.calls[0].query == query


def event(number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"c{number}",
        "source": "/swarmkeeper",
        "type": "io.swarmkeeper.task.planned.v1",
        "time": TIME,
        "sequence": number,
        "data": {},
    }


def framed(number: int) -> bytes:
    return f"id: c{number}\ndata: {json.dumps(event(number))}\n\n".encode()


def test_following_reconnects_and_yields_each_event_once() -> None:
    script = Script()
    script.streams = [
        [framed(1), b": alive\n\n", framed(2)[:10], framed(2)[10:], Unreachable("unreachable", "gone", retryable=True)],
        [framed(3)],
        [],
    ]
    script.on("GET", "/tasks/tsk_1", task(status="ARCHIVED", outcome="accepted"))

    async def story() -> list[int]:
        return [each.sequence async for each in script.client().events("tsk_1", follow=True)]

    assert virtually(story()) == [1, 2, 3]
    assert [call.headers.get("last-event-id") for call in script.to("GET", "/tasks/tsk_1/events")] == [None, "c2", "c3"]


def test_the_feed_so_far_is_read_from_cursor_to_cursor() -> None:
    script = Script()
    script.on("GET", "/events", {"items": [event(1), event(2)]}, {"items": [event(3)]}, {"items": []})

    async def story() -> list[int]:
        return [each.sequence async for each in script.client().events()]

    assert virtually(story()) == [1, 2, 3]
    assert [call.query for call in script.calls] == [
        "page_size=200",
        "after=c2&page_size=200",
        "after=c3&page_size=200",
    ]


def test_a_large_result_is_fetched_whole() -> None:
    script = Script()
    reference = {"$ref": "/tasks/tsk_1/subtasks/a/output", "sha256": "…", "bytes": 1}
    script.on("GET", "/tasks/tsk_1", task(status="COMPLETED", result={"a": reference, "b": 2}))
    script.on("GET", "/tasks/tsk_1/subtasks/a/output", {"large": 1})

    assert virtually(script.client().result("tsk_1")) == {"a": {"large": 1}, "b": 2}


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "retry", "archive"])
def test_a_reason_is_sent_with_each_verb(verb: str) -> None:
    script = Script()
    script.on("POST", f"/tasks/tsk_1:{verb}", task(status="FAILED"))

    virtually(getattr(script.client(), verb)("tsk_1", "because"))

    [call] = script.calls
    assert call.body == {"reason": "because"}
    assert call.headers["idempotency-key"]


def test_an_id_cannot_change_the_path() -> None:
    script = Script()
    script.on("GET", "/tasks/..%2Fkeys", task())

    virtually(script.client().get("../keys"))
    with pytest.raises(ValueError, match="id or key"):
        virtually(script.client().get(".."))


def test_the_client_without_coroutines_makes_the_same_calls() -> None:
    script = Script()
    script.on("POST", "/tasks", Answer(task(), 201))
    script.on("GET", "/tasks/tsk_1", task(status="ARCHIVED", outcome="accepted"))
    script.on("GET", "/bots", {"items": [], "next_page_token": ""})
    script.on("GET", "/tasks", {"items": [task(id="tsk_1"), task(id="tsk_2")], "next_page_token": "more"})

    with sync.Client("http://swarm.test", "k1", transport=script) as swarm:
        assert swarm.wait(swarm.submit("Count").id).outcome == "accepted"
        assert [seen.outcome for seen in swarm.watch("tsk_1")] == ["accepted"]
        assert list(swarm.bots()) == []
        assert next(swarm.tasks()).id == "tsk_1"

    assert script.closed


def test_the_client_without_coroutines_has_every_call() -> None:
    def calls(face: type) -> set[str]:
        return {name for name in dir(face) if not name.startswith("_")}

    assert calls(sync.Client) - {"close"} == calls(Client) - {"aclose"}


def test_the_client_without_coroutines_shows_signatures_and_docstrings() -> None:
    taken = inspect.signature(sync.Client.tasks)

    assert taken.parameters == inspect.signature(Client.tasks).parameters
    assert taken.return_annotation == "Iterator[Task]"
    assert inspect.signature(sync.Client.wait) == inspect.signature(Client.wait)
    assert sync.Client.wait.__doc__ == Client.wait.__doc__
