"""Several servers on one store: no answer with a value leaves before every one of them hides it. And a server that is
killed between the commit of a release and its answer."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.access import others
from swarmkeeper.app import Orchestrator
from swarmkeeper.secrets import broker
from swarmkeeper.settings import Settings
from tests.acceptance.process import Process
from tests.http.conftest import Caller
from tests.secrets.conftest import SECOND, VALUE, Files, running
from tests.support.postgres import server


@pytest.fixture
def url() -> str:
    return server().new_store()


async def test_the_other_server_hides_a_value_before_the_answer_leaves(url: str, files: Files) -> None:
    key = files.key()
    async with running(url, secrets_key_file=key) as one, running(url, secrets_key_file=key) as two:
        for number in range(5):
            value = f"{VALUE} {number}"
            await one.put(f"token-{number}", value)
            bot = await one.bot(f"worker-{number}")
            await one.submit(f"token-{number}")
            await bot.take()

            assert await bot.values(f"token-{number}") == [value]

            assert value not in two.orchestrator.rules.text(value, tenant="default"), (
                "at the moment of the answer, and not later"
            )


async def test_a_server_that_does_not_learn_a_value_keeps_the_answer_back(
    url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = files.key()
    monkeypatch.setattr(broker, "TOLD_SECONDS_MAX", 1.0)
    async with running(url, secrets_key_file=key) as one, running(url) as without_broker:
        del without_broker
        await one.put("token")
        bot = await one.at_work("token")

        answer = await bot.resolve("token")

        assert (answer.status, answer.json["code"]) == (503, "secrets_unavailable")
        assert VALUE not in answer.body.decode()


async def test_a_server_that_stood_still_answers_nobody_before_it_hides_what_was_released_meanwhile(
    url: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "SERVER_READ", 2 * SECOND)
    monkeypatch.setattr(others, "ENDED", SECOND)
    monkeypatch.setattr(others, "PRESENCE_SECONDS", 0.2)
    key = files.key()
    async with running(url, secrets_key_file=key) as one, running(url, secrets_key_file=key) as two:
        await one.put("token")
        bot = await one.at_work("token")
        at_two = replace(bot, call=replace(bot.call, app=two.orchestrator.app))
        assert (await two.admin.get("/limits")).status == 200
        goes_on = asyncio.Event()
        for name in ("look", "_share_presence", "_meet"):
            _stands_still(two.orchestrator._others, name, goes_on, monkeypatch)
        await asyncio.sleep(2.5)

        assert await bot.values("token") == [VALUE], "the server that stands still counts as ended"

        assert VALUE in two.orchestrator.rules.text(VALUE, tenant="default")
        refused = await at_two.report(output={"said": VALUE})
        assert (refused.status, refused.json["code"]) == (503, "overloaded")
        goes_on.set()
        while (answer := await two.admin.get("/limits")).status == 503:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.01)
        assert answer.status == 200
        assert VALUE not in two.orchestrator.rules.text(VALUE, tenant="default")
        assert (await at_two.report(output={"said": VALUE})).status == 200


def _stands_still(of: Any, name: str, until: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    method = getattr(of, name)

    async def later() -> None:
        await until.wait()
        await method()

    monkeypatch.setattr(of, name, later)


async def test_a_server_that_starts_while_values_are_released_knows_them_all(url: str, files: Files) -> None:
    key = files.key()
    async with running(url, secrets_key_file=key) as one:
        released: list[str] = []

        async def release() -> None:
            for number in range(12):
                await one.put(f"token-{number}", f"{VALUE} {number}")
                bot = await one.bot(f"worker-{number}")
                await one.submit(f"token-{number}")
                await bot.take()
                released.extend(await bot.values(f"token-{number}"))

        releasing = asyncio.create_task(release())
        while not released:  # noqa: ASYNC110 - what it waits for is no event
            await asyncio.sleep(0.01)
        async with running(url, secrets_key_file=key) as late:
            for _ in range(200):
                unknown = [
                    value for value in released if value in late.orchestrator.rules.text(value, tenant="default")
                ]
                assert unknown == []
                if releasing.done():
                    break
                await asyncio.sleep(0.02)
            await releasing
            assert [value for value in released if value in late.orchestrator.rules.text(value, tenant="default")] == []


DIES = """
import asyncio, os, signal, sys
from tests.secrets.conftest import running

async def main():
    async with running(sys.argv[1], secrets_key_file=sys.argv[2]) as swarm:
        await swarm.put("token", sys.argv[3])
        bot = await swarm.at_work("token")

        async def dies(values):
            os.kill(os.getpid(), signal.SIGKILL)

        swarm.orchestrator.secrets._all_know = dies
        await bot.resolve("token")

asyncio.run(main())
"""


async def test_a_server_killed_between_release_and_answer_has_recorded_the_release(files: Files, store: str) -> None:
    key = files.key()
    program = files.folder / "dies.py"
    program.write_text(DIES)
    root = Path(__file__).parents[2]
    command = [sys.executable, str(program), store, key, VALUE]
    server = Process(command, log=files.folder / "dies.err", environment=os.environ, folder=root)
    try:
        assert await asyncio.to_thread(server.wait, 60) == -signal.SIGKILL
    finally:
        server.stop()

    async with Orchestrator(Settings(store=store, secrets_key_file=key, log_level="error")) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        assert VALUE not in swarm.rules.text(VALUE, tenant="default")
        (record,) = (await admin.get("/audit?action=secret.release")).json["items"]
        assert record["payload"]["names"] == ["token"]
