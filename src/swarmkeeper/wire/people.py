"""Records of questions, approvals and the decisions that people make on them; persons, legal holds, kills, secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from swarmkeeper.wire.answers import Page
from swarmkeeper.wire.approvals import Moment, StepUp, StepUpOut, check_moments
from swarmkeeper.wire.problems import broken_rule
from swarmkeeper.wire.requests import Progress, Role
from swarmkeeper.wire.shapes import (
    YEAR_SECONDS,
    Answer,
    Id,
    Json,
    KeyScope,
    Name,
    Networks,
    Object,
    Request,
    Skills,
    Text,
    Texts,
    Time,
    json_within,
)

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
    step_up: Annotated[StepUp | None, Field(description="The answer needs a fresh sign-in.")] = None
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
    person: Annotated[str | None, Field(description="Id of the person to whom the key or token belongs.")] = None
    person_name: str | None = None
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
    task_title: Annotated[str | None, Field(description="Null if the task was erased meanwhile.")] = None
    asked_by: Annotated[str, Field(description="Bot name or key id of the requester, who may not decide.")] = ""
    asker: Annotated[
        str, Field(description="Name of the requester, as far as it is known: of a person, an owner or a bot.")
    ] = ""
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
    step_up: Annotated[StepUpOut | None, Field(description="A decision needs a fresh sign-in.")] = None
    decision: ApprovalDecision | None = None


class ApprovalPage(Page[Approval]):
    """Approvals, oldest first, or by expiry."""

    open: Annotated[
        int | None,
        Field(description="How many are open in the tenant, at most 10,000; null for who may not read all of them."),
    ] = None
    open_at_least: Annotated[bool, Field(description="There are more than `open`.")] = False


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


class TokenRequest(Request):
    """Exchanges an API key, or a token of this server, for a short-lived token that is worth no more."""

    role: Annotated[Role | None, Field(description="By default the key's; another may do no more.")] = None
    skills: Annotated[
        Skills | None, Field(min_length=1, description="Its bot gets no work that requires another skill.")
    ] = None
    task: Annotated[
        str | None,
        Field(pattern="^[a-z]{3}_[0-9A-Za-z]{1,64}$", description="All else is not there for it: a task's id."),
    ] = None
    expires_seconds: Annotated[int, Field(ge=60, le=3600, description="At most what is left of a token.")] = 900


class OwnToken(Answer):
    """A token of this server, for `Authorization: Bearer`. It is stored nowhere."""

    token: str
    role: str
    skills: Annotated[list[str] | None, Field(description="Null: all that the key has.")] = None
    task: Annotated[str | None, Field(description="Null: any.")] = None
    expires_seconds: int


class ErasureRequest(Request):
    """Why a task is erased."""

    reason: Annotated[
        str,
        Field(description="Stays in the audit log for good: name no person in it.", min_length=1, max_length=8 * 1024),
    ]


class Erasure(Answer):
    """A task that is being erased, in the background."""

    task_id: str


class TenantErasureRequest(Request):
    """Which tenant is erased, and why."""

    tenant: Annotated[Name, Field(description="The id of the tenant, the key's own: this cannot be undone.")]
    reason: Annotated[
        str,
        Field(description="Stays in the audit log for good: name no person in it.", min_length=1, max_length=8 * 1024),
    ]


class TenantErasure(Answer):
    """A tenant whose data keys were destroyed."""

    tenant: str


class LegalHoldPage(Page[LegalHold]):
    """Legal holds."""


# ---- persons -------------------------------------------------------------------------------------------------------

PersonName = Annotated[Name, Field(description="Unique in the tenant; a claim of a token may name the person by it.")]


class PersonRequest(Request):
    """Creates a person, or gives a person another name."""

    name: PersonName


class Person(Answer):
    """Somebody to whom API keys and sign-ins by token belong."""

    id: str
    name: str
    created_at: Time
    disabled_at: Annotated[Time | None, Field(description="Since then the keys and tokens are refused.")] = None


class PersonPage(Page[Person]):
    """Persons of the tenant."""


# ---- sessions ------------------------------------------------------------------------------------------------------


class CurrentSession(Answer):
    """Who the caller is, and what it may do."""

    tenant: str
    role: str
    key_id: Annotated[str, Field(description="Id of the key's record, or made from the token's subject.")]
    owner: str | None = None
    person: Annotated[str | None, Field(description="Id of the person to whom the key or token belongs.")] = None
    person_name: str | None = None
    session_id: Annotated[str | None, Field(description="Null: the call has a key or token.")] = None
    may: Annotated[list[str], Field(description="The actions that the role allows.", examples=[["task.read"]])]


class SessionOpen(Answer):
    """A browser that is signed in."""

    id: str
    created_at: Time
    used_at: Annotated[Time, Field(description="The last call with it, to about a minute.")]
    ends_at: Annotated[Time, Field(description="When it ends at the latest; 12 hours without a call end it, too.")]
    current: Annotated[bool, Field(description="It is the caller's own.")] = False


class SessionPage(Page[SessionOpen]):
    """The sessions of the caller's key or token, those used last first. There is one page."""


