"""Commands to the engine: one frozen record for each, with the rows that it needs loaded first.

`by` is the caller. A command of the engine itself (a timer that fell due) has `ENGINE` there.
`needs` names the rows that a decision certainly reads; other rows are loaded when a decision misses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from swarmkeeper.core import lookups
from swarmkeeper.core.answers import HeartbeatResult, Replayed, ReportReceipt
from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import AttemptFailure, Json, Principal, SubtaskSpec, VerdictRecord
from swarmkeeper.core.ports import Key
from swarmkeeper.core.retention import WHOLE_TENANT
from swarmkeeper.core.rules.graph import Written

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[T_co]):
    """A command to the engine. T_co is the type of its answer once it is accepted."""

    by: Principal
    idempotency: tuple[str, str] | None = None  # (key, hash of the request)
    trace: str = ""  # W3C traceparent

    def needs(self) -> list[Key]:
        if self.idempotency is None:
            return self._own_needs()
        return self._own_needs() + [lookups.IDEMPOTENCY.of((self.by.tenant, key)) for key in self.remembered_as]

    @property
    def remembered_as(self) -> tuple[str, ...]:
        """The names under which the idempotency key may be stored; the current one comes first.

        Each caller has its own keys: a name begins with the API key's id, then a blank. Before 0.4.0 the name was the
        idempotency key alone; such names contain no blank, so the two forms cannot collide.
        """
        if self.idempotency is None:
            return ()
        return f"{self.by.key_id} {self.idempotency[0]}", self.idempotency[0]

    def _own_needs(self) -> list[Key]:
        return []

    @property
    def size(self) -> int:
        """Approximate size in bytes; a batch limits the sum."""
        return 512

    @property
    def redacted_characters(self) -> int:
        """Number of characters from the caller that enter the evidence. Redacting them delays other commands."""
        return 0

    @property
    def rows(self) -> int:
        """Number of plan rows; they cost the engine more time than their bytes."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatable(Command[T_co | Replayed]):
    """A command that may have an idempotency key. If it was carried out before, the answer is `Replayed`."""


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
    checked: tuple[Detail, ...] | None = None  # result of graph.check_plan, if it has run already
    written: Written | None = None  # replaces `subtasks` if they are more than a slice
    budget: Mapping[str, Json] | None = None  # in the API's format

    def _own_needs(self) -> list[Key]:
        return [lookups.TENANT.of(self.by.tenant)]

    @property
    def size(self) -> int:
        return 1024 + len(self.spec) + (0 if self.written is None else self.written.size)

    @property
    def redacted_characters(self) -> int:
        return len(self.title) + sum(len(name) + len(value) for name, value in self.labels.items())

    @property
    def rows(self) -> int:
        return len(self.subtasks or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTask(Repeatable[str]):
    task: str
    reason: str = ""

    @property
    def redacted_characters(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        return [lookups.TASK.of(self.task), lookups.JOBS.of(self.task)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(OnTask):
    priority: int | None = None
    labels: Mapping[str, str] | None = None
    deadline: int | None = None
    if_version: int | None = None  # If-Match
    budget: Mapping[str, Json] | None = None  # limits to change, in the API's format


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
class RetryFailedTask(OnTask):
    deadline: int | None = None
    budget: Mapping[str, Json] | None = None  # limits to change, in the API's format


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(OnTask):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage(OnTask):
    to_bot: str | None
    payload: bytes
    lease_id: str | None = None  # the sending bot's lease

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
class ClaimWork(Command[None]):
    """Ask for work. It is decided after the batch's other commands, and parked while no work is ready.

    Pass it to `Engine.claim`, not to `Engine.do`.
    """

    bot: str
    most: int = 1
    skills: tuple[str, ...] | None = None  # a subset of the bot's skills; None: all of them
    ttl: int | None = None
    claim_id: str | None = None

    def _own_needs(self) -> list[Key]:
        # Loading a claim locks all claims of the bot, so that two servers do not exceed its capacity together. A claim
        # without an id takes the same lock; it has no earlier leases to find.
        return [(lookups.BOT, self.bot), lookups.CLAIM.of((self.bot, self.claim_id or ""))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult(Command[ReportReceipt]):
    """The result of one attempt: an output, a plan, a verdict, a failure, or the errors of an invalid report."""

    bot: str
    task: str | None  # None: the lease's task; `lease_id` is required then
    lease_id: str | None
    content: bytes  # canonical JSON of status and content; kept for late results, compared to detect repeats
    content_hash: str
    output: bytes | None = None
    plan: tuple[SubtaskSpec, ...] | None = None
    checked: tuple[Detail, ...] | None = None  # `checked` and `written` as in Submit
    written: Written | None = None
    digest: str | None = None  # SHA-256 of the output, if computed already
    verdict: VerdictRecord | None = None
    shown: VerdictRecord | None = None  # the verdict, redacted for people
    failure: AttemptFailure | None = None
    errors: tuple[Detail, ...] = ()  # schema errors of a plan or verdict
    errors_in: str | None = None  # "plan" | "verdict": the part that has errors
    usage: Mapping[str, int] | None = None
    progress: Mapping[str, Json] | None = None  # the attempt's last progress

    def _own_needs(self) -> list[Key]:
        needs: list[Key] = [(lookups.BOT, self.bot)]
        if self.task is not None:
            needs.append(lookups.TASK.of(self.task))
        if self.lease_id is None:
            needs.append(lookups.GRANTS.of((self.bot, self.task)))
        else:
            needs += [(lookups.LEASE_ID, self.lease_id), (lookups.ATTEMPT, self.lease_id)]
        return needs

    @property
    def size(self) -> int:
        return 512 + len(self.content) + len(self.output or b"") + (0 if self.written is None else self.written.size)

    @property
    def redacted_characters(self) -> int:
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
class SendHeartbeat(Command[HeartbeatResult]):
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
class ReleaseLease(OnLease):
    reason: str = ""
    delay: int = 0
    progress: Mapping[str, Json] | None = None  # the attempt's last progress

    @property
    def redacted_characters(self) -> int:
        return len(self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskQuestion(OnLease):
    question: str
    choices: tuple[str, ...] = ()
    alike: tuple[int, ...] = ()  # indexes of choices that equal another choice after redaction
    schema: Mapping[str, Json] | None = None
    expires: int | None = None  # microseconds from now
    default: Json = None  # the answer if nobody gives one in time; None: then the work fails
    remind: int | None = None  # microseconds from now
    escalate: int | None = None  # likewise
    step_up: int | None = None  # how long ago who answers may have signed in
    progress: Mapping[str, Json] | None = None

    @property
    def redacted_characters(self) -> int:
        return len(self.question) + sum(map(len, self.choices))  # checking a choice takes as long as redacting it


# ---- fleet and keys ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Register(Repeatable[tuple[str, bool]]):
    type: str
    version: str
    name: str | None = None
    default_name: str | None = None  # if neither `name` nor the key names the bot
    instance: str = ""
    skills: tuple[str, ...] = ()
    capacity: int = 1
    dedicated: bool = False
    endpoint: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def redacted_characters(self) -> int:
        return sum(len(name) + len(value) for name, value in self.labels.items())

    @property
    def own_name(self) -> str | None:
        """The bot's name; None: its id becomes its name."""
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
    def _own_needs(self) -> list[Key]:
        return [(lookups.BOT, self.bot), lookups.CLAIM.of((self.bot, ""))]  # no claim gives it a lease meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey(Repeatable[str]):
    role: str
    public_id: str
    digest: bytes
    bot: str | None = None
    owner: str | None = None
    skills: tuple[str, ...] | None = None
    expires: int | None = None  # microseconds from now; 0: never; None: as the limits say
    networks: tuple[str, ...] | None = None
    person: str | None = None  # id
    scope: str | None = None  # own | tenant; None: own, for a client


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRules(Command[None]):
    """Record for each tenant that the operator reloaded the redaction rules, or the policies."""

    before: str  # hash of the rules
    after: str  # likewise
    what: str = "redaction"
    problem: str = ""  # why the old rules stay in force; holds only fixed texts and rule names


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetClock(Command[None]):
    """Record for each tenant that the store's time, which is ahead of the wall clock, is about to be set back."""

    before: int  # microseconds since the epoch
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRestore(Command[None]):
    """Record for a tenant that its store was restored from a backup."""

    reached: int  # engine time of the backup, microseconds since the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class OnKey(Repeatable[T_co]):
    key: str

    def _own_needs(self) -> list[Key]:
        return [lookups.KEY.of(self.key)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateKey(OnKey[tuple[str, str]]):
    digest: bytes
    overlap: int = 0  # microseconds for which the old secret stays valid


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey(OnKey[str]):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTenant(Repeatable[str]):
    """Change the share and limits of the caller's tenant; None leaves a value unchanged."""

    weight: int | None = None
    max_backlog: int | None = None
    unbounded: bool = False  # remove the limit
    budget: Mapping[str, Json] | None = None  # limits to set, in the API's format
    no_budget: bool = False  # remove all limits of the budget

    def _own_needs(self) -> list[Key]:
        return [lookups.TENANT.of(self.by.tenant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRate(Repeatable[str]):
    """Set or replace a rate of the caller's tenant; without any number, remove it."""

    key: str  # `tenant`, `skill:<name>` or `scope:<name>`
    most: int | None = None
    per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def redacted_characters(self) -> int:
        return len(self.key)

    def _own_needs(self) -> list[Key]:
        return [lookups.TENANT.of(self.by.tenant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRefusals(Command[None]):
    """Record that calls were refused: at most once a minute for each key and code, or each source."""

    code: str
    action: str
    count: int
    source: str = ""  # the caller's address, if there was no key that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteReads(Command[None]):
    """Record that a caller has read outputs, keys or evidence: at most once a minute for each key and task."""

    action: str
    task: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKeyUses(Command[None]):
    """Keep when keys were last used."""

    uses: Mapping[str, int]  # key -> microseconds, by the wall clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnLegalHold(Repeatable[str]):
    """A legal hold of the caller's tenant, or of one of its tasks."""

    task: str = WHOLE_TENANT
    reason: str

    @property
    def redacted_characters(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        needs: list[Key] = [lookups.LEGAL_HOLD.of((self.by.tenant, self.task))]
        if self.task != WHOLE_TENANT:
            needs += [lookups.TASK.of(self.task), lookups.JOBS.of(self.task)]
        return needs


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLegalHold(_OnLegalHold):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLegalHold(_OnLegalHold):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseTask(Command[bool]):
    """Begin to erase a finished task, unless it changed since, or a legal hold keeps it; answer whether it began."""

    task: str
    after: int  # microseconds since its last change
    until: int  # microseconds: what was recorded of it later has not reached everybody yet

    def _own_needs(self) -> list[Key]:
        holds = [lookups.LEGAL_HOLD.of((self.by.tenant, task)) for task in (WHOLE_TENANT, self.task)]
        return [lookups.TASK.of(self.task), lookups.JOBS.of(self.task), *holds]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimAudit(Command[bool]):
    """Remove the oldest audit records; answer whether it was done. The caller has found out which may leave."""

    begin: int  # index of the first record; if another is by now, nothing is done
    end: int  # index of the first record that is kept
    frontier: bytes  # of the tree up to `end`
    root: bytes
    at: int  # time of the last record that leaves

    def _own_needs(self) -> list[Key]:
        tenant = self.by.tenant
        kinds = (lookups.AUDIT_BEGIN, lookups.ROWS_OF_TENANT)
        return [*(kind.of(tenant) for kind in kinds), lookups.LEGAL_HOLD.of((tenant, WHOLE_TENANT))]


# ---- people --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide(Repeatable[str]):
    approval: str
    verb: str  # approve | reject | answer
    subject_hash: str | None = None
    reason: str = ""
    answer: Json = None

    @property
    def redacted_characters(self) -> int:
        return len(self.reason)

    def _own_needs(self) -> list[Key]:
        return [lookups.APPROVAL.of(self.approval)]


# ---- commands of the engine itself ---------------------------------------------------------------------------------

ENGINE = Principal(tenant="", key_id="", role="engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired(Command[None]):
    """A timer fell due."""

    by: Principal = ENGINE
    kind: str
    ref: str
    lease_id: str | None = None  # with `unseen`, no timer: the lease that never reached its bot
    version: int | None = None  # with `unseen`: the lease's when its answer was lost; a later one was answered again

    def _own_needs(self) -> list[Key]:
        match self.kind:
            case "lease" | "ends" | "grace" | "unseen":
                return [lookups.WORK.of(self.ref), lookups.LEASE.of(self.ref)]
            case "start" | "wake":
                return [lookups.WORK.of(self.ref)]
            case "deadline":
                return [lookups.TASK.of(self.ref), lookups.JOBS.of(self.ref)]
            case "rate" | "line" | "cooldown":
                of = {"rate": lookups.WORK_RATE.of, "line": lookups.KEY_LIMIT.of, "cooldown": lookups.COOLDOWN.of}
                return [of[self.kind](self.ref)]
            case "kill":
                return []
            case _:  # answer, remind, escalate
                return [lookups.APPROVAL.of(self.ref)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBot(OnBot[None]):
    """Record when a bot was last seen; remove a bot that has been away too long."""

    last_seen: int  # microseconds since the epoch; 0: not since the server started


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Command[None]):
    """Run one slice of a background job."""

    by: Principal = ENGINE
    job: str
    task: str

    def _own_needs(self) -> list[Key]:
        return [lookups.TASK.of(self.task), lookups.JOBS.of(self.task)]
