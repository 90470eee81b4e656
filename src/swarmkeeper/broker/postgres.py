"""Broker for the servers that share a store in PostgreSQL: NOTIFY and LISTEN, on a connection of its own."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote_from_bytes, unquote_to_bytes

import asyncpg

from swarmkeeper.broker.remote import HINT_BYTES_MAX, SECONDS_TO_CONNECT, RemoteBroker
from swarmkeeper.core.ports import LogWriter

CHANNEL = "swarmkeeper"  # of one database: those of others are apart
# A hint need not be on the disk before it is sent.
_SETTINGS = {"application_name": "swarmkeeper", "synchronous_commit": "off"}
# Texts in JSON: for an array, the driver would first ask the server what an array is, which takes it 15 ms.
_NOTIFY = "SELECT pg_notify($1, text) FROM json_array_elements_text(CAST($2 AS json)) AS text"


class PostgresBroker(RemoteBroker):
    def __init__(self, url: str, log: LogWriter) -> None:
        super().__init__("postgresql", log)
        self._url = url

    async def _exchange(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=SECONDS_TO_CONNECT, server_settings=_SETTINGS)
        heard: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        own = connection.get_server_pid()
        hearing: asyncio.Task[None] | None = None
        try:
            connection.add_termination_listener(lambda _: self._wake())
            await connection.add_listener(CHANNEL, lambda _, pid, __, text: heard.put_nowait((pid, str(text))))
            hearing = asyncio.create_task(self._hear(heard, own))
            self._connected()
            while not connection.is_closed():
                # A payload is text: bytes that are not in our own hints are escaped.
                texts = [f"{topic} {quote_from_bytes(body, safe=',')}" for topic, body in await self._gathered()]
                if connection.is_closed():
                    return
                fit = [text for text in texts if len(text) <= HINT_BYTES_MAX]  # a longer one is as if it were lost
                if fit:
                    await connection.execute(_NOTIFY, CHANNEL, json.dumps(fit), timeout=SECONDS_TO_CONNECT)
        finally:
            if hearing is not None:
                hearing.cancel()
            connection.terminate()

    async def _hear(self, heard: asyncio.Queue[tuple[int, str]], own: int) -> None:
        while True:
            pid, text = await heard.get()
            if pid != own:
                topic, _, body = text.partition(" ")
                await self._heard(topic, unquote_to_bytes(body))
