"""Records that explain why a task failed, or is not done yet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from swarmkeeper.core.rules.explain import WaitingReason
from swarmkeeper.core.states import AttemptOutcome, FailureCode, Kind, Status, TaskStatus
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


class Waiting(Answer):
    """An item that is not done yet, and the reason."""

    work_id: Annotated[str | None, Field(description="Null if the task itself waits.")] = None
    kind: Kind | Literal["task"]
    key: str
    status: Status | TaskStatus
    attempt: int = 0
    bot: Annotated[str | None, Field(description="Name of the bot that holds it.")] = None
    since: Time | None = None
    reason: WaitingReason
    detail: str
    fix: Annotated[
        str | None,
        Field(
            description="Command that helps; FILE is the bot's file. Null if you can only wait.",
            examples=["swarmkeeper bot run FILE --skill text.count"],
        ),
    ] = None
    until: Annotated[Time | None, Field(description="Latest time at which this ends by itself.")] = None


class NearLimit(Answer):
    """A limit that is at least 80 % used. Calls beyond the limit are refused with 429."""

    limit: Annotated[str, Field(examples=["open_tasks"])]
    scope: Annotated[
        Literal["key", "tenant"], Field(description="Whether the limit applies to the caller's key or to its tenant.")
    ]
    used: int
    most: int


class Explanation(Answer):
    """Why a task is not done yet."""

    task_id: str
    status: TaskStatus
    failure: Annotated[TaskFailure | None, Field(description="Why it failed, if it did.")] = None
    summary: Annotated[str, Field(description="One sentence.")]
    waiting: Annotated[
        list[Waiting],
        Field(description="At most 200 of `waiting_total`; items that a person can act on come first."),
    ]
    waiting_total: int
    reasons: Annotated[dict[WaitingReason, int], Field(description="Number of waiting items per reason.")]
    near_limits: Annotated[
        list[NearLimit], Field(description="Limits that the caller has nearly reached, for any task.")
    ] = Field(default_factory=list)


class EffectiveLabel(Answer):
    """A label that counts for a subtask, and where it comes from."""

    name: str
    value: str
    from_: Annotated[
        str | None,
        Field(validation_alias="from", serialization_alias="from", description="Key of a subtask; null: of the task."),
    ] = None
