"""Shows a task while it goes on: a table drawn again and again on a terminal, elsewhere one line for each change.

Whoever sees nothing happen for a while is told why, and what to type; again only once there is something else to tell.
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

# After so long without any change, whoever waits is told what is waited for.
STILL_SECONDS = 10.0
# How often a table on a terminal is drawn while nothing changes, so that times go on; and how often at most the server
# is asked for a look with reasons, which for a large task costs it more than one without.
DRAW_SECONDS = 1.0
WHY_SECONDS = 1.0
WHY_SHARE = 20  # of the server's time: what it takes to answer, this often longer nobody asks again
WHY_SECONDS_MAX = 5.0
ROWS_MAX = 30  # more help nobody; what is under way comes first
SUMMARY_LENGTH_MAX = 320  # four lines of a narrow terminal
TITLE_LENGTH_MIN = 16
_MOST = {"key": 20, "bot": 16}  # characters, so that the reason has room on a narrow terminal

# (glyph, colour): a status is told by its glyph and its word, never by colour alone.
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

# A look with the reasons of the same moment; None where the server cannot say them.
Why = Callable[[], Awaitable["Task | None"]]


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
                said = "" if subtask.cause is None else f": {trouble.of_subtask(subtask)}"
                yield f"{stamp} subtask {on_one_line(subtask.key)} {state}{said}"
                self._subtasks[subtask.key] = state


def task_state(task: Task) -> str:
    """The outcome before the status: `accepted (ARCHIVED)`."""
    state = f"{task.outcome} ({task.status})" if task.outcome is not None else str(task.status)
    if task.holds:
        state += f", held: {', '.join(on_one_line(hold) for hold in task.holds)}"
    return state


def counted(task: Task) -> str:
    """`3/5 done, 1 failed, 1 cancelled`: what was cancelled did not fail."""
    progress = task.progress
    cancelled = progress.cancelled or 0
    said = f"{progress.done}/{progress.total} done, {progress.failed - cancelled} failed"
    return said + (f", {cancelled} cancelled" if cancelled else "")


def took(one: SubTaskState, now: datetime | None = None) -> str:
    """How long its last attempt took, or has taken so far."""
    if one.started_at is None:
        return ""
    return lasting(((one.ended_at or now or _now()) - one.started_at).total_seconds())


def draws(stream: TextIO) -> bool:
    """Whether a table is drawn there, rather than lines written."""
    return not terminal.manner.as_json and stream.isatty()


async def follow(
    looks: AsyncIterator[Task], why: Why, *, to: TextIO | None = None, still_seconds: float | None = None
) -> Task:
    """Show each look, and return the last. Lines go to `to` (stdout), a table is drawn where that is a terminal."""
    stream = to or sys.stdout
    if draws(stream):
        return await _draw(looks, why, stream)
    changes = Changes()

    def show(task: Task) -> None:
        for line in changes.of(task):
            print(line, file=stream, flush=True)

    return await each(looks, why, show, still_seconds=still_seconds)


async def each(
    looks: AsyncIterator[Task], why: Why, show: Callable[[Task], None], *, still_seconds: float | None = None
) -> Task:
    """Hand every look to `show`, and return the last; in between, stderr says why nothing moves."""
    still = STILL_SECONDS if still_seconds is None else still_seconds
    last: Task | None = None
    told = ""
    async for look in beats(looks, still):
        if look is not None:
            show(last := look)
            continue
        now = await why()
        found = None if now is None or now.outcome is not None else now.explanation
        if found is not None and found.summary != told:
            told = found.summary
            terminal.talk(explain.in_short(found, seconds=still))
    assert last is not None, "a task is looked at at least once"
    return last


async def beats(looks: AsyncIterator[Task], seconds: float) -> AsyncIterator[Task | None]:
    """Each look as it comes; None whenever so many seconds have passed without one."""
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
    """Draw a task again and again. Table and reasons are always of one look, so that they never contradict each other:
    a change that comes while it is not time to ask for reasons is drawn a moment later.
    """
    from rich.console import Console
    from rich.live import Live

    last: Task | None = None
    drawn: Task | None = None
    console = Console(file=stream)
    clock = asyncio.get_running_loop()
    due = -math.inf
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        async for look in beats(looks, DRAW_SECONDS):
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
    assert last is not None, "a task is looked at at least once"
    return last


def picture(task: Task, *, now: datetime, width: int, height: int | None = None) -> RenderableType:
    """The task as a table, with what its explanation says below; no higher than `height`, so that this stays in sight.

    Rows that do not fit are counted. What waits comes before what is done.
    """
    from rich.console import Group
    from rich.text import Text

    state = f"  ·  {task_state(task)}  ·  {counted(task)}" + (f"  ·  round {task.round}" if task.round > 1 else "")
    title = _cut(on_one_line(task.title), max(TITLE_LENGTH_MIN, width - len(state))) + state
    below = [Text(line) for line in _below(task)]
    rows = ROWS_MAX
    if height is not None:
        # Title, headings, what is counted, and the line on which the cursor stays.
        used = 4 + sum(len(_folded(line.plain, width)) for line in below)
        rows = max(1, min(ROWS_MAX, height - used))
    table, rest = _table(task, rows, now, width)
    return Group(Text(_cut(title, width)), table, *([Text(_cut(rest, width))] if rest else []), *below)


def _below(task: Task) -> list[str]:
    """Why it is not done, and what to type; or why it failed."""
    if task.failure is not None:
        return trouble.of_failure(task)
    found = task.explanation
    if found is None or task.outcome is not None:
        return []
    fixes = [f"fix  {on_one_line(command)}" for command in list(explain.fixes_of(found))[: explain.KEYS_TOLD]]
    return [_cut(on_one_line(found.summary), SUMMARY_LENGTH_MAX), *fixes]


def _folded(text: str, width: int) -> list[Text]:
    from rich.console import Console
    from rich.text import Text

    return list(Text(text).wrap(Console(width=width), width))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _table(task: Task, rows_max: int, now: datetime, width: int) -> tuple[Table, str]:
    """As many rows as fit, each on one line, and what is not shown, by number."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, width=width)
    for name in ("status", "key", "bot", "attempt", "time", "why"):
        ratio = 1 if name == "why" else None  # it has what the others leave
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
    """The subtasks, and plans and reviews that wait: work too, though no subtasks."""
    found = task.explanation if task.outcome is None else None
    waiting = {} if found is None else {one.work_id: one for one in found.waiting if one.work_id is not None}
    for one in task.subtasks:
        reason = waiting.pop(one.id, None)
        time = took(one, now) if reason is None else _since(reason, now)
        bot = one.bot or (None if reason is None else reason.bot)
        yield _Row(str(one.status), one.key, bot, one.attempt, time, _why(one, reason))
    for other in waiting.values():
        why = f"{other.reason}: {other.detail}"
        yield _Row(str(other.status), other.key, other.bot, other.attempt, _since(other, now), why)


def _since(waiting: Waiting, now: datetime) -> str:
    return "" if waiting.since is None else lasting((now - waiting.since).total_seconds())


def _why(one: SubTaskState, reason: Waiting | None) -> str:
    """What its bot says of it, or why it waits, or why its last attempt brought nothing."""
    if one.progress is not None and one.progress.fraction is not None:
        return f"{one.progress.fraction:.0%}" + (f": {one.progress.message}" if one.progress.message else "")
    if reason is not None:
        return f"{reason.reason}: {reason.detail}"
    return "" if one.cause is None else one.cause.message


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)


def lasting(seconds: float) -> str:
    whole = max(0, round(seconds))  # clocks differ
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"
