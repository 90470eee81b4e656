"""`bot …`: lists and steers bots, and runs or tests one from a file or module."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.bots import bot_files
from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.connection import (
    ApiKey,
    ApiKeyFile,
    Connection,
    Token,
    TokenFile,
    Url,
    check_key,
    connected,
)
from swarmkeeper.cli.framework.flags import AsJson, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.tasks.task import read_task

if TYPE_CHECKING:
    from swarmkeeper.settings import Settings
    from swarmkeeper.testing import bot_suite
    from swarmkeeper.wire.answers import Bot

app = typer.Typer(no_args_is_help=True, help="Bots: list, get, run, test, drain, enable, delete.")

BotId = Annotated[str, typer.Argument(metavar="BOT_ID", help="bot_…")]
COLUMNS = ("id", "type", "name", "instance", "version", "status", "last_seen", "held", "capacity", "skills")


@app.command("list")
@connected
def list_(connection: Connection) -> None:
    """List all bots of the tenant."""
    rows = [bot.model_dump(mode="json") for bot in connection.all(lambda client: client.bots())]
    if connection.as_json:
        for row in rows:
            terminal.say_json(row)
    else:
        terminal.say_table([_row(row) for row in rows], COLUMNS)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a table, with where its code is stuck, or that it does not poll."""
    row = row | {"last_seen": row["last_seen"] and f"{row['last_seen'][:19]}Z"}
    if row["stuck"]:
        one, others = row["stuck"][0], len(row["stuck"]) - 1
        more = f" (and {others} more)" if others else ""
        return row | {
            "status": f"{row['status']}, stuck in {one['where'] or one['work_id']} since {one['since']}{more}"
        }
    mute = row["status"] == "active" and row["asking"] is False and row["held"] < row["capacity"]
    return row | ({"status": f"active, not asking since {row['last_asked'][11:19]}Z"} if mute else {})


@app.command()
@connected
def get(connection: Connection, bot_id: BotId) -> None:
    """Show one bot."""
    _say(connection, connection.call(lambda client: client.bot(bot_id)))


@app.command()
@connected
def drain(connection: Connection, bot_id: BotId) -> None:
    """Drain a bot: it gets no new work, and may finish what it holds."""
    _say(connection, connection.call(lambda client: client.drain_bot(bot_id)))


@app.command()
@connected
def enable(connection: Connection, bot_id: BotId) -> None:
    """Enable a drained bot: it gets work again."""
    _say(connection, connection.call(lambda client: client.enable_bot(bot_id)))


@app.command()
@connected
def delete(connection: Connection, bot_id: BotId) -> None:
    """Delete a bot. What it holds goes back, without counting a crash. It may register again."""
    connection.call(lambda client: client.delete_bot(bot_id))
    connection.say_done({"id": bot_id, "deleted": True}, f"{terminal.on_one_line(bot_id)} is deleted")


def _say(connection: Connection, bot: Bot) -> None:
    row = bot.model_dump(mode="json")
    if connection.as_json:
        terminal.say_json(row)
    else:
        terminal.say_table([_row(row)], COLUMNS)


@app.command()
def run(
    target: Annotated[str, typer.Argument(metavar="FILE_OR_MODULE:CLASS", help="bot.py:Bot, or package.module:Bot")],
    every: Annotated[bool, flag("--all", help="Run all bots of the file in one process.")] = False,
    name: Annotated[str | None, flag("--name", help="The name to register under.")] = None,
    skill: Annotated[
        list[str] | None,
        flag("--skill", help="A skill that it offers, instead of those of its class. May be repeated."),
    ] = None,
    instance: Annotated[
        str | None,
        flag("--instance", help="Distinguishes several processes of one name. Default: host and process id."),
    ] = None,
    health_file: Annotated[
        Path | None,
        flag("--health-file", help="A file for the health status, rewritten every 5 s, removed at the end."),
    ] = None,
    health_port: Annotated[
        str | None,
        flag(
            "--health-port",
            metavar="[HOST:]PORT",
            help="Port, or HOST:PORT, that serves /livez and /readyz. Default host: 127.0.0.1.",
        ),
    ] = None,
    stuck_seconds: Annotated[
        float | None,
        flag(
            "--stuck-seconds",
            min=0.0,
            help="Seconds after which the process exits with an error if code that does not end holds all slots.",
        ),
    ] = None,
    url: Url = None,
    api_key: ApiKey = None,
    api_key_file: ApiKeyFile = None,
    token: Token = None,
    token_file: TokenFile = None,
) -> None:
    """Run a bot until SIGTERM or SIGINT, then let it finish what it holds; a second signal ends it at once.

    You may leave out the class if the file contains one bot. A function with @executor is a bot too.
    """
    if every and (name is not None or skill):
        detail = "--name and --skill apply to one bot, but --all runs all bots of the file"
        raise CliError("invalid", detail, exit_code=Exit.USAGE, fix="leave them out, or name one bot: FILE:CLASS")
    host, port = _address(health_port)
    settings = Connection.of(url, api_key, api_key_file, token, token_file).settings
    check_key(settings)
    _set_environment(settings)
    bots = bot_files.load_all(target) if every else [bot_files.load(target)]
    for bot in bots:
        if name is not None:
            bot.name = name
        if skill:
            bot.skills = frozenset(skill)
        if instance is not None:
            bot.instance = instance
    from swarmkeeper.sdk import runner
    from swarmkeeper.sdk.health import Health

    def listening(host: str, port: int) -> None:
        terminal.talk(f"/livez and /readyz on {host}:{port}")

    health = Health(health_file, host, port, listening)
    runner.run(*bots, health=health, stuck_seconds=runner.STUCK_SECONDS if stuck_seconds is None else stuck_seconds)


