"""Records of a task over time: its timeline, and all verdicts on it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from swarmkeeper.core.states import AttemptOutcome, Decision, Kind, Status, TaskStatus
from swarmkeeper.wire.answers import FindingOut, Page
from swarmkeeper.wire.shapes import Answer, Time


class ErrorHead(Answer):
    """The first line of why an attempt gave no result; the subtask has the whole."""

    class_: Annotated[
        str | None, Field(validation_alias="class", serialization_alias="class", examples=["retryable"])
    ] = None
    message: Annotated[str, Field(examples=["KeyError: 'total' (at bot.py:12 in execute)"])] = ""


class TimelineBar(Answer):
    """An attempt: from when a bot leased the item to how that ended."""

    attempt: int
    bot: Annotated[str | None, Field(description="Bot name, or bot id if it is no longer registered.")] = None
    lease_id: str
    start: Time
    end: Annotated[Time | None, Field(description="Null while a bot works on it.")] = None
    ending: Annotated[
        AttemptOutcome | None,
        Field(description="`expired`: the lease was lost without a heartbeat; `unseen`: its bot never had it."),
    ] = None
    round: int = 1
    error: ErrorHead | None = None
    expires_at: Annotated[Time | None, Field(description="When a running attempt is lost without a heartbeat.")] = None


class TimelineWait(Answer):
    """A time in which no bot worked on the item."""

    start: Time
    end: Annotated[Time | None, Field(description="Null while it still waits; `status` says for what.")] = None
    after: Annotated[
        AttemptOutcome | None,
        Field(description="How the attempt before it ended: `asked` waits for a person. Null: before the first one."),
    ] = None


class TimelineLane(Answer):
    """A subtask, a plan or a review, with its attempts and waits in order."""

    work_id: str
    kind: Kind
    key: str
    subject: Annotated[str | None, Field(description="Of a review: the key of the subtask that it judges.")] = None
    status: Status
    round: int = 1
    created_at: Time
    since: Annotated[Time, Field(description="When it entered its status.")]
    wake_at: Annotated[Time | None, Field(description="When it is tried again, if that is scheduled.")] = None
    fails_at: Annotated[Time | None, Field(description="When it fails if no bot takes it.")] = None
    bars: Annotated[list[TimelineBar], Field(description="The newest 20 that have ended, and the running one.")]
    bars_left_out: Annotated[int, Field(description="How many older attempts there were.")] = 0
    waits: list[TimelineWait] = Field(default_factory=list)


class Timeline(Page[TimelineLane]):
    """A task's lanes, in the order in which its items were made."""

    task_id: str
    status: TaskStatus
    created_at: Time
    updated_at: Time
    now: Annotated[Time, Field(description="The server's time: where the bars of running attempts end.")]


class FeedbackOnSubtask(Answer):
    """What an evaluator wants of a subtask, redacted for people."""

    subtask: str
    text: str


class VerdictOfReview(Answer):
    """What one evaluator said in one round."""

    work_id: Annotated[str, Field(description="Id of the review.")]
    subject: Annotated[str | None, Field(description="Key of the judged subtask; null: the whole task.")] = None
    round: int = 1
    evaluator: Annotated[str | None, Field(description="Bot name, or bot id if it is no longer registered.")] = None
    attempt: int | None = None
    at: Time | None = None
    decision: Annotated[Decision | None, Field(description="Null if the verdict is too long for a list.")] = None
    score: float | None = None
    reasons: list[str] = Field(default_factory=list)
    findings: list[FindingOut] = Field(default_factory=list)
    feedback: list[FeedbackOnSubtask] = Field(default_factory=list)
    targets: Annotated[list[str], Field(description="Keys of the subtasks that were to be done again.")] = Field(
        default_factory=list
    )
    added: Annotated[list[str], Field(description="Keys of the subtasks that it added.")] = Field(default_factory=list)
    complete: Annotated[bool, Field(description="False if the verdict is over 1 MiB: read the review instead.")] = True


class VerdictPage(Page[VerdictOfReview]):
    """All verdicts on a task and its subtasks, the oldest first."""
