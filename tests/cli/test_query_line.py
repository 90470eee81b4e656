"""The query line of tasks: it means the same in the terminal and in the dashboard, and selects what the API selects."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.cli.tasks.query_line import OUTCOMES, SORTS, STATUSES, line_of, toggled, understood
from swarmkeeper.cli.top import command
from tests.cli.shell import Shell
from tests.examples import examples
from tests.http.town import Town, town

EXAMPLES = json.loads(Path(__file__).with_name("query_line.json").read_text(encoding="utf-8"))
TITLES = ("Parse invoice", "Parse page", "Move the ledger", "Übung macht Meister")
LABELS: tuple[dict[str, str], ...] = (
    {"team": "money"},
    {"team": "docs", "env": "prod"},
    {"note": "big = money: yes"},
    {},
)
SKILLS: tuple[list[str], ...] = (["ocr"], ["ocr", "read hands"], [], ["read hands"])


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: json.dumps(example["line"]))
def test_a_line_means_the_same_as_in_the_dashboard(example: Any, in_utc: None) -> None:
    found = understood(example["line"])

    asked = {**found.matching, "q": found.q, "order_by": found.order_by}
    assert {name: value for name, value in asked.items() if value is not None} == example["filter"]
    assert found.problems == example["problems"]


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch, in_utc: None) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()

    assert understood("after:2026-11-29").created_after == "2026-11-29T05:00:00.000Z"


@examples(50)
@given(st.text(max_size=40), st.sampled_from(["status:failed", 'label:team="big money"', "invoice"]))
def test_a_word_that_is_put_into_any_line_is_taken_out_again(line: str, word: str) -> None:
    before = understood(line)
    if word in line.lower():
        return

    assert understood(toggled(toggled(line, word), word)) == before


def _some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=2)


@pytest.fixture(scope="module")
def furnished() -> Iterator[Town]:
    with town() as place:
        for number in range(24):
            title, labels = f"{TITLES[number % 4]} {number % 3}", LABELS[number % 3 if number % 2 else 3]
            item = {"key": "a", "description": "", "required_skills": SKILLS[number % 4]}
            task = place.submit([item], title=title, labels=labels, priority=number % 10)
            if number % 5 == 0:
                place.client.ok(f"/tasks/{task}:cancel")
            place.advance(60)
        yield place


@examples(30)
@given(
    status=_some(*STATUSES),
    outcome=_some(*OUTCOMES),
    label=st.sampled_from(LABELS),
    skill=_some("ocr", "read hands"),
    error=_some("cancelled", "nothing"),
    order_by=st.sampled_from([*SORTS.values()]),
    words=st.lists(st.sampled_from(["pars", "INVOICE", "1", "übung", "the ledger"]), max_size=2),
)
def test_a_view_its_address_and_its_rows_are_the_same(
    furnished: Town,
    status: list[str],
    outcome: list[str],
    label: dict[str, str],
    skill: list[str],
    error: list[str],
    words: list[str],
    order_by: str,
) -> None:
    if words and order_by == "priority":
        order_by = "created_at"
    line = line_of(
        status=status, outcome=outcome, label=label, skill=skill, error=error, words=words, order_by=order_by
    )

    address = f"#/tasks?{urlencode({'q': line})}"
    found = understood(parse_qs(address.partition("?")[2])["q"][0] if line else "")

    asked = {"q": " ".join(words), "status": status, "outcome": outcome, "skill": skill, "order_by": order_by}
    asked["error"] = " ".join(error)
    direct = [(name, each) for name, value in asked.items() for each in ([value] if isinstance(value, str) else value)]
    direct += [("label", f"{name}:{value}") for name, value in label.items()]
    again = {**found.matching, "order_by": found.order_by}
    given_again = [
        (name, each) for name, value in again.items() for each in ([value] if isinstance(value, str) else value or ())
    ]
    assert found.problems == []
    assert _rows(furnished, given_again) == _rows(furnished, direct)


def _rows(place: Town, query: list[tuple[str, str]]) -> list[str]:
    sent = urlencode([(name, value) for name, value in query if value])
    return [task["id"] for task in place.client.read(f"/tasks?view=row&{sent}")["items"]]


def test_commands_take_a_line(at: Shell) -> None:
    first = at("submit", "Weigh the wombats", "--label", "wombat:a").out.strip()
    second = at("submit", "Weigh the wombats again", "--label", "wombat:b c").out.strip()

    line = 'label:wombat="b c" wombats'
    assert [row["id"] for row in at("task", "list", line, "--json").lines] == [second]
    assert [row["id"] for row in at("task", "list", "wombats", "sort:oldest", "--json").lines] == [first, second]
    assert [row["id"] for row in at("task", "list", "wombats", "--label", "wombat:a", "--json").lines] == [first]
    needing = at("submit", "Weigh the wombats once more", "--skill", "wombatry").out.strip()
    assert [row["id"] for row in at("task", "list", "skill:wombatry", "--json").lines] == [needing]
    assert [row["id"] for row in at("task", "list", "--skill", "wombatry", "--json").lines] == [needing]
    assert at("task", "list", "skill:wombatry", "--error", "deadline", "--json").lines == []
    assert at("task", "bulk", "pause", "--skill", "wombatry", "--dry-run", "--json").json["progress"]["total"] == 1
    at("task", "cancel", needing)
    assert [row["id"] for row in at("task", "list", "skill:wombatry error:cancelled", "--json").lines] == [needing]
    assert at("task", "count", "label:wombat=a").out.splitlines()[0] == "1"
    assert at("task", "bulk", "cancel", "--query", "wombats again", "--dry-run", "--json").json["progress"]["done"] == 1
    done = at("task", "bulk", "cancel", "--query", line, "--json").json
    assert [item["task_id"] for item in done["items"]] == [second]
    assert at("task", "bulk", "cancel", "--query", "wombats nowhere").code == 5
    assert at("task", "bulk", "cancel", first, "--query", "wombats").code == 2


def test_a_line_that_is_not_understood_does_nothing(at: Shell) -> None:
    for words in (("list",), ("count",), ("bulk", "cancel", "--query")):
        said = at("task", *words, "status:odd wombats")

        assert said.code == 2
        assert "status:odd: a status is one of created" in said.err


def test_where_textual_is_missing_it_says_what_to_install(at: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)

    said = at("top")

    assert said.code == 1
    assert "pip install 'swarmkeeper[top]'" in said.err


def test_a_line_that_is_not_understood_is_refused_before_the_screen_opens(at: Shell) -> None:
    assert at("top", "status:odd").code == 2
    assert at("top", "--json").code == 2
