"""What the same work costs without any of our features: the yardstick that `lifecycle` is held against, in one run.

    python benchmarks/bare_engine.py [--tasks 200]

A raw ASGI application on the same server (uvicorn, uvloop, httptools), one SQLite file in WAL mode with `synchronous`
FULL, and group commit: whatever arrived while one commit was under way shares the next. It plans, leases, hands results
on and has them reviewed, by the same calls; the same bots and the same client speak to it. It has no keys, no events,
no audit, no redaction, no checks of what is sent, no timeouts, no retries, no tenants, no skills and no limits.
"""

import argparse
import asyncio
import socket
import tempfile
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import apsw
import msgspec

from swarmkeeper.bench import machine
from swarmkeeper.bench.report import Figure, ScenarioOptions
from swarmkeeper.bench.scenarios import lifecycle
from swarmkeeper.bench.server import BenchServer

encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
Json = Any
WAYS = tuple(way for way in lifecycle.WAYS if way.batch)


# ---- the engine ----------------------------------------------------------------------------------------------------


class Engine:
    """Tasks and items live in memory; each change of one is a row in the file before anybody hears of it."""

    def __init__(self, path: str) -> None:
        self.db = apsw.Connection(path)
        self.db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        self.db.execute("CREATE TABLE task (id TEXT PRIMARY KEY, status TEXT, body BLOB) WITHOUT ROWID")
        self.db.execute("CREATE TABLE work (id TEXT PRIMARY KEY, status TEXT, body BLOB, output BLOB) WITHOUT ROWID")
        self.tasks: dict[str, Json] = {}
        self.works: dict[str, Json] = {}  # of each: id, task, kind, key, spec, pending, children, output
        self.ready: dict[str, deque[Json]] = {"plan": deque(), "execute": deque(), "review": deque()}
        self.parked: dict[str, deque[tuple[int, asyncio.Future[Json]]]] = {kind: deque() for kind in self.ready}
        self.kinds: dict[str, str] = {}  # bot -> what it takes
        self.task_rows: dict[str, tuple[str, bytes]] = {}
        self.work_rows: dict[str, tuple[str, bytes, bytes | None]] = {}
        self.waiting: list[asyncio.Future[None]] = []
        self.final: dict[str, list[asyncio.Future[None]]] = {}
        self.changed = asyncio.Event()
        self.numbers = 0
        self.commits = self.commands = 0

    def new(self, prefix: str) -> str:
        self.numbers += 1
        return f"{prefix}_{self.numbers:026d}"

    # ---- group commit

    async def durable(self) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(done)
        self.changed.set()
        await done

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.changed.wait()
            self.changed.clear()
            self.hand_out()
            tasks, works, waiting = self.task_rows, self.work_rows, self.waiting
            self.task_rows, self.work_rows, self.waiting = {}, {}, []
            await loop.run_in_executor(None, self.save, tasks, works)
            self.commits += 1
            for done in waiting:
                done.set_result(None)

    def save(self, tasks: Mapping[str, Json], works: Mapping[str, Json]) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("REPLACE INTO task VALUES (?, ?, ?)", [(name, *row) for name, row in tasks.items()])
        self.db.executemany("REPLACE INTO work VALUES (?, ?, ?, ?)", [(name, *row) for name, row in works.items()])
        self.db.execute("COMMIT")

    # ---- what happens

    def add(self, task: str, kind: str, key: str, spec: Json, parents: list[Json]) -> Json:
        work = {"id": self.new("sub"), "task": task, "kind": kind, "key": key, "spec": spec, "children": []}
        work |= {"pending": len(parents), "parents": parents, "output": None}
        for parent in parents:
            parent["children"].append(work)
        self.works[work["id"]] = work
        self.write(work, "BLOCKED" if parents else "READY")
        if not parents:
            self.ready[kind].append(work)
        return work

    def write(self, work: Json, status: str) -> None:
        output = None if work["output"] is None else encode(work["output"])
        self.work_rows[work["id"]] = (status, encode(work["spec"]), output)

    def submit(self, body: Json) -> Json:
        task = {"id": self.new("tsk"), "status": "CREATED", "outcome": None, "result": None, "open": 0, **body}
        self.tasks[task["id"]] = task
        self.move(task, "CREATED")
        self.add(task["id"], "plan", "plan", {}, [])
        return task

    def move(self, task: Json, status: str) -> None:
        task["status"] = status
        self.task_rows[task["id"]] = (status, encode(task["input"]))

    def report(self, result: Json) -> Json:
        work = self.works[result["lease_id"]]
        task = self.tasks[work["task"]]
        if work["kind"] == "plan":
            made: dict[str, Json] = {}
            for spec in result["plan"]["subtasks"]:
                parents = [made[key] for key in spec.get("depends_on", ())]
                made[spec["key"]] = self.add(task["id"], "execute", spec["key"], spec, parents)
            task["open"] = len(made)
            task["works"] = list(made.values())
            self.move(task, "PLANNED")
        elif work["kind"] == "execute":
            work["output"] = result["output"]
            task["open"] -= 1
            for child in work["children"]:
                child["pending"] -= 1
                if not child["pending"]:
                    self.ready["execute"].append(child)
                    self.write(child, "READY")
            if not task["open"]:
                task["result"] = {one["key"]: one["output"] for one in task["works"] if not one["children"]}
                self.move(task, "COMPLETED")
                self.add(task["id"], "review", "review", {}, [])
        else:
            task["outcome"] = "accepted"
            self.move(task, "ARCHIVED")
            for waits in self.final.pop(task["id"], ()):
                waits.set_result(None)
        self.write(work, "SUCCEEDED")
        return {"accepted": True, "replayed": False, "task_status": task["status"]}

    def claim(self, kind: str, most: int) -> list[Json]:
        ready = self.ready[kind]
        return [self.lease(ready.popleft()) for _ in range(min(most, len(ready)))]

    def lease(self, work: Json) -> Json:
        self.write(work, "LEASED")
        task = self.tasks[work["task"]]
        told = {"lease_id": work["id"], "kind": work["kind"], "task_id": task["id"], "task": {"input": task["input"]}}
        told["upstream"] = {parent["key"]: parent["output"] for parent in work["parents"]}
        return told | {"subtask": work["spec"]}

    def hand_out(self) -> None:
        """What is ready goes to whoever waits, with the commit that made it so."""
        for kind, parked in self.parked.items():
            while parked and self.ready[kind]:
                most, answer = parked.popleft()
                if not answer.done():
                    leases = self.claim(kind, most)
                    self.waiting.append(_after(answer, leases))


