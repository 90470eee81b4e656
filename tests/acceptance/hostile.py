"""A tenant that does its worst, with valid keys of every role; and its neighbour, whose calls are weighed.

What a call of the neighbour takes is measured as the time for which the server's main thread ran between its start and
its answer (weighing.py): that is how long it would have taken on a machine with nothing else to do, whatever this one
does meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarmkeeper.bench.load import HttpConnection
from swarmkeeper.bench.report import CannotMeasure
from swarmkeeper.bench.server import BenchServer

Json = Any
TENANT = "hostile"
ROLES = ("client", "bot:planner", "bot:executor", "bot:evaluator", "operator", "approver", "auditor", "admin")
MIB = 1 << 20


# ---- what the server spends ----------------------------------------------------------------------------------------


class Weighed(BenchServer):
    """A server whose time and memory can be looked at from outside."""

    program = (str(Path(__file__).with_name("weighing.py")), "serve")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ran_ms(self) -> float:
        """For how long its main thread has run so far."""
        ran, _, _ = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()
        return int(ran) / 1_000_000

    def memory_mib(self) -> float:
        """What it and the processes that it has started hold."""
        return sum(_resident(pid) for pid in [self.pid, *_children(self.pid)]) / MIB


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for tasks in found for child in tasks.read_text().split()]


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:  # it has just ended
        return 0
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


# ---- the neighbour -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Neighbour:
    """A bot and a client of another tenant, which submit and claim, one call after another, and hold some leases."""

    server: Weighed
    bot: HttpConnection
    client: HttpConnection
    bot_id: str
    holder_id: str
    held: list[str] = field(default_factory=list)  # leases that it keeps alive

    @classmethod
    async def open(cls, server: Weighed, leases: int = 8) -> Neighbour:
        bot = await server.connect(await server.key("bot:executor", bot="next-door", tenant="neighbour"))
        client = await server.connect(await server.key("client", tenant="neighbour"))
        ids = []
        for instance in ("works", "holds"):
            about = {"type": "Executor", "version": "1", "name": "next-door", "instance": instance, "capacity": 64}
            ids.append((await bot.post("/bots/register", about))["id"])
        self = cls(server, bot, client, *ids)
        for _ in range(leases):
            await self.submit()
        asked = {"bot_id": self.holder_id, "max": leases, "wait_seconds": 0, "lease_seconds": 20}
        self.held = [one["lease_id"] for one in (await bot.post("/leases", asked))["leases"]]
        assert len(self.held) == leases
        return self

    async def submit(self) -> None:
        one = {"title": "Next door", "evaluation": "none", "subtasks": [{"description": "one"}]}
        await self._weighed(self.client).post("/tasks", one)

    async def round(self) -> None:
        """Submit a task, claim its work, report it."""
        await self.submit()
        answer = await self._weighed(self.bot).post("/leases", {"bot_id": self.bot_id, "wait_seconds": 5})
        self.bot.key = self.bot.key.partition("\r")[0]
        (lease,) = answer["leases"]
        report = {"bot_id": self.bot_id, "lease_id": lease["lease_id"], "status": "succeeded", "output": {"done": True}}
        await self.bot.post(f"/tasks/{lease['task_id']}/results", report)

    def _weighed(self, connection: HttpConnection) -> HttpConnection:
        """The same, whose next call says when it began."""
        connection.key = f"{connection.key.partition(chr(13))[0]}\r\nx-began: {self.server.ran_ms()}"
        return connection

    async def beat(self) -> Sequence[str]:
        """What is told of each lease that is held."""
        said = {"leases": [{"lease_id": one} for one in self.held]}
        answer = await self.bot.post(f"/bots/{self.holder_id}:heartbeat", said)
        return [one["directive"] for one in answer["leases"]]

    async def weighed(self) -> dict[str, list[float]]:
        """What calls took since the last look, in milliseconds: a submission and a claim by turns."""
        took: list[float] = await self.client.call("GET", "/weighed")
        return {"submit": took[::2], "claim": took[1::2]}


# ---- the hostile one -----------------------------------------------------------------------------------------------

Attack = Callable[["Hostile"], Awaitable[None]]


@dataclass(slots=True)
class Hostile:
    """All that its attacks need: keys, bots, a task of ten thousand subtasks, and bodies made beforehand."""

    server: Weighed
    keys: dict[str, str]
    bots: dict[str, str]
    large: str = ""  # a task's id
    leases: list[Json] = field(default_factory=list)  # of its executor
    answers: dict[tuple[str, int], int] = field(default_factory=dict)
    answered: set[Attack] = field(default_factory=set)  # those that came to their end at least once

    @classmethod
    async def open(cls, server: Weighed) -> Hostile:
        self = cls(server, {}, {})
        for role in ROLES:
            bot = role.partition(":")[2]
            self.keys[role] = await server.key(role, tenant=TENANT, **({"bot": bot} if bot else {}))
            if bot:
                about = {"type": bot.capitalize(), "version": "1", "name": bot, "capacity": 1000}
                connection = await server.connect(self.keys[role])
                self.bots[role] = (await connection.post("/bots/register", about))["id"]
        client = await server.connect(self.keys["client"])
        self.large = (await client.post("/tasks", {"title": "Large", "subtasks": nodes(10_000, edges=4)}))["id"]
        executor = await server.connect(self.keys["bot:executor"])
        while len(self.leases) < 4:
            asked = {"bot_id": self.bots["bot:executor"], "max": 4, "wait_seconds": 20}
            self.leases += (await executor.post("/leases", asked))["leases"]
        return self

    @asynccontextmanager
    async def doing(self, *attacks: Attack) -> AsyncIterator[None]:
        """Each attack again and again until the block ends."""

        async def go_on(attack: Attack) -> None:
            while True:
                await attack(self)
                self.answered.add(attack)

        running = [asyncio.create_task(go_on(attack)) for attack in attacks]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            ended = await asyncio.gather(*running, return_exceptions=True)
            for one in ended:
                if isinstance(one, Exception) and not isinstance(one, CannotMeasure | ConnectionError):
                    raise one  # an attack that does not run attacks nobody

    async def call(self, role: str, method: str, path: str, body: bytes = b"", *, headers: str = "") -> bytes:
        """One call on a connection of its own, whatever it is answered."""
        connection = await HttpConnection.open(self.server.url, self.keys[role] + headers)
        try:
            status, told = await connection.raw(method, path, body)
        finally:
            connection.close()
        name = path.replace(self.large, "{task}")
        self.answers[f"{method} {name}", status] = self.answers.get((f"{method} {name}", status), 0) + 1
        return told


def nodes(count: int, *, edges: int = 0, prefix: str = "k", description: str = "") -> list[Json]:
    return [
        {
            "key": f"{prefix}{number}",
            "description": description,
            "depends_on": [f"{prefix}{before}" for before in range(max(number // 10 * 10, number - edges), number)],
        }
        for number in range(count)
    ]


def encoded(body: Json) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _reports(bot: str, results: list[Json]) -> bytes:
    return encoded({"bot_id": bot, "results": results})


_MANY_PLANS = [
    {"lease_id": f"lse_{number}", "status": "succeeded", "plan": {"subtasks": nodes(1_000, edges=9)}}
    for number in range(30)
]


async def plans_without_a_lease(it: Hostile) -> None:
    await it.call("bot:planner", "POST", "/results", _reports(it.bots["bot:planner"], _MANY_PLANS))


_NESTED = b'"output":[' + b",".join([b"[]"] * 5_000_000) + b"]}"


async def nested_output_without_a_lease(it: Hostile) -> None:
    begin = f'{{"bot_id":"{it.bots["bot:executor"]}","lease_id":"lse_none","status":"succeeded",'.encode()
    await it.call("bot:executor", "POST", f"/tasks/{it.large}/results", begin + _NESTED)


async def nested_output_under_a_lease(it: Hostile) -> None:
    lease = it.leases[0]["lease_id"]
    begin = f'{{"bot_id":"{it.bots["bot:executor"]}","lease_id":"{lease}","status":"succeeded",'.encode()
    await it.call("bot:executor", "POST", f"/tasks/{it.large}/results", begin + _NESTED)


_NO_JSON = b'{"title":"t","input":{"a":[' + b",".join([b'{"a":"b"}'] * 1_500_000) + b"}"


async def a_long_body_that_is_no_json(it: Hostile) -> None:
    await it.call("client", "POST", "/tasks", _NO_JSON)


_TEN_THOUSAND = encoded({"title": "Ten thousand", "subtasks": nodes(10_000, edges=8), "evaluation": "none"})


async def tasks_of_ten_thousand(it: Hostile) -> None:
    told = json.loads(await it.call("client", "POST", "/tasks", _TEN_THOUSAND))
    if "id" in told:
        await it.call("client", "POST", f"/tasks/{told['id']}:cancel")


_FIVE_HUNDRED = encoded({"tasks": [{"title": "t", "subtasks": nodes(4, edges=2)}] * 500})


async def batches_of_tasks(it: Hostile) -> None:
    await it.call("client", "POST", "/tasks:batch", _FIVE_HUNDRED)


_SHORT_PLANS = encoded({"title": "Short", "subtasks": [{"description": ""}] * 420})


async def many_short_plans(it: Hostile) -> None:
    await asyncio.gather(*(it.call("client", "POST", "/tasks", _SHORT_PLANS) for _ in range(16)))


_LARGE_INPUT = encoded({"title": "i", "input": {"a": [[]] * 300_000}, "subtasks": nodes(64), "evaluation": "none"})


async def large_inputs_claimed(it: Hostile) -> None:
    await it.call("client", "POST", "/tasks", _LARGE_INPUT)
    asked = encoded({"bot_id": it.bots["bot:executor"], "max": 64, "wait_seconds": 0})
    await it.call("bot:executor", "POST", "/leases", asked)


_REDACTED = encoded({"value": [f"key{number}: AKIA{number:016}" for number in range(2_000)]})


async def redaction_of_much(it: Hostile) -> None:
    await it.call("admin", "POST", "/redaction:test", _REDACTED)


_MESSAGE = encoded({"payload": {"a": ["b@example.com"] * 3_000}})


async def long_messages(it: Hostile) -> None:
    await it.call("client", "POST", f"/tasks/{it.large}/messages", _MESSAGE)
    await it.call("client", "GET", f"/tasks/{it.large}/messages?page_size=500")


async def beats_that_say_much(it: Hostile) -> None:
    said = [
        {"lease_id": one["lease_id"], "progress": {"log": ["x" * 8000] * 6, "message": str(number)}, "checkpoint": [1]}
        for number, one in enumerate(it.leases * 4)
    ]
    await it.call("bot:executor", "POST", f"/bots/{it.bots['bot:executor']}:heartbeat", encoded({"leases": said}))


async def questions_with_schemas(it: Hostile) -> None:
    schema = {"type": "object", "properties": {f"p{number}": {"pattern": "(a|b)*c{1,50}"} for number in range(40)}}
    asked = encoded({"question": "?" * 8000, "choices": ["a" * 100] * 100, "schema": schema})
    await it.call("bot:executor", "POST", f"/leases/{it.leases[1]['lease_id']}:ask", asked)


_SKILLS = [f"skill-{number}-{'x' * 100}" for number in range(100)]


async def bots_of_many_skills(it: Hostile) -> None:
    about = {"type": "Executor", "version": "1", "name": "executor", "instance": "i", "skills": _SKILLS}
    await it.call("bot:executor", "POST", "/bots/register", encoded(about))
    await it.call("operator", "GET", "/skills")


def looking(role: str, path: str) -> Attack:
    async def look(it: Hostile) -> None:
        await it.call(role, "GET", path.format(task=it.large))

    look.__name__ = f"look at {path}"
    return look


async def steering_of_the_large(it: Hostile) -> None:
    for verb in ("pause", "resume"):
        await it.call("client", "POST", f"/tasks/{it.large}:{verb}")
    for priority in (1, 8):
        await it.call("client", "PATCH", f"/tasks/{it.large}", encoded({"priority": priority}))


ATTACKS: tuple[Attack, ...] = (
    plans_without_a_lease,
    nested_output_without_a_lease,
    nested_output_under_a_lease,
    a_long_body_that_is_no_json,
    tasks_of_ten_thousand,
    batches_of_tasks,
    many_short_plans,
    large_inputs_claimed,
    redaction_of_much,
    long_messages,
    beats_that_say_much,
    questions_with_schemas,
    bots_of_many_skills,
    steering_of_the_large,
    looking("client", "/tasks/{task}"),
    looking("client", "/tasks/{task}/graph"),
    looking("client", "/tasks/{task}/subtasks?page_size=500"),
    looking("client", "/tasks/{task}:explain"),
    looking("client", "/tasks/{task}/events?page_size=500"),
    looking("client", "/tasks?page_size=500"),
    looking("auditor", "/audit?page_size=500"),
    looking("auditor", "/events?page_size=500"),
    looking("operator", "/bots?page_size=500"),
    looking("operator", "/metrics"),
    looking("approver", "/approvals?page_size=500"),
    looking("admin", "/keys?page_size=500"),
)
