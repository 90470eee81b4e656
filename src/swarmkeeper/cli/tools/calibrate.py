"""`calibrate`: makes a scenario from a recorded feed, and compares its runs with the recording. sim/rehearse does the
work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.flags import AsJson, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.tools.simulate import SimulateExit

if TYPE_CHECKING:
    from swarmkeeper.sim.rehearse.backtest import BackTest
    from swarmkeeper.sim.rehearse.calibrate import Calibrated
    from swarmkeeper.sim.rehearse.recording import Recording

_ENDINGS = (".yaml", ".yml", ".toml")


def _share(value: float | None) -> float | None:
    # Not typer's `min` and `max`, which accept NaN.
    if value is not None and not 0 < value < 1:
        raise typer.BadParameter("expected a share between 0 and 1")
    return value


def _percent(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= 1_000_000:
        raise typer.BadParameter("expected a percentage of at least 0")
    return value


def calibrate(
    feed: Annotated[
        str,
        typer.Argument(
            metavar="FEED",
            help="Events as `swarmkeeper task events --json` prints them, `-` for stdin, or a copy of a SQLite store.",
        ),
    ],
    output: Annotated[
        str | None, flag("-o", "--output", metavar="FILE", help="The file for the scenario: .yaml or .toml.")
    ] = None,
    back_test: Annotated[
        bool,
        flag("--back-test", help="Hold back the last part of the recording, play the scenario, and print the error."),
    ] = False,
    hold_back: Annotated[
        float | None,
        flag("--hold-back", metavar="SHARE", help="Share of the time to hold back. [default: 0.3]", callback=_share),
    ] = None,
    seeds: Annotated[int | None, flag("--seeds", help="Number of plays. [default: 5]", min=1, max=100_000)] = None,
    start: Annotated[int | None, flag("--start", metavar="SEED", help="The first seed. [default: 1]", min=0)] = None,
    error_max: Annotated[
        float | None,
        flag(
            "--error-max",
            metavar="PERCENT",
            help="Exit with 13 if the error of a figure is above this percentage.",
            callback=_percent,
        ),
    ] = None,
    jobs: Annotated[
        int | None, flag("--jobs", help="Maximum number of processes. [default: 1]", min=1, max=256)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a scenario for `simulate` from the events of a real swarm, and measure its error.

    The scenario lists what the recording does not contain. Exits with 13 if the error of a figure of the back-test is
    above --error-max.
    """
    _check_combination(
        back_test=back_test,
        others={
            "--hold-back": hold_back,
            "--seeds": seeds,
            "--start": start,
            "--error-max": error_max,
            "--jobs": jobs,
        },
    )
    path = _output_path(output)
    recording = _recording(feed)
    made = _made(recording, Path(feed).stem if feed != "-" else "calibrated")
    for note in made.notes:
        terminal.talk(f"note: {note}")
    if path is not None:
        _write(made, path)
    test = None
    if back_test:
        first = 1 if start is None else start
        numbers = range(first, first + (5 if seeds is None else seeds))
        test = _test(recording, made, 0.3 if hold_back is None else hold_back, numbers, jobs or 1)
    _say(made, test, written=path is not None, as_json=as_json)
    if test is not None and error_max is not None and _beyond(test, error_max):
        raise typer.Exit(SimulateExit.TARGET_MISSED)


def _check_combination(*, back_test: bool, others: dict[str, Any]) -> None:
    """Refuse flags that would have no effect."""
    for name, value in others.items():
        if value is not None and not back_test:
            raise CliError("flags", f"{name} needs --back-test", exit_code=Exit.USAGE)


def _output_path(output: str | None) -> Path | None:
    if output is None:
        return None
    path = Path(output)
    if path.suffix.lower() not in _ENDINGS:
        detail = "--output: expected a name that ends in .yaml or .toml, because these formats have comments"
        raise CliError("output", detail, exit_code=Exit.USAGE, fix="-o scenario.yaml")
    if not path.absolute().parent.is_dir():
        raise CliError("output", "--output: no such folder", exit_code=Exit.USAGE)
    return path


def _recording(feed: str) -> Recording:
    from swarmkeeper.sim.rehearse import recording

    name = "stdin" if feed == "-" else Path(feed).name
    try:
        return recording.of_lines(sys.stdin) if feed == "-" else recording.read(Path(feed))
    except recording.BadFeed as error:
        fix = "swarmkeeper task events --json > feed.jsonl"
        raise CliError("bad_feed", f"{name}: {error}", exit_code=Exit.USAGE, fix=fix) from None
    except OSError as error:
        detail = f"{name}: the file cannot be read: {error.strerror}"
        raise CliError("bad_feed", detail, exit_code=Exit.USAGE) from None
    except UnicodeDecodeError:
        raise CliError("bad_feed", f"{name}: not UTF-8", exit_code=Exit.USAGE) from None


def _made(recording: Recording, stem: str) -> Calibrated:
    from swarmkeeper.sim.rehearse.calibrate import calibrate
    from swarmkeeper.sim.rehearse.recording import BadFeed

    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem)[:64].strip("-")
    try:
        return calibrate(recording, name=kept or "calibrated")
    except BadFeed as error:
        raise CliError("bad_feed", str(error), exit_code=Exit.USAGE) from None


def _write(made: Calibrated, path: Path) -> None:
    from swarmkeeper import files
    from swarmkeeper.sim.rehearse.calibrate import as_file

    try:
        files.write(path, as_file(made, path.suffix.lower()))
    except OSError as error:
        raise CliError("output", f"the scenario cannot be written: {error.strerror}") from None
    terminal.talk(f"scenario: {path}")


def _test(recording: Recording, made: Calibrated, hold_back: float, numbers: Sequence[int], jobs: int) -> BackTest:
    from swarmkeeper.sim.rehearse.backtest import held_against, play, trial_of

    trial = trial_of(recording, made, hold_back=hold_back)
    plays = []
    before = os.times()
    for run in play(trial, numbers, jobs=jobs):
        plays.append(run)
        if run.violation is not None:
            terminal.talk(f"VIOLATION with seed {run.seed}: {run.violation.invariant}, {run.violation.words}")
            terminal.talk(f"  {run.violation.entity}: {run.violation.why}")
            terminal.stop(Exit.VIOLATION)
        terminal.talk(f"seed {run.seed} played")
    after = os.times()
    terminal.talk(f"{sum(after[:4]) - sum(before[:4]):.1f} s of CPU")
    return held_against(trial, plays)


def _say(made: Calibrated, test: BackTest | None, *, written: bool, as_json: bool) -> None:
    from swarmkeeper.sim.rehearse import backtest
    from swarmkeeper.sim.rehearse.calibrate import as_file

    if as_json:
        answer = {"scenario": made.plain, "notes": list(made.notes), "tasks": made.tasks}
        terminal.say_json(answer | {"back_test": None if test is None else backtest.as_json(test)})
    elif test is not None:
        terminal.say("\n".join(backtest.as_text(test)))
    elif not written:
        terminal.say(as_file(made, ".yaml").rstrip("\n"))


def _beyond(test: BackTest, error_max: float) -> bool:
    beyond = test.beyond(error_max)
    for figure in beyond:
        error = "unknown" if figure.error_percent is None else f"{figure.error_percent:+.1f}"
        terminal.talk(f"error beyond {error_max:g}: {figure.name}, {error}")
    return bool(beyond)
