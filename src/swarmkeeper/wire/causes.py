"""Records that explain a failure: the first error, and what happens next."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.core.states import AttemptOutcome, FailureCode, Kind
from swarmkeeper.wire.problems import FieldError
from swarmkeeper.wire.shapes import Answer, Time


class Cause(Answer):
    """Why the last attempt at a work item gave no result: the error, the attempt, and when it is retried."""

    message: Annotated[str, Field(examples=["KeyError: 'total' (at bot.py:12 in execute)"])]
    class_: Annotated[
        str | None, Field(validation_alias="class", serialization_alias="class", examples=["retryable"])
    ] = None
    errors: Annotated[list[FieldError], Field(description="Errors in a plan or verdict, each with its position.")] = (
        Field(default_factory=list)
    )
    work_id: str
    kind: Kind
    key: str
    bot: Annotated[str | None, Field(description="Bot name, or bot id if it is no longer registered.")] = None
    attempt: int | None = None
    ending: AttemptOutcome | None = None
    at: Time
    retry_at: Annotated[Time | None, Field(description="Time of the next attempt; null if none is scheduled.")] = None


class TaskFailure(Answer):
    """Why a task failed."""

    code: FailureCode
    detail: str = ""
    work_id: str | None = None
    cause: Annotated[Cause | None, Field(description="The first error that led to the failure; null in lists.")] = None
    fix: Annotated[str | None, Field(description="Command that resumes the task.")] = None
