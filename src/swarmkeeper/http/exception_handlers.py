"""Turns errors into responses: exception handlers for FastAPI, and the functions behind them for the hot routes."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from swarmkeeper.core import errors
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.http.dependencies import Call
from swarmkeeper.http.errors import CALL, headers_of, problem
from swarmkeeper.http.responses import ProblemResponse
from swarmkeeper.wire.problems import pointer


def problem_response(call: Call, error: errors.SwarmkeeperError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response with the problem document. Does not log it."""
    document = problem(error, call.request_id, call.base)
    return ProblemResponse(document, document["status"], headers={**headers_of(error), **(headers or {})})


def refuse(call: Call, error: errors.SwarmkeeperError) -> Response:
    """Log a refusal and return its response. What was not allowed, or not found, is also audited."""
    services = call.services
    call.refused(error)
    named = isinstance(error, errors.ResourceNotFound) and call.path_params  # it may be another tenant's
    if call.principal is not None and (named or isinstance(error, errors.PermissionDenied)):
        denied_by = error.policies if isinstance(error, errors.PermissionDenied) else ()
        action = " ".join((call.method, call.path, *(f"policy:{name}" for name in denied_by)))
        services.identity.accesses.refused(call.principal, error.code, action)
    if isinstance(error, errors.Internal):
        services.log("internal", request_id=call.request_id, path=call.path, cause=repr(error.__cause__))
    headers = {}
    pace = services.quotas.submissions
    if call.principal is not None and any(f"/{pace.limit}/" in pointer for pointer, *_ in error.details):
        headers = dict(pace.headers(call.principal))
    # The traceback's frames refer to the error: a reference cycle that would keep the request's body in memory until
    # a full garbage collection.
    error.__traceback__ = None
    return problem_response(call, error, headers)


def refuse_unavailable(call: Call, error: StoreUnavailable) -> Response:
    """Log that the store cannot be reached, and return the 503 response."""
    call.services.log("store_unavailable", error=str(error), request_id=call.request_id)
    return problem_response(call, errors.Overloaded("the store is not available now", retry_after=1))


# ---- exception handlers --------------------------------------------------------------------------------------------


def install_handlers(app: FastAPI) -> None:
    """Make the application answer all errors with problem documents."""
    app.exception_handler(errors.SwarmkeeperError)(_on_refusal)
    app.exception_handler(StoreUnavailable)(_on_store_unavailable)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(HTTPException)(_on_http_exception)


async def _on_refusal(request: Request, error: errors.SwarmkeeperError) -> Response:
    return refuse(request.scope[CALL], error)


async def _on_store_unavailable(request: Request, error: StoreUnavailable) -> Response:
    return refuse_unavailable(request.scope[CALL], error)


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    """Answer FastAPI's own validation errors. `StrictRoute` checks bodies and queries first, so this is rare."""
    call: Call = request.scope[CALL]
    details = tuple((pointer(each["loc"], call.safe), "invalid", "is not valid") for each in error.errors())
    return refuse(call, errors.Invalid("the request breaks a rule", details=details))


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer requests that match no path (404) or no method (405)."""
    call: Call = request.scope[CALL]
    refusal: errors.SwarmkeeperError = errors.ResourceNotFound("not found")
    headers = {}
    if error.status_code == 405:
        call.path = request.scope["route"].path_format
        refusal = errors.MethodNotAllowed("this path has other methods")
        headers = {"allow": ", ".join(sorted(_allowed(request)))}
    call.refused(refusal)
    return problem_response(call, refusal, headers)


def _allowed(request: Request) -> set[str]:
    """Return the methods of all routes with this path; GET implies HEAD."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    found = {
        method for route in routes if route.matches(request.scope)[0] != Match.NONE for method in route.methods or ()
    }
    return found | ({"HEAD"} if "GET" in found else set())
