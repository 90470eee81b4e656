"""Calibration recovers the scenario of a recorded play and names what it cannot know. Back-tests show small errors for
an unchanged swarm, and large errors for a changed one.
"""

from __future__ import annotations

import asyncio
import json
import random
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.model import Event
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.sdk.answers import Accept, Answer, Done, Plan
from swarmkeeper.sdk.bots import EvaluatorBot, ExecutorBot, PlannerBot
from swarmkeeper.sdk.context import Candidate, Context
from swarmkeeper.sim.rehearse import backtest
from swarmkeeper.sim.rehearse.backtest import BackTest, Comparison, Recorder, held_against, play, trial_of
from swarmkeeper.sim.rehearse.calibrate import Calibrated, as_file, calibrate, durations_of, shape_of, weights_of
from swarmkeeper.sim.rehearse.measure import Measure, Measured
from swarmkeeper.sim.rehearse.recording import BadFeed, Fact, RecordedTask, Recording, of_lines, part_of, read, story_of
from swarmkeeper.sim.rehearse.scenario_files import BadScenario, made
from swarmkeeper.sim.run import Case, run
from swarmkeeper.testing import running_swarm
from swarmkeeper.wire.requests import SubTask, TaskDefinition
from swarmkeeper.wire.shapes import rfc3339

KNOWN = made(
    {
        "tasks_per_hour": 240,
        "hours": 0.3,
        "planned_by_client": 0.5,
        "shapes": {"chain": 1, "flat": 1},
        "sizes": {"1": 1, "3": 2},
        "skilled": 0,
        "evaluation": {"final": 1},
        "quorums": {"1/1": 1},
        "approvals": {"none": 1},
        "deadline": 0,
        "verdicts": {"accept": 9, "rework": 2, "reject": 0},
        "continues": 0,
        "planners": {"count": 1, "capacity": 2, "durations": [4], "unsound": 0, "asks": 0, "rate_limited": 0},
        "executors": {
            "count": 3,
            "capacity": 2,
            "durations": [6, 8, 10, 12, 14, 16, 18],
            "tokens": 70,
            "retryable": 0.12,
            "not_retryable": 0,
            "rate_limited": 0,
            "released": 0.05,
            "deferred": 0,
            "asks": 0,
        },
        "evaluators": {"count": 1, "capacity": 2, "durations": [3, 5, 7], "unsound": 0},
        "people": {"cancel": 0, "pause": 0, "patch": 0, "tell": 0, "drain": 0},
        "bounds": {"lease_seconds": 300},
        "faults": [],
    },
    name="known",
)
SLOTS = {"planners": 2, "executors": 6, "evaluators": 2}


@dataclass(frozen=True)
class Played:
    events: Sequence[Event]
    recording: Recording
    measured: Measured


@pytest.fixture(scope="module")
def played() -> Played:
    """One run of a known scenario, with its feed and its own measurements."""
    recorder, measure = Recorder(), Measure(KNOWN.scenario)
    outcome = run(Case(4, KNOWN.scenario), invariants=[recorder.invariant, measure.invariant])
    assert outcome.violation is None
    return Played(recorder.events, recorder.recording(), measure.measured())


@pytest.fixture(scope="module")
def found(played: Played) -> Calibrated:
    return calibrate(played.recording)


def line_of(event: Event, number: int) -> str:
    """An event as a line of the feed."""
    body = event.body.value
    assert isinstance(body, dict)
    data: dict[str, Any] = {**body, "task_id": event.task, "work_id": event.work, "actor": event.actor}
    subject = None if event.task is None else f"tasks/{event.task}"
    return json.dumps(
        {
            "id": str(number),
            "time": rfc3339(event.at),
            "type": f"io.swarmkeeper.{event.kind}.v1",
            "subject": subject,
            "sequence": event.sequence,
            "data": data,
        }
    )


@pytest.fixture(scope="module")
def lines(played: Played) -> list[str]:
    return [line_of(event, number) for number, event in enumerate(played.events, 1)]


# ---- feeds of runs -------------------------------------------------------------------------------------------------


