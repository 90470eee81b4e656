"""The hot routes: the most frequent calls of bots and clients. They run without FastAPI's request handling.

FastAPI still describes them: their signatures and `Depends` are the OpenAPI description. But they run as plain
functions. `RequestContext` (middleware.py) finds them in a table, `HotRoute` (routing.py) checks the request in the
same order as `StrictRoute`, and the function gets only its `Call`. FastAPI's routing, dependencies and exit stacks
would take 0.2 ms, more than the rest of such a request. Bodies that may be long arrive as commands (intake/content.py),
and answers leave as bytes. Add a route here only if a measurement justifies it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.core.answers import HeartbeatResult, ReportReceipt
from swarmkeeper.core.decide.decisions import review
from swarmkeeper.core.errors import AuthenticationFailed, Invalid, SwarmkeeperError
from swarmkeeper.core.model import Json as JsonValue
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.engine.lease_facts import Granted
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
from swarmkeeper.http.errors import status_of
from swarmkeeper.http.intake import content
from swarmkeeper.http.intake.limits import ClientDisconnected
from swarmkeeper.http.intake.waiting import first_of
from swarmkeeper.http.openapi import refuses, returns
from swarmkeeper.http.queries import TaskQuery
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.http.routers.task_views import (
    bare_versions,
    changed_task,
    etag,
    explained_task,
    read_task,
    versions,
)
from swarmkeeper.http.routing import HotRoute
from swarmkeeper.reads import lease_views
from swarmkeeper.reads.reading_thread import SMALL_BYTES, SMALL_ROWS, Reads
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros, rfc3339

router = APIRouter(route_class=HotRoute)

# How often a poll is checked after its time is up, in case the engine is just granting it leases.
_LOOK_AGAIN_SECONDS = 0.05
# A poll that is answered sooner has no task that watches its connection: it only looks at the end. This needs a server
# that tells whether a caller is connected; under another one, every poll has the task.
_WATCHED_AFTER_SECONDS = 0.05

# ---- leases --------------------------------------------------------------------------------------------------------


def _for_leases(by: CurrentPrincipal, body: v1.LeaseRequest, bot_process: BotProcess = None) -> None: ...


@router.post(
    "/leases",
    tags=["work"],
    dependencies=[Depends(_for_leases)],
    response_model=v1.LeasePage,
    responses=refuses(errors.PermissionDenied, errors.ResourceNotFound),
)
async def lease_work(call: CurrentCall) -> Response:
    """Ask for work, and wait until there is some.

    A repeated call with the same `claim_id` returns the same leases. A bot that disconnects while it waits gets none.
    """
    body = call.body
    process = call.bot_process()
    claim = commands.ClaimWork(
        by=call.by,
        bot=body.bot_id,
        most=body.max,
        skills=None if body.skills is None else tuple(body.skills),
        ttl=None if body.lease_seconds is None else micros(body.lease_seconds),
        claim_id=body.claim_id,
        trace=call.trace,
    )
    call.release_body()  # the poll may wait for a long time
    wait = min(body.wait_seconds, call.services.limits.wait_max)
    if wait <= 0:
        claimed = await _asked(call, claim, 0)
    else:
        with call.services.quotas.polls.held(call.by):
            claimed = await _asked(call, claim, wait)
    call.services.identity.presence.asked(body.bot_id)
    leases, reason = claimed
    page: dict[str, JsonValue] = {"leases": leases, "reason": reason}
    if call.services.identity.processes.another(body.bot_id, process):
        page["another_process"] = True
    return Json(page)


async def _asked(call: Call, claim: commands.ClaimWork, wait: float) -> tuple[JsonValue, str | None]:
    """Return the views of the leases that a poll got, or the reason why there are none."""
    until = asyncio.get_running_loop().time() + wait if wait > 0 else None
    poll = call.services.engine.claim(claim, parks=wait > 0)
    gone: asyncio.Future[None] | None = None
    try:
        if call.disconnected is None:
            gone = asyncio.ensure_future(call.gone())
        else:
            await first_of(poll.answer, seconds=min(wait or _WATCHED_AFTER_SECONDS, _WATCHED_AFTER_SECONDS))
        if not poll.answer.done():
            gone = gone or asyncio.ensure_future(call.gone())
            await _parked(call, poll, gone, until)
        await _still_good(call)
        claimed: Claimed = await poll.answer
        leases = await _leases(call, claimed)
        if call.disconnected or (gone is not None and gone.done()):
            raise ClientDisconnected
    except BaseException:
        # The caller does not receive these leases, so take them back.
        call.services.engine.abandon(poll)
        raise
    finally:
        if gone is not None:
            gone.cancel()
    return leases, None if claimed.leases else claimed.reason


async def _parked(call: Call, poll: Poll, gone: asyncio.Future[None], until: float | None) -> None:
    """Wait for the poll's answer, as long as its bot is connected and its key is valid."""
    loop = asyncio.get_running_loop()
    with call.services.key_watch.of(call.by) as ended:
        while not poll.answer.done():
            pause = None if until is None else until - loop.time()
            if pause is not None and pause <= 0:
                call.services.engine.end(poll)
                pause = _LOOK_AGAIN_SECONDS
            await first_of(poll.answer, gone, ended, seconds=pause)
            if gone.done():
                raise ClientDisconnected
            if ended.done():
                return


