"""Why a work item waits: exactly one reason for each that is not final, with what helps. What the reasons rest on is
loaded by reads/explain.py; what may be handed to whom is decided by match.py and the scheduler, which this follows.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from swarmkeeper.core.model import Bot, Queue
from swarmkeeper.core.rules import match
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.core.states import KIND_OF, TASK_CLOSED, BotType, Kind, Status, TaskStatus

NAMES_TOLD = 3  # of a list in a sentence; the rest is a number
QUESTION_TOLD = 200  # characters; `approval show` has the whole
DEFAULT_TENANT = "default"


class Reason(StrEnum):
    """In the order in which they are told: first what a person has to do something about."""

    PAUSED = "paused"
    APPROVAL = "approval"
    QUESTION = "question"
    NO_BOT_REGISTERED = "no_bot_registered"
    NO_CAPABLE_BOT = "no_capable_bot"
    ASSIGNED_BOT_AWAY = "assigned_bot_away"
    NO_INDEPENDENT_EVALUATOR = "no_independent_evaluator"
    DRAINING = "draining"
    BOT_NOT_ASKING = "bot_not_asking"
    OVERLOADED = "overloaded"
    BOTS_AT_CAPACITY = "bots_at_capacity"
    BACKOFF = "backoff"
    QUEUED = "queued"
    LEASED = "leased"
    DEPENDENCY = "dependency"


RANK: Mapping[Reason, int] = {reason: number for number, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Why:
    reason: Reason
    detail: str  # a clause, which follows "it waits: "
    fix: str | None = None  # a command line; None: only waiting helps
    until: int | None = None  # when it ends by itself at the latest
    bot: str | None = None  # the name of the one that has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A work item that is not final, and what is known about it. `id` is empty where it stands for several alike."""

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
    ahead: int = 0  # READY reviews of the same round that would be handed out before it, each to another owner
    # what only the listed ones are looked up for
    bot: str | None = None  # LEASED: the name of the bot that has it
    ends_at: int | None = None  # LEASED: when its attempt ends at the latest
    upstream: tuple[str, ...] = ()  # BLOCKED: the first keys that are not settled, of `pending` in all
    ending: str | None = None  # WAITING: how the last attempt ended,
    ended_by: str | None = None  # by which bot,
    ended_for: str = ""  # and what was said of it


@dataclass(frozen=True, slots=True)
class Asked:
    """An open approval."""

    id: str
    kind: str
    work: str | None
    asked_by: str
    question: str
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for all items of a task."""

    task: str
    tenant: str
    status: TaskStatus
    since: int
    hold_reasons: tuple[str, ...] = ()
    loading: bool = False
    approvals: tuple[Asked, ...] = ()
    overloaded: bool = False  # the orchestrator hands out nothing now


@dataclass(frozen=True, slots=True)
class Seen:
    """A registered bot, and whether it can be reached."""

    bot: Bot
    here: bool  # parked, or heard of within two minutes
    held: int
    asks: bool = True  # parked, or asked for work within two minutes
    asked_at: int = 0  # when it last did
    stuck: tuple[Stuck, ...] = ()  # its code that goes on though its lease is gone

    @property
    def living(self) -> bool:
        return self.here and self.bot.status == "active"

    @property
    def room(self) -> bool:
        return self.held + len(self.stuck) < self.bot.capacity


WHO: Mapping[Kind, str] = {KIND_OF[one]: one.lower() for one in BotType}


@dataclass(slots=True)
class Fleet:
    """The tenant's bots. Items alike get the same answer, worked out once, and from those bots alone that may fit."""

    bots: Sequence[Seen]
    _of_kind: dict[Kind, list[Seen]] = field(default_factory=dict)
    _having: dict[tuple[Kind, str], list[Seen]] = field(default_factory=dict)
    _known: dict[tuple[int, tuple[str, ...], int], Why] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for seen in self.bots:
            kind = KIND_OF[seen.bot.type]
            self._of_kind.setdefault(kind, []).append(seen)
            for skill in seen.bot.skills:
                self._having.setdefault((kind, skill), []).append(seen)

    def taker(self, item: Item, tenant: str) -> Why:
        """Why no bot has an item that could be handed out; `queued` where one could take it."""
        alike = (item.queue.id, item.excluded, item.ahead)
        if alike not in self._known:
            self._known[alike] = _taker(item, self, tenant)
        return self._known[alike]

    def of(self, kind: Kind) -> Sequence[Seen]:
        return self._of_kind.get(kind, ())

    def may_serve(self, queue: Queue) -> Sequence[Seen]:
        """Those that can do the rarest of what is required: all that serve the queue are among them."""
        having = [self._having.get((queue.kind, skill), []) for skill in queue.skills]
        return min(having, key=len) if having else self.of(queue.kind)

    def offers(self, kind: Kind, skill: str) -> bool:
        return (kind, skill) in self._having


