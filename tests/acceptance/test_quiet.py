"""Nothing polls inside: bots that wait for work cost the store nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import apsw

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from swarmkeeper.storage.sqlite import SqliteStore

BOTS = 200
SECONDS = 6
TRANSACTION_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
STATEMENT = 0x01  # SQLITE_TRACE_STMT


async def test_two_hundred_parked_polls_and_no_work_cost_at_most_two_statements_a_second(tmp_path: Path) -> None:
    async with Orchestrator(Settings(store=f"sqlite:///{tmp_path}/store.db")) as swarm:
        client = swarm.client()
        polls = []
        for number in range(BOTS):
            about = {"type": "Executor", "version": "1", "name": f"bot-{number}"}
            bot = await client.call("POST", "/bots/register", about)
            asked = {"bot_id": bot.body["id"], "wait_seconds": 60}
            polls.append(asyncio.create_task(client.call("POST", "/leases", asked)))
        for _ in range(600):
            if len(swarm.engine.scheduler.parked) == BOTS:
                break
            await asyncio.sleep(0.05)
        seen: list[str] = []
        assert isinstance(swarm.store, SqliteStore)
        connections = {id(each): each for each in (swarm.store._writing, swarm.store._reading) if each is not None}
        for connection in connections.values():
            connection.trace_v2(STATEMENT, lambda event: seen.append(event["sql"]))

        await asyncio.sleep(SECONDS)

        for connection in connections.values():
            connection.trace_v2(0)
        parked = len(swarm.engine.scheduler.parked)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        asked_of_the_store = [sql for sql in seen if not sql.lstrip().upper().startswith(TRANSACTION_CONTROL)]
        assert parked == BOTS
        assert seen, "the trace sees statements: the engine says that it lives"
        assert len(asked_of_the_store) <= 2 * SECONDS, asked_of_the_store


async def test_ten_open_dashboards_on_a_quiet_server_add_a_statement_each_five_seconds(tmp_path: Path) -> None:
    async with Orchestrator(Settings(store=f"sqlite:///{tmp_path}/store.db")) as swarm:
        seen: list[str] = []

        def watched(connection: apsw.Connection) -> None:
            connection.trace_v2(STATEMENT, lambda event: seen.append(event["sql"]))

        apsw.connection_hooks.append(watched)  # the connection beside the store's opens with the first read
        try:
            await swarm.client().call("GET", "/tasks")
        finally:
            apsw.connection_hooks.remove(watched)
        async with AsyncExitStack() as stack:
            for _ in range(10):
                followed = swarm.client().changes()
                stack.push_async_callback(followed.aclose)  # type: ignore[attr-defined]  # it is a generator
                await anext(followed)
            assert swarm.changes.listeners == 10
            seen.clear()
            await asyncio.sleep(SECONDS)
            beside = [sql for sql in seen if not sql.lstrip().upper().startswith(TRANSACTION_CONTROL)]
            assert len(beside) <= 2, beside  # once in five seconds
            assert beside, "the trace sees statements"
