"""The standard swarm and its work W(n, k): n tasks, each planned into k subtasks (parallel ones, a join of them all,
and a last one after the join). Executors hash short texts; an evaluator accepts; the client reads the ARCHIVED task and
checks the result.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.report import CannotMeasure
from swarmkeeper.bench.server import BenchServer

Json = Any
Answer = Callable[[Mapping[str, Json]], dict[str, Json]]  # from a lease to the content of its report

SKILL = "hash"
WAIT_SECONDS = 25
LAST, JOIN = "last", "join"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---- the work ------------------------------------------------------------------------------------------------------


def task_of(number: int) -> dict[str, Json]:
    return {"title": f"Hash {number}", "input": {"text": f"a short text, number {number}"}}


def subtasks_of(text: str, k: int) -> list[dict[str, Json]]:
    """Return the plan of a task with that text, with `k` subtasks."""
    leaves = [f"leaf{number}" for number in range(max(k - 2, min(k - 1, 1)))]
    plan: list[dict[str, Json]] = [
        {"key": key, "description": "", "required_skills": [SKILL], "input": {"text": f"{text}/{key}"}}
        for key in leaves
    ]
    needed = leaves
    if k > 2:
        plan.append({"key": JOIN, "description": "", "required_skills": [SKILL], "depends_on": leaves})
        needed = [JOIN]
    last = {"key": LAST, "description": "", "required_skills": [SKILL], "input": {"text": text}, "depends_on": needed}
    return [*plan, last]


def hash_of(own: Mapping[str, Json], upstream: Mapping[str, Json]) -> str:
    """Return an executor's hash of a subtask's input and the outputs of its dependencies."""
    return digest(own.get("text", "") + "".join(upstream[key]["hash"] for key in sorted(upstream)))


def expected(number: int, k: int) -> dict[str, Json]:
    """Compute a task's result without the swarm."""
    outputs: dict[str, Json] = {}
    for subtask in subtasks_of(task_of(number)["input"]["text"], k):
        upstream = {key: outputs[key] for key in subtask.get("depends_on", ())}
        outputs[subtask["key"]] = {"hash": hash_of(subtask.get("input", {}), upstream)}
    return {LAST: outputs[LAST]}


def plan(k: int) -> Answer:
    return lambda lease: {"plan": {"subtasks": subtasks_of(lease["task"]["input"]["text"], k)}}


def execute(lease: Mapping[str, Json]) -> dict[str, Json]:
    return {"output": {"hash": hash_of(lease["subtask"].get("input") or {}, lease["upstream"])}}


def review(lease: Mapping[str, Json]) -> dict[str, Json]:
    return {"verdict": {"decision": "accept", "score": 1}}


# ---- workers -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Worker:
    """A bot on one connection: reports and claims in one call, `batch` leases at a time."""

    connection: HttpConnection
    bot: str
    batch: int
    answer: Answer
    reported: int = 0

    async def run(self) -> None:
        todo: Sequence[Mapping[str, Json]] = ()
        while True:
            todo = await (self._report(todo) if todo else self._claim())

    async def _claim(self) -> Sequence[Mapping[str, Json]]:
        asked = {"bot_id": self.bot, "max": self.batch, "wait_seconds": WAIT_SECONDS}
        leases: Sequence[Mapping[str, Json]] = (await self.connection.post("/leases", asked))["leases"]
        return leases

    async def _report(self, todo: Sequence[Mapping[str, Json]]) -> Sequence[Mapping[str, Json]]:
        claim = {"max": self.batch}
        results = [{"lease_id": lease["lease_id"], "status": "succeeded", **self.answer(lease)} for lease in todo]
        if self.batch == 1:
            body = {"bot_id": self.bot, **results[0], "claim": claim}
            answer = await self.connection.post(f"/tasks/{todo[0]['task_id']}/results", body)
        else:
            for result, lease in zip(results, todo, strict=True):
                result["task_id"] = lease["task_id"]
            answer = await self.connection.post("/results", {"bot_id": self.bot, "results": results, "claim": claim})
            refused = [result.get("code") for result in answer["results"] if not result["accepted"]]
            if refused:
                raise CannotMeasure(f"a result was refused: {refused[0]}")
        self.reported += len(todo)
        leases: Sequence[Mapping[str, Json]] = answer["leases"]
        return leases


def name_of(kind: str) -> str:
    """Return the name of the bots of a type, which is also the bot name of their key."""
    return f"bench-{kind.lower()}"


async def register(
    connection: HttpConnection, kind: str, instance: str, *, skills: Sequence[str] = (), capacity: int = 1
) -> str:
    """Register one bot and return its id."""
    bot = {"type": kind, "version": "1", "name": name_of(kind), "instance": instance}
    return str((await connection.post("/bots/register", {**bot, "skills": list(skills), "capacity": capacity}))["id"])


async def enlist(
    connection: HttpConnection, kind: str, number: int, batch: int, answer: Answer, skills: Sequence[str] = ()
) -> Worker:
    """Register one bot and return its worker."""
    bot = await register(connection, kind, str(number), skills=skills, capacity=batch)
    return Worker(connection, bot, batch, answer)


@dataclass(slots=True)
class LoadSwarm:
    workers: list[Worker] = field(default_factory=list)

    async def add(
        self, server: BenchServer, kind: str, count: int, *, batch: int, answer: Answer, skills: Sequence[str] = ()
    ) -> None:
        """Add `count` bots of one type. Each has its own connection; they share a key, as in one deployment."""
        key = await server.key(f"bot:{kind.lower()}", bot=name_of(kind))
        for number in range(count):
            connection = await server.connect(key)
            self.workers.append(await enlist(connection, kind, number, batch, answer, skills))

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run the bots until the block ends; if one fails, the block fails."""
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(worker.run()) for worker in self.workers]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()


def others_for(bots: int, subtasks: int) -> int:
    """Return the number of planners, and of evaluators, to use with `bots` executors."""
    return max(1, bots // max(2, subtasks))


# ---- the client ----------------------------------------------------------------------------------------------------


async def submit(connection: HttpConnection, numbers: Sequence[int], batch: int) -> dict[int, str]:
    """Submit tasks one by one or in batches; return their ids by number."""
    ids: dict[int, str] = {}
    if batch == 1:
        for number in numbers:
            ids[number] = (await connection.post("/tasks", task_of(number)))["id"]
        return ids
    for begin in range(0, len(numbers), batch):
        some = numbers[begin : begin + batch]
        answer = await connection.post("/tasks:batch", {"tasks": [task_of(number) for number in some]})
        ids.update((number, result["task"]["id"]) for number, result in zip(some, answer["results"], strict=True))
    return ids


async def read_archived(connection: HttpConnection, task_id: str, number: int, subtasks: int) -> None:
    """Wait for a task's end and check its result.

    Raises:
        CannotMeasure: the task failed, or its result is wrong.
    """
    task: Mapping[str, Json] = {"outcome": None}
    while task["outcome"] is None:
        task = await connection.call("GET", f"/tasks/{task_id}?wait_seconds={WAIT_SECONDS}&until=final")
    if (task["status"], task["outcome"]) != ("ARCHIVED", "accepted"):
        raise CannotMeasure(f"a task ended {task['status']}, {task['outcome']}")
    if task["result"] != expected(number, subtasks):
        raise CannotMeasure("a task has a wrong result")
