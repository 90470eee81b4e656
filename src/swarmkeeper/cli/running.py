"""Runs what a command does: the event loop around it, and other rooms' errors told in the command line's words."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from swarmkeeper.cli import flags
from swarmkeeper.cli.terminal import Exit, Failure
from swarmkeeper.settings import BadSetting, Settings

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.errors import ApiError
    from swarmkeeper.storage.sqlite.store import SqliteStore

Value = TypeVar("Value")

NAME = "swarmkeeper"

# A person waits: a server that does not answer for so long is not there.
PATIENCE_SECONDS = 2.0

_FIX = {
    "unreachable": "start one with `swarmkeeper dev`, or name it with --url or SWARMKEEPER_URL",
    "unauthenticated": "pass a key in SWARMKEEPER_API_KEY or --api-key-file; make one with `swarmkeeper key create`",
    "forbidden": "use a key of a role that may",
    "backlog_full": "wait until some have ended, or allow more with `swarmkeeper tenant set TENANT --max-backlog N`",
    "still_stopping": "try again in a moment",
    "idempotency_key_reused": "leave the key out, or make a new one",
}


def program() -> str:
    """How this command is typed here: by its name where the shell finds it, else by the path that it was started by."""
    found, started = shutil.which(NAME), Path(sys.argv[0])
    if started.name != NAME or (found is not None and Path(found).resolve() == started.resolve()):
        return NAME
    folder = Path.cwd()
    return shlex.quote(str(started.relative_to(folder) if started.is_relative_to(folder) else started))


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
    from pydantic import ValidationError

    from swarmkeeper.sdk.errors import ApiError

    try:
        async with _client(settings) as client:
            await client.calls.call("GET", "/health", patience=PATIENCE_SECONDS)
            yield client
    except ApiError as error:
        raise refused(error, settings) from None
    except ValidationError:
        raise Failure(
            "not_understood",
            "the answer is not one that this version knows",
            facts=[("server", settings.url)],
            fix="use the server's version of swarmkeeper",
        ) from None
    except UnicodeError:
        raise Failure("invalid", "what was typed is no text that UTF-8 can hold", exit_code=Exit.USAGE) from None
    except ValueError as error:
        # Of the SDK's own checks, which repeat nothing that was given.
        raise Failure("invalid", str(error), exit_code=Exit.USAGE) from None


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Failure("key_file", f"the key's file cannot be read: {error.strerror}", fix="name another") from None
    except ValueError as error:
        raise Failure("invalid", str(error), exit_code=Exit.USAGE) from None


def _client(settings: Settings) -> Client:
    from swarmkeeper.cli.typed_calls import TypedCalls
    from swarmkeeper.sdk.client import Client

    file = settings.api_key_file or None
    with _told():
        # An empty key is a key that was not given: the environment has been read already.
        client = Client(settings.url, settings.api_key if file is None else None, api_key_file=file)
    client.calls = TypedCalls.like(client.calls)
    return client


def check_key(settings: Settings) -> None:
    """Look at address and key before anything uses them.

    Raises:
        Failure: one of them cannot be one.
    """
    _client(settings)


def sendable(body: Any) -> None:
    """Look at what is to be sent, as it was typed or read.

    Raises:
        Failure: JSON cannot hold it.
    """
    from swarmkeeper.sdk.calls import encode

    try:
        encode(body)
    except UnicodeError:
        detail = "a text in it is none that UTF-8 can hold (half of a surrogate pair)"
    except (ValueError, RecursionError):
        detail = "JSON has no NaN, no infinity and no end of nesting"
    except TypeError as error:
        detail = f"JSON cannot hold it: {error}"  # which names the type alone
    else:
        return
    raise Failure("not_json", f"this cannot be sent: {detail}", exit_code=Exit.USAGE)


@asynccontextmanager
async def store_of(settings: Settings, *, create: bool = False, reading: bool = False) -> AsyncIterator[SqliteStore]:
    """The store that the settings name, beside a server that may be using it; `reading` writes nothing anywhere.

    Raises:
        Failure: it cannot be used.
    """
    import apsw

    from swarmkeeper.core.ports import StoreDamaged, StoreUnavailable
    from swarmkeeper.storage.sqlite.store import SqliteStore

    try:
        store = SqliteStore(settings.store)
        if reading:
            await store.open_to_read()
        else:
            await store.open(exclusive=False, create=create)
    except Exception as error:
        raise of_store(error) from None
    try:
        yield store
    except (StoreUnavailable, StoreDamaged, apsw.Error, UnicodeDecodeError) as error:
        raise of_store(error) from None
    finally:
        await store.close()


class Damaged(Failure):
    """The store's file is not as it was written."""


def of_store(error: Exception) -> Exception:
    """What a store's refusal is in the command line's words; the error itself where it is none."""
    import apsw

    from swarmkeeper.core.ports import StoreDamaged, StoreUnavailable
    from swarmkeeper.serving import CannotServe
    from swarmkeeper.storage import refusals

    match error:
        case refusals.SchemaOlder():
            return Failure("schema_older", str(error), exit_code=Exit.CONFLICT, fix="swarmkeeper migrate")
        case refusals.StoreHeld():
            return Failure("store_held", str(error), exit_code=Exit.CONFLICT)
        case refusals.StoreRefused():
            missing = str(error).startswith(("there is no store", "there is no swarmkeeper store"))
            code, exit_code = ("no_store", Exit.NOT_FOUND) if missing else ("store_refused", Exit.ERROR)
            fix = "name another with --store or SWARMKEEPER_STORE" if missing else None
            return Failure(code, str(error), exit_code=exit_code, fix=fix)
        case StoreUnavailable():
            return Failure("store_unavailable", str(error), fix="try again in a moment")
        case StoreDamaged() | apsw.Error() | UnicodeDecodeError():  # a text that is none was not written by us
            return Damaged(
                "store_damaged",
                f"the store cannot be read: {type(error.__cause__ or error).__name__}",
                facts=[("why", "its file is damaged, cut short or partly overwritten; nothing was changed")],
                fix="put back a copy of it; `swarmkeeper doctor --deep` and `audit verify` look whether one is whole",
            )
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
