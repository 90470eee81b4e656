"""`demo`: the sample swarm reviews a directory on an orchestrator of its own, for a first look."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from swarmkeeper import files
from swarmkeeper.cli.admin.verdicts import say_verdicts
from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, seconds
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.serving import demo_end
from swarmkeeper.cli.serving.sample_swarm import at_work, name_of, role_of
from swarmkeeper.cli.tasks import explain, watch
from swarmkeeper.settings import Settings

if TYPE_CHECKING:
    from swarmkeeper.observe.logs import Log
    from swarmkeeper.server import Served
    from swarmkeeper.wire.answers import Task


def demo(
    path: Annotated[Path | None, typer.Argument(help="The directory or Git repository to review.")] = None,
    timeout_seconds: Annotated[float, seconds("--timeout-seconds", help="Seconds after which to give up.")] = 600,
    # An option of its own: SWARMKEEPER_STORE must not put the demo's tasks into a store that is in use.
    store_url: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", show_default=False, help="Where to keep it; by default a new file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch the sample swarm review a directory. No key, account, model or network is needed.

    Exits with 0 if the review was accepted, otherwise with 3.
    """
    root = (path or Path()).resolve()
    if not root.is_dir():
        raise CliError("no_directory", "no directory at this path", exit_code=Exit.USAGE)
    from swarmkeeper.bots.files import listing

    if not listing(root).files:
        detail = "nothing to review in this directory: it has no text files, or Git ignores them all"
        raise CliError("nothing_to_review", detail, exit_code=Exit.USAGE, fix="swarmkeeper demo PATH")
    if running.run_fast(_demo(root, timeout_seconds, store_url, as_json=as_json)) != "accepted":
        terminal.stop(Exit.TASK_FAILED)


async def _demo(root: Path, timeout_seconds: float, store_url: str | None, *, as_json: bool) -> str | None:
    from swarmkeeper.offline import doctor
    from swarmkeeper.server import serving
    from swarmkeeper.storage.opening import shown

    folder = Path(tempfile.mkdtemp(prefix="swarmkeeper-demo-"))
    settings = Settings(store=store_url or f"sqlite:///{folder / 'store.db'}", port=0)
    try:
        with files.append(folder / "log.jsonl") as log:
            async with serving(settings, log=_log_to(log), take_over_logs=True) as served:
                terminal.talk(f"the orchestrator listens on {served.url}; its store is {shown(settings.store)}")
                reviewed = await _review(root, served, timeout_seconds)
                verdicts = await doctor.verify_audit(served.swarm.store)
    except Exception as error:
        raise running.of_store(error) from None
    task = reviewed.task
    outcome = None if task.outcome is None else str(task.outcome)
    records = sum(verdict.records for verdict in verdicts.values())
    report = _report_in(reviewed.result)
    file = None if report is None else folder / "report.md"
    if file is not None and report is not None:
        files.write(file, str(report["report"]))
    whole = all(verdict.status == "whole" for verdict in verdicts.values())
    if as_json:
        summary = {
            "outcome": outcome,
            "task_id": task.id,
            "report": None if file is None else str(file),
            "audit_records": records,
            "audit_whole": whole,
        }
        terminal.say_json(summary)
    else:
        end = demo_end.End(
            task=task,
            course=reviewed.course,
            bot_names=reviewed.bot_names,
            report=report,
            report_file=file,
            store=shown(settings.store),
            audit=f"audit log verified: {records} records" if whole else "the audit log is NOT complete",
        )
        terminal.say("\n".join(demo_end.screen(end)))
        if not whole:
            say_verdicts(verdicts, records)
    if not whole:
        terminal.stop(Exit.VIOLATION)
    return outcome


@dataclass(frozen=True)
class _Reviewed:
    task: Task
    result: Mapping[str, Any]
    course: demo_end.Course
    bot_names: Mapping[str, str]


async def _review(root: Path, served: Served, timeout_seconds: float) -> _Reviewed:
    """Run the review to its end; return the task, its result, and its course."""
    from swarmkeeper.bots import review
    from swarmkeeper.sdk.client import Client

    bots = review.swarm()
    keys = {name_of(bot): await served.swarm.make_key(role_of(bot), bot=name_of(bot)) for bot in bots}
    key = await served.swarm.make_key("operator")
    async with at_work(served.url, bots, keys), Client(served.url, key) as client:
        try:
            async with asyncio.timeout(timeout_seconds):
                submitted = await client.submit(review.task(root))
                why = partial(explain.with_explanation, client, submitted.id)
                task = await watch.follow(client.watch(submitted.id), why, to=sys.stderr)
        except TimeoutError:
            detail = f"the review did not end within {timeout_seconds:g} s"
            raise CliError("timed_out", detail, exit_code=Exit.TIMED_OUT) from None
        return _Reviewed(
            task=task,
            result=await client.result(task.id) or {},
            course=demo_end.Course.of([event async for event in client.events(task.id)]),
            bot_names={bot.id: bot.name async for bot in client.bots()},
        )


def _report_in(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the report of the last round, if there is one."""
    reports = [output for output in result.values() if isinstance(output, dict) and "report" in output]
    return reports[-1] if reports else None


def _log_to(stream: TextIO) -> Log:
    from swarmkeeper.clock import SystemClock
    from swarmkeeper.observe.logs import Log

    return Log(stream, running.shipped_rules(), SystemClock().now)
