"""Sums of costs over many days are read from spans of days, and are what the days have, whatever changes them later."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.tallies.covers import cover
from swarmkeeper.core.tallies.records import DAY, ROLLING_DAYS, SPAN_DAYS
from swarmkeeper.reads.tasks import costs
from swarmkeeper.sim.harness import OPERATOR, Harness
from tests.engine.test_retention import look
from tests.engine.test_tallies import by_other, change, queries, rebuild, spend

DAYS = 34


@pytest.fixture(autouse=True)
def moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are moved to earlier days, of which the audit log knows nothing; all other invariants are checked."""

    async def replayed(store: Any) -> Any:
        return SimpleNamespace(mismatches=[])

    for module in ("swarmkeeper.sim.harness", "tests.support.postgres_harness"):
        monkeypatch.setattr(f"{module}.replay", replayed)


ALL_DAYS = st.integers(0, 700)


def test_the_store_and_the_reader_know_the_same_lengths_of_spans(swarm: Harness) -> None:
    lengths = {(row["days"], row["rolls"]) for row in swarm.rows("SELECT days, rolls FROM cost_length")}

    assert lengths == {*((days, 0) for days in SPAN_DAYS), *((days, 1) for days in ROLLING_DAYS)}


@given(st.lists(ALL_DAYS, min_size=2, max_size=2), st.lists(ALL_DAYS, min_size=2, max_size=2))
def test_spans_and_days_alone_have_each_day_once(run: list[int], kept: list[int]) -> None:
    (since, until), (begun, past) = sorted(run), sorted(kept)

    spans, days = cover(since, until, begun=begun, past=past)

    times = dict.fromkeys(range(800), 0)
    for by, length, first in spans:
        assert begun <= first
        assert first + length <= past
        assert first % length == 0 or (length in ROLLING_DAYS and first + length == past)
        for day in range(first, first + length):
            times[day] += by
    for first, last in days:
        for day in range(first, last + 1):
            times[day] += 1
    assert {day for day, number in times.items() if number} == set(range(since, until + 1))
    assert set(times.values()) <= {0, 1}


def test_the_days_that_a_dashboard_asks_for_are_one_span_and_today() -> None:
    for days in ROLLING_DAYS:
        found = cover(1000 - days, 1000, begun=100, past=1000)
        assert found == (((1, days, 1000 - days),), ((1000, 1000),))
    assert len(cover(1000 - 364, 999, begun=100, past=1000).spans) <= 9


def a_month(swarm: Harness) -> None:
    """Tasks of two parties on each of many days, with labels of which some come and go; the last one is today."""
    bot = swarm.bot("worker", capacity=8, skills=("count",))
    item = {"key": "a", "required_skills": ["count"]}
    for day in range(DAYS):
        labels = {"team": f"t{day % 3}", "day": f"d{day}"}
        swarm.submit([item], labels=labels, evaluation="none", title=f"day {day}")
        spend(swarm, bot, day + 1)
        if day % 5:
            swarm.do(by_other(swarm, ["c"], labels={"team": "t0"}, title=f"other {day}", evaluation="none"))
            spend(swarm, bot, 100 + day)
        earlier = (DAYS - 1 - day) * DAY
        change(
            swarm, f"UPDATE attempt SET started = started - {earlier}, ended = ended - {earlier} WHERE ended > {NEW}"
        )
    rebuild(swarm)


NEW = "(SELECT max(ended) - 3600000000 FROM attempt)"


def near_midnight(swarm: Harness, *, minutes: int) -> None:
    """Let the clocks be set forward to that many minutes after the next midnight."""
    swarm.clock.jump(DAY - swarm.now % DAY + (minutes - 1) * 60_000_000)
    swarm.advance(60)


def a_day_later(swarm: Harness) -> None:
    near_midnight(swarm, minutes=1)
    bot = swarm.bot("another", capacity=8)
    swarm.submit(["a"], labels={"team": "t1"}, evaluation="none", title="later")
    spend(swarm, bot, 7)


def summed(swarm: Harness, part: str, first: int, last: int) -> dict[str, list[int]]:
    """Return tokens and attempts by name, from the costs of days."""
    found: dict[str, list[int]] = {}
    for row in swarm.rows(f"SELECT * FROM cost WHERE part = '{part}' AND day >= {first} AND day <= {last}"):
        sums = found.setdefault(row["name"], [0, 0])
        sums[0] += row["tokens"]
        sums[1] += row["attempts"]
    return found


