"""Two servers on one database: what is done through one of them counts at the other, too."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.access import others
from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core.commands import SetTenant
from swarmkeeper.engine import loop
from swarmkeeper.engine.polls import Poll
from swarmkeeper.govern import keys
from swarmkeeper.settings import Settings
from swarmkeeper.storage.postgres import PostgresStore
from tests.http.conftest import BotCaller, Caller, Fleet
from tests.http.signed_in import signed_in
from tests.http.test_work import planned
from tests.storage.seen import statements
from tests.support.kept_sessions import _function_scoped_runner  # noqa: F401
from tests.support.postgres import server

SECOND = 1_000_000
COST = "cost_micro_usd"
TASKS = 40
RULE = """
version = 1

[[detector]]
id = "hush"
keywords = ["hush"]
pattern = 'hush-[0-9]+'
hit = ["hush-123"]
miss = ["hush"]
"""


@dataclass
class Pair:
    a: Orchestrator
    b: Orchestrator

    async def at_b(self, bot: BotCaller) -> BotCaller:
        """Return the same bot, which calls the other server."""
        return BotCaller(Caller(self.b.app, bot.call.key), bot.id)


@pytest.fixture
def store_url() -> str:
    return server().new_store()


@pytest_asyncio.fixture
async def pair(store_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(others, "PRESENCE_SECONDS", 0.1)
    settings = Settings(store=store_url)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Orchestrator(settings)) for _ in range(2)]
        yield Pair(*servers)


async def submitted(pair: Pair, *keys: str) -> str:
    return await planned(Caller(pair.a.app, await pair.a.make_key("client")), *keys)


async def soon(what: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await what():
                return
            await asyncio.sleep(0.02)


async def test_a_poll_that_a_hint_woke_gets_its_item_with_four_statements(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They read its bot and the time; the heads of its queues with the items; what these depend on; and write."""
    monkeypatch.setattr(loop, "LOOK_EVERY", 60 * SECOND)
    await asyncio.sleep(0.6)  # the last look before that
    bot = await pair.at_b(await Fleet(pair.a).bot("Executor"))
    store = pair.b.store
    assert isinstance(store, PostgresStore)
    for _ in range(2):  # what a queue is asked for is guessed from what was asked last
        poll = asyncio.create_task(bot.lease(wait_seconds=10))
        await asyncio.sleep(0.2)
        with statements(store, lambda sql: True) as seen:
            await submitted(pair, "x")
            async with asyncio.timeout(5):
                await poll

    places = [place for place, sql in enumerate(seen) if sql == "BEGIN"]
    batches = [seen[begin + 1 : end] for begin, end in itertools.pairwise([*places, len(seen)])]
    (granting,) = (batch for batch in batches if any("INSERT INTO lease" in sql for sql in batch))
    assert granting[-1] == "COMMIT"
    assert len(granting[:-1]) <= 4


async def test_work_submitted_at_one_server_goes_to_a_poll_parked_at_the_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOOK_EVERY", 60 * SECOND)  # only a hint can bring it in time
    await asyncio.sleep(0.6)  # the last look before that
    bot = await pair.at_b(await Fleet(pair.a).bot("Executor"))
    poll = asyncio.create_task(bot.lease(wait_seconds=10))
    await asyncio.sleep(0.1)

    task = await submitted(pair, "x")

    async with asyncio.timeout(5):
        answer = await poll
    assert [lease["task_id"] for lease in answer.json["leases"]] == [task]


async def test_work_goes_there_although_every_hint_is_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(topic: str, body: bytes = b"") -> None:
        """Publish nothing."""

    monkeypatch.setattr(pair.a.broker, "publish", lost)
    bot = await pair.at_b(await Fleet(pair.a).bot("Executor"))
    poll = asyncio.create_task(bot.lease(wait_seconds=10))
    await asyncio.sleep(0.1)

    task = await submitted(pair, "x")

    async with asyncio.timeout(5):
        assert [lease["task_id"] for lease in (await poll).json["leases"]] == [task]


