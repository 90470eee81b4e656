"""Bots for tests of the conformance kit, one of each type."""

import threading

from swarmkeeper import (
    Accept,
    Candidate,
    Done,
    EvaluatorBot,
    ExecutorBot,
    Plan,
    PlannerBot,
    SubTask,
    TaskDefinition,
)


class WordCount(ExecutorBot):
    skills = {"count"}

    async def execute(self, subtask: SubTask) -> Done:
        return Done({"words": len(subtask.input["text"].split())})


class Blocking(ExecutorBot):
    async def execute(self, subtask: SubTask) -> Done:
        threading.Event().wait(1.5)  # longer than the heartbeat interval
        return Done()


class OneStep(PlannerBot):
    async def plan(self, task: TaskDefinition) -> Plan:
        return Plan([SubTask(description=task.title)])


class Lenient(EvaluatorBot):
    async def review(self, candidate: Candidate) -> Accept:
        return Accept(1.0)
