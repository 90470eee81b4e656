"""The real application on a virtual loop, with blocking calls; hours of virtual time pass in moments."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from swarmkeeper.sim.kernel.chance import SeededChance
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.loop import SECOND, VirtualLoop, virtual_loop
from tests.http.conftest import Answered, Caller

Json = Any
Value = TypeVar("Value")


@dataclass(frozen=True)
class Person:
    """A caller with one key."""

    town: "Town"
    caller: Caller

    def get(self, path: str) -> Answered:
        return self.town.run(self.caller.get(path))

    def post(self, path: str, body: Json = None, **headers: str) -> Answered:
        return self.town.run(self.caller.post(path, body, **headers))

    def ok(self, path: str, body: Json = None) -> Json:
        """Make a POST that must succeed; return its answer."""
        answer = self.post(path, body)
        assert answer.status in (200, 201), answer.json
        return answer.json

    def read(self, path: str) -> Json:
        answer = self.get(path)
        assert answer.status == 200, answer.json
        return answer.json


@dataclass(frozen=True)
class Worker:
    """A bot with a key of its own."""

    town: "Town"
    person: Person
    id: str
    name: str

    def leases(self, most: int = 1, **more: Json) -> list[Json]:
        return list(self.person.ok("/leases", {"bot_id": self.id, "max": most, "wait_seconds": 0, **more})["leases"])

    def take(self, **more: Json) -> Json:
        """Lease one work item, which must be ready."""
        (lease,) = self.leases(**more)
        return lease

    def beat(self, *leases: Json) -> Json:
        heartbeats = [{"lease_id": lease["lease_id"]} for lease in leases]
        return self.person.ok(f"/bots/{self.id}:heartbeat", {"leases": heartbeats})

    def try_report(self, lease: Json, **content: Json) -> Answered:
        status = "failed" if "error" in content else "succeeded"
        body = {"bot_id": self.id, "lease_id": lease["lease_id"], "status": status, **content}
        return self.person.post(f"/tasks/{lease['task_id']}/results", body)

    def report(self, lease: Json, **content: Json) -> Json:
        if not content:
            content = {"output": {"by": self.name}}
        answer = self.try_report(lease, **content)
        assert answer.status == 200, answer.json
        return answer.json

    def judge(self, lease: Json, decision: str = "accept", **more: Json) -> Json:
        return self.report(lease, verdict={"decision": decision, **more})

    def ask(self, lease: Json, question: str = "which?", **more: Json) -> str:
        asked: str = self.person.ok(f"/leases/{lease['lease_id']}:ask", {"question": question, **more})["approval_id"]
        return asked

    def fail(self, lease: Json, kind: str = "not_retryable") -> None:
        self.report(lease, error={"class": kind, "message": "no"})

    def release(self, lease: Json, delay_seconds: float = 0) -> None:
        self.person.ok(f"/leases/{lease['lease_id']}:release", {"delay_seconds": delay_seconds})


class Town:
    """One orchestrator, its people and its bots."""

    def __init__(self, loop: VirtualLoop, **settings: Any) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        self.swarm = Orchestrator(
            Settings(store="sqlite://:memory:", log_level="error", **settings),
            clock=self.clock,
            entropy=SeededChance(1),
            inline=True,
        )
        self.client: Person
        self.approver: Person
        self.admin: Person

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        value: Value = self.loop.run_until_complete(work)
        return value

    def advance(self, seconds: float) -> None:
        """Let time pass; a long time in one step, as when a machine sleeps, because each second would be simulated."""
        if seconds > 600:
            self.loop.stall(round(seconds * SECOND))
            seconds = 0
        self.loop.run_for(round(seconds * SECOND))

    @property
    def now(self) -> int:
        return self.swarm.engine.now()

    def open(self) -> None:
        self.run(self.swarm.__aenter__())
        self.client, self.approver, self.admin = (self.person(role) for role in ("client", "approver", "admin"))

    def close(self) -> None:
        self.run(self.swarm.__aexit__(None, None, None))
        self.loop.close()

    def person(self, role: str, *, owner: str | None = None) -> Person:
        return Person(self, Caller(self.swarm.app, self.run(self.swarm.make_key(role, owner=owner))))

    def bot(self, type_: str, name: str | None = None, *, owner: str | None = None, **more: Json) -> Worker:
        name = name or type_.lower()
        key = self.run(self.swarm.make_key(f"bot:{type_.lower()}", bot=name, owner=owner))
        person = Person(self, Caller(self.swarm.app, key))
        body = {"type": type_, "version": "1.0", "capacity": 64, **more}
        return Worker(self, person, person.ok("/bots/register", body)["id"], name)

    def submit(self, subtasks: list[Json] | None = None, **fields: Json) -> str:
        """Submit a task and return its id; a subtask may be given as its key."""
        body = {"title": "a task", **fields}
        if subtasks is not None:
            body["subtasks"] = [
                {"key": each, "description": each} if isinstance(each, str) else each for each in subtasks
            ]
        made: str = self.client.ok("/tasks", body)["id"]
        return made

    def task(self, task_id: str) -> Json:
        return self.client.read(f"/tasks/{task_id}")

    def events(self, task_id: str) -> list[Json]:
        return list(self.client.read(f"/tasks/{task_id}/events?page_size=500")["items"])

    def open_approval(self, task_id: str) -> Json:
        """Return the only open approval of the task."""
        (approval,) = self.approver.read(f"/approvals?state=open&task_id={task_id}")["items"]
        return approval

    def approve(self, approval: Json) -> Json:
        return self.approver.ok(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})


@contextmanager
def town(**settings: Any) -> Iterator[Town]:
    place = Town(virtual_loop(), **settings)
    place.open()
    try:
        yield place
    finally:
        place.close()
    assert not place.loop.troubles, place.loop.troubles
