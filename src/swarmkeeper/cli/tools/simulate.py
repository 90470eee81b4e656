"""`simulate`: runs a swarm under virtual time, with faults, and prints violations so that they can be replayed. The
runs themselves are in sim/.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, cast

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.flags import AsJson, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.sim.play.scenarios import Scenario
    from swarmkeeper.sim.pool import Played
    from swarmkeeper.sim.rehearse.report import RehearsalReport
    from swarmkeeper.sim.rehearse.scenario_files import Rehearsal
    from swarmkeeper.sim.run import Case, RunOutcome

_LINES_MAX = 80  # of a trace on a terminal
_SEEDS = 2**31  # random seeds are short enough to type
_SEED_MAX = 10**15  # every JSON reader represents it exactly
_SWEPT_MAX = 50
_COUNT_MAX = 500  # as in a scenario file
_HOURS_MAX = 8_760
_RULES = "swarmkeeper docs rehearse-your-swarm, under Your own bots"
_SWEEP = re.compile(r"(planners|executors|evaluators)=([0-9]{1,3})\.\.([0-9]{1,3})")
_ENDINGS = {".html": "html", ".json": "json", ".xml": "junit", ".junit": "junit"}
_LEVELS = ("core", "http", "process")
_STORES = ("memory", "file")
_FILES = {"html": "simulation.html", "json": "simulation.json", "junit": "simulation.xml"}


class SimulateExit(IntEnum):
    """Exit codes of this command, in addition to `Exit`."""

    NOT_DETERMINISTIC = 12
    TARGET_MISSED = 13


@dataclass(frozen=True, slots=True)
class _Flags:
    """The flags that a replay command has to repeat."""

    scenario: str | None
    hours: float | None = None
    faults: str | None = None
    level_given: str | None = None
    bots: str | None = None
    invariants: str | None = None
    store_given: str | None = None

    @property
    def level(self) -> Literal["core", "http", "process"]:
        given = self.level_given or ("core" if self.bots is None else "http")
        return cast(Literal["core", "http", "process"], given)

    def command(self, *more: str) -> str:
        words = ["swarmkeeper", "simulate", *([] if self.scenario is None else [self.scenario]), *more]
        words += [] if self.hours is None else ["--hours", f"{self.hours:g}"]
        for name, value in (
            ("faults", self.faults),
            ("level", self.level_given),
            ("bots", self.bots),
            ("invariants", self.invariants),
            ("store", self.store_given),
        ):
            words += [] if value is None else [f"--{name}", value]
        return shlex.join(words)


@dataclass(slots=True)
class _Playing:
    runs: list[Played] = field(default_factory=list)
    cpu_seconds: float = 0.0
    interrupted: bool = False


def _hours(value: float | None) -> float | None:
    # Not typer's `min` and `max`, which accept NaN.
    if value is not None and not 0 < value <= _HOURS_MAX:
        raise typer.BadParameter(f"expected a number of hours above 0 and up to {_HOURS_MAX}")
    return value


def simulate(
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENARIO",
            help="A file (YAML, TOML, JSON) or a shipped scenario: standard, research, code-review.",
        ),
    ] = None,
    seeds: Annotated[int, flag("--seeds", help="Number of runs. [default: 1]", min=1, max=100_000)] = 1,
    start: Annotated[
        int | None,
        flag(
            "--start",
            metavar="SEED",
            help="The first seed. By default it is random, and printed.",
            min=0,
            max=_SEED_MAX,
        ),
    ] = None,
    hours: Annotated[
        float | None, flag("--hours", help="Virtual hours. Default: those of the scenario.", callback=_hours)
    ] = None,
    faults: Annotated[
        str | None,
        flag("--faults", metavar="all|none|LIST", help="Kinds or families of faults, such as `bot.crash,net`."),
    ] = None,
    level: Annotated[
        str | None,
        flag(
            "--level",
            metavar="core|http|process",
            help="Engine and store [default]; the application and bots of the SDK; real processes, in real time.",
        ),
    ] = None,
    bots: Annotated[
        str | None,
        flag("--bots", metavar="FILE.py:NAME", help="Your own bots, or a function that returns them. At level http."),
    ] = None,
    invariants: Annotated[
        str | None,
        flag("--invariants", metavar="FILE.py", help="A file with your own invariants, made with @invariant."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(  # not a `flag`: SWARMKEEPER_STORE is the store of a server
            "--store",
            metavar="memory|file",
            show_default=False,
            help="The store of a run [default: memory]. A file is deleted after the run. Runs do not depend on it.",
        ),
    ] = None,
    targets: Annotated[bool, flag("--targets", help="Exit with 13 if a target of the scenario is missed.")] = False,
    report: Annotated[
        list[str] | None,
        flag(
            "--report",
            metavar="FILE",
            help="A file for a report: .html, .json, .xml (JUnit). html and json also show the effect of one more bot."
            " May be repeated.",
        ),
    ] = None,
    replay: Annotated[
        str | None, flag("--replay", metavar="FILE|SEED", help="Play one case again, and show its trace.")
    ] = None,
    sweep: Annotated[
        str | None,
        flag("--sweep", metavar="executors=A..B", help="Play the same seeds with each number of these bots."),
    ] = None,
    check_determinism: Annotated[
        bool, flag("--check-determinism", help="Play each case twice, and exit with 12 if the runs differ.")
    ] = False,
    jobs: Annotated[int, flag("--jobs", help="Maximum number of processes. [default: 1]", min=1, max=256)] = 1,
    as_json: AsJson = False,
) -> None:
    """Simulate a swarm under virtual time, with faults, and check the system's invariants after every commit.

    Exits with 0 if all invariants held, 11 if one was violated, 12 if a run could not be repeated, 13 if a target was
    missed.
    """
    _check_combination(replay=replay, sweep=sweep, report=report, targets=targets, seeds=seeds, start=start)
    asked = _Flags(scenario, hours, faults, level, bots, invariants, store)
    report_files = _report_files(report or [])
    measured = {"--sweep": sweep, "--targets": targets, "--report": any(kind != "junit" for kind, _ in report_files)}
    _check_level(asked, measured | {"--check-determinism": check_determinism})
    with terminal.stdout_kept(), _user_code(asked):
        if replay is not None:
            _replay(replay, asked, twice=check_determinism, as_json=as_json)
        rehearsal = _rehearsal(asked)
        if asked.level == "process" and rehearsal.scenario.tenants > 1:
            detail = "--level process supports one tenant, but this scenario has more"
            raise CliError("level", detail, exit_code=Exit.USAGE, fix="--level http")
        if targets and not any(_targets(rehearsal)):
            raise CliError("no_targets", "this scenario has no targets", exit_code=Exit.USAGE, fix="add targets to it")
        first = _drawn() if start is None else start
        numbers = range(first, first + seeds)
        terminal.talk(f"seeds {first} to {first + seeds - 1}" if seeds > 1 else f"seed {first}")
        if sweep is not None:
            _sweep(rehearsal, sweep, numbers, asked, twice=check_determinism, jobs=jobs, as_json=as_json)
        playing = _play(_cases(rehearsal.scenario, numbers, asked), asked, twice=check_determinism, jobs=jobs)
        _show_all(rehearsal, playing, asked, report_files, targets=targets, jobs=jobs, as_json=as_json)


def _show_all(
    rehearsal: Rehearsal,
    playing: _Playing,
    asked: _Flags,
    report_files: Sequence[tuple[str, Path]],
    *,
    targets: bool,
    jobs: int,
    as_json: bool,
) -> NoReturn:
    """Print the results, write the reports, and end the command."""
    runs, outcome = playing.runs, _first_broken(playing.runs)
    if not runs:
        _end(playing, missed=False)
    more = outcome is None and not playing.interrupted and any(kind != "junit" for kind, _ in report_files)
    whole = _report(rehearsal, playing, asked, jobs=jobs, more=more)
    if as_json:
        _say_hours(playing)
        _say_json(runs)
        for target in whole.missed if targets else ():
            terminal.talk(f"target missed: {target.name} {target.bound:g}, is {target.value}")
    else:
        from swarmkeeper.sim.rehearse.report import as_text

        terminal.say("\n".join(as_text(whole)))
    if outcome is not None:
        _explain_violation(outcome, asked, shrinks=not playing.interrupted)
    _write(whole, report_files, asked)
    _end(playing, missed=targets and bool(whole.missed))


# ---- checking the flags --------------------------------------------------------------------------------------------


def _check_level(asked: _Flags, measured: Mapping[str, Any]) -> None:
    """Refuse flags that the level does not support."""
    if asked.level_given not in (None, *_LEVELS):
        raise CliError("level", "--level must be core, http or process", exit_code=Exit.USAGE)
    if asked.store_given not in (None, *_STORES):
        raise CliError("store", "--store must be memory or file", exit_code=Exit.USAGE)
    if asked.bots is not None and asked.level != "http":
        detail = f"--bots takes bots of the SDK, which use HTTP: they cannot run at --level {asked.level}"
        raise CliError("level", detail, exit_code=Exit.USAGE, fix="leave --level out")
    if asked.level == "process":
        unsupported = {"--invariants": asked.invariants, "--store": asked.store_given, **measured}
        for name in (name for name, given in unsupported.items() if given):
            detail = f"{name} cannot be used with --level process: it cannot repeat, measure or inspect a run"
            raise CliError("level", detail, exit_code=Exit.USAGE, fix="--level http")


@contextmanager
def _user_code(asked: _Flags) -> Iterator[None]:
    """Load the user's code before any run, and turn its errors into a `CliError`."""
    from swarmkeeper.sim import user_code

    try:
        with redirect_stdout(sys.stderr):
            if asked.bots is not None:
                user_code.swarm_of(asked.bots)
            if asked.invariants is not None:
                user_code.invariants_of(asked.invariants)
        yield
    except user_code.UserCodeNotFound as error:
        raise CliError("not_there", str(error), exit_code=Exit.USAGE) from None
    except user_code.UserCodeFails as error:
        raise CliError("own_code", str(error), facts=[("more", _RULES)]) from None


