"""Shows a running task: a table that is redrawn on a terminal, elsewhere one line for each change.

If nothing changes for a while, it prints why, and the command that helps; again only when the reason changes.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.terminal import on_one_line
from swarmkeeper.cli.tasks import explain, trouble
from swarmkeeper.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from swarmkeeper.wire.answers import SubTaskState, Task
    from swarmkeeper.wire.explain import Waiting
    from swarmkeeper.wire.tables.answers import ListedTask

# After this time without a change, the reason is printed.
STILL_SECONDS = 10.0
# How often a table is redrawn without changes, so that times advance; and how often at most the server is asked for
# reasons, which cost it more for a large task.
DRAW_SECONDS = 1.0
WHY_SECONDS = 1.0
WHY_SHARE = 20  # the pause between such calls is at least this many times the duration of the last one
WHY_SECONDS_MAX = 5.0
ROWS_MAX = 30  # more do not help; active items come first
SUMMARY_LENGTH_MAX = 320  # four lines of a narrow terminal
TITLE_LENGTH_MIN = 16
_MOST = {"key": 20, "bot": 16}  # characters, so that the reason has room on a narrow terminal

# (glyph, colour): a status is shown by glyph and word, never by colour alone.
_LOOKS = {
    "BLOCKED": ("·", "dim"),
    "READY": ("○", "cyan"),
    "LEASED": ("▶", "yellow"),
    "WAITING": ("◷", "magenta"),
    "IN_REVIEW": ("◆", "blue"),
    "SUCCEEDED": ("✓", "green"),
    "FAILED": ("✗", "red"),
    "CANCELLED": ("⊘", "red"),
    "SKIPPED": ("−", "dim"),
}
_FIRST = ("LEASED", "IN_REVIEW", "WAITING", "FAILED", "READY", "BLOCKED", "SUCCEEDED", "SKIPPED", "CANCELLED")

# Returns the task with the reasons of the same moment; None if the server cannot provide them.
Why = Callable[[], Awaitable["Task | None"]]


class TaskChanges:
    """Yields the lines for what changed since the last look at a task."""

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
                said = "" if subtask.cause is None else f": {trouble.of_subtask(subtask)}"
                yield f"{stamp} subtask {on_one_line(subtask.key)} {state}{said}"
                self._subtasks[subtask.key] = state


def task_state(task: Task | ListedTask) -> str:
    """Return the outcome before the status: `accepted (ARCHIVED)`."""
    state = f"{task.outcome} ({task.status})" if task.outcome is not None else str(task.status)
    if task.holds:
        state += f", held: {', '.join(on_one_line(hold) for hold in task.holds)}"
    return state


def counted(task: Task) -> str:
    """Return for example `3/5 done, 1 failed, 1 cancelled`; cancelled items do not count as failed."""
    progress = task.progress
    cancelled = progress.cancelled or 0
    said = f"{progress.done}/{progress.total} done, {progress.failed - cancelled} failed"
    return said + (f", {cancelled} cancelled" if cancelled else "")


def took(subtask: SubTaskState, now: datetime | None = None) -> str:
    """Return the duration of the last attempt, so far if it is still running."""
    if subtask.started_at is None:
        return ""
    return lasting(((subtask.ended_at or now or _now()) - subtask.started_at).total_seconds())


def draws(stream: TextIO) -> bool:
    """Return whether a table is drawn on this stream, instead of lines."""
    return not terminal.output_format.as_json and stream.isatty()


async def follow(
    looks: AsyncIterator[Task], why: Why, *, to: TextIO | None = None, still_seconds: float | None = None
) -> Task:
    """Show each look, and return the last: lines on `to` (by default stdout), or a table if it is a terminal."""
    stream = to or sys.stdout
    if draws(stream):
        return await _draw(looks, why, stream)
    changes = TaskChanges()

    def show(task: Task) -> None:
        for line in changes.of(task):
            print(line, file=stream, flush=True)

    return await each(looks, why, show, still_seconds=still_seconds)


async def each(
    looks: AsyncIterator[Task], why: Why, show: Callable[[Task], None], *, still_seconds: float | None = None
) -> Task:
    """Pass every look to `show`, and return the last; while nothing changes, print the reason on stderr."""
    still = STILL_SECONDS if still_seconds is None else still_seconds
    last: Task | None = None
    shown = ""
    async for look in with_pauses(looks, still):
        if look is not None:
            show(last := look)
            continue
        now = await why()
        found = None if now is None or now.outcome is not None else now.explanation
        if found is not None and found.summary != shown:
            shown = found.summary
            terminal.talk(explain.in_short(found, seconds=still))
    assert last is not None, "there is at least one look"
    return last


async def with_pauses(looks: AsyncIterator[Task], seconds: float) -> AsyncIterator[Task | None]:
    """Yield each look as it comes, and None after each `seconds` without one."""
    coming = asyncio.ensure_future(anext(looks, None))
    try:
        while True:
            await asyncio.wait([coming], timeout=seconds)
            if not coming.done():
                yield None
                continue
            found = coming.result()
            if found is None:
                return
            coming = asyncio.ensure_future(anext(looks, None))
            yield found
    finally:
        coming.cancel()


async def _draw(looks: AsyncIterator[Task], why: Why, stream: TextIO) -> Task:
    """Draw a task repeatedly. Table and reasons are always of the same look, so they never contradict each other: a
    change is drawn a moment later if reasons may not be asked for yet.
    """
    from rich.console import Console
    from rich.live import Live

    last: Task | None = None
    drawn: Task | None = None
    console = Console(file=stream)
    clock = asyncio.get_running_loop()
    due = -math.inf
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        async for look in with_pauses(looks, DRAW_SECONDS):
            last = look or last
            if last is None:
                continue
            if last.outcome is not None:
                drawn = last
            elif clock.time() >= due:
                asked = clock.time()
                drawn = await why() or last
                due = clock.time() + min(WHY_SECONDS_MAX, max(WHY_SECONDS, WHY_SHARE * (clock.time() - asked)))
            if drawn is not None:
                size = console.size
                live.update(picture(drawn, now=_now(), width=size.width, height=size.height), refresh=True)
    assert last is not None, "there is at least one look"
    return last


def picture(task: Task, *, now: datetime, width: int, height: int | None = None) -> RenderableType:
    """Return the task as a table, with its explanation below, at most `height` lines high so that all stays visible.

    Rows that do not fit are counted. Waiting items come before finished ones.
    """
    from rich.console import Group
    from rich.text import Text

    state = f"  ·  {task_state(task)}  ·  {counted(task)}" + (f"  ·  round {task.round}" if task.round > 1 else "")
    title = _cut(on_one_line(task.title), max(TITLE_LENGTH_MIN, width - len(state))) + state
    below = [Text(line) for line in _below(task)]
    rows = ROWS_MAX
    if height is not None:
        # Title, headings, the counts, and the line of the cursor.
        used = 4 + sum(len(_folded(line.plain, width)) for line in below)
        rows = max(1, min(ROWS_MAX, height - used))
    table, rest = _table(task, rows, now, width)
    return Group(Text(_cut(title, width)), table, *([Text(_cut(rest, width))] if rest else []), *below)


def _below(task: Task) -> list[str]:
    """Return why the task is not done, and the commands that help; or why it failed."""
    if task.failure is not None:
        return trouble.of_failure(task)
    found = task.explanation
    if found is None or task.outcome is not None:
        return []
    fixes = [f"fix  {on_one_line(command)}" for command in list(explain.fixes_of(found))[: explain.KEYS_SHOWN]]
    return [_cut(on_one_line(found.summary), SUMMARY_LENGTH_MAX), *fixes]


def _folded(text: str, width: int) -> list[Text]:
    from rich.console import Console
    from rich.text import Text

    return list(Text(text).wrap(Console(width=width), width))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _table(task: Task, rows_max: int, now: datetime, width: int) -> tuple[Table, str]:
    """Return as many rows as fit, each on one line, and the counts of the others by status."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, width=width)
    for name in ("status", "key", "bot", "attempt", "time", "why"):
        ratio = 1 if name == "why" else None  # it gets the remaining width
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=_MOST.get(name), ratio=ratio)
    rows = sorted(_rows(task, now), key=lambda row: _FIRST.index(row.status))
    for row in rows[:rows_max]:
        glyph, colour = _LOOKS[row.status]
        table.add_row(
            Text(f"{glyph} {row.status}", style=colour),
            Text(on_one_line(row.key)),
            Text(on_one_line(row.bot or "")),
            str(row.attempt or ""),
            row.time,
            Text(on_one_line(row.why), style="dim"),
        )
    rest = Counter(row.status for row in rows[rows_max:])
    return table, "… " + ", ".join(f"{count} {status}" for status, count in rest.items()) if rest else ""


