"""Reads a recorded event feed: reconstructs tasks, attempts, waits and bots from its events, and measures any part of
it like a simulated run (see `measure`).

Events are read in the order of the feed, whatever the order of the lines: by their times, and within a task by their
`sequence`, because an event's id does not tell its place. (In recordings of older versions it does: it is a number.) A
task whose submission is not in the recording is left out, and counted. A task or attempt without an end is open.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from swarmkeeper.core.model import Event
from swarmkeeper.core.states import Kind, Outcome
from swarmkeeper.govern import cursors
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.rehearse.measure import FLEET_OF, FLEETS, TIMES, Measured, QueueFigures

_COUNT_MAX = 2**31  # upper bound of counts in events
_SQLITE = b"SQLite format 3\x00"


class BadFeed(ValueError):
    """The input is not a recorded feed; the message names the line."""


@dataclass(frozen=True, slots=True)
class Fact:
    """The used parts of an event."""

    position: int  # in the feed; of a line without a number: of the line
    at: float  # seconds
    kind: str
    task: str | None
    data: Mapping[str, Any]
    work: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    facts: Sequence[Fact]  # in the order of the feed; the first is at second 0
    repeated: int = 0  # duplicate lines
    moved: int = 0  # lines out of order
    tokens: Mapping[tuple[str, int], int] | None = None  # by item and attempt; None: unknown
    capacities: Mapping[str, int] = field(default_factory=dict)  # bot -> capacity, if known
    tenants: int = 1

    @property
    def seconds(self) -> float:
        return self.facts[-1].at

    def until(self, seconds: float) -> Recording:
        """Return the recording cut off at this second."""
        return replace(self, facts=[fact for fact in self.facts if fact.at <= seconds])


# ---- reads ---------------------------------------------------------------------------------------------------------


def read(path: Path) -> Recording:
    """Read a recorded feed (one JSON event per line), or an SQLite store (opened read-only).

    Raises:
        BadFeed: the file is neither, or has no events.
        OSError: the file cannot be read.
    """
    if path.is_file():  # a pipe can be read only once
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                return _of_store(path)
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        return of_lines(lines)


def of_lines(lines: Iterable[str]) -> Recording:
    """Read events as printed by `swarmkeeper task events --json`, one per line. Empty lines are skipped.

    Raises:
        BadFeed: a line is not an event, or there are no events.
    """
    found: dict[str, tuple[Fact, int]] = {}  # by the event's id: with its sequence
    repeated = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        event_id, fact, sequence = _fact(line, number)
        repeated += event_id in found
        found.setdefault(event_id, (fact, sequence))
    if not all(map(_is_number, found)):
        ordered = _by_time(list(found.values()))
    else:
        ordered = [replace(fact, position=int(event_id)) for event_id, (fact, _) in found.items()]
    moved = latest = 0
    for fact in ordered:
        moved += fact.position < latest
        latest = max(latest, fact.position)
    return _recording(ordered, repeated=repeated, moved=moved)


def _is_number(event_id: str) -> bool:
    return event_id.isdecimal() and len(event_id) < 19


def _by_time(found: Sequence[tuple[Fact, int]]) -> list[Fact]:
    """Number events in the order of time; those of one task in the order of their sequence, whatever their times.

    Among those of one moment the order of the lines counts. If lines were moved, it may be that of no feed: then work
    is taken last, because a bot reports and takes the next work in one moment, and never the other way round.
    """
    order: list[tuple[tuple[float, int, int], Fact, bool]] = []
    reached: dict[str | None, tuple[float, int, bool]] = {}  # by task: latest time, last line, whether work was taken
    for fact, sequence in sorted(found, key=lambda each: (each[1], each[0].position)):
        at, line, takes = fact.at, fact.position, fact.kind == "work.leased"
        if fact.task is not None and fact.task in reached:
            before, its_line, took = reached[fact.task]
            at, line, takes = max(before, at), max(its_line, line), takes or (took and at <= before)
        reached[fact.task] = (at, line, takes)
        order.append(((at, line, sequence), fact, takes))
    order.sort(key=lambda each: each[0])
    lines = [fact.position for _, fact, _ in order]
    if lines != sorted(lines):
        order.sort(key=lambda each: (each[0][0], each[2], *each[0][1:]))
    places = {id(fact): place for place, (_, fact, _) in enumerate(order, 1)}
    return [replace(fact, position=places[id(fact)]) for fact, _ in found]


def _recording(facts: Iterable[Fact], **more: Any) -> Recording:
    ordered = sorted(facts, key=lambda fact: fact.position)
    if not ordered:
        raise BadFeed("there is no event in it")
    # A wall clock may be set back, but no event happened before the previous event of the feed.
    begun, latest, even = ordered[0].at, 0.0, []
    for fact in ordered:
        latest = max(latest, fact.at - begun)
        even.append(replace(fact, at=latest))
    return Recording(even, **more)


def _fact(line: str, number: int) -> tuple[str, Fact, int]:
    """Return an event's id, what is used of it, and its sequence within its task."""
    try:
        plain = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadFeed(f"line {number}: this is not JSON") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("type"), str):
        raise BadFeed(f"line {number}: this is not an event")
    event_id, data, subject = str(plain.get("id", "")), plain.get("data", {}), plain.get("subject")
    if not (_is_number(event_id) or re.fullmatch(cursors.PATTERN, event_id, re.ASCII)):
        raise BadFeed(f"line {number}: the event's `id` is not a position in the feed")
    sequence = plain.get("sequence", 0)
    if not isinstance(sequence, int) or not 0 <= sequence < _COUNT_MAX:
        raise BadFeed(f"line {number}: the event's `sequence` is not what it should be")
    if not isinstance(data, dict) or not isinstance(subject, str | None):
        raise BadFeed(f"line {number}: the event's `data` or `subject` is not what it should be")
    try:
        at = datetime.fromisoformat(plain["time"])
    except (KeyError, TypeError, ValueError):
        raise BadFeed(f"line {number}: the event's `time` is not a time") from None
    if at.tzinfo is None:
        raise BadFeed(f"line {number}: the event's `time` has no time zone")
    kind = plain["type"].removeprefix("io.swarmkeeper.").removesuffix(".v1")
    task = None if subject is None else subject.removeprefix("tasks/")
    work = data.get("work_id")
    _check_data(data, number)
    work_id = work if isinstance(work, str) else None
    return event_id, Fact(number, at.timestamp(), kind, task, data, work_id), sequence


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


