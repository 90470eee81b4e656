"""Routes of the kill switch: stop a bot, an owner, a skill or the tenant, list what is stopped, and lift it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from swarmkeeper.core import errors
from swarmkeeper.core.kills.commands import LiftKill, PlaceKill
from swarmkeeper.core.kills.reads import KILLS_OF_TENANT
from swarmkeeper.core.kills.records import KillKind, KillRecord
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import CurrentCall, Idempotency, Permission, in_path, replay_header
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads import views
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.views import View
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import of_datetime, rfc3339

router = APIRouter(tags=["kills"], route_class=StrictRoute)

KillId = Annotated[str, in_path("A kill's id.")]


@router.put(
    "/kills",
    response_model=v1.Kill,
    dependencies=[Depends(Permission(Action.KILL_MANAGE))],
    responses=refuses(errors.ResourceNotFound),
)
async def place_kill(body: v1.KillRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Stop a bot, an owner, a skill or the whole tenant, at once and on every server.

    It gets no more leases. The leases that it holds are revoked: the work returns to its queue and no crash is counted.
    A kill of the same name is replaced. Only an administrator can kill the tenant.
    """
    command = PlaceKill(
        by=call.by,
        idempotency=idempotency,
        trace=call.trace,
        kind=KillKind(body.kind),
        name=body.name,
        reason=body.reason,
        until=None if body.until is None else of_datetime(body.until),
    )
    answer = await call.services.engine.do(command)
    kill_id = answer if isinstance(answer, str) else answer.resource
    kill = await call.after(lambda: _one(call.services.queries, call.by.tenant, kill_id))
    return Json(kill, 200, replay_header(answer))


@router.get("/kills", response_model=v1.KillPage, dependencies=[Depends(Permission(Action.KILL_READ))])
async def list_kills(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List what is stopped in the tenant."""
    after = views.read_token(query.page_token, str)[0] if query.page_token else ""
    return Json(await call.read(lambda reads: _page(reads.queries, call.by.tenant, after, query.page_size)))


@router.get(
    "/kills/{kill_id:id}",
    response_model=v1.Kill,
    dependencies=[Depends(Permission(Action.KILL_READ))],
    responses=refuses(errors.ResourceNotFound),
)
async def get_kill(kill_id: KillId, call: CurrentCall) -> Response:
    """Say what is stopped by a kill, by whom and why."""
    return Json(await call.read(lambda reads: _one(reads.queries, call.by.tenant, kill_id)))


@router.delete(
    "/kills/{kill_id:id}",
    status_code=204,
    dependencies=[Depends(Permission(Action.KILL_MANAGE))],
    responses=refuses(errors.ResourceNotFound),
)
async def lift_kill(kill_id: KillId, call: CurrentCall) -> Response:
    """Let what was stopped work again. Only an administrator can lift a kill of the tenant."""
    await call.services.engine.do(LiftKill(by=call.by, trace=call.trace, kill=kill_id))
    return Response(status_code=204)


async def _kills(queries: Queries, tenant: str) -> list[KillRecord]:
    found: list[KillRecord] = await fetch(queries.reader, KILLS_OF_TENANT, tenant=tenant)
    return found


async def _page(queries: Queries, tenant: str, after: str, size: int) -> View:
    rest = [kill for kill in await _kills(queries, tenant) if kill.id > after]
    return views.page(list(map(_view, rest[:size])), views.token(rest[size - 1].id) if len(rest) > size else "")


async def _one(queries: Queries, tenant: str, kill_id: str) -> View:
    for kill in await _kills(queries, tenant):
        if kill.id == kill_id:
            return _view(kill)
    raise errors.ResourceNotFound("no such kill, or it has been lifted")


def _view(kill: KillRecord) -> View:
    shown: dict[str, Any] = {name: getattr(kill, name) for name in ("id", "kind", "name", "reason", "placed_by")}
    return {
        **shown,
        "placed_at": rfc3339(kill.placed_at),
        "until": None if kill.until is None else rfc3339(kill.until),
    }