def test_a_part_of_a_feed_measures_what_the_run_itself_measured(played: Played) -> None:
    from_run = played.measured

    from_feed = part_of(story_of(played.recording), 0, KNOWN.scenario.hours * 3600, SLOTS).measured
    to_the_end = part_of(story_of(played.recording), 0, played.recording.seconds, SLOTS).measured

    assert set(from_run.lines) == {"plan", "execute: any skills", "review"}  # nothing is `skilled`
    assert from_feed.ended_in_time == from_run.ended_in_time
    assert from_feed.utilisation == pytest.approx(from_run.utilisation, abs=1e-4)
    assert (to_the_end.tasks, to_the_end.ended, to_the_end.accepted) == (
        from_run.tasks,
        from_run.ended,
        from_run.accepted,
    )
    assert to_the_end.completions == pytest.approx(from_run.completions, abs=0.1)
    assert (to_the_end.tokens, to_the_end.tokens_rework) == (from_run.tokens, from_run.tokens_rework)
    waits = sum(sum(line.waits) for line in from_run.lines.values())
    assert sum(sum(line.waits) for line in from_feed.lines.values()) == pytest.approx(waits, rel=0.01)


def test_a_feed_in_lines_is_calibrated_like_the_run(played: Played, lines: list[str]) -> None:
    of_file = calibrate(of_lines(lines))
    of_run = calibrate(replace(played.recording, tokens=None))

    assert of_file.plain == of_run.plain


@pytest.fixture(scope="module")
def shown(lines: list[str]) -> list[str]:
    """The lines as a tenant is shown them: their ids do not tell their places."""
    cursors = Cursors(bytes(32))
    return [json.dumps({**json.loads(line), "id": cursors.encode("t", n)}) for n, line in enumerate(lines, 1)]


def test_a_feed_whose_ids_are_cursors_is_calibrated_like_one_with_numbers(lines: list[str], shown: list[str]) -> None:
    by_number, by_time = of_lines(lines), of_lines(shown)

    assert by_time.facts == by_number.facts
    assert (by_time.moved, by_time.repeated) == (0, 0)


def test_lines_with_cursors_may_come_in_any_order_and_again(shown: list[str]) -> None:
    in_order = of_lines(shown)
    shuffled = [*shown, *shown[:7]]
    Random(5).shuffle(shuffled)
    found = of_lines(shuffled)

    assert found.repeated == 7
    assert found.moved > len(shown) / 4
    assert [fact.at for fact in found.facts] == [fact.at for fact in in_order.facts]
    assert stories(found) == stories(in_order), "each task's events are in the order of its sequence"
    assert calibrate(found).plain == calibrate(in_order).plain


def stories(recording: Recording) -> dict[str | None, list[tuple[str, Mapping[str, Any]]]]:
    found: dict[str | None, list[tuple[str, Mapping[str, Any]]]] = {}
    for fact in recording.facts:
        found.setdefault(fact.task, []).append((fact.kind, fact.data))
    return {task: facts for task, facts in found.items() if task is not None}


def test_recordings_of_single_tasks_one_after_the_other_are_read_in_the_order_of_time(shown: list[str]) -> None:
    by_task = sorted(shown, key=lambda line: json.loads(line)["subject"] or "")

    assert [fact.at for fact in of_lines(by_task).facts] == [fact.at for fact in of_lines(shown).facts]


def test_a_clock_that_was_set_back_does_not_turn_a_task_around() -> None:
    first, then = json.loads(GOOD), json.loads(GOOD)
    cursors = Cursors(bytes(32))
    first |= {"id": cursors.encode("t", 1), "sequence": 1}
    then |= {"id": cursors.encode("t", 2), "sequence": 2, "time": "2025-12-31T23:59:00Z"}
    then["type"] = "io.swarmkeeper.task.archived.v1"

    for lines in ([first, then], [then, first]):
        found = of_lines(map(json.dumps, lines))
        assert [(fact.kind, fact.at) for fact in found.facts] == [("task.submitted", 0.0), ("task.archived", 0.0)]


# ---- calibration ---------------------------------------------------------------------------------------------------