# Types of the fields that are read from an event's data; each may be missing.
_TYPES: Mapping[str, type] = {
    **dict.fromkeys(
        ("key", "bot", "kind", "hold", "name", "type", "verb", "outcome", "code", "approval", "actor"), str
    ),
    **dict.fromkeys(("attempt", "round", "count"), int),
    "keys": list,
    "votes": dict,
    "error": dict,
}


def _check_data(data: Mapping[str, Any], number: int) -> None:
    def is_count(value: Any) -> bool:
        return isinstance(value, int) and 0 <= value < _COUNT_MAX

    for name, type_ in _TYPES.items():
        value = data.get(name)
        fine = value is None or (is_count(value) if type_ is int else isinstance(value, type_))
        if fine and name in ("keys", "votes"):
            fine = all(isinstance(item, str) for item in value or ())
        if fine and name == "votes":
            fine = all(map(is_count, (value or {}).values()))
        if not fine:
            raise BadFeed(f"line {number}: the event's `data.{name}` is not what it should be")


def of_run(events: Iterable[Event], begun: int, tokens: Mapping[tuple[str, int], int]) -> Recording:
    """Make a recording of a simulated run's events. `begun` is the start of the run, in microseconds."""
    facts = [
        Fact(
            number,
            max(0.0, (event.at - begun) / SECOND),
            event.kind,
            event.task,
            {**_body(event), "actor": event.actor},
            event.work,
        )
        for number, event in enumerate(events, 1)
    ]
    return Recording(facts, tokens=tokens)


def _body(event: Event) -> Mapping[str, Any]:
    value = event.body.value
    return value if isinstance(value, dict) else {}


def _of_store(path: Path) -> Recording:
    """Read the feed of a store, and also its tokens and capacities."""
    import apsw

    store = None
    try:
        store = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        store.execute("BEGIN")  # one snapshot for all reads, because the store may be in use
        rows = list(store.execute("SELECT seq, at, kind, task, work, actor, body, tenant FROM event ORDER BY seq"))
        used = list(store.execute("SELECT work, attempt, usage FROM attempt WHERE usage IS NOT NULL"))
        bots = list(store.execute("SELECT id, capacity FROM bot"))
    except apsw.Error as error:
        raise BadFeed(f"this store cannot be read: {error}") from None
    finally:
        if store is not None:
            store.close()
    try:
        facts = [
            Fact(seq, at / SECOND, kind, task, {**json.loads(body), "actor": actor}, work)
            for seq, at, kind, task, work, actor, body, _ in rows
        ]
        tokens = {(work, attempt): int(json.loads(usage).get("tokens", 0)) for work, attempt, usage in used}
        for fact in facts:
            _check_data(fact.data, fact.position)
    except (AttributeError, TypeError, ValueError):
        raise BadFeed("this is not a store of swarmkeeper, or of another version") from None
    return _recording(facts, tokens=tokens or None, capacities=dict(bots), tenants=len({row[-1] for row in rows}))


