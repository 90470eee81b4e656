"""Tasks are listed by the skills that their items need, by words of errors, and by the code of their failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.tallies.records import marks_of_error, marks_searched, words_of
from swarmkeeper.sim.harness import OPERATOR, Harness
from tests.engine.test_retention import look
from tests.engine.test_tallies import change, count, listed, rebuild
from tests.examples import examples

MESSAGE = 'HTTP 502: Bad_Gateway from "api.example.com" (upstream), attempt 3'


def marks(swarm: Harness) -> list[tuple[Any, ...]]:
    found = swarm.rows("SELECT label, task FROM task_label")
    return sorted((row["label"], row["task"]) for row in found if row["label"].startswith("\x1f"))


def needing(*skills: str, key: str = "a") -> dict[str, Any]:
    return {"key": key, "required_skills": list(skills)}


def failed(swarm: Harness, bot: str, message: str, **options: Any) -> str:
    task = swarm.submit([needing("ocr")], **options)
    swarm.report(swarm.take(bot), error="not_retryable", message=message)
    return task


def test_tasks_are_listed_by_the_skills_that_their_items_need(swarm: Harness) -> None:
    both = swarm.submit([needing("ocr", "read"), needing("ocr", key="b")], labels={"team": "a"})
    swarm.advance(1)
    one = swarm.submit([needing("ocr")])
    swarm.submit(["c"])

    assert listed(swarm, skills=("ocr",)) == [one, both]
    assert listed(swarm, skills=("ocr",), order_by="created_at") == [both, one]
    assert listed(swarm, skills=("ocr",), order_by="priority") == [both, one]
    assert listed(swarm, skills=("ocr", "read")) == listed(swarm, skills=("read",)) == [both]
    assert listed(swarm, skills=("ocr",), labels=("team:a",)) == [both]
    assert listed(swarm, skills=("ocr",), words="task") == [one, both]
    assert listed(swarm, skills=("oc",)) == listed(swarm, skills=("ocr", "fly")) == []
    assert listed(swarm, replace(OPERATOR, tenant="other"), skills=("ocr",)) == []
    assert count(swarm, skills=("ocr",))["number"] == 2
    assert count(swarm, skills=("ocr",), status=("FAILED",))["number"] == 0


def test_a_task_without_a_plan_is_listed_by_the_skills_of_its_planner_first(swarm: Harness) -> None:
    task = swarm.submit(None, planner_skills=("plans",))
    assert listed(swarm, skills=("plans",)) == [task]

    planner = swarm.bot("planner", "Planner", skills=("plans",))
    swarm.report(swarm.take(planner), plan=[needing("ocr")])

    assert listed(swarm, skills=("ocr",)) == listed(swarm, skills=("plans", "ocr")) == [task]


def test_tasks_are_listed_by_words_of_their_errors(swarm: Harness) -> None:
    bot = swarm.bot("worker", skills=("ocr",))
    task = failed(swarm, bot, MESSAGE)
    other = failed(swarm, bot, "the page is empty")

    for said in ("502", "bad_gateway 502", "UPSTREAM http", "api.example.com", '"502"', MESSAGE):
        assert listed(swarm, error=said) == [task], said
    assert listed(swarm, error="the empty page", status=("FAILED",), skills=("ocr",)) == [other]
    for said in ("50", "gateway", "502 empty", "!!!", "é"):
        for order_by in ("-created_at", "priority"):
            assert listed(swarm, error=said, order_by=order_by) == [], said
        assert count(swarm, error=said)["number"] == 0
    assert count(swarm, error="page")["number"] == 1


def test_an_error_counts_also_if_a_later_attempt_succeeds(swarm: Harness) -> None:
    bot = swarm.bot("worker")
    task = swarm.submit(["a"], evaluation="none")
    swarm.report(swarm.take(bot), error="retryable", message="flaky network")
    assert listed(swarm, error="flaky") == [task]
    swarm.advance(600)
    swarm.report(swarm.take(bot))

    assert swarm.task(task).outcome == "accepted"
    assert listed(swarm, error="flaky") == [task]
    assert listed(swarm, error="flaky", status=("FAILED",)) == []


def test_a_task_is_listed_by_the_code_of_its_failure_until_it_is_retried(swarm: Harness) -> None:
    bot = swarm.bot("worker", skills=("ocr",))
    first = failed(swarm, bot, "it was cancelled by the provider")
    second = swarm.submit(["a"])
    swarm.cancel(second)
    assert listed(swarm, error="subtask_failed") == [first]
    assert listed(swarm, error="Cancelled") == [second]
    assert listed(swarm, error="cancelled provider") == [first]

    swarm.advance(60)
    swarm.retry(second)

    assert listed(swarm, error="cancelled") == []


@pytest.mark.parametrize("slice_rows", [3, 500])
def test_an_erased_task_leaves_no_mark(swarm: Harness, slice_rows: int) -> None:
    bot = swarm.bot("worker", skills=("ocr",), capacity=8)
    task = swarm.submit([needing("ocr", key=f"item{number}") for number in range(6)])
    for _ in range(6):
        lease = swarm.lease(bot)
        if lease is not None:
            swarm.report(lease, error="not_retryable", message="zebrafinch")
    swarm.advance(60)
    kept = swarm.submit([needing("ocr")])
    assert listed(swarm, error="zebrafinch") == [task]

    look(swarm, tasks=10)

    assert not swarm.rows(f"SELECT 1 FROM task WHERE id = '{task}'")
    assert {task for _, task in marks(swarm)} == {kept}


def test_marks_are_made_anew(swarm: Harness) -> None:
    bot = swarm.bot("worker", skills=("ocr",))
    failed(swarm, bot, MESSAGE)
    swarm.cancel(swarm.submit([needing("ocr", "read")]))
    before = marks(swarm)
    assert len(before) > 10

    for wrong in (
        "DELETE FROM task_label",
        "UPDATE task_label SET label = label || 'x'",
        "INSERT INTO task_label SELECT tenant, label || 'x', created_at, task FROM task_label",
    ):
        change(swarm, wrong)
        assert marks(swarm) != before
        rebuild(swarm)
        assert marks(swarm) == before


HARD = st.text(st.sampled_from(" aB_é0\t\n\r\x7f\x01\\\"'`{}[]()!#$%&*+,-./:;<=>?@^|~\u2028"), max_size=40)


@examples(60)
@given(st.one_of(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=60), HARD))
def test_the_words_of_an_error_find_it(message: str) -> None:
    words = words_of(message)

    assert set(marks_searched(" ".join(words[:2]))) <= {*marks_of_error({"message": message})} or len(words) == 1
    assert all(words_of(word) == [word] for word in words)


def test_only_the_beginning_of_an_error_counts() -> None:
    assert words_of("a " * 150 + "late") == ["a"]
    assert marks_of_error(None) == marks_of_error({"class": "retryable"}) == []
    assert marks_searched("deadline") == ["\x1ffailure:deadline"]
    assert marks_searched("deadline passed") == ["\x1ferror:deadline", "\x1ferror:passed"]


def test_stored_rows_say_the_same_words_as_a_report(swarm: Harness) -> None:
    """The check at the end of the test compares them with what the store makes of each message."""
    bot = swarm.bot("worker", skills=("ocr",))
    for message in (
        MESSAGE,
        *("", " ", "é È", "a\tb\nc\rd", "x" * 400, "\x7f\x01a", "back\\slash \"quoted\" 'single'"),
        "".join(map(chr, range(32, 127))),
        " ".join(map(chr, range(0x80, 0x100))),
        "日本語 のエラー \u2028 \U0001f600",
    ):
        failed(swarm, bot, message)

    assert len(marks(swarm)) > 100
