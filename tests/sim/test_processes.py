"""Level process: real processes killed with SIGKILL, and their history compared with the store."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from swarmkeeper.sim.play.scenarios import SCENARIOS, Bounds, Fleet, People
from swarmkeeper.sim.process.run import run_processes
from swarmkeeper.sim.process.runtime import PACE, is_supported, sped_up
from swarmkeeper.sim.process.server import ServerProcess
from swarmkeeper.sim.run import Case, RunOutcome
from swarmkeeper.storage.sqlite.store import path_of
from tests.acceptance.process import Process
from tests.support.postgres import rows, server

# A tenth of these seconds passes in wall time: leases have a TTL of two seconds.
SHORT = replace(
    SCENARIOS["golden"],
    tasks_per_hour=400,
    tasks_max=5,
    hours=80 / 3600,
    heal_hours=0.25,
    deadline=0,
    quorums={"1/1": 3, "1/2": 1, "2/2": 1},
    planners=Fleet(1, 2, 5, unsound=0.2),
    executors=Fleet(2, 2, 10, retryable=0.1),
    evaluators=Fleet(2, 2, 6),
    bounds=Bounds(lease_seconds=20, timeout_seconds=80, answer_seconds=40),
    people=People(cancel=0.1, pause=0.2, patch=0.2, retry=0.8, archive=0.5, decide_seconds=10),
)
BRIEF = replace(SHORT, hours=30 / 3600, tasks_max=3, people=People(cancel=0, pause=0, patch=0, tell=0, retry=0))


class ForkedServer:
    """An orchestrator's process that is forked from one that has loaded a server: its start takes a second less.

    It is a process like any other, and handled as one of asyncio.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self.send_signal, self.kill = process.send_signal, process.kill

    @property
    def stdout(self) -> ForkedServer:
        return self

    async def readline(self) -> bytes:
        return (await asyncio.to_thread(self._process.stdout.readline)).encode()

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    async def wait(self) -> int:
        while self.returncode is None:  # noqa: ASYNC110  # two threads that ask take the answer from each other
            await asyncio.sleep(0.005)
        self._process.stdout.close()
        return self.returncode


async def forked(self: ServerProcess, arguments: Sequence[str], log: object) -> ForkedServer:
    assert self._log is not None
    return ForkedServer(Process([sys.executable, *arguments], log=self._log, environment=self._env))


@pytest.fixture
def forked_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServerProcess, "_run", forked)


STORES = ("SQLite", "PostgreSQL")


def empty(store: str) -> str:
    """Return the URL of a database for a run; empty for the run's own file."""
    return server().new_database() if store == "PostgreSQL" else ""


def killed_at(*moments: int) -> tuple[str, ...]:
    return tuple(f"orch.crash@orchestrator:moment#{number}" for number in moments)


def bot_faults(kind: str, item: str) -> tuple[str, ...]:
    """Names of the fault for each executor, because any of them may get the item first."""
    return tuple(f"{kind}@executor-{number}:{item}#1" for number in (1, 2))


def played(seed: int, *faults: str, **options: Any) -> RunOutcome:
    return run_processes(Case(seed, BRIEF, faults=faults, level="process"), **options)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("store", STORES)
def test_nothing_that_was_acknowledged_is_lost_when_real_processes_are_killed(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store == "PostgreSQL":  # the others start as an operator starts them
        monkeypatch.setattr(ServerProcess, "_run", forked)
    kills = killed_at(2, 4, 7)
    dying = bot_faults("bot.crash", "t1/s1") + bot_faults("bot.freeze", "t2/s1") + bot_faults("bot.duplicate", "t3/s1")

    outcome = run_processes(Case(9, SHORT, faults=kills + dying, level="process"), store=empty(store))

    assert outcome.violation is None, outcome.violation
    assert outcome.boots == 4
    assert outcome.reached["the orchestrator was killed with -9"] == 3
    assert outcome.reached["a bot was killed with -9"] >= 1
    assert outcome.reached["the feed was followed on after the orchestrator had died"] >= 1
    assert set(kills) <= set(outcome.faults) <= set(kills + dying)
    assert len(outcome.statuses) == 5
    assert all(status.startswith(("ARCHIVED", "FAILED")) for status in outcome.statuses.values())
    assert outcome.trace_hash == "", "nothing of wall time is the same twice"


# ---- violations that must be found -----------------------------------------------------------------------------------


def tampered(sql: str) -> tuple[Callable[[str], None], list[int]]:
    """Return a function that changes one row once there is one, and the list of its numbers of changed rows."""
    changed: list[int] = []

    def tamper(store: str) -> None:
        if any(changed):
            return
        if store.startswith("postgresql:"):
            with ThreadPoolExecutor() as thread:  # the loop of the run goes on in this one
                changed.append(len(thread.submit(rows, store, f"{sql} RETURNING 1").result()))
            return
        with closing(sqlite3.connect(path_of(store))) as connection, connection:
            changed.append(connection.execute(sql).rowcount)

    return tamper, changed


UNENDED = """UPDATE attempt SET ending = 'expired' WHERE lease_id =
              (SELECT lease_id FROM attempt WHERE ending = 'succeeded' ORDER BY ended LIMIT 1)"""
DELETED = "DELETE FROM event WHERE seq = (SELECT min(seq) FROM event WHERE kind = 'work.leased')"


@pytest.mark.usefixtures("forked_servers")
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("store", "sql", "found_by"),
    [
        ("SQLite", UNENDED, "7.acknowledged"),
        ("SQLite", DELETED, "5.feed"),
        ("PostgreSQL", UNENDED, "7.acknowledged"),
    ],
    ids=["a result", "an event", "a result on PostgreSQL"],
)
def test_a_change_of_the_store_while_the_orchestrator_is_dead_is_found(store: str, sql: str, found_by: str) -> None:
    tamper, changed = tampered(sql)

    outcome = played(9, *killed_at(2, 3, 4), between=tamper, store=empty(store))

    assert changed[-1] == 1
    assert outcome.violation is not None
    assert outcome.violation.invariant == found_by, outcome.violation


@pytest.mark.usefixtures("forked_servers")
@pytest.mark.timeout(240)
def test_an_orchestrator_that_answers_before_anything_is_durable_is_found_when_it_is_killed() -> None:
    outcome = played(9, *killed_at(2), server=("-m", "tests.sim.forgetful_server", "serve"))

    assert outcome.violation is not None
    assert outcome.violation.invariant == "7.acknowledged", outcome.violation


# ---- scenarios and refusals ------------------------------------------------------------------------------------------


def test_a_scenario_is_sped_up_for_real_processes() -> None:
    fast = sped_up(SCENARIOS["standard"])

    assert fast.bounds.lease_seconds == 30 / PACE
    assert fast.tasks_per_hour * fast.hours == pytest.approx(20 * 6)
    assert fast.executors.work_seconds == 120 / PACE


def test_faults_without_a_counterpart_among_real_processes_are_left_out() -> None:
    kinds = sped_up(SCENARIOS["standard"]).faults

    assert {"orch.crash", "orch.pause", "bot.crash", "bot.vanish", "bot.zombie", "human.twice"} <= set(kinds)
    assert not any(kind.startswith(("net.", "store.")) for kind in kinds)
    assert not is_supported("orch.clock_jump")


def test_users_bots_are_refused() -> None:
    with pytest.raises(ValueError, match="does not support `bots`"):
        run_processes(Case(1, level="process", bots="mine.py:swarm"))
