"""`demo` and `dev`: the orchestrator with the sample swarm beside it, for a first look and for a first day's work."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from swarmkeeper import files
from swarmkeeper.cli import connection, demo_end, explain, flags, running, server, store, terminal, watch
from swarmkeeper.cli.flags import AsJson, flag, seconds, setting
from swarmkeeper.cli.terminal import Exit, Failure
from swarmkeeper.devfolder import DEV_FILE, DEV_FOLDER
from swarmkeeper.settings import Settings

if TYPE_CHECKING:
    from swarmkeeper.app import Orchestrator
    from swarmkeeper.observe.logs import Log
    from swarmkeeper.sdk.bots import BaseBot
    from swarmkeeper.serving import Served
    from swarmkeeper.wire.answers import Task


def demo(
    path: Annotated[Path | None, typer.Argument(help="The directory or Git repository to review.")] = None,
    timeout_seconds: Annotated[float, seconds("--timeout-seconds", help="When to give up.")] = 600,
    as_json: AsJson = False,
) -> None:
    """Watch the sample swarm review a directory: no key, account, model or network needed.

    Ends with 0 where the review was accepted, 3 where not.
    """
    root = (path or Path()).resolve()
    if not root.is_dir():
        raise Failure("no_directory", "there is no directory to review at this path", exit_code=Exit.USAGE)
    from swarmkeeper.bots.files import listing

    if not listing(root).files:
        detail = "there is nothing to review in this directory: no text file, or none that Git does not ignore"
        raise Failure("nothing_to_review", detail, exit_code=Exit.USAGE, fix="swarmkeeper demo PATH")
    if running.run_fast(_demo(root, timeout_seconds, as_json=as_json)) != "accepted":
        terminal.stop(Exit.TASK_FAILED)


async def _demo(root: Path, timeout_seconds: float, *, as_json: bool) -> str | None:
    from swarmkeeper.service import doctor
    from swarmkeeper.serving import serving

    place = Path(tempfile.mkdtemp(prefix="swarmkeeper-demo-"))
    settings = Settings(store=f"sqlite:///{place / 'store.db'}", port=0)
    with files.append(place / "log.jsonl") as log:
        async with serving(settings, log=_log_to(log), take_over_logs=True) as served:
            terminal.talk(f"the orchestrator listens on {served.url}; its store is {place / 'store.db'}")
            reviewed = await _review(root, served, timeout_seconds)
            verdicts = await doctor.verify_audit(served.swarm.store)
    task = reviewed.task
    outcome = None if task.outcome is None else str(task.outcome)
    records = sum(verdict.records for verdict in verdicts.values())
    report = _report_in(reviewed.result)
    file = None if report is None else place / "report.md"
    if file is not None and report is not None:
        files.write(file, str(report["report"]))
    whole = all(verdict.status == "whole" for verdict in verdicts.values())
    if as_json:
        told = {
            "outcome": outcome,
            "task_id": task.id,
            "report": None if file is None else str(file),
            "audit_records": records,
            "audit_whole": whole,
        }
        terminal.say_json(told)
    else:
        end = demo_end.End(
            task=task,
            course=reviewed.course,
            bot_names=reviewed.bot_names,
            report=report,
            report_file=file,
            store=settings.store,
            audit=f"audit log verified: {records} records" if whole else "the audit log is NOT whole",
        )
        terminal.say("\n".join(demo_end.screen(end)))
        if not whole:
            store.say_verdicts(verdicts, records)
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
    """The task once it is over, its result, and how it went."""
    from swarmkeeper.bots import review
    from swarmkeeper.sdk.client import Client

    bots = review.swarm()
    keys = {name_of(bot): await served.swarm.make_key(role_of(bot), bot=name_of(bot)) for bot in bots}
    key = await served.swarm.make_key("operator")
    async with at_work(served.url, bots, keys), Client(served.url, key) as client:
        try:
            async with asyncio.timeout(timeout_seconds):
                submitted = await client.submit(review.task(root))
                why = partial(explain.looked, client, submitted.id)
                task = await watch.follow(client.watch(submitted.id), why, to=sys.stderr)
        except TimeoutError:
            detail = f"the review did not end within {timeout_seconds:g} s"
            raise Failure("timed_out", detail, exit_code=Exit.TIMED_OUT) from None
        return _Reviewed(
            task=task,
            result=await client.result(task.id) or {},
            course=demo_end.Course.of([event async for event in client.events(task.id)]),
            bot_names={bot.id: bot.name async for bot in client.bots()},
        )


def _report_in(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The summary of the last round."""
    reports = [output for output in result.values() if isinstance(output, dict) and "report" in output]
    return reports[-1] if reports else None


def _log_to(stream: TextIO) -> Log:
    from swarmkeeper.clock import SystemClock
    from swarmkeeper.govern.redaction import Redactor
    from swarmkeeper.govern.rulebook import Rulebook
    from swarmkeeper.observe.logs import Log

    return Log(stream, Rulebook(Redactor.default()), SystemClock().now)


# ---- the sample swarm ----------------------------------------------------------------------------------------------


def name_of(bot: BaseBot) -> str:
    """`InspectPython` → `inspect-python`."""
    return bot.name or re.sub(r"(?<!^)(?=[A-Z])", "-", type(bot).__name__).lower()


def role_of(bot: BaseBot) -> str:
    return f"bot:{bot.type.lower()}"


