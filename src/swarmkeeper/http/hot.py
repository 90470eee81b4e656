"""The hot routes: what bots and clients call all the time, without FastAPI's part of a request.

FastAPI describes these like all others: their signatures and `Depends` are the description. But they run as plain
endpoints. `HotRoutes` (middleware.py) finds them by a table, `HotRoute` (routing.py) checks the request in the order of
`StrictRoute`, and the function gets its `Call` alone. FastAPI's routing, dependencies and exit stacks take 0.2 ms, as
long as all else of such a request. Bodies that may be long come as commands (intake/content.py), answers go out as
bytes. A route belongs here only if a measurement says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.core.answers import HeartbeatResult, Reported
from swarmkeeper.core.decide.decisions import review
from swarmkeeper.core.errors import Invalid, SwarmkeeperError, Unauthenticated
from swarmkeeper.core.model import Json as JsonValue
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.engine.loop import Claimed, Poll, Replayed
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import (
    BodyOf,
    BotId,
    BotProcess,
    Call,
    CurrentCall,
    CurrentPrincipal,
    Idempotency,
    IfNoneMatch,
    Permission,
    TaskId,
    replay_header,
)
from swarmkeeper.http.intake import content
from swarmkeeper.http.intake.limits import ClientGone
from swarmkeeper.http.openapi import refuses, returns
from swarmkeeper.http.queries import TaskQuery
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.http.routers.task_views import changed_task, etag, read_task, versions
from swarmkeeper.http.routing import HotRoute
from swarmkeeper.reads.reading_thread import Reads
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros, rfc3339

router = APIRouter(route_class=HotRoute)

# How soon a poll whose time is up is looked at again, where its leases were on their way to it just then.
_LOOK_AGAIN_SECONDS = 0.05
# Up to this a task that was just submitted is shown at once, which takes less than a millisecond.
SMALL_BYTES = 16 << 10
SMALL_ROWS = 20

# ---- leases --------------------------------------------------------------------------------------------------------


def _for_leases(by: CurrentPrincipal, body: v1.LeaseRequest, bot_process: BotProcess = None) -> None: ...


@router.post(
    "/leases",
    tags=["work"],
    dependencies=[Depends(_for_leases)],
    response_model=v1.LeasePage,
    responses=refuses(errors.Forbidden, errors.NotFound),
)
async def lease_work(call: CurrentCall) -> Response:
    """Ask for work, and wait until there is some.

    Asked again with the same `claim_id`, the same leases come. Of a bot that hangs up while it waits, nothing is taken.
    """
    body = call.body
    claim = commands.Claim(
        by=call.by,
        bot=body.bot_id,
        most=body.max,
        skills=None if body.skills is None else tuple(body.skills),
        ttl=None if body.lease_seconds is None else micros(body.lease_seconds),
        claim_id=body.claim_id,
        trace=call.trace,
    )
    call.let_go()  # it may wait for long
    wait = min(body.wait_seconds, call.services.limits.wait_max)
    if wait <= 0:
        claimed = await _asked(call, claim, 0)
    else:
        with call.services.quotas.polls.held(call.by):
            claimed = await _asked(call, claim, wait)
    call.services.identity.presence.asked(body.bot_id)
    leases, reason = claimed
    told: dict[str, JsonValue] = {"leases": leases, "reason": reason}
    if call.services.identity.processes.another(body.bot_id, call.headers.get("bot-process")):
        told["another_process"] = True
    return Json(told)


async def _asked(call: Call, claim: commands.Claim, wait: float) -> tuple[JsonValue, str | None]:
    """The leases that a poll got, as they are shown, or why there are none."""
    poll = call.services.engine.claim(claim, parks=wait > 0)
    gone = asyncio.ensure_future(call.gone())
    try:
        claimed = await _answer(call, poll, gone, wait)
        leases = await _leases(call, claimed)
        if gone.done():
            raise ClientGone
    except BaseException:
        # Nobody hears of these leases, so that nobody has them.
        call.services.engine.abandon(poll)
        raise
    finally:
        gone.cancel()
    return leases, None if claimed.leases else claimed.reason


async def _answer(call: Call, poll: Poll, gone: asyncio.Future[None], wait: float) -> Claimed:
    """The poll's answer, while its bot is there and its key stands."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait if wait > 0 else None
    with call.services.standing.of(call.by) as ended:
        waiting: tuple[asyncio.Future[Any], ...] = (poll.answer, gone, ended)
        while not poll.answer.done():
            pause = None if until is None else until - loop.time()
            if pause is not None and pause <= 0:
                call.services.engine.end(poll)
                pause = _LOOK_AGAIN_SECONDS
            await asyncio.wait(waiting, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientGone
            if ended.done():
                break
    await _still_good(call)
    return await poll.answer


async def _still_good(call: Call) -> None:
    if not await call.services.identity.still_good(call.by):
        raise Unauthenticated("the API key was revoked or has expired")


async def _leases(call: Call, claimed: Claimed) -> JsonValue:
    if not claimed.leases:
        return []
    if await call.after(call.services.leases.are_light(claimed.leases)):
        return await call.after(call.services.leases.views(claimed.leases))
    shown = await call.after(call.look(lambda reads: reads.leases.views(claimed.leases)))
    return msgspec.Raw(shown)


# ---- reports -------------------------------------------------------------------------------------------------------


async def _readable(call: Call, found: Sequence[commands.Report]) -> list[commands.Report]:
    """The same, each verdict with what people may read of it: it is redacted where that holds up nobody."""
    if all(one.verdict is None for one in found):
        return list(found)

    async def whole(reads: Reads) -> list[commands.Report]:
        rules, tenant = call.services.rules, call.by.tenant
        return [
            one if one.verdict is None else replace(one, shown=review.readable(one.verdict, rules, tenant))
            for one in found
        ]

    return await call.services.looks.look(call.by, whole)


def _for_a_result(by: CurrentPrincipal, task_id: TaskId) -> None: ...


@router.post(
    "/tasks/{task_id:id}/results",
    tags=["work"],
    dependencies=[
        Depends(_for_a_result),
        Depends(Permission(Action.WORK_REPORT)),
        Depends(BodyOf(v1.Report, content.report)),
    ],
    response_model=v1.ReportAnswer,
    responses=refuses(
        errors.Forbidden,
        errors.NotFound,
        errors.LeaseLost,
        errors.LeaseRequired,
        errors.AlreadyReported,
        errors.TaskClosed,
        errors.IllegalTransition,
        errors.InvalidPlan,
    ),
)
async def report_result(call: CurrentCall) -> Response:
    """Report what came of an attempt: a plan, an output, a verdict or a failure.

    Sent again, the same report is answered as before. With `claim` the next work comes along.
    """
    sent: content.Reported = call.body
    (command,) = sent.results
    if isinstance(command, SwarmkeeperError):
        raise command
    (answer,), claimed = await call.services.engine.report(await _readable(call, [command]), sent.claim)
    if isinstance(answer, BaseException):
        raise answer
    call.services.identity.presence.asked(sent.bot)
    return Json({**_taken(answer), "leases": await _leases(call, claimed)})


@router.post(
    "/results",
    tags=["work"],
    dependencies=[Depends(Permission(Action.WORK_REPORT)), Depends(BodyOf(v1.ReportBatch, content.reports))],
    response_model=v1.ReportBatchAnswer,
    responses=refuses(errors.Forbidden),
)
async def report_results(call: CurrentCall) -> Response:
    """Report several results of one bot, each taken or refused by itself."""
    sent: content.Reported = call.body
    asked = await _readable(call, [one for one in sent.results if isinstance(one, commands.Report)])
    answered, claimed = await call.services.engine.report(asked, sent.claim)
    told = iter(answered)
    answers: list[Any] = [one if isinstance(one, SwarmkeeperError) else next(told) for one in sent.results]
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, SwarmkeeperError):
            raise answer
    if any(isinstance(answer, Reported) for answer in answers):
        call.services.identity.presence.asked(sent.bot)
    for answer in answers:
        if isinstance(answer, SwarmkeeperError):
            call.refused(answer)
    results = [_refused(answer) if isinstance(answer, SwarmkeeperError) else _taken(answer) for answer in answers]
    return Json({"results": results, "leases": await _leases(call, claimed)})


