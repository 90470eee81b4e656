"""Vault and OpenBao by their HTTP API: KV version 2, dynamic credentials with their leases, and transit.

Each call has one deadline, and no more calls run at a time than IN_FLIGHT_MAX: a back end that is slow or sealed costs
its own callers an answer 503, and others nothing. The login token is kept in memory until two thirds of its time are
over; a call that is refused with 403 logs in again once.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from swarmkeeper.secrets.config import BackendConfig
from swarmkeeper.secrets.sources import Fetched, Field, SourceDown

IN_FLIGHT_MAX = 16
ANSWER_BYTES_MAX = 1 << 20
_ONLY_FIELD = "value"

Json = Any


class Vault:
    """One server, with one way to log in."""

    def __init__(self, config: BackendConfig) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._login_turn = asyncio.Lock()
        self._token = ""
        self._token_until = 0.0  # by the loop's clock

    async def call(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        """Make a call with the token; return status and JSON. Only 200, 204, 400 and 404 are returned.

        Raises:
            SourceDown: anything else.
        """
        try:
            async with asyncio.timeout(self._config.timeout_seconds), self._turns:
                for again in (False, True):
                    token = await self._logged_in(afresh=again)
                    status, answer = await self._send(method, path, body, token)
                    if status != 403 or self._config.auth is None:
                        break
        except TimeoutError:
            raise SourceDown(f"{self._config.name} did not answer in {self._config.timeout_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError, LookupError, TypeError) as error:
            raise SourceDown(f"{self._config.name} cannot be reached ({type(error).__name__})") from None
        if status not in (200, 204, 400, 404):
            why = {403: "refuses this server", 503: "is sealed or in maintenance"}.get(status, f"answers {status}")
            raise SourceDown(f"{self._config.name} {why}")
        return status, answer

    async def _logged_in(self, *, afresh: bool) -> str:
        auth = self._config.auth
        assert auth is not None, "the configuration has a way to log in"
        async with self._login_turn:
            if self._token and not afresh and asyncio.get_running_loop().time() < self._token_until:
                return self._token
            sent = {}
            for name, file in auth.files.items():
                sent[name] = (await asyncio.to_thread(Path(file).read_text, encoding="utf-8")).strip()
            if auth.method == "token":
                self._token, self._token_until = sent["token"], asyncio.get_running_loop().time() + 60
                return self._token
            if auth.role:
                sent["role"] = auth.role
            status, answer = await self._send("POST", f"auth/{auth.mount}/login", sent, "")
            if status != 200:
                raise SourceDown(f"{self._config.name} does not let this server log in ({status})")
            granted = answer["auth"]
            self._token = str(granted["client_token"])
            self._token_until = asyncio.get_running_loop().time() + int(granted.get("lease_duration") or 60) * 2 / 3
            return self._token

    async def _send(self, method: str, path: str, body: Json, token: str) -> tuple[int, Json]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=IN_FLIGHT_MAX, ssl=self._trusted()),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._config.timeout_seconds),
            )
        headers = {"X-Vault-Request": "true"}
        if token:
            headers["X-Vault-Token"] = token
        if self._config.namespace:
            headers["X-Vault-Namespace"] = self._config.namespace
        url = f"{self._config.address}/v1/{path}"
        # No redirects: the token would go to another host.
        async with self._session.request(method, url, json=body, headers=headers, allow_redirects=False) as answer:
            raw = await answer.content.read(ANSWER_BYTES_MAX + 1)
            while len(raw) <= ANSWER_BYTES_MAX and (more := await answer.content.read(ANSWER_BYTES_MAX)):
                raw += more
            if len(raw) > ANSWER_BYTES_MAX:
                raise SourceDown(f"{self._config.name} answers with more than {ANSWER_BYTES_MAX >> 20} MiB")
            if answer.status != 200:
                return answer.status, None
            return 200, json.loads(raw)

    def _trusted(self) -> ssl.SSLContext | bool:
        if self._config.address.startswith("https:") and self._config.ca_file:
            return ssl.create_default_context(cafile=self._config.ca_file)
        return True

    async def unwrap(self, mount: str, key: str, wrapped: str) -> str:
        """Decrypt with transit; return the plain text in base64.

        Raises:
            SourceDown: it cannot be.
        """
        status, answer = await self.call("POST", f"{_path(mount)}/decrypt/{_path(key)}", {"ciphertext": wrapped})
        if status != 200:
            raise SourceDown(f"{self._config.name} does not decrypt the master key ({status})")
        return str(answer["data"]["plaintext"])

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class KvSource:
    """Secrets in KV version 2. A secret with one field, or a field `value`, needs no `#field`."""

    def __init__(self, config: BackendConfig) -> None:
        self.vault = Vault(config)
        self._mount = config.mount

    async def fetch(self, key: str, version: str | None, fields: Sequence[Field]) -> Fetched | None:
        if version is not None and not version.isdigit():
            return None
        query = "" if version is None else f"?version={version}"
        status, answer = await self.vault.call("GET", f"{_path(self._mount)}/data/{_path(key)}{query}")
        if status != 200:  # 404 also if the version was deleted
            return None
        values = _fields_of(_data(answer).get("data"), fields, _ONLY_FIELD)
        number = _data(answer).get("metadata", {}).get("version", "")
        return None if values is None else Fetched(values, str(number))

    async def revoke(self, loan: str) -> None:
        del loan  # it makes none

    async def close(self) -> None:
        await self.vault.close()


class DynamicSource:
    """Credentials that a secrets engine makes at each call (databases, clouds), to be revoked by their lease."""

    def __init__(self, config: BackendConfig) -> None:
        self.vault = Vault(config)
        self._mount = config.mount

    async def fetch(self, key: str, version: str | None, fields: Sequence[Field]) -> Fetched | None:
        if version is not None:
            return None
        status, answer = await self.vault.call("GET", f"{_path(self._mount)}/creds/{_path(key)}")
        if status != 200:
            return None
        loan, seconds = str(answer.get("lease_id") or ""), int(answer.get("lease_duration") or 0)
        values = _fields_of(_data(answer), fields, "password")
        if values is None and loan:
            await self.revoke(loan)
        return None if values is None else Fetched(values, "dynamic", loan, seconds)

    async def revoke(self, loan: str) -> None:
        # 400: the lease has ended already.
        await self.vault.call("POST", "sys/leases/revoke", {"lease_id": loan})

    async def close(self) -> None:
        await self.vault.close()


def _path(path: str) -> str:
    return quote(path, safe="/")


def _data(answer: Json) -> dict[str, Json]:
    data = answer.get("data") if isinstance(answer, dict) else None
    return data if isinstance(data, dict) else {}


def _fields_of(found: Json, fields: Sequence[Field], usual: str) -> dict[Field, str] | None:
    """Return these fields; None if one is missing. `usual` is the field that is meant where none is named."""
    if not isinstance(found, dict):
        return None
    values: dict[Field, str] = {}
    for field in fields:
        name = field if field is not None else next(iter(found)) if len(found) == 1 else usual
        value = found.get(name)
        if not isinstance(value, str):
            return None
        values[field] = value
    return values