def _check_combination(
    *, replay: str | None, sweep: str | None, report: Sequence[str] | None, targets: bool, seeds: int, start: int | None
) -> None:
    """Refuse flags that would have no effect."""
    given = {"--report": bool(report), "--targets": targets}
    for name, there in (("--sweep", sweep is not None), ("--replay", replay is not None)):
        for other, also in given.items():
            if there and also:
                raise CliError("flags", f"{name} and {other} cannot be used together", exit_code=Exit.USAGE)
        given[name] = there
    if replay is not None and (seeds != 1 or start is not None):
        raise CliError("flags", "--replay plays one case: leave out --seeds and --start", exit_code=Exit.USAGE)


def _rehearsal(asked: _Flags) -> Rehearsal:
    from swarmkeeper.sim.rehearse import scenario_files

    try:
        found = scenario_files.find(scenario_files.STANDARD if asked.scenario is None else asked.scenario)
    except scenario_files.BadScenario as error:
        raise CliError("bad_scenario", str(error), exit_code=Exit.USAGE) from None
    scenario = found.scenario
    if asked.hours is not None:
        scenario = replace(scenario, hours=asked.hours)
    if asked.faults is not None:
        scenario = replace(scenario, faults=_kinds(asked.faults))
    if scenario.task is not None and asked.level != "http":
        detail = f"the scenario has a `task`, which bots get only over HTTP, not at --level {asked.level}"
        raise CliError("level", detail, exit_code=Exit.USAGE, fix="--level http")
    return replace(found, scenario=scenario)