# ---- the story -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RecordedAttempt:
    kind: str
    task: str
    bot: str
    round: int
    began: float
    queued: float  # when the item became available
    waited: float  # seconds in the queue, without the time on hold
    ended: float | None = None
    how: str = "open"  # or done, an error class, released, deferred, asks, lost, unseen, cancelled
    tokens: int | None = None


Since = tuple[float, float]  # when an item became available, and for how long its task had been held by then


@dataclass(slots=True)
class RecordedTask:
    """One task, reconstructed from its events."""

    id: str
    begun: float
    ended: float | None = None
    outcome: str | None = None
    code: str | None = None  # why it failed
    planned: float | None = None
    by_client: bool = False
    size: int = 0  # subtasks of its first plan
    freed: list[int] = field(default_factory=list)  # numbers of subtasks that became ready together, in the first round
    each: bool = False
    reviewers: int = 0  # of one round
    accepted_by: int | None = None  # votes with which it was accepted
    reworks: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    approvals: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)
    held_at: float = 0.0
    held_seconds: float = 0.0
    ready: dict[str, Since] = field(default_factory=dict)  # by key
    made: dict[str, Since] = field(default_factory=dict)  # by kind: for items that no event names
    running: dict[str, RecordedAttempt] = field(default_factory=dict)

    def held_until(self, now: float) -> float:
        return self.held_seconds + (now - self.held_at if self.holds else 0.0)

    def since(self, now: float) -> Since:
        return now, self.held_until(now)


@dataclass(slots=True)
class RecordedBot:
    type: str
    since: float
    until: float | None = None  # None: present until the end
    most: int = 0  # attempts at once
    drained: int = 0
    running: int = 0


@dataclass(slots=True)
class Story:
    """All tasks, attempts and bots of a recording."""

    recording: Recording
    tasks: dict[str, RecordedTask] = field(default_factory=dict)
    attempts: list[RecordedAttempt] = field(default_factory=list)
    bots: dict[str, RecordedBot] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)  # by people
    deciding: list[float] = field(default_factory=list)  # seconds
    deferrals: list[float] = field(default_factory=list)  # seconds
    cut: set[str] = field(default_factory=set)  # tasks whose submission is missing
    cut_events: int = 0
    opened: dict[str, float] = field(default_factory=dict)

    @property
    def open(self) -> int:
        """Number of tasks that had not ended."""
        return sum(task.ended is None for task in self.tasks.values())


# Event kind -> how the attempt ended. For failures, the error class says it.
_ENDS: Mapping[str, str] = {
    "work.succeeded": "done",
    "work.submitted": "done",
    "work.released": "released",
    "work.deferred": "deferred",
    "work.asked": "asks",
    "work.timed_out": "lost",
    "work.lease_expired": "lost",
    "work.poisoned": "lost",
    "work.lease_unseen": "unseen",
}
_FREES = frozenset(("work.due", "work.answered", "work.released", "work.lease_unseen", "work.rework"))
_TYPE_OF = {Kind.PLAN: "Planner", Kind.EXECUTE: "Executor", Kind.REVIEW: "Evaluator"}


def story_of(recording: Recording) -> Story:
    story = Story(recording)
    for fact in recording.facts:
        if fact.kind.startswith("bot."):
            _bot(story, fact)
            continue
        if fact.task is None:
            continue
        if fact.kind == "task.submitted":
            story.tasks[fact.task] = RecordedTask(fact.task, fact.at, made={Kind.PLAN: (fact.at, 0.0)})
        task = story.tasks.get(fact.task)
        if task is None:
            story.cut.add(fact.task)
            story.cut_events += 1
            continue
        task.happened[fact.kind] += 1
        if fact.kind.startswith("work."):
            _work(story, task, fact)
        elif fact.kind.startswith("approval."):
            _approval(story, task, fact)
        else:
            _task(story, task, fact)
    return story


