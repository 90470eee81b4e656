"""Pure ASGI middleware, which applies to every request, with or without a matching route.

`RequestContext` is the outermost layer. It answers hot routes, which `HotRoutes` finds, without FastAPI's own layers.
`UnhandledExceptions` is an ordinary middleware of the application.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swarmkeeper.core.errors import Internal
from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.errors import CALL
from swarmkeeper.http.exception_handlers import problem_response
from swarmkeeper.http.intake.limits import ClientDisconnected
from swarmkeeper.http.routing import HotRoute
from swarmkeeper.http.services import Services
from swarmkeeper.request_id import NO_TRACE, REQUEST, TRACE, trace_fields

# Responses depend on the caller and change over time; forbid caching.
_NO_STORE = (b"cache-control", b"no-store")


class RequestContext:
    """Creates the `Call` of each request and adds the standard headers to each response.

    - Keeps the caller's request id and trace context (W3C) if they are valid, else creates new ones.
    - Answers hot routes itself and passes other requests on.
    - Runs the GET route for a HEAD request and drops the body.
    - Reports method, route, status and duration to the metrics.
    """

    def __init__(self, app: ASGIApp, services: Services, hot_routes: HotRoutes | None = None) -> None:
        """Args: without `hot_routes`, all requests are passed on."""
        self.app = app
        self.services = services
        self.hot_routes = hot_routes or HotRoutes(())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = Call(self.services, scope, receive)
        before = REQUEST.get()
        REQUEST.set(call.request_id)
        traced = self.services.trace_of_lease is not None
        trace_before = TRACE.get() if traced else NO_TRACE
        if traced:
            TRACE.set(trace_fields(call.trace))
        method = scope["method"]
        try:
            route = self.hot_routes.find(scope)
            if route is not None:
                await _answer_hot(route, call, send)
            else:
                await self._pass_on(call, send)
        finally:
            call.release_body()
            took = self.services.clock.monotonic() - call.began
            self.services.answered(method, call.path or "(none)", call.status, took)
            REQUEST.set(before)  # not `reset`, which fails if a closing event loop ends this coroutine
            if traced:
                TRACE.set(trace_before)

    async def _pass_on(self, call: Call, send: Send) -> None:
        if call.head:
            call.scope = {**call.scope, "method": "GET"}
        scope = call.scope
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
            del scope[CALL]  # breaks a reference cycle that would stay in memory until a garbage collection


async def _answer_hot(route: HotRoute, call: Call, send: Send) -> None:
    try:
        response = await route.respond(call)
        call.status = response.status_code
        response.raw_headers = _stamped(response.raw_headers, call)
        await response(call.scope, call.receive, send)
    except ClientDisconnected:
        pass  # no one is left to answer
    except Exception as error:
        response = fault_response(call, error)
        call.status = response.status_code
        response.raw_headers = _stamped(response.raw_headers, call)
        await response(call.scope, call.receive, send)


def _stamped(headers: Iterable[tuple[bytes, bytes]], call: Call) -> list[tuple[bytes, bytes]]:
    stamped = list(headers)
    for name, _ in stamped:
        if name == b"cache-control":
            break
    else:
        stamped.append(_NO_STORE)
    stamped += (
        (b"x-content-type-options", b"nosniff"),
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
            return
        try:
            await self.app(scope, receive, send)
        except ClientDisconnected:
            pass  # no one is left to answer
        except Exception as error:
            response = fault_response(scope[CALL], error)
            await response(scope, receive, send)


def fault_response(call: Call, error: Exception) -> Response:
    """Log an unhandled exception and return the 500 response.

    Raises:
        Exception: the error itself: the response had already begun, so the server can only close the connection.
    """
    log = call.services.log
    if call.status:
        log("stream_broken", path=call.path, error=repr(error), request_id=call.request_id, exception=error)
        raise error
    what = f"{call.method} {call.path}"
    log("fault", what=what, error=repr(error), request_id=call.request_id, exception=error)
    return problem_response(call, Internal("internal error; it was logged"))


class HotRoutes:
    """Finds the routes of hot.py in a table. FastAPI answers other requests, HEAD, and all with a root path."""

    def __init__(self, routes: Iterable[HotRoute]) -> None:
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
        if scope.get("root_path"):
            return None
        method, path = scope["method"], scope["path"]
        if (route := self._plain.get((method, path))) is not None:
            return route
        for pattern, route in self._with_ids.get((method, *_shape(path)), ()):
            if (match := pattern.fullmatch(path)) is not None:
                scope["path_params"] = match.groupdict()
                return route
        return None


def _shape(path: str) -> tuple[str, int]:
    """Return the first segment and the number of segments, which all paths of one pattern share."""
    return path[1 : path.find("/", 1)], path.count("/")
