"""`task explain`: why a task is not done yet, and the command that helps; and a short form for waiting commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import TaskId
from swarmkeeper.cli.framework.terminal import on_one_line
from swarmkeeper.cli.tasks import trouble

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.explain import Explanation, Waiting

COLUMNS = ("key", "status", "attempt", "why", "since", "until", "detail")
NARROW_COLUMNS = ("key", "status", "why", "detail")
WIDE = 120  # characters; enough for all columns
# All other reasons are highlighted: a person has to act. With these, the task goes on by itself.
_COLOURS = {"leased": "green", "queued": "cyan", "backoff": "magenta", "dependency": "dim"}
KEYS_SHOWN = 3
ONE_BY_ONE_MAX = 12  # with more rows, equal ones are grouped


@connected
def explain(connection: Connection, task_id: TaskId) -> None:
    """Explain why a task is not done yet: the reason for each waiting item, and the command that helps."""
    found = connection.call(lambda client: client.explain(task_id))
    if connection.as_json:
        terminal.say_record(found)
        return
    terminal.say(f"{found.task_id}  {found.status}")
    terminal.say(on_one_line(found.summary))
    for near in found.near_limits:
        terminal.say(f"near a limit: {near.used} of {near.most} {near.limit} of this {near.scope}")
    if found.failure is not None and found.failure.cause is not None:
        for line in trouble.problems(found.failure.cause):
            terminal.say(line)
    if not found.waiting:
        return
    terminal.say()
    if terminal.is_live():
        _draw(found)
    else:
        terminal.say_table(_rows(found), COLUMNS)
    if found.waiting_total > len(found.waiting):
        terminal.say(f"… and {found.waiting_total - len(found.waiting)} more")
    fixes = fixes_of(found)
    if fixes:
        terminal.say()
    for command, keys in fixes.items():
        terminal.say(f"fix  {on_one_line(command)}   # for {keys}")


def _rows(found: Explanation) -> list[dict[str, Any]]:
    """Return a row for each waiting item; if there are many, one for all that wait alike, to fit on a screen."""
    alike: dict[tuple[Any, ...], list[Waiting]] = {}
    grouped = len(found.waiting) > ONE_BY_ONE_MAX
    for item in found.waiting:
        alike.setdefault((item.status, item.reason, item.fix) if grouped else (item.work_id,), []).append(item)
    return [_row(group) for group in alike.values()]


def _row(group: list[Waiting]) -> dict[str, Any]:
    first = group[0]
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    since = min((item.since for item in group if item.since is not None), default=None)
    until = min((item.until for item in group if item.until is not None), default=None)
    return {
        "key": (first.key or "(the task)") + more,
        "status": first.status,
        "attempt": first.attempt or "",
        "why": first.reason,
        "since": "" if since is None else since.strftime("%H:%M:%S"),
        "until": "" if until is None else until.strftime("%Y-%m-%d %H:%M:%S"),
        "detail": first.detail,
    }


def _draw(found: Explanation) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    columns = COLUMNS if console.width >= WIDE else NARROW_COLUMNS
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name)
    for row in _rows(found):
        colour = _COLOURS.get(row["why"], "bold yellow")
        cells = [Text(on_one_line(str(row[name])), style=colour if name == "why" else "") for name in columns]
        table.add_row(*cells)
    console.print(table)


def fixes_of(found: Explanation) -> Mapping[str, str]:
    """Return each command that helps, once, with the items that it is for."""
    keys: dict[str, list[str]] = {}
    for item in found.waiting:
        if item.fix is not None:
            keys.setdefault(item.fix, []).append(on_one_line(item.key) or "the task")
    return {
        command: ", ".join(names[:KEYS_SHOWN])
        + (f" and {len(names) - KEYS_SHOWN} more" if len(names) > KEYS_SHOWN else "")
        for command, names in keys.items()
    }


async def with_explanation(client: Client, task_id: str) -> Task | None:
    """Return the task with its explanation, both of the same moment; None if the server cannot provide it now."""
    from swarmkeeper.sdk.errors import ApiError

    try:
        return await client.get(task_id, explain=True)
    except ApiError:
        return None  # the next plain look reports what is wrong with the server or key


def in_short(found: Explanation, *, seconds: float) -> str:
    """Return the summary and the commands that help, for a person who has seen no change for `seconds`."""
    lines = [f"no change for {seconds:g} s: {on_one_line(found.summary)}"]
    lines += [f"  fix  {on_one_line(command)}" for command in list(fixes_of(found))[:KEYS_SHOWN]]
    return "\n".join(lines)
