"""Level http: the whole application over HTTP with SDK bots, in the same runs as level core."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from swarmkeeper.core.model import Principal
from swarmkeeper.http.dependencies import Call
from swarmkeeper.reads import feed
from swarmkeeper.reads.queries import Queries
from swarmkeeper.sdk.session import Session
from swarmkeeper.sim import cases
from swarmkeeper.sim.play.scenarios import SCENARIOS, People
from swarmkeeper.sim.run import Case, RunOutcome, run

GOLDEN = SCENARIOS["golden"]
# Without cancelling and deadlines, the end of a task does not depend on timing.
STEADY = replace(
    SCENARIOS["standard"],
    tasks_per_hour=40,
    hours=0.06,
    deadline=0,
    people=People(cancel=0, pause=0.1, patch=0.1, tell=0.1, retry=0.6, decide_seconds=30),
)
SHORT = replace(GOLDEN, hours=0.1, tasks_max=2)

ONE_RUN = """
from dataclasses import replace
from swarmkeeper.sim.run import Case, run
from swarmkeeper.sim.play.scenarios import SCENARIOS
outcome = run(Case(3, replace(SCENARIOS["golden"], hours=0.1, tasks_max=2), level="http"))
print(outcome.trace_hash, outcome.violation, len(outcome.faults), outcome.boots)
"""


def said_in_another_process(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ONE_RUN],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def played(seed: int, **more: Any) -> RunOutcome:
    return run(Case(seed, **{"scenario": SHORT, "level": "http", **more}))


@cache
def calm() -> RunOutcome:
    return played(1, faults=())


def holds(outcome: RunOutcome) -> RunOutcome:
    assert outcome.violation is None, (outcome.violation, outcome.faults)
    return outcome


@pytest.mark.parametrize(("seed", "faults"), [(7, ()), (28, None), (30, None)])
def test_both_levels_end_in_the_same_statuses(seed: int, faults: tuple[str, ...] | None) -> None:
    first = holds(run(Case(seed, STEADY, faults=faults)))
    second = holds(run(Case(seed, STEADY, faults=faults, level="http")))

    assert second.statuses == first.statuses
    assert len(second.statuses) > 1
    assert bool(second.faults) == (faults is None)


def test_one_seed_gives_one_trace_in_every_process() -> None:
    outcome = holds(played(3))
    here = f"{outcome.trace_hash} None {len(outcome.faults)} {outcome.boots}"

    # The other process has another hash seed than this one.
    assert said_in_another_process("0" if sys.flags.hash_randomization else "random") == here


@pytest.mark.parametrize("seed", [2, 5])
def test_no_invariant_breaks_under_faults(seed: int) -> None:
    outcome = holds(played(seed))

    assert outcome.faults


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(cases.BadCase, match="level"):
        cases.from_json({"seed": 1, "level": "tcp"})


# ---- orchestrator crashes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "orch.crash@orchestrator:minute#2",
        "orch.upgrade@orchestrator:minute#2",
        "store.crash_before@commit:work.succeeded.t1/s1#1",
        "store.crash_after@commit:work.succeeded.t1/s1#1",
    ],
)
def test_after_a_crash_or_upgrade_tasks_end_as_without_it(fault: str) -> None:
    outcome = holds(played(1, faults=(fault,)))

    assert outcome.faults == (fault,)
    assert outcome.boots == 2
    assert outcome.statuses == calm().statuses


# ---- faults of SDK bots ----------------------------------------------------------------------------------------------


def test_a_bot_that_does_not_beat_loses_its_lease_and_the_task_still_ends() -> None:
    outcome = holds(played(1, faults=("bot.mute@executor-1:t1/s1#1", "bot.slow@executor-1:t1/s1#1")))

    assert len(outcome.faults) == 2
    # The lease id was never answered, but its bot claimed again later: the lease had arrived.
    assert outcome.reached["work.lease_expired"] == 1
    assert outcome.reached["a bot heard `lost`"] == 1
    assert outcome.statuses == calm().statuses


def test_a_dead_process_is_replaced_and_the_new_one_continues() -> None:
    outcome = holds(played(1, faults=("bot.crash@planner-1:t2/plan#1",)))

    assert outcome.faults
    assert outcome.statuses == calm().statuses


def test_a_report_that_comes_twice_is_answered_as_before() -> None:
    outcome = holds(played(1, faults=("bot.duplicate@planner-1:t2/plan#1",)))

    assert outcome.reached["a report that was sent again was answered with 200"]


# ---- the feed --------------------------------------------------------------------------------------------------------


def test_a_follower_continues_where_its_stream_broke() -> None:
    outcome = holds(played(1, faults=("net.reset@auditor:follow.1#5",)))

    assert outcome.reached["a connection broke in the middle of a stream"]


# ---- planted bugs ----------------------------------------------------------------------------------------------------


def test_an_event_that_is_not_sent_to_followers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    put = feed.Subscription.put

    def forgetful(self: feed.Subscription, row: Any) -> None:
        if row["seq"] % 20:
            put(self, row)

    monkeypatch.setattr(feed.Subscription, "put", forgetful)

    violation = played(1, faults=()).violation

    assert violation is not None
    assert violation.invariant == "5.feed"


def test_a_stale_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {}
    read = Queries.task

    async def stale(self: Queries, by: Principal, task: str) -> Any:
        if task not in known:
            known[task] = await read(self, by, task)
        return known[task]

    monkeypatch.setattr(Queries, "task", stale)

    violation = played(1, faults=()).violation

    assert violation is not None
    assert violation.invariant == "7.durable"


def test_an_ignored_idempotency_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "idempotency_key", lambda call: None)

    violation = played(1, faults=("net.lose_reply@client:submit.t1#1",)).violation

    assert violation is not None
    assert violation.invariant == "1.one-task"


def test_an_error_logged_by_the_sdk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def prepare(self: Session, lease: Any, answer: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Session, "prepare", prepare)

    violation = played(1, faults=()).violation

    assert violation is not None
    assert violation.invariant == "0.real-world"
    assert "a mistake of ours" in violation.why
