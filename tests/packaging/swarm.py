"""A swarm whose bots and client run with a Python of their own, against a real server."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.server import Server

PROGRAM = Path(__file__).with_name("bot_program.py")
BOTS = ("bot:planner", "bot:executor", "bot:evaluator")
# What the client sees if all went well.
DONE = {
    "outcome": "accepted",
    "count": {"words": 6, "printed": "42"},
    "shout": {"text": "LOUD\n"},
    "explained": True,
    "nodes": 2,
}


@dataclass(frozen=True)
class Played:
    """What the client printed, and how each bot ended after SIGTERM: its exit code, and whether it showed an error."""

    seen: dict[str, Any]
    bots: dict[str, tuple[int, bool]]


def play(python: Path, folder: Path) -> Played:
    """Run a planner, an executor and an evaluator, and a client that submits a task, each with `python`."""
    running: dict[str, subprocess.Popen[str]] = {}
    with Server(folder / "store.db") as server:
        try:
            for role in (*BOTS, "client"):
                given = {**os.environ, "SWARMKEEPER_URL": server.url, "SWARMKEEPER_API_KEY": server.key(role)}
                # -P: without the tests' folder on the path
                running[role] = subprocess.Popen(
                    [python, "-P", PROGRAM, role],
                    env=given,
                    cwd=folder,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            out, err = running["client"].communicate(timeout=90)
            assert running["client"].returncode == 0, err
            ended = {}
            for role in BOTS:
                running[role].terminate()
                said = running[role].communicate(timeout=60)[1]
                ended[role] = (running[role].returncode, "Traceback" in said)
        finally:
            for process in running.values():
                process.kill()
                process.wait()
    return Played(json.loads(out), ended)
