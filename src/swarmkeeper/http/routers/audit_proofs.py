"""Routes for whoever verifies the audit log from outside: checkpoint, tiles (c2sp.org/tlog-tiles), proofs, bodies."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import PlainTextResponse, Response

from swarmkeeper.core import errors
from swarmkeeper.http.dependencies import CurrentCall
from swarmkeeper.http.openapi import Responses, refuses
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads.reading_thread import Reads
from swarmkeeper.wire import v1
from swarmkeeper.wire.insight.proofs import AuditBody

router = APIRouter(prefix="/audit", tags=["evidence"], route_class=StrictRoute)

_NEVER_CHANGES = {"cache-control": "private, max-age=31536000, immutable"}
_SOON_OLD = {"cache-control": "no-store"}
_GONE = refuses(errors.ResourceNotFound)
_BYTES: Responses = {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/log", response_model=v1.AuditLogFacts, responses=_GONE)
async def log(call: CurrentCall) -> Response:
    """Read what a verifier of the tenant's audit log needs to know first."""

    async def facts(reads: Reads) -> int:
        return await reads.published_logs.begin(call.by)

    begin = await call.services.reading_thread.look(call.by, facts)
    return Json({"begin": begin, "keys": list(call.services.log_keys(call.by.tenant))}, headers=_SOON_OLD)


@router.get("/checkpoint", response_class=PlainTextResponse, responses=_GONE)
async def checkpoint(call: CurrentCall) -> Response:
    """Read the newest signed checkpoint: name, size and root of the tenant's audit log."""
    note = await call.read(lambda reads: reads.published_logs.checkpoint(call.by))
    return PlainTextResponse(note, headers=_SOON_OLD)


@router.get("/tile/{path:path}", response_class=Response, responses={**_BYTES, **_GONE})
async def tile(
    path: Annotated[
        str, Path(description="The level or `entries`, and the number: `0/x001/234` or `entries/000.p/7`.")
    ],
    call: CurrentCall,
) -> Response:
    """Read the hashes of up to 256 records or of tiles below, or a bundle of records."""

    async def found(reads: Reads) -> tuple[bytes, bool]:
        return await reads.published_logs.tile(call.by, path)

    data, never_changes = await call.services.reading_thread.look(call.by, found)
    headers = _NEVER_CHANGES if never_changes else _SOON_OLD
    return Response(data, media_type="application/octet-stream", headers=headers)


@router.get("/{index:int}/proof", response_class=PlainTextResponse, responses=_GONE)
async def proof(index: Annotated[int, Path(ge=0)], call: CurrentCall) -> Response:
    """Read the proof that the newest checkpoint covers a record (c2sp.org/tlog-proof)."""
    return PlainTextResponse(
        await call.read(lambda reads: reads.published_logs.proof(call.by, index)), headers=_SOON_OLD
    )


@router.get("/{index:int}/body", response_model=AuditBody, responses=_GONE)
async def body(index: Annotated[int, Path(ge=0)], call: CurrentCall) -> Response:
    """Read the body of a record with its salt, and so prove it against the commitment in the record.

    With the record's proof, this proves what the log says of its payload and events. Of an erased body nothing is left.
    """
    found = await call.read(lambda reads: reads.audit_queries.body(call.by, index))
    return Json(found, headers=_SOON_OLD)
