"""Whoever edits an operation in the store makes no server act: the operation is refused, marked and counted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.access.operations import callers, running
from swarmkeeper.app import Orchestrator
from swarmkeeper.core.model import Principal
from swarmkeeper.http.insight import bulk
from swarmkeeper.settings import Settings
from swarmkeeper.testing.test_server import soon
from tests.at_rest.conftest import ask, asking
from tests.http.conftest import Caller
from tests.http.test_bulk import begun
from tests.http.test_insight import planned, read
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server

ADMIN = callers.to_json(Principal("default", "key_admin", "admin"))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}" if request.param == "sqlite" else server().new_store()


@asynccontextmanager
async def serving(store_url: str) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store=store_url, log_level="error", pepper="not in the store")) as swarm:
        yield swarm


@dataclass
class Half:
    """An operation of which two of four tasks are done when its server ends."""

    key: str
    place: str
    tasks: list[str]
    other: str  # a task that the operation is not about

    @property
    def id(self) -> str:
        return self.place.rpartition("/")[2]


async def half_done(store_url: str, patch: pytest.MonkeyPatch, count: int = 1) -> list[Half]:
    patch.setattr(running, "HELD_FOR", 100_000)  # then the next server takes them over
    patch.setattr(running, "AT_ONCE", 2)
    patch.setattr(bulk, "OPEN_MAX", count)
    right = running.Operations._slice
    made = []

    async def stops(self: running.Operations, current: running._InProgress) -> None:
        if len(current.left) > 2:
            await right(self, current)

    with patch.context() as only_here:
        only_here.setattr(running.Operations, "_slice", stops)
        async with serving(store_url) as swarm:
            key = await swarm.make_key("admin")
            caller = Caller(swarm.app, key)
            for _ in range(count):
                *tasks, other = [await planned(caller, "a") for _ in range(5)]
                place = (await begun(caller, "cancel", ids=tasks)).headers["location"]
                made.append(Half(key, place, tasks, other))

            for half in made:

                async def is_half_done(place: str = half.place) -> bool:
                    return bool((await read(caller, place))["progress"]["done"] == 2)

                assert await soon(is_half_done, 20)
    return made


async def states(store_url: str, operation: str = "") -> list[Any]:
    rows = await ask(store_url, "SELECT id, ended_at, forged_at FROM operation")
    return [row for row in rows if operation in row[0]]


async def ended(store_url: str) -> None:
    async def is_over() -> bool:
        return all(ended_at is not None for _, ended_at, _ in await states(store_url))

    assert await soon(is_over, 20)


async def outcomes(caller: Caller, tasks: list[str]) -> list[str | None]:
    return [(await read(caller, f"/tasks/{task}"))["outcome"] for task in tasks]


OF_ROW = {
    "id": "opr_other",
    "tenant": "acme",
    "party": "key:other",
    "caller": ADMIN,
    "action": "archive",
    "args": json.dumps({"reason": "no reason"}),
    "dry_run": 1,
    "total": 2,
    "trace": "00-1-1-01",
    "created_at": 1,
    "items_hash": "00",
    "slices": 2,
    "done": 1,
    "refused": 1,
    "seal": b"\0" * 32,
}


# What is done to the tasks of an operation; each statement is given a task of no operation, and the operation.
ITEMS = {
    "another task": ("UPDATE operation_item SET task = ? WHERE place = 3 AND operation = ?",),
    "another order": tuple(  # the places of two tasks are swapped, by way of a free one
        f"UPDATE operation_item SET place = {after} WHERE place = {before} AND task <> ? AND operation = ?"
        for before, after in ((2, 9), (3, 2), (9, 3))
    ),
    "one more task": ("INSERT INTO operation_item (place, task, operation) VALUES (4, ?, ?)",),
    "a task less": ("DELETE FROM operation_item WHERE place = 3 AND task <> ? AND operation = ?",),
    "once more": (
        "UPDATE operation_item SET outcome = NULL, slice = NULL WHERE place = 0 AND task <> ? AND operation = ?",
    ),
    "not at all": (
        "UPDATE operation_item SET outcome = 'done', slice = 1 WHERE place = 3 AND task <> ? AND operation = ?",
    ),
    "for another reason": (
        "UPDATE operation_item SET code = 'killed' WHERE place = 0 AND task <> ? AND operation = ?",
    ),
}
UNTOUCHED = "untouched"


@dataclass
class Followed:
    """What came of an operation that a server found half done."""

    state: str | None  # as its tenant reads it; None: where its id or its tenant was edited
    outcomes: list[str | None]
    forged: bool  # whether its row is marked so
    recorded: int  # how often the audit log has that it was forged


@dataclass
class Place:
    """A store with an operation for each edit, half done by a server, edited, and then found by the next server."""

    followed: dict[str, Followed]
    forged: int  # marked as such in the store
    counted: bytes  # the server's metrics


async def edited(store_url: str) -> Place:
    cases = [UNTOUCHED, *OF_ROW, *ITEMS]
    with pytest.MonkeyPatch.context() as patch:
        halves = dict(zip(cases, await half_done(store_url, patch, len(cases)), strict=True))
        async with asking(store_url) as asked:
            for edit, statements in ITEMS.items():
                for statement in statements:
                    await asked(statement, halves[edit].other, halves[edit].id)
            for column, value in OF_ROW.items():
                await asked(f"UPDATE operation SET {column} = ? WHERE id = ?", value, halves[column].id)

        async with serving(store_url) as swarm:
            caller = Caller(swarm.app, halves[UNTOUCHED].key)
            await ended(store_url)

            records = (await read(caller, "/audit?action=tasks.forged&page_size=100"))["items"]
            marked = [row[0] for row in await states(store_url) if row[2] is not None]
            followed = {}
            for case, half in halves.items():
                state = None if case in ("id", "tenant") else (await read(caller, half.place))["state"]
                recorded = [record["resource"] for record in records].count(half.id)
                tasks = await outcomes(caller, [*half.tasks, half.other])
                is_marked = (OF_ROW["id"] if case == "id" else half.id) in marked
                followed[case] = Followed(state, tasks, is_marked, recorded)
            return Place(followed, len(marked), swarm._metrics.text()[0])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two starts of a server for all edits: each is about an operation of its own."""
    file = tmp_path_factory.mktemp("forged") / "store.db"
    return asyncio.run(edited(f"sqlite:///{file}" if request.param == "sqlite" else server().new_store()))


