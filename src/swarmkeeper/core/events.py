"""The events that the engine writes to the feed: one class for each kind.

A class is named after its kind. It lists the fields in the order in which they are stored and sent, and its docstring
says when the event happens. `WorkingSet.emit` takes an instance. catalogue.py explains the marks `Own` and `Omitted`.
The reference page `events` and its JSON Schema are generated from this file.
"""

# No `from __future__ import annotations` here: `event` reads the field types when it creates a class.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from swarmkeeper.core.catalogue import EventBody, Mark, Omitted, Own, event
from swarmkeeper.core.erasure import events as _of_erasures  # noqa: F401 - likewise
from swarmkeeper.core.kills import events as _of_kills  # noqa: F401 - enters its kinds in the catalogue
from swarmkeeper.core.model import Json, Work
from swarmkeeper.core.persons import events as _of_persons  # noqa: F401 - enters its kinds in the catalogue
from swarmkeeper.core.rules.graph import NAMED_MAX
from swarmkeeper.core.secrets import events as _of_secrets  # noqa: F401 - enters its kinds in the catalogue
from swarmkeeper.core.states import BotType, Decision, FailureCode, Kind, Outcome, TaskStatus

KEYS_MAX = NAMED_MAX  # subtasks that an event names by key; `count` counts all of them


@dataclass(frozen=True, slots=True, eq=False)
class TaskMoved(EventBody):
    """The task changed its status."""

    from_: Own[TaskStatus]
    to: Own[TaskStatus]


@dataclass(frozen=True, slots=True, eq=False)
class OfAttempt(EventBody):
    """An event of one attempt at a work item."""

    key: str
    kind: Kind
    attempt: int
    round: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfSubtasks(EventBody):
    """An event of several subtasks of one task."""

    count: int
    keys: Sequence[str]

    @classmethod
    def of(cls, works: Sequence[Work]) -> Self:
        """Return the event for these work items; it names up to `KEYS_MAX` of them."""
        return cls(count=len(works), keys=[work.key for work in works[:KEYS_MAX]])


# ---- tasks ---------------------------------------------------------------------------------------------------------


@event("task.submitted")
class TaskSubmitted(EventBody):
    """A client submitted a task."""

    to: TaskStatus
    title: str


@event("task.planned")
class TaskPlanned(TaskMoved):
    """A plan was accepted. Its subtasks are written next, which may take several commits."""

    count: int
    keys: Sequence[str]


@event("task.started")
class TaskStarted(TaskMoved):
    """The first subtask of the task was leased."""


@event("task.finished")
class TaskFinished(TaskMoved):
    """All subtasks have ended. Review or acceptance follows."""

    total: int
    failed: int
    round: int


@event("task.judged")
class TaskJudged(EventBody):
    """The votes of a review round led to a decision."""

    decision: Decision
    round: int
    votes: Mapping[str, int]


@event("task.rework")
class TaskRework(TaskMoved):
    """A review asked for rework, and another round started."""

    round: int
    targets: Sequence[str]
    added: int


@event("task.accepted")
class TaskAccepted(TaskMoved):
    """The result was accepted, and the task is archived."""

    outcome: Outcome


@event("task.failed")
class TaskFailed(TaskMoved):
    """The task ended without success. Its open work items are cancelled."""

    outcome: Outcome
    code: FailureCode
    detail: str


@event("task.retried_to_plan")
class TaskRetriedToPlan(TaskMoved):
    """A failed task that never had a plan was retried: it is planned again."""

    round: int


@event("task.retried_to_start")
class TaskRetriedToStart(TaskMoved):
    """A failed task was retried before any of its subtasks had been leased."""

    round: int


@event("task.retried_to_work")
class TaskRetriedToWork(TaskMoved):
    """A failed task was retried: failed and cancelled subtasks start again."""

    round: int


@event("task.retried_to_review")
class TaskRetriedToReview(TaskMoved):
    """A failed task whose work was complete was retried: it is reviewed again."""

    round: int


@event("task.archived")
class TaskArchived(TaskMoved):
    """A failed task was archived."""


@event("task.updated")
class TaskUpdated(EventBody):
    """A client changed labels, deadline or priority. The event has only the changed values."""

    labels: Omitted[Mapping[str, str]] = None
    deadline_seconds: Omitted[int] = None
    priority: Omitted[int] = None


@event("task.held")
class TaskHeld(EventBody):
    """The task's work is held back: the task was paused, or waits for a person."""

    hold: str


