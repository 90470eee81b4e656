"""Back-test: checks whether a calibrated scenario plays like the recorded swarm. It calibrates on the first part of a
recording, plays several seeds, and compares them with the rest of the recording.

The same code measures both sides from the same kind of events (`recording.part_of`). The play ends where the recording
ends, and only the time of the held-back part counts. A recording that is too short to be split is compared with itself.
The result says so, because this error is smaller than that of a forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any

from swarmkeeper.core.model import Event
from swarmkeeper.sim.kernel.clock import BEGINNING
from swarmkeeper.sim.oracle.invariants import Violation
from swarmkeeper.sim.oracle.user_invariants import UserInvariant
from swarmkeeper.sim.play.scenarios import Scenario
from swarmkeeper.sim.pool import in_processes
from swarmkeeper.sim.rehearse.calibrate import Calibrated, calibrate
from swarmkeeper.sim.rehearse.measure import FLEETS
from swarmkeeper.sim.rehearse.recording import MeasuredPart, Recording, Story, of_run, part_of, story_of
from swarmkeeper.sim.rehearse.report import Band, band, figures_of, number, spread
from swarmkeeper.sim.rehearse.scenario_files import Rehearsal
from swarmkeeper.sim.run import Case, run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarmkeeper.sim.oracle.records import Commit, Records

HOLD_BACK = 0.3
# With fewer tasks, the figures depend more on chance than on the scenario.
CALIBRATED_ON_MIN = 20
HELD_BACK_MIN = 10
_SHOWN = (
    "tasks_per_hour",
    "accepted_share",
    "completion_p50_seconds",
    "completion_p95_seconds",
    "queue_p95_seconds",
    "tokens_per_task",
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure: the measured value, the simulated band, and the error of the band's median."""

    name: str
    words: str
    unit: str
    measured: float | None
    simulated: Band | None
    # Relative to the measured value. For a share: the difference in percentage points. For a wait: relative to the
    # median completion time, because waits may be close to 0. None: unknown.
    error_percent: float | None
    inside: bool  # the measured value is within the band


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario to play, and the measured part to compare with. Seconds count from the begin of the play."""

    calibrated: Calibrated
    scenario: Scenario
    since: float
    until: float
    in_sample: bool
    measured: MeasuredPart


@dataclass(frozen=True, slots=True)
class BackTest:
    trial: Trial
    seeds: Sequence[int]
    checks: Sequence[Comparison]

    def beyond(self, error_max: float) -> list[Comparison]:
        """Return comparisons with a larger or unknown error, in percent."""
        return [check for check in self.checks if check.error_percent is None or abs(check.error_percent) > error_max]


@dataclass(frozen=True, slots=True)
class TrialPlay:
    seed: int
    part: MeasuredPart
    violation: Violation | None


# ---- the trial -----------------------------------------------------------------------------------------------------


def trial_of(recording: Recording, whole: Calibrated, *, hold_back: float = HOLD_BACK) -> Trial:
    """Prepare a back-test. `whole` is calibrated on the whole recording; `hold_back` is the share to compare with."""
    split, end = whole.begun + (1 - hold_back) * whole.arriving, whole.begun + whole.arriving
    ends = [task.ended for task in whole.story.tasks.values() if task.ended is not None]
    before, after = sum(ended <= split for ended in ends), sum(split < ended <= end for ended in ends)
    in_sample = before < CALIBRATED_ON_MIN or after < HELD_BACK_MIN
    if in_sample:
        end = max(end, recording.seconds)  # the whole recording, including the last tasks
    made = whole if in_sample else calibrate(recording.until(split), name=whole.rehearsal.scenario.name)
    since = made.begun if in_sample else split
    return Trial(
        calibrated=made,
        scenario=replace(
            made.rehearsal.scenario,
            hours=(whole.begun + whole.arriving - made.begun) / 3600,
            heal_hours=whole.rehearsal.scenario.heal_hours,
        ),
        since=since - made.begun,
        until=end - made.begun,
        in_sample=in_sample,
        measured=part_of(whole.story, since, end, made.slots),
    )


# ---- plays ---------------------------------------------------------------------------------------------------------


def play(trial: Trial, seeds: Sequence[int], *, jobs: int = 1) -> Iterator[TrialPlay]:
    """Play all seeds, in order, in at most `jobs` processes."""
    play_seed = partial(_play, trial.scenario, trial.since, trial.until, dict(trial.calibrated.slots))
    if jobs == 1 or len(seeds) == 1:
        yield from map(play_seed, seeds)
        return
    yield from in_processes(play_seed, seeds, jobs=jobs)


def _play(scenario: Scenario, since: float, until: float, slots: Mapping[str, int], seed: int) -> TrialPlay:
    recorded = Recorder()
    outcome = run(Case(seed, scenario), invariants=[recorded.invariant])
    return TrialPlay(seed, part_of(recorded.story(until), since, until, slots), outcome.violation)


class Recorder:
    """Records all events of a run. Pass `invariant` to the run, and call `recording` once it has ended."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.tokens: dict[tuple[str, int], int] = {}
        self.invariant = UserInvariant("recorded", "what a run tells is recorded", self._observe)

    def _observe(self, model: Records, commit: Commit) -> Iterable[str]:
        self.events += commit.events
        for attempt in commit.attempts:
            self.tokens[attempt.work, attempt.attempt] = (attempt.usage or {}).get("tokens", 0)
        return ()

    def recording(self) -> Recording:
        return of_run(self.events, BEGINNING, self.tokens)

    def story(self, until: float) -> Story:
        return story_of(self.recording().until(until))


