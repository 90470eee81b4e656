"""Runs commands: the event loop, the store that a command works on, and the store's errors as `CliError`."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from swarmkeeper.cli.framework import flags
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.settings import BadSetting, Settings

if TYPE_CHECKING:
    from swarmkeeper.core.errors import Invalid
    from swarmkeeper.govern.rulebook import Rulebook
    from swarmkeeper.storage.at_rest.bodies import BodyCodec
    from swarmkeeper.storage.opening import OpenedStore
    from swarmkeeper.storage.pepper import NewPepper

Value = TypeVar("Value")
Opened = TypeVar("Opened", bound="OpenedStore")

NAME = "swarmkeeper"


def program() -> str:
    """Return how this command is typed here: its name if the shell finds it, else the path that started it."""
    found, started = shutil.which(NAME), Path(sys.argv[0])
    if started.name != NAME or (found is not None and Path(found).resolve() == started.resolve()):
        return NAME
    folder = Path.cwd()
    return shlex.quote(str(started.relative_to(folder) if started.is_relative_to(folder) else started))


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """Run a command's coroutine, and return its result. An interrupt ends the command with 130."""
    return asyncio.run(work)


def run_fast(work: Coroutine[Any, Any, Value]) -> Value:
    """Like `run`, on uvloop if available: for servers."""
    _keep_descriptors()
    try:
        import uvloop
    except ImportError:  # not available on Windows
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _keep_descriptors() -> None:
    """Open what the parent has closed of stdin, stdout and stderr: uvloop aborts where a socket gets such a number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number, which is this one


def administration() -> dict[str, Any]:
    """Return the clock, the entropy and the rules that functions of offline_admin take."""
    from swarmkeeper.clock import SystemClock, SystemEntropy

    return {"clock": SystemClock(), "entropy": SystemEntropy(), "rules": shipped_rules()}


def shipped_rules() -> Rulebook:
    from swarmkeeper.govern.redaction.redactor import Redactor
    from swarmkeeper.govern.rulebook import Rulebook

    return Rulebook(Redactor.default())


@asynccontextmanager
async def store_of(settings: Settings, *, create: bool = False, reading: bool = False) -> AsyncIterator[OpenedStore]:
    """Open the store of the settings, also beside a running server; with `reading`, nothing is written.

    Raises:
        CliError: it cannot be used.
    """
    import apsw

    from swarmkeeper.core.ports import StaleVersion, StoreDamaged, StoreUnavailable
    from swarmkeeper.storage.opening import store_at

    try:
        store = store_at(settings.store, new_pepper=new_pepper_of(settings), bodies=await bodies_of(settings))
        if reading:
            await store.open_to_read()
        else:
            await store.open(exclusive=False, create=create)
    except Exception as error:
        raise of_store(error) from None
    try:
        yield store
    except (StoreUnavailable, StaleVersion, StoreDamaged, apsw.Error, UnicodeDecodeError) as error:
        raise of_store(error) from None
    finally:
        await store.close()


def new_pepper_of(settings: Settings) -> NewPepper | None:
    """Return what gives a new store its pepper; None if the store keeps it.

    Raises:
        BadSetting: the file with it cannot be used.
    """
    from swarmkeeper.clock import SystemEntropy
    from swarmkeeper.storage.pepper import new_pepper

    return None if settings.pepper_in_store else new_pepper(settings.pepper_bytes(), SystemEntropy().secret)


async def bodies_of(settings: Settings) -> BodyCodec:
    """Return what encrypts and opens bodies of a store.

    Raises:
        BadSetting: the master key cannot be had.
    """
    from swarmkeeper.storage.at_rest.bodies import BodyCodec, bodies_under

    if not settings.encryption_key:
        return BodyCodec()  # the rest takes long to load
    from swarmkeeper.clock import SystemEntropy
    from swarmkeeper.secrets.config import BadSecrets
    from swarmkeeper.secrets.opening import open_ring

    random = SystemEntropy().secret
    try:
        return bodies_under(await open_ring(settings.encryption_key, settings.secrets, random), random)
    except BadSecrets as error:
        raise BadSetting(str(error)) from None


@asynccontextmanager
async def alone(store: Opened) -> AsyncIterator[Opened]:
    """Open an existing store as an orchestrator does: no other one may use its file.

    Raises:
        CliError: it cannot be used.
    """
    try:
        await store.open(create=False)
    except Exception as error:
        raise of_store(error) from None
    try:
        yield store
    finally:
        await store.close()


def on_disk(store: str | None, lost: str) -> Settings:
    """Return the settings with this store, which must be a file; `lost` says what would be lost with a store in memory.

    Raises:
        CliError: the store is in memory, or the address is not valid.
    """
    from swarmkeeper.storage.opening import is_in_memory

    settings = settings_of(store=store)
    try:
        in_memory = is_in_memory(settings.store)
    except Exception as error:
        raise of_store(error) from None
    if in_memory:
        detail, fix = f"a store in memory ends with this command{lost}", "name a file: --store sqlite:///swarmkeeper.db"
        raise CliError("store_in_memory", detail, exit_code=Exit.USAGE, fix=fix)
    return settings


def invalid(error: Invalid) -> CliError:
    """Convert an engine's refusal of typed input to a `CliError`, with the places."""
    facts = [("where", f"{pointer}: {words}") for pointer, _, words in error.details]
    return CliError("invalid", error.detail, exit_code=Exit.USAGE, facts=facts)


