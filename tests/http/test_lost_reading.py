"""A call that was carried out while its answer cannot be read: whoever may repeat it is told so, and loses nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.engine.lease_facts import FactsGatherer
from swarmkeeper.http import dependencies
from swarmkeeper.reads.lease_views import Leases
from swarmkeeper.reads.queries import Queries
from tests.http.conftest import Caller, Fleet
from tests.http.test_work import planned

Away = Callable[[type[Any], str], AbstractContextManager[None]]


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Away:
    """Return what keeps a read from its store for a while; leases are read after the commit that granted them."""
    monkeypatch.setattr(dependencies, "_PAUSES", ())
    monkeypatch.setattr(FactsGatherer, "_may_be_light", staticmethod(lambda granted: False))

    async def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("the database restarts")

    @contextmanager
    def failing(of: type[Any], read: str) -> Iterator[None]:
        with monkeypatch.context() as patched:
            patched.setattr(of, read, fail)
            yield

    return failing


async def test_a_report_sent_again_gets_the_leases_that_could_not_be_read(
    client: Caller, fleet: Fleet, away: Away
) -> None:
    await planned(client, "a", "b")
    bot = await fleet.bot("Executor", capacity=2)
    first = await bot.one()

    with away(Leases, "views"):
        refused = await bot.report(first, output=1, claim={"max": 1})
    again = await bot.report(first, output=1, claim={"max": 1})

    assert (refused.status, refused.json["retryable"], refused.headers["retry-after"]) == (503, True, "1")
    assert (again.status, again.json["replayed"]) == (200, True)
    assert [lease["subtask"]["key"] for lease in again.json["leases"]] == [
        {"a": "b", "b": "a"}[first["subtask"]["key"]]
    ]


async def test_leases_that_could_not_be_read_go_back_to_their_queue(client: Caller, fleet: Fleet, away: Away) -> None:
    await planned(client, "a")
    bot = await fleet.bot("Executor")

    with away(Leases, "views"):
        refused = await bot.lease()

    assert (refused.status, refused.json["retryable"]) == (503, True)
    assert (await bot.one())["subtask"]["key"] == "a"


async def test_a_bot_whose_registration_could_not_be_read_registers_again(fleet: Fleet, away: Away) -> None:
    known = await fleet.bot("Executor")
    register = {"type": "Executor", "version": "1.0"}

    with away(Queries, "bot"):
        refused = await known.call.post("/bots/register", register)
    again = await known.call.post("/bots/register", register)

    assert (refused.status, refused.json["retryable"]) == (503, True)
    assert (again.status, again.json["id"]) == (200, known.id)


async def test_a_task_that_could_not_be_read_is_submitted_again_only_with_the_same_key(
    client: Caller, away: Away
) -> None:
    task = {"title": "hello", "subtasks": [{"description": "say it"}]}
    key = {"idempotency_key": "once"}

    with away(Queries, "task"):
        refused = await client.post("/tasks", task)
        repeatable = await client.post("/tasks", task, **key)
    again = await client.post("/tasks", task, **key)

    assert (refused.status, refused.json["retryable"]) == (500, False)
    assert (repeatable.status, repeatable.json["retryable"]) == (503, True)
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert len((await client.get("/tasks")).json["items"]) == 2