async def test_a_key_revoked_at_one_server_is_refused_at_the_other_and_ends_its_poll(pair: Pair) -> None:
    bot = await pair.at_b(await Fleet(pair.a).bot("Executor"))
    assert (await bot.lease()).status == 200  # the other server knows the key now
    poll = asyncio.create_task(bot.lease(wait_seconds=30))
    await asyncio.sleep(0.1)
    admin = Caller(pair.a.app, await pair.a.make_key("admin"))
    (key,) = [row["id"] for row in (await admin.get("/keys")).json["items"] if row["role"] == "bot:executor"]

    assert (await admin.post(f"/keys/{key}:revoke")).status == 200

    async def refused() -> bool:
        return (await bot.lease()).status == 401

    await soon(refused, 2)
    async with asyncio.timeout(2):
        await poll


async def test_a_person_disabled_at_one_server_is_refused_at_the_other_and_their_poll_ends(pair: Pair) -> None:
    admin = Caller(pair.a.app, await pair.a.make_key("admin"))
    person = (await admin.post("/persons", {"name": "ann"})).json["id"]
    made = (await admin.post("/keys", {"role": "bot:executor", "bot": "maker", "person": person})).json["key"]
    call = Caller(pair.b.app, made)
    about = {"type": "Executor", "version": "1"}
    bot = BotCaller(call, (await call.post("/bots/register", about)).json["id"])
    poll = asyncio.create_task(bot.lease(wait_seconds=30))
    await asyncio.sleep(0.1)

    assert (await admin.post(f"/persons/{person}:disable")).status == 200

    async def refused() -> bool:
        return (await bot.lease()).status == 401

    await soon(refused, 2)
    async with asyncio.timeout(2):
        await poll
    assert (await admin.post(f"/persons/{person}:enable")).status == 200
    await soon(lambda: _is_let_in(bot), 2)


async def test_a_session_counts_and_ends_at_both_servers(pair: Pair) -> None:
    admin = Caller(pair.a.app, await pair.a.make_key("admin"))
    person = (await admin.post("/persons", {"name": "ann"})).json["id"]
    keys_made = [(await admin.post("/keys", {"role": "viewer", "person": person})).json for _ in range(3)]
    at_a = [await signed_in(Caller(pair.a.app, made["key"])) for made in keys_made]
    at_b = [replace(caller, app=pair.b.app) for caller in at_a]
    assert [(await caller.get("/session")).status for caller in at_b] == [200] * 3

    assert (await at_a[0].call("DELETE", "/session")).status == 204
    assert (await at_b[0].get("/session")).status == 401, "at once: each call reads the store"
    assert (await admin.post(f"/keys/{keys_made[1]['id']}:revoke")).status == 200
    await soon(lambda: _is_signed_out(at_b[1]), 1)
    assert (await at_b[2].get("/session")).status == 200
    assert (await admin.post(f"/persons/{person}:disable")).status == 200
    await soon(lambda: _is_signed_out(at_b[2]), 1)


async def _is_signed_out(caller: Caller) -> bool:
    return (await caller.get("/session")).status == 401


async def _is_let_in(bot: BotCaller) -> bool:
    return (await bot.lease()).status == 200


async def test_a_message_sent_at_one_server_is_told_with_the_next_heartbeat_at_the_other(pair: Pair) -> None:
    at_a = await Fleet(pair.a).bot("Executor")
    bot = await pair.at_b(at_a)
    task = await submitted(pair, "x")
    lease = await bot.one()
    client = Caller(pair.a.app, await pair.a.make_key("client", scope="tenant"))
    await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})

    sent = await client.post(f"/tasks/{task}/messages", {"to_bot": None, "payload": {"say": "hello"}})
    assert sent.status == 201, sent.json

    async def told() -> bool:
        answer = await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})
        return [message["payload"] for message in answer.json["messages"]] == [{"say": "hello"}]

    await soon(told, 2)


