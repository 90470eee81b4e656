"""Calibration: derives a scenario from a recorded swarm, with the source of each field.

Nothing is guessed silently: what the recording does not show is left out of the play, and named in the file and in
`notes`. For a check of the result see `backtest`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

from swarmkeeper.core.model import Limits
from swarmkeeper.core.states import FailureCode
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.play.scenarios import AGAIN, ASKS_AGAIN
from swarmkeeper.sim.rehearse import scenario_files
from swarmkeeper.sim.rehearse.measure import FLEET_OF, FLEETS
from swarmkeeper.sim.rehearse.recording import BadFeed, RecordedAttempt, RecordedTask, Recording, Story, story_of
from swarmkeeper.sim.rehearse.scenario_files import Rehearsal

DURATIONS_MAX = 40  # enough for a distribution with its exact mean, and still readable
TASKS_PER_HOUR_MAX = 100_000
_SIZE_MAX = 1_000
_WEIGHT_MAX = 10.0
# Random arrivals have gaps with a standard deviation near their mean. Above or below these ratios, they are not random.
_BURSTS = 1.5
_EVEN = 0.5

# How many attempts of one draw are deferred, or ask, in a play: see `bots`.
_OFTEN: Mapping[str, float] = {
    **dict.fromkeys(("released", "deferred", "rate_limited"), AGAIN / (1 - AGAIN)),
    "asks": ASKS_AGAIN / (1 - ASKS_AGAIN),
}
_REPORTED = frozenset(("done", "retryable", "not_retryable", "rate_limited"))  # in a play, these use tokens
_TRIED = frozenset(("done", "retryable", "not_retryable", "lost"))


@dataclass(frozen=True, slots=True)
class Calibrated:
    rehearsal: Rehearsal
    plain: Mapping[str, Any]  # the scenario as in a file
    why: Mapping[str, str]  # field -> its source
    notes: Sequence[str]  # unknown, left out, or not played
    story: Story
    begun: float  # time of the first arrival, in seconds of the recording
    arriving: float  # seconds during which tasks arrived
    slots: Mapping[str, int]  # fleet -> total capacity of its bots

    @property
    def tasks(self) -> int:
        return len(self.story.tasks)


def calibrate(recording: Recording, *, name: str = "calibrated") -> Calibrated:
    """Derive a scenario from a recording.

    Raises:
        BadFeed: no task was submitted in it, or its values cannot be played.
    """
    story = story_of(recording)
    tasks = list(story.tasks.values())
    if not tasks:
        raise BadFeed("no task was submitted in it")
    made = _Draft(story, tasks)
    made.arrivals()
    made.plans()
    made.reviews()
    made.fleets()
    made.people()
    made.bounds()
    made.leftovers()
    try:
        rehearsal = scenario_files.made(dict(made.plain), name=name)
    except scenario_files.BadScenario as error:  # e.g. a wrong clock has turned minutes into a thousand years
        raise BadFeed(f"its values cannot be played: {error}") from None
    fleets = {fleet: getattr(rehearsal.scenario, fleet) for fleet in FLEETS.values()}
    return Calibrated(
        rehearsal=rehearsal,
        plain={"name": name, **made.plain},
        why=made.why,
        notes=made.notes,
        story=story,
        begun=made.begun,
        arriving=made.arriving,
        slots={name: fleet.count * fleet.capacity for name, fleet in fleets.items()},
    )


class _Draft:
    def __init__(self, story: Story, tasks: Sequence[RecordedTask]) -> None:
        self.story, self.tasks = story, tasks
        self.plain: dict[str, Any] = {}
        self.why: dict[str, str] = {}
        self.notes: list[str] = []
        self.begun = self.arriving = 0.0

    def put(self, field: str, value: Any, why: str) -> None:
        self.plain[field], self.why[field] = value, why

    # ---- arrivals and plans ----------------------------------------------------------------------------------------

    def arrivals(self) -> None:
        begun = [task.begun for task in self.tasks]
        first, last, end = begun[0], begun[-1], self.story.recording.seconds
        gap = (last - first) / (len(begun) - 1) if last > first else max(end - first, 1.0) / len(begun)
        self.begun = max(0.0, first - gap)
        # If arrivals stopped long before the end, the rest shows how the last tasks ended, not a pause in arrivals.
        self.arriving = max(min(end, last + gap) - self.begun, len(begun) * 3600 / TASKS_PER_HOUR_MAX)
        rate = len(begun) * 3600 / self.arriving
        self.put("tasks_per_hour", _short(rate), f"{len(begun)} tasks in {self.arriving / 3600:.3g} hours")
        self.put("hours", _short(self.arriving / 3600), "as long as tasks came")
        self.put("heal_hours", max(8.0, _short(4 * self.arriving / 3600)), "long enough for all tasks to end")
        gaps = [after - before for before, after in pairwise(begun)]
        if len(gaps) >= 10 and fmean(gaps) > 0:
            spread = pstdev(gaps) / fmean(gaps)
            if spread > _BURSTS or spread < _EVEN:
                how = "in bursts" if spread > _BURSTS else "evenly"
                self.notes.append(f"arrivals: tasks came {how}; in the play they come at random, at the same rate")

    def plans(self) -> None:
        planned = [task for task in self.tasks if task.planned is not None]
        share = _share(sum(task.by_client for task in planned), len(planned))
        self.put("planned_by_client", share, f"of {len(planned)} tasks that were planned")
        # `sizes` covers plans of one subtask; the shape `one` would shorten other plans.
        shapes = Counter(shape for task in planned if task.size > 1 and (shape := shape_of(task)) is not None)
        if not shapes and any(task.size > 1 for task in planned):
            self.notes.append("shapes: no plan was seen far enough; subtasks are played without dependencies")
        self.put("shapes", dict(sorted(shapes.items())) or {"flat": 1}, "from which subtasks became ready together")
        sizes = Counter(str(min(task.size, _SIZE_MAX)) for task in planned if task.size)
        if not sizes:
            self.notes.append("sizes: no plan was seen; each task is played as one subtask")
        ordered = {size: sizes[size] for size in sorted(sizes, key=int)}
        self.put("sizes", ordered or {"1": 1}, f"subtasks of {len(planned)} plans")
        failed = [task for task in self.tasks if task.happened["work.failed"] and task.ended is not None]
        handled = sum(task.code != FailureCode.SUBTASK_FAILED for task in failed)
        self.put("continues", _share(handled, len(failed)), f"of {len(failed)} tasks in which something failed")
        self.put("skilled", 0, "unknown: every bot takes all work of its kind")

    # ---- reviews ---------------------------------------------------------------------------------------------------

    def reviews(self) -> None:
        modes = Counter(mode for task in self.tasks if (mode := _evaluation(task)) is not None)
        if not modes:
            self.notes.append("evaluation: no task got as far as a review; none is played")
        self.put(
            "evaluation", dict(sorted(modes.items())) or {"none": 1}, f"of {modes.total()} tasks that got that far"
        )
        quorums = Counter(quorum for task in self.tasks if (quorum := _quorum(task)) is not None)
        self.put("quorums", dict(sorted(quorums.items())) or {"1/1": 1}, f"of {quorums.total()} reviewed tasks")
        verdicts = {decision: self.story.verdicts[decision] for decision in ("accept", "rework", "reject")}
        if not verdicts["accept"]:
            if modes.keys() - {"none"}:
                self.notes.append(
                    "verdicts: no review accepted anything; `accept` is played with weight 1, so that tasks end"
                )
            verdicts["accept"] = 1
        self.put("verdicts", verdicts, f"of {self.story.verdicts.total()} reviews")
        exhausted = [task.reworks for task in self.tasks if task.code == FailureCode.ROUNDS_EXHAUSTED]
        most = max((task.reworks for task in self.tasks), default=0)
        if exhausted:
            self.put("max_rounds", min(20, max(1, *exhausted)), "where the rounds of a task were used up")
        else:
            self.put("max_rounds", min(20, max(3, most)), f"no task used its rounds up; the most were {most}")
        kinds = Counter(_approval(task) for task in self.tasks)
        self.put("approvals", dict(sorted(kinds.items())), f"of {len(self.tasks)} tasks")
        late = [task for task in self.tasks if task.code == FailureCode.DEADLINE and task.ended is not None]
        self.put("deadline", _share(len(late), len(self.tasks)), "tasks that missed it; a met deadline is unknown")
        if late:
            self.put("deadline_seconds", _short(fmean((task.ended or 0) - task.begun for task in late)), "their mean")

    # ---- bots and people -------------------------------------------------------------------------------------------

    def fleets(self) -> None:
        for kind, name in FLEET_OF.items():
            self._fleet(str(kind), name)
        readers = max(int(quorum[-1]) for quorum in self.plain["quorums"])
        if self.plain["evaluators"]["count"] < readers:
            self.plain["evaluators"]["count"] = readers
            self.notes.append(f"evaluators.count: fewer were seen than a quorum asks for; {readers} are played")

    def _fleet(self, kind: str, name: str) -> None:
        story = self.story
        done = [
            attempt
            for attempt in story.attempts
            if attempt.kind == kind and attempt.how not in ("open", "cancelled", "unseen")
        ]
        bots = {id_: bot for id_, bot in story.bots.items() if FLEETS[bot.type] == name}
        fleet: dict[str, Any] = {}
        end = story.recording.seconds
        there = sum((end if bot.until is None else bot.until) - bot.since for bot in bots.values())
        # Bots that register in the first seconds of the recording count as present for the whole time.
        fleet["count"] = min(500, max(1, round(there / end) if end else len(bots)))
        known = [story.recording.capacities[id_] for id_ in bots if id_ in story.recording.capacities]
        most = max((bot.most for bot in bots.values()), default=1)
        fleet["capacity"] = min(100, max(1, round(fmean(known)) if known else most))
        times = sorted(attempt.ended - attempt.began for attempt in done if attempt.ended is not None)
        fleet["durations"] = durations_of(times)
        fleet["tokens"] = self._tokens(done)
        fleet |= weights_of(Counter(attempt.how for attempt in done))
        fleet["unsound"] = 0
        if not times:
            del fleet["durations"]
            fleet["work_seconds"] = 1
            self.notes.append(f"{name}: no attempt of theirs ended in the recording; they are played as quick")
        why = f"{len(bots)} seen, {len(done)} attempts"
        self.put(name, fleet, why if known else f"{why}; capacity: the most attempts of one bot at once")
        lost = sum(attempt.how == "lost" for attempt in done)
        if lost:
            words = "attempts timed out, or their bot fell silent: played as retryable failures"
            self.notes.append(f"{name}: {lost} {words}")

    def _tokens(self, done: Iterable[RecordedAttempt]) -> int:
        tokens = [attempt.tokens for attempt in done if attempt.tokens is not None and attempt.how in _REPORTED]
        return round(fmean(tokens)) if tokens else 0

    def people(self) -> None:
        tasks, failed = self.tasks, self._times("task.failed")
        retried = sum(self._times(f"task.retried_to_{what}") for what in ("plan", "work", "review"))
        archived = self._times("task.archived")
        bots = self.story.bots.values()
        ten_minutes = len(bots) * self.story.recording.seconds / 600
        decided = self.story.decisions.total()
        people: dict[str, Any] = {
            "cancel": _share(sum(task.code == FailureCode.CANCELLED for task in tasks), len(tasks)),
            "pause": _share(sum(task.happened["paused"] > 0 for task in tasks), len(tasks)),
            "patch": _share(sum(task.happened["task.updated"] > 0 for task in tasks), len(tasks)),
            "retry": _share(retried, failed),
            "archive": _share(archived, failed - retried),
            "tell": _share(sum(task.happened["task.message"] > 0 for task in tasks), len(tasks)),
            "drain": _share(sum(bot.drained for bot in bots), ten_minutes),
            "decide_seconds": max(1.0, _short(fmean(self.story.deciding))) if self.story.deciding else 60,
            "approve": _share(self.story.decisions["agreed"], decided) if decided else 1,
        }
        self.put("people", people, f"{failed} failures, {decided} decisions")
        if people["pause"]:
            self.notes.append("people.pause: how long a pause lasts is not calibrated; it is played as 5 minutes")

    def _times(self, what: str) -> int:
        return sum(task.happened[what] for task in self.tasks)

    # ---- fields that no event shows --------------------------------------------------------------------------------

    def bounds(self) -> None:
        usual = Limits()
        fleets = [self.plain[name] for name in FLEETS.values()]
        longest = max((max(fleet.get("durations", [0])) for fleet in fleets), default=0)
        bounds = {
            "lease_seconds": usual.lease_ttl / SECOND,
            # A simulated bot stops at nine tenths of the timeout; longer recorded attempts must not be shortened.
            "timeout_seconds": min(604_800, max(usual.timeout / SECOND, _short(longest * 1.2))),
            "schedule_to_start_seconds": usual.start / SECOND,
            "answer_seconds": usual.answer / SECOND,
        }
        self.put("bounds", bounds, "unknown: the defaults, and none shorter than what was seen")
        self.put("faults", [], "unknown: none are played; try some with `simulate --faults`")

    def leftovers(self) -> None:
        story, recording = self.story, self.story.recording
        notes = [
            "faults: none are played. What failed in the recording is in the rates of the bots",
            "skills: which subtask needs which is not in the feed; every bot takes all work of its kind",
            "shapes: edges of plans are not in the feed; they are derived from which subtasks became ready together",
            "deadlines that were met, leases and time-outs are not in the feed; the default bounds are played",
            "people.cancel, people.pause and the rest happen at random times, not at those of the recording",
            "rework: which subtasks are sent back is not calibrated; the play sends back some of them at random",
        ]
        if recording.tokens is None:
            notes.append("tokens: what attempts used is not in the feed; 0 are played. A store has them")
        if not recording.capacities:
            notes.append("capacity: how much a bot takes at once is not in the feed; the most that was seen is played")
        if story.deferrals:
            notes.append(
                f"deferrals lasted {fmean(story.deferrals):.3g} s; the play puts off for 10 to 20 s on average"
            )
        if story.cut:
            notes.append(
                f"left out: {story.cut_events} events of {len(story.cut)} tasks that began before the recording"
            )
        if story.open:
            notes.append(f"open: {story.open} tasks had not ended when the recording did")
        if recording.repeated:
            notes.append(f"left out: {recording.repeated} lines that repeat another")
        if recording.moved:
            notes.append(f"order: {recording.moved} lines came before earlier events; they were sorted")
        if recording.tenants > 1:
            notes.append(f"tenants: {recording.tenants} are treated as one")
        self.notes += notes


# ---- helpers for single fields -------------------------------------------------------------------------------------


def shape_of(task: RecordedTask) -> str | None:
    """Guess a plan's shape from how many subtasks became ready at once; None if unknown. Shapes may look the same."""
    n, freed = task.size, task.freed
    if n == 1:
        return "one"
    if not n or not freed:
        return None
    roots, *later = freed
    if roots >= n:
        return "flat"
    if roots == n - 1 > 1:
        return "join"
    if not later:
        return None
    if roots == 1 and n > 2 and later[0] >= n - 1:
        return "fan"
    return "chain" if roots == 1 and set(later) == {1} else "free"


