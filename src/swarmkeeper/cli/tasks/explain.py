"""`task explain`: why a task is not done yet, and the command that helps; and the same in short, for those who wait."""

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
WIDE = 120  # characters in which the detail has room beside all the others
# Reasons for which a person has to do something are marked; with the others it goes on by itself.
_COLOURS = {"leased": "green", "queued": "cyan", "backoff": "magenta", "dependency": "dim"}
KEYS_TOLD = 3
ONE_BY_ONE_MAX = 12  # more rows than that are told in groups


@connected
def explain(
    connection: Connection,
    task_id: TaskId,
) -> None:
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
    """A row for each; where they are many, one for all that wait alike, so that a screen holds them."""
    alike: dict[tuple[Any, ...], list[Waiting]] = {}
    many = len(found.waiting) > ONE_BY_ONE_MAX
    for one in found.waiting:
        alike.setdefault((one.status, one.reason, one.fix) if many else (one.work_id,), []).append(one)
    return [_row(group) for group in alike.values()]


def _row(group: list[Waiting]) -> dict[str, Any]:
    one = group[0]
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    since = min((each.since for each in group if each.since is not None), default=None)
    until = min((each.until for each in group if each.until is not None), default=None)
    return {
        "key": (one.key or "(the task)") + more,
        "status": one.status,
        "attempt": one.attempt or "",
        "why": one.reason,
        "since": "" if since is None else since.strftime("%H:%M:%S"),
        "until": "" if until is None else until.strftime("%Y-%m-%d %H:%M:%S"),
        "detail": one.detail,
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
    """Each command that helps, with what it is for; the same command is told once."""
    keys: dict[str, list[str]] = {}
    for one in found.waiting:
        if one.fix is not None:
            keys.setdefault(one.fix, []).append(on_one_line(one.key) or "the task")
    return {
        command: ", ".join(told[:KEYS_TOLD]) + (f" and {len(told) - KEYS_TOLD} more" if len(told) > KEYS_TOLD else "")
        for command, told in keys.items()
    }


async def looked(client: Client, task_id: str) -> Task | None:
    """The task with its explanation, both of one moment, for whoever waits or watches anyway; None where the server
    cannot say it just now."""
    from swarmkeeper.sdk.errors import ApiError

    try:
        return await client.get(task_id, explain=True)
    except ApiError:
        return None  # the look at the task itself tells what is wrong with the server or key


def in_short(found: Explanation, *, seconds: float) -> str:
    """The summary, and what to type, for somebody who has seen nothing happen for a while."""
    lines = [f"no change for {seconds:g} s: {on_one_line(found.summary)}"]
    lines += [f"  fix  {on_one_line(command)}" for command in list(fixes_of(found))[:KEYS_TOLD]]
    return "\n".join(lines)
