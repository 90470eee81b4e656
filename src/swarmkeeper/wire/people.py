"""Records of questions, approvals and the decisions that people make on them; legal holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.approvals import Moment, check_moments
from swarmkeeper.wire.requests import Id, Progress
from swarmkeeper.wire.shapes import YEAR_SECONDS, Answer, Json, Object, Request, Text, Texts, Time, json_within

ApprovalKind = Literal["plan", "final", "rounds", "question", "budget"]
ApprovalState = Literal["open", "decided", "expired", "cancelled"]

# ---- asking --------------------------------------------------------------------------------------------------------


class Ask(Request):
    """Asks a person a question; this ends the lease."""

    question: Annotated[Text, Field(min_length=1)]
    choices: Annotated[Texts, Field(description="If given, the answer must be one of these.")] = Field(
        default_factory=list
    )
    schema_: (
        Annotated[
            Object,
            json_within(16 * 1024),
            Field(description="A JSON Schema (draft 2020-12) for the answer; only local references."),
        ]
        | None
    ) = Field(default=None, validation_alias="schema", serialization_alias="schema")
    expires_in_seconds: Annotated[float | None, Field(ge=1, le=YEAR_SECONDS, description="Seven days by default.")] = (
        None
    )
    default_answer: Annotated[
        Json,
        json_within(64 * 1024),
        Field(description="The answer if nobody gives one in time; null: then the work fails. It is redacted."),
    ] = None
    remind_after_seconds: Annotated[
        Moment | None, Field(description="Then an event `approval.reminded`; needs expires_in_seconds.")
    ] = None
    escalate_after_seconds: Annotated[
        Moment | None, Field(description="Then an event `approval.escalated`; needs expires_in_seconds.")
    ] = None
    progress: Progress | None = None

    @model_validator(mode="after")
    def _moments_come_before_the_end(self) -> Ask:
        moments = {name: getattr(self, name) for name in ("remind_after_seconds", "escalate_after_seconds")}
        check_moments(self.expires_in_seconds, moments)
        return self


class AskAnswer(Answer):
    """The question was recorded; the answer comes with the next lease of the work."""

    approval_id: Annotated[str, Field(examples=["apr_01J8"])]


# ---- deciding ------------------------------------------------------------------------------------------------------


class Approve(Request):
    """Approves the subject."""

    subject_hash: Annotated[
        str,
        Field(min_length=1, max_length=128, description="Hash of the subject as read: identifies what is approved."),
    ]
    comment: Text | None = None


class Reject(Request):
    """Rejects the subject."""

    reason: Annotated[Text, Field(min_length=1)]


class AnswerQuestion(Request):
    """Answers a question, or chooses how to continue after the last round."""

    answer: Annotated[Json, json_within(64 * 1024), Field(description="Any JSON of at most 64 KiB.")]


# ---- reading -------------------------------------------------------------------------------------------------------


class ApprovalDecision(Answer):
    """A decision on an approval: who decided what, and when."""

    verb: Literal["approve", "reject", "answer"]
    by: Annotated[str, Field(description="Key id; `engine` if nobody decided in time and there was a default.")]
    at: Time
    comment: str | None = None
    reason: str | None = None
    answer: Json = None


class Approval(Answer):
    """A decision that a person must make."""

    id: Annotated[str, Field(examples=["apr_01J8"])]
    kind: ApprovalKind
    state: ApprovalState
    task_id: str
    work_id: Annotated[str | None, Field(description="For a question: the work item that waits for the answer.")] = None
    asked_by: Annotated[str, Field(description="Bot name or key id of the requester, who may not decide.")] = ""
    question: str = ""
    choices: list[str] = Field(default_factory=list)
    schema_: Annotated[Object | None, Field(description="JSON Schema of the answer.")] = Field(
        default=None, validation_alias="schema", serialization_alias="schema"
    )
    subject: Annotated[
        Json,
        Field(
            description="What is decided: the plan's subtasks; hashes of results and verdict with references to them; "
            "or the question. In lists a large subject is replaced by a reference to its approval."
        ),
    ] = None
    subject_hash: str
    opened_at: Time
    expires_at: Time
    at_expiry: Annotated[
        Json, Field(description="The decision if nobody decides in time, with its `verb`; null: it counts as rejected.")
    ] = None
    decision: ApprovalDecision | None = None


class ApprovalPage(Page[Approval]):
    """Approvals, oldest first."""


# ---- legal holds ---------------------------------------------------------------------------------------------------

HeldTask = Annotated[
    Id | None, Field(description="The task that it keeps; without it, everything of the tenant.", examples=["tsk_01J9"])
]


class LegalHoldRequest(Request):
    """Places or releases a legal hold."""

    task_id: HeldTask = None
    reason: Annotated[str, Field(description="Stored in the audit record.", min_length=1, max_length=8 * 1024)]


class LegalHold(Answer):
    """A legal hold on a task, or on the whole tenant."""

    task_id: str | None = None
    reason: str
    placed_by: Annotated[str, Field(description="The id of the key that placed it.")]
    placed_at: Time


class LegalHoldState(Answer):
    """Whether there is a legal hold on a task, or on the whole tenant."""

    task_id: str | None = None
    held: bool


class LegalHoldPage(Page[LegalHold]):
    """Legal holds."""
