"""Run by the tests with the Python of an environment that holds swarmkeeper-sdk alone: a bot of each kind, or a client
that submits a task and prints what it saw, as JSON.
"""

import asyncio
import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import swarmkeeper
from swarmkeeper import *  # noqa: F403 - as people write it
from swarmkeeper import Accept, Client, Context, Done, ExecutorBot, Plan, SubTask, Task, evaluator, planner, run, sync
from swarmkeeper.agents.programs import command_bot
from swarmkeeper.sdk.context import Candidate


@planner
async def plan(task: Task) -> Plan:
    return Plan(
        subtasks=[
            SubTask(key="count", description="Count.", required_skills=["count"], input=task.input),
            SubTask(key="shout", description="Shout.", required_skills=["shout"], depends_on=["count"]),
        ]
    )


class Count(ExecutorBot):
    skills = {"count"}

    async def execute(self, subtask: SubTask, context: Context) -> Done:
        context.log("counting")
        context.progress(0.5, "half")
        context.checkpoint({"at": 1})
        done = await context.run([sys.executable, "-c", "print(6 * 7)"])
        return Done({"words": len(subtask.input["text"].split()), "printed": done.stdout.strip()})


@evaluator
async def judge(candidate: Candidate) -> Accept:
    return Accept(score=0.9)


def loaded_modules() -> dict[str, str]:
    """Import every module that is installed. Return those that cannot be, with the package that each lacks."""
    lacking = {}
    for found in pkgutil.walk_packages(swarmkeeper.__path__, "swarmkeeper.", onerror=lambda name: None):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            lacking[found.name] = str(error)
    return lacking


async def watched(task: str) -> dict[str, Any]:
    async with Client() as client:
        return {"explained": bool(await client.explain(task)), "nodes": len((await client.graph(task)).nodes)}


def ask() -> dict[str, Any]:
    with sync.Client() as client:
        sent = client.submit("Count the words", input={"text": "to be or not to be"})
        task = client.wait(sent.id, timeout=60)
        seen = {key: client.output(task.id, key) for key in ("count", "shout")}
        return {"outcome": task.outcome, **seen, **asyncio.run(watched(task.id))}


def main(role: str) -> None:
    """Act as `role`, with the server's address and a key from the environment, as any bot or script does."""
    if role == "bot:executor":
        run(Count(), command_bot([sys.executable, "-c", "print('LOUD')"], skills={"shout"}, reads="text"))
    elif role == "bot:planner":
        run(plan)
    elif role == "bot:evaluator":
        run(judge)
    else:
        print(json.dumps({"from": str(Path(swarmkeeper.__file__).parent), "lacking": loaded_modules(), **ask()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
