"""The route that tries out redaction on a value."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from swarmkeeper.core.model import Json as JsonValue
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import CurrentCall, Permission
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads.reading_thread import Reads
from swarmkeeper.wire.redaction import RedactionTest, RedactionTested

router = APIRouter(tags=["evidence"], route_class=StrictRoute)


@router.post(
    "/redaction:test", dependencies=[Depends(Permission(Action.REDACTION_TEST))], response_model=RedactionTested
)
async def test_redaction(body: RedactionTest, call: CurrentCall) -> Response:
    """Redact a value as the tenant's evidence would show it, and list what was hidden.

    Nothing is stored.
    """

    async def redacted(reads: Reads) -> JsonValue:
        found = call.services.rules.redact(body.value, tenant=call.by.tenant)
        fields: list[dict[str, Any]] = [
            {"pointer": field.pointer, "rule": field.rule, "action": field.action, "in": field.within}
            for field in found.fields
        ]
        return {"value": found.value, "redacted_fields": fields}

    return Json(await call.read(redacted))