@event("task.unheld")
class TaskUnheld(EventBody):
    """A hold ended. Work can be leased again once no other hold is left."""

    hold: str


@event("task.message")
class TaskMessage(EventBody):
    """A bot or a client left a message on the task."""

    message: str
    from_bot: str
    to_bot: str | None
    bytes: int


# ---- work items ----------------------------------------------------------------------------------------------------


@event("work.leased")
class WorkLeased(EventBody):
    """A bot leased the item."""

    kind: Own[Kind]
    attempt: Own[int]
    round: Own[int]
    bot: Own[str]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkReported(EventBody):
    kind: Own[Kind]
    attempt: Own[int]
    round: Own[int]
    bot: Own[str]
    sha256: Own[str]
    bytes: Own[int]
    key: str


@event("work.succeeded")
class WorkSucceeded(WorkReported):
    """A bot reported a result, and it was accepted."""


@event("work.submitted")
class WorkSubmitted(WorkReported):
    """A bot reported a result, and a review of this subtask follows."""


@event("work.released")
class WorkReleased(OfAttempt):
    """The item returned to its queue at once: its bot released it, or was removed."""

    bot: str
    reason: Omitted[str] = None
    error: Omitted[Mapping[str, Json]] = None


@event("work.deferred")
class WorkDeferred(OfAttempt):
    """The bot deferred the item, or was rate limited by a service it called. This does not count as a try."""

    bot: str
    reason: Omitted[str] = None
    error: Omitted[Mapping[str, Json]] = None
    scope: Omitted[str] = None
    in_seconds: float


@event("work.lease_unseen")
class WorkLeaseUnseen(OfAttempt):
    """The lease never reached its bot. The item returned to its queue."""

    bot: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfTry(OfAttempt):
    """A try that counts failed, and another follows."""

    bot: str
    tries: int
    error: Mapping[str, Json]
    in_seconds: float


@event("work.attempt_failed")
class WorkAttemptFailed(OfTry):
    """The bot reported a failure, and the item will be tried again."""


@event("work.timed_out")
class WorkTimedOut(OfTry):
    """The attempt took longer than its timeout, and the item will be tried again."""


@event("work.failed")
class WorkFailed(OfAttempt):
    """The last try failed, or the bot reported a failure that is not retryable."""

    bot: str
    tries: int
    error: Mapping[str, Json]


@event("work.lease_expired")
class WorkLeaseExpired(OfAttempt):
    """The bot sent no heartbeat in time. The item will be tried again."""

    bot: str
    crashes: int
    in_seconds: float


@event("work.poisoned")
class WorkPoisoned(OfAttempt):
    """Too many bots in a row went silent while they worked on the item, and it failed."""

    bot: str
    crashes: int


@event("work.late_result")
class WorkLateResult(EventBody):
    """A result came after its lease was lost or its task was closed. It was kept as a late result, not applied."""

    key: str
    bot: str
    code: str


@event("work.unblocked")
class WorkUnblocked(OfSubtasks):
    """All dependencies of these subtasks are met, and they are ready."""


@event("work.skipped")
class WorkSkipped(OfSubtasks):
    """Subtasks will not run, because their dependencies ended in a way that rules them out."""


@event("work.cancelled")
class WorkCancelled(OfSubtasks):
    """Items were cancelled."""


@event("work.reopened")
class WorkReopened(OfSubtasks):
    """Rework or a retry reset subtasks to their start."""


@event("work.due")
class WorkDue(EventBody):
    """The item's wait is over: it is ready again."""

    key: str


@event("work.expired")
class WorkExpired(EventBody):
    """No bot leased the item in time, and it failed."""

    key: str
    kind: Kind


@event("work.asked")
class WorkAsked(OfAttempt):
    """The bot asked a person a question. The item waits for the answer."""

    approval: str


@event("work.answered")
class WorkAnswered(OfAttempt):
    """A person answered the question. The item is ready again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfQuestion(EventBody):
    """A bot's question ended without an answer."""

    key: str
    approval: str


@event("work.denied")
class WorkDenied(OfQuestion):
    """A person refused to answer the question, and the item failed."""


@event("work.answer_expired")
class WorkAnswerExpired(OfQuestion):
    """Nobody answered the question in time, and the item failed."""


# ---- the review of one subtask -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged(EventBody):
    key: str
    round: int
    decision: Decision


@event("work.accepted")
class WorkAccepted(Judged):
    """The review of the subtask accepted its result."""


@event("work.rework")
class WorkRework(Judged):
    """The review of the subtask asked for rework: it is ready again."""