def _evaluation(task: RecordedTask) -> str | None:
    if task.each:
        return "each"
    if task.reviewers:
        return "final"
    return "none" if task.outcome == "accepted" else None


def _quorum(task: RecordedTask) -> str | None:
    """Take the votes with which a task was accepted as its quorum."""
    if not task.reviewers or task.reviewers > 9:
        return None
    accept = 1 if task.reviewers == 1 else task.accepted_by
    return None if not accept or accept > min(5, task.reviewers) else f"{accept}/{task.reviewers}"


def _approval(task: RecordedTask) -> str:
    return next((kind for kind in ("plan", "final", "rounds") if kind in task.approvals), "none")


def durations_of(times: Sequence[float]) -> list[float]:
    """Reduce a distribution to a few equally likely values with the same mean: the mean of each quantile."""
    if len(times) <= DURATIONS_MAX:
        return [_short(seconds) for seconds in times]
    whole, parts = len(times), []
    for number in range(DURATIONS_MAX):
        low, high = number * whole / DURATIONS_MAX, (number + 1) * whole / DURATIONS_MAX
        inside = ((min(high, at + 1) - max(low, at), times[at]) for at in range(int(low), min(whole, int(high) + 1)))
        parts.append(_short(sum(weight * seconds for weight, seconds in inside if weight > 0) / (high - low)))
    return parts


