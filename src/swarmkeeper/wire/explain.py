"""What is said about why a task waits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from swarmkeeper.core.rules.explain import Reason
from swarmkeeper.core.states import Kind, Status, TaskStatus
from swarmkeeper.wire.causes import TaskFailure
from swarmkeeper.wire.shapes import Answer, Time


class Waiting(Answer):
    """One thing that is not done yet, and the one reason for it."""

    work_id: Annotated[str | None, Field(description="Null where it is the task itself that waits.")] = None
    kind: Kind | Literal["task"]
    key: str
    status: Status | TaskStatus
    attempt: int = 0
    bot: Annotated[str | None, Field(description="The name of the bot that has it.")] = None
    since: Time | None = None
    reason: Reason
    detail: str
    fix: Annotated[
        str | None,
        Field(
            description="The command line that helps; FILE stands for a bot's own. Null where only waiting does.",
            examples=["swarmkeeper bot run FILE --skill text.count"],
        ),
    ] = None
    until: Annotated[Time | None, Field(description="When this ends by itself at the latest.")] = None


class NearLimit(Answer):
    """A limit of which four fifths or more are used: beyond it calls are refused with 429."""

    limit: Annotated[str, Field(examples=["open_tasks"])]
    scope: Annotated[Literal["key", "tenant"], Field(description="Whose limit: the caller's key's or its tenant's.")]
    used: int
    most: int


class Explanation(Answer):
    """Why a task is not done yet."""

    task_id: str
    status: TaskStatus
    failure: Annotated[TaskFailure | None, Field(description="Why it failed, where it did.")] = None
    summary: Annotated[str, Field(description="One sentence.")]
    waiting: Annotated[
        list[Waiting],
        Field(description="What a person can do something about comes first; at most 200 of `waiting_total`."),
    ]
    waiting_total: int
    reasons: Annotated[dict[Reason, int], Field(description="How much of all that waits has which reason.")]
    near_limits: Annotated[
        list[NearLimit], Field(description="Limits that the caller has nearly used up, whatever task is asked about.")
    ] = Field(default_factory=list)
