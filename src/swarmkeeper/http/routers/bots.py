"""Routes for bots and skills: bots register, operators manage them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.http.dependencies import BotId, Call, CurrentCall, Idempotency, NoBody, replay_header
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
    responses={**returns(201, "Location"), **returns(200, model=v1.Bot), **refuses(errors.BotTypeFixed)},
)
async def register_bot(body: v1.BotRegistration, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Register a bot. A repeated call with the same name and instance updates version and skills."""
    command = commands.Register(
        by=call.by,
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
    answer = await call.services.engine.do(command)
    bot_id, new = (answer.resource, False) if isinstance(answer, Replayed) else answer
    call.services.identity.presence.asked(bot_id)
    call.services.identity.stuck.forget(bot_id)  # the bot's process has just started
    location = {"location": f"{call.base}/bots/{bot_id}"} if new else {}
    record = await call.after(lambda: call.services.queries.bot(call.by, bot_id), repeatable=True)
    return Json(record, 201 if new else 200, {**location, **replay_header(answer)})


@router.get("/bots", response_model=v1.BotPage)
async def list_bots(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List bots."""
    page = await call.read(
        lambda reads: reads.queries.bots(call.by, page_size=query.page_size, page_token=query.page_token)
    )
    return Json(page)


@router.get("/bots/{bot_id:id}", response_model=v1.Bot)
async def get_bot(bot_id: BotId, call: CurrentCall) -> Response:
    """Read a bot."""
    return Json(await call.services.queries.bot(call.by, bot_id))


@router.delete("/bots/{bot_id:id}", status_code=204)
async def delete_bot(bot_id: BotId, call: CurrentCall) -> Response:
    """Delete a bot. Its leases end without counting as crashes."""
    await call.services.engine.do(commands.DeleteBot(by=call.by, bot=bot_id, trace=call.trace))
    call.services.engine.end_polls(bot_id)
    call.services.identity.presence.forget(bot_id)
    call.services.identity.stuck.forget(bot_id)
    return Response(status_code=204)


async def _do(call: Call, command: commands.OnBot[Any]) -> Response:
    """Carry out a command and answer with the resulting bot."""
    answer = await call.services.engine.do(command)
    record = await call.after(lambda: call.services.queries.bot(call.by, command.bot), repeatable=True)
    return Json(record, headers=replay_header(answer))


@router.post("/bots/{bot_id:id}:drain", response_model=v1.Bot)
async def drain_bot(bot_id: BotId, body: NoBody, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Give no more work to a bot. It may finish the work that it holds."""
    return await _do(call, commands.Drain(by=call.by, bot=bot_id, idempotency=idempotency, trace=call.trace))


@router.post("/bots/{bot_id:id}:enable", response_model=v1.Bot)
async def enable_bot(bot_id: BotId, body: NoBody, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Give work to a bot again."""
    return await _do(call, commands.Enable(by=call.by, bot=bot_id, idempotency=idempotency, trace=call.trace))


@router.get("/skills", response_model=v1.SkillPage)
async def list_skills(call: CurrentCall) -> Response:
    """List skills: how many bots have each, how much work waits for it, and for how long."""
    return Json(await call.read(lambda reads: reads.queries.skills(call.by)))
