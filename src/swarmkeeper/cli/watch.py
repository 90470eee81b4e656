"""Shows a task while it goes on: a table drawn again and again on a terminal, elsewhere one line for each change."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, TextIO

from swarmkeeper.cli import terminal
from swarmkeeper.cli.terminal import on_one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swarmkeeper.wire.answers import Task

ROWS_MAX = 30  # more do not fit on a terminal; what is under way comes first
_COLOURS = {
    "BLOCKED": "dim",
    "READY": "cyan",
    "LEASED": "yellow",
    "WAITING": "magenta",
    "IN_REVIEW": "blue",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "CANCELLED": "red",
    "SKIPPED": "dim",
}
_FIRST = ("LEASED", "IN_REVIEW", "WAITING", "FAILED", "READY", "BLOCKED", "SUCCEEDED", "SKIPPED", "CANCELLED")


class Changes:
    """What is new in each look at a task, in lines."""

    def __init__(self) -> None:
        self._task: str | None = None
        self._subtasks: dict[str, str] = {}

    def of(self, task: Task) -> Iterator[str]:
        stamp = task.updated_at.strftime("%H:%M:%S")
        now = task_state(task)
        if now != self._task:
            yield f"{stamp} task {task.id} {now}"
            self._task = now
        for subtask in task.subtasks:
            state = f"{subtask.status}" + (f" (attempt {subtask.attempt})" if subtask.attempt > 1 else "")
            if self._subtasks.get(subtask.key) != state:
                yield f"{stamp} subtask {on_one_line(subtask.key)} {state}"
                self._subtasks[subtask.key] = state


def task_state(task: Task) -> str:
    """The outcome before the status: `accepted (ARCHIVED)`."""
    state = f"{task.outcome} ({task.status})" if task.outcome is not None else str(task.status)
    if task.holds:
        state += f", held: {', '.join(on_one_line(hold) for hold in task.holds)}"
    return state


async def follow(looks: AsyncIterator[Task], to: TextIO | None = None) -> Task:
    """Show each look, and return the last. Lines go to `to` (stdout), a table is drawn where that is a terminal."""
    stream = to or sys.stdout
    last: Task | None = None
    if stream.isatty() and not terminal.manner.as_json:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=stream), auto_refresh=False) as live:
            async for last in looks:
                live.update(picture(last), refresh=True)
    else:
        changes = Changes()
        async for last in looks:
            for line in changes.of(last):
                print(line, file=stream, flush=True)
    assert last is not None, "a task is looked at at least once"
    return last


async def follow_as_json(looks: AsyncIterator[Task], say: Callable[[object], None]) -> Task:
    """Every look as one JSON value."""
    last: Task | None = None
    async for last in looks:
        say(last.model_dump(mode="json"))
    assert last is not None, "a task is looked at at least once"
    return last


def picture(task: Task) -> RenderableType:
    """The task as a table."""
    from rich.table import Table
    from rich.text import Text

    progress = task.progress
    title = f"{on_one_line(task.title)}  ·  {task_state(task)}  ·  {progress.done}/{progress.total} done"
    if progress.failed:
        title += f", {progress.failed} failed"
    if task.round > 1:
        title += f"  ·  round {task.round}"
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for name in ("subtask", "status", "attempt", "after"):
        table.add_column(name)
    ordered = sorted(task.subtasks, key=lambda one: _FIRST.index(str(one.status)))
    for subtask in ordered[:ROWS_MAX]:
        behind = [one if isinstance(one, str) else one.key for one in subtask.depends_on or ()]
        after = ", ".join(on_one_line(key) for key in behind[:3]) + (f" +{len(behind) - 3}" if len(behind) > 3 else "")
        status = str(subtask.status)
        attempt = str(subtask.attempt) if subtask.attempt else ""
        table.add_row(
            Text(on_one_line(subtask.key)), Text(status, style=_COLOURS[status]), attempt, Text(after, style="dim")
        )
    if len(ordered) > ROWS_MAX:
        rest = Counter(str(one.status) for one in ordered[ROWS_MAX:])
        table.add_row("…", ", ".join(f"{count} {status}" for status, count in rest.items()), "", "")
    return table
