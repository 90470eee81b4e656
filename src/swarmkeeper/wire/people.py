"""What people are asked, and what they say to it: a bot's question, approvals, and decisions on them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.requests import Progress
from swarmkeeper.wire.shapes import YEAR_SECONDS, Answer, Json, Object, Request, Text, Texts, Time, json_within

ApprovalKind = Literal["plan", "final", "rounds", "question"]
ApprovalState = Literal["open", "decided", "expired", "cancelled"]

# ---- asking --------------------------------------------------------------------------------------------------------


class Ask(Request):
    """A question that only a person may answer; it ends the lease."""

    question: Annotated[Text, Field(min_length=1)]
    choices: Annotated[Texts, Field(description="The answer must be one of these, where there are any.")] = Field(
        default_factory=list
    )
    schema_: (
        Annotated[
            Object,
            json_within(16 * 1024),
            Field(description="A JSON Schema (draft 2020-12) for the answer; references within it alone."),
        ]
        | None
    ) = Field(default=None, validation_alias="schema", serialization_alias="schema")
    expires_in_seconds: Annotated[
        float | None, Field(ge=1, le=YEAR_SECONDS, description="Seven days where it is left out.")
    ] = None
    progress: Progress | None = None


class AskAnswer(Answer):
    """The question is put; its answer comes with the next lease of the work."""

    approval_id: Annotated[str, Field(examples=["apr_01J8"])]


# ---- deciding ------------------------------------------------------------------------------------------------------


class Approve(Request):
    """Yes, to what was read."""

    subject_hash: Annotated[
        str, Field(min_length=1, max_length=128, description="Of what was read: it says what is approved.")
    ]
    comment: Text | None = None


class Reject(Request):
    """No."""

    reason: Annotated[Text, Field(min_length=1)]


class AnswerQuestion(Request):
    """The answer to a question, or which way to go on after the last round."""

    answer: Annotated[Json, json_within(64 * 1024), Field(description="Any JSON of at most 64 KiB.")]


# ---- looking -------------------------------------------------------------------------------------------------------


class ApprovalDecision(Answer):
    """Who decided what, and when."""

    verb: Literal["approve", "reject", "answer"]
    by: Annotated[str, Field(description="The key's id.")]
    at: Time
    comment: str | None = None
    reason: str | None = None
    answer: Json = None


class Approval(Answer):
    """Something that only a person may decide."""

    id: Annotated[str, Field(examples=["apr_01J8"])]
    kind: ApprovalKind
    state: ApprovalState
    task_id: str
    work_id: Annotated[str | None, Field(description="Of a question: the work that waits for the answer.")] = None
    asked_by: Annotated[str, Field(description="A bot's name, or a key's id. Whoever asked does not decide.")] = ""
    question: str = ""
    choices: list[str] = Field(default_factory=list)
    schema_: Annotated[Object | None, Field(description="What an answer must be like.")] = Field(
        default=None, validation_alias="schema", serialization_alias="schema"
    )
    subject: Annotated[
        Json,
        Field(
            description="What exactly is decided: the plan's subtasks; hashes of results and verdict, and where they "
            "are; or the question. In lists a large one stands as a reference to its approval."
        ),
    ] = None
    subject_hash: str
    opened_at: Time
    expires_at: Time
    decision: ApprovalDecision | None = None


class ApprovalPage(Page[Approval]):
    """Approvals, the newest last."""