# ---- kills ---------------------------------------------------------------------------------------------------------


def _written_time(value: Any) -> Any:
    """Let only texts through: Pydantic would guess whether a number means seconds."""
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("must be a time as RFC 3339 writes it: 2026-01-31T23:59:59Z")
    return value


WrittenTime = Annotated[
    AwareDatetime, Field(strict=False), BeforeValidator(_written_time, json_schema_input_type=datetime)
]


class KillRequest(Request):
    """Stops what has this name, at once."""

    kind: Annotated[Literal["bot", "owner", "skill", "tenant"], Field(description="What is stopped.")]
    name: Annotated[
        str,
        Field(
            description="Its name; of a bot also its id; of a tenant, the caller's own.", min_length=1, max_length=200
        ),
    ]
    reason: Annotated[str, Field(description="Shown to all who wait for it.", min_length=1, max_length=1024)]
    until: Annotated[WrittenTime | None, Field(description="When it ends by itself; null: when it is lifted.")] = None


class Kill(Answer):
    """What is stopped, by whom and why."""

    id: str
    kind: str
    name: str
    reason: str
    placed_by: Annotated[str, Field(description="The id of the key that placed it.")]
    placed_at: Time
    until: Time | None = None


class KillPage(Page[Kill]):
    """Kills of the tenant. There are few, so one page has all."""


# ---- secrets -------------------------------------------------------------------------------------------------------

SecretName = Annotated[str, Field(description="What follows `secret://` in the inputs.", min_length=1, max_length=400)]


class ResolveSecrets(Request):
    """Asks for values of secrets that the inputs of the leased work refer to."""

    names: Annotated[list[SecretName], Field(min_length=1, max_length=64)]


class ResolvedSecret(Answer):
    """The value of a secret. Keep it in memory only."""

    name: str
    value: str


class ResolvedSecrets(Answer):
    """The values, in the order of the names."""

    secrets: list[ResolvedSecret]


class SecretValue(Request):
    """A new value of a secret that the server keeps."""

    value: Annotated[str, Field(description="8 to 65,536 characters; never shown again.", max_length=64 << 10)]


class SecretAction(Request):
    """Names a secret."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class SecretState(Answer):
    """The newest version of a secret."""

    name: str
    version: int


class KnownSecret(Answer):
    """A version of a secret that the server keeps, or that was released from another back end."""

    name: str
    version: str
    backend: str
    created_at: Annotated[Time | None, Field(description="null: the server does not keep it itself.")] = None
    released_at: Annotated[Time | None, Field(description="When a bot last got it; null: not yet.")] = None
    released: Annotated[int, Field(description="How often a bot got it.")]


class SecretPage(Page[KnownSecret]):
    """Secrets by name, without their values."""


class KeyRequest(Request):
    """A new API key."""

    role: Role
    bot: Annotated[Name | None, Field(description="The only bot name it may act as.")] = None
    owner: Name | None = None
    person: Annotated[Id | None, Field(description="Id of the person to whom it belongs.")] = None
    scope: Annotated[KeyScope | None, Field(description="Which tasks a client sees; own if omitted.")] = None
    skills: Annotated[Skills | None, Field(description="Skills its bot may register; any if omitted.")] = None
    expires_days: Annotated[int | None, Field(ge=0, le=3650, description="0: never; else as the server sets.")] = None
    networks: Annotated[Networks | None, Field(description="Only from there; from anywhere if omitted.")] = None

    @model_validator(mode="after")
    def _bot_only_where_it_can_be_one(self) -> KeyRequest:
        may_be_a_bot = self.role == "admin" or self.role.startswith("bot:")
        if not may_be_a_bot and (self.bot is not None or self.skills is not None):
            raise broken_rule("not_allowed", "bot and skills are allowed only with bot roles and admin")
        return self
