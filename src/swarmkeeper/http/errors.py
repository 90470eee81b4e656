"""Which status each refusal has, and the problem document (RFC 9457) that tells of it. Nowhere else knows a status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from swarmkeeper.core import errors

PROBLEM_TYPE = "application/problem+json"

# class -> (status, title)
STATUS: Mapping[type[errors.SwarmkeeperError], tuple[int, str]] = MappingProxyType(
    {
        errors.Malformed: (400, "The body cannot be read"),
        errors.Unauthenticated: (401, "A good API key is needed"),
        errors.Forbidden: (403, "This key may not do that"),
        errors.NotFound: (404, "There is no such thing"),
        errors.MethodNotAllowed: (405, "Not with this method"),
        errors.LeaseLost: (409, "The lease is lost"),
        errors.LeaseRequired: (409, "Say under which lease"),
        errors.AlreadyReported: (409, "Another result was accepted before"),
        errors.IllegalTransition: (409, "Not in this state"),
        errors.TaskClosed: (409, "The task is over"),
        errors.StillStopping: (409, "The task is still being wound up"),
        errors.StaleApproval: (409, "It has changed since it was read"),
        errors.AlreadyDecided: (409, "It is decided already"),
        errors.BotTypeFixed: (409, "The bot has another type"),
        errors.CursorTooOld: (410, "The feed no longer goes back that far"),
        errors.PreconditionFailed: (412, "It has changed since it was read"),
        errors.TooLarge: (413, "The body is too large"),
        errors.UnsupportedMediaType: (415, "The body must be plain JSON"),
        errors.IdempotencyKeyReused: (422, "The Idempotency-Key belongs to another request"),
        errors.Invalid: (422, "The request breaks a rule"),
        errors.InvalidPlan: (422, "The plan breaks rules"),
        errors.NotSupported: (422, "This version cannot do that"),
        errors.RateLimited: (429, "Too many calls"),
        errors.BacklogFull: (429, "Too much is waiting"),
        errors.Internal: (500, "A fault of the orchestrator"),
        errors.Overloaded: (503, "Too busy at the moment"),
        errors.AuditUnavailable: (503, "It could not be recorded"),
    }
)

# What the framework itself refuses, before a call of ours is found.
_OF_STATUS: Mapping[int, type[errors.SwarmkeeperError]] = {
    400: errors.Malformed,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
    422: errors.Invalid,
}

# One encoder for all answers. Keys keep their order, so that answers read as they are written.
encode = msgspec.json.Encoder().encode


def status_of(error: errors.SwarmkeeperError) -> int:
    return STATUS[type(error)][0]


def problem(error: errors.SwarmkeeperError, request_id: str, base: str) -> dict[str, Any]:
    """The problem document; `base` is where the API is, as its caller sees it."""
    status, title = STATUS[type(error)]
    return {
        "type": f"{base}/docs#{error.code}",
        "title": title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
        "request_id": request_id,
        "errors": [{"pointer": where, "code": code, "detail": detail} for where, code, detail in error.details],
    }


def headers_of(error: errors.SwarmkeeperError) -> list[tuple[str, str]]:
    headers = []
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    if isinstance(error, errors.Unauthenticated):
        headers.append(("www-authenticate", 'Bearer realm="swarmkeeper"'))
    if isinstance(error, errors.CursorTooOld):
        headers.append(("link", '<?>; rel="first"'))  # the same feed from its oldest event on
    return headers


def from_framework(error: HTTPException) -> errors.SwarmkeeperError:
    """What Starlette refuses, in our words."""
    refused = _OF_STATUS.get(error.status_code, errors.Internal)
    return refused(STATUS[refused][1].lower())
