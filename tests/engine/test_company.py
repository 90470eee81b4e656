"""How long a batch waits for more commands: long enough to share its cost, and never for a caller that comes alone."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import Submit
from swarmkeeper.engine.batch import COMPANY_PART, Company
from swarmkeeper.request_id import REQUEST
from swarmkeeper.settings import Settings
from tests.support.postgres import server

BATCH = 40_000  # microseconds that it takes, as of a database in another building
CALLERS, ROUNDS = 12, 6
APART = 400  # microseconds between the moments at which callers come back


class Clock:
    """Time that passes only if it is told to; `sleeps` are the pauses that were asked for."""

    def __init__(self) -> None:
        self.time = 0
        self.sleeps: list[int] = []
        self.comes: Callable[[], None] = lambda: None  # called in each pause

    def now(self) -> int:
        return self.time

    def monotonic(self) -> int:
        return self.time

    async def sleep(self, microseconds: int) -> None:
        self.sleeps.append(microseconds)
        self.time += microseconds
        self.comes()


def calls(number: int) -> list[str]:
    return [f"req_{each}" for each in range(number)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("swarmkeeper.engine.batch.asyncio.sleep", lambda seconds: made.sleep(round(seconds * 1e6)))
    return made


async def test_a_batch_waits_while_those_who_were_answered_come_back(clock: Clock) -> None:
    company, queue = Company(clock), ["first"]
    clock.time = 16_000
    company.answered(calls(4), began=0)
    clock.comes = lambda: queue.append("another")

    await company.wait(queue)

    assert len(queue) == 3  # an eighth of the time of the last batch, in which two more came
    assert sum(clock.sleeps) == 16_000 // COMPANY_PART


async def test_a_batch_waits_no_longer_once_all_are_back(clock: Clock) -> None:
    company, queue = Company(clock), ["first"]
    clock.time = 16_000
    company.answered(calls(2), began=0)
    clock.comes = lambda: queue.append("another")

    await company.wait(queue)

    assert (len(queue), len(clock.sleeps)) == (2, 1)


async def test_a_batch_waits_no_longer_if_nobody_comes(clock: Clock) -> None:
    company = Company(clock)
    clock.time = 16_000
    company.answered(calls(9), began=0)

    await company.wait(["first"])

    assert len(clock.sleeps) == 1


@pytest.mark.parametrize(
    ("callers", "later"), [(1, 0), (0, 0), (9, 20_000)], ids=["one was answered", "none was", "it was long ago"]
)
async def test_a_caller_that_comes_alone_does_not_wait(clock: Clock, callers: int, later: int) -> None:
    company = Company(clock)
    clock.time = 16_000
    company.answered(calls(callers), began=0)
    clock.time += later

    await company.wait(["first"])

    assert clock.sleeps == []


async def test_one_very_slow_batch_does_not_make_the_next_ones_wait_long(clock: Clock) -> None:
    company, queue = Company(clock), ["first"]
    clock.time = 3_600_000_000
    company.answered(calls(1_000), began=0)
    clock.comes = lambda: queue.append("another")

    await company.wait(queue)

    assert sum(clock.sleeps) <= 12_500


class FarAway(SystemClock):
    """The time at a database in another building: it passes with batches and pauses, and not while this machine works.

    On a slow machine a call takes longer than callers are apart, and they would come together anyway.
    """

    def __init__(self) -> None:
        self._began, self._passed = super().now(), 0
        self._later: list[tuple[int, int, asyncio.Future[None]]] = []  # who comes back, and when
        self.asking = 0  # callers that wait for an answer

    def now(self) -> int:
        return self._began + self._passed

    def monotonic(self) -> int:
        return self._passed

    async def passes(self, microseconds: int) -> None:
        """Let time pass, and those who come back meanwhile reach the queue."""
        self._passed += microseconds
        while self._later and self._later[0][0] <= self._passed:
            heapq.heappop(self._later)[2].set_result(None)
        for _ in range(20):
            await asyncio.sleep(0)

    async def later(self, number: int) -> None:
        """Return when this caller comes back: each a moment after the one before it."""
        back = asyncio.get_running_loop().create_future()
        heapq.heappush(self._later, (self._passed + number * APART, number, back))
        await back

    async def pass_while_idle(self) -> None:
        """Let time pass also while no caller waits for an answer, so that the next one comes."""
        while True:
            await asyncio.sleep(0.001)
            if self._later and not self.asking:
                await self.passes(self._later[0][0] - self._passed)


@pytest.fixture
def store() -> str:
    return server().new_store()


@asynccontextmanager
async def far_database(store: str, clock: FarAway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orchestrator]:
    """Run a server whose database takes some milliseconds for each batch."""

    pauses = SimpleNamespace(**{**vars(asyncio), "sleep": lambda seconds: clock.passes(round(seconds * 1e6))})
    async with Orchestrator(Settings(store=store, log_level="error"), clock=clock) as swarm:
        begin = swarm.store.begin

        @asynccontextmanager
        async def begins() -> AsyncIterator[Any]:
            async with begin() as transaction:
                yield transaction
                await clock.passes(BATCH)

        with monkeypatch.context() as patched:
            patched.setattr("swarmkeeper.engine.batch.asyncio", pauses)
            patched.setattr(swarm.store, "begin", begins)
            yield swarm


async def batches_of(swarm: Orchestrator, clock: FarAway) -> int:
    """Let callers submit tasks, each the next one soon after the answer; return how many batches that took."""

    async def caller(number: int) -> None:
        REQUEST.set(f"req_{number}")
        for _ in range(ROUNDS):
            clock.asking += 1
            not_replayed(await swarm.engine.do(Submit(by=OWN, title="hello", spec=b'{"title":"hello"}')))
            clock.asking -= 1
            await clock.later(number)

    before = swarm.engine.stats.batches
    passing = asyncio.create_task(clock.pass_while_idle())
    await asyncio.gather(*map(caller, range(CALLERS)))
    passing.cancel()
    return swarm.engine.stats.batches - before


async def test_callers_of_a_far_database_share_batches(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(self: Company, queue: Any) -> None:
        return

    far = FarAway()
    async with far_database(store, far, monkeypatch) as swarm:
        together = await batches_of(swarm, far)
        with monkeypatch.context() as patched:
            patched.setattr(Company, "wait", at_once)
            apart = await batches_of(swarm, far)

    assert together <= 0.75 * apart


async def test_a_caller_of_many_commands_is_one_caller(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    monkeypatch.setattr(Company, "answered", lambda self, callers, began: counted.append(len(callers)))
    submits = [Submit(by=OWN, title="hello", spec=b'{"title":"hello"}') for _ in range(20)]

    async with Orchestrator(Settings(store=store, log_level="error")) as swarm:
        counted.clear()
        await swarm.engine.do_all(submits)

        assert counted == [1]
