"""What bots do: lease, report, beat, give back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from swarmkeeper.core import commands, errors
from swarmkeeper.core.answers import Beaten, Reported
from swarmkeeper.core.decide import review
from swarmkeeper.core.errors import SwarmkeeperError, Unauthenticated
from swarmkeeper.core.model import Json
from swarmkeeper.core.stuck import Stuck
from swarmkeeper.govern.access import Action
from swarmkeeper.http import content
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.limits import ClientGone
from swarmkeeper.http.query import NoQuery
from swarmkeeper.service.engine import Claimed, Poll
from swarmkeeper.service.looking import Reads
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros, rfc3339

calls = Calls("work")

_encode = msgspec.json.Encoder().encode

# How soon a poll whose time is up is looked at again, where its leases were on their way to it just then.
_LOOK_AGAIN_SECONDS = 0.05

_OF_A_BOT = (errors.Forbidden, errors.NotFound)
_OF_A_REPORT = (
    *_OF_A_BOT,
    errors.LeaseLost,
    errors.LeaseRequired,
    errors.AlreadyReported,
    errors.TaskClosed,
    errors.IllegalTransition,
    errors.InvalidPlan,
)


@calls.add(
    "POST",
    "/leases",
    body=v1.LeaseRequest,
    answers={200: v1.LeasePage},
    refusals=_OF_A_BOT,
    headers=("Bot-Process",),
)
async def lease_work(x: Exchange[v1.LeaseRequest, NoQuery]) -> Reply:
    """Ask for work, and wait until there is some.

    Asked again with the same `claim_id`, the same leases come. Of a bot that hangs up while it waits, nothing is taken.
    """
    body = x.body
    claim = commands.Claim(
        by=x.by,
        bot=body.bot_id,
        most=body.max,
        skills=None if body.skills is None else tuple(body.skills),
        ttl=None if body.lease_seconds is None else micros(body.lease_seconds),
        claim_id=body.claim_id,
        trace=x.trace,
    )
    x.let_go()  # it may wait for long
    wait = min(body.wait_seconds, x.parts.limits.wait_max)
    if wait <= 0:
        claimed = await _asked(x, claim, 0)
    else:
        with x.parts.quotas.polls.held(x.by):
            claimed = await _asked(x, claim, wait)
    x.parts.identity.presence.asked(body.bot_id)
    leases, reason = claimed
    told: dict[str, Json] = {"leases": leases, "reason": reason}
    if x.parts.identity.processes.another(body.bot_id, x.headers.get("bot-process")):
        told["another_process"] = True
    return Reply(200, told)


async def _asked(x: Exchange[Any, Any], claim: commands.Claim, wait: float) -> tuple[Json, str | None]:
    """The leases that a poll got, as they are shown, or why there are none."""
    poll = x.parts.engine.claim(claim, parks=wait > 0)
    gone = asyncio.ensure_future(x.gone())
    try:
        claimed = await _answer(x, poll, gone, wait)
        leases = await _leases(x, claimed)
        if gone.done():
            raise ClientGone
    except BaseException:
        # Nobody hears of these leases, so that nobody has them.
        x.parts.engine.abandon(poll)
        raise
    finally:
        gone.cancel()
    return leases, None if claimed.leases else claimed.reason


async def _answer(x: Exchange[Any, Any], poll: Poll, gone: asyncio.Future[None], wait: float) -> Claimed:
    """The poll's answer, while its bot is there and its key stands."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait if wait > 0 else None
    with x.parts.standing.of(x.by) as ended:
        waiting: tuple[asyncio.Future[Any], ...] = (poll.answer, gone, ended)
        while not poll.answer.done():
            pause = None if until is None else until - loop.time()
            if pause is not None and pause <= 0:
                x.parts.engine.end(poll)
                pause = _LOOK_AGAIN_SECONDS
            await asyncio.wait(waiting, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientGone
            if ended.done():
                break
    await _still_good(x)
    return await poll.answer


async def _still_good(x: Exchange[Any, Any]) -> None:
    if not await x.parts.identity.still_good(x.by):
        raise Unauthenticated("the API key was revoked or has expired")


async def _leases(x: Exchange[Any, Any], claimed: Claimed) -> Json:
    if not claimed.leases:
        return []
    if await x.after(x.parts.leases.are_light(claimed.leases)):
        return await x.after(x.parts.leases.views(claimed.leases))
    shown = await x.after(x.look(lambda reads: reads.leases.views(claimed.leases)))
    return msgspec.Raw(shown)


# ---- reports -------------------------------------------------------------------------------------------------------


async def _readable(x: Exchange[Any, Any], found: Sequence[commands.Report]) -> list[commands.Report]:
    """The same, each verdict with what people may read of it: it is redacted where that holds up nobody."""
    if all(one.verdict is None for one in found):
        return list(found)

    async def whole(reads: Reads) -> list[commands.Report]:
        rules, tenant = x.parts.rules, x.by.tenant
        return [
            one if one.verdict is None else replace(one, shown=review.readable(one.verdict, rules, tenant))
            for one in found
        ]

    return await x.parts.looks.look(x.by, whole)


@calls.add(
    "POST",
    "/tasks/{task_id}/results",
    body=v1.Report,
    long_body=True,
    meaning=content.report,
    needs=Action.WORK_REPORT,
    answers={200: v1.ReportAnswer},
    refusals=_OF_A_REPORT,
)
async def report_result(x: Exchange[v1.Report, NoQuery]) -> Reply:
    """Report what came of an attempt: a plan, an output, a verdict or a failure.

    Sent again, the same report is answered as before. With `claim` the next work comes along.
    """
    sent: content.Reported = x.meaning
    (command,) = sent.results
    if isinstance(command, SwarmkeeperError):
        raise command
    (answer,), claimed = await x.parts.engine.report(await _readable(x, [command]), sent.claim)
    if isinstance(answer, BaseException):
        raise answer
    x.parts.identity.presence.asked(sent.bot)
    return Reply(200, {**_taken(answer), "leases": await _leases(x, claimed)})


@calls.add(
    "POST",
    "/results",
    body=v1.ReportBatch,
    long_body=True,
    meaning=content.reports,
    needs=Action.WORK_REPORT,
    answers={200: v1.ReportBatchAnswer},
    refusals=(errors.Forbidden,),
)
async def report_results(x: Exchange[v1.ReportBatch, NoQuery]) -> Reply:
    """Report several results of one bot, each taken or refused by itself."""
    sent: content.Reported = x.meaning
    asked = await _readable(x, [one for one in sent.results if isinstance(one, commands.Report)])
    answered, claimed = await x.parts.engine.report(asked, sent.claim)
    told = iter(answered)
    answers: list[Any] = [one if isinstance(one, SwarmkeeperError) else next(told) for one in sent.results]
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, SwarmkeeperError):
            raise answer
    if any(isinstance(answer, Reported) for answer in answers):
        x.parts.identity.presence.asked(sent.bot)
    for answer in answers:
        if isinstance(answer, SwarmkeeperError):
            x.refused(answer)
    results = [_refused(answer) if isinstance(answer, SwarmkeeperError) else _taken(answer) for answer in answers]
    return Reply(200, {"results": results, "leases": await _leases(x, claimed)})


