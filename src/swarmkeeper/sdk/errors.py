"""The errors of calls to the orchestrator: one class for each way to react.

`code` says exactly what happened; the error reference lists all codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One error in a request, and where it is."""

    pointer: str  # JSON Pointer (RFC 6901) into the request
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.detail} [{self.code}]"


class ApiError(Exception):
    """The orchestrator refused a call, or could not be reached."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 0,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
        problems: Sequence[FieldProblem] = (),
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.status = status  # 0: there was no answer
        self.retryable = retryable
        self.retry_after = retry_after  # seconds, if the orchestrator asked for a pause
        self.request_id = request_id
        self.problems = tuple(problems)

    @property
    def errors(self) -> tuple[FieldProblem, ...]:
        """The same as `problems`, under the API's name."""
        return self.problems

    def __str__(self) -> str:
        listed = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{self.detail} [{self.code}]{listed}"


class Unreachable(ApiError):
    """No answer came: wrong address, no server, or a broken connection. The call may have had its effect."""


class Unauthenticated(ApiError):
    """The key is missing, wrong, expired or revoked."""


class Forbidden(ApiError):
    """The key is valid, but may not do this."""


class NotFound(ApiError):
    """It does not exist, or this key may not see it."""


class Conflict(ApiError):
    """The present state does not allow it; `code` says why. Read the state again, then decide."""


class CursorExpired(Conflict):
    """Events after the given one have left the feed, so following it from there would miss some.

    Read again what you follow, then go on with `after=error.oldest`.
    """

    oldest: str | None = None  # the oldest cursor, after which all events are there


class Refused(ApiError):
    """The request itself is wrong; `problems` say where. Do not send it again unchanged."""


class Busy(ApiError):
    """Nothing was done: too many calls, or too much work is waiting. Try again after `retry_after` seconds."""


class ServerFault(ApiError):
    """The orchestrator failed. It has logged the cause under `request_id`."""


def _family(status: int) -> type[ApiError]:
    by_status: dict[int, type[ApiError]] = {
        401: Unauthenticated,
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        410: CursorExpired,
        412: Conflict,
        429: Busy,
        503: Busy,
    }
    return by_status.get(status, ServerFault if status >= 500 else Refused)


def _problems_in(listed: object) -> tuple[FieldProblem, ...]:
    """Read the `errors` of a problem document; skip entries of another shape."""
    if not isinstance(listed, list):
        return ()
    return tuple(
        FieldProblem(str(entry.get("pointer", "")), str(entry.get("code", "")), str(entry.get("detail", "")))
        for entry in listed
        if isinstance(entry, Mapping)
    )


def error_from(status: int, body: object, headers: Mapping[str, str]) -> ApiError:
    """Make the error of an answer that is not 2xx. Any body will do, such as a proxy's HTML page."""
    document = body if isinstance(body, Mapping) else {}
    family = _family(status)
    code = document.get("code")
    error = family(
        code if isinstance(code, str) else f"http_{status}",
        str(document.get("detail") or document.get("title") or f"the server answered {status}"),
        status=status,
        # Without a problem document the answer is a gateway's; its 502 and 504 mostly pass.
        retryable=bool(document.get("retryable", status in {429, 502, 503, 504})),
        retry_after=_seconds(headers.get("retry-after")),
        request_id=headers.get("x-request-id") or _text(document.get("request_id")),
        problems=_problems_in(document.get("errors")),
    )
    if isinstance(error, CursorExpired):
        error.oldest = _text(document.get("oldest_cursor"))
    return error


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: str | None) -> float | None:
    """Read `Retry-After` in seconds. The date form, which the orchestrator never sends, counts as absent."""
    if value is None or not value.strip().isdecimal():
        return None
    return float(value)
