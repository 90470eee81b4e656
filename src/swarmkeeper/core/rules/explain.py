"""Explain why a work item waits: exactly one reason for each item that is not final, and what a person can do.

reads/explain.py loads the facts. match.py and the dispatcher decide which bot gets which item; this follows them.
reads/wording.py turns a fix into a command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from swarmkeeper.core.kills import records as kills
from swarmkeeper.core.kills.records import KillRecord
from swarmkeeper.core.model import BotRecord, Queue
from swarmkeeper.core.policies.labels import WorkLabels, effective, in_words
from swarmkeeper.core.rules import match
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.core.rules.work_rates import TENANT as TENANT_RATE
from swarmkeeper.core.rules.work_rates import of_skill
from swarmkeeper.core.states import KIND_OF, BotType, Kind, Status, TaskStatus

NAMES_LISTED_MAX = 3  # names listed in a sentence; the rest is counted
QUESTION_LENGTH_MAX = 200  # characters; `approval show` has the whole text


class WaitingReason(StrEnum):
    """In the order in which they are shown: first those that need a person."""

    KILLED = "killed"
    PAUSED = "paused"
    BUDGET = "budget"
    APPROVAL = "approval"
    QUESTION = "question"
    NO_BOT_REGISTERED = "no_bot_registered"
    NO_CAPABLE_BOT = "no_capable_bot"
    ASSIGNED_BOT_AWAY = "assigned_bot_away"
    NO_INDEPENDENT_EVALUATOR = "no_independent_evaluator"
    POLICY = "policy"
    DRAINING = "draining"
    BOT_NOT_ASKING = "bot_not_asking"
    OVERLOADED = "overloaded"
    BOTS_AT_CAPACITY = "bots_at_capacity"
    RATE_LIMITED = "rate_limited"
    CONCURRENCY = "concurrency"
    BACKOFF = "backoff"
    QUEUED = "queued"
    LEASED = "leased"
    DEPENDENCY = "dependency"


RANK: Mapping[WaitingReason, int] = {reason: number for number, reason in enumerate(WaitingReason)}


@dataclass(frozen=True, slots=True)
class RunBot:
    skills: tuple[str, ...]
    name: str | None = None  # None: any


@dataclass(frozen=True, slots=True)
class EnableBot:
    bot: str


@dataclass(frozen=True, slots=True)
class ResumeTask:
    task: str


@dataclass(frozen=True, slots=True)
class EndKill:
    kill: str


@dataclass(frozen=True, slots=True)
class RetryTask:
    task: str


@dataclass(frozen=True, slots=True)
class ShowApproval:
    approval: str


@dataclass(frozen=True, slots=True)
class ListApprovals:
    pass


@dataclass(frozen=True, slots=True)
class CreateEvaluatorKey:
    owner: str
    tenant: str


@dataclass(frozen=True, slots=True)
class RaiseTenantBudget:
    tenant: str


Fix = (
    RaiseTenantBudget
    | RunBot
    | EnableBot
    | ResumeTask
    | EndKill
    | RetryTask
    | ShowApproval
    | ListApprovals
    | CreateEvaluatorKey
)


@dataclass(frozen=True, slots=True)
class Why:
    reason: WaitingReason
    detail: str  # a clause that can follow "it waits: "
    fix: Fix | None = None  # None: only waiting helps
    until: int | None = None  # when it ends by itself, at the latest
    bot: str | None = None  # the name of the bot that holds the lease


@dataclass(frozen=True, slots=True)
class KeyWait:
    """A key that limits how many items run at once, and that an item waits for."""

    key: str
    running: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A work item that is not final, and its facts. `id` is empty if it represents several equal items."""

    id: str
    kind: Kind
    key: str
    status: Status
    queue: Queue
    since: int
    attempt: int = 0
    pending: int = 0
    wake: int | None = None
    start_due: int | None = None
    round: int = 1
    excluded: tuple[str, ...] = ()
    keyed: KeyWait | None = None  # READY: it waits for this key
    labels: WorkLabels | None = None
    ahead: int = 0  # READY reviews of the same round that would be leased before it, each to another owner
    # Only for items that are listed one by one:
    bot: str | None = None  # LEASED: the name of the bot that holds the lease
    ends_at: int | None = None  # LEASED: when its attempt ends, at the latest
    upstream: tuple[str, ...] = ()  # BLOCKED: the first keys of the `pending` that are not settled
    ending: str | None = None  # WAITING: how the last attempt ended,
    ended_by: str | None = None  # by which bot,
    ended_for: str = ""  # and the given reason