def _taken(answer: Reported) -> dict[str, JsonValue]:
    return {"accepted": True, "replayed": answer.replayed, "task_status": answer.task_status}


def _refused(error: SwarmkeeperError) -> dict[str, JsonValue]:
    places = [{"pointer": where, "code": code, "detail": detail} for where, code, detail in error.details]
    return {"accepted": False, "code": error.code, "detail": error.detail, "errors": places}


# ---- heartbeats ----------------------------------------------------------------------------------------------------


def _beat(call: Call, bot: str) -> commands.Heartbeat:
    """The command, with progress and log lines as people may read them while the work runs."""

    def readable(progress: v1.Progress) -> dict[str, JsonValue]:
        said: dict[str, JsonValue] = call.services.rules.redact(progress.record(), tenant=call.by.tenant).value
        return said

    heartbeats = tuple(
        commands.LeaseHeartbeat(
            lease_id=one.lease_id,
            progress=None if one.progress is None else readable(one.progress),
            usage=None if one.usage is None else one.usage.model_dump(),
            checkpoint=None if one.checkpoint is None else encode(one.checkpoint),
        )
        for one in call.body.leases
    )
    return commands.Heartbeat(by=call.by, bot=bot, heartbeats=heartbeats, trace=call.trace)


def _for_a_heartbeat(by: CurrentPrincipal, bot_id: BotId, body: v1.Heartbeat) -> None: ...


