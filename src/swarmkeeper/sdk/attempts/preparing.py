"""Turns what a bot's code returned into an answer in JSON that fits the work, or into a failure that says why not.

An answer that cannot be sent now could not be sent after a retry either, so it fails the work for good. The work was
done and paid for: the value is kept in a file, and the failure names it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from pydantic import ValidationError

from swarmkeeper.core.states import Kind
from swarmkeeper.sdk import answers
from swarmkeeper.sdk.answers import ANSWERS_TO, MESSAGE_LENGTH_MAX, Answer, Done, Failed, InvalidAnswer
from swarmkeeper.sdk.attempts import unsent
from swarmkeeper.sdk.attempts.rate_limits import rate_limit
from swarmkeeper.sdk.attempts.sendable import Unsendable, cut
from swarmkeeper.sdk.connection.calls import encode
from swarmkeeper.sdk.errors import ApiError, Refused

Json = Any
log = logging.getLogger("swarmkeeper.bot")


class LeaseInfo(Protocol):
    """The lease that an answer is for, as far as it matters here."""

    kind: Kind
    lease_id: str
    work_id: str
    prepared: tuple[Answer, dict[str, Json]] | None  # the answer made last that is reported, and its body


# The SDK's records that planners and evaluators construct. Their constructors raise a ValidationError.
_OUR_RECORDS = frozenset({"SubTask", "Dependency", "Finding"})


def call(code: Callable[..., object], arguments: tuple[object, ...], lease: LeaseInfo) -> object:
    """Call the author's code; return a prepared answer, or a coroutine that returns one."""
    value = code(*arguments)
    return _awaited(value, lease) if inspect.isawaitable(value) else prepared(lease, value)


async def _awaited(value: Awaitable[object], lease: LeaseInfo) -> Answer:
    return prepared(lease, await value)


def discard(returned: Awaitable[object]) -> None:
    """Close a coroutine from `call` that was never started, and the author's coroutine in it."""
    if inspect.iscoroutine(returned):
        value = inspect.getcoroutinelocals(returned).get("value")
        returned.close()
        if inspect.iscoroutine(value):
            value.close()


def prepared(lease: LeaseInfo, answer: object) -> Answer:
    """Return the code's return value as an answer with its output in JSON, or a failure if it cannot be one.

    If it is to be reported, `lease.prepared` keeps it with the body of the report.
    """
    checked = _checked(lease.kind, answer)
    lease.prepared = None
    try:
        match checked:
            case answers.Ask():
                answers.question(checked)
                return checked
            case answers.Later():
                answers.release(checked)
                return checked
        body = answers.report(checked)
    except Unsendable as error:
        checked = _failure_keeping(lease, error)
        body = answers.report(checked)
    if isinstance(checked, Done):
        checked = replace(checked, output=body["output"])
    lease.prepared = (checked, body)
    return checked


def _checked(kind: str, answer: object) -> Answer:
    allowed = ANSWERS_TO[kind]
    if isinstance(answer, allowed):
        return answer
    if kind == "execute" and answer is not None and not isinstance(answer, Answer):
        return Done(answer)  # any other value is the output
    names = ", ".join(each.__name__ for each in allowed)
    # Not retryable: the code would return the same type again.
    return Failed(f"the bot's code returned {type(answer).__name__}, not one of {names}", kind="not_retryable")


# ---- answers that can be corrected -----------------------------------------------------------------------------------


def is_correctable(lease: LeaseInfo, error: BaseException) -> bool:
    """Whether the code made an invalid plan or verdict, which it may correct within the same attempt."""
    ours = isinstance(error, ValidationError) and error.title in _OUR_RECORDS
    return lease.kind != "execute" and (ours or isinstance(error, InvalidAnswer))


# ---- failures ------------------------------------------------------------------------------------------------------


def failure_from(lease: LeaseInfo, error: BaseException, description: str) -> Failed:
    """Return an exception of the author's code as the outcome of an attempt, with this description."""
    if isinstance(error, Unsendable):  # of a checkpoint or a message
        return _failure_keeping(lease, error, description)
    if isinstance(error, InvalidAnswer) and lease.kind == "execute":
        return Failed(description, kind="not_retryable")  # the code would make the same invalid answer again
    if (limit := rate_limit(error)) is not None:
        return Failed(description, kind="rate_limited", retry_after_seconds=limit.retry_after_seconds)
    return Failed(description)


def failure_of(what: str, error: ApiError) -> Failed:
    """Return a refusal as the outcome of an attempt, so that people can read the reason in the task."""
    # A request that is wrong in itself would be refused again.
    return Failed(f"{what}: {error}", kind="not_retryable" if isinstance(error, Refused) else "retryable")


def refused(lease: LeaseInfo, answer: Answer, error: ApiError) -> Failed:
    """Return the orchestrator's refusal of a result as the outcome of its attempt."""
    failure = failure_of("the orchestrator refused this result", error)
    if isinstance(answer, Done) and failure.kind == "not_retryable":
        return replace(failure, why=_joined(failure.why, _keep_in_file(lease, answer.output)))
    # A plan or verdict has had all its corrections within this attempt; another attempt may do better.
    return failure if isinstance(answer, Done) else replace(failure, kind="retryable")


def _failure_keeping(lease: LeaseInfo, error: Unsendable, description: str | None = None) -> Failed:
    return Failed(_joined(description or str(error), _keep_in_file(lease, error.kept)), kind="not_retryable")


def _joined(what: str, where: str) -> str:
    """Join both texts; cut the first if they are too long."""
    return f"{cut(what, MESSAGE_LENGTH_MAX - len(where) - 1)}\n{where}"


def _keep_in_file(lease: LeaseInfo, made: Json) -> str:
    """Write the value to a file and return a sentence that says where."""
    try:
        file = unsent.keep(encode(made), lease.lease_id)
    except (OSError, ValueError) as error:
        log.exception("a value of %s could not be kept", lease.work_id)
        return f"It could not be kept either ({type(error).__name__})."
    log.warning("a value of %s could not be sent: it is kept in %s", lease.work_id, file)
    return f"It is kept in {file} where the bot runs."
