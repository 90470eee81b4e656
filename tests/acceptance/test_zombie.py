"""P2: a bot that was stopped past its lease and then goes on cannot change anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.acceptance.server import Caller, Server

# A bot in a process of its own: it leases, says so, and reports after a while, whatever has become of its lease.
ZOMBIE = """
import json, sys, time, urllib.error, urllib.request

url, key, bot = sys.argv[1:]

def post(path, body):
    headers = {"X-API-KEY": key, "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

_, answer = post("/leases", {"bot_id": bot, "wait_seconds": 20, "lease_seconds": 1})
lease = answer["leases"][0]
post(f"/bots/{bot}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})
print(json.dumps(lease), flush=True)
sys.stdin.readline()
body = {"bot_id": bot, "lease_id": lease["lease_id"], "status": "succeeded", "output": {"from": "the zombie"}}
print(json.dumps(post(f"/tasks/{lease['task_id']}/results", body)), flush=True)
"""


def test_a_bot_that_wakes_up_after_its_work_was_done_by_another_changes_nothing(tmp_path: Path) -> None:
    with Server(tmp_path / "store.db") as server:
        key = server.key("admin")
        call = Caller(server, key)
        slow = call.post("/bots/register", {"type": "Executor", "version": "1", "name": "slow"})["id"]
        # The second subtask keeps the task open: a closed one would be told before the lost lease.
        subtasks = [
            {"key": "only", "description": ""},
            {"key": "open", "description": "", "required_skills": ["nobody"]},
        ]
        task = call.post("/tasks", {"title": "t", "evaluation": "none", "subtasks": subtasks})
        zombie = subprocess.Popen(
            [sys.executable, "-c", ZOMBIE, server.url, key, slow],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert zombie.stdin is not None
        assert zombie.stdout is not None
        first = json.loads(zombie.stdout.readline())
        os.kill(zombie.pid, signal.SIGSTOP)

        quick = call.post("/bots/register", {"type": "Executor", "version": "1", "name": "quick"})["id"]
        deadline = time.monotonic() + 30
        leases: list[dict[str, str]] = []
        while not leases and time.monotonic() < deadline:
            leases = call.post("/leases", {"bot_id": quick, "wait_seconds": 10})["leases"]
        report = {
            "bot_id": quick,
            "lease_id": leases[0]["lease_id"],
            "status": "succeeded",
            "output": {"from": "quick"},
        }
        call.post(f"/tasks/{task['id']}/results", report)
        before = call.get(f"/tasks/{task['id']}/subtasks/only")
        os.kill(zombie.pid, signal.SIGCONT)
        zombie.stdin.write("\n")
        zombie.stdin.flush()
        status, answer = json.loads(zombie.stdout.readline())
        zombie.wait(20)
        zombie.stdin.close()
        zombie.stdout.close()
        after = call.get(f"/tasks/{task['id']}/subtasks/only")

        assert first["attempt"] == 1
        assert (status, answer["code"]) == (409, "lease_lost")
        assert after["output"] == before["output"] == {"from": "quick"}
        assert after["status"] == before["status"] == "SUCCEEDED"
        assert [late["content"]["output"] for late in after["late_results"]] == [{"from": "the zombie"}]
