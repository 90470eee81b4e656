"""Absent bots are removed: the whole application, on a clock that the test moves forward."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from swarmkeeper.access import roll_call
from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.core import commands
from swarmkeeper.core.commands import ENGINE, CheckBot
from swarmkeeper.core.model import Limits
from swarmkeeper.settings import Settings
from swarmkeeper.sim.harness import ADMIN, Harness
from tests.effects.conftest import submitted
from tests.http.conftest import Caller

SECOND = 1_000_000
HOUR = 3600 * SECOND
BOT = {"type": "Executor", "version": "1", "name": "word-count", "skills": ["count"]}


class Forward(SystemClock):
    """A clock that can be moved forward."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead


@asynccontextmanager
async def running(clock: Forward, **settings: Any) -> AsyncIterator[tuple[Orchestrator, Caller]]:
    async with Orchestrator(Settings(**{"store": "sqlite://:memory:", **settings}), clock=clock) as swarm:
        yield swarm, Caller(swarm.app, await swarm.make_key("admin"))


async def names(admin: Caller) -> list[tuple[str, str]]:
    return [(bot["name"], bot["instance"]) for bot in (await admin.get("/bots")).json["items"]]


async def called(swarm: Orchestrator, clock: Forward, after: int) -> None:
    """Let this much time pass, the last minutes in small steps, so that all bots are checked."""
    step = roll_call.CHECK_EVERY - SECOND
    steps = -(-roll_call.SEEN_AGAIN // step)
    clock.ahead += after - steps * step
    await swarm.roll_call.look()
    for _ in range(steps):
        clock.ahead += step
        await swarm.roll_call.look()


async def test_an_absent_bot_is_removed_after_the_set_time() -> None:
    clock = Forward()
    async with running(clock, forget_bots_seconds=7200) as (swarm, admin):
        gone = (await admin.post("/bots/register", {**BOT, "instance": "gone"})).json
        here = (await admin.post("/bots/register", {**BOT, "instance": "here"})).json
        drained = (await admin.post("/bots/register", {**BOT, "instance": "drained"})).json
        await admin.post(f"/bots/{drained['id']}:drain")

        await called(swarm, clock, 2 * HOUR - 60 * SECOND)
        assert len(await names(admin)) == 3
        await admin.post("/leases", {"bot_id": here["id"], "wait_seconds": 0})
        for _ in range(2):
            clock.ahead += roll_call.CHECK_EVERY - SECOND
            await swarm.roll_call.look()

        assert sorted(await names(admin)) == [("word-count", "drained"), ("word-count", "here")]
        deleted = [
            event
            for event in (await admin.get("/events?page_size=200")).json["items"]
            if "bot.deleted" in event["type"]
        ]
        assert [(event["data"]["bot"], event["data"]["reason"]) for event in deleted] == [(gone["id"], "not_seen")]
        written = (await admin.get("/audit?action=bot.forget")).json["items"]
        assert [(record["actor"]["type"], record["resource"]) for record in written] == [("engine", gone["id"])]
        # It may return: its next claim is answered not_found, and it registers again.
        assert (await admin.post("/leases", {"bot_id": gone["id"]})).status == 404
        assert (await admin.post("/bots/register", {**BOT, "instance": "gone"})).status == 201


async def test_bots_are_removed_after_a_day_by_default_or_never() -> None:
    for settings, left in (({"forget_bots_seconds": 0}, 1), ({}, 0)):
        clock = Forward()
        async with running(clock, **settings) as (swarm, admin):
            await admin.post("/bots/register", BOT)
            await called(swarm, clock, 24 * HOUR)
            assert len(await names(admin)) == left


async def test_a_restart_of_the_server_makes_no_bot_look_absent(tmp_path: Path) -> None:
    clock, store = Forward(), f"sqlite:///{tmp_path / 'store.db'}"
    async with running(clock, store=store) as (swarm, admin):
        bot = (await admin.post("/bots/register", BOT)).json["id"]
        for _ in range(2):
            clock.ahead += 20 * HOUR
            await admin.post("/leases", {"bot_id": bot, "wait_seconds": 0})
            await called(swarm, clock, HOUR)
    async with running(clock, store=store) as (swarm, admin):
        await called(swarm, clock, HOUR)  # it has not asked for work yet

        assert len(await names(admin)) == 1


async def test_explain_names_no_absent_bot_and_each_name_once() -> None:
    clock = Forward()
    async with running(clock) as (_, admin):
        for instance in ("a", "b"):
            await admin.post("/bots/register", {**BOT, "instance": instance})
        task = await submitted(admin, subtasks=[{"key": "c", "description": "", "required_skills": ["count"]}])
        clock.ahead += HOUR
        away = (await admin.get(f"/tasks/{task}:explain")).json["waiting"][0]["detail"]
        clock.ahead += 23 * HOUR
        gone = (await admin.get(f"/tasks/{task}:explain")).json["summary"]

    assert away == "no executor within reach has skill count; away: word-count"
    assert "word-count" not in gone


def test_a_bot_with_leases_stays_and_checks_can_be_repeated() -> None:
    swarm = Harness(limits=replace(Limits(), forget_bots=1))
    swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))
    idle = swarm.bot("idle")
    swarm.advance(1)
    check = [CheckBot(by=replace(ENGINE, tenant=ADMIN.tenant), bot=bot, last_seen=0) for bot in (lease.bot, idle)]

    for _ in range(2):
        for command in check:
            swarm.do(command)
    left = {row["id"] for row in swarm.rows("SELECT id FROM bot")}
    swarm.do(commands.CheckBot(by=check[0].by, bot=lease.bot, last_seen=swarm.now))

    assert left == {lease.bot}
    assert swarm.report(lease) is not None
    swarm.check()
    swarm.close()
