"""Routes for operation: health, readiness, metrics, version, API description, home page."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from swarmkeeper.core import errors
from swarmkeeper.core.model import Json as JsonValue
from swarmkeeper.http.dependencies import Call, CurrentCall, require
from swarmkeeper.http.intake import limits
from swarmkeeper.http.openapi import refuses, returns
from swarmkeeper.http.pages import docs as docs_page
from swarmkeeper.http.pages import home
from swarmkeeper.http.queries import ReadyQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import OpenRoute
from swarmkeeper.http.web.origin import is_own_host
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import Answer

router = APIRouter(tags=["ops"], route_class=OpenRoute)

FIGURES_COST = 16  # collecting the metrics takes as long as this many short requests
_SOON = {"retry-after": "1"}
_KEPT = {"cache-control": "public, max-age=300"}
# For HTML pages, which load no resources and run no scripts.
_PAGE_HEADERS = {
    **_KEPT,
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
_OPERATORS = refuses(errors.PermissionDenied, errors.AuthenticationFailed, errors.RateLimited)


class Version(Answer):
    version: str
    api_version: str


class Readiness(Answer):
    """Whether the server accepts work; the other fields are only for operators."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok", "unready"]


@router.get("/health", response_model=v1.Health)
async def health(call: CurrentCall) -> Response:
    """Check that the server answers."""
    return Json({"status": "ok", "version": call.services.version})


@router.get("/livez", response_model=v1.Health, responses=returns(503, "Retry-After", model=v1.Health))
async def livez(call: CurrentCall) -> Response:
    """Check that the process works. If not, restart it."""
    if call.services.engine.running:
        return Json({"status": "ok"})
    return Json({"status": "stopped"}, 503, _SOON)


@router.get(
    "/readyz", response_model=Readiness, responses={**returns(503, "Retry-After", model=Readiness), **_OPERATORS}
)
async def readyz(query: Annotated[ReadyQuery, Query()], call: CurrentCall) -> Response:
    """Check that the server accepts work.

    `verbose`, for operators, shows every check: those of the operator's tenant see the whole server, others nothing
    of other tenants.
    """
    tenant = await _operator(call, "ops.verbose") if query.verbose else None
    found: dict[str, JsonValue] = dict(call.services.readiness(query.verbose, tenant))
    ready = bool(found.pop("ready", False)) and call.services.engine.running
    if not query.verbose:
        found = {}
    status = {"status": "ok" if ready else "unready", **found}
    return Json(status) if ready else Json(status, 503, _SOON)


@router.get("/metrics", response_class=PlainTextResponse, responses=_OPERATORS)
async def metrics(call: CurrentCall) -> Response:
    """Return metrics for Prometheus: for operators, or without a key on this machine if that is enabled.

    Operators of the operator's tenant see all of them, others only those of their own tenant.
    """
    tenant = None
    own = call.services.limits
    is_near = limits.is_loopback(call.scope, call.headers) and is_own_host(call.headers, own)
    if not (own.metrics_open and is_near):
        tenant = await _operator(call, "ops.metrics")
    body, media_type = call.services.metrics(tenant)
    return Response(body, media_type=media_type)


async def _operator(call: Call, action: str) -> str | None:
    """Authenticate the caller and check its permission; return the tenant of which it sees figures, None: of all.

    Raises:
        AuthenticationFailed, PermissionDenied, RateLimited: the caller may not do `action`.
    """
    await call.authenticate()
    require(call.services.rules, call.by, action)
    await call.services.pace.turn(call.by, FIGURES_COST)
    return None if call.by.tenant == call.services.limits.operator_tenant else call.by.tenant


@router.get("/version", response_model=Version)
async def version(call: CurrentCall) -> Response:
    """Return the server's version."""
    return Json({"version": call.services.version, "api_version": "1"})


@router.get("/openapi.json")
async def openapi(request: Request, call: CurrentCall) -> Response:
    """Return this description as OpenAPI."""
    return Json({**request.app.openapi(), "servers": [{"url": call.base or "/"}]}, headers=_KEPT)


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> Response:
    """Return this description as an HTML page."""
    return HTMLResponse(docs_page.page(request.app.openapi()), headers=_PAGE_HEADERS)


@router.get("/", response_class=HTMLResponse, status_code=307)
async def root(call: CurrentCall) -> Response:
    """Lead to the dashboard. The body is an HTML page with the first steps, for programs that do not follow."""
    # Relative, unless the setting `root_path` or `public_url` says where this is: a proxy may have removed a part.
    headers = {**_PAGE_HEADERS, "cache-control": "no-cache", "location": f"{call.base}/ui/" if call.base else "ui/"}
    return HTMLResponse(home.page(call.services.version, call.base), 307, headers)