async def test_leases_claimed_again_at_one_server_stay_when_the_other_notices_that_the_first_call_was_cut(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer cuts a connection, and the server whose answer is lost is busy, so it notices that late."""
    at_a = await Fleet(pair.a).bot("Executor")
    at_b = await pair.at_b(at_a)
    polls: list[Poll] = []
    claim = pair.a.engine.claim

    def noted(*given: Any, **options: Any) -> Poll:
        polls.append(claim(*given, **options))
        return polls[-1]

    monkeypatch.setattr(pair.a.engine, "claim", noted)
    await submitted(pair, "x")
    (first,) = (await at_a.lease(wait_seconds=10, claim_id="c1")).json["leases"]

    (again,) = (await at_b.lease(wait_seconds=10, claim_id="c1")).json["leases"]
    pair.a.engine.abandon(polls[0])
    await asyncio.sleep(0.5)

    assert again["lease_id"] == first["lease_id"]
    answer = await at_b.report(again, output={"a": 1})
    assert (answer.status, answer.json.get("accepted")) == (200, True), answer.json


async def test_a_task_cancelled_at_one_server_cancels_its_lease_at_the_other(pair: Pair) -> None:
    bot = await pair.at_b(await Fleet(pair.a).bot("Executor"))
    task = await submitted(pair, "x")
    lease = await bot.one()
    beat = {"leases": [{"lease_id": lease["lease_id"]}]}
    for _ in range(2):  # from the second on, the other server answers from memory
        answer = await bot.call.post(f"/bots/{bot.id}:heartbeat", beat)
        assert [one["directive"] for one in answer.json["leases"]] == ["continue"]

    admin = Caller(pair.a.app, await pair.a.make_key("admin"))
    assert (await admin.post(f"/tasks/{task}:cancel", {"reason": "r"})).status < 300

    async def cancelled() -> bool:
        answer = await bot.call.post(f"/bots/{bot.id}:heartbeat", beat)
        return [one["directive"] for one in answer.json["leases"]] != ["continue"]

    await soon(cancelled, 2)


async def test_a_caller_who_waits_at_one_server_is_told_when_the_other_ends_the_task(pair: Pair) -> None:
    bot = await pair.at_b(await Fleet(pair.a).bot("Executor"))
    task = await submitted(pair, "x")
    client = Caller(pair.a.app, await pair.a.make_key("client", scope="tenant"))
    waiting = asyncio.create_task(client.get(f"/tasks/{task}?wait_seconds=30"))
    await asyncio.sleep(0.1)

    lease = await bot.one()
    assert (await bot.report(lease, output={})).status == 200

    async with asyncio.timeout(5):
        assert (await waiting).json["outcome"] == "accepted"


async def test_a_server_that_starts_beside_another_prolongs_no_lease(pair: Pair, store_url: str) -> None:
    bot = await Fleet(pair.a).bot("Executor")
    await submitted(pair, "x")
    await bot.one()
    connection = await asyncpg.connect(store_url)
    # Most of its time is over: a server that starts alone would prolong it.
    soon_over = await connection.fetchval("UPDATE lease SET expires_at = expires_at - 25000000 RETURNING expires_at")

    async with Orchestrator(pair.a.settings):
        assert await connection.fetchval("SELECT expires_at FROM lease") == soon_over
    await connection.close()


async def test_what_a_tenant_spends_through_several_servers_adds_up(pair: Pair) -> None:
    at_a = await Fleet(pair.a).bot("Executor", capacity=64)
    await pair.a.engine.do(SetTenant(by=OWN, budget={COST: 10**9}))
    bots = [at_a, await pair.at_b(at_a)]
    await asyncio.sleep(1)  # the other server has heard of the budget
    for _ in range(TASKS):
        await submitted(pair, "x")
    leases = (await at_a.lease(max=TASKS)).json["leases"]
    assert len(leases) == TASKS

    reports = [bots[n % 2].report(lease, output={}, usage={COST: 7}) for n, lease in enumerate(leases)]
    answers = await asyncio.gather(*reports)

    assert [answer.status for answer in answers] == [200] * TASKS
    (row,) = await pair.b.store.read("tenant_budgets", {})
    account = json.loads(row["budget"])
    assert account["spent"][COST] == 7 * TASKS
    assert not account.get("reserved")


async def test_a_share_that_is_set_at_one_server_counts_at_the_other(pair: Pair) -> None:
    await pair.a.make_key("client")  # so that the tenant is known

    await pair.a.engine.do(SetTenant(by=OWN, weight=7))

    async def heard() -> bool:
        return pair.b.engine.weights.get("default") == 7

    await soon(heard, 2)


async def test_a_bot_that_calls_one_server_is_not_away_for_the_other(pair: Pair) -> None:
    bot = await Fleet(pair.a).bot("Executor")
    admins = [Caller(each.app, await each.make_key("admin")) for each in (pair.a, pair.b)]
    before = (await admins[1].get(f"/bots/{bot.id}")).json["last_seen"]

    await bot.lease()

    async def agreed() -> bool:
        at_a, at_b = [(await admin.get(f"/bots/{bot.id}")).json["last_seen"] for admin in admins]
        return bool(before < at_a == at_b)

    await soon(agreed, 5)


async def test_other_redaction_rules_at_another_server_are_a_warning_until_they_agree(
    pair: Pair, store_url: str, tmp_path: Path
) -> None:
    extra = tmp_path / "rules.toml"
    extra.write_text(RULE, encoding="utf-8")

    def warned(server: Orchestrator) -> bool:
        return any("redaction rules" in warning for warning in server.readiness(True)["warnings"])

    async def all_warn() -> bool:
        return all(map(warned, (pair.a, pair.b, different)))

    async def nobody_warns() -> bool:
        return not any(map(warned, (pair.a, pair.b)))

    assert not warned(pair.a), "they agree"
    async with Orchestrator(Settings(store=store_url, redaction=(str(extra),))) as different:
        await soon(all_warn, 5)
        assert different.readiness()["ready"], "it is a warning"
        different.rules.change(pair.a.rules.redactor)
        await soon(nobody_warns, 5)


async def test_more_servers_than_the_database_has_locks_for_are_a_warning(pair: Pair) -> None:
    assert isinstance(pair.b.store, PostgresStore)
    pair.b.store.servers_max = 1

    async def warns() -> bool:
        return any("max_locks_per_transaction" in warning for warning in pair.b.readiness(True)["warnings"])

    await soon(warns, 5)
    assert not any("max_locks_per_transaction" in warning for warning in pair.a.readiness(True)["warnings"])


async def test_a_database_that_does_not_write_each_commit_to_its_disk_is_a_warning(pair: Pair) -> None:
    (warning,) = pair.a.readiness(True)["warnings"]  # the tests' own database is thrown away

    assert warning.endswith("fsync = off, full_page_writes = off there")
    assert pair.a.readiness()["ready"], "it is a warning"


@pytest.mark.parametrize("database", ["new_database", "new_store"])
async def test_servers_that_start_at_once_on_an_empty_store_make_one_first_key(database: str) -> None:
    first = keys.new_key(bytes(range(32))).text
    url = await asyncio.to_thread(getattr(server(), database))
    settings = Settings(store=url, bootstrap_key=first)
    servers = [Orchestrator(settings) for _ in range(4)]

    await asyncio.gather(*(each.__aenter__() for each in servers))

    for each in servers:
        (key,) = (await Caller(each.app, first).get("/keys")).json["items"]
        assert key["role"] == "admin"
    for each in servers:
        await each.__aexit__(None, None, None)
