"""Routes for API keys. The key itself is only in the answer of the call that creates it; it is not stored."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from swarmkeeper.access.identity import OWN_ISSUER
from swarmkeeper.core import commands, errors
from swarmkeeper.core.errors import PermissionDenied
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.govern.access import ROLES
from swarmkeeper.govern.keys import ENTROPY_BYTES, new_key, written
from swarmkeeper.http.dependencies import Call, CurrentCall, Idempotency, KeyId, NoBody, replay_header
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.queries import PageQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros

router = APIRouter(tags=["keys"], route_class=StrictRoute)

_DAY_SECONDS = 86_400


async def _key_response(call: Call, status: int, answer: Any, text: str | None) -> Response:
    """Answer with the key's record, and with the key itself if this call has created it."""
    replayed = isinstance(answer, Replayed)
    key_id = answer.resource if replayed else answer
    call.services.identity.forget([key_id])
    record = await call.after(lambda: call.services.queries.key(call.by, key_id))
    return Json(record if text is None or replayed else {**record, "key": text}, status, replay_header(answer))


@router.post("/token", response_model=v1.OwnToken, status_code=201, responses=refuses(errors.NotSupported))
async def make_token(
    body: Annotated[v1.TokenRequest, Body(default_factory=v1.TokenRequest)], call: CurrentCall
) -> Response:
    """Exchange the caller's API key for a short-lived token, for `Authorization: Bearer`.

    It is worth as much as the key, or less: with a narrower role, and no longer than the key itself. It makes no
    further tokens and no keys.
    """
    _with_key(call)
    if call.by.token is not None:
        raise PermissionDenied("a token of an identity provider is exchanged there: use an API key here")
    role = body.role or call.by.role
    # A bot's key belongs to one bot; another key has none to give.
    if role != call.by.role and (role.startswith("bot:") or not ROLES[role] <= ROLES[call.by.role]):
        raise PermissionDenied(f"a key of role {call.by.role} makes no token of role {role}")
    text = call.services.identity.token(call.by, role, body.expires_seconds)
    call.services.identity.accesses.read(call.by, "token.make")
    return Json({"token": text, "role": role, "expires_seconds": body.expires_seconds}, 201)


def _with_key(call: Call) -> None:
    """Check that the caller has no token of this server: what it made would outlive it.

    Raises:
        PermissionDenied: it has a token of this server.
    """
    token = call.by.token
    if token is not None and token.issuer == OWN_ISSUER:
        raise PermissionDenied("a token of this server makes no keys and no tokens: use the API key")


@router.post("/keys", response_model=v1.KeyRecord, status_code=201)
async def create_key(body: v1.KeyRequest, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Create an API key.

    The key is shown once. A repeated call with the same Idempotency-Key returns the record without the key.
    """
    _with_key(call)
    made = new_key(call.services.entropy.secret(ENTROPY_BYTES))
    command = commands.CreateKey(
        by=call.by,
        idempotency=idempotency,
        trace=call.trace,
        role=body.role,
        public_id=made.public_id,
        digest=call.services.identity.digest(made.secret),
        bot=body.bot,
        owner=body.owner,
        skills=None if body.skills is None else tuple(body.skills),
        expires=None if body.expires_days is None else micros(body.expires_days * _DAY_SECONDS),
        person=body.person,
        scope=body.scope,
        networks=None if body.networks is None else tuple(body.networks),
    )
    return await _key_response(call, 201, await call.services.engine.do(command), made.text)


@router.get("/keys", response_model=v1.KeyPage)
async def list_keys(query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List the records of API keys, without the keys themselves."""
    page = await call.read(
        lambda reads: reads.queries.keys(call.by, page_size=query.page_size, page_token=query.page_token)
    )
    call.services.identity.accesses.read(call.by, "key.read")
    return Json(page)


@router.post("/keys/{key_id:id}:rotate", response_model=v1.KeyRecord, responses=refuses(errors.IllegalTransition))
async def rotate_key(
    key_id: KeyId,
    body: Annotated[v1.KeyRotation, Body(default_factory=v1.KeyRotation)],
    call: CurrentCall,
    idempotency: Idempotency,
) -> Response:
    """Give a key a new secret. The old one stays valid for the overlap."""
    _with_key(call)
    secret = new_key(call.services.entropy.secret(ENTROPY_BYTES)).secret
    command = commands.RotateKey(
        by=call.by,
        idempotency=idempotency,
        trace=call.trace,
        key=key_id,
        digest=call.services.identity.digest(secret),
        overlap=micros(body.overlap_seconds),
    )
    answer = await call.services.engine.do(command)
    if isinstance(answer, Replayed):
        return await _key_response(call, 200, answer, None)
    rotated_id, public_id = answer
    return await _key_response(call, 200, rotated_id, written(public_id, secret))


@router.post("/keys/{key_id:id}:revoke", response_model=v1.KeyRecord)
async def revoke_key(key_id: KeyId, body: NoBody, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Revoke a key for good. Bots without another key lose their leases; these do not count as crashes."""
    command = commands.RevokeKey(by=call.by, idempotency=idempotency, trace=call.trace, key=key_id)
    answer = await call.services.engine.do(command)
    response = await _key_response(call, 200, answer, None)
    for poll in list(call.services.engine.scheduler.parked.values()):
        if poll.claim.by.key_id == key_id:
            call.services.engine.end(poll)
    return response
