"""API keys. The key itself is told once, in the answer that makes it, and kept nowhere."""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import commands, errors
from swarmkeeper.govern.keys import ENTROPY_BYTES, new_key, written
from swarmkeeper.http.calls import Calls, Exchange, Nothing, Reply
from swarmkeeper.http.query import NoQuery, PageQuery
from swarmkeeper.service.engine import Replayed
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros

calls = Calls("keys")

_DAY_SECONDS = 86_400


async def _told(x: Exchange[Any, Any], status: int, answer: Any, text: str | None) -> Reply:
    """The key's record, with its text where this call has made it."""
    replayed = isinstance(answer, Replayed)
    key_id = answer.resource if replayed else answer
    x.parts.identity.forget([key_id])
    record = await x.after(x.parts.queries.key(x.by, key_id))
    headers = (("idempotency-replayed", "true"),) if replayed else ()
    return Reply(status, record if text is None or replayed else {**record, "key": text}, headers)


@calls.add(
    "POST", "/keys", body=v1.KeyRequest, answers={201: v1.KeyRecord}, refusals=(errors.Forbidden,), idempotent=True
)
async def create_key(x: Exchange[v1.KeyRequest, NoQuery]) -> Reply:
    """Make an API key.

    It is told once. A repetition under the same Idempotency-Key tells of the record alone.
    """
    body = x.body
    made = new_key(x.parts.entropy.secret(ENTROPY_BYTES))
    command = commands.CreateKey(
        by=x.by,
        idempotency=x.idempotency,
        trace=x.trace,
        role=body.role,
        public_id=made.public_id,
        digest=x.parts.identity.digest(made.secret),
        bot=body.bot,
        owner=body.owner,
        skills=None if body.skills is None else tuple(body.skills),
        expires=None if body.expires_days is None else micros(body.expires_days * _DAY_SECONDS),
    )
    return await _told(x, 201, await x.parts.engine.do(command), made.text)


@calls.add("GET", "/keys", query=PageQuery, answers={200: v1.KeyPage}, refusals=(errors.Forbidden,))
async def list_keys(x: Exchange[Any, PageQuery]) -> Reply:
    """List API keys, without the keys."""
    query = x.query
    page = await x.look(lambda reads: reads.queries.keys(x.by, page_size=query.page_size, page_token=query.page_token))
    return Reply(200, page)


@calls.add(
    "POST",
    "/keys/{key_id}:rotate",
    body=v1.KeyRotation,
    body_optional=True,
    answers={200: v1.KeyRecord},
    refusals=(errors.Forbidden, errors.NotFound, errors.IllegalTransition),
    idempotent=True,
)
async def rotate_key(x: Exchange[v1.KeyRotation, NoQuery]) -> Reply:
    """Give a key a new secret; the old one stays good for the overlap."""
    secret = new_key(x.parts.entropy.secret(ENTROPY_BYTES)).secret
    command = commands.RotateKey(
        by=x.by,
        idempotency=x.idempotency,
        trace=x.trace,
        key=x.path["key_id"],
        digest=x.parts.identity.digest(secret),
        overlap=micros(x.body.overlap_seconds),
    )
    answer = await x.parts.engine.do(command)
    if isinstance(answer, Replayed):
        return await _told(x, 200, answer, None)
    key_id, public_id = answer
    return await _told(x, 200, key_id, written(public_id, secret))


@calls.add(
    "POST",
    "/keys/{key_id}:revoke",
    body=Nothing,
    body_optional=True,
    answers={200: v1.KeyRecord},
    refusals=(errors.Forbidden, errors.NotFound),
    idempotent=True,
)
async def revoke_key(x: Exchange[Nothing, NoQuery]) -> Reply:
    """End a key for good. Bots that have no other lose their leases, no crash counted."""
    key_id = x.path["key_id"]
    command = commands.RevokeKey(by=x.by, idempotency=x.idempotency, trace=x.trace, key=key_id)
    answer = await x.parts.engine.do(command)
    reply = await _told(x, 200, answer, None)
    for poll in list(x.parts.engine.scheduler.parked.values()):
        if poll.claim.by.key_id == key_id:
            x.parts.engine.end(poll)
    return reply
