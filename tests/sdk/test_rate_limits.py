"""Which exceptions report a provider's rate limit, and for how long."""

import asyncio
import http
from datetime import timedelta
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from swarmkeeper.sdk.attempts.rate_limits import RateLimit, rate_limit

NOON = 1_780_000_000


class Error(Exception):
    def __init__(self, **fields: Any) -> None:
        super().__init__("no")
        self.__dict__.update(fields)


def response(status: int | None = None, **headers: str) -> SimpleNamespace:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, headers=named)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Error(status_code=429), None),
        (Error(status=529), None),
        (Error(code=429), None),
        (Error(code="429"), None),
        (Error(http_status=429), None),
        (Error(code=http.HTTPStatus.TOO_MANY_REQUESTS), None),
        (Error(response=response(429)), None),
        (Error(response=SimpleNamespace(status=429)), None),
        (Error(code="rate_limit_exceeded", status_code=429), None),
        (Error(retry_after=3), 3),
        (Error(retry_after="3.5"), 3.5),
        (Error(retry_after=timedelta(minutes=2)), 120),
        (Error(retry_after=-4), 0),
        (Error(retry_after=10**9), 604_800),
        (Error(status_code=429, response=response(429, Retry_After="17")), 17),
        (Error(status_code=429, response=response(429, retry_after_ms="1500", retry_after="9")), 1.5),
        (Error(status_code=503, response=response(503, RETRY_AFTER="17")), 17),
        (Error(response=response(None, retry_after="17")), 17),
        (
            Error(
                response=response(
                    429, retry_after=formatdate(NOON + 90, usegmt=True), date=formatdate(NOON, usegmt=True)
                )
            ),
            90,
        ),
        (Error(response=response(429, retry_after=formatdate(NOON - 90, usegmt=True))), 0),
        (Error(response=response(429, retry_after="soon")), None),
        (Error(status_code=429, headers={"Retry-After": "8"}), 8),
        (
            Error(response={"Error": {"Code": "Throttling"}, "ResponseMetadata": {"HTTPStatusCode": 429}}),  # botocore
            None,
        ),
        (ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [Error(status_code=429, retry_after=5)])]), 5),
    ],
)
def test_a_rate_limit_is_recognized(error: Exception, seconds: float | None) -> None:
    assert rate_limit(error) == RateLimit(seconds)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("429"),
        Error(status_code=500),
        Error(status_code=True),
        Error(status="failed"),
        Error(code=11),
        Error(retry_after=None),
        Error(retry_after=float("nan")),
        Error(retry_after=True),
        Error(status_code=401, response=response(401, retry_after="5")),
        Error(status_code=404, retry_after=5),
        asyncio.CancelledError(),
    ],
)
def test_other_exceptions_are_no_rate_limit(error: BaseException) -> None:
    assert rate_limit(error) is None


def wrapped(how: str) -> BaseException:
    try:
        try:
            raise Error(status_code=429, retry_after=7)
        except Error as inner:
            if how == "cause":
                raise RuntimeError("the model could not be asked") from inner
            if how == "hidden":
                raise RuntimeError("something else") from None
            raise RuntimeError("while it was handled")  # noqa: B904 - the context is under test
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize("how", ["cause", "context"])
def test_a_rate_limit_is_recognized_in_a_cause(how: str) -> None:
    assert rate_limit(wrapped(how)) == RateLimit(7)


def test_a_suppressed_context_is_ignored() -> None:
    assert rate_limit(wrapped("hidden")) is None


def test_circular_causes_and_raising_properties_are_no_rate_limit() -> None:
    class Hostile(Exception):
        @property
        def status_code(self) -> int:
            raise RuntimeError("no")

    one, other = Hostile(), Hostile()
    one.__cause__, other.__cause__ = other, one

    assert rate_limit(one) is None
