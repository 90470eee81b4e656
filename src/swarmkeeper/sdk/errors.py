"""What a call to the orchestrator can end with, seen from outside: one family for each thing one can do about it.

`code` says exactly what happened; it is one of the closed set in the error reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what was sent, and where."""

    pointer: str  # JSON Pointer (RFC 6901) into what was sent
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.detail} [{self.code}]"


class ApiError(Exception):
    """The orchestrator refused a call, or could not be asked."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.status = status  # 0: there was no answer
        self.retryable = retryable
        self.retry_after = retry_after  # seconds, where the orchestrator asked for a pause
        self.request_id = request_id
        self.problems = tuple(problems)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """`problems`, by the word that the API has for them."""
        return self.problems

    def __str__(self) -> str:
        listed = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{self.detail} [{self.code}]{listed}"


class Unreachable(ApiError):
    """No answer came: wrong address, nobody there, or the connection broke. The call may have had its effect."""


class Unauthenticated(ApiError):
    """The key is missing, wrong, expired or revoked."""


class Forbidden(ApiError):
    """The key is good, but it may not do this."""


class NotFound(ApiError):
    """No such thing, or none that this key may see."""


class Conflict(ApiError):
    """It cannot be done in the present state; `code` says why. Look again, then decide."""


class Refused(ApiError):
    """The request itself is wrong; `problems` say where. Sending it again will not help."""


class Busy(ApiError):
    """Nothing was done for now: too many calls, or too much waiting. Try again after `retry_after`."""


class ServerFault(ApiError):
    """The orchestrator failed to answer properly. It has logged the cause under `request_id`."""


def _family(status: int) -> type[ApiError]:
    by_status: dict[int, type[ApiError]] = {
        401: Unauthenticated,
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        410: Conflict,
        412: Conflict,
        429: Busy,
        503: Busy,
    }
    return by_status.get(status, ServerFault if status >= 500 else Refused)


def _problems_in(listed: object) -> tuple[Problem, ...]:
    """The `errors` of a problem document; what is not in their shape is left out."""
    if not isinstance(listed, list):
        return ()
    return tuple(
        Problem(str(entry.get("pointer", "")), str(entry.get("code", "")), str(entry.get("detail", "")))
        for entry in listed
        if isinstance(entry, Mapping)
    )


def error_from(status: int, body: object, headers: Mapping[str, str]) -> ApiError:
    """The error that an answer other than 2xx tells of. Forgiving: a proxy's HTML page becomes one too."""
    document = body if isinstance(body, Mapping) else {}
    family = _family(status)
    code = document.get("code")
    return family(
        code if isinstance(code, str) else f"http_{status}",
        str(document.get("detail") or document.get("title") or f"the server answered {status}"),
        status=status,
        # Without a problem document it was not our server that spoke; gateways say 502 and 504 for a moment.
        retryable=bool(document.get("retryable", status in {429, 502, 503, 504})),
        retry_after=_seconds(headers.get("retry-after")),
        request_id=headers.get("x-request-id") or _text(document.get("request_id")),
        problems=_problems_in(document.get("errors")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: str | None) -> float | None:
    """`Retry-After` in its seconds form; the date form, which our server never sends, counts as absent."""
    if value is None or not value.strip().isdecimal():
        return None
    return float(value)


# A batch tells each item's fate by code alone; the families are the same as where it had come with a status.
_STATUS_OF_CODE = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    **dict.fromkeys(
        ("lease_lost", "lease_required", "already_reported", "illegal_transition", "task_closed", "still_stopping"), 409
    ),
    "too_large": 413,
    "rate_limited": 429,
    "backlog_full": 429,
    "internal": 500,
    "overloaded": 503,
    "audit_unavailable": 503,
}


def error_of_code(code: str, detail: str | None, problems: Sequence[Problem] = ()) -> ApiError:
    """The error that one item of a batch tells of."""
    status = _STATUS_OF_CODE.get(code, 422)
    retryable = status in {429, 503}
    return _family(status)(code, detail or f"refused: {code}", status=status, retryable=retryable, problems=problems)