def test_the_numbers_of_a_known_scenario_come_back(found: Calibrated) -> None:
    scenario, known = found.rehearsal.scenario, KNOWN.scenario
    verdicts = scenario.verdicts

    assert scenario.tasks_per_hour == pytest.approx(known.tasks_per_hour, rel=0.25)
    assert scenario.hours == pytest.approx(known.hours, rel=0.1)
    assert scenario.planned_by_client == pytest.approx(0.5, abs=0.15)
    assert set(scenario.sizes) == {"1", "3"}
    assert scenario.sizes["3"] / sum(scenario.sizes.values()) == pytest.approx(2 / 3, abs=0.15)
    assert set(scenario.shapes) == {"chain", "flat"}
    assert scenario.shapes["chain"] / (scenario.shapes["chain"] + scenario.shapes["flat"]) == pytest.approx(
        0.5, abs=0.2
    )
    assert scenario.evaluation == {"final": pytest.approx(found.tasks, abs=5)}
    assert set(scenario.quorums) == {"1/1"}
    assert set(scenario.approvals) == {"none"}
    assert verdicts["rework"] / sum(verdicts.values()) == pytest.approx(2 / 11, abs=0.08)
    assert (scenario.deadline, scenario.people.cancel, scenario.people.pause, scenario.faults) == (0, 0, 0, ())


def test_the_bots_of_a_known_scenario_come_back(found: Calibrated) -> None:
    scenario, known = found.rehearsal.scenario, KNOWN.scenario

    for name in ("planners", "executors", "evaluators"):
        fleet, of = getattr(scenario, name), getattr(known, name)
        assert (fleet.count, fleet.capacity, fleet.tokens) == (of.count, of.capacity, of.tokens), name
        assert fmean(fleet.durations) == pytest.approx(fmean(of.durations), rel=0.1), name
        assert fleet.durations[0] == pytest.approx(of.durations[0], abs=0.2), name
        assert fleet.durations[-1] == pytest.approx(of.durations[-1], abs=0.2), name
    assert scenario.executors.retryable == pytest.approx(0.12, abs=0.06)
    assert scenario.executors.released == pytest.approx(0.05, abs=0.04)
    assert (scenario.executors.not_retryable, scenario.executors.asks) == (0, 0)


def test_a_file_names_the_source_of_each_number_and_all_that_is_unknown(found: Calibrated, tmp_path: Path) -> None:
    as_yaml, as_toml = as_file(found, ".yaml"), as_file(found, ".toml")

    plain = yaml.safe_load(as_yaml)
    assert plain == tomllib.loads(as_toml) == found.plain
    assert made(plain, name="x").scenario == found.rehearsal.scenario
    for text in (as_yaml, as_toml):
        assert all(f"# - {note}\n" in text for note in found.notes)
        assert f"{found.tasks} tasks in " in text
    assert any(note.startswith("faults: none are played") for note in found.notes)
    assert any(note.startswith("capacity:") for note in found.notes)
    assert not any(note.startswith("tokens:") for note in found.notes)  # this recording knows them


def test_notes_name_what_a_feed_cannot_show(lines: list[str]) -> None:
    found = calibrate(of_lines(lines))

    assert any(note.startswith("tokens:") for note in found.notes)
    assert found.rehearsal.scenario.executors.tokens == 0


# ---- back-tests ----------------------------------------------------------------------------------------------------


def errors_of(recording: Recording) -> tuple[BackTest, Mapping[str, Comparison]]:
    trial = trial_of(recording, calibrate(recording), hold_back=0.5)
    test = held_against(trial, list(play(trial, [1, 2])))
    return test, {check.name: check for check in test.checks}


def test_the_back_test_of_an_unchanged_swarm_shows_small_errors(played: Played) -> None:
    test, checks = errors_of(played.recording)

    assert not test.trial.in_sample
    assert test.trial.calibrated.tasks < calibrate(played.recording).tasks
    assert set(checks) >= {"tasks_per_hour", "accepted_share", "completion_p95_seconds", "tokens_per_task"}
    assert set(checks) >= {"queue_p95_seconds", "rework_time_share", "utilisation_executors"}
    for name in ("tasks_per_hour", "completion_p50_seconds", "utilisation_executors", "accepted_share"):
        error = checks[name].error_percent
        assert error is not None
        assert abs(error) < 35, name
    of_share, of_time, of_wait = (
        checks["accepted_share"],
        checks["completion_p50_seconds"],
        checks["queue_mean_seconds"],
    )
    assert of_share.error_percent == pytest.approx(100 * off(of_share))
    assert of_time.error_percent == pytest.approx(100 * off(of_time) / (of_time.measured or 0))
    assert of_wait.error_percent == pytest.approx(100 * off(of_wait) / (of_time.measured or 0))


