"""What a tenant is shown of the feed says nothing of other tenants, and its cursors go on through everything."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.app import Orchestrator
from swarmkeeper.govern.cursors import LENGTH, Cursors
from swarmkeeper.reads import views
from swarmkeeper.sdk.errors import CursorExpired
from swarmkeeper.settings import Settings
from swarmkeeper.storage.sqlite import migrations
from tests.examples import examples
from tests.http.conftest import Answered, Caller
from tests.http.test_stream import STREAM, stream
from tests.support.cursors import cursors_of
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server

Place = Callable[[str], tuple[str, dict[str, str]]]  # cursor -> query, headers

PLACES: dict[str, Place] = {
    "/query/after": lambda cursor: (f"?after={cursor}", {}),
    "/query/page_token": lambda cursor: (f"?page_token={cursor}", {}),
    "/headers/last-event-id": lambda cursor: ("", {"last_event_id": cursor}),
}


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/swarm.db" if request.param == "sqlite" else server().new_store()


@dataclass
class Tenants:
    swarm: Orchestrator
    ours: Caller
    theirs: Caller

    async def numbers(self, *cursors: str) -> list[int]:
        found = await cursors_of(self.swarm.store)
        return [found.decode("default", cursor) for cursor in cursors]


@asynccontextmanager
async def two_tenants(store_url: str) -> AsyncIterator[Tenants]:
    async with Orchestrator(Settings(store=store_url, log_level="error")) as swarm:
        yield Tenants(swarm, await make_key(swarm, "default"), await make_key(swarm, "acme"))


async def make_key(swarm: Orchestrator, tenant: str) -> Caller:
    return Caller(swarm.app, await swarm.make_key("admin", tenant=tenant))


async def submit(caller: Caller, *titles: str) -> list[str]:
    return [str((await caller.post("/tasks", {"title": title})).json["id"]) for title in titles]


async def events(caller: Caller, path: str = "/events", **headers: str) -> list[dict[str, Any]]:
    """Return the whole feed, page by page."""
    found: list[dict[str, Any]] = []
    query = "?page_size=2"
    while True:
        page = (await caller.get(f"{path}{query}", **headers)).json
        found += page["items"]
        if not page["next_page_token"]:
            return found
        assert page["next_page_token"] == found[-1]["id"]
        query = f"?page_size=2&page_token={page['next_page_token']}"


def shape(shown: Any) -> Any:
    """Return what does not change from run to run: no ids, no times."""
    if isinstance(shown, dict):
        return {name: shape(value) for name, value in shown.items() if name not in ("time", "id", "subject")}
    if isinstance(shown, list):
        return [shape(each) for each in shown]
    return "an id" if isinstance(shown, str) and "_" in shown and len(shown) > 26 else shown


async def test_every_id_of_the_feed_is_a_cursor_of_the_tenant(store_url: str) -> None:
    async with two_tenants(store_url) as both:
        await submit(both.theirs, "theirs")
        task, *_ = await submit(both.ours, "one", "two")
        await submit(both.theirs, "theirs")
        everything = await events(both.ours)
        of_task = await events(both.ours, f"/tasks/{task}/events")
        async with stream(both.ours, "/events") as followed:
            streamed = [await followed.next() for _ in everything]
            framed = followed.raw.decode()
        ids = [event["id"] for event in everything]
        numbers = await both.numbers(*ids)

    assert streamed == everything
    assert [line.removeprefix("id: ") for line in framed.splitlines() if line.startswith("id: ")] == ids
    assert {len(each) for each in ids} == {LENGTH}
    assert not any(each.isdecimal() for each in ids)
    assert numbers == sorted(set(numbers))
    assert numbers != list(range(numbers[0], numbers[0] + len(numbers))), "others had events in between"
    assert [event["id"] for event in of_task] == [
        each["id"] for each in everything if each["subject"] == f"tasks/{task}"
    ]
    assert [event["sequence"] for event in of_task] == list(range(1, len(of_task) + 1))


async def test_a_cursor_of_another_tenant_is_refused_where_it_stands(store_url: str) -> None:
    async with two_tenants(store_url) as both:
        task, *_ = await submit(both.ours, "ours")
        await submit(both.theirs, "theirs")
        foreign = (await events(both.theirs))[-1]["id"]
        for where, place in PLACES.items():
            query, headers = place(foreign)
            answers = [
                await both.ours.get(f"{path}{query}", accept=accept, **headers)
                for path in ("/events", f"/tasks/{task}/events")
                for accept in ("*/*", STREAM)
            ]
            own = await both.theirs.get(f"/events{query}", **headers)

            assert (where, own.status) == (where, 200)
            for answer in answers:
                assert (answer.status, answer.json["code"]) == (422, "invalid")
                assert [error["pointer"] for error in answer.json["errors"]] == [where]
                assert foreign not in answer.body.decode(), "a message never repeats the input"


GARBAGE = ("x", "-1", "1.5", "9" * 30, "A" * 23, "A" * 25, "=" * 24, "evt_0123456789abcdefghijkl")


async def test_a_text_that_is_no_cursor_is_refused_where_it_stands(admin: Caller) -> None:
    for garbage in GARBAGE:
        for where, place in PLACES.items():
            query, headers = place(garbage)
            for accept in ("*/*", STREAM):
                answer = await admin.get(f"/events{query}", accept=accept, **headers)

                assert (garbage, answer.status) == (garbage, 422)
                assert [error["pointer"] for error in answer.json["errors"]] == [where]


async def test_numbers_that_were_never_shown_are_all_answered_alike(store_url: str) -> None:
    """Otherwise a tenant could try numbers until it has those of its own events."""

    def same(answer: Answered) -> tuple[int, Any]:
        return answer.status, {name: value for name, value in answer.json.items() if name != "request_id"}

    async with two_tenants(store_url) as both:
        task, *_ = await submit(both.ours, "one")
        await submit(both.theirs, *"abc")
        await submit(both.ours, "two")
        last = (await both.numbers((await events(both.ours))[-1]["id"]))[0]
        tried = [*range(1, last + 3), 2**40 + 1, 2**63, 10**19 - 1]
        for path in ("/events", f"/tasks/{task}/events"):
            answers = [same(await both.ours.get(f"{path}?after={number}")) for number in tried]

            assert answers[0][0] == 410
            assert answers == answers[:1] * len(tried)
        oldest = answers[0][1]["oldest_cursor"]
        assert (await both.ours.get(f"/events?after={oldest}")).json == (await both.ours.get("/events?after=0")).json


async def test_page_tokens_of_subtasks_hide_how_many_subtasks_others_have(store_url: str) -> None:
    """The store numbers the subtasks of all tenants together, as it does events."""
    plan = {"title": "t", "subtasks": [{"key": f"s{number}", "description": ""} for number in range(5)]}
    async with two_tenants(store_url) as both:
        await both.theirs.post("/tasks", plan)
        task = (await both.ours.post("/tasks", plan)).json["id"]
        found: list[str] = []
        tokens: list[str] = []
        token = ""
        while token or not found:
            page = (await both.ours.get(f"/tasks/{task}/subtasks?page_size=2&page_token={token}")).json
            found += [item["key"] for item in page["items"]]
            if token := page["next_page_token"]:
                tokens.append(token)
        kept = await both.swarm.store.start()
        foreign = Cursors(kept.cursor_key).of_subtasks().encode("acme", 1)
        of_feed = (await events(both.ours))[0]["id"]
        tried = [views.token(5), "5", foreign, of_feed, "x"]
        refused = [await both.ours.get(f"/tasks/{task}/subtasks?page_token={each}") for each in tried]

    assert found == [f"s{number}" for number in range(5)]
    assert [len(each) for each in tokens] == [LENGTH, LENGTH]
    for answer in refused:
        assert answer.status == 422
        assert [error["pointer"] for error in answer.json["errors"]] == ["/query/page_token"]


@given(st.lists(st.integers(0, 4), min_size=2, max_size=4))
@examples(8)
async def test_what_others_do_in_between_changes_nothing_that_a_tenant_is_shown(between: list[int]) -> None:
    """Two stores: in one of them another tenant has events between ours, in the other one it has none."""

    async def told(numbers: list[int]) -> tuple[Any, list[str]]:
        async with two_tenants("sqlite://:memory:") as both:
            for number in numbers:
                await submit(both.ours, "ours")
                await submit(both.theirs, *("theirs" for _ in range(number)))
            feed = await events(both.ours)
            refused = await both.ours.get("/events?after=1")
            audit = (await both.ours.get("/audit?page_size=200")).json["items"]
            shown = [feed, {name: refused.json[name] for name in ("status", "code", "errors")}]
            indices = [record["index"] for record in audit]
            return shape(shown), [*(f"{len(event['id'])}" for event in feed), json.dumps(indices)]

    assert await told(between) == await told([0] * len(between))


async def test_numbers_that_an_older_version_has_shown_go_on_and_the_next_ids_are_cursors(tmp_path: Path) -> None:
    store, file = f"sqlite:///{tmp_path}/swarm.db", tmp_path / "swarm.db"
    async with two_tenants(store) as both:
        await submit(both.ours, "one", "two", "three")
        feed = await events(both.ours)
        numbers = await both.numbers(*(event["id"] for event in feed))
    upgrade_now(file)
    async with Orchestrator(Settings(store=store, log_level="error")) as swarm:
        ours = await make_key(swarm, "default")
        rest = (await ours.get(f"/events?after={numbers[1]}&page_size=200")).json["items"]
        async with stream(ours, "/events", last_event_id=str(numbers[1])) as followed:
            assert await followed.next() == rest[0]
        client = swarm.client()
        assert (await anext(client.events(after=str(numbers[-1]), follow=True))).id == rest[len(feed) - 2]["id"]
        await client.aclose()
        beyond = [await ours.get(f"/events?after={numbers[-1] + more}") for more in (1, 2, 10)]
        went_on = (await ours.get(f"/events?after={rest[0]['id']}&page_size=200")).json["items"]

    assert [shape(event) for event in rest[: len(feed) - 2]] == [shape(event) for event in feed[2:]]
    assert {len(event["id"]) for event in rest} == {LENGTH}
    assert went_on[: len(rest) - 1] == rest[1:]
    assert [answer.status for answer in beyond] == [410] * 3, "these were not shown before the upgrade"


def upgrade_now(file: Path) -> None:
    """Run the migration that this is about again, as if all events before were of an older version."""
    (migration,) = [each for each in migrations.known() if each.name == "0015_cursors"]
    connection = apsw.Connection(str(file))
    connection.execute("DELETE FROM meta WHERE key IN ('cursor_key', 'numbers_until')")
    connection.execute(migration.sql)
    migrations._fill_in(connection, {})
    connection.close()


async def test_with_the_key_of_another_store_a_cursor_is_too_old_and_the_oldest_one_goes_on(store_url: str) -> None:
    async with two_tenants(store_url) as both:
        await submit(both.ours, "one", "two")
        kept = (await events(both.ours))[-1]["id"]
    await lose_key(store_url)
    async with Orchestrator(Settings(store=store_url, log_level="error")) as swarm:
        ours = await make_key(swarm, "default")
        refused = await ours.get(f"/events?after={kept}")
        streamed = await ours.get("/events", accept=STREAM, last_event_id=kept)
        client = swarm.client()
        with pytest.raises(CursorExpired) as expired:
            await anext(client.events(after=kept, follow=True))
        again = client.events(after=expired.value.oldest)
        found = [event.id async for event in again]
        await client.aclose()
        shown = [event["id"] for event in await events(ours)]

    assert (refused.status, refused.json["code"]) == (410, "cursor_too_old")
    assert (streamed.status, streamed.json["oldest_cursor"]) == (410, refused.json["oldest_cursor"])
    assert refused.headers["link"] == f'<?after={refused.json["oldest_cursor"]}>; rel="first"'
    assert found[: len(shown)] == shown


async def lose_key(store_url: str) -> None:
    if store_url.startswith("sqlite"):
        connection = apsw.Connection(store_url.removeprefix("sqlite:///"))
        connection.execute("UPDATE meta SET value = randomblob(32) WHERE key = 'cursor_key'")
        connection.close()
    else:
        other = await asyncpg.connect(store_url)
        await other.execute("UPDATE meta SET secret = sha256('another') WHERE key = 'cursor_key'")
        await other.close()


async def test_cursors_are_the_same_after_a_restart_and_with_another_pepper(store_url: str) -> None:
    found: list[list[str]] = []
    for pepper in ("", "a-pepper-of-thirty-two-characters-or-more", "another-pepper-of-thirty-two-characters"):
        async with Orchestrator(Settings(store=store_url, log_level="error", pepper=pepper)) as swarm:
            ours = await make_key(swarm, "default")
            if not found:
                await submit(ours, "one", "two")
            found.append([event["id"] for event in await events(ours)])

    first, *later = found
    assert all(each[: len(first)] == first for each in later)


async def test_the_key_of_cursors_is_not_among_what_people_are_shown(store_url: str, tmp_path: Path) -> None:
    async with two_tenants(store_url) as both:
        kept = await both.swarm.store.start()
        answers = [
            await both.ours.get(path)
            for path in ("/events", "/audit", "/health", "/readyz?verbose", "/metrics", "/keys", "/events?after=1")
        ]

    assert [answer.status for answer in answers] == [200] * (len(answers) - 1) + [410]
    said = "".join(answer.body.decode() for answer in answers) + repr(kept)
    for secret in (kept.cursor_key, kept.pepper):
        assert secret.hex() not in said
        assert repr(secret)[2:-1] not in said
