"""What a dashboard asks: tasks as rows, found by words, counted; labels; costs. Over HTTP."""

import pytest

from tests.http.conftest import Caller
from tests.http.town import Town, town


async def submitted(client: Caller, title: str, **more: object) -> str:
    subtasks = [{"key": "a", "description": ""}]
    answer = await client.post("/tasks", {"title": title, "subtasks": subtasks, "evaluation": "none", **more})
    assert answer.status == 201, answer.json
    task: str = answer.json["id"]
    return task


async def ids(client: Caller, query: str) -> list[str]:
    answer = await client.get(f"/tasks?{query}")
    assert answer.status == 200, answer.json
    return [task["id"] for task in answer.json["items"]]


async def number(client: Caller, query: str = "") -> int:
    answer = await client.get(f"/tasks:count?{query}")
    assert answer.status == 200, answer.json
    counted: int = answer.json["number"]
    return counted


async def test_tasks_are_found_counted_and_listed_as_rows(client: Caller) -> None:
    first = await submitted(client, "Count the words", labels={"team": "a"}, input={"pages": 3})
    second = await submitted(client, "Translate the words", labels={"team": "b"})
    await client.post(f"/tasks/{second}:cancel", {})

    assert await ids(client, "q=words") == [second, first]
    assert await ids(client, "q=the+cou&order_by=created_at") == [first]
    assert await ids(client, "q=nothing") == []
    assert await number(client) == await number(client, "q=words") == 2
    assert await number(client, "status=FAILED") == await number(client, "outcome=cancelled") == 1
    assert await number(client, "label=team:a") == await number(client, "label=team:a&q=count") == 1
    assert await number(client, "created_after=2100-01-01T00:00:00Z") == 0
    assert await number(client, "created_before=2100-01-01T00:00:00Z") == 2
    whole = (await client.get("/tasks?q=count")).json["items"][0]
    row = (await client.get("/tasks?q=count&view=row")).json["items"][0]
    assert whole["input"] == {"pages": 3}
    assert "input" not in row
    assert row["labels"] == {"team": "a"}
    assert row["started_at"] is row["ended_at"] is row["last_bot"] is None
    ended = (await client.get("/tasks?outcome=cancelled&view=row")).json["items"][0]
    assert ended["ended_at"] is not None
    assert ended["failure"]["code"] == "cancelled"


@pytest.mark.parametrize(
    "query",
    [
        *("q=%00", "q=" + "a" * 10_241, "view=column", "q=a&q=b", "q=a&order_by=priority", "count=1"),
        *("label=team", "page_token=x"),
    ],
)
async def test_a_wrong_query_is_refused(client: Caller, query: str) -> None:
    assert (await client.get(f"/tasks?{query}")).status == 422


@pytest.mark.parametrize(
    "q", ["%27", "%22+OR+title:a", "a*", "NEAR(a,b)", "!!!", "%F0%9F%90%9D", "(" * 900, "a+" * 5_000]
)
async def test_whatever_is_searched_for_is_words(client: Caller, q: str) -> None:
    await submitted(client, "Count the words")

    answer = await client.get(f"/tasks?q={q}")

    assert answer.status == 200
    assert answer.json["items"] == []


async def test_labels_come_in_pages_and_by_key(client: Caller) -> None:
    for team in "abc":
        await submitted(client, "t", labels={"team": team, "env": "x"})

    first = (await client.get("/tasks:labels?page_size=2")).json
    second = (await client.get(f"/tasks:labels?page_size=2&page_token={first['next_page_token']}")).json

    assert [(each["key"], each["value"], each["tasks"]) for each in first["items"] + second["items"]] == [
        *(("env", "x", 3), ("team", "a", 1), ("team", "b", 1), ("team", "c", 1)),
    ]
    assert second["next_page_token"] == ""
    of_key = (await client.get("/tasks:labels?key=team&page_size=1")).json
    assert [each["value"] for each in of_key["items"]] == ["a"]
    assert (await client.get(f"/tasks:labels?key=env&page_token={of_key['next_page_token']}")).status == 422


def test_costs_are_read_by_day_and_by_bot() -> None:
    with town() as place:
        costs_of(place)


def costs_of(place: Town) -> None:
    client, worker = place.person("client"), place.bot("Executor", "worker")
    client.ok("/tasks", {"title": "t", "subtasks": [{"key": "a", "description": ""}], "evaluation": "none"})
    worker.report(worker.take(), output={}, usage={"tokens": 7, "cost_micro_usd": 70})

    days = client.read("/costs")
    [day] = days["items"]
    bots = client.read(f"/costs?by=bot&from={day['name']}&to={day['name']}")

    assert day["tokens"] == days["total"]["tokens"] == 7
    assert [(row["name"], row["cost_micro_usd"], row["attempts"]) for row in bots["items"]] == [("worker", 70, 1)]
    assert bots["first_day"] == bots["last_day"] == day["name"]
    assert client.read("/costs?from=2001-01-01&to=2001-01-02")["items"] == []
    for wrong in ("by=owner", "from=2001-02-30", "to=today", "from=2001-01-03&to=2001-01-02"):
        assert client.get(f"/costs?{wrong}").status == 422, wrong
