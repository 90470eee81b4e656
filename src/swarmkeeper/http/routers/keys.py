"""Routes for API keys. The key itself is only in the answer of the call that creates it; it is not stored."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from swarmkeeper.access.identity import OWN_ISSUER, WantedToken
from swarmkeeper.core import commands, errors
from swarmkeeper.core.errors import Invalid, PermissionDenied
from swarmkeeper.core.model import Principal
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.govern.access import ROLES, Action
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

    It is worth as much as the key, or less: with a narrower role, for some skills, for one task, and no longer than
    the key itself. It makes no keys. A token of this server is exchanged in the same way: what comes of it keeps its
    bounds, and ends no later.
    """
    wanted = narrowed(call.by, body)
    text, seconds = call.services.identity.token(call.by, wanted)
    call.services.identity.accesses.read(call.by, "token.make")
    skills = None if wanted.skills is None else sorted(wanted.skills)
    return Json(
        {"token": text, "role": wanted.role, "skills": skills, "task": wanted.task, "expires_seconds": seconds}, 201
    )


def narrowed(by: Principal, asked: v1.TokenRequest) -> WantedToken:
    """Return what a token is to be worth: what is asked for, within what the caller's key or token is worth.

    Raises:
        Invalid: something that is asked for would have no effect.
        PermissionDenied: it would be worth more, or the caller has a token of an identity provider.
    """
    token = by.token
    if token is not None and token.issuer != OWN_ISSUER:
        raise PermissionDenied("a token of an identity provider is exchanged there: use an API key here")
    role = asked.role or by.role
    # A bot's key belongs to one bot; another key has none to give.
    if role != by.role and (role.startswith("bot:") or not ROLES[role] <= ROLES[by.role]):
        raise PermissionDenied(f"a key of role {by.role} makes no token of role {role}")
    return WantedToken(
        role,
        asked.expires_seconds,
        skills=_narrower_skills(by, role, asked.skills),
        task=_narrower_task(by, asked.task),
        until=None if token is None else token.expires_at,
    )


def _narrower_skills(by: Principal, role: str, asked: list[str] | None) -> frozenset[str] | None:
    """Return the skills of a token: those that are asked for, else those of the caller's token.

    Raises:
        Invalid: no bot can use it, so they would have no effect.
        PermissionDenied: the key or token has not all of them.
    """
    if asked is None:
        return None if by.token is None else by.token.skills
    if Action.WORK_LEASE not in ROLES[role]:
        where = ("/skills", "no_effect", "skills are allowed only with a role that gets work")
        raise Invalid("the token cannot be made as asked for", details=(where,))
    if by.skills is not None and not by.skills.issuperset(asked):
        raise PermissionDenied("a token has no skills that its key or token does not have")
    return frozenset(asked)


def _narrower_task(by: Principal, asked: str | None) -> str | None:
    """Return the task that a token is for. Whether there is such a task is not said.

    Raises:
        PermissionDenied: the caller's token is for another task.
    """
    own = None if by.token is None else by.token.task
    if own is not None and asked not in (None, own):
        raise PermissionDenied("a token for one task makes none for another")
    return own or asked


def _with_key(call: Call) -> None:
    """Check that the caller has no token of this server: what it made would outlive it.

    Raises:
        PermissionDenied: it has a token of this server.
    """
    token = call.by.token
    if token is not None and token.issuer == OWN_ISSUER:
        raise PermissionDenied("a token of this server makes no keys: use the API key")


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
