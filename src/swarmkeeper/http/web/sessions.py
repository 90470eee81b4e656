"""Routes of sessions: a browser signs in with a key, a token or a link, says who it is, and signs out.

The answer that opens a session has its cookie, which is shown nowhere else and stored nowhere. See origin.py for when a
cookie counts.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from swarmkeeper.access.identity import OWN_ISSUER
from swarmkeeper.access.sessions.kept import caller_of
from swarmkeeper.core import errors
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.persons.reads import PERSON_ROW
from swarmkeeper.core.sessions.commands import EndSession
from swarmkeeper.core.sessions.reads import SESSIONS_OF_KEY
from swarmkeeper.core.sessions.records import AGE_MAX, IDLE_MAX, SessionRecord
from swarmkeeper.govern.access import ROLES, Action
from swarmkeeper.http.dependencies import Call, CurrentCall, NoBody, Permission, credential, in_path, require
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import OpenRoute, StrictRoute
from swarmkeeper.http.web import origin
from swarmkeeper.reads import views
from swarmkeeper.reads.views import View
from swarmkeeper.wire import v1

router = APIRouter(tags=["sessions"], route_class=StrictRoute)
open_router = APIRouter(tags=["sessions"], route_class=OpenRoute)

COOKIE_BYTES = 32
SessionId = Annotated[str, in_path("A session's id.")]
_OPEN = [Depends(Permission(Action.SESSION_OPEN))]


@router.post("/session", response_model=v1.CurrentSession, status_code=201, dependencies=_OPEN)
async def open_session(body: NoBody, call: CurrentCall) -> Response:
    """Sign a browser in with an API key or a token.

    The answer has a cookie in place of it. The session ends after 12 hours without a call, after a week, with the
    key's or token's own end, and when its person is disabled. Only pages of this server may call this.
    """
    return await _opened(call, call.by)


@open_router.post(
    "/session:redeem",
    response_model=v1.CurrentSession,
    status_code=201,
    responses=refuses(errors.AuthenticationFailed, errors.PermissionDenied, errors.RateLimited),
)
async def redeem_session(call: CurrentCall) -> Response:
    """Sign a browser in with the token of a link, which counts once and for a minute.

    `swarmkeeper dev` prints such a link when it starts. The token is sent as `Authorization: Bearer`. Only pages of
    this server may call this.
    """
    origin.check_page(call.headers, call.services.limits)  # before the token is spent
    by = call.principal = await call.services.identity.redeemed(credential(call.headers) or "", call.source)
    require(call.services.rules, by, Action.SESSION_OPEN)
    return await _opened(call, by)


@router.get("/session", response_model=v1.CurrentSession)
async def get_session(call: CurrentCall) -> Response:
    """Say who the caller is, and what its role allows."""
    return Json(await _view(call, call.by))


@router.delete("/session", status_code=204, responses=refuses(errors.ResourceNotFound))
async def end_session(call: CurrentCall) -> Response:
    """Sign the browser out: its cookie counts no more."""
    session = call.by.session
    if session is None:
        raise errors.ResourceNotFound("there is no session to end: the call has a key or token")
    await call.services.engine.do(EndSession(by=call.by, session=session, trace=call.trace))
    page = origin.own_origin(call.headers, call.services.limits)
    return Response(status_code=204, headers={"set-cookie": origin.set_cookie(page, call.scope, call.headers, "", 0)})


@router.get("/sessions", response_model=v1.SessionPage)
async def list_sessions(call: CurrentCall) -> Response:
    """List the browsers that are signed in with the caller's key, or with tokens of the same subject.

    With a token of this server one sees those alone that this token signed in.
    """
    found = await _sessions(call)
    return Json(
        views.page(
            [
                {
                    "id": each.id,
                    "created_at": views.time(each.created_at),
                    "used_at": views.time(each.used_at),
                    "ends_at": views.time(each.ends_at),
                    "current": each.id == call.by.session,
                }
                for each in found
            ],
            "",
        )
    )


@router.delete("/sessions/{session_id:id}", status_code=204, responses=refuses(errors.ResourceNotFound))
async def end_one_session(session_id: SessionId, call: CurrentCall) -> Response:
    """Sign out a browser that is signed in with the caller's key, or with a token of the same subject.

    With a token of this server one ends those alone that this token signed in.
    """
    if session_id not in {each.id for each in await _sessions(call)}:
        raise errors.ResourceNotFound("no such session of yours, or it has ended")
    await call.services.engine.do(EndSession(by=call.by, session=session_id, trace=call.trace))
    return Response(status_code=204)


async def _sessions(call: Call) -> list[SessionRecord]:
    """Return the open sessions of the caller: of a token of this server, which is worth less than its key, its own."""
    wall = call.services.clock.now()
    found: list[SessionRecord] = await fetch(
        call.services.queries.reader,
        SESSIONS_OF_KEY,
        tenant=call.by.tenant,
        key_id=call.by.key_id,
        used_after=wall - IDLE_MAX,
        now=wall,
    )
    token = call.by.token
    if token is None or token.issuer != OWN_ISSUER:
        return found
    openers = {each.id: caller_of(each) for each in found}
    return [each for each in found if (by := openers[each.id]) and by.token and by.token.id == token.id]


async def _opened(call: Call, by: Principal) -> Response:
    page = origin.check_page(call.headers, call.services.limits)
    if by.session is not None:
        raise errors.Invalid("a session opens no other: sign in with a key or token")
    cookie = urlsafe_b64encode(call.services.entropy.secret(COOKIE_BYTES)).decode().rstrip("=")
    opened = not_replayed(await call.services.engine.do(call.services.identity.opening(by, cookie, call.trace)))
    shown = {**await _view(call, by), "session_id": opened}
    seconds = AGE_MAX // 1_000_000
    return Json(shown, 201, {"set-cookie": origin.set_cookie(page, call.scope, call.headers, cookie, seconds)})


async def _view(call: Call, by: Principal) -> View:
    name = None
    if by.person is not None:
        found = await fetch(call.services.queries.reader, PERSON_ROW, tenant=by.tenant, person=by.person)
        name = found[0].name if found else None
    return {
        "tenant": by.tenant,
        "role": by.role,
        "key_id": by.key_id,
        "owner": by.owner,
        "person": by.person,
        "person_name": name,
        "session_id": by.session,
        "may": sorted(ROLES.get(by.role, ())),
    }
