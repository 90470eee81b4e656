"""An answer on its way out: one that fits the work, in JSON, or the failure that says why there is none.

What cannot be sent will not be sendable the next time either, so that it ends the work for good rather than have it
done again for the same end. It was done and paid for: what was made is kept in a file, which the failure names.
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


class Attempt(Protocol):
    """What is asked here of the lease that an answer is for."""

    kind: Kind
    lease_id: str
    work_id: str


# Records of ours that planners and evaluators make, and that refuse what is wrong as they are made.
_OUR_RECORDS = frozenset({"SubTask", "Dependency", "Finding"})


def call(code: Callable[..., object], arguments: tuple[object, ...], lease: Attempt) -> object:
    """Call an author's code; what it returns as a prepared answer, or a coroutine that comes to one."""
    value = code(*arguments)
    return _awaited(value, lease) if inspect.isawaitable(value) else prepared(lease, value)


async def _awaited(value: Awaitable[object], lease: Attempt) -> Answer:
    return prepared(lease, await value)


def let_go(coming: Awaitable[object]) -> None:
    """Close a coroutine of `call` that was never begun, and with it the author's."""
    if inspect.iscoroutine(coming):
        value = inspect.getcoroutinelocals(coming).get("value")
        coming.close()
        if inspect.iscoroutine(value):
            value.close()


def prepared(lease: Attempt, answer: object) -> Answer:
    """The answer that the code's return value is, its output in JSON; a failure, where it is none or cannot be sent."""
    fitting = _fitting(lease.kind, answer)
    try:
        match fitting:
            case Done():
                return replace(fitting, output=answers.report(fitting)["output"])
            case answers.Ask():
                answers.question(fitting)
            case answers.Later():
                answers.release(fitting)
            case _:
                answers.report(fitting)
    except Unsendable as error:
        return _kept(lease, error)
    return fitting


def _fitting(kind: str, answer: object) -> Answer:
    fitting = ANSWERS_TO[kind]
    if isinstance(answer, fitting):
        return answer
    if kind == "execute" and answer is not None and not isinstance(answer, Answer):
        return Done(answer)  # as it came: the work is done, and this is what came of it
    names = ", ".join(each.__name__ for each in fitting)
    # Not retryable: code that answers in the wrong words will do so again.
    return Failed(f"the bot's code returned {type(answer).__name__}, not one of {names}", kind="not_retryable")


# ---- answers that can be mended ------------------------------------------------------------------------------------


def is_mendable(lease: Attempt, error: BaseException) -> bool:
    """Whether code that raised this may do better in the same attempt, once it is told: it made a plan or a verdict
    that breaks rules."""
    ours = isinstance(error, ValidationError) and error.title in _OUR_RECORDS
    return lease.kind != "execute" and (ours or isinstance(error, InvalidAnswer))


# ---- failures ------------------------------------------------------------------------------------------------------


def failure_from(lease: Attempt, error: BaseException, said: str) -> Failed:
    """An exception of the author's code as the outcome of an attempt; `said` is how it is told."""
    if isinstance(error, Unsendable):  # of a checkpoint or a message
        return _kept(lease, error, said)
    if isinstance(error, InvalidAnswer) and lease.kind == "execute":
        return Failed(said, kind="not_retryable")  # code that answers in the wrong words will do so again
    if (limit := rate_limit(error)) is not None:
        return Failed(said, kind="rate_limited", retry_after_seconds=limit.retry_after_seconds)
    return Failed(said)


def failure_of(what: str, error: ApiError) -> Failed:
    """A refusal as the outcome of an attempt, so that whoever watches the task can read why."""
    # Of what the orchestrator calls wrong in itself, the same again would be refused again.
    return Failed(f"{what}: {error}", kind="not_retryable" if isinstance(error, Refused) else "retryable")


def refused(lease: Attempt, answer: Answer, error: ApiError) -> Failed:
    """The orchestrator's refusal of a result as the outcome of its attempt."""
    failure = failure_of("the orchestrator refused this result", error)
    if isinstance(answer, Done) and failure.kind == "not_retryable":
        return replace(failure, why=_told(failure.why, _keep(lease, answer.output)))
    # A plan or verdict was asked for again as often as it may be; another attempt may know better.
    return failure if isinstance(answer, Done) else replace(failure, kind="retryable")


def _kept(lease: Attempt, error: Unsendable, said: str | None = None) -> Failed:
    return Failed(_told(said or str(error), _keep(lease, error.kept)), kind="not_retryable")


def _told(what: str, where: str) -> str:
    """Both, however long the first is."""
    return f"{cut(what, MESSAGE_LENGTH_MAX - len(where) - 1)}\n{where}"


def _keep(lease: Attempt, made: Json) -> str:
    """Keep what was made, and say where."""
    try:
        file = unsent.keep(encode(made), lease.lease_id)
    except (OSError, ValueError) as error:
        log.exception("what %s made could not be kept", lease.work_id)
        return f"It could not be kept either ({type(error).__name__})."
    log.warning("what %s made could not be sent: it is kept in %s", lease.work_id, file)
    return f"It is kept in {file} where the bot runs."
