"""The sink `http`: a POST of a batch of CloudEvents, signed as Standard Webhooks says (standardwebhooks.com).

The id of a message follows from its content: the same batch sent again has the same id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence

from swarmkeeper.sinks.bad_sinks import BadSinks
from swarmkeeper.sinks.file import Entry, HttpTable
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.web import Web

SECOND = 1_000_000
PREFIX = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64  # as the standard says


def secret_of(where: str, text: str) -> bytes:
    """Return the bytes of a secret `whsec_…`.

    Raises:
        BadSinks: it is none.
    """
    try:
        found = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not text.startswith(PREFIX) or not SECRET_BYTES_MIN <= len(found) <= SECRET_BYTES_MAX:
        expected = f"{PREFIX} and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} random bytes"
        raise BadSinks(f"{where} secrets: expected {expected}")
    return found


def signature(secret: bytes, id_: str, timestamp: int, body: bytes) -> str:
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


class WebhookTarget:
    """Implements `SinkTarget`."""

    pace = 0.5

    def __init__(self, entry: Entry, table: HttpTable, wall: Callable[[], int], where: str) -> None:
        self._web = Web(entry, table, table.url)
        self._secrets = [secret_of(where, entry.secret(written)) for written in table.secrets]
        self._wall = wall
        self.place = self._web.place

    async def open(self) -> None:
        await self._web.open()

    async def send(self, records: Sequence[SinkRecord]) -> int:
        body = b"[" + b",".join(record.body for record in records) + b"]"
        id_, at = f"msg_{hashlib.sha256(body).hexdigest()[:32]}", self._wall() // SECOND
        headers = {
            "content-type": "application/cloudevents-batch+json; charset=utf-8",
            "webhook-id": id_,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(signature(secret, id_, at, body) for secret in self._secrets),
        }
        await self._web.post(body, headers)
        return len(records)

    async def close(self) -> None:
        await self._web.close()
