"""Pure ASGI middleware, which applies to every request, with or without a matching route.

`RequestContext` is the outermost layer, `HotRoutes` the next. Both are outside FastAPI's own layers, which hot routes
skip. `UnhandledExceptions` is an ordinary middleware of the application.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swarmkeeper.core.errors import Internal
from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.errors import CALL
from swarmkeeper.http.exception_handlers import problem_response
from swarmkeeper.http.intake.limits import ClientDisconnected
from swarmkeeper.http.routing import HotRoute
from swarmkeeper.http.services import Services
from swarmkeeper.request_id import REQUEST

# Responses depend on the caller and change over time; forbid caching.
_NO_STORE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class RequestContext:
    """Creates the `Call` of each request and adds the standard headers to each response.

    - Keeps the caller's request id and trace context (W3C) if they are valid, else creates new ones.
    - Runs the GET route for a HEAD request and drops the body.
    - Reports method, route, status and duration to the metrics.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = Call(self.services, scope, receive)
        before = REQUEST.get()
        REQUEST.set(call.request_id)
        method = scope["method"]
        if call.head:
            scope = call.scope = {**scope, "method": "GET"}
        scope[CALL] = call

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = _stamped(message["headers"], call)
            elif call.head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self.app(scope, call.receive, stamped)
        finally:
            call.release_body()
            del scope[CALL]  # breaks a reference cycle that would stay in memory until a garbage collection
            REQUEST.set(before)  # not `reset`, which fails if a closing event loop ends this coroutine
            took = self.services.clock.monotonic() - call.began
            self.services.answered(method, call.path or "(none)", call.status, took)


def _stamped(headers: Iterable[tuple[bytes, bytes]], call: Call) -> list[tuple[bytes, bytes]]:
    stamped = list(headers)
    if not any(name == b"cache-control" for name, _ in stamped):
        stamped += _NO_STORE
    stamped += (
        (b"x-request-id", call.request_id.encode()),
        (b"traceparent", call.trace.encode()),
        (b"api-version", b"1"),
    )
    return stamped


class UnhandledExceptions:
    """Logs unhandled exceptions and answers 500, so that none reaches the server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await answer_faults(self.app, scope, receive, send)


async def answer_faults(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run the application; log an unhandled exception and answer 500.

    Raises:
        Exception: the response had already begun, so the server can only close the connection.
    """
    try:
        await app(scope, receive, send)
    except ClientDisconnected:
        pass  # no one is left to answer
    except Exception as error:
        call: Call = scope[CALL]
        log = call.services.log
        if call.status:
            log("stream_broken", path=call.path, error=repr(error), exception=error)
            raise
        log("fault", what=f"{call.method} {call.path}", error=repr(error), exception=error)
        response = problem_response(call, Internal("internal error; it was logged"))
        await response(scope, receive, send)


class HotRoutes:
    """Finds the routes of hot.py in a table. Passes other requests, and all with a root path, on to FastAPI."""

    def __init__(self, app: ASGIApp, routes: Iterable[HotRoute]) -> None:
        self.app = app
        self._plain: dict[tuple[str, str], HotRoute] = {}
        self._with_ids: dict[tuple[str, str, int], list[tuple[re.Pattern[str], HotRoute]]] = {}
        for route in routes:
            if route.param_convertors:
                shape = (route.method, *_shape(route.path_format))
                self._with_ids.setdefault(shape, []).append((route.path_regex, route))
            else:
                self._plain[route.method, route.path_format] = route

    def find(self, scope: Scope) -> HotRoute | None:
        """Return the hot route of a request and set `path_params` in the scope; None if there is no such route."""
        method, path = scope["method"], scope["path"]
        if (route := self._plain.get((method, path))) is not None:
            return route
        for pattern, route in self._with_ids.get((method, *_shape(path)), ()):
            if (match := pattern.fullmatch(path)) is not None:
                scope["path_params"] = match.groupdict()
                return route
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http" and not scope.get("root_path"):
            route = self.find(scope)
        if route is None:
            await self.app(scope, receive, send)
        else:
            await answer_faults(route.answer, scope, receive, send)


def _shape(path: str) -> tuple[str, int]:
    """Return the first segment and the number of segments, which all paths of one pattern share."""
    return path[1 : path.find("/", 1)], path.count("/")
