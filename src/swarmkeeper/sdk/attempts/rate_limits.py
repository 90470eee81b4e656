"""Recognizes a provider's rate limit in an exception: such a failure costs the work no try.

It imports no provider's library. Their exceptions all carry one of these: a status of 429 (too many requests) or 529
(overloaded), as an attribute or in their response; or the time to wait, as `retry_after` or as a header.
"""

from __future__ import annotations

import math
import time  # noqa: TID251 - a date in a header means the wall clock
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

REFUSED_FOR_NOW = frozenset({429, 529})
# With any other 4xx status the call itself is wrong, and a time to wait means nothing.
_MAY_WAIT = frozenset({408, 425, *REFUSED_FOR_NOW})
_STATUS_NAMES = ("status_code", "status", "code", "http_status")
WAIT_SECONDS_MAX = 7 * 24 * 3600  # the orchestrator takes no longer one
_ERRORS_MAX = 100  # examined in a chain of causes


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A provider refused a call for now."""

    retry_after_seconds: float | None  # None: not known


def rate_limit(error: BaseException) -> RateLimit | None:
    """Return the rate limit that an exception, one of its causes or of its group reports; None if none does."""
    for cause in causes(error):
        status, wait = status_of(cause), _wait(cause)
        if status in REFUSED_FOR_NOW or (wait is not None and (status is None or status >= 500 or status in _MAY_WAIT)):
            return RateLimit(wait)
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, all that it was raised from, and all that it holds."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _ERRORS_MAX:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        context = None if each.__suppress_context__ else each.__context__
        inner = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [cause for cause in (*inner, each.__cause__, context) if cause is not None]


def _get(holder: object, name: str) -> object:
    """Return an attribute, or a member of a mapping; None if it does not exist or reading it fails."""
    try:
        return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
    except Exception:  # from a property of another library
        return None


def status_of(error: BaseException) -> int | None:
    response = _get(error, "response")
    metadata = _get(response, "ResponseMetadata")  # botocore
    holders = [(error, name) for name in _STATUS_NAMES] + [(response, name) for name in _STATUS_NAMES]
    for holder, name in [*holders, (metadata, "HTTPStatusCode")]:
        found = _get(holder, name)
        found = int(found) if isinstance(found, str) and found.isdecimal() and len(found) == 3 else found
        if isinstance(found, int) and not isinstance(found, bool) and 100 <= found <= 599:
            return int(found)
    return None


def _wait(error: BaseException) -> float | None:
    response = _get(error, "response")
    headers = (
        _get(response, "headers") or _get(_get(response, "ResponseMetadata"), "HTTPHeaders") or _get(error, "headers")
    )
    found = [_seconds(_get(error, "retry_after"), None)]
    if isinstance(headers, Mapping) or hasattr(headers, "items"):
        found += _of_headers(headers)
    return next((seconds for seconds in found if seconds is not None), None)


def _of_headers(headers: object) -> list[float | None]:
    try:
        named = {str(name).lower(): value for name, value in headers.items()}  # type: ignore[attr-defined]  # looked for
    except Exception:  # from a property of another library
        return []
    milliseconds = _seconds(named.get("retry-after-ms"), None)
    return [
        None if milliseconds is None else milliseconds / 1000,
        _seconds(named.get("retry-after"), named.get("date")),
    ]


def _seconds(value: object, now: object) -> float | None:
    """Read a time to wait: seconds, a `timedelta`, or an HTTP date, relative to the response's date (`now`)."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        value = _number(value, now)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return min(max(float(value), 0.0), float(WAIT_SECONDS_MAX))


def _number(text: str, now: object) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    try:
        return moment - parsedate_to_datetime(str(now)).timestamp()
    except ValueError:
        return moment - time.time()
