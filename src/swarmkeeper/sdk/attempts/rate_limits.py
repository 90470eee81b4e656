"""Tells a provider's refusal for now from a failure: an exception that says so costs the work no try.

No provider's library is known here. Theirs all carry one of a few things: a status of 429 (too many requests) or 529
(overloaded), as an attribute or in the response that they hold; or the time to wait, as `retry_after` or as a header.
"""

from __future__ import annotations

import math
import time  # noqa: TID251 - a date in a header is of the wall clock, and no loop tells it
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

REFUSED_FOR_NOW = frozenset({429, 529})
# Of a status that says that the call itself was wrong, a time to wait means nothing.
_MAY_WAIT = frozenset({408, 425, *REFUSED_FOR_NOW})
_STATUS_NAMES = ("status_code", "status", "code", "http_status")
WAIT_MAX = 7 * 24 * 3600  # the orchestrator takes no longer one
_ERRORS_MAX = 100  # looked at, of one that others caused


@dataclass(frozen=True, slots=True)
class RateLimit:
    retry_after_seconds: float | None  # None: it was not said


def rate_limit(error: BaseException) -> RateLimit | None:
    """What an exception says of a provider's rate limit, it or any that it was raised from or holds; None: nothing."""
    for each in _behind(error):
        status, wait = _status(each), _wait(each)
        if status in REFUSED_FOR_NOW or (wait is not None and (status is None or status >= 500 or status in _MAY_WAIT)):
            return RateLimit(wait)
    return None


def _behind(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _ERRORS_MAX:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        context = None if each.__suppress_context__ else each.__context__
        inner = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [one for one in (*inner, each.__cause__, context) if one is not None]


def _get(holder: object, name: str) -> object:
    """An attribute, or a member of a mapping; None where there is none, or reading it fails."""
    try:
        return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
    except Exception:  # a property of code that is not ours
        return None


def _status(error: BaseException) -> int | None:
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
    except Exception:  # of code that is not ours
        return []
    milliseconds = _seconds(named.get("retry-after-ms"), None)
    return [
        None if milliseconds is None else milliseconds / 1000,
        _seconds(named.get("retry-after"), named.get("date")),
    ]


def _seconds(value: object, now: object) -> float | None:
    """A time to wait: seconds, a `timedelta`, or an HTTP date, which counts from the one that came with it (`now`)."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        value = _number(value, now)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return min(max(float(value), 0.0), float(WAIT_MAX))


def _number(text: str, now: object) -> float | None:
    try:
        return float(text)
    except ValueError:
        return _until(text, now)


def _until(date: str, now: object) -> float | None:
    try:
        moment = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    try:
        return moment - parsedate_to_datetime(str(now)).timestamp()
    except ValueError:
        return moment - time.time()