def _set_environment(settings: Settings) -> None:
    """Set the variables that `run` reads, and a Client that the bot's code creates."""
    os.environ["SWARMKEEPER_URL"] = settings.url
    for name in ("api_key", "api_key_file", "token", "token_file"):
        variable, value = name.upper(), getattr(settings, name)
        os.environ.pop(f"SWARMKEEPER_{variable}", None)
        if value:
            os.environ[f"SWARMKEEPER_{variable}"] = value


def _address(given: str | None) -> tuple[str, int | None]:
    """Return host and port of `[HOST:]PORT`; no port if nothing was given.

    Raises:
        CliError: it is neither.
    """
    from swarmkeeper.sdk.health import address

    if given is None:
        return "127.0.0.1", None
    try:
        return address(given)
    except ValueError:
        raise CliError("invalid", "--health-port must be PORT or HOST:PORT", exit_code=Exit.USAGE) from None


@app.command("test")
def try_(
    target: Annotated[
        str | None, typer.Argument(metavar="[FILE_OR_MODULE:CLASS]", help="bot.py:Bot, or package.module:Bot")
    ] = None,
    command: Annotated[str | None, flag("--command", help="The command that starts a bot in another language.")] = None,
    work: Annotated[str | None, flag("--work", help="A file with the task for the bot, as for submit -f.")] = None,
    patience: Annotated[float, flag("--patience", help="Seconds allowed for each step.", min=1.0)] = 20.0,
    only: Annotated[str | None, flag("--only", help="Names of checks, separated by commas.")] = None,
    as_json: AsJson = False,
) -> None:
    """Test a bot: lost replies, lost leases, cancelled work, an overloaded server, garbage. Exits with 11 on failure.

    The bot runs against a test orchestrator on this machine that misbehaves on purpose. No server or key is needed.
    """
    if (target is None) == (command is None):
        detail = "name a bot or the command that starts it" + ("" if target is None else ", not both")
        raise CliError("no_bot", detail, exit_code=Exit.USAGE, fix="bot.py:Bot, or --command")
    words = shlex.split(command) if command is not None else target
    if not words:
        raise CliError("no_bot", "the command is empty", exit_code=Exit.USAGE)
    task = None if work is None else read_task(work)
    from swarmkeeper.testing import bot_suite

    names = _checks_in(only)

    def show(outcome: bot_suite.CheckOutcome) -> None:
        if not as_json:
            terminal.say(_line_of(outcome))

    from swarmkeeper.sdk.errors import ApiError

    try:
        outcomes = running.run(bot_suite.try_bot(words, work=task, patience=patience, only=names, on_outcome=show))
    except OSError as error:
        if command is None:
            raise
        raise CliError("no_bot", f"--command cannot be started: {error.strerror}", exit_code=Exit.USAGE) from None
    except ApiError as error:  # only the work comes from outside
        raise CliError("work", f"--work: {error}", exit_code=Exit.USAGE) from None
    broken = any(outcome.broken for outcome in outcomes)
    if as_json:
        checks = [
            {
                "check": outcome.check.name,
                "says": outcome.check.says,
                "level": outcome.check.level,
                "result": outcome.result,
            }
            | ({"detail": outcome.detail} if outcome.detail else {})
            for outcome in outcomes
        ]
        terminal.say_json({"conforms": not broken, "checks": checks})
    raise typer.Exit(Exit.VIOLATION if broken else Exit.OK)


def _checks_in(only: str | None) -> list[str] | None:
    """Return the names in a list of checks; None if there is no list, which means all.

    Raises:
        CliError: there is no such check.
    """
    from swarmkeeper.testing import bot_suite

    names = None if only is None else [name.strip() for name in only.split(",")]
    if names is not None and (unknown := set(names) - {check.name for check in bot_suite.CHECKS}):
        known = ", ".join(check.name for check in bot_suite.CHECKS)
        raise CliError("invalid", f"there is no check {min(unknown)!r}", exit_code=Exit.USAGE, fix=known)
    return names


def _line_of(outcome: bot_suite.CheckOutcome) -> str:
    word = {"passed": "ok", "not_seen": "not seen", "failed": "BROKEN" if outcome.broken else "advice"}[outcome.result]
    detail = f"\n          {terminal.shown(outcome.detail)}" if outcome.detail else ""
    return f"{word:9} {outcome.check.name}: {outcome.check.says}{detail}"