def _bot(story: Story, fact: Fact) -> None:
    id_ = fact.data.get("bot")
    if id_ is None:
        return
    if fact.kind == "bot.registered" and id_ not in story.bots and fact.data.get("type") in FLEETS:
        story.bots[id_] = RecordedBot(fact.data["type"], fact.at)
    elif id_ in story.bots and fact.kind == "bot.deleted":
        story.bots[id_].until = fact.at
    elif id_ in story.bots and fact.kind == "bot.draining":
        story.bots[id_].drained += 1


def _task(story: Story, task: RecordedTask, fact: Fact) -> None:
    now, data = fact.at, fact.data
    if data.get("outcome") is not None:
        task.ended, task.outcome, task.code = now, data["outcome"], data.get("code")
    elif fact.kind.startswith("task.retried"):
        task.ended = task.outcome = task.code = None
        task.reworks = 0
        task.made |= dict.fromkeys((Kind.PLAN, Kind.REVIEW), task.since(now))
    if fact.kind == "task.planned" and task.planned is None:
        task.planned, task.size = now, data.get("count", 0)
        task.by_client = not task.happened["work.leased"] and now == task.begun
    elif fact.kind == "task.finished":
        task.made[Kind.REVIEW] = task.since(now)
    elif fact.kind == "task.rework":
        task.reworks += 1
    elif fact.kind == "task.judged":
        votes = data.get("votes", {})
        story.verdicts.update(votes)
        if data.get("decision") == "accept":
            task.accepted_by = votes.get("accept")
    elif fact.kind in ("task.held", "task.unheld"):
        _hold(task, str(data.get("hold")), held=fact.kind == "task.held", now=now)


def _hold(task: RecordedTask, name: str, *, held: bool, now: float) -> None:
    task.held_seconds = task.held_until(now)
    task.held_at = now
    if held:
        task.holds.add(name)
        task.happened["paused"] += name == "paused"
    else:
        task.holds.discard(name)


def _approval(story: Story, task: RecordedTask, fact: Fact) -> None:
    name, kind = str(fact.data.get("approval")), str(fact.data.get("kind"))
    if fact.kind == "approval.opened":
        story.opened[name] = fact.at
        task.approvals.add(kind)
    elif fact.kind == "approval.decided":
        story.decisions["rejected" if fact.data.get("verb") == "reject" else "agreed"] += 1
        if name in story.opened:
            story.deciding.append(fact.at - story.opened.pop(name))


def _work(story: Story, task: RecordedTask, fact: Fact) -> None:
    now, data, key = fact.at, fact.data, fact.data.get("key", "")
    if fact.kind == "work.leased":
        _lease(story, task, fact)
        return
    if fact.kind in ("work.unblocked", "work.reopened", "work.cancelled", "work.skipped"):
        _several(task, story, fact)
        return
    if fact.kind in _ENDS or fact.kind in ("work.attempt_failed", "work.failed"):
        how = _ENDS.get(fact.kind) or str((data.get("error") or {}).get("class", "retryable"))
        if how == "deferred":
            seconds = data.get("in_seconds")
            story.deferrals += [float(seconds)] if isinstance(seconds, int | float) else []
            # If the bot itself defers, the actor is its key; for a refused report, the actor is the bot.
            how = "rate_limited" if data.get("actor") == data.get("bot") else how
        _end(story, task, key, how, now)
    if fact.kind == "work.submitted":
        task.each = True
        task.ready[f"review-of/{key}/{data.get('round', 1)}"] = task.since(now)
    if fact.kind in ("work.accepted", "work.rework", "work.rejected") and data.get("decision"):
        story.verdicts[str(data["decision"])] += 1
    if fact.kind in _FREES:
        task.ready[key] = task.since(now)


def _several(task: RecordedTask, story: Story, fact: Fact) -> None:
    """Apply an event about many items. It names only the first ones."""
    now, keys = fact.at, tuple(fact.data.get("keys", ()))
    count = max(len(keys), fact.data.get("count", 0))
    if fact.kind == "work.unblocked" and not task.happened["task.rework"]:
        task.freed.append(count)
    if count > len(keys) and fact.kind in ("work.unblocked", "work.reopened"):
        task.made[Kind.EXECUTE] = task.since(now)
    if count > len(keys) and fact.kind == "work.cancelled":
        keys = (*keys, *(key for key in task.running if key not in keys))
    for key in keys:
        _end(story, task, key, "cancelled", now)
        task.ready.pop(key, None)
        if fact.kind in ("work.unblocked", "work.reopened"):
            task.ready[key] = task.since(now)
        if key.startswith("review/"):
            task.reviewers = max(task.reviewers, _number_of(key))