def off(check: Comparison) -> float:
    assert check.simulated is not None
    assert check.measured is not None
    return check.simulated.median - check.measured


def test_the_back_test_of_a_swarm_that_became_twice_as_slow_shows_the_error(played: Played) -> None:
    facts, middle = played.recording.facts, KNOWN.scenario.hours * 3600 * 0.7
    slowed = [replace(fact, at=fact.at + max(0.0, fact.at - middle)) for fact in facts]

    recording = replace(played.recording, facts=slowed)
    trial = trial_of(recording, calibrate(recording), hold_back=0.46)  # 0.7 : 0.6, so that it parts where it slows down
    test = held_against(trial, list(play(trial, [1, 2])))
    checks = {check.name: check for check in test.checks}

    assert not test.trial.in_sample
    assert trial.calibrated.begun + trial.since == pytest.approx(middle, rel=0.05)
    assert (checks["tasks_per_hour"].error_percent or 0) > 50
    assert (checks["completion_p50_seconds"].error_percent or 0) < -25
    assert {"tasks_per_hour"} <= {check.name for check in test.beyond(50)}
    assert any("Tasks that end in an hour" in line and "+" in line for line in backtest.as_text(test))
    plain = backtest.as_json(test)
    assert plain["in_sample"] is False
    assert plain["figures"]["tasks_per_hour"]["error_percent"] == checks["tasks_per_hour"].error_percent


def test_a_figure_known_on_one_side_only_exceeds_every_bound() -> None:
    check = Comparison("x", "x", "s", 10.0, None, None, inside=False)
    small = replace(check, error_percent=-9.0)
    test = BackTest(None, [1], [check, small])  # type: ignore[arg-type]  # what it is of does not matter here

    assert test.beyond(10) == [check]
    assert test.beyond(8) == [check, small]


# ---- a real run ----------------------------------------------------------------------------------------------------


class Planner(PlannerBot):
    async def plan(self, task: TaskDefinition, context: Context) -> Answer:
        return Plan([SubTask(key="a", description="first"), SubTask(key="b", description="then", depends_on=["a"])])


class Worker(ExecutorBot):
    async def execute(self, subtask: SubTask, context: Context) -> Answer:
        await asyncio.sleep(0.02)
        return Done({"of": subtask.key})


class Judge(EvaluatorBot):
    async def review(self, candidate: Candidate, context: Context) -> Answer:
        return Accept(1.0, ["fine"])


def test_the_feed_of_a_real_swarm_is_calibrated_like_any_other() -> None:
    async def recorded() -> list[str]:
        async with running_swarm([Planner(), Worker(), Judge()]) as client:
            tasks = [await client.submit({"title": f"task {number}"}) for number in range(3)]
            for task in tasks:
                await client.wait(task.id)
            return [event.model_dump_json(exclude_none=True) async for event in client.events()]

    recording = of_lines(asyncio.run(recorded()))
    found = calibrate(recording)
    trial = trial_of(recording, found, hold_back=0.3)
    test = held_against(trial, list(play(trial, [1])))

    scenario = found.rehearsal.scenario
    assert (found.tasks, scenario.planned_by_client, scenario.sizes) == (3, 0, {"2": 3})
    assert (scenario.shapes, scenario.evaluation, scenario.quorums) == ({"chain": 3}, {"final": 3}, {"1/1": 3})
    assert min(scenario.executors.durations) >= 0.02
    assert test.trial.in_sample
    assert "IN-SAMPLE" in backtest.as_text(test)[0]


# ---- broken recordings ---------------------------------------------------------------------------------------------