def weights_of(ends: Mapping[str, int]) -> dict[str, float]:
    """Return weights relative to 1 for success, so that a play has these ends as often."""
    draws = sum(ends.get(how, 0) for how in _TRIED)
    if not draws:
        return {}
    chances = {
        "retryable": (ends.get("retryable", 0) + ends.get("lost", 0)) / draws,
        "not_retryable": ends.get("not_retryable", 0) / draws,
        **{how: ends.get(how, 0) / draws / often for how, often in _OFTEN.items()},
    }
    done = max(1 - sum(chances.values()), 1 / (_WEIGHT_MAX * len(chances)))
    return {how: min(_WEIGHT_MAX, _short(chance / done)) for how, chance in chances.items()}


def _share(part: float, whole: float) -> float:
    return min(1.0, _short(part / whole)) if whole > 0 else 0


def _short(value: float) -> float:
    """Round to four digits; more would be false precision."""
    return float(f"{value:.4g}")


# ---- the file ------------------------------------------------------------------------------------------------------


def as_file(made: Calibrated, ending: str) -> str:
    """Write the scenario as YAML (`ending` is `.yaml` or `.yml`) or TOML, with the notes as comments."""
    head = [
        f"Calibrated from {len(made.story.recording.facts)} events of {made.tasks} tasks.",
        "Not in the recording, or not played:",
        *(f"- {note}" for note in made.notes),
    ]
    lines = [f"# {line}" for line in head]
    toml = ending == ".toml"
    whole = {name: value for name, value in made.plain.items() if not _is_part(name)}
    parts = {name: value for name, value in made.plain.items() if _is_part(name)}
    for name, value in whole.items():
        why = made.why.get(name)
        text = f"{name} = {_toml(value)}" if toml else f"{name}: {_yaml(value)}"
        lines.append(text + (f"  # {why}" if why else ""))
    for name, part in parts.items():
        lines += ["", f"[{name}]  # {made.why[name]}" if toml else f"{name}:  # {made.why[name]}"]
        lines += [f"{key} = {_toml(value)}" if toml else f"  {key}: {_yaml(value)}" for key, value in part.items()]
    return "\n".join(lines) + "\n"


def _is_part(name: str) -> bool:
    return name in (*FLEETS.values(), "people", "bounds")


def _yaml(value: Any) -> str:
    return json.dumps(value)  # JSON is valid YAML


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
