"""P3: the process dies at a named point of a commit, and the client that asks again gets the first answer."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.server import Caller, Server

PROGRAM = Path(__file__).with_name("crashing.py")
POINTS = ["before_commit", "after_commit", "after_reply"]


class Crash:
    """A server that dies at the point when it is next told to, and starts again without that."""

    def __init__(self, folder: Path, point: str) -> None:
        self.point = point
        self.armed = folder / "armed"
        self.server = Server(folder / "store.db", program=[sys.executable, str(PROGRAM), point, str(self.armed)])

    def during(self, call: Caller, path: str, body: Any, **headers: str) -> httpx2.Response | None:
        """Ask while the crash is armed; what came back, if anything did."""
        self.armed.touch()
        try:
            answer: httpx2.Response | None = call("POST", path, body, **headers)
        except httpx2.TransportError:
            answer = None
        assert self.server.process is not None
        self.server.process.wait(20)
        assert not self.armed.exists(), "the point was not reached"
        self.server.start()
        return answer


@pytest.mark.parametrize("point", POINTS)
def test_a_submission_that_crashes_the_orchestrator_is_there_once_when_it_is_sent_again(
    tmp_path: Path, point: str
) -> None:
    crash = Crash(tmp_path, point)
    with crash.server as server:
        call = Caller(server, server.key("admin"))

        first = crash.during(call, "/tasks", {"title": "once"}, Idempotency_Key="k")
        second = call("POST", "/tasks", {"title": "once"}, Idempotency_Key="k")

        assert (first is not None) == (point == "after_reply")
        assert second.status_code == 201
        assert ("Idempotency-Replayed" in second.headers) == (point != "before_commit")
        if first is not None:
            assert first.json()["id"] == second.json()["id"]
        assert [task["id"] for task in call.get("/tasks")["items"]] == [second.json()["id"]]
        server.stop()
        server.cli("audit", "verify", server.store_url)
        server.cli("doctor", "--deep", "--store", server.store_url)


@pytest.mark.parametrize("point", POINTS)
def test_a_report_that_crashes_the_orchestrator_counts_once_when_it_is_sent_again(tmp_path: Path, point: str) -> None:
    crash = Crash(tmp_path, point)
    with crash.server as server:
        call = Caller(server, server.key("admin"))
        bot = call.post("/bots/register", {"type": "Executor", "version": "1", "name": "bot"})["id"]
        subtasks = [{"key": "a", "description": ""}, {"key": "b", "description": "", "depends_on": ["a"]}]
        task = call.post("/tasks", {"title": "t", "evaluation": "none", "subtasks": subtasks})["id"]
        lease = call.post("/leases", {"bot_id": bot, "wait_seconds": 5})["leases"][0]["lease_id"]
        report = {"bot_id": bot, "lease_id": lease, "status": "succeeded", "output": {"n": 1}, "claim": {"max": 1}}

        first = crash.during(call, f"/tasks/{task}/results", report)
        second = call.post(f"/tasks/{task}/results", report)

        assert (first is not None) == (point == "after_reply")
        assert second["accepted"]
        assert second["replayed"] == (point != "before_commit")
        assert [lease["subtask"]["key"] for lease in second["leases"]] == ["b"]
        if first is not None:
            assert first.json()["leases"][0]["lease_id"] == second["leases"][0]["lease_id"]
        server.stop()
        with sqlite3.connect(f"file:{server.store}?mode=ro", uri=True) as rows:
            kinds = [
                kind for (kind,) in rows.execute("SELECT kind FROM event WHERE task = ? ORDER BY sequence", (task,))
            ]
        assert kinds.count("work.succeeded") == 1
        assert kinds.count("work.leased") == 2
        server.cli("audit", "verify", server.store_url)
        server.cli("doctor", "--deep", "--store", server.store_url)