def why(item: Item, task: Standing, fleet: Fleet) -> Why:
    """The one reason for which this item is not final yet."""
    match item.status:
        case Status.LEASED:
            by = f" by {item.bot}" if item.bot else ""
            return Why(Reason.LEASED, f"attempt {item.attempt} is in progress{by}", until=item.ends_at, bot=item.bot)
        case Status.WAITING:
            return _waiting(item, task)
        case Status.IN_REVIEW:
            review = f"review-of/{item.key}/{item.round}"
            return Why(Reason.DEPENDENCY, f"it is done and waits for its review {review}")
        case Status.BLOCKED if item.pending:
            before = _few(item.upstream, what="subtask", total=item.pending)
            return Why(Reason.DEPENDENCY, f"it waits for {before}")
        case _:
            return _startable(item, task, fleet)


def _waiting(item: Item, task: Standing) -> Why:
    if item.wake is not None:
        after = f" after an attempt that ended as {item.ending}" if item.ending else ""
        if after and item.ended_by:
            after += f" by {item.ended_by}"
        if item.ended_for:
            after += f": {_short(item.ended_for)}"
        return Why(Reason.BACKOFF, f"it is deferred until {_time(item.wake)}{after}", until=item.wake)
    asked = [one for one in task.approvals if one.work == item.id and one.kind == "question"]
    if asked:
        return Why(
            Reason.QUESTION,
            f"{asked[0].asked_by or 'its bot'} asked a person: {_short(asked[0].question)}",
            _show(asked[0].id),
            until=asked[0].expires_at,
        )
    return Why(Reason.QUESTION, "its bot asked a person", "swarmkeeper approval list")


def _startable(item: Item, task: Standing, fleet: Fleet) -> Why:
    """Of an item that nothing in its own plan holds back."""
    if (held := hold(task)) is not None:
        return held
    if task.loading:
        return Why(Reason.QUEUED, "the rows of its plan are still being written")
    if item.status is Status.BLOCKED or item.start_due is None:
        return Why(Reason.QUEUED, "it is being added to its queue")
    found = fleet.taker(item, task.tenant)
    if task.overloaded and found.reason in (Reason.QUEUED, Reason.BOTS_AT_CAPACITY):
        found = Why(Reason.OVERLOADED, "the orchestrator is overloaded, or cannot write to its store")
    return Why(found.reason, found.detail, found.fix, until=item.start_due)


def hold(task: Standing) -> Why | None:
    """Why nothing of the task is handed out, where a person has stopped it or is asked."""
    if "paused" in task.hold_reasons:
        return Why(Reason.PAUSED, "its task is paused", f"swarmkeeper task resume {task.task}")
    for approval in task.approvals:
        if approval.id in task.hold_reasons:
            return Why(
                Reason.APPROVAL,
                f"a person has to decide (approval of kind {approval.kind}): {_short(approval.question)}",
                _show(approval.id),
                until=approval.expires_at,
            )
    if task.hold_reasons:
        return Why(Reason.APPROVAL, "a person has to decide", "swarmkeeper approval list")
    return None


def _show(approval: str) -> str:
    return f"swarmkeeper approval show {approval}"


# ---- who could take it ---------------------------------------------------------------------------------------------


def _taker(item: Item, fleet: Fleet, tenant: str) -> Why:
    queue, who, bots = item.queue, WHO[item.kind], fleet.of(item.kind)
    start = _run(queue.skills, name=queue.assign_to)
    if not bots:
        return Why(Reason.NO_BOT_REGISTERED, f"no {who} is registered{_able(queue.skills, ' with skill {}')}", start)
    if queue.assign_to is not None:
        assigned = [seen for seen in bots if seen.bot.name == queue.assign_to]
        if not any(seen.here for seen in assigned):
            state = "away" if assigned else "not registered"
            return Why(Reason.ASSIGNED_BOT_AWAY, f"it is assigned to {queue.assign_to}, which is {state}", start)
    capable = [seen for seen in fleet.may_serve(queue) if match.serves(seen.bot, queue)]
    independent = [seen for seen in capable if seen.bot.owner not in item.excluded]
    if capable and len({seen.bot.owner for seen in independent}) <= item.ahead:
        return Why(
            Reason.NO_INDEPENDENT_EVALUATOR,
            f"every {who} that could review it belongs to an owner who made a part of it or already reviews it",
            _key_for_another(item.excluded, tenant),
        )
    here = [seen for seen in independent if seen.here]
    living = [seen for seen in here if seen.living]
    if not here:
        return Why(Reason.NO_CAPABLE_BOT, _nobody(item, fleet, independent), start)
    if not living:
        names = _few(_names(here), what="bot")
        detail = f"{names} could take it, but takes no new work ({here[0].bot.status})"
        return Why(Reason.DRAINING, detail, f"swarmkeeper bot enable {here[0].bot.id}")
    free = _names(seen for seen in living if seen.room and seen.asks)
    if free:
        return Why(Reason.QUEUED, f"{_few(free, what='bot')} can take it when it next asks for work")
    return _not_taken(living, _run(queue.skills, name=_second(living[0].bot.name, bots)))


