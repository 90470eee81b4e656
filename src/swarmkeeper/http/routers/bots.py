"""The fleet: bots register themselves, operators look after them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.http.dependencies import (
    BotId,
    Call,
    CurrentCall,
    CurrentPrincipal,
    CurrentServices,
    Idempotency,
    NoBody,
    replay_header,
)
from swarmkeeper.http.openapi import refuses, returns
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1

router = APIRouter(tags=["bots"], route_class=StrictRoute)


@router.post(
    "/bots/register",
    response_model=v1.Bot,
    status_code=201,
    responses={
        **returns(201, "Location"),
        **returns(200, model=v1.Bot),
        **refuses(errors.Forbidden, errors.BotTypeFixed),
    },
)
async def register_bot(
    body: v1.BotRegistration,
    by: CurrentPrincipal,
    services: CurrentServices,
    call: CurrentCall,
    idempotency: Idempotency,
) -> Response:
    """Register a bot; again under the same name and instance, it takes over version and skills."""
    command = commands.Register(
        by=by,
        idempotency=idempotency,
        trace=call.trace,
        type=body.type,
        version=body.version,
        name=body.name,
        default_name=body.default_name,
        instance=body.instance,
        skills=tuple(body.skills),
        capacity=body.capacity,
        dedicated=body.dedicated,
        endpoint=body.endpoint,
        labels=body.labels,
    )
    answer = await services.engine.do(command)
    bot_id, new = (answer.resource, False) if isinstance(answer, Replayed) else answer
    services.identity.presence.asked(bot_id)
    services.identity.stuck.forget(bot_id)  # a process that has just begun
    location = {"location": f"{call.base}/bots/{bot_id}"} if new else {}
    record = await call.after(services.queries.bot(by, bot_id))
    return Json(record, 201 if new else 200, {**location, **replay_header(answer)})


@router.get("/bots", response_model=v1.BotPage, responses=refuses(errors.Forbidden))
async def list_bots(query: Annotated[PageQuery, Query()], by: CurrentPrincipal, call: CurrentCall) -> Response:
    """List bots."""
    page = await call.look(lambda reads: reads.queries.bots(by, page_size=query.page_size, page_token=query.page_token))
    return Json(page)


@router.get("/bots/{bot_id:id}", response_model=v1.Bot, responses=refuses(errors.Forbidden, errors.NotFound))
async def get_bot(bot_id: BotId, by: CurrentPrincipal, services: CurrentServices) -> Response:
    """Look at a bot."""
    return Json(await services.queries.bot(by, bot_id))


@router.delete("/bots/{bot_id:id}", status_code=204, responses=refuses(errors.Forbidden, errors.NotFound))
async def delete_bot(bot_id: BotId, by: CurrentPrincipal, services: CurrentServices, call: CurrentCall) -> Response:
    """Take a bot out of the fleet; its leases go back, no crash counted."""
    await services.engine.do(commands.DeleteBot(by=by, bot=bot_id, trace=call.trace))
    services.engine.end_polls(bot_id)
    services.identity.presence.forget(bot_id)
    services.identity.stuck.forget(bot_id)
    return Response(status_code=204)


async def _do(call: Call, command: commands.OnBot[Any]) -> Response:
    """Carry out a command, and answer with the bot as it is then."""
    answer = await call.services.engine.do(command)
    record = await call.after(call.services.queries.bot(call.by, command.bot))
    return Json(record, headers=replay_header(answer))


@router.post(
    "/bots/{bot_id:id}:drain",
    response_model=v1.Bot,
    responses=refuses(errors.Forbidden, errors.NotFound),
)
async def drain_bot(
    bot_id: BotId,
    body: NoBody,
    by: CurrentPrincipal,
    call: CurrentCall,
    idempotency: Idempotency,
) -> Response:
    """Hand no more work to a bot; what it holds it may finish."""
    return await _do(call, commands.Drain(by=by, bot=bot_id, idempotency=idempotency, trace=call.trace))


@router.post(
    "/bots/{bot_id:id}:enable",
    response_model=v1.Bot,
    responses=refuses(errors.Forbidden, errors.NotFound),
)
async def enable_bot(
    bot_id: BotId,
    body: NoBody,
    by: CurrentPrincipal,
    call: CurrentCall,
    idempotency: Idempotency,
) -> Response:
    """Hand work to a bot again."""
    return await _do(call, commands.Enable(by=by, bot=bot_id, idempotency=idempotency, trace=call.trace))


@router.get("/skills", response_model=v1.SkillPage, responses=refuses(errors.Forbidden))
async def list_skills(by: CurrentPrincipal, call: CurrentCall) -> Response:
    """List skills: who has each, how much waits for it, and how long."""
    return Json(await call.look(lambda reads: reads.queries.skills(by)))