def _kinds(listed: str) -> tuple[str, ...]:
    from swarmkeeper.sim.kernel.faults import KINDS

    if listed == "all":
        return tuple(KINDS)
    if listed == "none":
        return ()
    families = {kind.partition(".")[0] for kind in KINDS}
    wanted = [name.strip() for name in listed.split(",")]
    for name in wanted:
        if name not in KINDS and name not in families:
            raise CliError(
                "faults",
                f"--faults: no kind or family `{name}`",
                exit_code=Exit.USAGE,
                facts=[("kinds", ", ".join(KINDS)), ("families", ", ".join(sorted(families)))],
            )
    return tuple(kind for kind in KINDS if kind in wanted or kind.partition(".")[0] in wanted)


def _targets(rehearsal: Rehearsal) -> list[bool]:
    from dataclasses import asdict

    return [bound is not None for bound in asdict(rehearsal.targets).values()]


def _report_files(listed: Sequence[str]) -> list[tuple[str, Path]]:
    found = []
    for text in listed:
        kind = text if text in _FILES else _ENDINGS.get(Path(text).suffix.lower())
        path = Path(_FILES[text]) if text in _FILES else Path(text)
        if kind is None:
            detail = "--report: expected a name that ends in .html, .json or .xml"
            raise CliError("report", detail, exit_code=Exit.USAGE, fix="--report out.html")
        if not path.parent.is_dir():  # checked now, not after an hour of runs
            raise CliError("report", "--report: no such folder", exit_code=Exit.USAGE)
        found.append((kind, path))
    return found


