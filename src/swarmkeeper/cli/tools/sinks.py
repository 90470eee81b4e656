"""`sinks check` and `sinks status`: the sinks of the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, setting
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.core.ports import Clock
    from swarmkeeper.settings import Settings
    from swarmkeeper.sinks.file import Entry

SECONDS_MAX = 15.0
SECOND = 1_000_000

app = typer.Typer(no_args_is_help=True, help="Sinks: other systems that get the audit log.")


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file of sinks (TOML).")], as_json: AsJson = False
) -> None:
    """Check a file of sinks, connect to each, and send one test record, of the type io.swarmkeeper.audit.test.v1.

    Needs no server. Exits with 1 if a sink does not take the record.
    """
    from swarmkeeper.clock import SystemClock, SystemEntropy

    clock = SystemClock()
    entries = _entries(file)
    id_ = f"test-{SystemEntropy().secret(8).hex()}"
    found = running.run(_send_tests(entries, clock, id_))
    for one in found:
        if as_json:
            terminal.say_json(one)
        else:
            said = "ok" if one["ok"] else f"failed: {one['problem']}"
            terminal.say(terminal.on_one_line(f"{one['sink']}  {one['kind']}  {one['place']}  {said}"))
    if not all(one["ok"] for one in found):
        raise typer.Exit(Exit.ERROR)


@app.command()
def status(
    sinks: Annotated[str | None, setting("sinks", metavar="FILE")] = None, store: Store = None, as_json: AsJson = False
) -> None:
    """Show how many records each sink lacks, as the store knows it: about a second old. A server may be running."""
    settings = running.on_disk(store, lost="")
    file = running.settings_of(sinks=sinks).sinks
    if not file:
        raise CliError("usage", "no file of sinks is configured", exit_code=Exit.USAGE, fix="--sinks FILE")
    rows = running.run(_lags(settings, _entries(file)))
    if as_json:
        for row in rows:
            terminal.say_json(row)
    else:
        terminal.say_table(rows, ("sink", "kind", "required", "behind_records", "behind_seconds"))


def _entries(file: str) -> list[Entry]:
    from swarmkeeper.settings import read_secret
    from swarmkeeper.sinks.bad_sinks import BadSinks
    from swarmkeeper.sinks.file import read

    try:
        return read(Path(file), read_secret)
    except BadSinks as error:
        raise CliError("bad_sinks", str(error), exit_code=Exit.USAGE) from None


async def _send_tests(entries: Sequence[Entry], clock: Clock, id_: str) -> list[dict[str, Any]]:
    from swarmkeeper.sinks.bad_sinks import BadSinks
    from swarmkeeper.sinks.records import of_test
    from swarmkeeper.sinks.targets.choice import target_of

    found = []
    for entry in entries:
        one: dict[str, Any] = {"sink": entry.name, "kind": entry.table.kind, "place": "", "ok": False, "problem": ""}
        found.append(one)
        try:
            target = target_of(entry, clock.now)
        except BadSinks as error:
            one["problem"] = str(error)
            continue
        one["place"] = target.place
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await target.open()
                await target.send([of_test(clock.now(), id_)])
            one["ok"] = True
        except Exception as error:  # whatever a driver raises
            one["problem"] = str(error) or type(error).__name__
        finally:
            await target.close()
    return found


async def _lags(settings: Settings, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    from swarmkeeper.clock import SystemClock
    from swarmkeeper.sinks.reader import lag_of

    rows = []
    async with running.store_of(settings, reading=True) as opened:
        for entry in entries:
            if not (entry.table.reads_audit or entry.table.reads_events):
                continue  # metrics: nothing is kept for them
            lag = await lag_of(opened, entry.name, entry.table)
            rows.append(
                {
                    "sink": entry.name,
                    "kind": entry.table.kind,
                    "required": entry.table.required,
                    "behind_records": lag.records,
                    "behind_seconds": round(lag.seconds(SystemClock().now()), 1),
                }
            )
    return rows
