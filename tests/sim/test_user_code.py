"""Users' own bots and invariants in a run: the faults of their processes, and the guards against the real world."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from swarmkeeper.sim.play.scenarios import SCENARIOS, People
from swarmkeeper.sim.run import Case, RunOutcome, run
from swarmkeeper.sim.user_code import UserCodeFails

ONE = replace(
    SCENARIOS["golden"],
    tasks_max=1,
    hours=0.05,
    evaluation={"none": 1},
    approvals={"none": 1},
    deadline=0,
    people=People(cancel=0, pause=0, patch=0, tell=0, drain=0),
    faults=(),
)
BOTS = """
import asyncio, logging, subprocess
import httpx2
from swarmkeeper import Done, ExecutorBot, Plan, PlannerBot, SubTask, executor

runs = []

class Boss(PlannerBot):
    async def plan(self, task):
        await asyncio.sleep(5)
        return Plan([SubTask(key="only", description="x")])

class Counts(ExecutorBot):
    count = 0
    async def execute(self, subtask):
        self.count += 1
        runs.append(1)
        await asyncio.sleep(10 * self.count + 100 * (len(runs) - self.count))
        return Done({})

swarm = [Boss(), Counts()]

def told(subtask):
    CALL
    return Done({})

over = [Boss, executor(told)]
"""


def played(folder: Path, name: str = "swarm", call: str = "pass", faults: tuple[str, ...] = ()) -> RunOutcome:
    (folder / "bots.py").write_text(BOTS.replace("CALL", call))
    case = Case(5, ONE, faults=faults, level="http", bots=f"{folder / 'bots.py'}:{name}")
    outcome = run(case)
    assert outcome.violation is None, outcome.violation
    return outcome


def test_a_users_bot_dies_and_a_new_process_of_it_continues(tmp_path: Path) -> None:
    calm = played(tmp_path)
    crashed = played(tmp_path, faults=("bot.crash@Counts-1:t1/only#1", "bot.crash@Counts-2:t1/only#1"))

    assert len(crashed.faults) == 1
    assert calm.statuses == crashed.statuses == {"t1": "ARCHIVED (accepted)"}
    assert played(tmp_path).trace_hash == calm.trace_hash


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("httpx2.get('http://127.0.0.1:9/')", "put a stand-in there"),
        ("subprocess.run(['true'])", "put a stand-in there"),
        ("logging.error('no')", "log warnings at most"),
        ("import random; random.random()", "draw from `random.Random(context.work_id)`"),
        ("import time; time.sleep(1)", "wait with `await asyncio.sleep(seconds)`"),
    ],
)
def test_user_code_that_hits_a_guard_is_named_by_its_line(tmp_path: Path, call: str, why: str) -> None:
    line = BOTS.splitlines().index("    CALL") + 1

    with pytest.raises(UserCodeFails, match=rf"^bots.py, line {line} reaches for .*{re.escape(why)}"):
        played(tmp_path, "over", call)


def test_users_bots_need_level_http(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="level http"):
        run(Case(1, ONE, bots="bots.py"))
