"""Why something failed, as it is told: the first error itself, and what comes next."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.core.states import AttemptOutcome, FailureCode, Kind
from swarmkeeper.wire.problems import FieldError
from swarmkeeper.wire.shapes import Answer, Time


class Cause(Answer):
    """Why the last attempt at an item brought no result: the error itself, of which attempt, and what comes next."""

    message: Annotated[str, Field(examples=["KeyError: 'total' (at bot.py:12 in execute)"])]
    class_: Annotated[
        str | None, Field(validation_alias="class", serialization_alias="class", examples=["retryable"])
    ] = None
    errors: Annotated[
        list[FieldError], Field(description="What was wrong with a plan or verdict, with the place of each.")
    ] = Field(default_factory=list)
    work_id: str
    kind: Kind
    key: str
    bot: Annotated[str | None, Field(description="Its name, or its id where it is no longer registered.")] = None
    attempt: int | None = None
    ending: AttemptOutcome | None = None
    at: Time
    retry_at: Annotated[Time | None, Field(description="When it is tried again; null: no moment is set.")] = None


class TaskFailure(Answer):
    """Why a task failed."""

    code: FailureCode
    detail: str = ""
    work_id: str | None = None
    cause: Annotated[Cause | None, Field(description="The first error behind it; null in lists.")] = None
    fix: Annotated[str | None, Field(description="The command that takes the task up again.")] = None
