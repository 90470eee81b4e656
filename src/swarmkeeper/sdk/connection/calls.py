"""Makes one call to the orchestrator in JSON and retries it. Knows nothing of the call's content.

Every retry is safe: reads change nothing, commands carry an Idempotency-Key, reports and claims have their own replay
rules, and a 429 or 503 says that nothing was done.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from swarmkeeper.devfolder import KeptServer, kept_servers
from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.chance import Chance
from swarmkeeper.sdk.connection.transport import HttpTransport, Response, Streamed, Transport
from swarmkeeper.sdk.errors import ApiError, Unauthenticated, Unreachable, error_from

Json = Any

_KEY_VARIABLES = ("SWARMKEEPER_API_KEY", "SWARMKEEPER_API_KEY_FILE")
_TOKEN_VARIABLES = ("SWARMKEEPER_TOKEN", "SWARMKEEPER_TOKEN_FILE")
URL_DEFAULT = "http://127.0.0.1:7700"
# Added to the time that an answer may wait on purpose. A commit takes milliseconds, a stalled disk some seconds.
ANSWER_SECONDS_MAX = 15.0
PATIENCE_SECONDS = 30.0
# The server sends a comment every 15 s: after three missed ones the stream is dead.
STREAM_SILENCE_SECONDS_MAX = 45.0


class Credential:
    """The API key or token, from a value or from a file that a rotation may rewrite."""

    def __init__(self, value: str | None, file: Path | None, *, is_token: bool = False) -> None:
        self._file, self._is_token = file, is_token
        self.value = _checked(value) if file is None else _read_key(file)

    @classmethod
    def of(
        cls,
        api_key: str | None,
        api_key_file: str | os.PathLike[str] | None,
        kept: KeptServer | None = None,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
    ) -> Credential:
        """Take the key or token passed, else that of the environment's variables, else `kept`.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not a valid key or token, or both are given.
        """
        is_key_given = api_key is not None or api_key_file is not None
        if token is not None or token_file is not None:
            if is_key_given:
                raise ValueError("a key and a token cannot be used together: keep one")
            return cls(token, None if token is not None or token_file is None else Path(token_file), is_token=True)
        if not is_key_given and any(map(os.environ.get, _TOKEN_VARIABLES)):
            if any(map(os.environ.get, _KEY_VARIABLES)):
                raise ValueError(
                    "the environment has a key and a token (SWARMKEEPER_API_KEY…, SWARMKEEPER_TOKEN…): keep one"
                )
            value, named = map(os.environ.get, _TOKEN_VARIABLES)
            return cls(value, None, is_token=True) if value else cls(None, Path(named or ""), is_token=True)
        if api_key is not None:
            return cls(api_key, None)
        if api_key_file is not None:
            return cls(None, Path(api_key_file))
        if value := os.environ.get("SWARMKEEPER_API_KEY"):
            return cls(value, None)
        if file := os.environ.get("SWARMKEEPER_API_KEY_FILE"):
            return cls(None, Path(file))
        if kept is not None and kept.api_key_file is not None:
            return cls(None, Path(kept.api_key_file))
        return cls(None if kept is None else kept.api_key, None)

    def headers(self) -> dict[str, str]:
        """Return the header that carries it; none if there is no credential."""
        if self.value is None:
            return {}
        return {"authorization": f"Bearer {self.value}"} if self._is_token else {"x-api-key": self.value}

    def reread(self) -> bool:
        """Read the file again; True if it holds another key now. An unreadable file counts as unchanged."""
        if self._file is None:
            return False
        try:
            value = _read_key(self._file)
        except (OSError, ValueError):
            return False
        changed = value != self.value
        self.value = value
        return changed


def _read_key(file: Path) -> str:
    try:
        return _checked(file.read_text(encoding="utf-8").strip()) or ""
    except ValueError:
        raise ValueError("the file holds no key or token: one line of ASCII letters without spaces") from None


def _checked(key: str | None) -> str | None:
    """Return the key.

    Raises:
        ValueError: a header cannot carry it.
    """
    if key is not None and not all("!" <= letter <= "~" for letter in key):
        raise ValueError("the API key or token is invalid: it must consist of ASCII characters without spaces")
    return key


def kept_for(url: str, servers: Sequence[KeptServer]) -> KeptServer | None:
    """Return the nearest file with a key for this URL. A file's key is only for the URL in that file, if it has one."""
    return next((kept for kept in servers if kept.has_key and (kept.url is None or kept.url.rstrip("/") == url)), None)


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """The answer of a call: 2xx or 304."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: Json


class Calls:
    """Makes calls to one orchestrator with one key. Any number of bots and clients of a process may share it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        api_key_file: str | os.PathLike[str] | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        transport: Transport | None = None,
        chance: Chance | None = None,
    ) -> None:
        named = url or os.environ.get("SWARMKEEPER_URL")
        given = (api_key, api_key_file, token, token_file)
        has_key = any(each is not None for each in given) or any(
            map(os.environ.get, (*_KEY_VARIABLES, *_TOKEN_VARIABLES))
        )
        # With a transport that was passed in, the folder's files do not matter: it chose its server itself.
        kept = [] if transport is not None or (named and has_key) else kept_servers(Path())
        found = next((server.url for server in kept if server.url is not None), None)
        self.url = (named or found or URL_DEFAULT).rstrip("/")
        self.credential = Credential.of(
            api_key, api_key_file, kept_for(self.url, kept), token=token, token_file=token_file
        )
        self.transport = transport or HttpTransport(self.url)
        self.chance = chance or chances.real()

    def for_another_loop(self) -> Calls | None:
        """Return the same for another event loop; None if the transport is bound to one loop."""
        make = getattr(self.transport, "for_another_loop", None)
        transport: Transport | None = None if make is None else make()
        if transport is None:
            return None
        calls = Calls.__new__(Calls)
        calls.url, calls.credential, calls.chance = self.url, self.credential, self.chance
        calls.transport = transport
        return calls

    async def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        wait_seconds: float = 0,
        patience: float = PATIENCE_SECONDS,
        trouble: Callable[[ApiError, int], None] | None = None,
        texts: bool = False,
        raw: bool = False,
    ) -> ApiResponse:
        """Make a call and return its answer, if that is 2xx or 304.

        Args:
            method: such as GET.
            path: from the root of the API, without query.
            body: sent as JSON; None: no body.
            query: parameters; None is left out, a list repeats its name.
            headers: in addition to the usual ones.
            wait_seconds: how long the server may hold the answer back (a long poll).
            patience: for how many seconds to retry; 0: never.
            trouble: called with each error that will be retried, and the number of the attempt.
            texts: accept an answer of another content type than JSON, too, as a string.
            raw: return the bytes of the answer, of whatever content type.

        Raises:
            ApiError: the subclass says how to react.
        """
        loop = asyncio.get_running_loop()
        encoded = None if body is None else encode(body)
        full_path = path + _query_string(query)
        gives_up_at = loop.time() + patience
        attempt = 0
        while True:
            attempt += 1
            try:
                timeout = wait_seconds + ANSWER_SECONDS_MAX
                return await self._once(method, full_path, encoded, headers or {}, timeout, texts=texts, raw=raw)
            except Unauthenticated:
                # A rotated key is on disk before the old one expires: read it and retry at once.
                if not self.credential.reread():
                    raise
            except ApiError as error:
                delay = max(chances.pause(self.chance, attempt), error.retry_after or 0.0)
                if not error.retryable or loop.time() + delay > gives_up_at:
                    raise
                if trouble is not None:
                    trouble(error, attempt)
                await asyncio.sleep(delay)

    async def _once(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
        *,
        texts: bool,
        raw: bool,
    ) -> ApiResponse:
        sent = self._headers({"accept": "application/json", **headers})
        if body is not None:
            sent["content-type"] = "application/json"
        answer = await self.transport.request(method, path, sent, body, timeout)
        if raw and answer.status == 200:
            return ApiResponse(answer.status, answer.headers, answer.body)
        if texts and answer.status == 200 and not is_json(answer.headers):
            return ApiResponse(answer.status, answer.headers, answer.body.decode(errors="replace"))
        document = _decode(answer)
        if answer.status == 304 or 200 <= answer.status < 300:
            return ApiResponse(answer.status, answer.headers, document)
        raise error_from(answer.status, document, answer.headers)

    @asynccontextmanager
    async def stream(
        self, path: str, last_event_id: str | None, query: Mapping[str, object] | None = None
    ) -> AsyncIterator[Streamed]:
        """Open one SSE connection. The caller resumes a broken one by `last_event_id`.

        Raises:
            ApiError: as for `call`.
        """
        headers = self._headers({"accept": "text/event-stream"})
        if last_event_id:
            headers["last-event-id"] = last_event_id
        async with self.transport.stream(
            "GET", path + _query_string(query), headers, STREAM_SILENCE_SECONDS_MAX
        ) as streamed:
            if streamed.status != 200:
                body = b"".join([chunk async for chunk in streamed.chunks])
                raise error_from(
                    streamed.status, _decode(Response(streamed.status, streamed.headers, body)), streamed.headers
                )
            yield streamed

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        return {"user-agent": "swarmkeeper-sdk", **more, **self.credential.headers()}

    async def aclose(self) -> None:
        await self.transport.aclose()


_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(body: Json) -> bytes:
    """Encode a request body as JSON.

    Raises:
        ValueError, TypeError: it has no JSON form (NaN, a lone surrogate, an unknown type).
    """
    return _encoded(body).encode()


def is_reference(value: Json) -> bool:
    """Whether the value is a reference in place of a large output."""
    return isinstance(value, dict) and set(value) == {"$ref", "sha256", "bytes"}


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether the content type of an answer is JSON or missing."""
    return "json" in headers.get("content-type", "json")


def _decode(answer: Response) -> Json:
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        if 200 <= answer.status < 300:
            # A truncated answer, or another server's: as without an answer, the call may have had its effect.
            raise Unreachable("unreachable", "the answer is not JSON: is this the orchestrator's URL?") from None
        return None


def _query_string(query: Mapping[str, object] | None) -> str:
    """Encode a query: None is left out, a list repeats its name."""
    pairs = [
        (name, str(each).lower() if isinstance(each, bool) else str(each))
        for name, value in (query or {}).items()
        for each in (value if isinstance(value, list | tuple) else [value])
        if each is not None
    ]
    return "?" + urlencode(pairs) if pairs else ""