GOOD = '{"id": "1", "type": "io.swarmkeeper.task.submitted.v1", "time": "2026-01-01T00:00:00Z", "subject": "tasks/t"}'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: this is not JSON"),
        ("[" * 100_000, "line 2: this is not JSON"),
        ("[]", "line 2: this is not an event"),
        ('{"data": {}}', "line 2: this is not an event"),
        (GOOD.replace('"1"', '"one"'), "line 2: the event's `id` is not a position in the feed"),
        (GOOD.replace('"id"', '"sequence": -1, "id"'), "line 2: the event's `sequence` is not what it should be"),
        (GOOD.replace("2026-01-01T00:00:00Z", "soon"), "line 2: the event's `time` is not a time"),
        (GOOD.replace("00:00:00Z", "00:00:00"), "line 2: the event's `time` has no time zone"),
        (GOOD.replace('"subject": "tasks/t"', '"data": 7'), "line 2: the event's `data` or `subject` is not"),
        (GOOD.replace('"tasks/t"', '"t", "data": {"keys": 7}'), "line 2: the event's `data.keys` is not"),
        (GOOD.replace('"tasks/t"', '"t", "data": {"votes": {"accept": "x"}}'), "line 2: the event's `data.votes` is"),
        (GOOD.replace('"tasks/t"', '"t", "data": {"key": 7}'), "line 2: the event's `data.key` is not"),
    ],
)
def test_a_line_that_is_not_an_event_is_refused_by_number_without_its_text(line: str, words: str) -> None:
    with pytest.raises(BadFeed) as refused:
        of_lines([GOOD, line])

    assert str(refused.value).startswith(words)
    assert len(str(refused.value)) < 100


def test_a_feed_without_submitted_tasks_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadFeed, match="there is no event in it"):
        of_lines(["", "\n"])
    with pytest.raises(BadFeed, match="no task was submitted"):
        calibrate(of_lines(line for line in lines if ".bot." in line))


def test_a_feed_without_ended_tasks_is_played_and_its_notes_say_what_is_unknown() -> None:
    found = calibrate(of_lines([GOOD]))

    scenario = found.rehearsal.scenario
    assert (scenario.executors.durations, scenario.executors.work_seconds) == ((), 1)
    assert "executors: no attempt of theirs ended in the recording; they are played as quick" in found.notes
    assert "open: 1 tasks had not ended when the recording did" in found.notes
    assert any(note.startswith("sizes:") for note in found.notes)


def test_shuffled_and_duplicate_lines_give_the_same_calibration_and_are_counted(lines: list[str]) -> None:
    shuffled = [*lines, *lines[:10]]
    random.Random(1).shuffle(shuffled)

    found = calibrate(of_lines(shuffled))

    assert found.plain == calibrate(of_lines(lines)).plain
    assert "left out: 10 lines that repeat another" in found.notes
    assert any(note.startswith("order: ") for note in found.notes)


