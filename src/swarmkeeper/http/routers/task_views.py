"""The task that a route answers with, and the ETags that name its versions."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.responses import Response

from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.reads.reading_thread import Reads

ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')


def versions(etags: str) -> frozenset[int]:
    return frozenset(int(version) for version in ETAG.findall(etags))


def etag(version: int) -> dict[str, str]:
    return {"etag": f'"{version}"'}


async def changed_task(
    call: Call, task_id: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The task that a command was about, as it is now."""
    body, version = await call.after(read_task(call, task_id))
    return Json(body, status, {**etag(version), **(headers or {})})


async def read_task(
    call: Call, task_id: str, known: frozenset[int] = frozenset(), *, explain: bool = False
) -> tuple[bytes | None, int]:
    """A task and its version; no task where the caller has that one, for which alone it does not ask why."""

    async def whole(reads: Reads) -> tuple[bytes | None, int]:
        shown, version = await (reads.explainer if explain else reads.queries).task(call.by, task_id)
        # Reasons change without the task.
        return None if version in known and not explain else encode(shown), version

    return await call.services.looks.look(call.by, whole)
