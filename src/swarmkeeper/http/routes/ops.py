"""Whether it lives, is ready, which version it is, its figures, and its own description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from swarmkeeper.core import errors
from swarmkeeper.core.model import Json
from swarmkeeper.http import auth, home, limits
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.docs import page
from swarmkeeper.http.query import NoQuery, ReadyQuery
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import Answer

calls = Calls("ops")

FIGURES_COST = 16  # to tell them takes as long as so many short requests
_SOON = (("retry-after", "1"),)
_KEPT = (("cache-control", "public, max-age=300"),)


class Version(Answer):
    version: str
    api_version: str


class Readiness(Answer):
    """Whether work is taken; the rest is told to operators alone."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok", "unready"]


@calls.add("GET", "/health", answers={200: v1.Health}, open=True)
async def health(x: Exchange[Any, NoQuery]) -> Reply:
    """Whether it answers."""
    return Reply(200, {"status": "ok", "version": x.parts.version})


@calls.add("GET", "/livez", answers={200: v1.Health, 503: v1.Health}, open=True)
async def livez(x: Exchange[Any, NoQuery]) -> Reply:
    """Whether the process is of any use: if not, restart it."""
    lives = x.parts.engine.running
    return Reply(200 if lives else 503, {"status": "ok" if lives else "stopped"}, () if lives else _SOON)


@calls.add(
    "GET",
    "/readyz",
    query=ReadyQuery,
    answers={200: Readiness, 503: Readiness},
    refusals=(errors.Forbidden, errors.Unauthenticated, errors.RateLimited),
    open=True,
)
async def readyz(x: Exchange[Any, ReadyQuery]) -> Reply:
    """Whether it takes work; `verbose`, for operators, tells all that it rests on."""
    if x.query.verbose:
        await _operator(x, "ops.verbose")
    told: dict[str, Json] = dict(x.parts.readiness(x.query.verbose))
    ready = bool(told.pop("ready", False)) and x.parts.engine.running
    if not x.query.verbose:
        told = {}
    return Reply(200 if ready else 503, {"status": "ok" if ready else "unready", **told}, () if ready else _SOON)


@calls.add(
    "GET",
    "/metrics",
    answers={200: None},
    media_types=("text/plain",),
    refusals=(errors.Forbidden, errors.Unauthenticated, errors.RateLimited),
    open=True,
)
async def metrics(x: Exchange[Any, NoQuery]) -> Reply:
    """Figures for Prometheus; for operators, or for this machine where that was opened."""
    if not (x.parts.limits.metrics_open and limits.is_loopback(x.scope, x.headers)):
        await _operator(x, "ops.metrics")
    body, media_type = x.parts.metrics()
    return Reply(200, body, media_type=media_type)


async def _operator(x: Exchange[Any, Any], action: str) -> None:
    source = limits.source_of(x.scope, x.headers, x.parts.limits)
    x.principal = await x.parts.identity.authenticate(auth.credential(x.headers), source)
    auth.require(x.parts.rules, x.principal, action)
    await x.parts.pace.turn(x.principal, FIGURES_COST)


@calls.add("GET", "/version", answers={200: Version}, open=True)
async def version(x: Exchange[Any, NoQuery]) -> Reply:
    """Which version it is."""
    return Reply(200, {"version": x.parts.version, "api_version": "1"})


@calls.add("GET", "/openapi.json", answers={200: None}, open=True)
async def openapi(x: Exchange[Any, NoQuery]) -> Reply:
    """This description, for machines."""
    described = x.scope["app"].openapi()
    return Reply(200, {**described, "servers": [{"url": x.base or "/"}]}, _KEPT)


@calls.add("GET", "/docs", answers={200: None}, media_types=("text/html",), open=True)
async def docs(x: Exchange[Any, NoQuery]) -> Reply:
    """This description, for people."""
    return _for_people(page(x.scope["app"].openapi()))


@calls.add("GET", "/", answers={200: None}, media_types=("text/html",), open=True)
async def root(x: Exchange[Any, NoQuery]) -> Reply:
    """What this is, and the first steps, for people."""
    return _for_people(home.page(x.parts.version, x.base))


def _for_people(body: bytes) -> Reply:
    """A page that a browser shows. Nothing in it is loaded from anywhere, and nothing runs."""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (*_KEPT, ("content-security-policy", policy), ("x-content-type-options", "nosniff"))
    return Reply(200, body, headers, media_type="text/html; charset=utf-8")
