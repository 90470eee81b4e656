"""Bots of the SDK ask for secrets, and mask them in what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from swarmkeeper import Context, Done, ExecutorBot, SubTask
from swarmkeeper.app import Orchestrator
from swarmkeeper.sdk.attempts.secrets import HIDDEN
from swarmkeeper.sdk.errors import NotFound
from swarmkeeper.sdk.runner import serve
from swarmkeeper.settings import Settings
from tests.secrets.conftest import VALUE, Files

REFERENCE = "secret://token"


@pytest.fixture
async def orchestrator(files: Files) -> AsyncIterator[Orchestrator]:
    settings = Settings(store="sqlite://:memory:", log_level="error", secrets_key_file=files.key())
    async with Orchestrator(settings) as started:
        await started.client().put_secret("token", VALUE)
        yield started


async def served(orchestrator: Orchestrator, bot: ExecutorBot) -> tuple[str, object, str]:
    """Run the bot on one task; return the outcome, the output, and all that the server recorded."""
    client, stop = orchestrator.client(), asyncio.Event()
    running = asyncio.create_task(serve([bot], client, stop=stop, drain_seconds=5))
    try:
        work = {"key": "k", "description": "d", "required_skills": ["s"], "input": {"a": REFERENCE}, "max_attempts": 1}
        task = await client.submit("t", subtasks=[work], evaluation="none")
        done = await client.wait(task.id)
        events = [event.model_dump_json() async for event in client.events(task.id, follow=False)]
        return str(done.outcome), done.result, "".join(events) + done.model_dump_json()
    finally:
        stop.set()
        await running


async def test_a_coroutine_gets_the_value_of_a_reference(orchestrator: Orchestrator) -> None:
    got: list[str] = []

    class Asks(ExecutorBot):
        skills = {"s"}

        async def execute(self, subtask: SubTask, context: Context) -> Done:
            got.append(await context.secret(subtask.input["a"]))
            return Done({})

    await served(orchestrator, Asks())

    assert got == [VALUE]


async def test_a_coroutine_that_forgets_to_await_is_told_so_and_stops_nothing(orchestrator: Orchestrator) -> None:
    said: list[str] = []

    class Forgets(ExecutorBot):
        skills = {"s"}

        async def execute(self, subtask: SubTask, context: Context) -> Done:
            try:
                context.secret_sync(subtask.input["a"])
            except RuntimeError as error:
                said.append(str(error))
            return Done({})

    outcome, _, _ = await served(orchestrator, Forgets())

    assert "await context.secret" in said[0]
    assert outcome == "accepted"


async def test_a_plain_function_gets_the_value_too(orchestrator: Orchestrator) -> None:
    got: list[str] = []

    class Asks(ExecutorBot):
        skills = {"s"}

        def execute(self, subtask: SubTask, context: Context) -> Done:
            got.append(context.secret_sync("token"))
            return Done({})

    await served(orchestrator, Asks())

    assert got == [VALUE]


async def test_a_secret_that_the_work_may_not_have_is_not_found(orchestrator: Orchestrator) -> None:
    refused: list[NotFound] = []

    class Asks(ExecutorBot):
        skills = {"s"}

        async def execute(self, subtask: SubTask, context: Context) -> Done:
            try:
                await context.secret("another")
            except NotFound as error:
                refused.append(error)
            return Done({})

    await served(orchestrator, Asks())

    assert [error.code for error in refused] == ["secret_not_found"]


async def test_what_the_attempt_says_has_the_value_masked(orchestrator: Orchestrator) -> None:
    said: list[str] = []

    class Tells(ExecutorBot):
        skills = {"s"}

        async def execute(self, subtask: SubTask, context: Context) -> Done:
            value = await context.secret("token")
            context.log(f"got {value}")
            context.progress(0.5, f"with {value}")
            said.extend([*context._log, str(context._message)])
            raise RuntimeError(f"no login with {value}")

    _, _, recorded = await served(orchestrator, Tells())

    assert said == [f"got {HIDDEN}", f"with {HIDDEN}"]
    assert VALUE not in recorded
    assert f"no login with {HIDDEN}" in recorded
