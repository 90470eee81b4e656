"""Budgets bind: two hundred tasks, forty bots of random appetite, and the bots and the server are killed with -9."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Process
from tests.acceptance.server import Caller, Server

TASKS = 200
PROCESSES = 4  # with ten bots each
KILLS = 12
STEP = 40_000  # micro-USD that an attempt may use between two heartbeats
SPENDING = str(Path(__file__).with_name("spending.py"))


class Bots:
    def __init__(self, server: Server, key: str, log: Path) -> None:
        self._server, self._key, self._log = server, key, log
        self._processes = [self._start(number) for number in range(PROCESSES)]

    def _start(self, number: int) -> Process:
        program = [sys.executable, SPENDING, self._server.url, self._key, str(number), str(STEP)]
        return Process(program, log=self._log, environment=dict(os.environ))

    def kill(self, number: int) -> None:
        process = self._processes[number]
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        process.stop()

    def restart(self, number: int) -> None:
        self.kill(number)
        self._processes[number] = self._start(number)

    def end(self) -> None:
        for number in range(PROCESSES):
            self.kill(number)


def plan(number: int) -> list[dict[str, Any]]:
    """Return three subtasks: one after the other for even numbers, all at once for odd ones."""
    keys = ["a", "b", "c"]
    after = {key: keys[index - 1 : index] if index and number % 2 == 0 else [] for index, key in enumerate(keys)}
    return [{"key": key, "description": "spend", "depends_on": after[key], "max_attempts": 20} for key in keys]


@pytest.mark.timeout(240)
def test_no_task_exceeds_its_budget_by_more_than_what_an_attempt_had_not_told(tmp_path: Path) -> None:
    chance = random.Random(11)
    store = tmp_path / "store.db"
    with Server(store) as server:
        key = server.key("admin")
        call = Caller(server, key)
        tasks = []
        for number in range(TASKS):
            budget = {"cost_micro_usd": chance.randint(20_000, 250_000), "at_limit": "stop"}
            body = {"title": f"task {number}", "evaluation": "none", "subtasks": plan(number), "budget": budget}
            answer = call.insist("POST", "/tasks", body)
            assert answer.status_code == 201, answer.text
            tasks.append(answer.json()["id"])
        bots = Bots(server, key, tmp_path / "bots.log")
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1))
            if chance.random() < 0.5:
                server.kill()
                server.start()
            bots.restart(chance.randrange(PROCESSES))
        final = [call.insist("GET", f"/tasks/{task}?wait_seconds=30&until=final", None).json() for task in tasks]
        bots.end()
        _wait_for_leases(store)
        server.stop()
        server.cli("doctor", "--deep", "--store", server.store_url)

    outcomes = {task["outcome"] for task in final}
    assert outcomes == {"accepted", "failed"}
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as rows:
        accounts = {id_: json.loads(budget) for id_, budget in rows.execute("SELECT id, budget FROM task")}
        endings = {ending for (ending,) in rows.execute("SELECT DISTINCT ending FROM attempt")}
    assert {"succeeded", "failed", "expired", "released"} <= endings
    assert any(account["overshoot"] for account in accounts.values())
    for number, task in enumerate(tasks):
        account = accounts[task]
        limit, spent = account["limit"]["cost_micro_usd"], account["spent"].get("cost_micro_usd", 0)
        assert account["reserved"] == {}
        at_once = 1 if number % 2 == 0 else 3
        assert spent <= limit + at_once * STEP, (number, account)


def _wait_for_leases(store: Path) -> None:
    """Wait until the leases of bots that are gone have expired."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as rows:
            if not rows.execute("SELECT count(*) FROM lease").fetchone()[0]:
                return
        time.sleep(0.5)
    raise AssertionError("leases do not end")
