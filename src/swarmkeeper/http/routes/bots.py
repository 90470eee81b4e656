"""The fleet: bots register themselves, operators look after them."""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import commands, errors
from swarmkeeper.http.calls import Calls, Exchange, Nothing, Reply
from swarmkeeper.http.query import NoQuery, PageQuery
from swarmkeeper.service.engine import Replayed
from swarmkeeper.wire import v1

calls = Calls("bots")


@calls.add(
    "POST",
    "/bots/register",
    body=v1.BotRegistration,
    answers={201: v1.Bot, 200: v1.Bot},
    refusals=(errors.Forbidden, errors.BotTypeFixed),
    idempotent=True,
)
async def register_bot(x: Exchange[v1.BotRegistration, NoQuery]) -> Reply:
    """Register a bot; again under the same name and instance, it takes over version and skills."""
    body = x.body
    command = commands.Register(
        by=x.by,
        idempotency=x.idempotency,
        trace=x.trace,
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
    answer = await x.parts.engine.do(command)
    bot_id, new = (answer.resource, False) if isinstance(answer, Replayed) else answer
    x.parts.identity.presence.asked(bot_id)
    x.parts.identity.stuck.forget(bot_id)  # a process that has just begun
    headers = [("location", f"{x.base}/bots/{bot_id}")] if new else []
    if isinstance(answer, Replayed):
        headers.append(("idempotency-replayed", "true"))
    return Reply(201 if new else 200, await x.after(x.parts.queries.bot(x.by, bot_id)), tuple(headers))


@calls.add("GET", "/bots", query=PageQuery, answers={200: v1.BotPage}, refusals=(errors.Forbidden,))
async def list_bots(x: Exchange[Any, PageQuery]) -> Reply:
    """List bots."""
    query = x.query
    page = await x.look(lambda reads: reads.queries.bots(x.by, page_size=query.page_size, page_token=query.page_token))
    return Reply(200, page)


@calls.add("GET", "/bots/{bot_id}", answers={200: v1.Bot}, refusals=(errors.Forbidden, errors.NotFound))
async def get_bot(x: Exchange[Any, NoQuery]) -> Reply:
    """Look at a bot."""
    return Reply(200, await x.parts.queries.bot(x.by, x.path["bot_id"]))


@calls.add(
    "DELETE",
    "/bots/{bot_id}",
    answers={204: None},
    refusals=(errors.Forbidden, errors.NotFound),
)
async def delete_bot(x: Exchange[Any, NoQuery]) -> Reply:
    """Take a bot out of the fleet; its leases go back, no crash counted."""
    bot_id = x.path["bot_id"]
    await x.parts.engine.do(commands.DeleteBot(by=x.by, bot=bot_id, trace=x.trace))
    x.parts.engine.end_polls(bot_id)
    x.parts.identity.presence.forget(bot_id)
    x.parts.identity.stuck.forget(bot_id)
    return Reply(204)


async def _command(x: Exchange[Any, Any], command: commands.OnBot[Any]) -> Reply:
    answer = await x.parts.engine.do(command)
    headers = (("idempotency-replayed", "true"),) if isinstance(answer, Replayed) else ()
    return Reply(200, await x.after(x.parts.queries.bot(x.by, command.bot)), headers)


@calls.add(
    "POST",
    "/bots/{bot_id}:drain",
    body=Nothing,
    body_optional=True,
    answers={200: v1.Bot},
    refusals=(errors.Forbidden, errors.NotFound),
    idempotent=True,
)
async def drain_bot(x: Exchange[Nothing, NoQuery]) -> Reply:
    """Hand no more work to a bot; what it holds it may finish."""
    return await _command(x, commands.Drain(by=x.by, bot=x.path["bot_id"], idempotency=x.idempotency, trace=x.trace))


@calls.add(
    "POST",
    "/bots/{bot_id}:enable",
    body=Nothing,
    body_optional=True,
    answers={200: v1.Bot},
    refusals=(errors.Forbidden, errors.NotFound),
    idempotent=True,
)
async def enable_bot(x: Exchange[Nothing, NoQuery]) -> Reply:
    """Hand work to a bot again."""
    return await _command(x, commands.Enable(by=x.by, bot=x.path["bot_id"], idempotency=x.idempotency, trace=x.trace))


@calls.add("GET", "/skills", answers={200: v1.SkillPage}, refusals=(errors.Forbidden,))
async def list_skills(x: Exchange[Any, NoQuery]) -> Reply:
    """List skills: who has each, how much waits for it, and how long."""
    return Reply(200, await x.look(lambda reads: reads.queries.skills(x.by)))