# ---- the comparison ------------------------------------------------------------------------------------------------


def held_against(trial: Trial, plays: Sequence[TrialPlay]) -> BackTest:
    checks = []
    for figure in _figures(trial):
        measured = figure.of(trial.measured)
        simulated = band([figure.of(play.part) for play in plays])
        if measured is None and simulated is None:
            continue
        checks.append(
            Comparison(
                name=figure.name,
                words=figure.words,
                unit=figure.unit,
                measured=measured,
                simulated=simulated,
                error_percent=_error(figure, measured, simulated, trial.measured),
                inside=measured is not None and simulated is not None and simulated.low <= measured <= simulated.high,
            )
        )
    return BackTest(trial, [play.seed for play in plays], checks)


@dataclass(frozen=True, slots=True)
class _PartFigure:
    name: str
    words: str
    unit: str
    of: Callable[[MeasuredPart], float | None]


def _figures(trial: Trial) -> list[_PartFigure]:
    story = trial.calibrated.story
    has_tokens = story.recording.tokens is not None
    found = [
        _PartFigure(figure.name, figure.words, figure.unit, lambda part, of=figure.of: of(part.measured))  # type: ignore[misc]  # mypy does not know the default's type
        for figure in figures_of(Rehearsal(trial.scenario))
        if figure.name in _SHOWN and (has_tokens or "tokens" not in figure.name)
    ]
    found.append(_PartFigure("queue_mean_seconds", "Wait for a bot, on average", "s", _wait_mean))
    found.append(_PartFigure("rework_time_share", "Executors' time that went to rework", "%", _rework))
    for type_, fleet in FLEETS.items():
        if any(bot.type == type_ for bot in story.bots.values()):
            utilisation = partial(_utilisation, fleet)
            found.append(_PartFigure(f"utilisation_{fleet}", f"Utilisation: {fleet}", "%", utilisation))
    return found


def _wait_mean(part: MeasuredPart) -> float | None:
    waits = [wait for line in part.measured.lines.values() for wait in line.waits]
    return fmean(waits) if waits else None


def _rework(part: MeasuredPart) -> float | None:
    return part.rework_seconds / part.work_seconds if part.work_seconds else None


def _utilisation(fleet: str, part: MeasuredPart) -> float | None:
    return part.measured.utilisation[fleet]


def _error(figure: _PartFigure, measured: float | None, simulated: Band | None, part: MeasuredPart) -> float | None:
    if measured is None or simulated is None:
        return None
    difference = simulated.median - measured
    if figure.unit == "%":
        return 100 * difference
    of = measured
    if figure.name.startswith("queue_"):
        times = part.measured.completions
        of = times[(len(times) - 1) // 2] if times else measured
    if not of:
        return 0.0 if not difference else None
    return 100 * difference / of


def as_json(test: BackTest) -> dict[str, Any]:
    trial = test.trial
    return {
        "in_sample": trial.in_sample,
        "calibrated_on_tasks": trial.calibrated.tasks,
        "since_seconds": trial.calibrated.begun + trial.since,
        "until_seconds": trial.calibrated.begun + trial.until,
        "tasks": trial.measured.measured.tasks,
        "seeds": list(test.seeds),
        "figures": {check.name: _plain(check) for check in test.checks},
    }


def _plain(check: Comparison) -> dict[str, Any]:
    return {
        "measured": check.measured,
        "simulated": None if check.simulated is None else asdict(check.simulated),
        "error_percent": check.error_percent,
        "inside": check.inside,
    }


def as_text(test: BackTest) -> list[str]:
    trial, plays = test.trial, len(test.seeds)
    hours, times = (trial.until - trial.since) / 3600, f"{plays} play{'s' if plays > 1 else ''}"
    if trial.in_sample:
        lines = [
            f"back-test IN-SAMPLE: {times}, held against the recording itself ({hours:.3g} h): too short to be parted.",
            "A forecast would be further off than this.",
        ]
    else:
        known = f"the {trial.calibrated.tasks} tasks of the first {trial.since / 3600:.3g} h"
        lines = [f"back-test: calibrated on {known}; {times}, held against the {hours:.3g} h after"]
    rows = [("", "measured", "simulated", "error")]
    for check in test.checks:
        measured = "-" if check.measured is None else number(check.measured, check.unit)
        error = "-" if check.error_percent is None else f"{check.error_percent:+.0f} {_unit(check)}"
        rows.append((check.words, measured, spread(check.simulated, check.unit), error))
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    lines += ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]


def _unit(check: Comparison) -> str:
    if check.unit == "%":
        return "points"
    return "% of what half of the tasks take" if check.name.startswith("queue_") else "%"
