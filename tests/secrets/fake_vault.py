"""A stand-in for Vault and OpenBao, since neither has a package that could be installed here.

Written from the documented HTTP API (api-docs: secret/kv/kv-v2, secret/databases, secret/transit, system/leases,
auth/approle, auth/kubernetes): paths, methods, headers, status codes and the shape of answers are those of the
documentation. It is strict: a wrong method, header or body is an error of the caller, and is kept in `errors`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Json = Any


class FakeVault:
    def __init__(self) -> None:
        self.kv: dict[str, list[dict[str, Json]]] = {}  # path -> versions
        self.tokens = {"root"}
        self.namespace = ""
        self.sealed = False
        self.answers = asyncio.Event()  # while it is not set, no call is answered
        self.answers.set()
        self.leases: dict[str, str] = {}  # live: lease id -> role
        self.roles: set[str] = set()
        self.revoked: list[str] = []
        self.calls: list[str] = []
        self.errors: list[str] = []
        self.url = ""
        self._numbers = itertools.count(1)

    def put(self, path: str, **fields: Json) -> None:
        self.kv.setdefault(path, []).append(fields)

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path}")
        await self.answers.wait()
        if request.headers.get("X-Vault-Request") != "true":
            self.errors.append(f"{request.path}: X-Vault-Request is missing")
        if self.sealed:
            return web.json_response({"errors": ["Vault is sealed"]}, status=503)
        if request.headers.get("X-Vault-Namespace", "") != self.namespace:
            return web.json_response({"errors": []}, status=404)
        path = request.path.removeprefix("/v1/")
        if path.startswith("auth/") and request.method == "POST":
            return await self._login(path, request)
        if request.headers.get("X-Vault-Token") not in self.tokens:
            return web.json_response({"errors": ["permission denied"]}, status=403)
        kind, _, rest = path.partition("/")
        match request.method, kind:
            case "GET", "secret" if rest.startswith("data/"):
                return self._read(rest.removeprefix("data/"), request.query.get("version"))
            case "GET", "database" if rest.startswith("creds/"):
                return self._made(rest.removeprefix("creds/"))
            case "POST" | "PUT", "sys" if rest == "leases/revoke":
                return self._revoke(str((await request.json())["lease_id"]))
            case "POST" | "PUT", "transit" if rest.startswith("decrypt/"):
                return self._decrypt(str((await request.json())["ciphertext"]))
        self.errors.append(f"{request.method} {request.path} is no call of the API")
        return web.json_response({"errors": ["unsupported operation"]}, status=405)

    async def _login(self, path: str, request: web.Request) -> web.Response:
        sent = await request.json()
        good = {
            "auth/approle/login": {"role_id": "the-role", "secret_id": "the-secret"},
            "auth/kubernetes/login": {"role": "swarmkeeper", "jwt": "the.jwt"},
        }
        if good.get(path) != sent:
            return web.json_response({"errors": ["invalid role or secret ID"]}, status=400)
        token = f"s.{next(self._numbers)}"
        self.tokens.add(token)
        return web.json_response({"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}})

    def _read(self, path: str, version: str | None) -> web.Response:
        versions = self.kv.get(path, [])
        number = len(versions) if version in (None, "0") else int(version or 0)
        if not 1 <= number <= len(versions):
            return web.json_response({"errors": []}, status=404)
        data = {"data": versions[number - 1], "metadata": {"version": number, "destroyed": False}}
        return web.json_response({"request_id": "r", "lease_id": "", "data": data})

    def _made(self, role: str) -> web.Response:
        if role not in self.roles:
            return web.json_response({"errors": [f"unknown role: {role}"]}, status=400)
        number = next(self._numbers)
        lease = f"database/creds/{role}/{number}"
        self.leases[lease] = role
        data = {"username": f"v-approle-{role}-{number}", "password": f"made-for-one-lease-{number}"}
        return web.json_response({"lease_id": lease, "lease_duration": 3600, "renewable": True, "data": data})

    def _revoke(self, lease: str) -> web.Response:
        if self.leases.pop(lease, None) is not None:
            self.revoked.append(lease)
        return web.Response(status=204)

    def _decrypt(self, ciphertext: str) -> web.Response:
        if not ciphertext.startswith("vault:v1:"):
            return web.json_response({"errors": ["invalid ciphertext"]}, status=400)
        plain = base64.b64decode(ciphertext.removeprefix("vault:v1:"))[::-1]
        return web.json_response({"data": {"plaintext": base64.b64encode(plain).decode()}})

    @staticmethod
    def wrapped(plain: bytes) -> str:
        return "vault:v1:" + base64.b64encode(plain[::-1]).decode()


@asynccontextmanager
async def fake_vault() -> AsyncIterator[FakeVault]:
    """Serve one on a free port of this machine."""
    vault = FakeVault()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vault.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    vault.url = f"http://127.0.0.1:{port}"
    try:
        yield vault
        assert vault.errors == []
    finally:
        await runner.cleanup()
