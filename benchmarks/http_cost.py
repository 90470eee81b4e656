"""Measures what a call of each hot route costs the server beside the engine, which answers at once: processor time of
all threads but the client's, in microseconds. Reads of tasks are included.

    python benchmarks/http_cost.py [--calls 3000] [--only result,get]

Compare two versions in pairs: a busy machine changes the figures by a fifth, but hardly their ratio.
"""

import argparse
import asyncio
import json
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvloop

from swarmkeeper.core import commands
from swarmkeeper.core.answers import ReportReceipt
from swarmkeeper.engine.loop import Claimed, Engine
from swarmkeeper.server import serving
from swarmkeeper.settings import Settings

ROUNDS = 5  # the cheapest counts
OUTPUT = {"text": "x" * 40, "n": 7, "hash": "0123456789abcdef"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Server(threading.Thread):
    """A server on an event loop of its own."""

    def __init__(self, folder: str) -> None:
        super().__init__(daemon=True)
        self.ready = threading.Event()
        self.keys: dict[str, str] = {}
        self.url = ""
        store = f"sqlite:///{Path(folder) / 's.db'}"
        self._settings = Settings(store=store, port=0, log_level="error", tasks_a_minute_key=0, tasks_a_minute_tenant=0)

    def run(self) -> None:
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        async with serving(self._settings) as served:
            self.url = served.url
            self.keys = {"client": await served.swarm.make_key("client")}
            self.keys["bot"] = await served.swarm.make_key("bot:executor", bot="bot")
            self.ready.set()
            await asyncio.Event().wait()


class Connection:
    """A keep-alive connection."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return the status and the body of its response."""
        self._socket.sendall(request)
        received = self._socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = sum(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self._socket.recv(65536)
        return int(head[9:12]), body

    def ask(self, request: bytes) -> Any:
        status, body = self.call(request)
        assert status in (200, 201), body
        return json.loads(body)


def request(method: str, path: str, key: str, body: Any = None) -> bytes:
    raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"x-api-key: {key}", f"traceparent: {TRACE}"]
    lines += ["accept: application/json", "user-agent: benchmark"]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(raw)}"]
    return "\r\n".join([*lines, "", ""]).encode() + raw


def answer_at_once(task_id: str) -> None:
    """Replace the engine's work by answers that are ready, after a turn of the loop for a poll."""
    do = Engine.do

    async def report(self: Engine, reports: Any, claim: Any = None) -> Any:
        receipt = ReportReceipt(of_task=None, task_status="IN_PROGRESS")  # type: ignore[arg-type]  # not looked at
        return [receipt for _ in reports], Claimed((), None)

    async def do_or_submit(self: Engine, command: Any) -> Any:
        return task_id if isinstance(command, commands.Submit) else await do(self, command)

    class Poll:
        state = None

        def __init__(self) -> None:
            loop = asyncio.get_running_loop()
            self.answer = loop.create_future()
            loop.call_soon(loop.call_soon, self.answer.set_result, Claimed((), "no_work"))

    for name, replacement in (("report", report), ("do", do_or_submit), ("claim", lambda *_, **__: Poll())):
        setattr(Engine, name, replacement)


def hot_calls(server: Server, connection: Connection) -> dict[str, bytes]:
    """Set up a task and a lease; return a request of each kind."""
    client, bot = server.keys["client"], server.keys["bot"]
    bot_id = connection.ask(request("POST", "/bots/register", bot, {"type": "EXECUTOR", "version": "1"}))["id"]
    plan = [{"key": "a", "description": "b"}]
    task = connection.ask(request("POST", "/tasks", client, {"title": "t", "subtasks": plan}))["id"]
    new = connection.ask(request("POST", "/tasks", client, {"title": "t"}))["id"]
    poll = {"bot_id": bot_id, "wait_seconds": 0}
    lease = connection.ask(request("POST", "/leases", bot, poll))["leases"][0]["lease_id"]
    answer_at_once(new)
    result = {"lease_id": lease, "status": "succeeded", "output": OUTPUT}
    batch = {"bot_id": bot_id, "results": [{"task_id": task, **result}] * 8, "claim": {"max": 8}}
    return {
        "result": request("POST", f"/tasks/{task}/results", bot, {"bot_id": bot_id, **result, "claim": {"max": 1}}),
        "results": request("POST", "/results", bot, batch),
        "leases": request("POST", "/leases", bot, {**poll, "wait_seconds": 20}),
        "heartbeat": request("POST", f"/bots/{bot_id}:heartbeat", bot, {"leases": [{"lease_id": lease}]}),
        "submit": request("POST", "/tasks", client, {"title": "t", "input": {"n": 1}}),
        "get": request("GET", f"/tasks/{task}", client),
        "wait": request("GET", f"/tasks/{task}?wait_seconds=0.001", client),
    }


def measured(connection: Connection, sent: bytes, calls: int) -> float:
    """Return microseconds of a call."""

    def spent() -> float:
        return time.process_time() - time.thread_time()

    rounds = []
    for _ in range(ROUNDS):
        before = spent()
        for _ in range(calls // ROUNDS):
            connection.ask(sent)
        rounds.append((spent() - before) / (calls // ROUNDS))
    return min(rounds) * 1e6


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--calls", type=int, default=3000)
    asked.add_argument("--only", default="")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        server.start()
        server.ready.wait()
        connection = Connection(server.url)
        for name, sent in hot_calls(server, connection).items():
            if not given.only or name in given.only.split(","):
                connection.ask(sent)
                print(f"{name:10} {measured(connection, sent, given.calls):7.1f} µs", flush=True)


if __name__ == "__main__":
    main()