@event("work.rejected")
class WorkRejected(Judged):
    """The review of the subtask rejected its result, and the subtask failed."""


@event("work.rounds_exhausted")
class WorkRoundsExhausted(Judged):
    """The review of the subtask asked for more rework than is allowed, and the subtask failed."""


@event("work.review_failed")
class WorkReviewFailed(EventBody):
    """The review of the subtask could not be completed, and the subtask failed."""

    key: str
    round: int


# ---- approvals, bots, keys, tenants --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfApproval(EventBody):
    approval: str
    kind: str  # plan | final | rounds | question | budget


@event("budget.reached")
class BudgetReached(EventBody):
    """Attempts have spent 50, 80, 95 or 100 per cent of a limit."""

    level: str  # tenant | task | subtask
    key: Omitted[str] = None
    amount: str  # cost_micro_usd | tokens | attempts
    percent: int
    spent: int
    limit: int


@event("budget.raised")
class BudgetRaised(EventBody):
    """The limits of a task or subtask were changed: by the decision of a person, or by a client."""

    level: str
    key: Omitted[str] = None
    limit: Mapping[str, int]


@event("work.budget_spent")
class WorkBudgetSpent(EventBody):
    """The subtask's own budget is used up: it waits for a person, or it failed."""

    key: str
    kind: Kind
    amount: str
    spent: int
    limit: int
    approval: Omitted[str] = None


@event("approval.opened")
class ApprovalOpened(OfApproval):
    """People are asked to approve something, or to answer a bot's question."""


@event("approval.decided")
class ApprovalDecided(OfApproval):
    """A person decided."""

    verb: str
    reason: str


@event("approval.reminded")
class ApprovalReminded(OfApproval):
    """Nobody has decided yet, and the time for a reminder has come."""


@event("approval.escalated")
class ApprovalEscalated(OfApproval):
    """Nobody has decided yet, and the time has come to tell others."""


@event("approval.expired")
class ApprovalExpired(OfApproval):
    """Nobody decided in time."""


@event("approval.cancelled")
class ApprovalCancelled(OfApproval):
    """The approval is no longer needed."""


@event("bot.registered")
class BotRegistered(EventBody):
    """A bot registered, for the first time or again."""

    bot: str
    name: str
    type: BotType
    version: str
    skills: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfBot(EventBody):
    bot: str
    name: str


@event("bot.draining")
class BotDraining(OfBot):
    """A person drained the bot: it finishes its leases and gets no new work."""


@event("bot.enabled")
class BotEnabled(OfBot):
    """A drained bot may take work again."""


@event("bot.deleted")
class BotDeleted(EventBody):
    """A person removed the bot, or (with the reason `not_seen`) it was removed after a long absence."""

    reason: Annotated[str | None, Mark.OWN, Mark.OMITTED] = None
    bot: str
    name: str


@event("key.created")
class KeyCreated(EventBody):
    """An API key was created."""

    key: str
    role: str


@event("key.rotated")
class KeyRotated(EventBody):
    """An API key was given a new secret."""

    key: str


@event("key.revoked")
class KeyRevoked(EventBody):
    """An API key was revoked."""

    key: str


@event("tenant.rate")
class RateSet(EventBody):
    """A rate of a tenant was set, or removed if it has no number."""

    key: str
    most: int | None
    per_minute: int | None
    tokens_per_minute: int | None


@event("tenant.set")
class TenantSet(EventBody):
    """The share or limits of a tenant were changed."""

    weight: int
    max_backlog: int | None
    budget: Omitted[Mapping[str, int]] = None


# ---- what leaves ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OfLegalHold(EventBody):
    task: Annotated[str | None, Mark.OWN, Mark.OMITTED] = None
    reason: str


@event("legal_hold.placed")
class LegalHoldPlaced(OfLegalHold):
    """A person placed a legal hold on a task, or without `task` on the tenant: nothing of it leaves."""


@event("legal_hold.released")
class LegalHoldReleased(OfLegalHold):
    """A person released a legal hold."""


@event("task.erased")
class TaskErased(EventBody):
    """A task that ended long ago is erased, with all that belongs to it. The event belongs to no task."""

    task: Own[str]


@event("audit.trimmed")
class AuditTrimmed(EventBody):
    """The oldest audit records left, with the events of no task that are older than the others."""

    before: Own[int]  # index of the first record that is kept


@event("store.restored")
class StoreRestored(EventBody):
    """The store was restored from a backup. What was acknowledged after the backup is not in it."""

    reached: Own[int]
