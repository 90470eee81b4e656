"""`create_app` builds the FastAPI application from routers, middleware and exception handlers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from swarmkeeper.http import hot
from swarmkeeper.http.erasure import router as erasure
from swarmkeeper.http.exception_handlers import install_handlers
from swarmkeeper.http.insight import bulk
from swarmkeeper.http.insight import router as insight
from swarmkeeper.http.intake.limits import HttpLimits
from swarmkeeper.http.kills import router as kills
from swarmkeeper.http.middleware import HotRoutes, RequestContext, UnhandledExceptions
from swarmkeeper.http.openapi import DESCRIPTION, TAGS, describe
from swarmkeeper.http.persons import router as persons
from swarmkeeper.http.routers import (
    approvals,
    audit_proofs,
    bots,
    evidence,
    keys,
    legal_holds,
    messages,
    ops,
    tasks,
    work,
)
from swarmkeeper.http.routing import HotRoute, StrictRoute
from swarmkeeper.http.secrets import router as secrets
from swarmkeeper.http.services import Services
from swarmkeeper.http.tables import router as tables
from swarmkeeper.http.web import files, sessions

__all__ = ["ROUTES", "HttpLimits", "Services", "create_app", "openapi_document"]

# FastAPI tries the routers in this order. `hot` is last, because `RequestContext` answers most of its calls itself.
_ROUTERS = (
    *(
        tasks,
        tables,
        bulk,
        insight,
        bots,
        work,
        messages,
        approvals,
        keys,
        persons,
        secrets,
        kills,
        legal_holds,
        erasure,
    ),
    *(evidence, audit_proofs, ops),
    hot,
)


def _routes() -> Iterator[StrictRoute]:
    for router in (*(module.router for module in _ROUTERS), sessions.router, sessions.open_router):
        for route in router.routes:
            assert isinstance(route, StrictRoute), "every router uses StrictRoute as its route class"
            yield route


ROUTES: tuple[StrictRoute, ...] = tuple(_routes())


def create_app(services: Services) -> FastAPI:
    """Build the application. The caller starts and stops the services; the application starts and stops nothing."""
    app = _application(services.version)
    app.state.services = services
    app.root_path = services.limits.root_path  # the constructor argument of this name is deprecated
    app.add_middleware(UnhandledExceptions)
    install_handlers(app)
    # Hot routes bypass the layers that FastAPI puts around all middleware: these cost a tenth of a hot request.
    hot_routes = HotRoutes([route for route in ROUTES if isinstance(route, HotRoute)])
    app.middleware_stack = RequestContext(app.build_middleware_stack(), services, hot_routes)
    return app


class _Application(FastAPI):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, without FastAPI's own layers if they have nothing to do."""
        if scope["type"] != "http" or self.root_path or self.middleware_stack is None:
            await super().__call__(scope, receive, send)
        else:
            scope["app"] = self
            await self.middleware_stack(scope, receive, send)


def openapi_document(version: str) -> dict[str, Any]:
    """Return the OpenAPI document without running an application."""
    return _application(version).openapi()


def _application(version: str) -> FastAPI:
    app = _Application(
        title="swarmkeeper",
        version=version,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        openapi_url=None,  # routers/ops.py serves it, with the caller's own address in `servers`
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # RequestContext does this
    )
    # `include_router` would match each path twice: 0.3 ms more per request (measured).
    app.router.routes.extend(ROUTES)
    app.router.routes.extend(files.ROUTES)  # no part of the API

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app, ROUTES)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation recommends
    return app