@dataclass(frozen=True, slots=True)
class OpenApproval:
    """An open approval."""

    id: str
    kind: str
    work: str | None
    asked_by: str
    question: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """The facts about a task that apply to all its items."""

    task: str
    tenant: str
    status: TaskStatus
    since: int
    hold_reasons: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    loading: bool = False
    approvals: tuple[OpenApproval, ...] = ()
    overloaded: bool = False  # the server grants no leases now
    tenant_budget: str = ""  # why the tenant's budget allows no attempt; empty if it does
    kills: Sequence[KillRecord] = ()  # in force in the tenant
    rates: Mapping[str, int] = field(default_factory=dict)  # rates that are used up, and when each allows leases again


@dataclass(frozen=True, slots=True)
class BotFacts:
    """A registered bot, and whether it can be reached."""

    bot: BotRecord
    here: bool  # parked, or seen within the last two minutes
    held: int
    asks: bool = True  # parked, or asked for work within the last two minutes
    asked_at: int = 0  # when it last asked for work
    stuck: tuple[Stuck, ...] = ()  # its code that still runs after its lease ended
    killed: KillRecord | None = None  # what stops it, its owner or its tenant
    denies: Callable[[Item], str] = lambda item: ""  # why the policies do not let it have an item
    limited: tuple[str, int] | None = None  # the scope that its provider limits, and until when

    @property
    def living(self) -> bool:
        return self.here and self.bot.status == "active" and self.killed is None

    @property
    def room(self) -> bool:
        return self.held + len(self.stuck) < self.bot.capacity


WHO: Mapping[Kind, str] = {KIND_OF[bot_type]: bot_type.lower() for bot_type in BotType}


@dataclass(slots=True)
class BotIndex:
    """The tenant's bots, indexed by kind and skill. Equal items share one cached answer."""

    bots: Sequence[BotFacts]
    _of_kind: dict[Kind, list[BotFacts]] = field(default_factory=dict)
    _having: dict[tuple[Kind, str], list[BotFacts]] = field(default_factory=dict)
    _known: dict[tuple[int, tuple[str, ...], int, WorkLabels | None], Why] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for seen in self.bots:
            kind = KIND_OF[seen.bot.type]
            self._of_kind.setdefault(kind, []).append(seen)
            for skill in seen.bot.skills:
                self._having.setdefault((kind, skill), []).append(seen)

    def taker(self, item: Item, tenant: str) -> Why:
        """Return why no bot has taken an item that could be leased; `queued` if a bot could take it."""
        alike = (item.queue.id, item.excluded, item.ahead, item.labels)
        if alike not in self._known:
            self._known[alike] = _taker(item, self, tenant)
        return self._known[alike]

    def of(self, kind: Kind) -> Sequence[BotFacts]:
        return self._of_kind.get(kind, ())

    def may_serve(self, queue: Queue) -> Sequence[BotFacts]:
        """Return the bots with the rarest required skill; they include all that serve the queue."""
        having = [self._having.get((queue.kind, skill), []) for skill in queue.skills]
        return min(having, key=len) if having else self.of(queue.kind)

    def offers(self, kind: Kind, skill: str) -> bool:
        return (kind, skill) in self._having


def why(item: Item, task: TaskFacts, fleet: BotIndex) -> Why:
    """Return the one reason why this item is not final yet."""
    match item.status:
        case Status.LEASED:
            by = f" by {item.bot}" if item.bot else ""
            return Why(
                WaitingReason.LEASED, f"attempt {item.attempt} is in progress{by}", until=item.ends_at, bot=item.bot
            )
        case Status.WAITING:
            return _waiting(item, task)
        case Status.IN_REVIEW:
            review = f"review-of/{item.key}/{item.round}"
            return Why(WaitingReason.DEPENDENCY, f"it is done and waits for its review {review}")
        case Status.BLOCKED if item.pending:
            before = _few(item.upstream, what="subtask", total=item.pending)
            return Why(WaitingReason.DEPENDENCY, f"it waits for {before}")
        case _:
            return _startable(item, task, fleet)


def _waiting(item: Item, task: TaskFacts) -> Why:
    if item.wake is not None:
        after = f" after an attempt that ended as {item.ending}" if item.ending else ""
        if after and item.ended_by:
            after += f" by {item.ended_by}"
        if item.ended_for:
            after += f": {_short(item.ended_for)}"
        return Why(WaitingReason.BACKOFF, f"it is deferred until {_time(item.wake)}{after}", until=item.wake)
    asked = [approval for approval in task.approvals if approval.work == item.id]
    if asked and asked[0].kind == "budget":
        return _budget_asked(asked[0])
    if asked:
        return Why(
            WaitingReason.QUESTION,
            f"{asked[0].asked_by or 'its bot'} asked a person: {_short(asked[0].question)}",
            ShowApproval(asked[0].id),
            until=asked[0].expires_at,
        )
    return Why(WaitingReason.QUESTION, "its bot asked a person", ListApprovals())


def _budget_asked(approval: OpenApproval) -> Why:
    fix = ShowApproval(approval.id)
    return Why(WaitingReason.BUDGET, _short(approval.question), fix, until=approval.expires_at)


