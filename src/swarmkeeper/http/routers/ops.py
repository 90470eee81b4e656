"""Whether it lives, is ready, which version it is, its figures, and its own description."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from swarmkeeper.core import errors
from swarmkeeper.core.model import Json as JsonValue
from swarmkeeper.http.dependencies import Call, CurrentCall, CurrentServices, require
from swarmkeeper.http.intake import limits
from swarmkeeper.http.openapi import refuses, returns
from swarmkeeper.http.pages import docs as docs_page
from swarmkeeper.http.pages import home
from swarmkeeper.http.queries import ReadyQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import OpenRoute
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import Answer

router = APIRouter(tags=["ops"], route_class=OpenRoute)

FIGURES_COST = 16  # to tell them takes as long as so many short requests
_SOON = {"retry-after": "1"}
_KEPT = {"cache-control": "public, max-age=300"}
# A page that a browser shows. Nothing in it is loaded from anywhere, and nothing runs.
_PAGE_HEADERS = {
    **_KEPT,
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
}
_OPERATORS = refuses(errors.Forbidden, errors.Unauthenticated, errors.RateLimited)


class Version(Answer):
    version: str
    api_version: str


class Readiness(Answer):
    """Whether work is taken; the rest is told to operators alone."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok", "unready"]


@router.get("/health", response_model=v1.Health)
async def health(services: CurrentServices) -> Response:
    """Whether it answers."""
    return Json({"status": "ok", "version": services.version})


@router.get("/livez", response_model=v1.Health, responses=returns(503, "Retry-After", model=v1.Health))
async def livez(services: CurrentServices) -> Response:
    """Whether the process is of any use: if not, restart it."""
    if services.engine.running:
        return Json({"status": "ok"})
    return Json({"status": "stopped"}, 503, _SOON)


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={**returns(503, "Retry-After", model=Readiness), **_OPERATORS},
)
async def readyz(query: Annotated[ReadyQuery, Query()], services: CurrentServices, call: CurrentCall) -> Response:
    """Whether it takes work; `verbose`, for operators, tells all that it rests on."""
    if query.verbose:
        await _require_operator(call, "ops.verbose")
    found: dict[str, JsonValue] = dict(services.readiness(query.verbose))
    ready = bool(found.pop("ready", False)) and services.engine.running
    if not query.verbose:
        found = {}
    status = {"status": "ok" if ready else "unready", **found}
    return Json(status) if ready else Json(status, 503, _SOON)


@router.get("/metrics", response_class=PlainTextResponse, responses=_OPERATORS)
async def metrics(services: CurrentServices, call: CurrentCall) -> Response:
    """Figures for Prometheus; for operators, or for this machine where that was opened."""
    if not (services.limits.metrics_open and limits.is_loopback(call.scope, call.headers)):
        await _require_operator(call, "ops.metrics")
    body, media_type = services.metrics()
    return Response(body, media_type=media_type)


async def _require_operator(call: Call, action: str) -> None:
    """
    Raises:
        Unauthenticated, Forbidden, RateLimited: the caller may not do that.
    """
    await call.authenticate()
    require(call.services.rules, call.by, action)
    await call.services.pace.turn(call.by, FIGURES_COST)


@router.get("/version", response_model=Version)
async def version(services: CurrentServices) -> Response:
    """Which version it is."""
    return Json({"version": services.version, "api_version": "1"})


@router.get("/openapi.json")
async def openapi(request: Request, call: CurrentCall) -> Response:
    """This description, for machines."""
    return Json({**request.app.openapi(), "servers": [{"url": call.base or "/"}]}, headers=_KEPT)


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> Response:
    """This description, for people."""
    return HTMLResponse(docs_page.page(request.app.openapi()), headers=_PAGE_HEADERS)


@router.get("/", response_class=HTMLResponse)
async def root(services: CurrentServices, call: CurrentCall) -> Response:
    """What this is, and the first steps, for people."""
    return HTMLResponse(home.page(services.version, call.base), headers=_PAGE_HEADERS)
