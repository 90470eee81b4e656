"""What a waiting person sees: a table on a terminal, lines elsewhere, and the reason if nothing changes."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.tasks import explain, watch
from swarmkeeper.wire.answers import Task
from swarmkeeper.wire.explain import Explanation
from tests.cli.conftest import Running
from tests.cli.shell import Shell

AT = "2026-01-01T00:00:00Z"


def a_task(*subtasks: tuple[str, str, int], **fields: Any) -> Task:
    base = {"id": "tsk_1", "title": "Count", "status": "IN_PROGRESS", "created_at": AT, "updated_at": AT}
    rows = [
        {"id": f"sub_{key}", "parent_task_id": "tsk_1", "key": key, "description": "", "status": status, "attempt": n}
        for key, status, n in subtasks
    ]
    counts = {"total": len(rows), "done": 0, "failed": 0}
    return Task.model_validate({**base, "subtasks": rows, "progress": counts, **fields})


def why_not(summary: str, *waiting: dict[str, Any]) -> Explanation:
    listed = [
        {"work_id": f"sub_{item['key']}", "kind": "execute", "detail": "…", "since": AT, **item} for item in waiting
    ]
    return Explanation.model_validate(
        {
            "task_id": "tsk_1",
            "status": "IN_PROGRESS",
            "summary": summary,
            "waiting": listed,
            "waiting_total": len(listed),
            "reasons": {},
        }
    )


NOBODY = why_not(
    "a waits [no_capable_bot]: no executor has skill count.",
    {"key": "a", "status": "READY", "reason": "no_capable_bot", "fix": "swarmkeeper bot run FILE --skill count"},
)


def seen(task: Task, found: Explanation) -> Task:
    """Return a task with the reasons of the same moment."""
    return task.model_copy(update={"explanation": found})


async def looks(*tasks: Task, between: float = 0) -> AsyncIterator[Task]:
    for number, task in enumerate(tasks):
        if number:
            await asyncio.sleep(between)
        yield task


async def test_if_nothing_changes_the_reason_is_printed_once_and_again_when_it_changes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    going_on = why_not("a waits [leased]: attempt 1 is in progress.")
    answers = iter([seen(a_task(), NOBODY), seen(a_task(), NOBODY), seen(a_task(), going_on)])
    all_asked = asyncio.Event()

    async def why() -> Task | None:
        found = next(answers, None)
        if found is None:
            all_asked.set()
        return found

    async def nothing_changes() -> AsyncIterator[Task]:
        yield a_task()
        await all_asked.wait()
        yield a_task(outcome="accepted")

    last = await watch.each(nothing_changes(), why, lambda task: None, still_seconds=0.01)

    assert str(last.outcome) == "accepted"
    assert capsys.readouterr().err.splitlines() == [
        "no change for 0.01 s: a waits [no_capable_bot]: no executor has skill count.",
        "  fix  swarmkeeper bot run FILE --skill count",
        "no change for 0.01 s: a waits [leased]: attempt 1 is in progress.",
    ]


async def test_a_task_that_makes_progress_is_not_explained() -> None:
    async def why() -> Task | None:
        raise AssertionError("nobody asked")

    stream = io.StringIO()
    await watch.follow(looks(a_task(("a", "READY", 0)), a_task(("a", "LEASED", 2))), why, to=stream)

    assert stream.getvalue().splitlines() == [
        "00:00:00 task tsk_1 IN_PROGRESS",
        "00:00:00 subtask a READY",
        "00:00:00 subtask a LEASED (attempt 2)",
    ]


async def test_an_error_of_a_call_ends_the_watching() -> None:
    async def broken() -> AsyncIterator[Task]:
        yield a_task()
        raise ConnectionError("gone")

    async def why() -> None:
        return None

    with pytest.raises(ConnectionError):
        await watch.each(broken(), why, lambda task: None)


def drawn(task: Task, *, width: int = 200, height: int | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    at = datetime(2026, 1, 1, 0, 1, 5, tzinfo=UTC)
    console.print(watch.picture(task, now=at, width=width, height=height))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_picture_shows_glyph_and_word_key_bot_attempt_time_and_why() -> None:
    task = a_task(("a", "SUCCEEDED", 1), ("b", "LEASED", 2), ("c", "READY", 0), title="Count\x1b")
    found = why_not(
        "c waits [no_capable_bot]: no executor has skill count; besides: 1 leased.",
        {
            "key": "c",
            "status": "READY",
            "reason": "no_capable_bot",
            "detail": "no executor has skill count",
            "fix": "do it",
        },
        {"key": "b", "status": "LEASED", "reason": "leased", "detail": "attempt 2", "attempt": 2, "bot": "n\x1b"},
        {"key": "review/1/1", "kind": "review", "status": "WAITING", "reason": "backoff", "detail": "it is put off"},
    )

    lines = drawn(seen(task, found))

    assert lines[0].startswith("Count\\x1b  ·  IN_PROGRESS  ·  0/3 done")
    assert lines[1].split() == ["status", "key", "bot", "attempt", "time", "why"]
    assert lines[2].split() == ["▶", "LEASED", "b", "n\\x1b", "2", "1m05s", "leased:", "attempt", "2"]
    assert lines[3].split()[:4] == ["◷", "WAITING", "review/1/1", "1m05s"]
    assert lines[4].split() == [
        "○",
        "READY",
        "c",
        "1m05s",
        "no_capable_bot:",
        "no",
        "executor",
        "has",
        "skill",
        "count",
    ]
    assert lines[5].split() == ["✓", "SUCCEEDED", "a", "1"]
    assert lines[6:] == [found.summary, "fix  do it"]
    assert "\x1b" not in "".join(lines)


def test_a_finished_task_shows_no_waiting_items() -> None:
    over = a_task(("a", "SUCCEEDED", 1), outcome="accepted", status="ARCHIVED")

    (row,) = drawn(seen(over, NOBODY))[2:]
    assert row.split() == ["✓", "SUCCEEDED", "a", "1"]


def test_rows_that_do_not_fit_are_counted() -> None:
    many = a_task(*((f"k{number}", "BLOCKED", 0) for number in range(watch.ROWS_MAX + 5)))

    assert drawn(many)[-1].split() == ["…", "5", "BLOCKED"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_on_a_terminal_the_table_is_redrawn_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(watch, "DRAW_SECONDS", 0.01)
    monkeypatch.setattr(watch, "WHY_SECONDS", 0.02)
    monkeypatch.setattr(terminal.output_format, "as_json", False)  # another test's command may have been asked for JSON
    asked = 0

    async def why() -> Task | None:
        nonlocal asked
        asked += 1
        return seen(a_task(("a", "READY", 0)), NOBODY)

    stream = Terminal()
    tasks = (a_task(("a", "READY", 0)), a_task(("a", "SUCCEEDED", 1), outcome="accepted", status="ARCHIVED"))
    await watch.follow(looks(*tasks, between=0.5), why, to=stream)

    assert asked > 1, "also while nothing changes"
    assert "no_capable_bot" in stream.getvalue()
    assert stream.getvalue().rindex("accepted (ARCHIVED)") > stream.getvalue().rindex("no_capable_bot")


# ---- through a real server -----------------------------------------------------------------------------------------


def test_explain_gives_the_reason_and_the_fix_for_each_item(at: Shell) -> None:
    (at.folder / "task.json").write_text(
        json.dumps(
            {
                "title": "t",
                "subtasks": [
                    {"key": "a", "description": "d", "required_skills": ["nobody.can"]},
                    {"key": "b", "description": "d", "required_skills": ["nobody.can"]},
                    {"key": "c", "description": "d", "depends_on": ["a"]},
                ],
            }
        )
    )
    task = at("submit", "-f", "task.json").out.strip()

    said = at("task", "explain", task)

    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == f"{task}  PLANNED"
    assert lines[1].startswith("a waits [no_")
    assert lines[1].endswith(", 1 dependency.")
    assert lines[3].split() == ["KEY", "STATUS", "ATTEMPT", "WHY", "SINCE", "UNTIL", "DETAIL"]
    assert [line.split()[0] for line in lines[4:7]] == ["a", "b", "c"]
    assert lines[-1] == "fix  swarmkeeper bot run FILE --skill nobody.can   # for a, b"
    explained = at("task", "explain", task, "--json").json
    assert (explained["task_id"], explained["waiting_total"], len(explained["waiting"])) == (task, 3, 3)
    at("task", "cancel", task)
    assert at("task", "explain", task).out.splitlines()[1].startswith("The task has ended: ")
    assert at("task", "explain", "tsk_0000").code == 5


def test_wait_without_watch_prints_the_reason(at: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STILL_SECONDS", 0.3)

    said = at("submit", "Alone", "--skill", "nobody.has.this", "--wait", "--timeout-seconds", "1.5")

    assert said.code == 7
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if line.startswith("no change for 0.3 s: main waits [no_")]
    assert len(lines) == 1, "told once, as long as nothing changes"
    assert "  fix  swarmkeeper bot run FILE --skill nobody.has.this" in said.err.splitlines()


def test_waiting_works_with_a_server_that_cannot_explain(running: Running) -> None:
    from swarmkeeper import Client

    async def asked() -> Task | None:
        async with Client(running.url, running.key) as client:
            return await explain.with_explanation(client, "tsk_0000")

    assert asyncio.run(asked()) is None


def test_a_bot_is_deleted(at: Shell) -> None:
    body = '{"type": "Planner", "version": "1", "name": "gone"}'
    bot = at("api", "POST", "/bots/register", "--data", body).json["id"]

    assert at("bot", "delete", bot, "--json").json == {"id": bot, "deleted": True}
    assert at("bot", "get", bot).code == 5
    assert at("bot", "delete", bot).code == 5


def test_task_get_shows_progress_and_the_explain_command(at: Shell) -> None:
    (at.folder / "task.json").write_text(
        '{"title": "t", "priority": 7, "subtasks": [{"key": "a", "description": "d", "required_skills": ["x", "y"]},'
        ' {"key": "b", "description": "d", "depends_on": ["a"]}]}'
    )
    task = at("submit", "-f", "task.json").out.strip()

    said = at("task", "get", task)

    lines = said.out.splitlines()
    assert lines[1] == "progress: 0/2 done, 0 failed; priority 7, round 1"
    assert lines[2].startswith("created: 20")
    assert lines[3].split() == ["KEY", "STATUS", "ATTEMPT", "BOT", "TIME", "AFTER", "SKILLS", "ID"]
    assert [line.split()[:7] for line in lines[4:]] == [
        ["a", "READY", "0", "-", "-", "-", "x,y"],
        ["b", "BLOCKED", "0", "-", "-", "a", "-"],
    ]
    assert said.err == f"why it is not done yet: swarmkeeper task explain {task}\n"


def test_the_input_of_a_task_for_one_skill_is_also_its_subtasks_input(at: Shell) -> None:
    task = at("submit", "t", "--skill", "nobody.can", "--input", '{"page": 7}').out.strip()

    shown = at("task", "get", task, "--json").json

    assert (shown["input"], shown["subtasks"][0]["input"]) == ({"page": 7}, {"page": 7})
    assert shown.keys() == at("api", "GET", f"/tasks/{task}").json.keys(), "no default stands for what was not said"
    at("task", "cancel", task)


def test_one_item_is_shown_by_its_key_or_id(at: Shell) -> None:
    task = at("submit", "plan me").out.strip()
    plan = at("task", "explain", task, "--json").json["waiting"][0]["work_id"]

    said = at("task", "get", task, plan)

    assert said.out.splitlines() == [f"{plan}  READY  plan  (plan)", "what: Make the plan of the task."]
    assert at("task", "get", task, plan, "--json").json["kind"] == "plan"
    assert at("task", "get", task, "nothing").code == 5
    at("task", "cancel", task)
