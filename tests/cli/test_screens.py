"""On a terminal of 80 × 24 the reason and the command that helps stay visible for any task, and nothing on the screen
contradicts anything else.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from swarmkeeper.cli.tasks import explain, look, trouble, watch
from swarmkeeper.wire.answers import SubTaskDetail, Task
from tests.cli.test_watch import NOBODY, a_task, seen, why_not

NOW = datetime(2026, 1, 1, 0, 1, 5, tzinfo=UTC)
WIDTH, HEIGHT = 80, 24
FIX = "swarmkeeper bot run FILE --name scanner-2 --skill review.scan --skill review.secrets --skill review.more"


def screen(task: Task) -> list[str]:
    """Return the text of a terminal; the cursor stays on the line below."""
    console = Console(file=io.StringIO(), width=WIDTH, height=HEIGHT, color_system=None)
    console.print(watch.picture(task, now=NOW, width=WIDTH, height=HEIGHT))
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert len(lines) < HEIGHT, "the first lines would have left the screen"
    assert max(map(len, lines)) <= WIDTH
    return lines


def subtask(key: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": f"sub_{key}", "parent_task_id": "tsk_1", "key": key, "description": "", "status": status, **more}


def cause(**more: Any) -> dict[str, Any]:
    base = {"message": "KeyError: 'total' (at bot.py:12 in execute)", "work_id": "sub_bad", "kind": "execute"}
    tried = {"key": "bad", "bot": "reader", "attempt": 2, "ending": "failed", "at": "2026-01-01T00:01:00Z"}
    return {**base, **tried, **more}


def of(*subtasks: dict[str, Any], **fields: Any) -> Task:
    base = {"id": "tsk_1", "title": "Review", "status": "IN_PROGRESS"}
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    counts = {"total": len(subtasks), "done": 0, "failed": 0}
    return Task.model_validate({**base, **times, "subtasks": list(subtasks), "progress": counts, **fields})


def test_with_fifty_five_subtasks_reason_and_fix_are_the_last_lines_and_other_rows_are_counted() -> None:
    task = a_task(*((f"scan.{number}", "READY", 0) for number in range(55)), title="Review " * 30)
    detail = "every executor that can review.scan is away, and nobody else can " + "read it " * 20
    reason = {"key": "scan.0", "status": "READY", "reason": "no_capable_bot", "detail": detail, "fix": FIX}
    found = why_not(f"scan.0 waits [no_capable_bot]: {detail}; besides: 54 no_capable_bot.", reason)

    lines = screen(seen(task, found))

    assert lines[0].startswith("Review Review")
    assert lines[0].endswith("…  ·  IN_PROGRESS  ·  0/55 done, 0 failed")
    assert lines[1].split() == ["status", "key", "bot", "attempt", "time", "why"]
    assert lines[2].split()[:4] == ["○", "READY", "scan.0", "1m05s"]
    assert "no_capable_bot: every" in lines[2]
    end = " ".join(lines[-5:])
    assert "scan.0 waits [no_capable_bot]" in " ".join(lines)
    assert f"fix {FIX}" in " ".join(end.split()), "the command can be copied whole"
    shown = sum(line.startswith("○ READY") for line in lines)
    (counted,) = [line for line in lines if line.startswith("…")]
    assert counted.split()[1:] == [str(55 - shown), "READY"]


def test_the_error_of_a_failed_item_stays_visible_below_a_long_table() -> None:
    done = [subtask(f"k{number}", "SUCCEEDED") for number in range(60)]
    fix = "swarmkeeper task retry tsk_1"
    failure = {"code": "subtask_failed", "detail": "subtask bad failed", "work_id": "sub_bad", "fix": fix}
    task = of(
        *done,
        subtask("bad", "FAILED", cause=cause()),
        status="FAILED",
        outcome="failed",
        failure={**failure, "cause": cause()},
        progress={"total": 63, "done": 60, "failed": 3, "cancelled": 2},
    )

    lines = screen(task)

    assert lines[0].endswith("60/63 done, 1 failed, 2 cancelled")
    assert lines[2].split()[:3] == ["✗", "FAILED", "bad"], "what failed comes before what is done"
    assert "  why   KeyError: 'total' (at bot.py:12 in execute)" in lines
    assert "  where bad, attempt 2 by reader at 00:01:00Z (failed)" in lines
    assert f"  next  the task has ended; reopen it with: {fix}" in lines
    assert "waits" not in " ".join(lines)


def test_a_finished_item_keeps_bot_and_duration_and_a_running_one_shows_its_progress() -> None:
    began, ended = NOW - timedelta(seconds=65), NOW - timedelta(seconds=5)
    task = of(
        subtask("a", "SUCCEEDED", bot="reader", attempt=1, started_at=began, ended_at=ended),
        subtask(
            "b", "LEASED", bot="writer", attempt=1, started_at=began, progress={"fraction": 0.4, "message": "p 12"}
        ),
    )

    lines = screen(task)

    assert lines[2].split() == ["▶", "LEASED", "b", "writer", "1", "1m05s", "40%:", "p", "12"]
    assert lines[3].split() == ["✓", "SUCCEEDED", "a", "reader", "1", "1m00s"]


def test_table_and_reasons_show_the_same_moment_even_if_the_task_changes_fast() -> None:
    """A newer look does not show the reasons of an earlier one."""
    earlier = seen(a_task(("a", "READY", 0)), NOBODY)
    later = a_task(("a", "SUCCEEDED", 1))

    assert "no_capable_bot" in " ".join(screen(earlier))
    assert "no_capable_bot" not in " ".join(screen(later))


@pytest.mark.parametrize(
    ("status", "more", "says"),
    [
        ("WAITING", {"retry_at": "2026-01-01T00:02:00Z"}, "it is retried at 00:02:00Z"),
        ("WAITING", {}, "it waits for a person's answer"),
        ("READY", {}, "it is retried when a bot takes it"),
        ("LEASED", {}, "attempt 3 is in progress"),
        (
            "FAILED",
            {},
            "that is final; if its task has failed, reopen it with: swarmkeeper task retry tsk_1",
        ),
    ],
)
def test_an_error_is_followed_by_what_happens_next(status: str, more: dict[str, Any], says: str) -> None:
    task = of(subtask("bad", status, attempt=3, cause=cause(**more)))

    heading, line = trouble.of_subtasks(task)

    assert heading == "attempts without a result:"
    assert line == (
        f"  bad, attempt 2 by reader at 00:01:00Z (failed): KeyError: 'total' (at bot.py:12 in execute); {says}"
    )


def test_text_of_a_bot_is_shown_and_cannot_imitate_our_own_lines() -> None:
    attempt = {"attempt": 1, "bot": "bot_1", "bot_name": "reader", "lease_id": "lse_1", "ending": "failed"}
    times = {"started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:09Z"}
    said = {"fraction": 0.4, "message": "p 12", "log": ["began\x1b[2J", "half way"]}
    error = {"class": "retryable", "message": "no\nnext: all is well"}
    failing = subtask("bad", "WAITING", attempts=[{**attempt, **times, "error": error, "progress": said}])

    lines = look._of_item(SubTaskDetail.model_validate(failing))

    assert lines[1:] == [
        "attempt 1 by reader, 00:00:00Z to 00:00:09Z: failed",
        "  said  no",
        "        next: all is well",
        "  reached 40%: p 12",
        "  log   began\\x1b[2J",
        "  log   half way",
    ]


def test_explain_groups_items_that_wait_for_the_same_reason() -> None:
    alike = [{"key": f"scan.{n}", "status": "READY", "reason": "no_capable_bot", "fix": FIX} for n in range(54)]
    last = {"key": "sum", "status": "BLOCKED", "reason": "dependency", "detail": "it waits for scan.0 and 53 more"}
    found = why_not("scan.0 waits [no_capable_bot].", *alike, last)

    rows = explain._rows(found)

    assert [(row["key"], row["why"]) for row in rows] == [
        ("scan.0 and 53 more", "no_capable_bot"),
        ("sum", "dependency"),
    ]
    assert explain.fixes_of(found) == {FIX: "scan.0, scan.1, scan.2 and 51 more"}
    assert [row["key"] for row in explain._rows(why_not("…", *alike[:3]))] == ["scan.0", "scan.1", "scan.2"]