def _startable(item: Item, task: TaskFacts, fleet: BotIndex) -> Why:
    """Return the reason for an item that no dependency holds back."""
    if (kill := kills.of_tenant(task.kills) or kills.of_skills(task.kills, item.queue.skills)) is not None:
        return _killed(kill)
    if (held := hold(task)) is not None:
        return held
    if task.loading:
        return Why(WaitingReason.QUEUED, "the rows of its plan are still being written")
    if task.tenant_budget:
        return Why(WaitingReason.BUDGET, task.tenant_budget, RaiseTenantBudget(task.tenant), until=item.start_due)
    if item.keyed is not None and item.start_due is None:
        runs = f"{item.keyed.running} with it {'runs' if item.keyed.running == 1 else 'run'}"
        detail = f"it waits for its turn with key {item.keyed.key}: {runs}, {item.keyed.waiting} wait"
        return Why(WaitingReason.CONCURRENCY, detail)
    if item.status is Status.BLOCKED or item.start_due is None:
        return Why(WaitingReason.QUEUED, "it is being added to its queue")
    if (used_up := _used_up(item, task.rates)) is not None:
        return used_up
    found = fleet.taker(item, task.tenant)
    if found.reason is WaitingReason.POLICY and (every := list(effective(task.labels, item.labels, item.key))):
        found = replace(found, detail=f"{found.detail}; its labels: {in_words(every, item.key)}")
    if task.overloaded and found.reason in (WaitingReason.QUEUED, WaitingReason.BOTS_AT_CAPACITY):
        found = Why(WaitingReason.OVERLOADED, "the orchestrator is overloaded, or cannot write to its store")
    return Why(found.reason, found.detail, found.fix, until=found.until or item.start_due)


def _killed(kill: KillRecord, whom: str = "") -> Why:
    detail = f"{whom or f'{kill.kind} {kill.name} is'} killed by {kill.id}: {_short(kill.reason)}"
    return Why(WaitingReason.KILLED, detail, EndKill(kill.id), until=kill.until)


def _used_up(item: Item, rates: Mapping[str, int]) -> Why | None:
    """Return the rate of the tenant or of a skill that is used up; of several, the one that lasts longest."""
    keys = [TENANT_RATE, *map(of_skill, item.queue.skills)]
    until, key = max(((rates[key], key) for key in keys if key in rates), default=(0, ""))
    if not key:
        return None
    return Why(WaitingReason.RATE_LIMITED, f"the rate of {key} is used up until {_time(until)}", until=until)


def hold(task: TaskFacts) -> Why | None:
    """Return why the task is held, if a person paused it or must decide; else None."""
    if "paused" in task.hold_reasons:
        return Why(WaitingReason.PAUSED, "its task is paused", ResumeTask(task.task))
    for approval in task.approvals:
        if approval.id in task.hold_reasons and approval.kind == "budget":
            return _budget_asked(approval)
        if approval.id in task.hold_reasons:
            return Why(
                WaitingReason.APPROVAL,
                f"a person has to decide (approval of kind {approval.kind}): {_short(approval.question)}",
                ShowApproval(approval.id),
                until=approval.expires_at,
            )
    if task.hold_reasons == ("budget",):
        return Why(WaitingReason.BUDGET, "the rest of its budget is reserved for the attempts in progress")
    if task.hold_reasons:
        return Why(WaitingReason.APPROVAL, "a person has to decide", ListApprovals())
    return None


# ---- who could take it ---------------------------------------------------------------------------------------------