async def _still_good(call: Call) -> None:
    if not await call.services.identity.still_good(call.by):
        raise AuthenticationFailed("the API key or token was revoked or has expired")


async def _leases(call: Call, claimed: Claimed) -> JsonValue:
    leases = claimed.leases
    if not leases:
        return []
    if call.services.trace_of_lease is not None:
        leases = tuple(_traced(granted, call.services.trace_of_lease) for granted in leases)
    if all(granted.facts is not None for granted in leases):
        return [lease_views.view(granted) for granted in leases]
    # A report sent again is recognised by its lease, and its claim by that lease, too. The leases of another claim go
    # back to their queues.
    shown = await call.after(lambda: call.read(lambda reads: reads.leases.views(leases)), repeatable=True)
    return msgspec.Raw(shown)


def _traced(granted: Granted, trace_of_lease: Callable[[str, str], str]) -> Granted:
    trace = trace_of_lease(granted.of_task.trace, granted.lease.lease_id)
    return replace(granted, of_task=replace(granted.of_task, trace=trace))


# ---- reports -------------------------------------------------------------------------------------------------------


async def _readable(call: Call, found: Sequence[commands.ReportResult]) -> list[commands.ReportResult]:
    """Return the reports with a redacted form of each verdict. Redaction runs on the reading thread."""
    if all(report.verdict is None for report in found):
        return list(found)

    async def whole(reads: Reads) -> list[commands.ReportResult]:
        rules, tenant = call.services.rules, call.by.tenant
        return [
            report if report.verdict is None else replace(report, shown=review.readable(report.verdict, rules, tenant))
            for report in found
        ]

    return await call.services.reading_thread.look(call.by, whole)


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
        errors.PermissionDenied,
        errors.ResourceNotFound,
        errors.LeaseLost,
        errors.LeaseRequired,
        errors.AlreadyReported,
        errors.TaskClosed,
        errors.IllegalTransition,
        errors.InvalidPlan,
    ),
)
async def report_result(call: CurrentCall) -> Response:
    """Report the result of an attempt: a plan, an output, a verdict or a failure.

    The same report sent again gets the same answer. With `claim`, the answer also has the next leases.
    """
    sent: content.ReportCommands = call.body
    (command,) = sent.results
    if isinstance(command, SwarmkeeperError):
        raise command
    (answer,), claimed = await call.services.engine.report(await _readable(call, [command]), sent.claim)
    if isinstance(answer, SwarmkeeperError):
        raise answer
    call.services.identity.presence.asked(sent.bot)
    return Json({**_taken(answer), "leases": await _leases(call, claimed)})


@router.post(
    "/results",
    tags=["work"],
    dependencies=[Depends(Permission(Action.WORK_REPORT)), Depends(BodyOf(v1.ReportBatch, content.reports))],
    response_model=v1.ReportBatchAnswer,
    responses=refuses(errors.PermissionDenied),
)
async def report_results(call: CurrentCall) -> Response:
    """Report several results of one bot. Each is accepted or refused on its own."""
    sent: content.ReportCommands = call.body
    asked = await _readable(call, [result for result in sent.results if isinstance(result, commands.ReportResult)])
    answered, claimed = await call.services.engine.report(asked, sent.claim)
    decided = iter(answered)
    answers = [result if isinstance(result, SwarmkeeperError) else next(decided) for result in sent.results]
    if any(isinstance(answer, ReportReceipt) for answer in answers):
        call.services.identity.presence.asked(sent.bot)
    for answer in answers:
        if isinstance(answer, SwarmkeeperError):
            call.refused(answer)
    results = [_refused(answer) if isinstance(answer, SwarmkeeperError) else _taken(answer) for answer in answers]
    return Json({"results": results, "leases": await _leases(call, claimed)})


def _taken(answer: ReportReceipt) -> dict[str, JsonValue]:
    return {"accepted": True, "replayed": answer.replayed, "task_status": answer.task_status}


def _refused(error: SwarmkeeperError) -> dict[str, JsonValue]:
    errors_found = [{"pointer": where, "code": code, "detail": detail} for where, code, detail in error.details]
    return {
        "accepted": False,
        "status": status_of(error),
        "retryable": error.retryable,
        "code": error.code,
        "detail": error.detail,
        "errors": errors_found,
    }


# ---- heartbeats ----------------------------------------------------------------------------------------------------


def _beat(call: Call, bot: str) -> commands.SendHeartbeat:
    """Return the command, with progress and log lines redacted."""

    def readable(progress: v1.Progress) -> dict[str, JsonValue]:
        redacted: dict[str, JsonValue] = call.services.rules.redact(progress.record(), tenant=call.by.tenant).value
        return redacted

    heartbeats = tuple(
        commands.LeaseHeartbeat(
            lease_id=lease.lease_id,
            progress=None if lease.progress is None else readable(lease.progress),
            usage=None if lease.usage is None else lease.usage.model_dump(exclude_none=True),
            checkpoint=None if lease.checkpoint is None else encode(lease.checkpoint),
        )
        for lease in call.body.leases
    )
    return commands.SendHeartbeat(by=call.by, bot=bot, heartbeats=heartbeats, trace=call.trace)