def told(swarm: Harness, part: str, first: int, last: int) -> dict[str, list[int]]:
    days = [date(1970, 1, 1) + timedelta(days=day) for day in (first, last)]
    report = swarm.run(queries(swarm).cost_sums.costs(OPERATOR, by=part, first=days[0], last=days[1]))
    return {row["name"]: [row["tokens"], row["attempts"]] for row in report["items"]}


def folded(swarm: Harness) -> tuple[int, int]:
    [row] = swarm.rows("SELECT first, past FROM cost_folded")
    return row["first"], row["past"]


def spans(swarm: Harness) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in swarm.rows("SELECT * FROM cost_span"))


def check(swarm: Harness) -> None:
    first, past = folded(swarm)
    for part in ("label", "skill"):
        for since, until in (
            (first, past),
            (first + 1, past - 1),
            (past - 6, past),
            (past - 29, past),
            (first - 3, past),
        ):
            sums = told(swarm, part, since, until)
            assert sums == summed(swarm, part, since, until) != {}
    assert sorted(told(swarm, "bot", first, past).values()) == sorted(summed(swarm, "bot", first, past).values())


def test_sums_over_spans_are_those_of_their_days(swarm: Harness) -> None:
    a_month(swarm)
    first, past = folded(swarm)

    assert past - first == DAYS - 1  # all days but today
    assert {row[2] for row in spans(swarm)} >= {1, 2, 4, 8, 6, 29}
    check(swarm)


def test_the_first_attempt_of_a_day_folds_the_day_before(swarm: Harness) -> None:
    a_month(swarm)
    first, past = folded(swarm)
    rolling = {(row[2], row[3]) for row in spans(swarm) if row[2] in ROLLING_DAYS}
    assert rolling == {(6, past - 6), (29, past - 29)}

    a_day_later(swarm)

    assert folded(swarm) == (first, past + 1)
    assert {(row[2], row[3]) for row in spans(swarm) if row[2] in ROLLING_DAYS} == {(6, past - 5), (29, past - 28)}
    check(swarm)


def test_what_a_task_cost_on_a_folded_day_moves_with_its_labels(swarm: Harness) -> None:
    a_month(swarm)
    near_midnight(swarm, minutes=-10)
    task = swarm.submit(["a", "b", "c"], labels={"team": "old"})  # two of them are done, one today
    spend(swarm, swarm.bot("last", capacity=8), 5)
    a_day_later(swarm)
    assert told(swarm, "label", *folded(swarm))["team:old"] == [12, 2]

    swarm.update(task, labels={"team": "new"})

    after = told(swarm, "label", *folded(swarm))
    assert after["team:new"] == [12, 2]
    assert "team:old" not in after
    assert "team:old" not in {row[4] for row in spans(swarm)}
    check(swarm)


def test_an_erased_task_leaves_no_name_in_any_span(swarm: Harness) -> None:
    a_month(swarm)
    assert {"day:d9", "team:t0"} <= {row[4] for row in spans(swarm)}

    swarm.advance(60)
    look(swarm, tasks=10)

    assert not swarm.rows("SELECT 1 FROM task")
    assert spans(swarm) == []
    first, past = folded(swarm)
    assert told(swarm, "label", first, past) == {}


def test_spans_are_made_anew_with_all_that_they_follow_from(swarm: Harness) -> None:
    a_month(swarm)
    a_day_later(swarm)
    before, reach = spans(swarm), folded(swarm)
    change(swarm, "UPDATE cost_span SET tokens = tokens + 1 WHERE days = 2")
    change(swarm, "DELETE FROM cost_span WHERE days = 6")
    change(swarm, "INSERT INTO cost_span VALUES ('nobody', 'bot', 1, 1, 'b', 1, 1, 1, 1)")
    assert spans(swarm) != before

    rebuild(swarm)

    assert spans(swarm) == before
    assert folded(swarm) == reach
    check(swarm)


def test_only_the_names_that_cost_the_most_are_listed_but_all_days(
    swarm: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_month(swarm)
    monkeypatch.setattr(costs, "NAMES_MAX", 3)
    today = date(1970, 1, 1) + timedelta(days=folded(swarm)[1])
    asked = {"first": today - timedelta(days=DAYS), "last": today}

    by_label, by_day = (swarm.run(queries(swarm).cost_sums.costs(OPERATOR, by=by, **asked)) for by in ("label", "day"))

    amounts = [row["cost_micro_usd"] for row in by_label["items"]]
    assert len(amounts) == 3
    assert amounts == sorted(amounts, reverse=True)
    assert by_label["more"]
    assert len(by_day["items"]) == DAYS
    assert not by_day["more"]