@asynccontextmanager
async def at_work(url: str, bots: Sequence[BaseBot], keys: Mapping[str, str]) -> AsyncIterator[asyncio.Future[None]]:
    """Bots at work over the network, each with its own key, while the block lasts.

    What is yielded ends with an error if one of them does.
    """
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.runner import serve

    stop = asyncio.Event()
    clients = [Client(url, keys[name_of(bot)]) for bot in bots]
    working: asyncio.Future[None] = asyncio.ensure_future(
        _all([serve([bot], client, stop=stop, drain_seconds=1) for bot, client in zip(bots, clients, strict=True)])
    )
    try:
        yield working
    finally:
        stop.set()
        await asyncio.gather(working, return_exceptions=True)
        for client in clients:
            await client.aclose()


async def _all(work: Sequence[Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


# ---- dev -----------------------------------------------------------------------------------------------------------


def dev(
    context: typer.Context,
    port: Annotated[str | None, setting("port", metavar="N")] = None,
    no_demo: Annotated[bool, flag("--no-demo", help="Without the sample bots.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the orchestrator for this folder, with keys and sample bots; a second `dev` goes on where it was.

    Everything is kept in .swarmkeeper/, which Git ignores; commands in this folder find server and key there.
    """
    folder = Path(DEV_FOLDER)
    settings = flags.found(
        port=port, store=f"sqlite:///{folder / 'store.db'}", api_key_file=str(_key_file(folder, "admin"))
    ).settings
    server.warn_of_unread(context)
    if running.run_fast(_dev(folder, settings, with_bots=not no_demo, as_json=as_json)):
        terminal.stop(Exit.ERROR)


async def _dev(folder: Path, settings: Settings, *, with_bots: bool, as_json: bool) -> bool:
    from swarmkeeper.bots import review
    from swarmkeeper.sdk.errors import ApiError
    from swarmkeeper.serving import serving

    try:
        _prepare(folder)
        async with serving(settings, take_over_logs=True) as served:
            admin, is_new = await _key(folder, served.swarm, "admin", "admin", None)
            bots = review.swarm() if with_bots else []
            keys = {
                name_of(bot): (await _key(folder, served.swarm, name_of(bot), role_of(bot), name_of(bot)))[0]
                for bot in bots
            }
            _remember(folder, settings, served.url)
            async with at_work(served.url, bots, keys) as working:
                telling = asyncio.ensure_future(server.until_told(served))
                await asyncio.sleep(0)  # whoever reads that it listens may stop it right then
                _introduce(folder, served, admin if is_new else None, list(keys), as_json=as_json)
                await asyncio.wait([telling, working] if bots else [telling], return_when=asyncio.FIRST_COMPLETED)
                telling.cancel()
                if bots and working.done():
                    working.result()
            return served.swarm.ended.is_set()
    except* ApiError as errors:
        raise connection.refused(next(_leaves(errors)), settings) from None
    except* Exception as errors:
        raise running.of_store(next(_leaves(errors))) from None


def _leaves(group: BaseExceptionGroup[Any]) -> Any:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _prepare(folder: Path) -> None:
    for made in (folder, folder / "keys"):
        files.folder(made)
    files.write(folder / ".gitignore", "# made by `swarmkeeper dev`; holds keys\n*\n")


def _sample(folder: Path) -> Path:
    """A task that the sample bots can do in any folder, an empty one too: the review of their own code."""
    from swarmkeeper.bots import review

    file = folder / "review.json"
    files.write(file, json.dumps(review.task(Path(review.__file__).parent), indent=2) + "\n")
    return file


def _key_file(folder: Path, name: str) -> Path:
    return folder / "keys" / f"{name}.key"


async def _key(folder: Path, swarm: Orchestrator, name: str, role: str, bot: str | None) -> tuple[str, bool]:
    """The key kept under this name, made where there is none that the store knows; (its text, whether it is new)."""
    file = _key_file(folder, name)
    kept = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    if kept and await swarm.knows(kept):
        return kept, False
    text = await swarm.make_key(role, bot=bot)
    files.write(file, text + "\n")
    return text, True


def _remember(folder: Path, settings: Settings, url: str) -> None:
    """Where commands in this folder find server, store and key."""
    kept = {"store": settings.store, "url": url, "api_key_file": settings.api_key_file}
    lines = ["# written by `swarmkeeper dev`", *(f"{name} = {json.dumps(value)}" for name, value in kept.items())]
    files.write(folder / DEV_FILE, "\n".join(lines) + "\n")


def _introduce(folder: Path, served: Served, new_key: str | None, bots: Sequence[str], *, as_json: bool) -> None:
    key_file = str(_key_file(folder, "admin"))
    terminal.talk(f"listening on {served.url}")
    if as_json:
        told: dict[str, Any] = {"url": served.url, "store": served.swarm.settings.store, "api_key_file": key_file}
        if new_key is not None:
            told["api_key"] = new_key
        terminal.say_json(told | {"bots": list(bots), "resumed": new_key is None})
        return
    lines = [f"server   {served.url}", f"kept in  {folder}/ (ignored by Git)"]
    if new_key is not None:
        lines.append(f"key      {new_key}   (role admin; shown this once, kept in {key_file})")
    else:
        lines.append(f"key      in {key_file} (role admin)")
    if bots:
        lines.append(f"bots     {', '.join(bots)}")
    if bots:
        lines += ["", f"try      {running.program()} submit -f {_sample(folder)} --wait   in another terminal, here"]
    else:
        lines += ["", f"try      {running.program()} init   in another terminal, here: a sample bot, and how to run it"]
    terminal.say("\n".join(lines))
