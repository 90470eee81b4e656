"""Reading a task for a response, and the ETags of its versions."""

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
    """Answer with a task after a command changed it."""
    body, version = await call.after(lambda: read_task(call, task_id))
    return Json(body, status, {**etag(version), **(headers or {})})


async def read_task(
    call: Call, task_id: str, known: frozenset[int] = frozenset(), *, explain: bool = False
) -> tuple[bytes | None, int]:
    """Return a task as JSON and its version. The task is None if its version is in `known`, unless `explain` is set."""

    if not explain and task_id in call.services.small_tasks:
        task, version = await call.services.queries.small_task(call.by, task_id)
        return None if version in known else encode(task), version

    async def whole(reads: Reads) -> tuple[bytes | None, int]:
        shown, version = await (reads.explainer if explain else reads.queries).task(call.by, task_id)
        # The explanation may change without a new version of the task.
        return None if version in known and not explain else encode(shown), version

    return await call.services.reading_thread.look(call.by, whole)
