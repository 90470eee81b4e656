"""Views never contradict themselves: whenever somebody looks at a task, table, counts and reasons are of one moment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from swarmkeeper import Context, Done, ExecutorBot, Plan, PlannerBot, SubTask
from swarmkeeper.settings import Settings
from swarmkeeper.testing import running_swarm
from swarmkeeper.wire.answers import Task

SUBTASKS = 40
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED"}


class Planner(PlannerBot):
    name = "planner"

    async def plan(self, task: Any) -> Plan:
        each = [SubTask(key=f"k{number}", description="") for number in range(SUBTASKS - 1)]
        last = SubTask(key="last", description="", depends_on=[one.key for one in each if one.key is not None])
        return Plan([*each, last])


class Worker(ExecutorBot):
    name = "worker"
    capacity = 8

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        await asyncio.sleep(0)
        return Done({})


def contradictions(task: Task) -> list[str]:
    """What of one look cannot be true together."""
    found = task.explanation
    assert found is not None
    status = {one.id: str(one.status) for one in task.subtasks}
    waiting = {one.work_id: str(one.status) for one in found.waiting}
    open_ = {work for work, word in status.items() if word not in FINAL}
    told = [
        f"{work} is {status[work]} and waits as {word}"
        for work, word in waiting.items()
        if work is not None and status.get(work, word) != word
    ]
    told += [f"{work} is open and waits for nothing" for work in open_ - waiting.keys()]
    if str(found.status) != str(task.status):
        told.append(f"the task is {task.status} and {found.status}")
    if task.subtasks and "plan" in {one.key for one in found.waiting if one.kind == "plan"}:
        told.append("the plan waits beside what it planned")
    done = sum(word in {"SUCCEEDED", "SKIPPED"} for word in status.values())
    if done != task.progress.done:
        told.append(f"{task.progress.done} are done, and {done}")
    told += [f"{one.key} is done by nobody" for one in task.subtasks if one.status == "SUCCEEDED" and not one.bot]
    return told


async def test_no_look_at_a_swarm_at_work_contradicts_itself(tmp_path: Path) -> None:
    """Looks come as fast as they can, from several callers, while batches are being written."""
    settings = Settings(store=f"sqlite:///{tmp_path}/store.db", log_level="error")
    seen: set[str] = set()
    async with running_swarm([Planner(), Worker()], settings=settings) as client:
        task = await client.submit("Forty things", evaluation="none")

        async def looks() -> None:
            while True:
                now = await client.get(task.id, explain=True)
                assert contradictions(now) == []
                seen.add(f"{now.progress.done}/{now.progress.total}")
                if now.outcome is not None:
                    return

        async with asyncio.timeout(60):
            await asyncio.gather(*[looks() for _ in range(4)])

    assert f"{SUBTASKS}/{SUBTASKS}" in seen
    assert len(seen) > 3, "it was looked at while it went on"
