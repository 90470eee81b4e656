"""run_swarm: an author's bots on a complete orchestrator, in a test of five lines."""

import asyncio
import time

import pytest

from swarmkeeper import (
    Accept,
    Candidate,
    Context,
    Done,
    ExecutorBot,
    Failed,
    Later,
    Plan,
    Rework,
    SubTask,
    Task,
    TaskDefinition,
    evaluator,
    executor,
    planner,
)
from swarmkeeper.sdk.errors import Refused
from swarmkeeper.testing import SwarmStuck, run_swarm, running_swarm

HOUR = 3600


class WordCount(ExecutorBot):
    skills = {"text.count"}

    async def execute(self, subtask: SubTask) -> Done:
        return Done({"words": len(subtask.input["text"].split())})


@planner
async def one_by_one(task: TaskDefinition) -> Plan:
    texts = task.input["texts"]
    return Plan([SubTask(description="", required_skills=["text.count"], input={"text": text}) for text in texts])


@evaluator
async def strict(candidate: Candidate, context: Context) -> Accept | Rework:
    if candidate.round == 1:
        return Rework({"s1": "count again"})
    return Accept(1.0)


def count(text: str) -> dict[str, object]:
    return {
        "title": "count",
        "subtasks": [{"description": "", "required_skills": ["text.count"], "input": {"text": text}}],
    }


@pytest.mark.parametrize("virtual_time", [False, True])
def test_a_bot_can_be_tested_in_five_lines(*, virtual_time: bool) -> None:
    [task] = run_swarm([WordCount()], [count("to be or not")], virtual_time=virtual_time)

    assert task.outcome == "accepted"
    assert task.result == {"s1": {"words": 4}}


@pytest.mark.parametrize("virtual_time", [False, True])
def test_planner_executor_and_evaluator_work_together(*, virtual_time: bool) -> None:
    tasks = [{"title": "t", "input": {"texts": ["a b", "c"]}} for _ in range(3)]

    done = run_swarm([one_by_one, WordCount, strict], tasks, virtual_time=virtual_time)

    assert [task.result for task in done] == [{"s1": {"words": 2}, "s2": {"words": 1}}] * 3
    assert [task.round for task in done] == [2, 2, 2]


def test_virtual_hours_pass_in_moments() -> None:
    @executor(capacity=2)
    async def slow(subtask: SubTask, context: Context) -> Done | Later:
        if context.attempt == 1:
            return Later(seconds=3 * HOUR, why="the source is not there yet")
        await asyncio.sleep(0.2 * HOUR)
        return Done({"attempt": context.attempt})

    began = time.monotonic()
    [task] = run_swarm([slow], [{"title": "t", "subtasks": [{"description": ""}]}], virtual_time=True)

    assert task.result == {"s1": {"attempt": 2}}
    assert (task.updated_at - task.created_at).total_seconds() == pytest.approx(3.2 * HOUR, rel=0.01)
    assert time.monotonic() - began < 3.2 * HOUR / 20, "hours that pass by the clock would take as long"


def story(seed: int) -> list[tuple[str, str, object]]:
    @executor
    async def flaky(subtask: SubTask, context: Context) -> Done | Failed:
        return Done({}) if context.attempt > 1 else Failed("not yet")

    tasks = [{"title": "t", "subtasks": [{"description": ""}]} for _ in range(2)]
    return [
        (task.id, str(task.outcome), task.updated_at)
        for task in run_swarm([flaky], tasks, virtual_time=True, seed=seed)
    ]


def test_one_seed_gives_one_run() -> None:
    assert story(7) == story(7)
    assert story(7) != story(8)


def test_stuck_tasks_are_explained() -> None:
    with pytest.raises(SwarmStuck, match=r"tsk_\w+ \(PLANNED\): .*text\.count"):
        run_swarm([executor(lambda subtask: Done({}))], [count("a")], virtual_time=True, timeout_seconds=60)


def test_a_task_that_is_refused_is_an_error_of_the_test() -> None:
    with pytest.raises(Refused):
        run_swarm([WordCount()], [{"title": ""}])


def test_a_bot_that_cannot_be_run_ends_the_test_at_once() -> None:
    class Nothing(ExecutorBot):
        name = "x" * 500  # longer than a name may be

        async def execute(self, subtask: SubTask) -> Done:
            return Done({})

    with pytest.raises(Refused):
        run_swarm([Nothing()], [count("a")])


async def test_a_test_that_fails_before_its_bots_keeps_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(*_: object, stop: asyncio.Event, **__: object) -> None:
        await stop.wait()
        raise ValueError("the bots end by an error, too")

    monkeypatch.setattr("swarmkeeper.testing.swarm.serve", serve)

    async def failing() -> None:
        async with running_swarm([WordCount()]):
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()


def test_a_swarm_without_tasks_returns_none() -> None:
    assert run_swarm([WordCount()], []) == []


async def test_an_async_test_gets_a_client_of_the_swarm() -> None:
    async with running_swarm([WordCount()]) as client:
        task: Task = await client.submit(count("one two"), evaluation="none")
        done = await client.wait(task.id, timeout=10)

    assert done.result == {"s1": {"words": 2}}


def test_a_seed_without_virtual_time_is_refused() -> None:
    with pytest.raises(ValueError, match="virtual_time"):
        run_swarm([WordCount()], [count("a")], seed=7)


def test_a_timeout_of_zero_seconds_is_respected() -> None:
    with pytest.raises(SwarmStuck):
        run_swarm([WordCount()], [count("a")], virtual_time=True, timeout_seconds=0)
