"""Servers of one store in PostgreSQL learn at once that they are not alone any more: only then do they send hints."""

import asyncio

import asyncpg

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.broker.postgres import CHANNEL
from swarmkeeper.core.commands import Submit
from swarmkeeper.settings import Settings
from tests.broker.suite import until
from tests.support.postgres import server

SECONDS = 5.0  # less than servers let pass between two looks at who else runs


async def test_hints_are_sent_as_soon_as_a_second_server_has_started() -> None:
    settings = Settings(store=await asyncio.to_thread(server().new_store), log_level="error")
    admin = await asyncpg.connect(settings.store)
    heard: asyncio.Queue[str] = asyncio.Queue()
    await admin.add_listener(CHANNEL, lambda *said: heard.put_nowait(str(said[-1])))

    async def submit(at: Orchestrator) -> None:
        await at.engine.do(Submit(by=OWN, title="hello", spec=b'{"title":"hello"}'))

    async def topics_until(topic: str) -> set[str]:
        found: set[str] = set()
        async with asyncio.timeout(SECONDS):
            while topic not in found:
                found.add((await heard.get()).partition(" ")[0])
        return found

    try:
        async with Orchestrator(settings) as first:
            assert first._others is not None
            assert await topics_until("met") == {"met"}
            assert not first._others._is_followed()
            async with first._feed.subscribe(OWN.tenant):
                assert first._others._is_followed(), "a caller follows what is committed"
            await submit(first)
            async with Orchestrator(settings):
                assert await topics_until("met") == {"met"}, "nothing was sent while the first was alone"
                async with asyncio.timeout(SECONDS):
                    await until(first._others._has_others)  # it has heard that, too
                assert first._others._is_followed(), "the other server follows what this one commits"
                await submit(first)
                await topics_until("look")
    finally:
        await admin.close()
