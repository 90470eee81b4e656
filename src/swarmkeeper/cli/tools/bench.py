"""`bench`: measures this machine with the scenarios of bench/, and prints the results."""

from __future__ import annotations

from typing import Annotated

import typer

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

_NAMES = ("lifecycle", "handoff", "backlog", "fanout", "heartbeats", "memory")


def bench(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help=f"One of {', '.join(_NAMES)}.")],
    tasks: Annotated[
        int | None, flag("--tasks", help="Number of tasks, or of subtasks in a scenario with one task.", min=1)
    ] = None,
    subtasks: Annotated[int | None, flag("--subtasks", help="Number of subtasks per task.", min=1)] = None,
    bots: Annotated[int | None, flag("--bots", help="Number of executors.", min=1)] = None,
    batch: Annotated[
        int | None,
        flag(
            "--batch",
            help="Number of results per call. By default, lifecycle measures 1, 50 and the SDK's own number.",
            min=1,
            max=64,
        ),
    ] = None,
    # Not the setting of that name: a benchmark must never run on a store in use.
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="A new store to use. By default, a temporary one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure this machine: task life cycles, hand-over, backlog, fan-out, heartbeats, memory.

    The command starts its own servers. It prints each figure with the disk's speed and the store's durability.
    """
    if scenario not in _NAMES:
        raise CliError("no_scenario", f"the scenarios are {', '.join(_NAMES)}", exit_code=Exit.USAGE)
    from swarmkeeper.bench.registry import SCENARIOS
    from swarmkeeper.bench.report import CannotMeasure, ScenarioOptions

    options = ScenarioOptions(tasks=tasks, subtasks=subtasks, bots=bots, batch=batch, store=store)
    try:
        report = running.run_fast(SCENARIOS[scenario](options))
    except* CannotMeasure as failed:
        raise CliError("cannot_measure", _first(failed), exit_code=Exit.USAGE) from None
    if as_json:
        terminal.say_json(report.as_json())
    else:
        terminal.say("\n".join(report.lines()))


def _first(failed: BaseException) -> str:
    """Return the message of the first error in a group."""
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    return str(failed)
