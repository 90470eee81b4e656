"""Bots whose code blocks its event loop, the most common mistake: they keep their leases, and the log warns."""

import asyncio
import contextlib
import ctypes
import logging
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import pytest

from swarmkeeper import Client, Done, ExecutorBot, SubTask, executor
from swarmkeeper.sdk.attempts import stalls
from swarmkeeper.sdk.leases import HeldLease
from swarmkeeper.testing.test_server import running_test_server
from tests.sdk.bot_thread import at_work, calls

ONE: dict[str, Any] = {"evaluation": "none", "subtasks": [{"key": "a", "description": "one"}]}
PATIENCE = 20  # seconds: an event that does not come must not hang the suite


class Heard(logging.Handler):
    """Collects the warnings about a blocked loop or a frozen process; `event` is set at each."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if stalls.BLOCKED in record.getMessage() or "stood still" in record.getMessage():
            self.lines.append(record.getMessage())
            self.event.set()


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    logging.getLogger("swarmkeeper.bot").addHandler(handler)
    yield handler
    logging.getLogger("swarmkeeper.bot").removeHandler(handler)


async def test_a_coroutine_that_blocks_its_loop_keeps_its_lease_and_its_result_counts() -> None:
    release = threading.Event()

    @executor
    async def blocks(subtask: SubTask) -> Done:
        return Done({"in_time": release.wait(PATIENCE)})

    async with running_test_server() as stand, at_work(stand, blocks):
        task = await stand.client.submit("one", **ONE)
        beats = await calls(stand, "beat", 4)  # without heartbeats, the lease would have expired before the last
        release.set()
        ended = await stand.client.wait(task.id, timeout=PATIENCE)

        assert ended.result == {"a": {"in_time": True}}
        assert len((await stand.client.subtask(task.id, "a")).attempts) == 1
    assert [lease["directive"] for beat in beats for lease in beat.answer["leases"]] == ["continue"] * len(beats)


async def test_another_attempt_reports_while_one_blocks_the_loop() -> None:
    release = threading.Event()

    class Mixed(ExecutorBot):
        capacity = 2

        def execute(self, subtask: SubTask) -> object:
            return self.block() if subtask.key == "blocks" else Done({"plain": True})

        async def block(self) -> Done:
            return Done({"in_time": release.wait(PATIENCE)})

    async with running_test_server() as stand, at_work(stand, Mixed()):
        subtasks = [{"key": "blocks", "description": "one"}, {"key": "plain", "description": "two"}]
        task = await stand.client.submit("both", evaluation="none", subtasks=subtasks)
        [report] = await calls(stand, "report", 1)
        release.set()
        ended = await stand.client.wait(task.id, timeout=PATIENCE)

    assert report.body["output"] == {"plain": True}
    assert ended.result == {"blocks": {"in_time": True}, "plain": {"plain": True}}


async def test_a_bot_that_runs_its_own_loop_sends_heartbeats_while_it_blocks() -> None:
    release = threading.Event()

    async with running_test_server() as stand:
        key = await stand.swarm.make_key("admin")

        async def by_hand() -> None:
            class Bot(ExecutorBot):
                async def execute(self, subtask: SubTask) -> Done:
                    return Done({"in_time": release.wait(PATIENCE)})

            bot = Bot()
            async with Client(stand.url, key) as client:
                bot.connect(client)
                async with contextlib.aclosing(cast(AsyncGenerator[HeldLease, None], bot.leases())) as leases:
                    async for lease in leases:
                        assert isinstance(lease.work, SubTask)
                        await bot.submit(lease, await bot.execute(lease.work))
                        break

        working = asyncio.create_task(asyncio.to_thread(asyncio.run, by_hand()))
        task = await stand.client.submit("one", **ONE)
        await calls(stand, "beat", 3)
        release.set()
        ended = await stand.client.wait(task.id, timeout=PATIENCE)
        await working

    assert ended.result == {"a": {"in_time": True}}


async def test_a_blocked_loop_is_logged_once_with_the_line_and_what_to_do(heard: Heard) -> None:
    @executor
    async def blocks(subtask: SubTask) -> Done:
        for _ in range(2):  # a second time is a second warning
            heard.event.wait(PATIENCE)  # this line is named
            heard.event.clear()
            await asyncio.sleep(0.5)
        return Done()

    line = blocks.execute.__code__.co_firstlineno + 3
    async with running_test_server() as stand, at_work(stand, blocks):
        task = await stand.client.submit("one", **ONE)
        await stand.client.wait(task.id, timeout=PATIENCE)

    assert len(heard.lines) == 2
    for warning in heard.lines:
        assert f"test_blocked_loop.py:{line} in blocks" in warning
        assert "await asyncio.to_thread(...)" in warning
        assert "plain `def`" in warning


async def test_code_that_awaits_gets_no_warning(heard: Heard) -> None:
    release = threading.Event()

    @executor
    async def waits(subtask: SubTask) -> Done:
        return Done({"in_time": await asyncio.to_thread(release.wait, PATIENCE)})

    async with running_test_server() as stand, at_work(stand, waits):
        task = await stand.client.submit("one", **ONE)
        await calls(stand, "beat", 3)
        release.set()
        await stand.client.wait(task.id, timeout=PATIENCE)

    assert heard.lines == []


async def test_a_frozen_process_is_logged(heard: Heard) -> None:
    begin = threading.Event()

    @executor
    async def holds(subtask: SubTask) -> Done:
        await asyncio.to_thread(begin.wait, PATIENCE)
        ctypes.PyDLL(None).usleep(1_900_000)  # a call into C that holds the interpreter
        return Done()

    async with running_test_server() as stand, at_work(stand, holds):
        task = await stand.client.submit("one", **ONE)
        await calls(stand, "beat", 3)  # by now the watch runs
        begin.set()
        await stand.client.wait(task.id, timeout=PATIENCE)
        assert await asyncio.to_thread(heard.event.wait, PATIENCE)

    assert "this whole process stood still" in heard.lines[0]
    assert "a process of their own" in heard.lines[0]