def _for_a_heartbeat(by: CurrentPrincipal, bot_id: BotId, body: v1.Heartbeat) -> None: ...


@router.post(
    "/bots/{bot_id:id}:heartbeat",
    tags=["work"],
    dependencies=[Depends(_for_a_heartbeat)],
    response_model=v1.HeartbeatAnswer,
    responses=refuses(errors.PermissionDenied, errors.ResourceNotFound),
)
async def beat(call: CurrentCall) -> Response:
    """Send a heartbeat for a bot and all its leases.

    The answer says for each lease whether to continue, and carries new messages about its task.
    """
    bot = call.path_params["bot_id"]
    command = await call.run_long(lambda: _beat(call, bot))
    beaten: HeartbeatResult = await call.services.engine.do(command)
    call.services.identity.presence.seen(bot)
    call.services.identity.stuck.report(bot, _stuck(call))
    directives = [
        {
            "lease_id": each.lease_id,
            "directive": each.directive,
            "expires_at": None if each.expires_at is None else rfc3339(each.expires_at),
            **({"over_budget": True} if each.over_budget else {}),
        }
        for each in beaten.directives
    ]
    cursors_by_task: dict[str, list[str | None]] = {}
    for sent, directive in zip(call.body.leases, beaten.directives, strict=True):
        if directive.task is not None:
            cursors_by_task.setdefault(directive.task, []).append(sent.messages_after)
    messages: JsonValue = []
    if call.services.messages.any_for(cursors_by_task):
        messages = msgspec.Raw(await call.read(lambda reads: reads.messages.given(bot, cursors_by_task)))
    return Json({"leases": directives, "drain": beaten.drain, "messages": messages})


def _stuck(call: Call) -> list[Stuck]:
    """Return what the bot reports about code that does not end, redacted."""
    now, rules, tenant = call.services.engine.now(), call.services.rules, call.by.tenant
    return [
        Stuck(code.work_id, now - micros(code.seconds), str(rules.redact(code.where, tenant=tenant).value))
        for code in call.body.stuck
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
        **refuses(errors.PermissionDenied, errors.NotSupported, errors.BacklogFull),
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
    # A small task is read here, not on the reading thread, so that submitting does not wait for other reads.
    queries = call.services.queries
    if asked.subtasks is None:
        row = call.services.known_tasks.take_submitted(call.by, task_id)
        shown, version = await call.after(lambda: queries.submitted(call.by, task_id, row))
    else:
        shown, version = await call.after(lambda: queries.task(call.by, task_id))
    return Json(shown, 201, {**etag(version), **headers})


def _for_a_task(
    by: CurrentPrincipal, task_id: TaskId, query: Annotated[TaskQuery, Query()], known: IfNoneMatch = None
) -> None: ...


@router.get(
    "/tasks/{task_id:id}",
    tags=["tasks"],
    dependencies=[Depends(_for_a_task)],
    response_model=v1.Task,
    responses={
        **returns(200, "ETag"),
        **returns(304, "ETag"),
        **refuses(errors.PermissionDenied, errors.ResourceNotFound, errors.Erased),
    },
)
async def get_task(call: CurrentCall) -> Response:
    """Read a task, or wait for its outcome or its next change."""
    task_id, query = call.path_params["task_id"], call.query
    etags = call.headers.get("if-none-match", "")
    known = versions(etags)
    if "until" in query.model_fields_set and query.until == "change" and not known:
        raise Invalid(
            "to wait for a change, send If-None-Match",
            details=(("/headers/if-none-match", "required", "must contain the last ETag"),),
        )
    if query.wait_seconds > 0:
        await _wait(call, task_id, None if query.until == "final" else known)
    if query.explain:
        return await explained_task(call, task_id, etags)
    shown, version = await read_task(call, task_id, bare_versions(etags))
    if shown is None:
        return Response(None, 304, etag(version))
    return Json(shown, 200, etag(version))


async def _wait(call: Call, task_id: str, known: frozenset[int] | None) -> None:
    """Wait until the task is final or, if `known` versions are given, has another version; or until the time is up."""
    services = call.services
    loop = asyncio.get_running_loop()
    until = loop.time() + min(call.query.wait_seconds, services.limits.wait_max)
    with services.task_waiters.on(task_id, known) as wait:
        known_task = services.known_tasks.version(call.by, task_id)
        version, final = known_task or await services.queries.version(call.by, task_id)
        if wait.enough(version, final=final):
            return
        gone = asyncio.ensure_future(call.gone())
        try:
            with services.quotas.waits.held(call.by), services.key_watch.of(call.by) as ended:
                await first_of(wait.over, gone, ended, seconds=until - loop.time())
                if gone.done():
                    raise ClientDisconnected
                if ended.done():
                    raise AuthenticationFailed("the API key or token was revoked or has expired")
        finally:
            gone.cancel()
