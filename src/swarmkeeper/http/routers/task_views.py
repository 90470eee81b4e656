"""Reading a task for a response, and the ETags of its versions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from starlette.responses import Response

from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.reads.reading_thread import Reads

# A task's version; with its explanation, which may change without a new version, also a digest of all that is shown.
ETAG = re.compile(r'(?:W/)?"(\d{1,18})(?:\.[0-9a-f]{32})?"')
_BARE = re.compile(r'(?:W/)?"(\d{1,18})"')


def versions(etags: str) -> frozenset[int]:
    """Return the versions that any ETags of a task name."""
    return frozenset(int(version) for version in ETAG.findall(etags))


def bare_versions(etags: str) -> frozenset[int]:
    """Return the versions that ETags of a task without its explanation name."""
    return frozenset(int(version) for version in _BARE.findall(etags))


def etag(version: int) -> dict[str, str]:
    return {"etag": f'"{version}"'}


async def changed_task(
    call: Call, task_id: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a task after a command changed it."""
    body, version = await call.after(lambda: read_task(call, task_id))
    return Json(body, status, {**etag(version), **(headers or {})})


async def explained_task(call: Call, task_id: str, etags: str) -> Response:
    """Answer with a task and its explanation; or say that both are what one of the caller's ETags names."""

    async def whole(reads: Reads) -> tuple[bytes, int]:
        shown, version = await reads.explainer.task(call.by, task_id)
        return encode(shown), version

    body, version = await call.services.reading_thread.look(call.by, whole)
    tag = f'"{version}.{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag}
    return Response(None, 304, headers) if tag in etags else Json(body, 200, headers)


async def read_task(call: Call, task_id: str, known: frozenset[int] = frozenset()) -> tuple[bytes | None, int]:
    """Return a task as JSON and its version. The task is None if its version is in `known`."""

    if task_id in call.services.small_tasks:
        task, version = await call.services.queries.small_task(call.by, task_id)
        return None if version in known else encode(task), version

    async def whole(reads: Reads) -> tuple[bytes | None, int]:
        shown, version = await reads.queries.task(call.by, task_id)
        return None if version in known else encode(shown), version

    return await call.services.reading_thread.look(call.by, whole)
