"""The three views: each is told what was read, and draws it without losing the row that is chosen."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Input, Static

from swarmkeeper.cli.top.words import (
    ago,
    document,
    error_of,
    item,
    labels,
    line,
    lines,
    money,
    state_of,
    until,
)

if TYPE_CHECKING:
    from swarmkeeper.cli.top.reading import InboxRead, TasksRead
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.insight.load import QueueState
    from swarmkeeper.wire.people import Approval

Cells = Sequence[Text | str]
_HINTS = {"plan": "a approve, x reject", "final": "a approve, x reject", "question": "a digit answers, x rejects"}


class Rows(DataTable[Text | str]):
    """A table whose rows are named: what is chosen stays chosen when it is drawn again."""

    def put(self, rows: Iterable[tuple[str, Cells]]) -> None:
        chosen, at, top = self.chosen, self.cursor_row, self.scroll_y
        self.clear()
        for name, cells in rows:
            self.add_row(*cells, key=name)
        if self.row_count:
            names = [str(key.value) for key in self.rows]
            self.move_cursor(row=names.index(chosen) if chosen in names else min(at, self.row_count - 1), scroll=False)
            self.scroll_to(y=top, animate=False)

    @property
    def chosen(self) -> str | None:
        """The name of the chosen row."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value


def _table(name: str, columns: Sequence[str]) -> Rows:
    table = Rows(id=name, cursor_type="row")
    table.add_columns(*columns)
    return table


class InboxView(Horizontal):
    """What needs a person, what is stuck, what failed; beside it the decision."""

    found: InboxRead | None = None

    def compose(self) -> ComposeResult:
        yield _table("inbox-rows", ("", "When", "What"))
        with VerticalScroll(id="decision"):
            yield Static(id="decision-text", markup=False)
            yield Input(id="reason", placeholder="Why not?")

    def put(self, found: InboxRead) -> None:
        self.found = found
        rows: list[tuple[str, Cells]] = [
            (
                each.id,
                (Text("?", "yellow"), f"in {until(each.expires_at)}", line(each.question or each.kind, "bold")),
            )
            for each in found.approvals
        ]
        rows += [
            (_queue_name(each), (Text("✗", "red"), f"{ago(each.oldest_at)} ago", _stuck(each))) for each in found.stuck
        ]
        rows += [
            (f"failed {each.error}", (Text("✗", "red"), "today", line(f"{each.tasks} failed: {each.error}")))
            for each in found.failed
        ]
        self.query_one(Rows).put(rows)

    @property
    def approval(self) -> Approval | None:
        """The chosen approval."""
        chosen = self.query_one(Rows).chosen
        return next((each for each in self.found.approvals if each.id == chosen), None) if self.found else None

    def show(self, approval: Approval | None, notice: str = "") -> None:
        """Show the decision, or what helps with what is stuck."""
        chosen, text = self.query_one(Rows).chosen, Text("Nothing needs you.", "dim")
        if approval is None and chosen and self.found:
            queue = next((each for each in self.found.stuck if _queue_name(each) == chosen), None)
            text = _help(queue) if queue else Text("Enter shows the failed tasks.", "dim")
        shown = text if approval is None else _decision(approval, notice)
        self.query_one("#decision-text", Static).update(shown)


def _queue_name(queue: QueueState) -> str:
    return f"queue {queue.kind} {queue.assign_to} {' '.join(queue.skills)}"


def _stuck(queue: QueueState) -> Text:
    work = " ".join(queue.skills) or str(queue.kind)
    why = "no bot can do it" if not queue.bots else "no bot that can asks for work"
    return line(f"{queue.waiting}{'+' if queue.waiting_at_least else ''} wait for {work}: {why}")


def _help(queue: QueueState) -> Text:
    named = [] if queue.assign_to is None else ["--name", queue.assign_to]
    words = [*named, *(word for skill in queue.skills for word in ("--skill", skill))]
    return Text.assemble(_stuck(queue), "\n\n", line(shlex.join(["swarmkeeper", "bot", "run", "FILE", *words]), "bold"))


def _decision(approval: Approval, notice: str) -> Group:
    choices = [line(f"{number}  {choice}") for number, choice in enumerate(approval.choices[:9], 1)]
    facts = [
        ("task", approval.task_title or approval.task_id),
        ("asked by", approval.asker or approval.asked_by),
        ("expires in", until(approval.expires_at)),
        ("signs", approval.subject_hash),
    ]
    return Group(
        *([Text(notice, "bold yellow"), Text()] if notice else []),
        lines(approval.question or str(approval.kind), "bold"),
        *(Text.assemble((f"{name:<11}", "dim"), line(value)) for name, value in facts),
        Text(_HINTS.get(str(approval.kind), "a digit answers, x rejects"), "dim"),
        *choices,
        Text(),
        document(approval.subject),
    )


class TasksView(Vertical):
    """The list of tasks under its query line."""

    def compose(self) -> ComposeResult:
        yield Input(id="query", placeholder="status:failed label:team=money after:2026-11-01 invoice   ( / )")
        yield Static(id="problems", markup=False)
        yield _table("task-rows", ("State", "Title", "Done", "Labels", "Bot", "Cost", "Changed", "Error"))
        yield Static(id="tasks-foot", markup=False)

    def put(self, found: TasksRead) -> None:
        problems = self.query_one("#problems", Static)
        problems.display = bool(found.line.problems)
        problems.update(lines(f"Not understood, and left out: {'; '.join(found.line.problems)}", "red"))
        self.query_one(Rows).put(
            (
                row.id,
                (
                    state_of(row), line(row.title, "bold", 60), f"{row.progress.done}/{row.progress.total}",
                    labels(row),
                    line(row.last_bot or "–"), money(row.usage.cost_micro_usd or 0), ago(row.updated_at),
                    line(error_of(row), "red"),
                ),
            )
            for row in found.rows
        )  # fmt: skip
        shown = "" if len(found.rows) == 0 or f"{len(found.rows):,}" == found.number else f", {len(found.rows)} shown"
        self.query_one("#tasks-foot", Static).update(Text(f"{found.number} tasks{shown}", "dim"))


class TaskView(Vertical):
    """One task: why it is not done, and its subtasks."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="task-head"):
            yield Static(id="task-text", markup=False)
        yield _table("subtask-rows", ("Key", "State", "Attempt", "Bot", "Why"))

    def put(self, task: Task, only_failed: bool) -> None:
        progress = task.progress
        counted = f"{progress.done} of {progress.total} done, {progress.failed} failed · round {task.round}"
        parts = [
            line(task.title, "bold"),
            Text.assemble(
                state_of(task), f" · {counted} · {money(task.usage.cost_micro_usd or 0)} · ", (task.id, "dim")
            ),
        ]
        if task.explanation is not None:
            parts += [Text(), lines(task.explanation.summary, "yellow" if task.outcome is None else "")]
            fixes = dict.fromkeys(each.fix for each in task.explanation.waiting if each.fix)
            parts += [line(fix, "bold") for fix in list(fixes)[:3]]
        self.query_one("#task-text", Static).update(Group(*parts))
        reasons = {each.key: each.detail for each in task.explanation.waiting} if task.explanation else {}
        self.query_one(Rows).put(
            (
                each.key,
                (
                    line(each.key), item(str(each.status)), str(each.attempt), line(each.bot or "–"),
                    line(each.cause.message if each.cause else reasons.get(each.key, "")),
                ),
            )
            for each in task.subtasks
            if not only_failed or each.status == "FAILED"
        )  # fmt: skip