class Damaged(CliError):
    """The store's file differs from what was written."""


def of_store(error: Exception) -> Exception:
    """Convert a store's error to a `CliError`; return any other error unchanged."""
    import apsw

    from swarmkeeper.core.ports import StaleVersion, StoreDamaged, StoreUnavailable
    from swarmkeeper.storage import refusals

    # A second of imports: only whoever has run a server can have got its error.
    server = sys.modules.get("swarmkeeper.server")
    if server is not None and isinstance(error, server.CannotServe):
        return CliError("cannot_serve", error.detail, fix=error.fix)
    match error:
        case refusals.SchemaOlder():
            return CliError("schema_older", str(error), exit_code=Exit.CONFLICT, fix="swarmkeeper migrate")
        case refusals.StoreHeld():
            return CliError("store_held", str(error), exit_code=Exit.CONFLICT)
        case refusals.StoreMoved():
            again = "to use this one again, if nothing has used the other: swarmkeeper migrate --reopen"
            return CliError("store_moved", str(error), exit_code=Exit.CONFLICT, fix=again)
        case refusals.StoreNotEmpty():
            return CliError("has_data", str(error), exit_code=Exit.CONFLICT)
        case refusals.StoreRefused():
            missing = str(error).startswith(("there is no store", "there is no swarmkeeper store"))
            code, exit_code = ("no_store", Exit.NOT_FOUND) if missing else ("store_refused", Exit.ERROR)
            fix = "name another with --store or SWARMKEEPER_STORE" if missing else None
            return CliError(code, str(error), exit_code=exit_code, fix=fix)
        case StoreUnavailable():
            return CliError("store_unavailable", str(error), fix="try again in a moment")
        case StaleVersion():
            busy = "others keep changing the same rows; nothing was done"
            return CliError("store_unavailable", busy, fix="try again in a moment")
        case StoreDamaged() | apsw.Error() | UnicodeDecodeError():  # we write UTF-8 only
            return Damaged(
                "store_damaged",
                f"the store cannot be read: {type(error.__cause__ or error).__name__}",
                facts=[("why", "its file is damaged, truncated or partly overwritten; nothing was changed")],
                fix="restore a backup; check it with `swarmkeeper doctor --deep` and `audit verify`",
            )
        case BadSetting():
            return CliError("bad_setting", str(error), exit_code=Exit.USAGE, fix="swarmkeeper config explain")
        case _:
            return error


def settings_of(**given: Any) -> Settings:
    return flags.found(**given).settings
