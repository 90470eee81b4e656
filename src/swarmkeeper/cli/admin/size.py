"""`store size` and `store rebuild`: what holds how much of a store, and what follows from other rows made anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store

if TYPE_CHECKING:
    from swarmkeeper.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The store itself.")

# What the tables are for; all others are `other`. A setting of this name says how long a group is kept.
GROUPS: Mapping[str, str] = {
    **dict.fromkeys(("task", "work", "edge", "ready", "lease", "timer", "chore"), "tasks"),
    **dict.fromkeys(("attempt", "approval", "feedback", "answered", "late_result", "message"), "attempts"),
    "payload": "payloads",
    "event": "events",
    **dict.fromkeys(("audit_leaf", "audit_tree", "audit_cut", "audit_start"), "audit"),
}


@app.command()
def size(store: Store = None, as_json: AsJson = False) -> None:
    """Show what holds how much: by kind of data, by table and by tenant. Reads the whole file.

    A server may be running. Space that erased data leaves is free, and is used again before the file grows.
    """
    tables, free, tenants = running.run(_measure(running.on_disk(store, lost="")))
    groups: dict[str, dict[str, Any]] = {}
    for row in tables:
        name = GROUPS.get(row["table"], "other")
        group = groups.setdefault(name, {"group": name, "rows": 0, "bytes": 0})
        group["rows"] += row["rows"]
        group["bytes"] += row["bytes"]
    shown = sorted(groups.values(), key=lambda group: -group["bytes"])
    total = free + sum(group["bytes"] for group in shown)
    if as_json:
        terminal.say_json({"bytes": total, "free_bytes": free, "groups": shown, "tables": tables, "tenants": tenants})
        return
    terminal.say_table([*shown, {"group": "(free)", "rows": None, "bytes": free}], ("group", "rows", "bytes"))
    terminal.say(f"{total} bytes in all, without the write-ahead log")
    terminal.say_table(tables, ("table", "rows", "bytes", "spare"))
    rows = [{**row, "oldest": None if row["oldest"] is None else _day(row["oldest"])} for row in tenants]
    terminal.say_table(rows, ("tenant", "tasks", "finished", "oldest", "stored_bytes"))


@app.command()
def rebuild(store: Store = None, as_json: AsJson = False) -> None:
    """Make anew what follows from other rows: counts, sums of costs, labels, words of titles. See `doctor --deep`.

    A server may be running: it goes on between the slices. Until the end, searches for words miss tasks. If it is
    interrupted, the next start of a server goes on with it.
    """
    running.run(_rebuild(running.on_disk(store, lost="")))
    if as_json:
        terminal.say_json({"rebuilt": True})
    else:
        terminal.talk("counts, costs, labels and words were made anew")


async def _rebuild(settings: Settings) -> None:
    async with running.store_of(settings) as opened:
        await opened.rebuild()


def _day(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).date().isoformat()


async def _measure(settings: Settings) -> tuple[list[dict[str, Any]], int, list[dict[str, Any]]]:
    async with running.store_of(settings, reading=True) as opened:
        tables = await opened.read("size_of_tables", {})
        free = await opened.read("size_of_free", {})
        return tables, free[0]["bytes"], await opened.read("size_of_tenants", {})
