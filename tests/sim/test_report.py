"""Measuring does not change runs; reports show figures with bands in each format."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import fields, replace
from functools import cache

import pytest

from swarmkeeper.sim import pool
from swarmkeeper.sim.artifacts import as_file, as_test
from swarmkeeper.sim.cases import from_json
from swarmkeeper.sim.invariants import Violation, invariant
from swarmkeeper.sim.oracle.records import Commit, Records
from swarmkeeper.sim.pool import Played, play, play_all, with_fleet
from swarmkeeper.sim.rehearse.measure import QUEUEING, Measure, Measured
from swarmkeeper.sim.rehearse.report import (
    Band,
    as_html,
    as_json,
    as_junit,
    as_text,
    band,
    bottleneck_of,
    quantile,
    report_of,
    verdict_lines,
)
from swarmkeeper.sim.rehearse.scenario_files import Prices, Rehearsal, Targets, made
from swarmkeeper.sim.run import Case, run

TIGHT = replace(
    made(
        {
            "tasks_per_hour": 120,
            "tasks_max": 5,
            "hours": 0.2,
            "size": 3,
            "planned_by_client": 1,
            "approvals": {"none": 1},
            "evaluation": {"final": 1},
            "quorums": {"1/1": 1},
            "deadline": 0,
            "executors": {"count": 1, "capacity": 1, "work_seconds": 30, "deferred": 0, "asks": 0},
            "evaluators": {"count": 2, "work_seconds": 5},
            "people": {"cancel": 0, "pause": 0, "drain": 0},
            "faults": [],
        },
        name="tight",
    ),
    prices=Prices(3.0),
)
SEEDS = (1, 2)


@cache
def played(executors: int = 1) -> tuple[Played, ...]:
    scenario = with_fleet(TIGHT.scenario, "executors", count=executors)
    return tuple(play(Case(seed, scenario)) for seed in SEEDS)


def measured(executors: int = 1) -> list[Measured]:
    return [run_.measured for run_ in played(executors)]


def broken(run_: Played, why: str) -> Played:
    return replace(run_, outcome=replace(run_.outcome, violation=Violation("2.fence", "t1/a", why, 5)))


# ---- measurements --------------------------------------------------------------------------------------------------


def test_measuring_does_not_change_the_run() -> None:
    assert run(Case(1, TIGHT.scenario)).trace_hash == played()[0].outcome.trace_hash


def test_each_moment_of_a_task_counts_for_exactly_one_activity() -> None:
    born: dict[str, float] = {}
    ended: dict[str, float] = {}

    @invariant("when tasks begin and end is noted")
    def noted(model: Records, commit: Commit) -> Iterable[str]:
        for event in commit.events:
            if event.kind == "task.submitted":
                born[str(event.task)] = event.at / 1e6
        for task in commit.tasks.values():
            if task.outcome is not None:
                ended.setdefault(task.id, commit.events[-1].at / 1e6)
        return ()

    scenario = replace(TIGHT.scenario, people=replace(TIGHT.scenario.people, retry=0))
    measure = Measure(scenario)
    run(Case(1, scenario), invariants=[measure.invariant, noted])

    whole = sum(ended[task] - born[task] for task in ended)
    assert len(ended) == len(born) == 5
    # Times are measured at the commit, a few milliseconds after the decision.
    assert sum(measure.measured().times.values()) == pytest.approx(whole, abs=0.5)


def test_bots_are_busy_as_long_as_their_attempts_last() -> None:
    attempts: list[float] = []

    @invariant("how long attempts last is noted")
    def noted(model: Records, commit: Commit) -> Iterable[str]:
        attempts.extend((attempt.ended - attempt.started) / 1e6 for attempt in commit.attempts)
        return ()

    measure = Measure(TIGHT.scenario)
    run(Case(1, TIGHT.scenario), invariants=[measure.invariant, noted])
    found = measure.measured()

    assert sum(line.busy for line in found.lines.values()) == pytest.approx(sum(attempts), abs=0.5)
    executing = sum(line.busy for line in found.lines.values() if line.fleet == "executors")
    assert found.utilisation["executors"] == pytest.approx(executing / (0.2 * 3600))


def test_more_bots_wait_less_and_are_less_busy() -> None:
    for few, more in zip(measured(), measured(4), strict=True):
        assert more.times[QUEUEING] < few.times[QUEUEING]
        assert more.utilisation["executors"] < few.utilisation["executors"]
        assert sum(more.completions) < sum(few.completions)
        assert more.tokens > 0


def test_tokens_of_later_rounds_are_those_of_rework() -> None:
    again = replace(TIGHT.scenario, verdicts={"accept": 1, "rework": 4})
    once = replace(TIGHT.scenario, verdicts={"accept": 1})

    assert play(Case(1, once)).measured.tokens_rework == 0
    assert 0 < (found := play(Case(1, again)).measured).tokens_rework < found.tokens


def test_several_processes_give_the_same_runs_in_the_same_order() -> None:
    cases = [Case(seed, TIGHT.scenario) for seed in SEEDS]

    assert list(play_all(cases, jobs=2)) == list(played())


def test_a_case_that_is_played_twice_reports_whether_the_runs_were_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(1, TIGHT.scenario)
    assert play(case, twice=True).same is True
    assert play(case).same is None

    hashes = iter(["a", "b"])
    monkeypatch.setattr(pool, "run", lambda *given, **more: replace(run(*given, **more), trace_hash=next(hashes)))
    assert play(case, twice=True).same is False


# ---- reports -------------------------------------------------------------------------------------------------------


def test_a_band_is_the_median_and_the_range_of_most_values() -> None:
    assert quantile([], 0.5) is None
    assert [quantile([1, 2, 3, 4], share) for share in (0, 0.25, 0.26, 0.5, 0.95, 1)] == [1, 1, 2, 2, 4, 4]
    assert band([None, None]) is None
    assert band([3.0, None, 1.0]) == Band(2.0, 1.0, 3.0)
    assert band([float(number) for number in range(1, 12)]) == Band(6.0, 2.0, 10.0)


def test_the_report_names_the_bottleneck_and_tries_one_more_bot_there() -> None:
    tight = bottleneck_of(measured())
    assert tight is not None
    assert tight.fleet == "executors"
    assert tight.waiting.startswith("execute: ")
    assert bottleneck_of(measured(8)) is None

    lines = verdict_lines(report_of(TIGHT, played(), played(2)))

    assert lines[0].startswith("bottleneck: executors")
    assert any("one more of the executors: completion, half within" in line for line in lines)


@pytest.mark.parametrize(
    ("targets", "held"),
    [
        (Targets(tasks_per_hour_min=1), True),
        (Targets(tasks_per_hour_min=10_000), False),
        (Targets(completion_p95_seconds_max=100_000), True),
        (Targets(completion_p95_seconds_max=1), False),
        (Targets(utilisation_max=0.001), False),
        (Targets(usd_per_task_max=1), True),
        (Targets(usd_per_task_max=0.000001), False),
    ],
)
def test_a_target_is_compared_with_the_median_of_the_runs(targets: Targets, held: bool) -> None:
    whole = report_of(replace(TIGHT, targets=targets), played())

    assert [target.held for target in whole.targets] == [held]
    assert [target.held_in for target in whole.targets] == [2 if held else 0]
    assert bool(whole.missed) is not held


def test_a_target_without_a_value_is_missed() -> None:
    nothing = [replace(run_, measured=replace(run_.measured, completions=(), accepted=0)) for run_ in played()]

    whole = report_of(replace(TIGHT, targets=Targets(completion_p50_seconds_max=1e6)), nothing)

    assert whole.missed


def test_every_target_is_a_figure_of_the_report() -> None:
    asked = Targets(*(1.0 for _ in fields(Targets)))

    assert len(report_of(replace(TIGHT, targets=asked), played()).targets) == len(fields(Targets))


def test_the_page_loads_nothing_and_allows_only_its_own_style() -> None:
    page = as_html(report_of(TIGHT, [broken(played()[0], "<script>alert(1)</script>"), played()[1]]))
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page
    assert not re.search(r"<(script|link|img|iframe)|\s(src|href|style|on\w+)=|url\(|@import|https?:", page)
    assert "&lt;script&gt;" in page
    assert "1 of the runs broke an invariant" in page
    assert "$" not in re.sub(r"\$\d", "", page), "a place of the template was left"


def test_junit_has_a_case_for_each_seed_and_target_and_fails_broken_ones() -> None:
    runs = [broken(played()[0], "\x00 odd"), replace(played()[1], same=False)]
    whole = report_of(replace(TIGHT, targets=Targets(tasks_per_hour_min=10_000, usd_per_task_max=1)), runs)

    suite = ET.fromstring(as_junit(whole, lambda one: f"again {one.seed}"))

    assert (suite.get("tests"), suite.get("failures")) == ("4", "3")
    failed = {case.get("name"): case.findtext("failure") for case in suite if case.find("failure") is not None}
    assert failed == {"1": "again 1", "2": "again 2", "tasks_per_hour_min": ""}


def test_the_json_report_is_complete() -> None:
    report = json.loads(json.dumps(as_json(report_of(TIGHT, played(), played(2)))))

    assert report["violations"] == 0
    assert [one["seed"] for one in report["runs"]] == list(SEEDS)
    assert report["figures"]["completion_p50_seconds"]["low"] <= report["figures"]["completion_p50_seconds"]["high"]
    assert sum(one["median"] for one in report["time_shares"].values()) == pytest.approx(1, abs=0.1)
    assert report["bottleneck"]["fleet"] == "executors"
    assert report["one_more_bot"]["utilisation"]["median"] < report["figures"]["utilisation"]["median"]
    assert {row["name"] for row in report["lines"]} >= {"review", "execute: any skills"}
    assert report["reached"]


def test_text_has_each_figure_and_the_cost_only_with_prices() -> None:
    priced = "\n".join(as_text(report_of(TIGHT, played())))
    free = "\n".join(as_text(report_of(Rehearsal(TIGHT.scenario), played())))

    assert "2 runs of 0.2 virtual hours at level core" in priced
    assert "Completion, 95 % within" in priced
    assert "Cost of each task" in priced
    assert "Cost of each task" not in free


def test_a_kept_case_can_be_played_again_and_its_test_runs_alone() -> None:
    outcome = broken(played()[0], "so").outcome
    case = replace(outcome.case, faults=("bot.crash@executor-1:t1/s1#1",))

    assert from_json(json.loads(as_file(case))) == case

    names: dict[str, object] = {}
    exec(as_test(replace(outcome, case=case)), names)
    test = names["test_2_fence_1"]
    assert callable(test)
    test()