def _drawn() -> int:
    from swarmkeeper.clock import SystemEntropy

    return int.from_bytes(SystemEntropy().seed()[:8]) % _SEEDS


# ---- playing -------------------------------------------------------------------------------------------------------


def _cases(scenario: Scenario, numbers: Sequence[int], asked: _Flags) -> list[Case]:
    from swarmkeeper.sim.run import Case

    level, bots, invariants, file = asked.level, asked.bots, asked.invariants, asked.store_given == "file"
    return [Case(number, scenario, file=file, level=level, bots=bots, invariants=invariants) for number in numbers]


def _play(cases: Sequence[Case], asked: _Flags, *, twice: bool, jobs: int) -> _Playing:
    """Play all cases, or as many as are done at an interrupt; print violations at once."""
    from swarmkeeper.sim.pool import play_all

    playing = _Playing()
    before = os.times()
    try:
        for run in play_all(cases, twice=twice, jobs=jobs):
            playing.runs.append(run)
            violation = run.outcome.violation
            if violation is not None:
                said = f"VIOLATION with seed {run.seed}: {violation.invariant}, {violation.words}"
                terminal.talk(terminal.shown(f"{said}\n  {violation.entity}: {violation.why}"))
            if run.same is False:
                terminal.talk(f"NOT DETERMINISTIC with seed {run.seed}: {asked.command('--start', str(run.seed))}")
    except KeyboardInterrupt:
        playing.interrupted = True
        terminal.talk(f"interrupted: {len(playing.runs)} of {len(cases)} runs were completed")
    # A run that was played twice counts once: the figure is the cost of one run.
    playing.cpu_seconds = (sum(os.times()[:4]) - sum(before[:4])) / (2 if twice else 1)
    return playing


def _first_broken(runs: Sequence[Played]) -> RunOutcome | None:
    return next((run.outcome for run in runs if run.outcome.violation is not None), None)


def _report(rehearsal: Rehearsal, playing: _Playing, asked: _Flags, *, jobs: int, more: bool) -> RehearsalReport:
    """Make the report; with `more`, also play the same seeds with one more bot at the bottleneck."""
    from swarmkeeper.sim.pool import play_all, with_one_more
    from swarmkeeper.sim.rehearse.report import report_of

    runs, cpu_seconds = playing.runs, playing.cpu_seconds
    whole = report_of(rehearsal, runs, cpu_seconds=cpu_seconds)
    if not more or whole.bottleneck is None:
        return whole
    terminal.talk(f"playing again with one more of the {whole.bottleneck.fleet}")
    scenario = with_one_more(rehearsal.scenario, whole.bottleneck.fleet)
    again = list(play_all(_cases(scenario, [run.seed for run in runs], asked), jobs=jobs))
    return report_of(rehearsal, runs, again, cpu_seconds=cpu_seconds)


