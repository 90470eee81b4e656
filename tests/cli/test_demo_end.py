"""The last screen of `demo`: about twenty lines with what happened and the most important findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from swarmkeeper.cli.serving.demo_end import FINDINGS_SHOWN, Course, End, Findings, screen
from swarmkeeper.wire.answers import Task
from swarmkeeper.wire.events import CloudEvent

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(second: float, happened: str, /, **data: Any) -> CloudEvent:
    return CloudEvent(id="1", type=f"io.swarmkeeper.{happened}.v1", time=START + timedelta(seconds=second), data=data)


EVENTS = [
    event(0, "task.submitted"),
    event(1, "work.leased", work_id="p", kind="plan", bot="bot_1"),
    event(2, "work.succeeded", work_id="p", kind="plan"),
    event(2, "task.planned", count=2),
    event(2, "work.leased", work_id="a", kind="execute", bot="bot_2"),
    event(3, "work.leased", work_id="b", kind="execute", bot="bot_3"),
    event(5, "work.succeeded", work_id="a", kind="execute"),
    event(6, "work.failed", work_id="b", kind="execute"),
    event(6, "work.leased", work_id="r", kind="review", bot="bot_4"),
    event(9, "work.succeeded", work_id="r", kind="review"),
    event(9, "task.accepted"),
]
NAMES = {"bot_1": "planner", "bot_2": "one", "bot_3": "two", "bot_4": "judge"}


def entry(file: str, **more: Any) -> dict[str, Any]:
    return {"file": file, "branches": 1, "found": 0, "findings": [], "places": []} | more


def report(*entries: dict[str, Any]) -> dict[str, Any]:
    return {
        "report": "…",
        "files": list(entries),
        "totals": {
            "files": len(entries),
            "found": sum(entry["found"] for entry in entries),
            "undocumented": sum(len(entry["findings"]) for entry in entries),
        },
    }


def shown(**changes: Any) -> list[str]:
    task = Task.model_validate(
        {
            "id": "tsk_1",
            "title": "Review it",
            "status": "ARCHIVED",
            "outcome": "accepted",
            "verdict": {"decision": "accept", "score": 1, "reasons": ["all numbers agree"]},
            "created_at": START,
            "updated_at": START,
        }
    )
    values: dict[str, Any] = {
        "task": task,
        "course": Course.of(EVENTS),
        "bot_names": NAMES,
        "report": report(entry("a.py")),
        "report_file": Path("/somewhere/report.md"),
        "store": "sqlite:////somewhere/store.db",
        "audit": "audit log verified: 9 records",
    }
    return screen(End(**{**values, **changes}))


def test_it_shows_plan_work_verdict_records_and_next_steps() -> None:
    lines = shown()

    assert lines[0] == "accepted: Review it, 1 file in 9.0 s"
    assert "planned   2 subtasks by planner" in lines
    assert "done      in 2 attempts, up to 2 at once: 10.0 s of work" in lines
    assert "          by one, two" in lines
    assert "judged    accept, score 1, by judge" in lines
    assert "          all numbers agree" in lines
    assert "recorded  audit log verified: 9 records" in lines
    assert "report    /somewhere/report.md" in lines
    assert [line.split()[-1] for line in lines[-1:]] == ["sqlite:////somewhere/store.db"]


def test_it_has_about_twenty_lines_for_any_number_of_findings() -> None:
    many = [
        entry(f"{n}.py", found=2, places=[{"line": 1, "rule": "r"}], findings=[{"line": 1, "text": "x is public"}])
        for n in range(300)
    ]

    assert len(shown(report=report(*many))) <= 22


def test_findings_of_one_kind_do_not_hide_those_of_another() -> None:
    secrets = [entry(f"tests/{n}.py", found=1, places=[{"line": n, "rule": "key"}]) for n in range(50)]
    bare = entry("z.py", findings=[{"line": 3, "text": "a bare except catches everything"}])

    found = Findings.of(report(*secrets, bare))

    assert len(found.lines) == FINDINGS_SHOWN
    assert found.lines[1] == "z.py:3 a bare except catches everything"
    assert found.more == 51 - FINDINGS_SHOWN


def test_a_secret_outside_of_tests_comes_before_those_made_up_for_tests() -> None:
    made_up = entry("tests/a.py", found=3, places=[{"line": 9, "rule": "key"}])
    real = entry("src/b.py", found=1, places=[{"line": 4, "rule": "key"}])

    assert Findings.of(report(made_up, real)).lines[0] == "src/b.py:4 may hold a secret (key)"


def test_names_of_files_cannot_control_the_terminal() -> None:
    hostile = entry("\x1b]0;owned\x07.py", findings=[{"line": 1, "text": "two\nlines"}])

    said = "\n".join(shown(report=report(hostile)))

    assert "\x1b" not in said
    assert "two\nlines" not in said


def test_a_demo_without_a_report_says_so() -> None:
    lines = shown(report=None, report_file=None)

    assert lines[0] == "accepted: Review it, no report in 9.0 s"
    assert not any(line.startswith("report ") for line in lines)
