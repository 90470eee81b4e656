"""How things are written on the screen. What a server sends is text: it has neither control signs nor markup."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.text import Text

from swarmkeeper.cli.framework.terminal import on_one_line, shown
from swarmkeeper.clock import SystemClock

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.tables.answers import ListedTask

LINE_MAX = 200  # characters
SUBJECT_MAX = 16 * 1024  # characters
_CLOCK = SystemClock()
_STATES = {
    "CREATED": ("○", "dim"),
    "PLANNED": ("○", "dim"),
    "IN_PROGRESS": ("▶", "blue"),
    "COMPLETED": ("◆", "magenta"),
    "FAILED": ("✗", "red"),
    "ARCHIVED": ("✓", "green"),
    "accepted": ("✓", "green"),
    "failed": ("✗", "red"),
    "rejected": ("✗", "red"),
    "expired": ("✗", "red"),
    "cancelled": ("−", "dim"),
    "held": ("‖", "yellow"),
}
_HOLDS = {"paused": "paused", "budget": "at its budget"}
_ITEMS = {"LEASED": ("▶", "blue"), "SUCCEEDED": ("✓", "green"), "FAILED": ("✗", "red"), "IN_REVIEW": ("◆", "magenta")}


def line(text: object, style: str = "", most: int = LINE_MAX) -> Text:
    """Return text of somebody else on one line."""
    shown_whole = on_one_line(str(text))
    cut = shown_whole if len(shown_whole) <= most else f"{shown_whole[: most - 1]}…"
    return Text(cut, style=style, no_wrap=True, overflow="ellipsis")


def lines(text: object, style: str = "") -> Text:
    return Text(shown(str(text)), style=style)


def state_of(task: Task | ListedTask) -> Text:
    """Return what a person wants to know first: the outcome, else what holds it, else the status."""
    word = str(task.outcome) if task.outcome is not None else str(task.status)
    if task.outcome is None and task.holds:
        return _state("held", next((_HOLDS[hold] for hold in task.holds if hold in _HOLDS), "waits for a person"))
    return _state(word, word.lower().replace("_", " "))


def _state(look: str, word: str) -> Text:
    glyph, style = _STATES.get(look, ("·", ""))
    return Text(f"{glyph} {word}", style=style, no_wrap=True)


def item(status: str) -> Text:
    glyph, style = _ITEMS.get(status, ("·", "dim"))
    return Text(f"{glyph} {on_one_line(status).lower().replace('_', ' ')}", style=style, no_wrap=True)


def labels(task: ListedTask) -> Text:
    return line(" ".join(f"{name}:{value}" for name, value in task.labels.items()), "dim", 36)


def money(micro_usd: int) -> str:
    """Return an amount; it is cut into digits, never divided as a float."""
    whole, part = divmod(micro_usd, 1_000_000)
    return f"${whole:,}.{f'{part:06}'[: 2 if whole else 4]}" if micro_usd else "–"


def now() -> datetime:
    return datetime.fromtimestamp(_CLOCK.now() / 1_000_000, UTC)


def ago(moment: datetime | None) -> str:
    return "–" if moment is None else span(now() - moment)


def until(moment: datetime) -> str:
    return span(moment - now())


def span(time: timedelta) -> str:
    seconds = max(0, int(time.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 1:
        return f"{minutes} m {seconds % 60:02} s"
    return f"{hours} h {minutes % 60:02} m" if hours < 48 else f"{hours // 24} d"


def error_of(row: ListedTask) -> str:
    """Return the first line of what went wrong first; empty for a task that runs well."""
    message = row.error.get("message") if isinstance(row.error, dict) else None
    text = str(message or (row.failure.detail if row.failure else ""))
    return text.partition("\n")[0]


def document(value: Any) -> Text:
    """Return a value as JSON, its head if it is long."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    cut = f"\n… {len(text) - SUBJECT_MAX:,} more characters" if len(text) > SUBJECT_MAX else ""
    return lines(text[:SUBJECT_MAX] + cut)