def _after(answer: asyncio.Future[Json], leases: Json) -> asyncio.Future[None]:
    """A future whose end gives the leases to whoever waits for them."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def give(_: asyncio.Future[None]) -> None:
        if not answer.done():
            answer.set_result(leases)

    done.add_done_callback(give)
    return done


# ---- the door ------------------------------------------------------------------------------------------------------


class App:
    def __init__(self, path: str) -> None:
        self.engine = Engine(path)
        self.running = asyncio.ensure_future(self.engine.run())

    async def __call__(self, scope: Json, receive: Json, send: Json) -> None:
        body = (await receive()).get("body", b"")
        status, told = await self.answer(scope["method"], scope["path"], decode(body) if body else {})
        text = told if isinstance(told, bytes) else encode(told)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def answer(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        engine = self.engine
        if path == "/leases":
            return 200, {"leases": await self.lease(engine.kinds[body["bot_id"]], body["max"])}
        if path.endswith("/results"):
            results = body["results"] if path == "/results" else [body]
            engine.commands += len(results)
            answers = [engine.report(result) for result in results]
            leases = engine.claim(engine.kinds[body["bot_id"]], body["claim"]["max"])
            await engine.durable()
            return 200, {"results": answers, "leases": leases}
        if path == "/tasks":
            engine.commands += 1
            task = engine.submit(body)
            await engine.durable()
            return 201, {"id": task["id"]}
        if path == "/tasks:batch":
            engine.commands += len(body["tasks"])
            tasks = [engine.submit(one) for one in body["tasks"]]
            await engine.durable()
            return 200, {"results": [{"status": 201, "task": {"id": task["id"]}} for task in tasks]}
        if path == "/bots/register":
            bot = engine.new("bot")
            engine.kinds[bot] = {"Planner": "plan", "Executor": "execute", "Evaluator": "review"}[body["type"]]
            return 201, {"id": bot}
        if path == "/metrics":
            return 200, self.metrics()
        task = engine.tasks[path.removeprefix("/tasks/")]
        if task["outcome"] is None:
            waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            engine.final.setdefault(task["id"], []).append(waits)
            await waits
        if task["id"] in engine.task_rows:
            await engine.durable()
        return 200, {name: task[name] for name in ("id", "status", "outcome", "result")}

    async def lease(self, kind: str, most: int) -> list[Json]:
        leases = self.engine.claim(kind, most)
        if leases:
            await self.engine.durable()
            return leases
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.engine.parked[kind].append((most, answer))
        found: list[Json] = await answer
        return found

    def metrics(self) -> bytes:
        told = {
            "batches_total": self.engine.commits,
            "commands_total": self.engine.commands,
            "process_cpu_seconds_total": machine.own_cpu_seconds(),
            "batch_seconds_max": 0,
        }
        return "".join(f"swarmkeeper_{name} {value}\n" for name, value in told.items()).encode()


async def serve(path: str) -> None:
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            print(encode({"url": f"http://127.0.0.1:{port}"}).decode(), flush=True)

    quiet: dict[str, Any] = {"ws": "none", "lifespan": "off", "log_config": None, "access_log": False}
    await Announcing(uvicorn.Config(App(path), http="httptools", port=0, **quiet)).serve()


# ---- the comparison ------------------------------------------------------------------------------------------------


class Bare(BenchServer):
    """The bare engine, where a measurement expects a server of ours."""

    program: ClassVar[tuple[str, ...]] = (str(Path(__file__).resolve()), "--serve")

    async def key(self, role: str, *, bot: str | None = None, tenant: str = "") -> str:
        return role

    async def describe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return machine.describe(self.place.path.parent), {"journal_mode": "wal", "synchronous": "FULL"}


async def figures_of(kind: type[BenchServer], way: lifecycle.Way, tasks: int) -> dict[str, Figure]:
    options = ScenarioOptions(tasks=tasks, subtasks=5, bots=way.bots, batch=way.batch)
    return dict((await lifecycle.lifecycle(options, server=kind)).figures)


async def compare(tasks: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(machine.describe(Path(folder)))
    for way in WAYS:
        bare, ours = await figures_of(Bare, way, tasks), await figures_of(BenchServer, way, tasks)
        print(f"\n{way.name} (W({tasks}, 5), synchronous FULL)\n{'':34}{'bare':>10}{'ours':>10}{'ours : bare':>13}")
        for name, of_bare in bare.items():
            of_ours = ours[name]
            if of_bare and of_ours:
                print(f"{name:34}{of_bare:10.1f}{of_ours:10.1f}{of_ours / of_bare:13.2f}")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--tasks", type=int, default=200)
    asked.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given, others = asked.parse_known_args()
    import uvloop

    store = others[others.index("--store") + 1].removeprefix("sqlite:///") if given.serve else ""
    work = serve(store) if given.serve else compare(given.tasks)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