def _taken(answer: Reported) -> dict[str, Json]:
    return {"accepted": True, "replayed": answer.replayed, "task_status": answer.task_status}


def _refused(error: SwarmkeeperError) -> dict[str, Json]:
    places = [{"pointer": where, "code": code, "detail": detail} for where, code, detail in error.details]
    return {"accepted": False, "code": error.code, "detail": error.detail, "errors": places}


# ---- beats, release ------------------------------------------------------------------------------------------------


def _beat(x: Exchange[v1.Heartbeat, NoQuery], bot: str) -> commands.Beat:
    """The command, with progress and log lines as people may read them while the work runs."""

    def readable(progress: v1.Progress) -> dict[str, Json]:
        said: dict[str, Json] = x.parts.rules.redact(progress.record(), tenant=x.by.tenant).value
        return said

    pulses = tuple(
        commands.Pulse(
            lease_id=one.lease_id,
            progress=None if one.progress is None else readable(one.progress),
            usage=None if one.usage is None else one.usage.model_dump(),
            checkpoint=None if one.checkpoint is None else _encode(one.checkpoint),
        )
        for one in x.body.leases
    )
    return commands.Beat(by=x.by, bot=bot, pulses=pulses, trace=x.trace)


@calls.add("POST", "/bots/{bot_id}:heartbeat", body=v1.Heartbeat, answers={200: v1.HeartbeatAnswer}, refusals=_OF_A_BOT)
async def beat(x: Exchange[v1.Heartbeat, NoQuery]) -> Reply:
    """Give a sign of life for a bot and all its leases.

    The answer says of each lease whether to go on with it, and what others had to say about its task.
    """
    bot = x.path["bot_id"]
    command = await x.aside(lambda: _beat(x, bot))
    beaten: Beaten = await x.parts.engine.do(command)
    x.parts.identity.presence.seen(bot)
    x.parts.identity.stuck.told(bot, _stuck(x))
    told = [
        {
            "lease_id": one.lease_id,
            "directive": one.directive,
            "expires_at": None if one.expires_at is None else rfc3339(one.expires_at),
        }
        for one in beaten.directives
    ]
    heard: dict[str, list[str | None]] = {}
    for said, one in zip(x.body.leases, beaten.directives, strict=True):
        if one.task is not None:
            heard.setdefault(one.task, []).append(said.messages_after)
    messages: Json = []
    if x.parts.messages.any_for(heard):
        messages = msgspec.Raw(await x.look(lambda reads: reads.messages.given(bot, heard)))
    return Reply(200, {"leases": told, "drain": beaten.drain, "messages": messages})


def _stuck(x: Exchange[v1.Heartbeat, NoQuery]) -> list[Stuck]:
    """What the bot says of its code that does not end, as people may read it."""
    now, rules, tenant = x.parts.engine.now(), x.parts.rules, x.by.tenant
    return [
        Stuck(one.work_id, now - micros(one.seconds), str(rules.redact(one.where, tenant=tenant).value))
        for one in x.body.stuck
    ]


@calls.add(
    "POST",
    "/leases/{lease_id}:release",
    body=v1.Release,
    body_optional=True,
    answers={200: v1.ReleaseAnswer},
    refusals=(errors.Forbidden, errors.LeaseLost, errors.TaskClosed),
)
async def release(x: Exchange[v1.Release, NoQuery]) -> Reply:
    """Give work back, to be handed out again now or after a delay.

    It costs no try, until the work was put off for `give_up_after_seconds` in a row. The third time in a row and later
    it comes back no sooner than after a quarter of the time that it was put off so far.
    """
    body = x.body
    await x.parts.engine.do(
        commands.Release(
            by=x.by,
            lease_id=x.path["lease_id"],
            reason=body.reason or "",
            delay=micros(body.delay_seconds),
            progress=None if body.progress is None else body.progress.record(),
            trace=x.trace,
        )
    )
    return Reply(200, {"released": True})
