"""Records of operations on many tasks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from swarmkeeper.core.states import Outcome, TaskStatus
from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.budgets import TaskBudget
from swarmkeeper.wire.people import WrittenTime
from swarmkeeper.wire.problems import broken_rule
from swarmkeeper.wire.shapes import Answer, Deadline, Id, Name, Request, Text, Time

TASKS_MAX = 10_000
BulkAction = Literal["cancel", "pause", "resume", "retry", "archive"]
LabelFilter = Annotated[str, Field(pattern="^[^:]+:", max_length=400)]
_Status = Annotated[TaskStatus, Field(strict=False)]
_Outcome = Annotated[Outcome, Field(strict=False)]
_FILTERS = ("q", "status", "outcome", "label", "skill", "error", "created_after", "created_before")
ERROR_MEANS = "All these words in errors of its attempts, in any order; or the code of its failure."


class TaskSelection(Request):
    """Selects tasks, as the list of tasks does; it has at least one filter."""

    q: Annotated[str, Field(description="Words of the title; the last one may be a beginning.", max_length=10_240)] = ""
    status: Annotated[
        list[Annotated[TaskStatus, Field(strict=False)]], Field(description="Any of these.", max_length=10)
    ] = Field(default_factory=list)
    outcome: Annotated[
        list[Annotated[Outcome, Field(strict=False)]], Field(description="Any of these.", max_length=10)
    ] = Field(default_factory=list)
    label: Annotated[list[LabelFilter], Field(description="key:value; all of these.", max_length=32)] = Field(
        default_factory=list
    )
    skill: Annotated[list[Name], Field(description="With an item that needs it; all of these.", max_length=10)] = Field(
        default_factory=list
    )
    error: Annotated[str, Field(description=ERROR_MEANS, max_length=300)] = ""
    created_after: Annotated[WrittenTime | None, Field(description="Created at this time or later.")] = None
    created_before: Annotated[WrittenTime | None, Field(description="Created before this time.")] = None

    @model_validator(mode="after")
    def _it_selects(self) -> TaskSelection:
        if not any(getattr(self, name) for name in _FILTERS):
            raise broken_rule("required", "at least one filter is required: without one, all tasks would be selected")
        return self


class BulkRequest(Request):
    """One command on many tasks."""

    action: BulkAction
    ids: Annotated[
        list[Id] | None, Field(description="The tasks.", min_length=1, max_length=TASKS_MAX, examples=[["tsk_01J8"]])
    ] = None
    filter: Annotated[
        TaskSelection | None, Field(description="In place of ids: the tasks that fit now, at most 10,000.")
    ] = None
    reason: Annotated[Text | None, Field(description="Stored in the audit record of each task.")] = None
    deadline_seconds: Annotated[Deadline | None, Field(description="Only with retry.")] = None
    budget: Annotated[TaskBudget | None, Field(description="Limits to change; only with retry.")] = None
    dry_run: Annotated[bool, Field(description="Only say what would happen to each task.")] = False

    @model_validator(mode="after")
    def _one_way_to_select(self) -> BulkRequest:
        if (self.ids is None) == (self.filter is None):
            raise broken_rule("required", "exactly one of ids and filter is required")
        if self.action != "retry" and (self.deadline_seconds is not None or self.budget is not None):
            raise broken_rule("not_allowed", "deadline_seconds and budget are allowed only with action retry")
        return self


class OperationProgress(Answer):
    """Of how many tasks what came."""

    total: int
    done: int = 0
    refused: int = 0
    left: int = 0


class OperationItem(Answer):
    """What came of one task; in a dry run, what would."""

    task_id: str
    outcome: Annotated[Literal["done", "refused"] | None, Field(description="Null: it is still to be done.")] = None
    code: Annotated[str | None, Field(description="Why it was refused: a code of the errors.")] = None
    detail: str | None = None


OperationId = Annotated[str, Field(examples=["opr_01J8"])]
OperationStatus = Annotated[
    Literal["running", "ended", "forged"],
    Field(
        description="ended: something came of every task. forged: it was changed in the store, so nothing more is done."
    ),
]


class OperationState(Page[OperationItem]):
    """An operation on many tasks, and a page of them in the order in which they are dealt with."""

    id: OperationId
    action: BulkAction
    dry_run: bool = False
    state: OperationStatus
    progress: OperationProgress
    created_at: Time
    ended_at: Time | None = None


class OperationSummary(Answer):
    """An operation on many tasks, without them."""

    id: OperationId
    action: BulkAction
    dry_run: bool = False
    state: OperationStatus
    progress: OperationProgress
    created_at: Time
    ended_at: Time | None = None


class OperationPage(Page[OperationSummary]):
    """Operations, the newest first."""
