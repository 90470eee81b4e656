"""The review swarm with a real orchestrator."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import Context, Done, Failed, SubTask
from swarmkeeper.app import Orchestrator
from swarmkeeper.bots import review
from swarmkeeper.bots.summarise import Summarise
from swarmkeeper.sdk.bots import BaseBot
from swarmkeeper.sdk.runner import serve
from swarmkeeper.settings import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in (("app.py", "def f(): ...\n"), ("notes.md", "TODO\n"), ("deep/more.py", "x = 1\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


async def reviewed(root: Path, bots: list[BaseBot]) -> tuple[Any, dict[str, Any]]:
    """Return the task once its outcome is known, and its result."""
    async with Orchestrator(Settings(store="sqlite://:memory:", log_level="error", four_eyes=False)) as swarm:
        client = swarm.client()
        stop = asyncio.Event()
        served = asyncio.create_task(serve(bots, client, stop=stop))
        task = await client.wait((await client.submit(review.task(root))).id, timeout=60)
        result = await client.result(task.id)
        stop.set()
        await served
        return task, result or {}


async def test_a_directory_is_reviewed_and_the_review_archived(root: Path) -> None:
    task, result = await reviewed(root, review.swarm())

    assert (task.status, task.outcome, task.round) == ("ARCHIVED", "accepted", 1)
    assert task.verdict.reasons == ["3 files counted again: all numbers agree"]
    assert result["summarise"]["totals"]["files"] == 3
    assert "| app.py | 1 | 1 | 0 | 0 | 0 |" in result["summarise"]["report"]


async def test_a_report_with_wrong_totals_is_reworked(root: Path) -> None:
    class CarelessOnce(Summarise):
        def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
            answer = super().execute(subtask, context)
            if isinstance(answer, Done) and not context.feedback:
                answer.output["totals"]["lines"] += 1
            return answer

    bots = [bot for bot in review.swarm() if not isinstance(bot, Summarise)]

    task, result = await reviewed(root, [*bots, CarelessOnce()])

    assert (task.outcome, task.round) == ("accepted", 2)
    assert result["summarise"]["totals"]["lines"] == 3


async def test_a_file_added_during_the_review_is_inspected_in_another_round(root: Path) -> None:
    class Meddling(Summarise):
        def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
            answer = super().execute(subtask, context)
            (root / "late.py").write_text("y = 2\n", encoding="utf-8")
            return answer

    bots = [bot for bot in review.swarm() if not isinstance(bot, Summarise)]

    task, result = await reviewed(root, [*bots, Meddling()])

    assert (task.outcome, task.round) == ("accepted", 2)
    assert list(result) == ["summarise.r2"]
    assert result["summarise.r2"]["totals"]["files"] == 4
