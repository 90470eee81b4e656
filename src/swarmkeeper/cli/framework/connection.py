"""The connection of a command to a server: declares its flags once for all commands, and makes the calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, TypeVar

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, setting
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from pydantic import BaseModel

    from swarmkeeper.sdk.client import Client
    from swarmkeeper.sdk.errors import ApiError
    from swarmkeeper.settings import Settings

Url = Annotated[str | None, setting("url", metavar="URL")]
ApiKeyFile = Annotated[str | None, setting("api_key_file", metavar="FILE")]
ApiKey = Annotated[str | None, setting("api_key", metavar="KEY")]
TokenFile = Annotated[str | None, setting("token_file", metavar="FILE")]
Token = Annotated[str | None, setting("token", metavar="TOKEN")]

Value = TypeVar("Value")

# A person is waiting: after this time without an answer, the server counts as unreachable.
PATIENCE_SECONDS = 2.0

_FIX = {
    "unreachable": "start one with `swarmkeeper dev`, or name it with --url or SWARMKEEPER_URL",
    "unauthenticated": "pass a key in SWARMKEEPER_API_KEY or --api-key-file; create one with `swarmkeeper key create`",
    "forbidden": "use a key whose role allows it",
    "insufficient_user_authentication": "sign in again, and pass the new token with --token-file",
    "backlog_full": "wait until some have ended, or allow more with `swarmkeeper tenant set TENANT --max-backlog N`",
    "still_stopping": "try again in a moment",
    "idempotency_key_reused": "leave the key out, or use a new one",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """The server, the key, and whether to print answers as JSON."""

    settings: Settings
    as_json: bool

    @classmethod
    def of(
        cls,
        url: Url = None,
        api_key: ApiKey = None,
        api_key_file: ApiKeyFile = None,
        token: Token = None,
        token_file: TokenFile = None,
        as_json: AsJson = False,
    ) -> Connection:
        """Read the flags; its parameters are the flags that `connected` adds to a command.

        Raises:
            CliError: a setting cannot be used.
        """
        flags = {"api_key": api_key, "api_key_file": api_key_file, "token": token, "token_file": token_file}
        return cls(running.settings_of(url=url, **flags), as_json)

    def call(self, ask: Callable[[Client], Awaitable[Value]]) -> Value:
        """Connect, run `ask` with the client, and return its answer. An interrupt ends the command with 130.

        Raises:
            CliError: the server cannot be reached, or refused a call.
        """

        async def work() -> Value:
            async with client_of(self.settings) as client:
                return await ask(client)

        return running.run(work())

    def each(self, ask: Callable[[Client], AsyncIterator[Value]], show: Callable[[Value], object]) -> None:
        """Pass each item of a list or feed of the API to `show`, as it arrives.

        Raises:
            CliError: as for `call`.
        """

        async def work(client: Client) -> None:
            async for item in ask(client):
                show(item)

        self.call(work)

    def say_rows(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Show rows as a table, or each as a line of JSON."""
        if self.as_json:
            for row in rows:
                terminal.say_json(row)
        else:
            terminal.say_table(rows, columns)

    def say_done(self, answer: BaseModel | Mapping[str, Any], words: str) -> None:
        """Say what a command has done: in words for people, or with the answer as JSON."""
        if self.as_json:
            terminal.say_json(answer if isinstance(answer, Mapping) else answer.model_dump(mode="json"))
        else:
            terminal.talk(words)

    def say_all(self, ask: Callable[[Client], AsyncIterator[BaseModel]], columns: Sequence[str]) -> None:
        """Show all items of a list of the API; raises as `call`."""
        self.say_rows([item.model_dump(mode="json") for item in self.all(ask)], columns)

    def all(self, ask: Callable[[Client], AsyncIterator[Value]]) -> list[Value]:
        """Return all items of a list of the API.

        Raises:
            CliError: as for `call`.
        """
        found: list[Value] = []
        self.each(ask, found.append)
        return found


def connected(command: Callable[Concatenate[Connection, ...], None]) -> Callable[..., None]:
    """Add the flags of `Connection.of` to a command, after its own, and pass it the `Connection` as first argument."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    shared = inspect.signature(Connection.of, eval_str=True).parameters

    @functools.wraps(command)
    def with_flags(**given: Any) -> None:
        connection = Connection.of(**{name: given.pop(name) for name in shared})
        command(connection, **given)

    # Typer reads the flags from these two.
    parameters = [*own, *shared.values()]
    with_flags.__dict__["__signature__"] = inspect.Signature(parameters)
    with_flags.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_flags


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[Client]:
    """Connect to the server of the settings and yield a client.

    Raises:
        CliError: the server cannot be reached, or refused a call within the block.
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
        raise CliError(
            "not_understood",
            "this version does not understand the answer",
            facts=[("server", settings.url)],
            fix="use the server's version of swarmkeeper",
        ) from None
    except UnicodeError:
        raise CliError("invalid", "an argument cannot be encoded as UTF-8", exit_code=Exit.USAGE) from None
    except ValueError as error:
        # From the SDK's own checks, whose messages repeat no input.
        raise CliError("invalid", str(error), exit_code=Exit.USAGE) from None


@contextmanager
def _key_errors() -> Iterator[None]:
    """Turn an error of address or key into a `CliError`."""
    try:
        yield
    except OSError as error:
        raise CliError("key_file", f"the key's file cannot be read: {error.strerror}", fix="name another") from None
    except ValueError as error:
        raise CliError("invalid", str(error), exit_code=Exit.USAGE) from None


def _client(settings: Settings) -> Client:
    from swarmkeeper.cli.framework.typed_calls import TypedCalls
    from swarmkeeper.sdk.client import Client

    token, token_file, file = settings.token or None, settings.token_file or None, settings.api_key_file or None
    # An empty key means no key: the environment has been read already.
    key = settings.api_key if file is None and token is None and token_file is None else None
    with _key_errors():
        client = Client(settings.url, key, api_key_file=file, token=token, token_file=token_file)
    client.calls = TypedCalls.like(client.calls)
    return client


def check_key(settings: Settings) -> None:
    """Check address and key before anything uses them.

    Raises:
        CliError: one of them is not valid.
    """
    _client(settings)


def sendable(body: Any) -> None:
    """Check a body that was typed or read.

    Raises:
        CliError: JSON cannot represent it.
    """
    from swarmkeeper.sdk.connection.calls import encode

    try:
        encode(body)
    except UnicodeError:
        detail = "a string in it cannot be encoded as UTF-8 (half of a surrogate pair)"
    except (ValueError, RecursionError):
        detail = "JSON has no NaN and no infinity, and nesting is limited"
    except TypeError as error:
        detail = f"it is not a JSON value: {error}"  # the message has only the type
    else:
        return
    raise CliError("not_json", f"this cannot be sent: {detail}", exit_code=Exit.USAGE)


def refused(error: ApiError, settings: Settings) -> CliError:
    """Convert a refusal of the server to a `CliError`."""
    facts = [("where", str(problem)) for problem in error.problems]
    if error.code == "unreachable":
        facts.append(("server", settings.url))
    else:
        facts.append(("more", f"{settings.url}/docs#{error.code}"))
    if error.request_id:
        facts.append(("request", error.request_id))
    return CliError(error.code, error.detail, exit_code=_exit_code(error), facts=facts, fix=_FIX.get(error.code))


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
