"""Maps each domain error to an HTTP status and a problem document (RFC 9457). No other module knows a status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from swarmkeeper.core import errors

CALL = "swarmkeeper.call"  # the key of a request's `Call` in the ASGI scope

# class -> (status, title)
STATUS: Mapping[type[errors.SwarmkeeperError], tuple[int, str]] = MappingProxyType(
    {
        errors.Malformed: (400, "Malformed body"),
        errors.AuthenticationFailed: (401, "Valid API key or token required"),
        errors.PermissionDenied: (403, "Not allowed for this key or token"),
        errors.SignInRequired: (403, "Fresh sign-in required"),
        errors.Killed: (403, "Tenant is killed"),
        errors.ResourceNotFound: (404, "Not found"),
        errors.Erased: (404, "Erased"),
        errors.SecretNotFound: (404, "No such secret for this work"),
        errors.MethodNotAllowed: (405, "Method not allowed"),
        errors.LeaseLost: (409, "Lease lost"),
        errors.LeaseRequired: (409, "Lease id required"),
        errors.AlreadyReported: (409, "Result already reported"),
        errors.IllegalTransition: (409, "Not allowed in this state"),
        errors.TaskClosed: (409, "Task is closed"),
        errors.StillStopping: (409, "Task is still stopping"),
        errors.StaleApproval: (409, "Changed since it was read"),
        errors.AlreadyDecided: (409, "Already decided"),
        errors.BotTypeFixed: (409, "Bot has another type"),
        errors.CursorTooOld: (410, "Cursor too old"),
        errors.PreconditionFailed: (412, "Changed since it was read"),
        errors.TooLarge: (413, "Body too large"),
        errors.UnsupportedMediaType: (415, "Unsupported media type"),
        errors.IdempotencyKeyReused: (422, "Idempotency-Key already used"),
        errors.Invalid: (422, "Invalid request"),
        errors.InvalidPlan: (422, "Invalid plan"),
        errors.NotSupported: (422, "Not supported"),
        errors.RateLimited: (429, "Too many requests"),
        errors.BacklogFull: (429, "Backlog full"),
        errors.Internal: (500, "Internal error"),
        errors.Overloaded: (503, "Overloaded"),
        errors.SecretsUnavailable: (503, "Secrets unavailable"),
        errors.AuditUnavailable: (503, "Audit log unavailable"),
        errors.AuditSinkBehind: (503, "Audit sink behind"),
    }
)


def status_of(error: errors.SwarmkeeperError) -> int:
    return STATUS[type(error)][0]


def problem(error: errors.SwarmkeeperError, request_id: str, base: str) -> dict[str, Any]:
    """Return the problem document; `base` is the API's address as the caller sees it."""
    status, title = STATUS[type(error)]
    more = {"oldest_cursor": error.oldest} if isinstance(error, errors.CursorTooOld) else {}
    return {
        "type": f"{base}/docs#{error.code}",
        "title": title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
        "request_id": request_id,
        "errors": [{"pointer": where, "code": code, "detail": detail} for where, code, detail in error.details],
        **more,
    }


def headers_of(error: errors.SwarmkeeperError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers |= {"retry-after": str(max(1, math.ceil(error.retry_after)))}
    if isinstance(error, errors.AuthenticationFailed):
        headers |= {"www-authenticate": 'Bearer realm="swarmkeeper"'}
    if isinstance(error, errors.SignInRequired):  # RFC 9470, section 3
        acr = f', acr_values="{" ".join(error.acr)}"' if error.acr else ""
        challenge = 'Bearer error="insufficient_user_authentication", error_description="A fresh sign-in is required"'
        headers |= {"www-authenticate": f"{challenge}{acr}, max_age={error.max_age_seconds}"}
    if isinstance(error, errors.CursorTooOld):
        headers |= {"link": f'<?after={error.oldest}>; rel="first"'}  # the same feed from its oldest cursor
    return headers
