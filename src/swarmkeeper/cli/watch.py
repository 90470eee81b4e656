"""Shows a task while it goes on: a table drawn again and again on a terminal, elsewhere one line for each change.

Whoever sees nothing happen for a while is told why, and what to type; again only once there is something else to tell.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from swarmkeeper.cli import explain, terminal
from swarmkeeper.cli.terminal import on_one_line
from swarmkeeper.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swarmkeeper.wire.answers import SubTaskState, Task
    from swarmkeeper.wire.explain import Explanation, Waiting

# After so long without any change, whoever waits is told what is waited for.
STILL_SECONDS = 10.0
# How often a table on a terminal is drawn while nothing changes, so that times go on; and how often at most the server
# is asked for reasons, which for a large task costs it more than a look.
DRAW_SECONDS = 1.0
WHY_SECONDS = 3.0
ROWS_MAX = 30  # more do not fit on a terminal; what is under way comes first

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

Why = Callable[[], Awaitable["Explanation | None"]]


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


async def follow(
    looks: AsyncIterator[Task], why: Why, *, to: TextIO | None = None, still_seconds: float | None = None
) -> Task:
    """Show each look, and return the last. Lines go to `to` (stdout), a table is drawn where that is a terminal."""
    stream = to or sys.stdout
    if not terminal.manner.as_json and stream.isatty():
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
        elif (found := await why()) is not None and found.summary != told:
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
    from rich.console import Console
    from rich.live import Live

    last: Task | None = None
    found: Explanation | None = None
    clock = asyncio.get_running_loop()
    asked = -WHY_SECONDS
    with Live(console=Console(file=stream), auto_refresh=False) as live:
        async for look in beats(looks, DRAW_SECONDS):
            last = look or last
            if last is None:
                continue
            if last.outcome is not None:
                found = None
            elif clock.time() - asked >= WHY_SECONDS:
                found, asked = await why(), clock.time()
            live.update(picture(last, found, now=_now()), refresh=True)
    assert last is not None, "a task is looked at at least once"
    return last


def picture(task: Task, found: Explanation | None = None, *, now: datetime) -> RenderableType:
    """The task as a table; `found` says why things wait."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    progress = task.progress
    title = f"{on_one_line(task.title)}  ·  {task_state(task)}  ·  {progress.done}/{progress.total} done"
    if progress.failed:
        title += f", {progress.failed} failed"
    if task.round > 1:
        title += f"  ·  round {task.round}"
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for name in ("status", "key", "bot", "attempt", "time", "why"):
        table.add_column(name)
    waiting = {} if found is None else {one.key: one for one in found.waiting}
    rows = [*task.subtasks, *_others(task, found)]
    ordered = sorted(rows, key=lambda one: _FIRST.index(str(one.status)))
    for one in ordered[:ROWS_MAX]:
        glyph, colour = _LOOKS[str(one.status)]
        reason = waiting.get(one.key)
        if reason is not None and reason.status != one.status:
            reason = None  # it has moved on since that was said
        table.add_row(
            Text(f"{glyph} {one.status}", style=colour),
            Text(on_one_line(one.key)),
            Text(on_one_line(reason.bot or "") if reason is not None else ""),
            str(one.attempt) if one.attempt else "",
            "" if reason is None or reason.since is None else _lasting((now - reason.since).total_seconds()),
            Text("" if reason is None else on_one_line(f"{reason.reason}: {reason.detail}"), style="dim"),
        )
    if len(ordered) > ROWS_MAX:
        rest = Counter(str(one.status) for one in ordered[ROWS_MAX:])
        table.add_row("…", ", ".join(f"{count} {status}" for status, count in rest.items()), "", "", "", "")
    if found is None:
        return table
    fixes = [Text(f"fix  {on_one_line(command)}") for command in list(explain.fixes_of(found))[: explain.KEYS_TOLD]]
    return Group(table, Text(on_one_line(found.summary)), *fixes)


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)


def _others(task: Task, found: Explanation | None) -> list[Waiting | SubTaskState]:
    """Plans and reviews that wait: work too, though no subtasks."""
    known = {one.key for one in task.subtasks}
    return [] if found is None else [one for one in found.waiting if one.work_id is not None and one.key not in known]


def _lasting(seconds: float) -> str:
    whole = max(0, round(seconds))  # clocks differ
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"