def _lease(story: Story, task: RecordedTask, fact: Fact) -> None:
    now, data = fact.at, fact.data
    key, kind, bot = data.get("key", ""), data.get("kind"), data.get("bot", "")
    if kind not in _TYPE_OF:
        return
    if key.startswith("review/"):
        task.reviewers = max(task.reviewers, _number_of(key))
    _end(story, task, key, "lost", now)  # an earlier attempt without an end
    ready: Since | None = task.ready.pop(key, None)
    queued, held = ready or task.made.get(kind) or task.since(now)
    waited = max(0.0, now - queued - (task.held_until(now) - held))
    attempt = RecordedAttempt(kind, task.id, bot, data.get("round", 1), now, queued, waited)
    if story.recording.tokens is not None:
        attempt.tokens = story.recording.tokens.get((fact.work or "", data.get("attempt", 0)))
    story.attempts.append(attempt)
    task.running[key] = attempt
    seen = story.bots.setdefault(bot, RecordedBot(_TYPE_OF[kind], 0.0))  # registered before the recording
    seen.running += 1
    seen.most = max(seen.most, seen.running)


def _number_of(key: str) -> int:
    number = key.rpartition("/")[2]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0


def _end(story: Story, task: RecordedTask, key: str, how: str, now: float) -> None:
    attempt = task.running.pop(key, None)
    if attempt is not None:
        attempt.ended, attempt.how = now, how
        story.bots[attempt.bot].running -= 1


# ---- figures of a part ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MeasuredPart:
    measured: Measured
    rework_seconds: float  # work of bots on subtasks, in rounds after the first
    work_seconds: float  # work of bots on subtasks


def part_of(story: Story, since: float, until: float, slots: Mapping[str, int]) -> MeasuredPart:
    """Measure the recording between these seconds. `slots` is the total capacity of each fleet, for utilisation.

    Throughput, completion times and acceptance count the tasks that ended in this time, whenever they were submitted.
    """
    ended = [task for task in story.tasks.values() if task.ended is not None and since <= task.ended <= until]
    accepted = [task for task in ended if task.outcome == Outcome.ACCEPTED]
    busy: dict[str, float] = dict.fromkeys(FLEETS.values(), 0.0)
    waits: dict[str, list[float]] = {kind: [] for kind in FLEET_OF}
    tokens: Counter[str] = Counter()
    rework = work = 0.0
    for attempt in story.attempts:
        end = until if attempt.ended is None else min(attempt.ended, until)
        seconds = max(0.0, end - max(attempt.began, since))
        busy[FLEET_OF[attempt.kind]] += seconds
        if attempt.kind == Kind.EXECUTE:
            work += seconds
            rework += seconds if attempt.round > 1 else 0.0
        if since <= attempt.queued < until:
            waits[attempt.kind].append(attempt.waited)
        if attempt.ended is not None and since <= attempt.ended <= until:
            tokens["all"] += attempt.tokens or 0
            tokens["rework"] += attempt.tokens or 0 if attempt.round > 1 else 0
            tokens["lost"] += attempt.tokens or 0 if attempt.how != "done" else 0
    span = until - since
    able = {fleet: slots.get(fleet, 0) * span for fleet in FLEETS.values()}

    def queue_figures(fleet: str, waited: Sequence[float]) -> QueueFigures:
        return QueueFigures(fleet, tuple(sorted(waited)), sum(waited), busy[fleet], able[fleet], busy[fleet])

    measured = Measured(
        hours=span / 3600,
        tasks=sum(since <= task.begun <= until for task in story.tasks.values()),
        ended=len(ended),
        ended_in_time=len(ended),
        accepted=len(accepted),
        completions=tuple(sorted(task.ended - task.begun for task in accepted if task.ended is not None)),
        times=dict.fromkeys(TIMES, math.nan),  # cannot be derived from events
        lines={str(kind): queue_figures(fleet, waits[kind]) for kind, fleet in FLEET_OF.items()},
        utilisation={fleet: busy[fleet] / able[fleet] if able[fleet] else 0.0 for fleet in FLEETS.values()},
        tokens=tokens["all"],
        tokens_rework=tokens["rework"],
        tokens_lost=tokens["lost"],
        tokens_priced=tokens["all"],
        micro_usd=0,
    )
    return MeasuredPart(measured, rework, work)