def _not_taken(living: Sequence[Seen], another: str) -> Why:
    """Of bots that could take it, and do not: they are at work, or they live and ask for nothing."""
    full = [seen for seen in living if not seen.room]
    mute = sorted((seen for seen in living if seen.room), key=lambda seen: (seen.asked_at, seen.bot.id))
    said = ""
    if mute:
        one = mute[-1]
        names = _few(_names(mute), what="bot")
        said = f"{names} is alive, but has not asked for work since {_time(one.asked_at)}"
    if full:
        detail = f"{_few(_names(full), what='bot')} could take it, but is at capacity"
        detail += _stuck(full)
        return Why(Reason.BOTS_AT_CAPACITY, detail + (f"; {said}" if said else ""), another)
    return Why(Reason.BOT_NOT_ASKING, f"{said}: restart it, or run another", another)


def _stuck(full: Sequence[Seen]) -> str:
    """That code which does not end holds places of bots, and where it stands."""
    for seen in full:
        for one in seen.stuck:
            place = f" in {one.where}" if one.where else ""
            return f": {seen.bot.name} is stuck{place} since {_time(one.since)}; restart it, or run another"
    return ""


def _nobody(item: Item, fleet: Fleet, capable: Sequence[Seen]) -> str:
    """That no bot within reach can do it, with the skills that are missing."""
    who = WHO[item.kind]
    if capable:
        names = _few(_names(capable), what="bot")
        return f"no {who} within reach{_able(item.queue.skills, ' has skill {}')}; away: {names}"
    if not item.queue.skills:
        return f"each {who} is dedicated to its own skills, and this item requires none"
    missing = [skill for skill in item.queue.skills if not fleet.offers(item.kind, skill)]
    if missing:
        return f"no {who} has skill {_few(missing, what='skill', joint=' and ')}"
    return f"no single {who} has skills {_few(item.queue.skills, what='skill', joint=' and ')}"


def _able(skills: Sequence[str], words: str) -> str:
    return words.format(_few(skills, what="skill", joint=" and ")) if skills else ""


def _run(skills: Iterable[str], *, name: str | None = None) -> str:
    """FILE is the bot's own; the skills that are needed are named."""
    words = ["swarmkeeper", "bot", "run", "FILE"]
    if name is not None:
        words += ["--name", name]
    for skill in skills:
        words += ["--skill", skill]
    return shlex.join(words)


def _second(name: str, bots: Sequence[Seen]) -> str:
    """A name beside that one which nobody has."""
    taken = {seen.bot.name for seen in bots}
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def _key_for_another(excluded: Sequence[str], tenant: str) -> str:
    owner = "someone-else"
    while owner in excluded:
        owner += "-else"
    words = ["swarmkeeper", "key", "create", "--role", "bot:evaluator", "--owner", owner]
    return shlex.join([*words, *(["--tenant", tenant] if tenant != DEFAULT_TENANT else [])])


def _names(bots: Iterable[Seen]) -> list[str]:
    """Each name once: several processes may go by it."""
    return list(dict.fromkeys(seen.bot.name for seen in bots))


# ---- in words ------------------------------------------------------------------------------------------------------


def _few(names: Sequence[str], *, what: str, joint: str = ", ", total: int = 0) -> str:
    if not names:
        return f"another {what}"
    told = names[:NAMES_TOLD]
    rest = max(len(names), total) - len(told)
    return joint.join(told) + (f" and {rest} more" if rest > 0 else "")


def _short(text: str) -> str:
    return text if len(text) <= QUESTION_TOLD else f"{text[:QUESTION_TOLD]}…"


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%H:%M:%SZ")


def order(found: Why) -> int:
    """What a person can do something about comes first."""
    return RANK[found.reason]


def summary(task: Standing, counts: Mapping[Reason, int], first: tuple[str, Why] | None, *, failure: str = "") -> str:
    """One sentence on why the task is where it is.

    Args:
        counts: of its items, by reason.
        first: the key of the item that is to be told of, and why it waits.
        failure: what a task that is FAILED failed for.
    """
    if task.status in TASK_CLOSED:
        if task.status is TaskStatus.FAILED:
            return f"The task has ended: {failure or 'failed'}; `swarmkeeper task retry {task.task}` reopens it."
        return "The task has ended; nothing waits."
    if first is None:
        if task.loading:
            return "The rows of its plan are still being written; this finishes by itself."
        return "Nothing waits; the task is about to continue by itself."
    key, found = first
    rest = dict(counts)
    rest[found.reason] = rest.get(found.reason, 1) - 1
    more = [f"{count} {reason}" for reason, count in sorted(rest.items(), key=lambda one: RANK[one[0]]) if count > 0]
    about = f"{key} waits" if key else "The task waits"
    loading = " (the rows of its plan are still being written)" if task.loading and found.reason != "queued" else ""
    said = f"{about} [{found.reason}]: {found.detail}{loading}" + (f"; also waiting: {', '.join(more)}" if more else "")
    return said if said.endswith(("?", "!", ".", "…")) else f"{said}."
