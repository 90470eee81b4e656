"""What can be asked of the engine: one frozen record for each, with what it needs loaded first.

`by` is who asks. A command that the engine gives itself (a timer that fell due) has no `by`.
`needs` names what deciding surely looks at; whatever else turns out to be missing is loaded then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from swarmkeeper.core import lookups
from swarmkeeper.core.answers import HeartbeatResult, Replayed, Reported
from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import Failure, Json, Principal, SubtaskSpec, Verdict
from swarmkeeper.core.ports import Key
from swarmkeeper.core.rules.graph import Written

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[T_co]):
    """What can be asked of the engine; T_co is what it is answered with once it is accepted."""

    by: Principal
    idempotency: tuple[str, str] | None = None  # (key, hash of the request)
    trace: str = ""  # W3C traceparent

    def needs(self) -> list[Key]:
        return self._own_needs() + [lookups.IDEMPOTENCY.of((self.by.tenant, key)) for key in self.remembered_as]

    @property
    def remembered_as(self) -> tuple[str, ...]:
        """The names under which its idempotency key may be known, the one to use first.

        A key of a caller means nothing to another caller: its name begins with the API key's id. Before 0.4.0 it was
        the key alone; no name of today can be one of these, because they have no blank.
        """
        if self.idempotency is None:
            return ()
        return f"{self.by.key_id} {self.idempotency[0]}", self.idempotency[0]

    def _own_needs(self) -> list[Key]:
        return []

    @property
    def size(self) -> int:
        """Roughly the bytes it carries; a batch is bounded by their sum."""
        return 512

    @property
    def told(self) -> int:
        """How many characters of a caller's it brings into the evidence, which are redacted while others wait."""
        return 0

    @property
    def rows(self) -> int:
        """How many rows of a plan it brings, which take the engine longer than their bytes do."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable(Command[T_co | Replayed]):
    """A command that a caller may give an idempotency key. Where it was carried out before, the answer says so."""


# ---- clients -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit(Repeatable[str]):
    title: str
    spec: bytes  # JSON: description, input, metadata, acceptance_criteria
    priority: int = 5
    labels: Mapping[str, str] = field(default_factory=dict)
    planner_skills: tuple[str, ...] = ()
    evaluator_skills: tuple[str, ...] = ()
    evaluation: str = "final"
    quorum: tuple[int, int] = (1, 1)
    max_rounds: int = 3
    approval: str = "none"
    deadline: int | None = None  # microseconds from now
    plan_timeout: int | None = None
    review_timeout: int | None = None
    defaults: Mapping[str, Json] = field(default_factory=dict)  # timeout, start (microseconds) …
    subtasks: tuple[SubtaskSpec, ...] | None = None
    checked: tuple[Detail, ...] | None = None  # what graph.check_plan makes of them, where that was done already
    written: Written | None = None  # in place of the subtasks, where they are more than a slice

    def _own_needs(self) -> list[Key]:
        return [lookups.TENANT.of(self.by.tenant)]

    @property
    def size(self) -> int:
        return 1024 + len(self.spec) + (0 if self.written is None else self.written.size)

    @property
    def told(self) -> int:
        return len(self.title) + sum(len(name) + len(value) for name, value in self.labels.items())

    @property
    def rows(self) -> int:
        return len(self.subtasks or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTask(Repeatable[str]):
    task: str
    reason: str = ""

    @property
    def told(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        return [lookups.TASK.of(self.task), lookups.JOBS.of(self.task)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(OnTask):
    priority: int | None = None
    labels: Mapping[str, str] | None = None
    deadline: int | None = None
    if_version: int | None = None  # If-Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(OnTask):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(OnTask):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(OnTask):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(OnTask):
    deadline: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(OnTask):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell(OnTask):
    to_bot: str | None
    payload: bytes
    lease_id: str | None = None  # the lease under which a bot speaks

    def _own_needs(self) -> list[Key]:
        needs: list[Key] = [lookups.TASK.of(self.task), lookups.MESSAGES.of(self.task)]
        if self.lease_id is not None:
            needs.append(lookups.LEASE_ID.of(self.lease_id))
        if self.to_bot is not None:
            needs.append(lookups.BOTS_CALLED.of((self.by.tenant, self.to_bot)))
        return needs

    @property
    def size(self) -> int:
        return 512 + len(self.payload)


# ---- work ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Command[None]):
    """Ask for work. Decided when everything else of its batch is, and parked while there is nothing.

    `Engine.claim` takes it, and not `Engine.do`.
    """

    bot: str
    most: int = 1
    skills: tuple[str, ...] | None = None  # a subset of the bot's
    ttl: int | None = None
    claim_id: str | None = None

    def _own_needs(self) -> list[Key]:
        needs: list[Key] = [lookups.BOT.of(self.bot)]
        if self.claim_id is not None:
            needs.append(lookups.CLAIM.of((self.bot, self.claim_id)))
        return needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Command[Reported]):
    """The result of one attempt: one of output, plan, verdict, failure; or the errors of what cannot be read."""

    bot: str
    task: str | None  # None: that of the lease, which must be named then
    lease_id: str | None
    content: bytes  # canonical JSON of status and content: what late results keep, and what makes two reports the same
    content_hash: str
    output: bytes | None = None
    plan: tuple[SubtaskSpec, ...] | None = None
    checked: tuple[Detail, ...] | None = None  # both as in Submit
    written: Written | None = None
    digest: str | None = None  # SHA-256 of the output, where that was done already
    verdict: Verdict | None = None
    shown: Verdict | None = None  # the same as people may read it
    failure: Failure | None = None
    errors: tuple[Detail, ...] = ()  # shape errors of a plan or verdict
    errors_in: str | None = None  # "plan" | "verdict": which of them was sent, where it has errors
    usage: Mapping[str, int] | None = None
    progress: Mapping[str, Json] | None = None  # the last that is said of the attempt

    def _own_needs(self) -> list[Key]:
        needs: list[Key] = [lookups.BOT.of(self.bot)]
        if self.task is not None:
            needs.append(lookups.TASK.of(self.task))
        if self.lease_id is None:
            needs.append(lookups.GRANTS.of((self.bot, self.task)))
        else:
            needs += [lookups.LEASE_ID.of(self.lease_id), lookups.ATTEMPT.of(self.lease_id)]
        return needs

    @property
    def size(self) -> int:
        return 512 + len(self.content) + len(self.output or b"") + (0 if self.written is None else self.written.size)

    @property
    def told(self) -> int:
        return 0 if self.failure is None else len(self.failure.message)

    @property
    def rows(self) -> int:
        added = () if self.verdict is None else self.verdict.subtasks
        return len(self.plan or ()) + len(added)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseHeartbeat:
    lease_id: str
    progress: Mapping[str, Json] | None = None
    usage: Mapping[str, int] | None = None
    checkpoint: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Command[HeartbeatResult]):
    bot: str
    heartbeats: tuple[LeaseHeartbeat, ...] = ()

    def _own_needs(self) -> list[Key]:
        return [lookups.BOT.of(self.bot), *(lookups.LEASE_ID.of(pulse.lease_id) for pulse in self.heartbeats)]

    @property
    def size(self) -> int:
        return 512 + sum(256 + len(pulse.checkpoint or b"") for pulse in self.heartbeats)

    @property
    def rows(self) -> int:
        return len(self.heartbeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnLease(Command[str]):
    lease_id: str

    def _own_needs(self) -> list[Key]:
        return [lookups.LEASE_ID.of(self.lease_id), lookups.ATTEMPT.of(self.lease_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(OnLease):
    reason: str = ""
    delay: int = 0
    progress: Mapping[str, Json] | None = None  # the last that is said of the attempt

    @property
    def told(self) -> int:
        return len(self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(OnLease):
    question: str
    choices: tuple[str, ...] = ()
    alike: tuple[int, ...] = ()  # places of choices that read like another once their secrets are hidden
    schema: Mapping[str, Json] | None = None
    expires: int | None = None  # microseconds from now
    progress: Mapping[str, Json] | None = None

    @property
    def told(self) -> int:
        # To make sure that each choice is an answer that the schema allows takes about as long as to redact it.
        return len(self.question) + sum(map(len, self.choices))


# ---- fleet and keys ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(Repeatable[tuple[str, bool]]):
    type: str
    version: str
    name: str | None = None
    default_name: str | None = None  # where neither `name` nor the key says one
    instance: str = ""
    skills: tuple[str, ...] = ()
    capacity: int = 1
    dedicated: bool = False
    endpoint: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def told(self) -> int:
        return sum(len(name) + len(value) for name, value in self.labels.items())

    @property
    def own_name(self) -> str | None:
        """None: it is to be called by its id."""
        return self.name or self.by.bot or self.default_name

    def _own_needs(self) -> list[Key]:
        name = self.own_name
        return [] if name is None else [lookups.BOT_NAME.of((self.by.tenant, name, self.instance))]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBot(Repeatable[T_co]):
    bot: str

    def _own_needs(self) -> list[Key]:
        return [lookups.BOT.of(self.bot)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(OnBot[str]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Enable(OnBot[str]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBot(OnBot[str]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey(Repeatable[str]):
    role: str
    public_id: str
    digest: bytes
    bot: str | None = None
    owner: str | None = None
    skills: tuple[str, ...] | None = None
    expires: int | None = None  # microseconds from now


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRules(Command[None]):
    """The rules of redaction were read again, by whoever runs the server; written down for each tenant."""

    before: str  # hashes
    after: str
    problem: str = ""  # why the rules before stay; words of ours and names of rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetClock(Command[None]):
    """The store's time, which was ahead of the wall clock, is about to be set back; written down for each tenant."""

    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OnKey(Repeatable[T_co]):
    key: str

    def _own_needs(self) -> list[Key]:
        return [lookups.KEY.of(self.key)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKey(OnKey[tuple[str, str]]):
    digest: bytes
    overlap: int = 0  # microseconds that the old secret stays good


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey(OnKey[str]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTenant(Repeatable[str]):
    """Change what the tenant of `by` may have; None leaves it as it is."""

    weight: int | None = None
    max_backlog: int | None = None
    unbounded: bool = False  # take the bound away

    def _own_needs(self) -> list[Key]:
        return [lookups.TENANT.of(self.by.tenant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRefusals(Command[None]):
    """Write down that calls with a valid credential were refused: at most once a minute for each key and code."""

    code: str
    action: str
    count: int


# ---- people --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide(Repeatable[str]):
    approval: str
    verb: str  # approve | reject | answer
    subject_hash: str | None = None
    reason: str = ""
    answer: Json = None

    @property
    def told(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        return [lookups.APPROVAL.of(self.approval)]


# ---- the engine's own acts -----------------------------------------------------------------------------------------

ENGINE = Principal(tenant="", key_id="", role="engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Command[None]):
    """A timer fell due."""

    by: Principal = ENGINE
    kind: str
    ref: str
    lease_id: str | None = None  # of `unseen`, which is no timer: the lease whose grant got lost

    def _own_needs(self) -> list[Key]:
        match self.kind:
            case "lease" | "ends" | "grace" | "unseen":
                return [lookups.WORK.of(self.ref), lookups.LEASE.of(self.ref)]
            case "start" | "wake":
                return [lookups.WORK.of(self.ref)]
            case "deadline":
                return [lookups.TASK.of(self.ref), lookups.JOBS.of(self.ref)]
            case _:
                return [lookups.APPROVAL.of(self.ref)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBot(OnBot[None]):
    """Write down when a bot was heard of last; one that is gone for too long leaves the fleet."""

    heard: int  # 0: not since the server began


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Command[None]):
    """Do one slice of a job."""

    by: Principal = ENGINE
    job: str
    task: str

    def _own_needs(self) -> list[Key]:
        return [lookups.TASK.of(self.task), lookups.JOBS.of(self.task)]
