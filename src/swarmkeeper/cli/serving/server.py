"""`serve`: runs the orchestrator on a socket until a signal stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, flag, setting
from swarmkeeper.cli.framework.terminal import Exit
from swarmkeeper.settings import BY_NAME

if TYPE_CHECKING:
    from swarmkeeper.server import Served
    from swarmkeeper.settings import Settings


def serve(
    context: typer.Context,
    store: Store = None,
    host: Annotated[str | None, setting("host")] = None,
    port: Annotated[str | None, setting("port", metavar="N")] = None,
    migrate: Annotated[bool, flag("--migrate", help="Migrate an older store first. A copy of it is kept.")] = False,
    public_url: Annotated[str | None, setting("public_url", metavar="URL")] = None,
    root_path: Annotated[str | None, setting("root_path", metavar="PATH")] = None,
    trusted_proxy: Annotated[str | None, setting("trusted_proxy", metavar="CIDR,…")] = None,
    tls_cert: Annotated[str | None, setting("tls_cert", metavar="FILE")] = None,
    tls_key: Annotated[str | None, setting("tls_key", metavar="FILE")] = None,
    insecure: Annotated[bool | None, setting("insecure")] = None,
    metrics_open: Annotated[bool | None, setting("metrics_open")] = None,
    operator_tenant: Annotated[str | None, setting("operator_tenant", metavar="TENANT")] = None,
    log_level: Annotated[str | None, setting("log_level")] = None,
    log_format: Annotated[str | None, setting("log_format")] = None,
    lease_seconds: Annotated[str | None, setting("lease_seconds", metavar="N")] = None,
    timeout_seconds: Annotated[str | None, setting("timeout_seconds", metavar="N")] = None,
    schedule_to_start_seconds: Annotated[str | None, setting("schedule_to_start_seconds", metavar="N")] = None,
    max_attempts: Annotated[str | None, setting("max_attempts", metavar="N")] = None,
    forget_bots_seconds: Annotated[str | None, setting("forget_bots_seconds", metavar="N")] = None,
    idempotency_seconds: Annotated[str | None, setting("idempotency_seconds", metavar="N")] = None,
    wait_seconds_max: Annotated[str | None, setting("wait_seconds_max", metavar="N")] = None,
    queue_commands: Annotated[str | None, setting("queue_commands", metavar="N")] = None,
    stop_seconds: Annotated[str | None, setting("stop_seconds", metavar="N")] = None,
    pepper_file: Annotated[str | None, setting("pepper_file", metavar="FILE")] = None,
    pepper_in_store: Annotated[bool | None, setting("pepper_in_store")] = None,
    bootstrap_key_file: Annotated[str | None, setting("bootstrap_key_file", metavar="FILE")] = None,
    identity: Annotated[str | None, setting("identity", metavar="FILE")] = None,
    sinks: Annotated[str | None, setting("sinks", metavar="FILE")] = None,
    secrets: Annotated[str | None, setting("secrets", metavar="FILE")] = None,
    secrets_key_file: Annotated[str | None, setting("secrets_key_file", metavar="FILE")] = None,
    redaction: Annotated[str | None, setting("redaction", metavar="FILE,…")] = None,
    policies: Annotated[str | None, setting("policies", metavar="DIR|FILE,…")] = None,
    policies_shadow: Annotated[str | None, setting("policies_shadow", metavar="DIR|FILE,…")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the orchestrator. Prints "listening on http://…" on stderr when ready (with --json {"url": …} on stdout)."""
    # Most flags are settings of the same name.
    settings = running.settings_of(**{name: value for name, value in context.params.items() if name in BY_NAME})
    warn_of_unread(context)
    if running.run_fast(_serve(settings, migrate=migrate, as_json=as_json)):
        terminal.stop(Exit.ERROR)


def warn_of_unread(context: typer.Context) -> None:
    """Warn of environment variables that look like settings but are none. They are not refused: other programs may read
    them.
    """
    from swarmkeeper.settings import unread

    if not unread(os.environ):
        return  # collecting the variables of all commands is slow
    for name in unread(os.environ, _variables(context)):
        terminal.talk(f"warning: {terminal.on_one_line(name)} is not a setting: is it mistyped?")


def _variables(context: typer.Context) -> list[str]:
    """Return the environment variables of the flags of all commands."""
    found: list[str] = []
    groups = [context.find_root().obj()]  # the whole command line: main.py gives what makes it
    while groups:
        command = groups.pop()
        found += [str(parameter.envvar) for parameter in command.params if getattr(parameter, "envvar", None)]
        groups += getattr(command, "commands", {}).values()
    return found


async def _serve(settings: Settings, *, migrate: bool, as_json: bool) -> bool:
    """Run the server; return whether it ended by its own fault."""
    from swarmkeeper.server import first_key_command, serving

    try:
        keeps = settings.pepper_in_store
        async with serving(settings, migrate=migrate, take_over_logs=True, keeps_pepper=keeps) as served:
            if not await served.swarm.has_keys():
                terminal.talk(f"there is no key yet; create the first: {first_key_command(settings)}")
            stopped = asyncio.ensure_future(until_stopped(served))
            # Signals must be handled before the address is printed: its reader may stop the server at once.
            await asyncio.sleep(0)
            terminal.talk(f"listening on {served.url}")
            if as_json:
                terminal.say_json({"url": served.url})
            await stopped
            return served.swarm.ended.is_set()
    except Exception as error:
        raise running.of_store(error) from None


async def until_stopped(served: Served) -> None:
    """Wait for SIGTERM, SIGINT or the engine's end; a second signal ends the process immediately.

    SIGHUP reloads redaction rules, policies and the certificate; if the terminal was closed, it stops the server.
    """
    loop = asyncio.get_running_loop()

    def on_stop(number: int) -> None:
        served.stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop, number)
    again = asyncio.Event()
    on_terminal = sys.stdin is not None and sys.stdin.isatty()

    def on_hangup() -> None:
        # Without a terminal nobody could stop it, and it would keep its port and its store.
        (served.stop if on_terminal and _terminal_is_gone() else again).set()

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    reloading = asyncio.create_task(_reload_when(again, served))
    try:
        await served.stop.wait()
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        reloading.cancel()


def _terminal_is_gone() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return True
    return False


async def _reload_when(again: asyncio.Event, served: Served) -> None:
    while True:
        await again.wait()
        again.clear()
        try:
            await served.swarm.reload_rules()
        except Exception as error:  # the store does not answer: the next signal tries again
            served.swarm.log("rules_reload_failed", exception=error)
        try:
            await served.swarm.reload_policies()
        except Exception as error:
            served.swarm.log("policies_reload_failed", exception=error)
        try:
            served.reload_certificate()
        except Exception as error:  # the old one stays in use
            served.swarm.log("certificate_refused", reason=str(error))
