"""A two-hour job survives its bot: on virtual time, with the real orchestrator, its HTTP application, and the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest

from swarmkeeper import (
    Accept,
    BaseBot,
    Candidate,
    Client,
    Context,
    Done,
    ExecutorBot,
    Failed,
    Rework,
    SubTask,
    evaluator,
)
from swarmkeeper.app import Orchestrator
from swarmkeeper.in_process import InProcess
from swarmkeeper.sdk.connection.transport import Response
from swarmkeeper.sdk.errors import Refused, Unreachable
from swarmkeeper.sdk.runner import serve
from swarmkeeper.settings import Settings
from swarmkeeper.sim.kernel.chance import SeededChance
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.loop import VirtualLoop, virtual_loop

PAGE_SECONDS = 600
PAGES = 12  # two hours
HOUR = 3600


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = virtual_loop()
    yield loop
    loop.close()
    assert loop.troubles == []


class Cable(InProcess):
    """Once it is cut nothing comes through any more, not even a last word."""

    cut = False

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        if self.cut:
            raise Unreachable("unreachable", "the machine is off")
        return await super().request(method, path, headers, body, timeout)


class Running:
    """A bot at work on a machine of its own."""

    def __init__(self, swarm: Swarm, bot: BaseBot, name: str) -> None:
        bot.name = name
        self._cable = Cable(swarm.orchestrator.app)
        self._serving = asyncio.create_task(serve([bot], swarm.client(name, self._cable)))

    async def die(self) -> None:
        self._cable.cut = True
        await self.stop()

    async def stop(self) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)


class Swarm:
    """An orchestrator on a loop of virtual time, and bots that can die."""

    def __init__(self, loop: VirtualLoop) -> None:
        settings = Settings(store="sqlite://:memory:", log_level="error", four_eyes=False)  # all bots have one key
        self.orchestrator = Orchestrator(
            settings, clock=VirtualClock(loop), entropy=SeededChance(1, "swarm"), inline=True
        )
        self.key = ""
        self.running: list[Running] = []

    def client(self, name: str, cable: Cable | None = None) -> Client:
        transport = cable or Cable(self.orchestrator.app)
        return Client("http://swarm", self.key, transport=transport, chance=SeededChance(1, name))

    def start(self, bot: BaseBot, name: str) -> Running:
        self.running.append(Running(self, bot, name))
        return self.running[-1]


def told(loop: VirtualLoop, story: Callable[[Swarm, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        swarm = Swarm(loop)
        async with swarm.orchestrator as orchestrator:
            swarm.key = await orchestrator.make_key("admin")
            try:
                await story(swarm, swarm.client("client"))
            finally:
                for bot in swarm.running:
                    await bot.stop()

    loop.run_until_complete(run())


class Pages(ExecutorBot):
    """Ten minutes for each page, and a checkpoint after it."""

    skills = {"pages"}

    def __init__(self) -> None:
        self.resumed_from: list[Any] = []

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        self.resumed_from.append(context.resumed_from)
        first = (context.resumed_from or {"pages": 0})["pages"]
        for page in range(first, PAGES):
            await asyncio.sleep(PAGE_SECONDS)
            context.checkpoint({"pages": page + 1})
            context.progress((page + 1) / PAGES)
        return Done({"pages": PAGES, "of_these_mine": PAGES - first})


def job(**fields: Any) -> dict[str, Any]:
    subtask = {"key": "job", "description": "", "required_skills": ["pages"], "timeout_seconds": 7200, **fields}
    return {"title": "A long job", "evaluation": "none", "subtasks": [subtask]}


def test_a_two_hour_job_whose_bot_dies_after_an_hour_goes_on_from_its_checkpoint_with_the_next(
    loop: VirtualLoop,
) -> None:
    async def story(swarm: Swarm, client: Client) -> None:
        task = await client.submit(job())
        first, second = Pages(), Pages()
        machine = swarm.start(first, "first")
        await asyncio.sleep(HOUR + PAGE_SECONDS / 2)  # in the middle of the seventh page
        alive = await client.subtask(task.id, "job")
        await machine.die()
        swarm.start(second, "second")

        ended = await client.wait(task.id)

        assert (alive.status, alive.attempt) == ("LEASED", 1)
        assert first.resumed_from == [None]
        assert second.resumed_from == [{"pages": 6}]
        assert ended.result == {"job": {"pages": PAGES, "of_these_mine": 6}}
        lost, done = (await client.subtask(task.id, "job")).attempts
        assert (lost.ending, done.ending) == ("expired", "succeeded")
        # It was found dead within its lease (30 s), and its half page and the back-off are all that was lost.
        assert loop.time() < 2 * HOUR + PAGE_SECONDS / 2 + 40

    told(loop, story)


async def over_http(swarm: Swarm, client: Client) -> tuple[Callable[..., Awaitable[Any]], str]:
    """Calls as any program would make them, and a bot's id."""

    async def call(method: str, path: str, body: Any = None) -> Any:
        return (await client.call(method, path, body)).body

    bot = await call("POST", "/bots/register", {"type": "Executor", "version": "1", "skills": ["pages"]})
    return call, bot["id"]


