"""Calls whose answers are records, and lists that are read page by page: what all calls of the client are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.calls import Calls, Json
from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.shapes import read_answer

PAGE_SIZE = 200

Item = TypeVar("Item")
Record = TypeVar("Record", bound=BaseModel)


class RecordCalls:
    """Makes calls and reads their answers as records."""

    calls: Calls

    async def _read(self, path: str, model: type[Record], query: Mapping[str, object] | None = None) -> Record:
        return read_answer(model, (await self.calls.call("GET", path, query=query)).body)

    async def _command(
        self, method: str, path: str, body: Json, model: type[Record], idempotency_key: str | None = None
    ) -> Record:
        key = idempotency_key or chances.token(self.calls.chance)
        answer = await self.calls.call(method, path, body, headers={"idempotency-key": key})
        return read_answer(model, answer.body)

    async def _items(
        self, path: str, model: type[Page[Item]], query: Mapping[str, object] | None = None
    ) -> AsyncIterator[Item]:
        token: str | None = None
        while token != "":
            page = await self._read(path, model, {**(query or {}), "page_size": PAGE_SIZE, "page_token": token})
            for item in page.items:
                yield item
            token = page.next_page_token


def task_path(task_id: str) -> str:
    return f"/tasks/{segment(task_id)}"


def segment(text: str) -> str:
    if text in {"", ".", ".."}:
        raise ValueError("an id or key is expected here")
    return quote(text, safe="")


def given(body: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if value is not None}