def test_an_operation_that_nobody_has_touched_goes_on(place: Place) -> None:
    found = place.followed[UNTOUCHED]
    assert (found.state, found.forged, found.recorded) == ("ended", False, 0)
    assert found.outcomes == ["cancelled"] * 4 + [None]


@pytest.mark.parametrize("column", OF_ROW)
def test_a_row_that_was_edited_makes_no_server_act(place: Place, column: str) -> None:
    found = place.followed[column]
    assert found.forged
    assert found.outcomes == ["cancelled"] * 2 + [None] * 3
    if column not in ("id", "tenant"):
        assert (found.state, found.recorded) == ("forged", 1)


@pytest.mark.parametrize("edit", ITEMS)
def test_tasks_and_outcomes_that_were_edited_make_no_server_act(place: Place, edit: str) -> None:
    found = place.followed[edit]
    assert found.outcomes == ["cancelled"] * 2 + [None] * 3
    assert (found.state, found.forged, found.recorded) == ("forged", True, 1)


def test_each_operation_that_was_edited_is_marked_and_counted_once(place: Place) -> None:
    edits = len(OF_ROW) + len(ITEMS)
    assert place.forged == edits
    assert f"swarmkeeper_operations_forged_total {edits}.0".encode() in place.counted


async def test_an_operation_that_was_inserted_makes_no_server_act(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (half,) = await half_done(store_url, monkeypatch)
    columns = [name for name in OF_ROW if name != "id"]
    copied = ", ".join(columns)
    await ask(store_url, f"INSERT INTO operation (id, {copied}) SELECT 'opr_forged', {copied} FROM operation")
    await ask(
        store_url,
        "INSERT INTO operation_item (operation, place, task) SELECT 'opr_forged', 0, ? FROM operation"
        " WHERE id <> 'opr_forged'",
        half.other,
    )

    async with serving(store_url) as swarm:
        caller = Caller(swarm.app, half.key)
        await ended(store_url)

        ((_, _, forged),) = await states(store_url, "opr_forged")
        assert forged is not None
        assert (await read(caller, half.place))["state"] == "ended"
        assert await outcomes(caller, [*half.tasks, half.other]) == ["cancelled"] * 4 + [None]


async def test_a_row_that_is_edited_while_a_server_carries_it_out_counts_no_more(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server acts by what it read before; and it seals nothing that somebody else has written."""
    monkeypatch.setattr(running, "AT_ONCE", 1)
    right = running.Operations._slice

    async def edited(self: running.Operations, current: running._InProgress) -> None:
        if len(current.left) == 3:
            await ask(store_url, "UPDATE operation SET caller = ?, action = 'archive'", ADMIN)
        await right(self, current)

    monkeypatch.setattr(running.Operations, "_slice", edited)
    async with serving(store_url) as swarm:
        caller = Caller(swarm.app, await swarm.make_key("admin"))
        tasks = [await planned(caller, "a") for _ in range(4)]
        place = (await begun(caller, "cancel", ids=tasks)).headers["location"]
        await ended(store_url)

        assert (await read(caller, place))["state"] == "forged"
        assert await outcomes(caller, tasks) == ["cancelled"] * 2 + [None] * 2


async def test_a_key_that_has_other_rights_in_between_does_no_more(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (half,) = await half_done(store_url, monkeypatch)
    await ask(store_url, "UPDATE api_key SET scope = 'own'")

    async with serving(store_url) as swarm:
        caller = Caller(swarm.app, await swarm.make_key("admin"))
        await ended(store_url)

        items = (await read(caller, half.place))["items"]
        assert [item["detail"] for item in items] == [None, None, *["the key has other rights now"] * 2]
        assert await outcomes(caller, half.tasks) == ["cancelled"] * 2 + [None] * 2


async def test_the_reason_of_an_operation_is_stored_without_its_secrets(store_url: str) -> None:
    secret = "AKIAQX4B7ZJ2M5N8P3RT"
    async with serving(store_url) as swarm:
        caller = Caller(swarm.app, await swarm.make_key("admin"))
        task = await planned(caller, "a")
        answer = await begun(caller, "cancel", ids=[task], reason=f"leaked {secret}")
        assert answer.status == 202

    ((stored,),) = await ask(store_url, "SELECT args FROM operation")
    assert "leaked" in stored
    assert secret not in stored
