"""`create_app`: the FastAPI application, put together from routers, middleware and exception handlers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from swarmkeeper.http import hot
from swarmkeeper.http.exception_handlers import install_handlers
from swarmkeeper.http.intake.limits import HttpLimits
from swarmkeeper.http.middleware import Faults, HotRoutes, RequestContext
from swarmkeeper.http.openapi import DESCRIPTION, TAGS, describe
from swarmkeeper.http.routers import approvals, bots, evidence, keys, messages, ops, redaction, tasks, work
from swarmkeeper.http.routing import HotRoute, StrictRoute
from swarmkeeper.http.services import Services

__all__ = ["ROUTES", "HttpLimits", "Services", "create_app", "openapi_document"]

# FastAPI tries one after the other; it rarely has to look for the hot ones.
_ROUTERS = (tasks, bots, work, messages, approvals, keys, evidence, redaction, ops, hot)


def _routes() -> Iterator[StrictRoute]:
    for module in _ROUTERS:
        for route in module.router.routes:
            assert isinstance(route, StrictRoute), "every router makes its routes of this class"
            yield route


ROUTES: tuple[StrictRoute, ...] = tuple(_routes())


def create_app(services: Services) -> FastAPI:
    """The application. It starts and stops nothing: the caller starts and stops the services."""
    app = _application(services.version)
    app.state.services = services
    app.root_path = services.limits.root_path  # FastAPI deprecates the argument of this name
    app.add_middleware(Faults)
    install_handlers(app)
    # Before the layers that FastAPI puts around all middleware: these take as long as a tenth of a hot request.
    hot_routes = HotRoutes(app.build_middleware_stack(), [route for route in ROUTES if isinstance(route, HotRoute)])
    app.middleware_stack = RequestContext(hot_routes, services)
    return app


def openapi_document(version: str) -> dict[str, Any]:
    """The OpenAPI document, without an application that runs."""
    return _application(version).openapi()


def _application(version: str) -> FastAPI:
    app = FastAPI(
        title="swarmkeeper",
        version=version,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        openapi_url=None,  # served by routers/ops.py, with `servers` as each caller sees them
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the server has its own, see RequestContext
    )
    # `include_router` would match each path twice, router by router: 0.3 ms for each request, measured.
    app.router.routes.extend(ROUTES)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app, ROUTES)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
    return app
