"""`swarm check`: names every problem of a swarm file with its line, without a server and without a call to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.flags import AsJson
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.swarm.file import SwarmProblem

swarm = typer.Typer(no_args_is_help=True, help="Swarm files: bots, models and tools of a swarm.")


@swarm.command("check")
def check_file(
    file: Annotated[str | None, typer.Argument(help="The swarm file; default: swarm.toml or swarm.yaml here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a swarm file: its fields, and the keys, prices, files, functions and programs that it names.

    Prints a line for each problem. Exits with 1 if one of them is an error; a warning does not keep the swarm from
    running.
    """
    from swarmkeeper.swarm.check import check

    path = Path(file) if file is not None else _default()
    problems = check(path)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        terminal.say_json({"file": str(path), "ok": not errors, "problems": [_plain(each) for each in problems]})
    else:
        for problem in problems:
            terminal.say(f"{path}:{problem.line}: {problem}")
        terminal.say(_summary(path, problems, errors))
    if errors:
        raise typer.Exit(Exit.ERROR)


def _default() -> Path:
    from swarmkeeper.swarm.file import DEFAULT_NAMES

    found = next((Path(name) for name in DEFAULT_NAMES if Path(name).exists()), None)
    if found is None:
        raise CliError(
            "swarm", f"there is none of {', '.join(DEFAULT_NAMES)} here", exit_code=Exit.USAGE, fix="name the file"
        )
    return found


def _plain(problem: SwarmProblem) -> dict[str, str | int]:
    return {"line": problem.line, "at": problem.at, "what": problem.what, "severity": problem.severity}


def _summary(path: Path, problems: list[SwarmProblem], errors: list[SwarmProblem]) -> str:
    if errors:
        return f"{path}: {len(errors)} error{'s' * (len(errors) > 1)}"
    from swarmkeeper.swarm.file import load

    bots = len(load(path).owners())
    warnings = f", {len(problems)} warning{'s' * (len(problems) > 1)}" if problems else ""
    return f"{path}: {bots} bot{'s' * (bots > 1)}, no error{warnings}"
