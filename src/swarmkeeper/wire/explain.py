"""Records that explain why a task is not done yet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from swarmkeeper.core.rules.explain import Reason
from swarmkeeper.core.states import Kind, Status, TaskStatus
from swarmkeeper.wire.causes import TaskFailure
from swarmkeeper.wire.shapes import Answer, Time


class Waiting(Answer):
    """An item that is not done yet, and the reason."""

    work_id: Annotated[str | None, Field(description="Null if the task itself waits.")] = None
    kind: Kind | Literal["task"]
    key: str
    status: Status | TaskStatus
    attempt: int = 0
    bot: Annotated[str | None, Field(description="Name of the bot that holds it.")] = None
    since: Time | None = None
    reason: Reason
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
    reasons: Annotated[dict[Reason, int], Field(description="Number of waiting items per reason.")]
    near_limits: Annotated[
        list[NearLimit], Field(description="Limits that the caller has nearly reached, for any task.")
    ] = Field(default_factory=list)
