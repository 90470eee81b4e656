"""Calls an ASGI application in the same process, without a socket, with keys that are made for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Scope

from swarmkeeper.access.identity import Identity
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import CreateKey, RevokeKey
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.core.ports import Entropy
from swarmkeeper.engine.loop import Engine
from swarmkeeper.govern import keys
from swarmkeeper.govern.access import Role
from swarmkeeper.sdk.client import Client
from swarmkeeper.sdk.connection.transport import Response, Streamed
from swarmkeeper.sdk.errors import Unreachable

HANG_UP_SECONDS = 1.0  # how long a call may take to notice that its caller is gone


class InProcess:
    """An SDK `Transport` to an ASGI application in the same process.

    `key` returns the API key for calls without one.
    """

    def __init__(self, app: ASGIApp, key: Callable[[], Awaitable[str]] | None = None) -> None:
        self._app, self._key = app, key

    async def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Response:
        try:
            async with asyncio.timeout(timeout), self._call(method, path, headers, body or b"") as streamed:
                content = b"".join([chunk async for chunk in streamed.chunks])
        except TimeoutError:
            raise Unreachable("unreachable", "no answer in time", retryable=True) from None
        return Response(streamed.status, streamed.headers, content)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, headers: Mapping[str, str], timeout: float
    ) -> AsyncIterator[Streamed]:
        async with self._call(method, path, headers, b"", silence=timeout) as streamed:
            yield streamed

    async def aclose(self) -> None:
        return

    @asynccontextmanager
    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, silence: float | None = None
    ) -> AsyncIterator[Streamed]:
        if self._key is not None and not headers.get("x-api-key"):
            headers = {**headers, "x-api-key": await self._key()}
        sent: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=16)
        gone = asyncio.Event()
        begun = False

        async def receive() -> Message:
            nonlocal begun
            if not begun:
                begun = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def answer() -> None:
            try:
                await self._app(_scope(method, path, headers), receive, sent.put)
            finally:
                await sent.put(None)

        answering = asyncio.create_task(answer())
        try:
            start = await _next(sent, silence)
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
            yield Streamed(start["status"], names, _chunks(sent, silence))
        finally:
            gone.set()
            # Empty the queue: the call may wait for room in it, and no one reads it any more.
            while not sent.empty():
                sent.get_nowait()
            await asyncio.wait([answering], timeout=HANG_UP_SECONDS)
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


async def _next(sent: asyncio.Queue[Message | None], silence: float | None) -> Any:
    try:
        async with asyncio.timeout(silence):
            message = await sent.get()
    except TimeoutError:
        raise Unreachable("unreachable", "no answer in time", retryable=True) from None
    if message is None:
        raise Unreachable("unreachable", "the application ended without an answer", retryable=True)
    return message


async def _chunks(sent: asyncio.Queue[Message | None], silence: float | None) -> AsyncIterator[bytes]:
    while True:
        message = await _next(sent, silence)
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body", False):
            return


def _scope(method: str, path: str, headers: Mapping[str, str]) -> Scope:
    bare, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(bare),
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": None,
        "server": ("swarmkeeper", 80),
        "state": {},
    }


# ---- the orchestrator's own calls ------------------------------------------------------------------------------------

TENANT = "default"
# Calls from within this process need no key; audit records name this principal.
OWN = Principal(TENANT, "embedding", Role.ADMIN)


class OwnCalls:
    """The part of `Orchestrator` that makes keys, and clients that need no socket."""

    app: FastAPI
    engine: Engine
    entropy: Entropy
    _identity: Identity

    def __init__(self) -> None:
        self._own_key: tuple[str, str] | None = None  # (id of its record, text)
        self._own_key_turn = asyncio.Lock()

    def client(self, api_key: str | None = None) -> Client:
        """Return a client that needs no socket. Without a key, it has all rights in the tenant `default`."""
        own = None if api_key else self._own_key_text
        return Client("http://swarmkeeper", api_key or "", transport=InProcess(self.app, own))

    async def knows(self, api_key: str) -> bool:
        """Whether this key is valid now."""
        try:
            await self._identity.authenticate(api_key)
        except SwarmkeeperError:
            return False
        return True

    async def one_time_token(self, api_key: str) -> str:
        """Return a token that signs a browser in as this key would: once, within a minute."""
        return self._identity.one_time.made(await self._identity.authenticate(api_key), self.entropy.secret(32))

    async def make_key(
        self,
        role: str,
        *,
        bot: str | None = None,
        owner: str | None = None,
        tenant: str = OWN.tenant,
        scope: str | None = None,
    ) -> str:
        """Create a key and return its text, which is stored nowhere.

        Args:
            scope: of a client, `own` (which is the default) or `tenant`: which tasks it sees and steers.
        """
        return (await self._make_key(role, tenant=tenant, bot=bot, owner=owner, scope=scope))[1]

    async def _make_key(self, role: str, *, tenant: str = OWN.tenant, **more: Any) -> tuple[str, str]:
        made = keys.new_key(self.entropy.secret(keys.ENTROPY_BYTES))
        digest, by = self._identity.digest(made.secret), replace(OWN, tenant=tenant)
        command = CreateKey(by=by, role=role, public_id=made.public_id, digest=digest, **more)
        return not_replayed(await self.engine.do(command)), made.text

    async def _own_key_text(self) -> str:
        async with self._own_key_turn:
            if self._own_key is None:
                self._own_key = await self._make_key(Role.ADMIN)
            return self._own_key[1]

    async def _revoke_own_key(self) -> None:
        if self._own_key is not None:
            with contextlib.suppress(SwarmkeeperError):  # a stopped engine takes no command
                await self.engine.do(RevokeKey(by=OWN, key=self._own_key[0]))
            self._own_key = None