@router.post(
    "/bots/{bot_id:id}:heartbeat",
    tags=["work"],
    dependencies=[Depends(_for_a_heartbeat)],
    response_model=v1.HeartbeatAnswer,
    responses=refuses(errors.Forbidden, errors.NotFound),
)
async def beat(call: CurrentCall) -> Response:
    """Give a sign of life for a bot and all its leases.

    The answer says of each lease whether to go on with it, and what others had to say about its task.
    """
    bot = call.path_params["bot_id"]
    command = await call.aside(lambda: _beat(call, bot))
    beaten: HeartbeatResult = await call.services.engine.do(command)
    call.services.identity.presence.seen(bot)
    call.services.identity.stuck.told(bot, _stuck(call))
    told = [
        {
            "lease_id": one.lease_id,
            "directive": one.directive,
            "expires_at": None if one.expires_at is None else rfc3339(one.expires_at),
        }
        for one in beaten.directives
    ]
    heard: dict[str, list[str | None]] = {}
    for said, one in zip(call.body.leases, beaten.directives, strict=True):
        if one.task is not None:
            heard.setdefault(one.task, []).append(said.messages_after)
    messages: JsonValue = []
    if call.services.messages.any_for(heard):
        messages = msgspec.Raw(await call.look(lambda reads: reads.messages.given(bot, heard)))
    return Json({"leases": told, "drain": beaten.drain, "messages": messages})


def _stuck(call: Call) -> list[Stuck]:
    """What the bot says of its code that does not end, as people may read it."""
    now, rules, tenant = call.services.engine.now(), call.services.rules, call.by.tenant
    return [
        Stuck(one.work_id, now - micros(one.seconds), str(rules.redact(one.where, tenant=tenant).value))
        for one in call.body.stuck
    ]


# ---- tasks ---------------------------------------------------------------------------------------------------------


def _for_a_submission(by: CurrentPrincipal, idempotency: Idempotency) -> None: ...


@router.post(
    "/tasks",
    tags=["tasks"],
    dependencies=[
        Depends(_for_a_submission),
        Depends(Permission(Action.TASK_SUBMIT)),
        Depends(BodyOf(v1.TaskDefinition, content.submit)),
    ],
    response_model=v1.Task,
    status_code=201,
    responses={
        **returns(201, "ETag", "Location"),
        **refuses(errors.Forbidden, errors.NotSupported, errors.BacklogFull),
    },
)
async def submit_task(call: CurrentCall) -> Response:
    """Submit a task; without `subtasks` a planner plans it."""
    asked: commands.Submit = call.body
    call.services.quotas.submissions.take(call.by)
    answer = await call.services.engine.do(asked)
    replayed = isinstance(answer, Replayed)
    task_id = answer.resource if isinstance(answer, Replayed) else answer
    paced = call.services.quotas.submissions.headers(call.by)
    headers = {"location": f"{call.base}/tasks/{task_id}", **replay_header(answer), **dict(paced)}
    if asked.size > SMALL_BYTES or asked.rows > SMALL_ROWS or replayed:
        return await changed_task(call, task_id, 201, headers)
    # A small task is shown without a turn on the thread for reads, so that submitting waits for nobody's look.
    shown, version = await call.after(call.services.queries.task(call.by, task_id))
    return Json(shown, 201, {**etag(version), **headers})


def _for_a_task(
    by: CurrentPrincipal, task_id: TaskId, query: Annotated[TaskQuery, Query()], known: IfNoneMatch = None
) -> None: ...


@router.get(
    "/tasks/{task_id:id}",
    tags=["tasks"],
    dependencies=[Depends(_for_a_task)],
    response_model=v1.Task,
    responses={**returns(200, "ETag"), **returns(304, "ETag"), **refuses(errors.Forbidden, errors.NotFound)},
)
async def get_task(call: CurrentCall) -> Response:
    """Look at a task, or wait for its outcome or its next change."""
    task_id, query = call.path_params["task_id"], call.query
    known = versions(call.headers.get("if-none-match", ""))
    if "until" in query.model_fields_set and query.until == "change" and not known:
        raise Invalid(
            "to wait for a change, send If-None-Match",
            details=(("/headers/if-none-match", "required", "must contain the last ETag"),),
        )
    if query.wait_seconds > 0:
        await _wait(call, task_id, None if query.until == "final" else known)
    shown, version = await read_task(call, task_id, known, explain=query.explain)
    if shown is None:
        return Response(None, 304, etag(version))
    return Json(shown, 200, etag(version))


async def _wait(call: Call, task_id: str, known: frozenset[int] | None) -> None:
    """Until the task is final, or where versions are known is at none of them; or until the time is up."""
    services = call.services
    loop = asyncio.get_running_loop()
    until = loop.time() + min(call.query.wait_seconds, services.limits.wait_max)
    with services.task_waiters.on(task_id, known) as wait:
        version, final = await services.queries.version(call.by, task_id)
        if wait.enough(version, final=final):
            return
        gone = asyncio.ensure_future(call.gone())
        try:
            with services.quotas.waits.held(call.by), services.standing.of(call.by) as ended:
                left = until - loop.time()
                await asyncio.wait((wait.over, gone, ended), timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    raise ClientGone
                if ended.done():
                    raise Unauthenticated("the API key was revoked or has expired")
        finally:
            gone.cancel()