def test_the_same_by_plain_http_with_a_beat_each_third_of_the_lease(loop: VirtualLoop) -> None:
    async def story(swarm: Swarm, client: Client) -> None:
        call, bot = await over_http(swarm, client)
        task = await client.submit(job())
        [lease] = (await call("POST", "/leases", {"bot_id": bot}))["leases"]
        assert (lease["checkpoint"], lease["heartbeat_after_seconds"]) == (None, 10)
        began = loop.time()
        beats = 0
        while loop.time() < began + HOUR:
            told = {"lease_id": lease["lease_id"], "checkpoint": {"seconds": round(loop.time() - began)}}
            answer = await call("POST", f"/bots/{bot}:heartbeat", {"leases": [told]})
            assert answer["leases"][0]["directive"] == "continue"
            beats += 1
            await asyncio.sleep(10)

        # Silence: nothing before the lease is over, and the work is free when it is.
        await asyncio.sleep(15)
        early = (await client.subtask(task.id, "job")).status
        await asyncio.sleep(30)
        [again] = (await call("POST", "/leases", {"bot_id": bot, "wait_seconds": 60}))["leases"]
        late = await call("POST", f"/bots/{bot}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})
        await asyncio.sleep(HOUR)  # longer than any lease without a beat: it dies too, and its checkpoint stays
        [third] = (await call("POST", "/leases", {"bot_id": bot, "wait_seconds": 60}))["leases"]
        report = {"bot_id": bot, "lease_id": third["lease_id"], "status": "succeeded", "output": {}}
        ended = await call("POST", f"/tasks/{task.id}/results", report)

        assert (beats, early) == (360, "LEASED")
        assert (again["attempt"], again["checkpoint"]) == (2, {"seconds": 3590})
        assert again["previous"]["ending"] == "expired"
        assert late["leases"][0]["directive"] == "lost"
        assert (third["attempt"], third["checkpoint"]) == (3, {"seconds": 3590})
        assert ended["task_status"] == "ARCHIVED"

    told(loop, story)


def test_a_job_that_hangs_is_ended_after_its_own_time_though_it_beats(loop: VirtualLoop) -> None:
    class Hangs(Pages):
        async def execute(self, subtask: SubTask, context: Context) -> Done:
            if context.attempt == 1:
                context.checkpoint({"pages": 11})
                await asyncio.sleep(10 * HOUR)
            return await super().execute(subtask, context)

    async def story(swarm: Swarm, client: Client) -> None:
        task = await client.submit(job())
        bot = Hangs()
        swarm.start(bot, "one")

        await client.wait(task.id)

        endings = [
            (each.ending, each.started_at, each.ended_at) for each in (await client.subtask(task.id, "job")).attempts
        ]
        assert [ending for ending, _, _ in endings] == ["timed_out", "succeeded"]
        _, started, stopped = endings[0]
        assert stopped is not None
        assert (stopped - started).total_seconds() == 7200
        assert bot.resumed_from == [{"pages": 11}]

    told(loop, story)


def test_a_checkpoint_outlives_rework(loop: VirtualLoop) -> None:
    class Twice(Pages):
        async def execute(self, subtask: SubTask, context: Context) -> Done:
            self.resumed_from.append(context.resumed_from)
            context.checkpoint({"round": len(self.resumed_from)})
            await asyncio.sleep(60)
            return Done({"feedback": [each.text for each in context.feedback]})

    async def story(swarm: Swarm, client: Client) -> None:
        rounds: list[int] = []

        @evaluator
        async def judge(candidate: Candidate) -> Accept | Rework:
            rounds.append(candidate.round)
            return Accept() if len(rounds) == 2 else Rework({"job": "once more"})

        bot = Twice()
        swarm.start(bot, "one")
        swarm.start(judge, "judge")

        ended = await client.wait((await client.submit(job() | {"evaluation": "final"})).id)

        assert rounds == [1, 2]
        assert bot.resumed_from == [None, {"round": 1}]
        assert ended.result == {"job": {"feedback": ["once more"]}}

    told(loop, story)


def test_a_retry_begins_without_the_checkpoint(loop: VirtualLoop) -> None:
    class Fails(ExecutorBot):
        skills = {"pages"}

        def __init__(self) -> None:
            self.resumed_from: list[Any] = []

        async def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
            self.resumed_from.append(context.resumed_from)
            context.checkpoint({"try": context.attempt})
            await asyncio.sleep(60)
            return Failed("no") if context.attempt < 3 else Done({})

    async def story(swarm: Swarm, client: Client) -> None:
        bot = Fails()
        swarm.start(bot, "one")
        task = await client.submit(job(max_attempts=2))
        failed = await client.wait(task.id)

        await client.retry(task.id)
        ended = await client.wait(task.id)

        assert (failed.outcome, ended.outcome) == ("failed", "accepted")
        assert bot.resumed_from == [None, {"try": 1}, None]

    told(loop, story)


def test_a_checkpoint_of_more_than_a_mebibyte_is_refused_and_the_one_before_stays(loop: VirtualLoop) -> None:
    async def story(swarm: Swarm, client: Client) -> None:
        call, bot = await over_http(swarm, client)
        await client.submit(job())
        [lease] = (await call("POST", "/leases", {"bot_id": bot}))["leases"]

        async def keep(size: int) -> None:
            beat = {"lease_id": lease["lease_id"], "checkpoint": "x" * (size - 2)}  # and its two quotes
            await call("POST", f"/bots/{bot}:heartbeat", {"leases": [beat]})

        await keep(1024 * 1024)
        with pytest.raises(Refused) as refused:
            await keep(1024 * 1024 + 1)
        await call("POST", f"/leases/{lease['lease_id']}:release", {})
        [again] = (await call("POST", "/leases", {"bot_id": bot}))["leases"]

        assert refused.value.problems[0].pointer == "/leases/0/checkpoint"
        assert again["checkpoint"] == "x" * (1024 * 1024 - 2)

    told(loop, story)