@dataclass(frozen=True, slots=True)
class _Row:
    status: str
    key: str
    bot: str | None
    attempt: int
    time: str
    why: str


def _rows(task: Task, now: datetime) -> Iterator[_Row]:
    """Yield the subtasks, and the plans and reviews that wait."""
    found = task.explanation if task.outcome is None else None
    waiting = {} if found is None else {item.work_id: item for item in found.waiting if item.work_id is not None}
    for subtask in task.subtasks:
        reason = waiting.pop(subtask.id, None)
        time = took(subtask, now) if reason is None else _since(reason, now)
        bot = subtask.bot or (None if reason is None else reason.bot)
        yield _Row(str(subtask.status), subtask.key, bot, subtask.attempt, time, _why(subtask, reason))
    for other in waiting.values():
        why = f"{other.reason}: {other.detail}"
        yield _Row(str(other.status), other.key, other.bot, other.attempt, _since(other, now), why)


def _since(waiting: Waiting, now: datetime) -> str:
    return "" if waiting.since is None else lasting((now - waiting.since).total_seconds())


def _why(subtask: SubTaskState, reason: Waiting | None) -> str:
    """Return the item's progress, or why it waits, or why its last attempt gave no result."""
    if subtask.progress is not None and subtask.progress.fraction is not None:
        message = f": {subtask.progress.message}" if subtask.progress.message else ""
        return f"{subtask.progress.fraction:.0%}{message}"
    if reason is not None:
        return f"{reason.reason}: {reason.detail}"
    return "" if subtask.cause is None else subtask.cause.message


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)


def lasting(seconds: float) -> str:
    whole = max(0, round(seconds))  # clocks differ
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"
