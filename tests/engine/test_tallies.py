"""Counts, costs, labels and words follow what happens to tasks, and can be made anew from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swarmkeeper.core.commands import Submit
from swarmkeeper.core.errors import Invalid
from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.tallies.records import DAY
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.sim.harness import CLIENT, OPERATOR, Harness
from swarmkeeper.storage.sqlite import SqliteStore
from tests.engine.test_retention import look
from tests.support.cursors import cursors_of

SECRET_WORD = "zebrafinch"
BY_TIME = "ORDER BY created_at DESC, id DESC"
TALLIES = ("task_count", "label_count", "cost", "task_label")


def queries(swarm: Harness) -> Queries:
    cursors = swarm.run(cursors_of(swarm.store))
    return Queries(swarm.store, swarm.engine._rules, Limits(), cursors=cursors, now=swarm.engine.now)


def count(swarm: Harness, by: Principal = OPERATOR, **asked: Any) -> dict[str, Any]:
    counted: dict[str, Any] = swarm.run(queries(swarm).task_lists.count(by, TaskFilter(**asked)))
    return counted


def listed(swarm: Harness, by: Principal = OPERATOR, *, order_by: str = "-created_at", **asked: Any) -> list[str]:
    page = swarm.run(queries(swarm).tasks(by, TaskFilter(**asked), order_by=order_by))
    return [task["id"] for task in page["items"]]


def costs(swarm: Harness, by: str) -> dict[str, tuple[int, int]]:
    """Return tokens and attempts by name."""
    found = swarm.run(queries(swarm).cost_sums.costs(OPERATOR, by=by, first=None, last=None))
    return {row["name"]: (row["tokens"], row["attempts"]) for row in found["items"]}


def labels(swarm: Harness, key: str | None = None) -> list[tuple[str, str, int]]:
    page = swarm.run(queries(swarm).task_lists.labels(OPERATOR, key=key, page_size=50, page_token=""))
    return [(row["key"], row["value"], row["tasks"]) for row in page["items"]]


def by_other(swarm: Harness, subtasks: list[str], **options: Any) -> Submit:
    return replace(swarm.a_submission(subtasks, **options), by=replace(CLIENT, key_id="key_of_other"))


def stored(swarm: Harness) -> dict[str, list[tuple[Any, ...]]]:
    """Return what is kept beside the rows, without counts that have come to nothing."""
    found = {}
    for table in TALLIES:
        rows = [tuple(row.values()) for row in swarm.rows(f"SELECT * FROM {table}")]
        found[table] = sorted(row for row in rows if row[-1] != 0)
    return found


# ---- counts ----------------------------------------------------------------------------------------------------------


def test_tasks_are_counted_by_status_and_outcome_as_they_go_on(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    done, cancelled, _ = (swarm.submit(["a"], evaluation="none") for _ in range(3))
    assert count(swarm) == {"number": 3, "at_least": False, "statuses": {"PLANNED": 3}, "outcomes": {}}

    swarm.report(swarm.take(worker))
    swarm.cancel(cancelled)

    after = count(swarm)
    assert swarm.task(done).outcome == "accepted"
    assert after["number"] == 3
    assert after["outcomes"] == {"accepted": 1, "cancelled": 1}
    assert count(swarm, outcome=("accepted",))["number"] == 1
    assert count(swarm, status=("FAILED",))["number"] == 1
    assert count(swarm, status=("COMPLETED",), outcome=("cancelled",))["number"] == 0


def test_a_task_that_is_retried_is_open_again(swarm: Harness) -> None:
    task = swarm.submit(["a"], evaluation="none")
    swarm.cancel(task)
    swarm.advance(60)

    swarm.retry(task)

    assert count(swarm)["outcomes"] == {}
    assert listed(swarm, status=("PLANNED", "IN_PROGRESS")) == [task]


def test_a_caller_counts_only_what_it_may_see(swarm: Harness) -> None:
    own = replace(CLIENT, sees_own=True)
    swarm.submit(["a"], labels={"team": "a"})
    swarm.do(by_other(swarm, ["a"], labels={"team": "a"}))

    assert count(swarm)["number"] == 2
    assert count(swarm, own)["number"] == count(swarm, own, labels=("team:a",))["number"] == 1
    assert count(swarm, replace(OPERATOR, tenant="other"))["number"] == 0
    assert count(swarm, own, words="task")["number"] == len(listed(swarm, own, words="task"))


def test_with_other_filters_counting_ends_after_some_thousand_tasks(
    swarm: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        swarm.submit(["a"], labels={"team": "a", "env": "b"})
    assert count(swarm, labels=("team:a", "env:b"))["number"] == 6
    assert count(swarm, labels=("team:a",), status=("PLANNED",)) == {
        "number": 6,
        "at_least": False,
        "statuses": None,
        "outcomes": None,
    }

    monkeypatch.setattr("swarmkeeper.reads.tasks.lists.LOOKED_AT_MAX", 4)
    monkeypatch.setattr("swarmkeeper.reads.tasks.lists.COUNTED_MAX", 5)

    some = count(swarm, labels=("team:a", "env:b"))
    assert some["at_least"]
    assert some["number"] == 4
    assert count(swarm, created_after=0) == {"number": 5, "at_least": True, "statuses": None, "outcomes": None}
    assert count(swarm, labels=("team:a",)) == {"number": 6, "at_least": False, "statuses": None, "outcomes": None}


# ---- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_listed_with_their_tasks_and_follow_an_update(swarm: Harness) -> None:
    first = swarm.submit(["a"], labels={"team": "a", "env": "x"})
    second = swarm.submit(["a"], labels={"team": "a"})
    assert labels(swarm) == [("env", "x", 1), ("team", "a", 2)]

    swarm.update(first, labels={"team": "b", "a:b": "c"})

    assert labels(swarm) == [("a:b", "c", 1), ("team", "a", 1), ("team", "b", 1)]
    assert labels(swarm, "team") == [("team", "a", 1), ("team", "b", 1)]
    assert listed(swarm, labels=("team:a",)) == [second]
    assert listed(swarm, labels=("a:b:c",)) == [first]
    assert listed(swarm, labels=("env:x",)) == []
    assert listed(swarm, labels=("team:b", "a:b:c")) == [first]


def test_labels_come_in_pages(swarm: Harness) -> None:
    swarm.submit(["a"], labels={f"key{number}": "" for number in range(5)})
    lists = queries(swarm).task_lists

    seen, token = [], ""
    while True:
        page = swarm.run(lists.labels(OPERATOR, key=None, page_size=2, page_token=token))
        seen += [row["key"] for row in page["items"]]
        token = page["next_page_token"]
        if not token:
            break

    assert seen == [f"key{number}" for number in range(5)]
    with pytest.raises(Invalid):
        swarm.run(lists.labels(OPERATOR, key=None, page_size=2, page_token="x"))


# ---- words -----------------------------------------------------------------------------------------------------------


def test_tasks_are_found_by_words_of_their_titles(swarm: Harness) -> None:
    pages = swarm.submit(["a"], title="Count the words of api.example.com, twice")
    words = swarm.submit(["a"], title="Zähle die Wörter")

    assert listed(swarm, words="count") == listed(swarm, words="twice WORDS the cou") == [pages]
    assert listed(swarm, words="example") == listed(swarm, words="example.com") == [pages]
    assert listed(swarm, words="wörter zäh") == [words]
    assert listed(swarm, words="ount") == listed(swarm, words="cou words") == []
    assert listed(swarm, replace(OPERATOR, tenant="other"), words="count") == []
    assert count(swarm, words="count")["number"] == 1
    assert listed(swarm, words="count", order_by="created_at") == [pages]
    with pytest.raises(Invalid, match="cannot be listed by priority"):
        listed(swarm, words="count", order_by="priority")


def test_a_word_that_only_an_old_title_has_is_found_among_many_others(swarm: Harness) -> None:
    old = swarm.submit(["a"], title="Zebrafinch report, the first")
    swarm.submit(["a"], title="zebrafinch alone")
    swarm.advance(1)
    for _ in range(201):
        swarm.submit(["a"], title="one more report")

    assert listed(swarm, words="zebrafinch rep") == listed(swarm, words="report zebra") == [old]
    assert listed(swarm, words="first zebrafinch rep", order_by="created_at") == [old]
    assert listed(swarm, words="heron rep") == listed(swarm, words="zebrafinch heron rep") == []
    assert count(swarm, words="zebrafinch rep")["number"] == 1
    assert count(swarm, words="zebrafinch")["number"] == 2


HOSTILE = (
    *("'", '"', '"" OR title : x', "a' | 'b", "x:*", "!!!", "*", "NEAR(a b)", "tenant : t", "a AND", "-a", "^a", "a\\"),
    *("(" * 400, "a " * 5_000, "é" * 1_000, " ".join(f"w{number}" for number in range(220)), "\u202e\u0301", ":"),
)


def test_whatever_is_searched_for_is_words_and_no_syntax(swarm: Harness) -> None:
    swarm.submit(["a"], title="nothing of it")

    for hostile in HOSTILE:
        assert listed(swarm, words=hostile) == [], hostile
        assert count(swarm, words=hostile)["number"] == 0, hostile


def test_tasks_with_a_word_come_in_order_and_in_pages(swarm: Harness) -> None:
    tasks = []
    for number in range(7):
        tasks.append(swarm.submit(["a"], title=f"common {'even' if number % 2 == 0 else 'odd'}"))
        swarm.advance(1)
    swarm.cancel(tasks[2])
    for order_by, expected in (("created_at", tasks), ("-created_at", tasks[::-1])):
        cases: list[tuple[dict[str, Any], list[str]]] = [({}, expected), ({"status": ("FAILED",)}, [tasks[2]])]
        for asked, wanted in cases:
            seen, token = [], ""
            while True:
                page = swarm.run(
                    queries(swarm).tasks(
                        OPERATOR, TaskFilter(words="comm", **asked), order_by=order_by, page_size=2, page_token=token
                    )
                )
                seen += [task["id"] for task in page["items"]]
                token = page["next_page_token"]
                if not token:
                    break
            assert seen == wanted


# ---- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order_by", ["created_at", "-created_at"])
@pytest.mark.parametrize(
    "asked",
    [
        {"status": ("FAILED",)},
        {"status": ("PLANNED", "FAILED")},
        {"outcome": ("cancelled", "failed")},
        {"labels": ("team:a",), "status": ("FAILED",)},
        {"labels": ("team:a", "odd:yes")},
        {"words": "one of", "labels": ("odd:yes",)},
    ],
)
def test_a_list_that_passes_over_many_tasks_ends_its_page_early_and_misses_none(
    swarm: Harness, monkeypatch: pytest.MonkeyPatch, order_by: str, asked: dict[str, Any]
) -> None:
    monkeypatch.setattr("swarmkeeper.reads.tasks.lists.LOOKED_AT_MAX", 3)
    for number in range(12):
        task = swarm.submit(["a"], title="one of many", labels={"team": "a", **({"odd": "yes"} if number % 2 else {})})
        if number in (1, 6, 11):
            swarm.cancel(task)
        swarm.advance(1)
    every = swarm.rows("SELECT id, status, labels FROM task ORDER BY created_at, id")
    expected = [
        row["id"]
        for row in (every if order_by == "created_at" else every[::-1])
        if row["status"] in asked.get("status", [row["status"]])
        and (row["status"] == "FAILED" or "outcome" not in asked)
        and ("yes" in row["labels"] or "odd:yes" not in asked.get("labels", ()))
    ]

    seen, pages, token = [], 0, ""
    while True:
        page = swarm.run(
            queries(swarm).tasks(OPERATOR, TaskFilter(**asked), order_by=order_by, page_size=2, page_token=token)
        )
        seen += [task["id"] for task in page["items"]]
        pages, token = pages + 1, page["next_page_token"]
        if not token:
            break

    assert seen == expected
    assert pages > len(expected) // 2 or len(expected) == 6


def test_own_tasks_are_listed_without_reading_those_of_others(swarm: Harness) -> None:
    mine = swarm.submit(["a"])
    for _ in range(3):
        swarm.do(by_other(swarm, ["a"]))

    assert listed(swarm, replace(CLIENT, sees_own=True)) == [mine]
    assert listed(swarm, replace(CLIENT, sees_own=True), status=("PLANNED",)) == [mine]


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_a_row_shows_what_has_happened_and_the_error_behind_a_failure(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    task = swarm.submit(["a", "b"], evaluation="none", labels={"team": "a"})
    began = swarm.engine.now()
    swarm.advance(1)
    lease = swarm.take(worker)
    swarm.advance(1)
    swarm.report(lease, error="not_retryable", message="the page answered 502", usage={"tokens": 7})

    [row] = swarm.run(queries(swarm).tasks(OPERATOR, TaskFilter(), as_rows=True))["items"]

    assert row["id"] == task
    assert row["status"] == "FAILED"
    assert row["last_bot"] == "worker"
    assert row["error"]["message"] == "the page answered 502"
    assert row["usage"] == {"tokens": 7}
    assert row["labels"] == {"team": "a"}
    assert row["progress"]["total"] == 2
    assert row["created_at"] < row["started_at"] < row["ended_at"]
    assert began < swarm.engine.now()
    assert "input" not in row


def test_a_row_of_a_task_in_progress_has_a_start_and_a_bot_and_no_end(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    swarm.submit(["a"])
    [before] = swarm.run(queries(swarm).tasks(OPERATOR, TaskFilter(), as_rows=True))["items"]
    swarm.take(worker)

    [row] = swarm.run(queries(swarm).tasks(OPERATOR, TaskFilter(), as_rows=True))["items"]

    assert before["started_at"] is before["last_bot"] is None
    assert row["last_bot"] == "worker"
    assert row["started_at"] is not None
    assert row["ended_at"] is row["error"] is row["failure"] is None


# ---- costs -----------------------------------------------------------------------------------------------------------


def spend(swarm: Harness, bot: str, tokens: int, **more: Any) -> None:
    swarm.report(swarm.take(bot), usage={"tokens": tokens, "cost_micro_usd": 10 * tokens, **more})


def test_costs_are_summed_by_bot_skill_and_label(swarm: Harness) -> None:
    one, two = swarm.bot("one", skills=("count", "read")), swarm.bot("two", skills=("count",))
    labelled = {"labels": {"team": "a", "env": "x"}, "evaluation": "none"}
    swarm.submit([{"key": "a", "required_skills": ["count", "read"]}], **labelled)
    spend(swarm, one, 3)
    swarm.submit([{"key": "b", "required_skills": ["count"]}], **labelled)
    spend(swarm, two, 4)
    swarm.submit(["c"], evaluation="none")
    spend(swarm, one, 5)

    assert costs(swarm, "bot") == {"one": (8, 2), "two": (4, 1)}
    assert costs(swarm, "label") == {"team:a": (7, 2), "env:x": (7, 2)}
    assert costs(swarm, "skill") == {"count": (7, 2), "read": (3, 1)}
    assert [tokens for tokens, _ in costs(swarm, "day").values()] == [12]


def test_costs_move_with_the_labels_of_their_task(swarm: Harness) -> None:
    bot = swarm.bot("worker")
    task = swarm.submit(["a", "b"], labels={"team": "a"})
    spend(swarm, bot, 3)

    swarm.update(task, labels={"team": "b"})
    spend(swarm, bot, 4)

    assert costs(swarm, "label") == {"team:b": (7, 2)}


def test_an_attempt_counts_with_at_most_what_sums_can_hold(swarm: Harness) -> None:
    bot = swarm.bot("worker")
    swarm.submit([f"item{number}" for number in range(3)], labels={"team": "a"})
    for _ in range(3):
        spend(swarm, bot, 2**49)

    assert costs(swarm, "bot") == {"worker": (3 * 2**40, 3)}


def test_what_an_erased_task_cost_stays_as_a_sum_of_days_alone(swarm: Harness) -> None:
    bot = swarm.bot("worker")
    swarm.submit(["a"], labels={"team": "a"}, evaluation="none", title=f"a {SECRET_WORD}")
    spend(swarm, bot, 3)
    swarm.advance(60)
    look(swarm, tasks=10)
    assert not swarm.rows("SELECT 1 FROM task")

    assert [tokens for tokens, _ in costs(swarm, "day").values()] == [3]
    assert costs(swarm, "bot") == costs(swarm, "label") == {}
    assert count(swarm)["number"] == 0
    assert labels(swarm) == []
    left = stored(swarm)
    assert left["label_count"] == left["task_label"] == left["task_count"] == []
    assert [row[1] for row in left["cost"]] == ["erased"]


def test_days_are_in_order_and_not_too_many(swarm: Harness) -> None:
    from datetime import date

    sums = queries(swarm).cost_sums
    for first, last in ((date(2026, 1, 2), date(2026, 1, 1)), (date(2025, 1, 1), date(2026, 1, 2))):
        with pytest.raises(Invalid, match="no such days"):
            swarm.run(sums.costs(OPERATOR, by="day", first=first, last=last))
    shown = swarm.run(sums.costs(OPERATOR, by="bot", first=date(2025, 1, 1), last=date(2026, 1, 1)))
    assert (shown["first_day"], shown["last_day"]) == ("2025-01-01", "2026-01-01")


# ---- made anew -------------------------------------------------------------------------------------------------------


def a_story(swarm: Harness) -> None:
    """Tasks of two parties, some ended, some relabelled, one erased; then some are of earlier weeks."""
    bot = swarm.bot("worker", capacity=8)
    for number in range(6):
        task = swarm.submit(["a"], labels={"team": f"t{number % 2}"}, evaluation="none", title=f"common w{number}")
        if number == 2:
            swarm.cancel(task)
        elif number != 4:
            if number == 3:
                swarm.update(task, labels={"team": "t9", "env": "x"})
            spend(swarm, bot, number + 1)
        swarm.do(by_other(swarm, ["c"], labels={"team": "t0"}))
        swarm.report(swarm.take(bot))
        swarm.advance(60)
    look(swarm, tasks=250)
    change(swarm, f"UPDATE task SET created_at = created_at - {9 * DAY} WHERE title IN ('common w2', 'common w3')")


def change(swarm: Harness, sql: str) -> None:
    store: Any = swarm.store
    if isinstance(store, SqliteStore):
        store.connection.execute(sql)
    else:
        store.change(sql)


def rebuild(swarm: Harness) -> None:
    swarm.run(swarm.store.rebuild())


def test_everything_that_follows_from_rows_is_made_anew(swarm: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmkeeper.storage.derived.rebuilding.TASKS", 2)
    a_story(swarm)
    wrong = stored(swarm)

    rebuild(swarm)  # the check at the end of the test compares all of it with the rows

    before, found = stored(swarm), listed(swarm, words="common")
    assert before != wrong
    assert all(before.values())
    assert [row[1] for row in before["cost"]].count("erased") == 1
    assert found == [row["id"] for row in swarm.rows(f"SELECT id FROM task {BY_TIME}") if row["id"] in found]
    assert len(found) == 4
    for statement in (
        "DELETE FROM task_count WHERE number > 0",
        "UPDATE label_count SET number = number + 1",
        "UPDATE cost SET tokens = tokens + 1 WHERE part <> 'erased'",
        "INSERT INTO cost VALUES ('nobody', 'day', 1, '', '', 1, 1, 1, 1, 1)",
        "INSERT INTO task_count VALUES ('nobody', '', 1, 'FAILED', '', 1)",
        "UPDATE task_label SET label = 'team:none' WHERE label = 'team:t1'",
    ):
        change(swarm, statement)
    assert stored(swarm) != before
    rebuild(swarm)
    assert stored(swarm) == before
    newest = swarm.submit(["a"], title="common newest")
    assert listed(swarm, words="common") == [newest, *found]
