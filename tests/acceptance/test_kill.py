"""P1 and P2: two hundred tasks under load, and the process that has the store is killed with -9 again and again.

With PostgreSQL, `make test` plays a part of it: test_replicas.py kills servers of such stores, too.
"""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.server import Caller, Server
from tests.examples import exploring
from tests.support import postgres

TASKS, KILLS = 200, 20
PART = {"sqlite": 1.0, "postgresql": 1.0 if exploring() else 0.4}
PLAN = [
    {"key": "a", "description": "one"},
    {"key": "b", "description": "two"},
    {"key": "c", "description": "three"},
    {"key": "join", "description": "all three", "depends_on": ["a", "b", "c"]},
    {"key": "last", "description": "the end", "depends_on": ["join"]},
]


class Bots:
    """Plain bots in threads that go on whatever happens to the server: they repeat what got no answer."""

    def __init__(self, server: Server, key: str) -> None:
        self._server, self._key = server, key
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.faults: list[str] = []

    def start(self) -> None:
        for type_, count in (("Planner", 3), ("Executor", 6), ("Evaluator", 3)):
            for number in range(count):
                thread = threading.Thread(target=self._run, args=(type_, number), daemon=True)
                thread.start()
                self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(40)
            assert not thread.is_alive()

    def _run(self, type_: str, number: int) -> None:
        call = Caller(self._server, self._key)
        body = {"type": type_, "version": "1", "name": f"{type_}-{number}", "capacity": 8}
        bot = call.insist("POST", "/bots/register", body).json()["id"]
        turn = 0
        while not self._stop.is_set():
            turn += 1
            ask = {"bot_id": bot, "max": 4, "wait_seconds": 1, "lease_seconds": 5, "claim_id": f"{bot}-{turn}"}
            answer = call.insist("POST", "/leases", ask)
            if answer.status_code != 200:
                self.faults.append(f"lease {answer.status_code} {answer.text}")
                return
            leases: list[dict[str, Any]] = answer.json()["leases"]
            while leases:
                leases += self._do(call, bot, leases.pop(0))

    def _do(self, call: Caller, bot: str, lease: dict[str, Any]) -> list[dict[str, Any]]:
        report: dict[str, Any] = {"bot_id": bot, "lease_id": lease["lease_id"], "status": "succeeded"}
        if lease["kind"] == "plan":
            report["plan"] = {"subtasks": PLAN}
        elif lease["kind"] == "review":
            report["verdict"] = {"decision": "accept"}
        else:
            report["output"] = {"key": lease["subtask"]["key"], "saw": sorted(lease["upstream"])}
            report["claim"] = {"max": 1}
        answer = call.insist("POST", f"/tasks/{lease['task_id']}/results", report)
        if answer.status_code == 200:
            found: list[dict[str, Any]] = answer.json()["leases"]
            return found
        if answer.json().get("code") not in ("lease_lost", "task_closed"):
            self.faults.append(f"report {answer.status_code} {answer.text}")
        return []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_when_the_orchestrator_is_killed_again_and_again(
    tmp_path: Path, kind: str
) -> None:
    chance = random.Random(7)
    tasks, kills = round(TASKS * PART[kind]), round(KILLS * PART[kind])
    database = postgres.server().new_store() if kind == "postgresql" else ""
    with Server(tmp_path / "store.db", database=database) as server:
        key = server.key("admin")
        bots = Bots(server, key)
        bots.start()
        acknowledged: list[str] = []

        def submit(number: int) -> None:
            call = Caller(server, key)
            body = {"title": f"task {number}", "defaults": {"max_attempts": 20}}
            answer = call.insist("POST", "/tasks", body, Idempotency_Key=f"task-{number}")
            assert answer.status_code == 201, answer.text
            acknowledged.append(answer.json()["id"])

        followed: dict[str, list[int]] = {}
        with ThreadPoolExecutor(4) as pool:
            submitted = [pool.submit(submit, number) for number in range(tasks)]
            for _ in range(kills):
                time.sleep(chance.uniform(0.1, 0.7))
                server.kill()
                server.start()
            for one in submitted:
                one.result(60)
        assert len(set(acknowledged)) == tasks

        call = Caller(server, key)
        final = [call.insist("GET", f"/tasks/{task}?wait_seconds=20&until=final", None).json() for task in acknowledged]
        bots.stop()
        for task in final:
            assert task["status"] == "ARCHIVED" or (task["status"] == "FAILED" and task["failure"]["code"]), task
        for task in acknowledged:
            followed[task] = _sequence(call, task)
            assert followed[task] == list(range(1, len(followed[task]) + 1)), f"a gap in the events of {task}"
        assert bots.faults == []
        server.stop()

        _one_accepted_result_per_round(server)
        server.cli("audit", "verify", server.store_url)
        server.cli("doctor", "--deep", "--store", server.store_url)


def _sequence(call: Caller, task: str) -> list[int]:
    """The numbers of a task's events, read from the stream in two parts: the second goes on by Last-Event-ID."""
    found: list[int] = []
    last = ""
    for most in (5, 10_000):
        headers = {"Accept": "text/event-stream"} | ({"Last_Event_ID": last} if last else {})
        request = {name.replace("_", "-"): value for name, value in headers.items()}
        with call._http.stream("GET", f"{call._server.url}/tasks/{task}/events", headers=request) as stream:
            got = 0
            for line in stream.iter_lines():
                if line.startswith("id:"):
                    last = line[3:].strip()
                elif line.startswith("data:"):
                    found.append(json.loads(line[5:])["sequence"])
                    got += 1
                    if got == most:
                        break
    return found


def _one_accepted_result_per_round(server: Server) -> None:
    twice = _rows(
        server, "SELECT work, round FROM attempt WHERE ending = 'succeeded' GROUP BY work, round HAVING count(*) > 1"
    )
    without = _rows(
        server,
        "SELECT work.id FROM work JOIN task ON task.id = work.task WHERE task.status = 'ARCHIVED'"
        " AND task.outcome = 'accepted' AND work.kind = 'execute' AND work.status = 'SUCCEEDED' AND NOT EXISTS"
        " (SELECT 1 FROM attempt WHERE attempt.work = work.id AND ending = 'succeeded')",
    )
    assert twice == []
    assert without == []


def _rows(server: Server, query: str) -> list[Any]:
    if server.is_file:
        with sqlite3.connect(f"file:{server.store}?mode=ro", uri=True) as connection:
            return connection.execute(query).fetchall()
    return postgres.rows(server.store_url, query)