def test_tasks_that_began_before_the_recording_are_counted_and_left_out_and_unended_ones_are_open(
    lines: list[str],
) -> None:
    whole = story_of(of_lines(lines))
    cut = lines[len(lines) // 3 : -len(lines) // 3]

    story = story_of(of_lines(cut))
    found = calibrate(of_lines(cut))

    assert story.cut
    assert not story.cut & set(story.tasks)
    assert story.cut | set(story.tasks) <= set(whole.tasks)
    words = f"left out: {story.cut_events} events of {len(story.cut)} tasks that began before the recording"
    assert words in found.notes
    assert story.cut_events == sum(any(task in line for task in story.cut) for line in cut)
    assert {bot.since for bot in story.bots.values()} == {0}  # they were there before
    assert story.open > 0
    assert f"open: {story.open} tasks had not ended when the recording did" in found.notes
    assert found.rehearsal.scenario.executors.count == 3  # seen at work, though not when they registered


def test_a_clock_that_was_set_back_gives_no_negative_durations(lines: list[str]) -> None:
    middle = len(lines) // 2
    back = [line.replace('"time": "2026-', '"time": "2025-') if at > middle else line for at, line in enumerate(lines)]

    times = [fact.at for fact in of_lines(back).facts]

    assert times == sorted(times)


def test_a_file_without_a_feed_and_a_store_without_tables_are_refused(tmp_path: Path) -> None:
    import apsw

    with pytest.raises(OSError, match="No such file"):
        read(tmp_path / "absent")
    (tmp_path / "noise").write_bytes(b"\xff\x00\xfe" * 9)
    with pytest.raises(BadFeed, match="line 1"):
        read(tmp_path / "noise")
    apsw.Connection(str(tmp_path / "other.db")).execute("CREATE TABLE x (y)")
    with pytest.raises(BadFeed, match="this store cannot be read"):
        read(tmp_path / "other.db")


# ---- single fields -------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=200))
def test_few_durations_have_the_mean_of_many(times: list[float]) -> None:
    few = durations_of(sorted(times))

    assert len(few) <= 40
    assert few == sorted(few)
    assert fmean(few) == pytest.approx(fmean(times), rel=0.001, abs=1e-3)


@pytest.mark.parametrize(
    ("size", "freed", "shape"),
    [
        (1, [1], "one"),
        (4, [4], "flat"),
        (4, [3, 1], "join"),
        (4, [3], "join"),
        (4, [1, 3], "fan"),
        (4, [1, 1, 1, 1], "chain"),
        (4, [1, 1], "chain"),
        (2, [1, 1], "chain"),
        (5, [2, 1, 2], "free"),
        (5, [1, 2, 2], "free"),
        (4, [1], None),
        (0, [], None),
    ],
)
def test_a_shape_is_derived_from_what_became_ready_together(size: int, freed: list[int], shape: str | None) -> None:
    assert shape_of(RecordedTask("t", 0.0, size=size, freed=freed)) == shape


def test_outcomes_that_repeat_in_a_play_are_drawn_less_often() -> None:
    weights = weights_of({"done": 90, "retryable": 5, "lost": 5, "released": 7, "asks": 2})

    assert weights["retryable"] == pytest.approx(0.1 / 0.85, rel=0.01)  # of 100 draws, 3 put off and 2 ask
    assert weights["released"] == pytest.approx(0.03 / 0.85, rel=0.01)
    assert weights["asks"] == pytest.approx(0.02 / 0.85, rel=0.01)
    assert weights_of({}) == {}
    assert max(weights_of({"retryable": 5}).values()) <= 10


def facts(*rows: tuple[float, str, Mapping[str, Any]]) -> Iterable[Fact]:
    return [
        Fact(number, at, kind, None if kind.startswith("bot.") else "t", data, data.get("work"))
        for number, (at, kind, data) in enumerate(rows, 1)
    ]


def test_a_refusal_by_a_provider_is_distinguished_from_a_bots_own_delay() -> None:
    leased = {"kind": "execute", "key": "a", "bot": "b"}
    story = story_of(
        Recording(
            list(
                facts(
                    (0, "task.submitted", {}),
                    (0, "work.leased", leased),
                    (4, "work.deferred", {**leased, "actor": "b", "in_seconds": 5}),
                    (9, "work.due", {"key": "a"}),
                    (10, "work.leased", leased),
                    (12, "work.deferred", {**leased, "actor": "key_1", "in_seconds": 7}),
                )
            )
        )
    )

    assert [(attempt.how, attempt.waited) for attempt in story.attempts] == [("rate_limited", 0), ("deferred", 1)]
    assert story.deferrals == [5, 7]


def test_time_on_hold_does_not_count_as_waiting_for_a_bot() -> None:
    story = story_of(
        Recording(
            list(
                facts(
                    (0, "task.submitted", {}),
                    (0, "task.held", {"hold": "paused"}),
                    (50, "task.unheld", {"hold": "paused"}),
                    (52, "work.leased", {"kind": "plan", "key": "plan", "bot": "b"}),
                    (60, "work.lease_expired", {"kind": "plan", "key": "plan", "bot": "b"}),
                )
            )
        )
    )

    assert [(attempt.waited, attempt.how) for attempt in story.attempts] == [(2, "lost")]
    assert calibrate(story.recording).rehearsal.scenario.people.pause == 1
    assert any("1 attempts timed out" in note for note in calibrate(story.recording).notes)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"size": 3, "sizes": {"3": 1}}, "`sizes` replaces `size`"),
        ({"executors": {"durations": [1], "work_seconds": 2}}, "`executors.durations` replaces"),
        ({"sizes": {"3": 0}}, "`sizes`: at least one weight"),
        ({"sizes": {"0": 1}}, "`sizes` has an unknown key"),
        ({"executors": {"durations": [-1]}}, "`executors.durations.0` must be at least 0"),
    ],
)
def test_fields_without_an_effect_are_refused(plain: dict[str, Any], words: str) -> None:
    with pytest.raises(BadScenario, match=words):
        made(plain, name="x")