def _sweep(
    rehearsal: Rehearsal,
    text: str,
    numbers: Sequence[int],
    asked: _Flags,
    *,
    twice: bool,
    jobs: int,
    as_json: bool,
) -> NoReturn:
    from swarmkeeper.sim.pool import with_fleet
    from swarmkeeper.sim.rehearse.report import figures_of, report_of, spread
    from swarmkeeper.sim.rehearse.scenario_files import BadScenario, check_sound

    matched = _SWEEP.fullmatch(text)
    low, high = (int(matched[2]), int(matched[3])) if matched else (0, 0)
    if matched is None or not 1 <= low <= high or high - low >= _SWEPT_MAX:
        detail = (
            f"--sweep must look like executors=2..12 (or planners, evaluators), at most {_SWEPT_MAX} numbers from 1"
        )
        raise CliError("sweep", detail, exit_code=Exit.USAGE)
    fleet = matched[1]
    if high > _COUNT_MAX:
        raise CliError("sweep", f"--sweep: there are at most {_COUNT_MAX} bots of a type", exit_code=Exit.USAGE)
    swept = {count: with_fleet(rehearsal.scenario, fleet, count=count) for count in range(low, high + 1)}
    try:
        for scenario in swept.values():
            check_sound(replace(rehearsal, scenario=scenario))
    except BadScenario as error:
        raise CliError("sweep", f"--sweep: {error}", exit_code=Exit.USAGE) from None
    cases = [case for scenario in swept.values() for case in _cases(scenario, numbers, asked)]
    playing = _play(cases, asked, twice=twice, jobs=jobs)
    runs = playing.runs
    if playing.interrupted:  # it depends on chance which counts were played: nothing can be compared
        _end(playing, missed=False)
    _say_hours(playing)
    if as_json:
        _say_json(runs, [{fleet: count} for count in swept for _ in numbers])
    else:
        rows: list[dict[str, Any]] = []
        shown = ("tasks_per_hour", "completion_p50_seconds", "completion_p95_seconds", "utilisation", "usd_per_task")
        for number, count in enumerate(swept):
            part = runs[number * len(numbers) : (number + 1) * len(numbers)]
            whole = report_of(rehearsal, part)
            row: dict[str, Any] = {fleet: count}
            for figure in figures_of(rehearsal):
                if figure.name in shown and whole.figures[figure.name] is not None:
                    row[figure.name] = spread(whole.figures[figure.name], figure.unit)
            rows.append(row)
        columns = [fleet, *(name for name in shown if any(name in row for row in rows))]
        terminal.say_table(rows, columns)
    outcome = _first_broken(runs)
    if outcome is not None:
        _explain_violation(outcome, asked)
    _end(playing, missed=False)


def _replay(what: str, asked: _Flags, *, twice: bool, as_json: bool) -> NoReturn:
    from swarmkeeper.sim.pool import play

    case = _case_of(what, asked)
    run = play(case, twice=twice, keep=True)
    if as_json:
        _say_json([run])
    violation = run.outcome.violation
    if violation is None:
        if not as_json:
            _show(terminal.say, run.outcome.lines)
            terminal.say(f"seed {run.seed}: all invariants held")
    else:
        _story(run.outcome, to_stdout=not as_json)
    if run.same is False:
        terminal.talk(f"NOT DETERMINISTIC with seed {run.seed}: two runs gave two traces")
    _end(_Playing([run]), missed=False)


def _case_of(what: str, asked: _Flags) -> Case:
    if what.isascii() and what.isdecimal() and len(what) <= len(str(_SEED_MAX)):
        return _cases(_rehearsal(asked).scenario, [int(what)], asked)[0]
    from swarmkeeper.sim import cases
    from swarmkeeper.sim.rehearse import scenario_files
    from swarmkeeper.wire.parsing import documents

    if asked != _Flags(None):
        detail = (
            "--replay FILE: the file sets scenario, hours, faults, level, bots, invariants and store; leave them out"
        )
        raise CliError("flags", detail, exit_code=Exit.USAGE)
    name = Path(what).name
    try:
        plain = documents.parse(scenario_files.text_of(Path(what)), ".json")
        if not isinstance(plain, dict):
            raise cases.BadCase("a case must be a JSON object")
        case = cases.from_json(plain)
        cases.check(case)
        return case
    except OSError as error:
        raise CliError("replay", f"{name}: the file cannot be read: {error.strerror}", exit_code=Exit.USAGE) from None
    except (ValueError, RecursionError) as error:
        raise CliError("replay", f"{name}: not a case: {error}", exit_code=Exit.USAGE) from None


# ---- printing ------------------------------------------------------------------------------------------------------


