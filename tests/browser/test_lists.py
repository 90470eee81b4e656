"""Lists in a real browser: tasks with their counters, query line, marks and operations; bots; queues."""

import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from swarmkeeper.cli.tasks.query_line import OUTCOMES, SORTS, STATUSES, line_of, understood
from tests.browser.place import RealTown, drive, furnish, real_town, subtask

WAITING = 9_965
FAILED_INVOICES, OTHERS = 30, 5
ON_SHELF = 250
NODES_MAX = 2_000
FRAME_MS = 25


@pytest.fixture(scope="module")
def crowd() -> Iterator[RealTown]:
    """10,000 tasks: most wait, 35 failed with words of invoices, 30 of them alike; two of those are archived."""
    with real_town(tasks_a_minute_key=0, tasks_a_minute_tenant=0) as place:
        for begin in range(0, WAITING, 500):
            numbers = range(begin, min(begin + 500, WAITING))
            tasks = [{"title": f"Task {each}", "labels": {"shelf": "a"} if each < ON_SHELF else {}} for each in numbers]
            place.client.ok("/tasks:batch", {"tasks": tasks})
        parser = place.bot("Executor", "parser", skills=["parse"])
        made = []
        for number in range(FAILED_INVOICES + OTHERS):
            step = subtask("parse", skill="parse", max_attempts=1)
            made.append(place.submit([step], title=f"Parse invoice {number}", evaluation="none"))
            alike = number >= OTHERS
            message = "KeyError: 'total' (at parse.py:12)" if alike else f"the page is gone: {number}"
            parser.report(parser.take(), error={"class": "not_retryable", "message": message})
        for task in made[-2:]:
            place.client.ok(f"/tasks/{task}:archive")
        yield place


@pytest.fixture(scope="module")
def stocked() -> Iterator[tuple[RealTown, dict[str, str]]]:
    with real_town() as place:
        yield place, furnish(place)


def test_ten_thousand_rows_scroll_with_little_work_for_each_frame(crowd: RealTown) -> None:
    """Time to compute counts, not time on a busy machine; and the page draws only what is in view."""
    measured = json.loads(drive("scrolls_ten_thousand_rows", crowd))

    assert measured["rows"] < 80, measured
    assert measured["nodes"] < NODES_MAX, measured
    assert measured["p95"] < FRAME_MS, measured


def test_a_person_finds_a_failure_among_10000_tasks_and_retries_all_like_it_two_refused(crowd: RealTown) -> None:
    drive("retries_all_that_failed_alike", crowd, "10,000 tasks", str(FAILED_INVOICES + OTHERS))

    left = crowd.admin.read("/tasks?outcome=failed&view=row")["items"]
    assert len(left) == OTHERS + 2
    assert len([row for row in left if row["status"] == "ARCHIVED"]) == 2
    (record, *_) = crowd.admin.read("/audit?action=task.retry")["items"]
    assert record["payload"]["reason"] == "the parser is mended"


def test_all_that_fit_are_marked_and_the_server_gets_the_filter(crowd: RealTown) -> None:
    drive("acts_on_all_that_fit", crowd, str(ON_SHELF))

    held = crowd.admin.read("/tasks?label=shelf:a&view=row&page_size=500")["items"]
    assert len(held) == ON_SHELF
    assert {tuple(row["holds"]) for row in held} == {("paused",)}


def test_rows_are_marked_singly_in_ranges_and_all(stocked: tuple[RealTown, dict[str, str]]) -> None:
    drive("marks_rows", stocked[0])


def test_the_query_line_completes_names_values_and_labels(stocked: tuple[RealTown, dict[str, str]]) -> None:
    drive("completes_the_query_line", stocked[0])


def test_counters_are_filters_and_what_fits_nothing_says_what_to_drop(
    stocked: tuple[RealTown, dict[str, str]],
) -> None:
    counted = stocked[0].admin.read("/tasks:count")["statuses"]

    drive(
        "counts_and_filters", stocked[0], json.dumps({each.lower().replace("_", " "): n for each, n in counted.items()})
    )


def test_a_random_view_its_address_and_its_rows_are_the_same(stocked: tuple[RealTown, dict[str, str]]) -> None:
    draw, views = random.Random(13), []
    for _ in range(10):
        words = draw.choice([[], ["invoice"], ["file inv"], ["ARCHIVE", "box"]])
        line = line_of(
            status=draw.sample(STATUSES, draw.randrange(3)), outcome=draw.sample(OUTCOMES, draw.randrange(2)),
            label=draw.choice([{}, {}, {"team": "money"}, {"team": "docs", "env": "prod"}]), words=words,
            skill=draw.choice([[], [], ["fetch"], ["ocr"]]), error=draw.choice([[], [], [], ["KeyError total"]]),
            order_by=draw.choice([*SORTS.values()][: 2 if words else 3]),
        )  # fmt: skip
        views.append(_view(stocked[0], line))
    assert any(view["titles"] for view in views)

    drive("shows_what_the_address_says", stocked[0], json.dumps(views))


def _view(place: RealTown, line: str) -> dict[str, Any]:
    """Return how the terminal understands a line, and the titles of the first rows that a browser can show."""
    found = understood(line)
    asked = {**found.matching, "order_by": found.order_by}
    query = {name: value if isinstance(value, list) else [value] for name, value in asked.items() if value}
    rows = place.admin.read(f"/tasks?view=row&page_size=20&{urlencode(query, doseq=True)}")["items"]
    return {
        "line": line,
        "quoted": quote(line),
        "query": query,
        "names": [*asked],
        "titles": [row["title"] for row in rows],
    }


def test_bots_and_queues_are_found_and_steered_by_keyboard() -> None:
    with real_town() as place:
        furnish(place)
        place.bot("Executor", "lonely", skills=["rare"])
        tired = place.bot("Executor", "tired", skills=["fetch"])
        place.admin.ok(f"/bots/{tired.id}:drain")
        (writer,) = [bot["id"] for bot in place.admin.read("/bots")["items"] if bot["name"] == "writer"]

        drive("looks_at_bots_and_queues", place, writer)

        assert place.admin.read("/kills")["items"] == []
        assert place.admin.read(f"/bots/{writer}/leases")["items"] == []


def test_a_viewer_sees_bots_and_tasks_and_can_do_nothing_with_them(stocked: tuple[RealTown, dict[str, str]]) -> None:
    place = stocked[0]
    bot = place.admin.read("/bots")["items"][0]["id"]

    drive("may_only_look_at_bots_and_lists", place, bot, key=place.key(place.person("viewer")))


def test_lists_without_anything_name_one_command() -> None:
    with real_town() as place:
        drive("begins_with_nothing", place)
