"""Measures a run: how tasks spent their time, queue lengths, utilisation of bots, tokens. It observes every commit like
an invariant, and does not change the run.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swarmkeeper.core.model import TaskRecord, Work
from swarmkeeper.core.states import AttemptOutcome, Kind, Outcome, Status
from swarmkeeper.sim.oracle.user_invariants import UserInvariant
from swarmkeeper.sim.play.scenarios import Scenario

if TYPE_CHECKING:
    from swarmkeeper.sim.oracle.records import Commit, Records

# How a task spends its time. If several apply at once, `_TaskTimes._what` decides.
WORKING, REWORKING, REVIEWING, QUEUEING, HOLDING = "working", "rework", "review", "waiting for a bot", "on hold"
TIMES = (WORKING, REWORKING, REVIEWING, QUEUEING, HOLDING)

FLEETS: Mapping[str, str] = {"Planner": "planners", "Executor": "executors", "Evaluator": "evaluators"}
FLEET_OF: Mapping[str, str] = {Kind.PLAN: "planners", Kind.EXECUTE: "executors", Kind.REVIEW: "evaluators"}


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Items that wait for the same skills."""

    fleet: str
    waits: tuple[float, ...]  # seconds of each item, ascending
    waited: float  # seconds of all items together, while tasks arrived
    busy: float  # seconds that bots worked on these items
    able: float  # seconds available: all slots of bots with these skills
    able_busy: float  # seconds of those slots that were used, for these or other items


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one run. Seconds are virtual."""

    hours: float
    tasks: int
    ended: int
    ended_in_time: int  # while tasks arrived; the throughput
    accepted: int
    completions: tuple[float, ...]  # seconds from submission to acceptance, ascending
    times: Mapping[str, float]  # seconds of all tasks, by `TIMES`
    lines: Mapping[str, QueueFigures]
    utilisation: Mapping[str, float]  # by fleet
    tokens: int
    tokens_rework: int  # of rounds after the first
    tokens_lost: int  # of attempts that did not succeed
    tokens_priced: int  # of attempts whose bot reported no cost
    micro_usd: int  # costs reported by bots


@dataclass(slots=True)
class _TaskTimes:
    begun: float
    at: float
    doing: Counter[str] = field(default_factory=Counter)
    held: bool = False
    held_at: float = 0.0
    held_seconds: float = 0.0
    times: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    ended: float | None = None
    outcome: Outcome | None = None

    def pass_(self, now: float) -> None:
        """Add the time since the last call to the task's current activity."""
        if self.ended is None:
            self.times[self._what()] += now - self.at
        self.at = now

    def _what(self) -> str:
        for activity in (REWORKING, WORKING, REVIEWING):
            if self.doing[activity]:
                return activity
        return QUEUEING if self.doing[QUEUEING] and not self.held else HOLDING

    def held_until(self, now: float) -> float:
        return self.held_seconds + (now - self.held_at if self.held else 0.0)


@dataclass(slots=True)
class _ItemTimes:
    what: str | None
    since: float
    held: float  # seconds that its task had been held by `since`


@dataclass(slots=True)
class _BotTimes:
    type: str
    skills: frozenset[str]
    capacity: int
    busy: float = 0.0


@dataclass(slots=True)
class _QueueCount:
    kind: str
    skills: frozenset[str]
    waits: list[float] = field(default_factory=list)
    waited: float = 0.0
    busy: float = 0.0


