"""What `run` shows while it lasts: plan, progress, verdicts and cost. On stderr; stdout is for the result.

All texts are those of bots and models, so each is made safe for a terminal, put on one line, and cut. None is read as
markup of rich.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from swarmkeeper.cli.framework.terminal import on_one_line
from swarmkeeper.cli.tasks import outcomes, watch
from swarmkeeper.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swarmkeeper.wire.answers import Task

LINE_LENGTH_MAX = 300
_KEYS_MAX = 12
MILLION = 1_000_000


def usd(micro: int) -> str:
    """Return an amount as people write it: `$0.0042`, `$1.50`."""
    return f"${micro / MILLION:.4f}" if micro < 10_000 else f"${micro / MILLION:.2f}"


@dataclass(slots=True)
class RunView:
    """Tells what has changed since the last look, or draws the whole.

    Attributes:
        unpriced: models whose price is unknown.
    """

    unpriced: tuple[str, ...] = ()
    _changes: watch.TaskChanges = field(default_factory=watch.TaskChanges)
    _planned: str = ""
    _verdict: str = ""
    _spent: str = ""

    def lines(self, task: Task) -> Iterator[str]:
        """Yield a line for each change."""
        if (plan := self.plan(task)) != self._planned:
            self._planned = plan
            yield plan
        yield from (cut(line) for line in self._changes.of(task))
        for verdict in outcomes.of_verdict(task):
            if verdict != self._verdict:
                self._verdict = verdict
                yield cut(verdict)
        if (spent := self.spent(task)) != self._spent and (task.usage.tokens or task.usage.cost_micro_usd):
            self._spent = spent
            yield spent

    def plan(self, task: Task) -> str:
        if not task.subtasks_total:
            return ""
        keys = [on_one_line(subtask.key) for subtask in task.subtasks[:_KEYS_MAX]]
        more = f", and {task.subtasks_total - len(keys)} more" if task.subtasks_total > len(keys) else ""
        count = task.subtasks_total
        return cut(f"plan: {count} subtask{'s' * (count > 1)}: {', '.join(keys)}{more}")

    def spent(self, task: Task) -> str:
        account = task.budget
        most = None if account is None else account.limit.get("cost_micro_usd")
        held = 0 if account is None else account.reserved.get("cost_micro_usd", 0)
        reserved = f" ({usd(held)} reserved)" if held else ""
        limit = "" if most is None else f" of {usd(most)}{reserved}"
        unknown = f", without {', '.join(map(on_one_line, self.unpriced))} (price unknown)" if self.unpriced else ""
        return cut(f"spent {usd(task.usage.cost_micro_usd)}{limit}, {task.usage.tokens:,} tokens{unknown}")

    def picture(self, task: Task, *, width: int, height: int) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        how = "  ·  Ctrl-C stops, the task stays" if task.outcome is None else ""
        below = [self.plan(task), *outcomes.of_verdict(task), self.spent(task) + how]
        texts = [Text(cut(line, max(width, 20)), no_wrap=True, overflow="ellipsis") for line in below if line]
        now = datetime.fromtimestamp(SystemClock().now() / MILLION, UTC)
        table = watch.picture(task, now=now, width=width, height=max(height - len(texts), 6))
        return Group(table, *texts)


def cut(text: str, length: int = LINE_LENGTH_MAX) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


async def follow(looks: AsyncIterator[Task], view: RunView, why: watch.Why, stream: TextIO) -> Task:
    """Show each look until the last, and return that."""
    if watch.draws(stream):
        return await _draw(looks, view, why, stream)

    def show(task: Task) -> None:
        for line in view.lines(task):
            print(line, file=stream, flush=True)

    return await watch.each(looks, why, show)


async def _draw(looks: AsyncIterator[Task], view: RunView, why: watch.Why, stream: TextIO) -> Task:
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream, markup=False, highlight=False, emoji=False)
    last: Task | None = None
    clock, due = asyncio.get_running_loop(), 0.0
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        async for look in watch.with_pauses(looks, watch.DRAW_SECONDS):
            last = look or last
            if last is None:
                continue
            drawn = last
            if last.outcome is None and clock.time() >= due:
                drawn = await why() or last
                due = clock.time() + watch.WHY_SECONDS
            size = console.size
            live.update(view.picture(drawn, width=size.width, height=size.height), refresh=True)
    assert last is not None, "there is at least one look"
    return last
