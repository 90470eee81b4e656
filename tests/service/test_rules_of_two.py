"""Two servers on one database, asked at the same moment, or one of them after it stood still: each rule binds."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from swarmkeeper.access.others import Others
from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.cli.framework import running
from swarmkeeper.core.commands import SetTenant
from swarmkeeper.offline.offline_admin import TenantSettings, set_tenant
from swarmkeeper.settings import Settings
from swarmkeeper.storage.postgres import PostgresStore
from tests.http.conftest import BotCaller, Caller, Fleet
from tests.http.test_work import planned
from tests.service.test_others import Pair
from tests.support.postgres import server

TOKENS = "tokens"
RESERVED = 20_000  # of each lease, before any attempt has ended


@pytest.fixture
def store_url() -> str:
    return server().new_store()


@pytest_asyncio.fixture
async def pair(store_url: str) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Orchestrator(Settings(store=store_url))) for _ in range(2)]
        yield Pair(*servers)


async def submitted(pair: Pair, *keys: str) -> str:
    return await planned(Caller(pair.a.app, await pair.a.make_key("client")), *keys)


@asynccontextmanager
async def slow_commits(server: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    """Let the server decide, and commit half a second later; yields what is set once it has decided."""
    store: Any = server.store
    commit: Callable[..., Awaitable[None]] = store._commit
    decided = asyncio.Event()

    async def slow(execution: Any, transaction: Any) -> None:
        if transaction.told:
            await transaction.write()
            decided.set()
            await asyncio.sleep(0.5)
        await commit(execution, transaction)

    with monkeypatch.context() as patch:
        patch.setattr(server.store, "_commit", slow)
        yield decided


@pytest.mark.parametrize("named", [True, False], ids=["with claim ids", "without"])
async def test_a_bot_that_asks_two_servers_at_once_gets_no_more_than_its_capacity(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    at_a = await Fleet(pair.a).bot("Executor", capacity=3)
    at_b = await pair.at_b(at_a)
    for _ in range(12):  # each task is busy at one server as long as that has not committed
        await submitted(pair, "x")
    ids: list[dict[str, Any]] = [{"claim_id": "one"}, {"claim_id": "two"}] if named else [{}, {}]

    async with slow_commits(pair.a, monkeypatch) as decided:
        first = asyncio.create_task(at_a.lease(max=2, **ids[0]))
        await decided.wait()
        second = await at_b.lease(max=2, **ids[1])

    assert [len((await first).json["leases"]), len(second.json["leases"])] == [2, 1]
    assert (await at_b.lease(max=2)).json["reason"] == "at_capacity"


async def test_a_bot_that_one_server_removes_gets_nothing_from_the_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a = await Fleet(pair.a).bot("Executor")
    at_b = await pair.at_b(at_a)
    await submitted(pair, "a")
    admin = Caller(pair.a.app, await pair.a.make_key("admin"))

    async with slow_commits(pair.a, monkeypatch) as decided:
        removed = asyncio.create_task(admin.call("DELETE", f"/bots/{at_a.id}"))
        await decided.wait()
        answer = await at_b.lease()

    assert (await removed).status == 204
    assert answer.status == 404


# ---- a server that has not heard of a budget yet ---------------------------------------------------------------------


@pytest.fixture
def nothing_is_heard(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no server hears what the other one does, as if it stood still."""

    async def look(self: Others) -> None:
        """Read nothing."""

    monkeypatch.setattr(Others, "look", look)


async def account(pair: Pair) -> Any:
    (row,) = await pair.a.store.read("tenant_budgets", {})
    return json.loads(row["budget"])


async def test_what_one_server_has_reserved_of_a_new_budget_is_settled_by_one_that_has_not_heard_of_it(
    pair: Pair, nothing_is_heard: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a = await Fleet(pair.a).bot("Executor")
    at_b = await pair.at_b(at_a)
    await submitted(pair, "a", "b")
    monkeypatch.setattr(pair.b.engine, "is_fresh", lambda: True)
    await pair.a.engine.do(SetTenant(by=OWN, budget={TOKENS: 10 * RESERVED}))
    leases = (await at_a.lease(max=2)).json["leases"]
    assert (await account(pair))["reserved"] == {TOKENS: 2 * RESERVED}

    assert (await beat(at_b, leases[1], 2 * RESERVED)) == "continue"
    assert (await account(pair))["reserved"][TOKENS] > 3 * RESERVED, "it used more than it had, and got more"
    for lease, used in zip(leases, (7, 2 * RESERVED), strict=True):
        assert (await at_b.report(lease, output={}, usage={TOKENS: used})).status == 200

    left = await account(pair)
    assert (left["reserved"], left["spent"][TOKENS]) == ({}, 2 * RESERVED + 7)


async def beat(bot: BotCaller, lease: Any, used: int) -> str:
    told = {"lease_id": lease["lease_id"], "usage": {TOKENS: used}}
    answer = await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [told]})
    assert answer.status == 200, answer.json
    directive: str = answer.json["leases"][0]["directive"]
    return directive


async def test_a_server_that_stood_still_for_more_than_a_second_grants_nothing_beyond_a_new_budget(
    pair: Pair, nothing_is_heard: None
) -> None:
    at_b = await pair.at_b(await Fleet(pair.a).bot("Executor", capacity=8))
    await submitted(pair, *"abcdefgh")
    await pair.a.engine.do(SetTenant(by=OWN, budget={TOKENS: 2 * RESERVED}))
    await asyncio.sleep(2)

    leases = (await at_b.lease(max=8)).json["leases"]

    assert [lease["allowance"] for lease in leases] == [{TOKENS: RESERVED}] * 2


# ---- a command beside servers ----------------------------------------------------------------------------------------


async def test_a_command_that_changes_a_budget_waits_for_the_server_that_is_using_it(
    pair: Pair, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a = await Fleet(pair.a).bot("Executor")
    await submitted(pair, "a")
    await pair.a.engine.do(SetTenant(by=OWN, budget={TOKENS: 2 * RESERVED}))
    store = PostgresStore(store_url)
    await store.open(exclusive=False)

    async with slow_commits(pair.a, monkeypatch) as decided:
        claimed = asyncio.create_task(at_a.lease())
        await decided.wait()
        wish = TenantSettings("default", budget={TOKENS: 5 * RESERVED})
        await set_tenant(store, wish, **running.administration())
        await store.close()

    assert (await claimed).json["leases"]
    left = await account(pair)
    assert (left["limit"], left["reserved"]) == ({TOKENS: 5 * RESERVED}, {TOKENS: RESERVED})