def _taker(item: Item, fleet: BotIndex, tenant: str) -> Why:
    queue, who, bots = item.queue, WHO[item.kind], fleet.of(item.kind)
    start = RunBot(queue.skills, queue.assign_to)
    if not bots:
        return Why(
            WaitingReason.NO_BOT_REGISTERED, f"no {who} is registered{_able(queue.skills, ' with skill {}')}", start
        )
    if queue.assign_to is not None:
        assigned = [seen for seen in bots if seen.bot.name == queue.assign_to]
        if not any(seen.here for seen in assigned):
            state = "away" if assigned else "not registered"
            return Why(WaitingReason.ASSIGNED_BOT_AWAY, f"it is assigned to {queue.assign_to}, which is {state}", start)
    capable = [seen for seen in fleet.may_serve(queue) if match.serves(seen.bot, queue)]
    independent = [seen for seen in capable if seen.bot.owner not in item.excluded]
    if capable and len({seen.bot.owner for seen in independent}) <= item.ahead:
        return Why(
            WaitingReason.NO_INDEPENDENT_EVALUATOR,
            f"every {who} that could review it belongs to an owner who made a part of it or already reviews it",
            CreateEvaluatorKey(_another_owner(item.excluded), tenant),
        )
    here = [seen for seen in independent if seen.here]
    living = [seen for seen in here if seen.living]
    if not here:
        return Why(WaitingReason.NO_CAPABLE_BOT, _nobody(item, fleet, independent), start)
    killed = next((seen.killed for seen in here if seen.killed is not None), None)
    if not living and killed is not None and all(seen.killed is not None for seen in here):
        return _killed(killed, f"{_few(_names(here), what='bot')} could take it, but is")
    if not living:
        names = _few(_names(here), what="bot")
        detail = f"{names} could take it, but takes no new work ({here[0].bot.status})"
        return Why(WaitingReason.DRAINING, detail, EnableBot(here[0].bot.id))
    permitted = [seen for seen in living if not seen.denies(item)]
    if not permitted:
        names = _few(_names(living), what="bot")
        return Why(WaitingReason.POLICY, f"{names} could take it, but policy denies it: {living[0].denies(item)}")
    living = permitted
    free = _names(seen for seen in living if seen.room and seen.asks and seen.limited is None)
    limited = [seen.limited for seen in living if seen.room and seen.limited is not None]
    if limited and not free:
        scope, until = min(limited, key=lambda each: (each[1], each[0]))
        detail = f"{_few(_names(living), what='bot')} could take it, but {scope} is rate limited until {_time(until)}"
        return Why(WaitingReason.RATE_LIMITED, detail, until=until)
    if free:
        return Why(WaitingReason.QUEUED, f"{_few(free, what='bot')} can take it when it next asks for work")
    return _not_taken(living, RunBot(queue.skills, _second(living[0].bot.name, bots)))


def _not_taken(living: Sequence[BotFacts], another: RunBot) -> Why:
    """Return the reason if bots could take the item but do not: they are at capacity, or do not ask for work."""
    full = [seen for seen in living if not seen.room]
    idle = sorted((seen for seen in living if seen.room), key=lambda seen: (seen.asked_at, seen.bot.id))
    not_asking = ""
    if idle:
        names = _few(_names(idle), what="bot")
        not_asking = f"{names} is alive, but has not asked for work since {_time(idle[-1].asked_at)}"
    if full:
        detail = f"{_few(_names(full), what='bot')} could take it, but is at capacity"
        detail += _stuck(full)
        return Why(WaitingReason.BOTS_AT_CAPACITY, detail + (f"; {not_asking}" if not_asking else ""), another)
    return Why(WaitingReason.BOT_NOT_ASKING, f"{not_asking}: restart it, or run another", another)


def _stuck(full: Sequence[BotFacts]) -> str:
    """Return a clause on stuck code that takes up a bot's capacity, and its position, or an empty string."""
    for seen in full:
        for stuck in seen.stuck:
            position = f" in {stuck.where}" if stuck.where else ""
            return f": {seen.bot.name} is stuck{position} since {_time(stuck.since)}; restart it, or run another"
    return ""


def _nobody(item: Item, fleet: BotIndex, capable: Sequence[BotFacts]) -> str:
    """Return the text for an item that no reachable bot can do, with the missing skills."""
    who = WHO[item.kind]
    if capable:
        names = _few(_names(capable), what="bot")
        return f"no {who} within reach{_able(item.queue.skills, ' has skill {}')}; away: {names}"
    if not item.queue.skills:
        return f"each {who} is dedicated to its own skills, and this item requires none"
    missing = [skill for skill in item.queue.skills if not fleet.offers(item.kind, skill)]
    if missing:
        return f"no {who} has skill {_few(missing, what='skill', separator=' and ')}"
    return f"no single {who} has skills {_few(item.queue.skills, what='skill', separator=' and ')}"


def _able(skills: Sequence[str], words: str) -> str:
    return words.format(_few(skills, what="skill", separator=" and ")) if skills else ""


def _second(name: str, bots: Sequence[BotFacts]) -> str:
    """Return an unused name derived from this one."""
    taken = {seen.bot.name for seen in bots}
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def _another_owner(excluded: Sequence[str]) -> str:
    """Return an example of an owner who is not excluded."""
    owner = "someone-else"
    while owner in excluded:
        owner += "-else"
    return owner


def _names(bots: Iterable[BotFacts]) -> list[str]:
    """Return each name once: several processes may share it."""
    return list(dict.fromkeys(seen.bot.name for seen in bots))


# ---- in words ------------------------------------------------------------------------------------------------------


def _few(names: Sequence[str], *, what: str, separator: str = ", ", total: int = 0) -> str:
    if not names:
        return f"another {what}"
    listed = names[:NAMES_LISTED_MAX]
    rest = max(len(names), total) - len(listed)
    return separator.join(listed) + (f" and {rest} more" if rest > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= QUESTION_LENGTH_MAX else f"{text[:QUESTION_LENGTH_MAX]}…"


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%H:%M:%SZ")
