"""The life cycles of tasks and work items, as tables. Read this first.

Only these tables decide which status may follow which. The diagrams in the docs are generated from them, and databases
repeat the sets of words as CHECK constraints. Final states are derived, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from swarmkeeper.core.errors import IllegalTransition


class TaskStatus(StrEnum):
    CREATED = "CREATED"
    PLANNED = "PLANNED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ARCHIVED = "ARCHIVED"


class TaskTransition(StrEnum):
    SUBMITTED = "submitted"
    PLANNED = "planned"
    STARTED = "started"
    FINISHED = "finished"
    ACCEPTED = "accepted"
    REWORK = "rework"
    FAILED = "failed"
    RETRIED_TO_PLAN = "retried_to_plan"
    RETRIED_TO_START = "retried_to_start"
    RETRIED_TO_WORK = "retried_to_work"
    RETRIED_TO_REVIEW = "retried_to_review"
    ARCHIVED = "archived"


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class FailureCode(StrEnum):
    SUBTASK_FAILED = "subtask_failed"
    PLANNING_FAILED = "planning_failed"
    REVIEW_EXHAUSTED = "review_exhausted"
    POISONED = "poisoned"
    ROUNDS_EXHAUSTED = "rounds_exhausted"
    BUDGET = "budget"
    REJECTED = "rejected"
    APPROVAL_DENIED = "approval_denied"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    NO_TAKER = "no_taker"
    APPROVAL_EXPIRED = "approval_expired"


OUTCOME_OF: Mapping[FailureCode, Outcome] = MappingProxyType(
    {
        FailureCode.SUBTASK_FAILED: Outcome.FAILED,
        FailureCode.PLANNING_FAILED: Outcome.FAILED,
        FailureCode.REVIEW_EXHAUSTED: Outcome.FAILED,
        FailureCode.POISONED: Outcome.FAILED,
        FailureCode.ROUNDS_EXHAUSTED: Outcome.FAILED,
        FailureCode.BUDGET: Outcome.FAILED,
        FailureCode.REJECTED: Outcome.REJECTED,
        FailureCode.APPROVAL_DENIED: Outcome.REJECTED,
        FailureCode.CANCELLED: Outcome.CANCELLED,
        FailureCode.DEADLINE: Outcome.EXPIRED,
        FailureCode.NO_TAKER: Outcome.EXPIRED,
        FailureCode.APPROVAL_EXPIRED: Outcome.EXPIRED,
    }
)

TASK_LIFE: Mapping[tuple[TaskStatus | None, TaskTransition], TaskStatus] = MappingProxyType(
    {
        (None, TaskTransition.SUBMITTED): TaskStatus.CREATED,
        (TaskStatus.CREATED, TaskTransition.PLANNED): TaskStatus.PLANNED,
        (TaskStatus.PLANNED, TaskTransition.STARTED): TaskStatus.IN_PROGRESS,
        # If every subtask was skipped or failed before one was leased, the task finishes from PLANNED.
        (TaskStatus.PLANNED, TaskTransition.FINISHED): TaskStatus.COMPLETED,
        (TaskStatus.IN_PROGRESS, TaskTransition.FINISHED): TaskStatus.COMPLETED,
        (TaskStatus.COMPLETED, TaskTransition.ACCEPTED): TaskStatus.ARCHIVED,
        (TaskStatus.COMPLETED, TaskTransition.REWORK): TaskStatus.IN_PROGRESS,
        (TaskStatus.CREATED, TaskTransition.FAILED): TaskStatus.FAILED,
        (TaskStatus.PLANNED, TaskTransition.FAILED): TaskStatus.FAILED,
        (TaskStatus.IN_PROGRESS, TaskTransition.FAILED): TaskStatus.FAILED,
        (TaskStatus.COMPLETED, TaskTransition.FAILED): TaskStatus.FAILED,
        # A retry has four rows: a failed task continues from where it had come.
        (TaskStatus.FAILED, TaskTransition.RETRIED_TO_PLAN): TaskStatus.CREATED,
        (TaskStatus.FAILED, TaskTransition.RETRIED_TO_START): TaskStatus.PLANNED,
        (TaskStatus.FAILED, TaskTransition.RETRIED_TO_WORK): TaskStatus.IN_PROGRESS,
        (TaskStatus.FAILED, TaskTransition.RETRIED_TO_REVIEW): TaskStatus.COMPLETED,
        (TaskStatus.FAILED, TaskTransition.ARCHIVED): TaskStatus.ARCHIVED,
    }
)

# A task in one of these states accepts no reports; its outcome is set.
TASK_CLOSED = frozenset({TaskStatus.FAILED, TaskStatus.ARCHIVED})
# The kinds of events with which a task gets its outcome.
TASK_ENDS = frozenset({f"task.{TaskTransition.ACCEPTED}", f"task.{TaskTransition.FAILED}"})


class Kind(StrEnum):
    PLAN = "plan"
    EXECUTE = "execute"
    REVIEW = "review"


class Status(StrEnum):
    BLOCKED = "BLOCKED"
    READY = "READY"
    LEASED = "LEASED"
    WAITING = "WAITING"
    IN_REVIEW = "IN_REVIEW"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


class Transition(StrEnum):
    UNBLOCKED = "unblocked"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    SUBMITTED = "submitted"
    RELEASED = "released"
    LEASE_UNSEEN = "lease_unseen"
    DEFERRED = "deferred"
    ATTEMPT_FAILED = "attempt_failed"
    TIMED_OUT = "timed_out"
    LEASE_EXPIRED = "lease_expired"
    ASKED = "asked"
    FAILED = "failed"
    POISONED = "poisoned"
    DUE = "due"
    ANSWERED = "answered"
    DENIED = "denied"
    ANSWER_EXPIRED = "answer_expired"
    ACCEPTED = "accepted"
    REWORK = "rework"
    REJECTED = "rejected"
    REVIEW_FAILED = "review_failed"
    ROUNDS_EXHAUSTED = "rounds_exhausted"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


LIFE: Mapping[tuple[Status, Transition], Status] = MappingProxyType(
    {
        (Status.BLOCKED, Transition.UNBLOCKED): Status.READY,
        (Status.READY, Transition.LEASED): Status.LEASED,
        (Status.LEASED, Transition.SUCCEEDED): Status.SUCCEEDED,
        (Status.LEASED, Transition.SUBMITTED): Status.IN_REVIEW,
        (Status.LEASED, Transition.RELEASED): Status.READY,
        (Status.LEASED, Transition.LEASE_UNSEEN): Status.READY,
        (Status.LEASED, Transition.DEFERRED): Status.WAITING,
        (Status.LEASED, Transition.ATTEMPT_FAILED): Status.WAITING,
        (Status.LEASED, Transition.TIMED_OUT): Status.WAITING,
        (Status.LEASED, Transition.LEASE_EXPIRED): Status.WAITING,
        (Status.LEASED, Transition.ASKED): Status.WAITING,
        (Status.LEASED, Transition.FAILED): Status.FAILED,
        (Status.LEASED, Transition.POISONED): Status.FAILED,
        (Status.WAITING, Transition.DUE): Status.READY,
        (Status.WAITING, Transition.ANSWERED): Status.READY,
        (Status.WAITING, Transition.DENIED): Status.FAILED,
        (Status.WAITING, Transition.ANSWER_EXPIRED): Status.FAILED,
        (Status.IN_REVIEW, Transition.ACCEPTED): Status.SUCCEEDED,
        (Status.IN_REVIEW, Transition.REWORK): Status.READY,
        (Status.IN_REVIEW, Transition.REJECTED): Status.FAILED,
        (Status.IN_REVIEW, Transition.REVIEW_FAILED): Status.FAILED,
        (Status.IN_REVIEW, Transition.ROUNDS_EXHAUSTED): Status.FAILED,
        (Status.BLOCKED, Transition.SKIPPED): Status.SKIPPED,
        (Status.READY, Transition.EXPIRED): Status.FAILED,
        # The item's own budget is used up: it waits for a person, or fails.
        (Status.READY, Transition.ASKED): Status.WAITING,
        (Status.READY, Transition.FAILED): Status.FAILED,
        (Status.BLOCKED, Transition.CANCELLED): Status.CANCELLED,
        (Status.READY, Transition.CANCELLED): Status.CANCELLED,
        (Status.LEASED, Transition.CANCELLED): Status.CANCELLED,
        (Status.WAITING, Transition.CANCELLED): Status.CANCELLED,
        (Status.IN_REVIEW, Transition.CANCELLED): Status.CANCELLED,
    }
)

FINAL = frozenset(Status) - {status for status, _ in LIFE}


class Reopening(StrEnum):
    """The status of an item that rework or a retry reopens, from any earlier status."""

    BLOCKED = "reopened_blocked"
    READY = "reopened_ready"
    SKIPPED = "reopened_skipped"


REOPEN: Mapping[Reopening, Status] = MappingProxyType(
    {Reopening.BLOCKED: Status.BLOCKED, Reopening.READY: Status.READY, Reopening.SKIPPED: Status.SKIPPED}
)


class Condition(StrEnum):
    """The outcome of the parent that an edge requires."""

    SUCCESS = "success"
    DONE = "done"
    FAILURE = "failure"


# CANCELLED has no row: an item is cancelled only when its task ends, and then its children are cancelled too.
EDGE_MET: Mapping[tuple[Condition, Status], bool] = MappingProxyType(
    {
        (Condition.SUCCESS, Status.SUCCEEDED): True,
        (Condition.SUCCESS, Status.FAILED): False,
        (Condition.SUCCESS, Status.SKIPPED): False,
        (Condition.DONE, Status.SUCCEEDED): True,
        (Condition.DONE, Status.FAILED): True,
        (Condition.DONE, Status.SKIPPED): True,
        (Condition.FAILURE, Status.SUCCEEDED): False,
        (Condition.FAILURE, Status.FAILED): True,
        (Condition.FAILURE, Status.SKIPPED): False,
    }
)


class AttemptOutcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    TIMED_OUT = "timed_out"
    RELEASED = "released"
    DEFERRED = "deferred"
    ASKED = "asked"
    UNSEEN = "unseen"
    CANCELLED = "cancelled"


class Evaluation(StrEnum):
    FINAL = "final"
    EACH = "each"
    NONE = "none"


class Decision(StrEnum):
    ACCEPT = "accept"
    REWORK = "rework"
    REJECT = "reject"


class ErrorClass(StrEnum):
    RETRYABLE = "retryable"
    NOT_RETRYABLE = "not_retryable"
    RATE_LIMITED = "rate_limited"


class BotType(StrEnum):
    PLANNER = "Planner"
    EXECUTOR = "Executor"
    EVALUATOR = "Evaluator"


KIND_OF: Mapping[BotType, Kind] = MappingProxyType(
    {BotType.PLANNER: Kind.PLAN, BotType.EXECUTOR: Kind.EXECUTE, BotType.EVALUATOR: Kind.REVIEW}
)


def after(status: Status, transition: Transition) -> Status:
    """Return the status of a work item after a transition.

    Raises:
        IllegalTransition: the transition is not allowed from this status.
    """
    try:
        return LIFE[status, transition]
    except KeyError:
        raise IllegalTransition(f"a work item that is {status} cannot be {transition}") from None


def task_after(status: TaskStatus | None, transition: TaskTransition) -> TaskStatus:
    """Return the status of a task after a transition; `status` is `None` before submission.

    Raises:
        IllegalTransition: the transition is not allowed from this status.
    """
    try:
        return TASK_LIFE[status, transition]
    except KeyError:
        raise IllegalTransition(f"a task that is {status} cannot be {transition}") from None


def effective(task: TaskStatus, work: Status) -> Status:
    """Return the effective status of an item: CANCELLED if its task is closed, even if its row still says otherwise."""
    if task in TASK_CLOSED and work not in FINAL:
        return Status.CANCELLED
    return work
