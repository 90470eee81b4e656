"""When an attempt ends, the commands of its code are killed; with a runner and an orchestrator."""

import asyncio
from typing import Any

import pytest

from swarmkeeper import Client, Context, Done, ExecutorBot, SubTask
from swarmkeeper.sdk.runner import serve
from swarmkeeper.testing import run_swarm, running_swarm
from tests.sdk.alive import Alive, family

pytestmark = pytest.mark.usefixtures("little_grace")


class TaskWaiters(ExecutorBot):
    """A coroutine."""

    skills = frozenset({"run"})
    capacity = 2  # the orchestrator counts the slot of cancelled work as taken for ten seconds
    lease_seconds = 1  # so that a heartbeat soon says that the work was cancelled

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        return Done({"code": (await context.run(subtask.input["command"])).code})


class Blocks(TaskWaiters):
    """A plain function: it can be stopped only while it waits for its command."""

    def execute(self, subtask: SubTask, context: Context) -> Done:  # type: ignore[override]  # a bot may be either
        return Done({"code": context.run_sync(subtask.input["command"]).code})


class Forgets(TaskWaiters):
    """Answers while its command still runs."""

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        self.running = asyncio.create_task(context.run(subtask.input["command"]))
        await asyncio.to_thread(Alive.opened, subtask.input["path"])
        return Done({})


def running(command: str, **given: str) -> dict[str, Any]:
    subtask = {"key": "it", "description": "", "required_skills": ["run"], "input": {"command": command, **given}}
    return {"title": "run", "evaluation": "none", "subtasks": [subtask]}


@pytest.mark.parametrize("kind", [TaskWaiters, Blocks])
async def test_cancelling_a_task_kills_all_that_its_command_started(kind: type[TaskWaiters], alive: Alive) -> None:
    async with running_swarm([kind()]) as client:
        task = await client.submit(running(family(alive.path)))
        assert await asyncio.to_thread(alive.hears) == "up"

        await client.cancel(task.id)

        await asyncio.to_thread(alive.wait_until_dead)
        after = await client.submit(running("exit 3"))
        assert (await client.wait(after.id, timeout=60)).result == {"it": {"code": 3}}


async def test_a_stopping_bot_kills_its_commands(alive: Alive, client: Client) -> None:
    stop = asyncio.Event()
    serving = asyncio.create_task(serve([Blocks()], client, stop=stop, drain_seconds=0))
    await client.submit(running(family(alive.path)))
    await asyncio.to_thread(alive.hears)

    stop.set()
    await serving

    await asyncio.to_thread(alive.wait_until_dead)


def test_a_command_that_still_runs_when_its_attempt_has_answered_is_killed(alive: Alive) -> None:
    bot = Forgets()

    [task] = run_swarm([bot], [running(family(alive.path), path=str(alive.path))])

    assert task.outcome == "accepted"
    alive.wait_until_dead()
