"""Nothing polls inside: bots that wait for work cost the store nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
