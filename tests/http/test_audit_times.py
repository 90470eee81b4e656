"""The audit log from one time to another, in order or the newest first."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Read, ReadsOnly
from swarmkeeper.reads.insight import audit_times
from tests.http.conftest import Json
from tests.http.town import Town, town

RECORDS = 300


@pytest.fixture(scope="module")
def place() -> Iterator[Town]:
    with town() as made:
        for number in range(RECORDS):
            made.submit(title=f"task {number}")
            made.advance(1 if number % 3 else 0)  # some have the same time
        yield made


def read(place: Town, path: str) -> list[Json]:
    """Return the records of all pages."""
    items: list[Json] = []
    token = ""
    while True:
        page = place.admin.read(f"{path}&page_size=70&page_token={token}")
        items += page["items"]
        token = page["next_page_token"]
        if not token:
            return items


def test_records_of_a_time_are_those_of_the_log_in_either_order(place: Town) -> None:
    everything = read(place, "/audit?order=asc")
    times = [record["timestamp"] for record in everything]
    task = everything[100]["task_id"]
    ranges = [
        (times[0], times[-1]),
        (times[40], times[200]),
        (times[150], times[150]),
        ("2020-01-01T00:00:00Z", times[7]),
    ]
    ranges += [(times[-1], "2040-01-01T00:00:00Z"), ("2039-01-01T00:00:00Z", "2040-01-01T00:00:00Z")]

    for since, until in ranges:
        between = f"since={quote(since)}&until={quote(until)}"
        wanted = [record["index"] for record in everything if since <= record["timestamp"] < until]
        assert [record["index"] for record in read(place, f"/audit?{between}")] == wanted
        assert [record["index"] for record in read(place, f"/audit?{between}&order=desc")] == wanted[::-1]
        of_task = [index for index in wanted if everything[index]["task_id"] == task]
        for order in ("asc", "desc"):
            for path in (f"/tasks/{task}/audit?{between}", f"/audit?{between}&task_id={task}&action=task.submit"):
                assert [record["index"] for record in read(place, f"{path}&order={order}")] == of_task
    after = read(place, f"/audit?since={quote(times[40])}&after=60")
    assert after[0]["index"] == 61
    last_token_ends = place.admin.read(f"/audit?until={quote(times[40])}&page_size=500")["next_page_token"]
    assert last_token_ends == ""


def test_the_place_of_a_time_takes_few_reads(place: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    async def counted(store: ReadsOnly, read: Read[Any], **asked: Any) -> list[Any]:
        reads.append(str(read))
        return await fetch(store, read, **asked)

    monkeypatch.setattr(audit_times, "fetch", counted)
    place.admin.read(f"/audit?since={quote('2026-01-01T00:02:00Z')}")

    # The ends of the log, and one for each sixteenfold of the 300 records.
    assert len(reads) <= 2 + 3, reads
