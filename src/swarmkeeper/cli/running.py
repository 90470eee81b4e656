"""Runs what a command does: the event loop around it, and other rooms' errors told in the command line's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from swarmkeeper.cli import flags
from swarmkeeper.cli.terminal import Exit, Failure
from swarmkeeper.settings import BadSetting, Settings

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.errors import ApiError
    from swarmkeeper.storage.sqlite.store import SqliteStore

Value = TypeVar("Value")

# A person waits: a server that does not answer for so long is not there.
PATIENCE_SECONDS = 2.0

_FIX = {
    "unreachable": "start one with `swarmkeeper dev`, or name it with --url or SWARMKEEPER_URL",
    "unauthenticated": "pass a key in SWARMKEEPER_API_KEY or --api-key-file; make one with `swarmkeeper key create`",
    "forbidden": "use a key of a role that may",
    "still_stopping": "try again in a moment",
    "idempotency_key_reused": "leave the key out, or make a new one",
}


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """The answer of what a command does. An interrupt ends it with 130."""
    return asyncio.run(work)


def run_fast(work: Coroutine[Any, Any, Value]) -> Value:
    """The same on the faster loop, where there is one: for servers."""
    try:
        import uvloop
    except ImportError:  # not made for Windows
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[Client]:
    """A client for the server that the settings name.

    Raises:
        Failure: it cannot be reached, or refused a call within the block.
    """
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.errors import ApiError

    try:
        file = settings.api_key_file or None
        # An empty key is a key that was not given: the environment has been read already.
        async with Client(settings.url, settings.api_key if file is None else None, api_key_file=file) as client:
            await client.calls.call("GET", "/health", patience=PATIENCE_SECONDS)
            yield client
    except ApiError as error:
        raise refused(error, settings) from None
    except OSError as error:
        raise Failure("key_file", f"the key's file cannot be read: {error.strerror}", fix="name another") from None


@asynccontextmanager
async def store_of(settings: Settings, *, create: bool = False) -> AsyncIterator[SqliteStore]:
    """The store that the settings name, beside a server that may be using it.

    Raises:
        Failure: it cannot be used.
    """
    from swarmkeeper.core.ports import StoreUnavailable
    from swarmkeeper.storage.sqlite.store import SqliteStore

    try:
        store = SqliteStore(settings.store)
        await store.open(exclusive=False, create=create)
    except Exception as error:
        raise of_store(error) from None
    try:
        yield store
    except StoreUnavailable as error:
        raise of_store(error) from None
    finally:
        await store.close()


def of_store(error: Exception) -> Exception:
    """What a store's refusal is in the command line's words; the error itself where it is none."""
    from swarmkeeper.app import CannotServe
    from swarmkeeper.core.ports import StoreUnavailable
    from swarmkeeper.storage import refusals

    match error:
        case refusals.SchemaOlder():
            return Failure("schema_older", str(error), exit_code=Exit.CONFLICT, fix="swarmkeeper migrate")
        case refusals.StoreHeld():
            return Failure("store_held", str(error), exit_code=Exit.CONFLICT)
        case refusals.StoreRefused():
            missing = str(error).startswith("there is no store")
            code, exit_code = ("no_store", Exit.NOT_FOUND) if missing else ("store_refused", Exit.ERROR)
            fix = "name another with --store or SWARMKEEPER_STORE" if missing else None
            return Failure(code, str(error), exit_code=exit_code, fix=fix)
        case StoreUnavailable():
            return Failure("store_unavailable", str(error), fix="try again in a moment")
        case CannotServe():
            return Failure("cannot_serve", error.detail, fix=error.fix)
        case BadSetting():
            return Failure("bad_setting", str(error), exit_code=Exit.USAGE, fix="swarmkeeper config explain")
        case _:
            return error


def refused(error: ApiError, settings: Settings) -> Failure:
    """What the server refused, in the shape of the command line's errors."""
    facts = [("where", str(problem)) for problem in error.problems]
    if error.code == "unreachable":
        facts.append(("server", settings.url))
    else:
        facts.append(("more", f"{settings.url}/docs#{error.code}"))
    if error.request_id:
        facts.append(("request", error.request_id))
    return Failure(error.code, error.detail, exit_code=_exit_code(error), facts=facts, fix=_FIX.get(error.code))


def _exit_code(error: ApiError) -> Exit:
    from swarmkeeper.sdk import errors

    match error:
        case errors.Unreachable():
            return Exit.UNREACHABLE
        case errors.Unauthenticated() | errors.Forbidden():
            return Exit.NOT_ALLOWED
        case errors.NotFound():
            return Exit.NOT_FOUND
        case errors.Conflict():
            return Exit.CONFLICT
        case _:
            return Exit.ERROR


def settings_of(**given: Any) -> Settings:
    return flags.found(**given).settings
