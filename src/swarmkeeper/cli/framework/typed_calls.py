"""Makes calls as a person types them: ids may be shortened, and a lasting refusal is reported at once.

An id begins with a prefix for its type and the time of its creation. So the first eight characters after the prefix
(`tsk_06H1LQ8A`) identify a quarter of a second. They are looked up in the lists of the API, with a bounded number of
calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.sdk.connection.calls import ApiResponse, Calls
from swarmkeeper.sdk.errors import ApiError

LENGTH = 26  # of an id after its prefix
PAGES_MAX = 10
PAGE_SIZE = 200
NAMED_MAX = 10  # ids listed for an ambiguous short id
_LISTS = {"tsk": "/tasks", "bot": "/bots", "key": "/keys", "apr": "/approvals"}
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_SHORT = re.compile(r"(?:(?<=/)|^)(tsk|bot|key|apr)_([0-9A-V]{8,25})(?=[/:]|$)")
_NOT_AGAIN = {"backlog_full"}  # it lasts until other tasks end: do not wait silently


class TypedCalls(Calls):
    """The calls of a command."""

    @classmethod
    def like(cls, calls: Calls) -> TypedCalls:
        own = cls.__new__(cls)
        own.url, own.credential, own.transport, own.chance = calls.url, calls.credential, calls.transport, calls.chance
        return own

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, object] | None = None,
        trouble: Callable[[ApiError, int], None] | None = None,
        **options: Any,
    ) -> ApiResponse:
        """Like `Calls.call`, with short ids in path and query completed.

        Raises:
            CliError: a short id is ambiguous.
        """
        if (found := _SHORT.search(path)) is not None:
            path = path[: found.start()] + await self._whole(found[1], found[2]) + path[found.end() :]
        if query is not None and (short := _SHORT.fullmatch(str(query.get("task_id")))) is not None:
            query = {**query, "task_id": await self._whole(short[1], short[2])}
        return await super().call(method, path, body, query=query, trouble=trouble or _raise_if_lasting, **options)

    async def _whole(self, word: str, start: str) -> str:
        """Return the id with this beginning; the same text if there is none, so that the server refuses it."""
        found: list[str] = []
        query: dict[str, object] = {"page_size": PAGE_SIZE, **(_born(start) if word == "tsk" else {})}
        for _ in range(PAGES_MAX):
            page = (await super().call("GET", _LISTS[word], query=query)).body
            found += [item["id"] for item in page["items"] if item["id"].startswith(f"{word}_{start}")]
            query["page_token"] = page.get("next_page_token") or ""
            if not query["page_token"]:
                break
        else:
            detail = f"{word}_{start} matches too many: write the whole id"
            raise CliError("ambiguous", detail, exit_code=Exit.USAGE)
        if len(found) > 1:
            listed = [("matches", item) for item in found[:NAMED_MAX]]
            detail = f"{word}_{start} matches {len(found)} ids"
            raise CliError(
                "ambiguous", detail, exit_code=Exit.USAGE, facts=listed, fix="write more characters of the id"
            )
        return found[0] if found else f"{word}_{start}"


def _raise_if_lasting(error: ApiError, attempt: int) -> None:
    if error.code in _NOT_AGAIN:
        raise error


def _born(start: str) -> dict[str, object]:
    """Return the filter for creation times of ids with this beginning, with a margin of one second."""
    low, high = (_moment(start[:10].ljust(10, filler)) for filler in (_ALPHABET[0], _ALPHABET[-1]))
    margin = timedelta(seconds=1)
    return {"created_after": (low - margin).isoformat(), "created_before": (high + margin).isoformat()}


def _moment(letters: str) -> datetime:
    bits = 0
    for letter in letters:
        bits = bits << 5 | _ALPHABET.index(letter)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=bits >> 2)
    except OverflowError:  # beyond all possible times
        return datetime(9000, 1, 1, tzinfo=UTC)