class Measure:
    """Measures a run. Pass `invariant` to the run, and call `measured` once it has ended."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._until = scenario.hours * 3600  # later, no tasks arrive
        self._tasks: dict[str, _TaskTimes] = {}
        self._items: dict[str, _ItemTimes] = {}
        self._line_of: dict[int, str] = {}  # by queue
        self._lines: dict[str, _QueueCount] = {}
        self._bots: dict[str, _BotTimes] = {}
        self._leases: dict[str, tuple[str, str, float]] = {}  # bot, line, since
        self._tokens: Counter[str] = Counter()
        self._micro_usd = 0
        self._now = 0.0
        self.invariant = UserInvariant("measured", "what a run is like is measured", self._observe)

    # ---- observing -------------------------------------------------------------------------------------------------

    def _observe(self, model: Records, commit: Commit) -> tuple[()]:
        self._now = now = asyncio.get_running_loop().time()
        if any(event.kind == "bot.registered" for event in commit.events):
            self._learn_bots(model)
        for work in commit.works.values():
            if work.queue not in self._line_of:
                self._learn_lines(model)
        about = dict.fromkeys([*commit.tasks, *(work.task for work in commit.works.values())])
        for task_id in about:
            known = self._tasks.get(task_id)
            if known is None:
                known = self._tasks[task_id] = _TaskTimes(now, now)
            known.pass_(now)
        for lease_id in commit.ended:
            self._end_lease(lease_id, now)
        for work in commit.works.values():
            self._item(work, now)
        for task in commit.tasks.values():
            self._task(task, now)
        for work_id, lease in commit.granted.items():
            if lease.lease_id not in commit.ended:
                self._leases[lease.lease_id] = (lease.bot, self._line_of[model.works[work_id].queue], now)
        for attempt in commit.attempts:
            spent = (attempt.usage or {}).get("tokens", 0)
            self._tokens["all"] += spent
            self._tokens["rework"] += spent if attempt.round > 1 else 0
            self._tokens["lost"] += spent if attempt.ending != AttemptOutcome.SUCCEEDED else 0
            cost = (attempt.usage or {}).get("cost_micro_usd", 0)
            self._micro_usd += cost
            self._tokens["priced"] += 0 if cost else spent
        return ()

    def _learn_bots(self, model: Records) -> None:
        assert model.connection is not None
        rows = model.connection().execute("SELECT id, type, skills, capacity FROM bot ORDER BY id")
        for id_, type_, skills, capacity in rows:
            if id_ not in self._bots:
                self._bots[str(id_)] = _BotTimes(str(type_), frozenset(json.loads(str(skills))), int(str(capacity)))

    def _learn_lines(self, model: Records) -> None:
        assert model.connection is not None
        for id_, kind, skills in model.connection().execute("SELECT id, kind, skills FROM queue ORDER BY id"):
            wanted: list[str] = json.loads(str(skills))
            name = f"{kind}: {', '.join(wanted) or 'any skills'}" if kind == Kind.EXECUTE else str(kind)
            self._line_of[int(str(id_))] = name
            self._lines.setdefault(name, _QueueCount(str(kind), frozenset(wanted)))

    def _task(self, task: TaskRecord, now: float) -> None:
        known = self._tasks[task.id]
        held = bool(task.hold_reasons)
        if held != known.held:
            known.held_seconds = known.held_until(now)
            known.held, known.held_at = held, now
        if task.outcome is not None and known.ended is None:
            known.ended = now
        elif task.outcome is None and known.ended is not None:
            known.times[HOLDING] += now - known.ended  # it had failed, and is retried
            known.ended, known.at = None, now
        known.outcome = task.outcome

    def _item(self, work: Work, now: float) -> None:
        task = self._tasks[work.task]
        before, what = self._items.get(work.id), _doing(work)
        if before is not None:
            if before.what == what:
                return
            if before.what is not None:
                task.doing[before.what] -= 1
            if before.what == QUEUEING:
                self._end_wait(work, before, task, now)
        if work.status == Status.LEASED and (before is None or before.what != QUEUEING) and now < self._until:
            self._lines[self._line_of[work.queue]].waits.append(0.0)  # a bot was already waiting
        if what is not None:
            task.doing[what] += 1
        self._items[work.id] = _ItemTimes(what, now, task.held_until(now))

    def _end_wait(self, work: Work, item: _ItemTimes, task: _TaskTimes, now: float) -> None:
        line = self._lines[self._line_of[work.queue]]
        waited = max(0.0, now - item.since - (task.held_until(now) - item.held))
        if item.since >= self._until:
            return
        line.waited += min(waited, self._until - item.since)
        if work.status == Status.LEASED:
            line.waits.append(waited)

    def _end_lease(self, lease_id: str, now: float) -> None:
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            return
        bot, line, since = lease
        seconds = max(0.0, min(now, self._until) - since)
        self._lines[line].busy += seconds
        if bot in self._bots:
            self._bots[bot].busy += seconds

    # ---- results ---------------------------------------------------------------------------------------------------

    def measured(self) -> Measured:
        for lease_id in list(self._leases):  # open leases, if the run ended early
            self._end_lease(lease_id, self._now)
        tasks = self._tasks.values()
        accepted = [task for task in tasks if task.ended is not None and task.outcome == Outcome.ACCEPTED]
        return Measured(
            hours=self._scenario.hours,
            tasks=len(tasks),
            ended=sum(task.ended is not None for task in tasks),
            ended_in_time=sum(task.ended is not None and task.ended <= self._until for task in tasks),
            accepted=len(accepted),
            completions=tuple(sorted(task.ended - task.begun for task in accepted if task.ended is not None)),
            times={what: sum(task.times.get(what, 0.0) for task in tasks) for what in TIMES},
            lines={name: self._line(line) for name, line in sorted(self._lines.items())},
            utilisation={fleet: self._busy(type_) for type_, fleet in FLEETS.items()},
            tokens=self._tokens["all"],
            tokens_rework=self._tokens["rework"],
            tokens_lost=self._tokens["lost"],
            tokens_priced=self._tokens["priced"],
            micro_usd=self._micro_usd,
        )

    def _line(self, line: _QueueCount) -> QueueFigures:
        fleet = FLEET_OF[line.kind]
        able = [bot for bot in self._bots.values() if FLEETS[bot.type] == fleet and line.skills <= bot.skills]
        return QueueFigures(
            fleet=fleet,
            waits=tuple(sorted(line.waits)),
            waited=line.waited,
            busy=line.busy,
            able=sum(bot.capacity for bot in able) * self._until,
            able_busy=sum(bot.busy for bot in able),
        )

    def _busy(self, type_: str) -> float:
        bots = [bot for bot in self._bots.values() if bot.type == type_]
        slots = sum(bot.capacity for bot in bots) * self._until
        return sum(bot.busy for bot in bots) / slots if slots else 0.0


def _doing(work: Work) -> str | None:
    if work.status == Status.LEASED:
        if work.kind == Kind.REVIEW:
            return REVIEWING
        return REWORKING if work.round > 1 else WORKING
    return {Status.READY: QUEUEING, Status.WAITING: HOLDING}.get(work.status)