def _say_hours(playing: _Playing) -> None:
    hours = sum(run.outcome.seconds for run in playing.runs) / 3600
    if playing.cpu_seconds and any(run.outcome.case.level != "process" for run in playing.runs):
        terminal.talk(f"{hours:.1f} virtual hours, {hours / playing.cpu_seconds:.2f} in a second of CPU")


def _say_json(runs: Sequence[Played], more: Sequence[dict[str, int]] | None = None) -> None:
    from swarmkeeper.sim.rehearse.report import run_as_json

    listed = [run_as_json(run) for run in runs]
    for row, added in zip(listed, more or [{} for _ in runs], strict=True):
        row |= added
    terminal.say_json({"violations": sum(row["violation"] is not None for row in listed), "runs": listed})


def _explain_violation(outcome: RunOutcome, asked: _Flags, *, shrinks: bool = True) -> None:
    """Print the first violation: the faults that it needs, its trace, and how to replay it."""
    from swarmkeeper.sim import artifacts
    from swarmkeeper.sim.shrink import shrink

    again = asked.command("--replay", str(outcome.case.seed))
    if asked.level == "process" or not shrinks:
        _story(outcome, to_stdout=False)
        terminal.talk(f"\nreplay: {again}")
        return
    terminal.talk(f"\nlooking for the needed faults among the {len(outcome.faults)} that struck …")
    try:
        shrunk = shrink(outcome.case, outcome)
    except KeyboardInterrupt:
        terminal.talk(f"interrupted\nreplay: {again}")
        return
    if shrunk.outcome.violation is None:
        terminal.talk("it does not happen again: the run is not deterministic; use --check-determinism")
        return
    terminal.talk(f"needed: {len(shrunk.case.faults or ())}; found in {shrunk.runs} runs")
    _story(shrunk.outcome, to_stdout=False)
    try:
        case, test = artifacts.keep(shrunk.outcome, Path())
    except OSError as error:
        terminal.talk(f"the case could not be saved: {error.strerror}")
        return
    terminal.talk(f"\nreplay: swarmkeeper simulate --replay {case}\ntest:   {test}")


def _story(outcome: RunOutcome, *, to_stdout: bool) -> None:
    violation = outcome.violation
    assert violation is not None, "only a violation can be explained"
    write = terminal.say if to_stdout else terminal.talk
    write("\nfaults:")
    for fault in outcome.faults or ("none: it fails without any fault",):
        write(f"  {fault}")
    write(terminal.shown(f"\ntrace of {violation.entity}:") if violation.entity != "-" else "\ntrace:")
    _show(write, outcome.about(violation.entity) if violation.entity != "-" else outcome.lines)
    write(terminal.shown(f"\n{violation.invariant}: {violation.words}\n  {violation.entity}: {violation.why}"))


def _show(write: Any, lines: Sequence[Any]) -> None:
    if len(lines) > _LINES_MAX:
        write(f"  … {len(lines) - _LINES_MAX} lines before")
    for line in lines[-_LINES_MAX:]:
        write(terminal.on_one_line(str(line)))


def _write(whole: RehearsalReport, report_files: Sequence[tuple[str, Path]], asked: _Flags) -> None:
    from swarmkeeper import files
    from swarmkeeper.sim.rehearse import report

    for kind, path in report_files:
        if kind == "html":
            text = report.as_html(whole)
        elif kind == "json":
            text = json.dumps(report.as_json(whole), indent=2) + "\n"
        else:
            text = report.as_junit(whole, lambda run: asked.command("--start", str(run.seed)))
        try:
            files.write(path, text)
        except OSError as error:
            raise CliError("report", f"the report cannot be written: {error.strerror}") from None
        terminal.talk(f"report: {path}")


def _end(playing: _Playing, *, missed: bool) -> NoReturn:
    """End with the exit code of the worst finding: violation, not deterministic, interrupted, target missed."""
    runs = playing.runs
    if any(run.outcome.violation is not None for run in runs):
        terminal.stop(Exit.VIOLATION)
    if any(run.same is False for run in runs):
        raise typer.Exit(SimulateExit.NOT_DETERMINISTIC)
    if playing.interrupted:
        terminal.stop(Exit.INTERRUPTED)
    if missed:
        raise typer.Exit(SimulateExit.TARGET_MISSED)
    terminal.stop(Exit.OK)
