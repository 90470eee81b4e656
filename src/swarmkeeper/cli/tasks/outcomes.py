"""Shows the outcome of a task to a person: its verdict, and its outputs as indented text instead of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.framework import terminal

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import Task

LINES_MAX = 60  # on one screen; another command shows everything
_REFERENCE = {"$ref", "sha256", "bytes"}


def say(task: Task) -> None:
    """Print the verdict and the result of a finished task."""
    for line in of_verdict(task):
        terminal.say(line)
    say_result(task)


def of_verdict(task: Task) -> list[str]:
    """Return the verdict on one line; nothing if there is none."""
    if task.verdict is None:
        return []
    score = "" if task.verdict.score is None else f" {task.verdict.score:g}"
    reasons = "; ".join(map(terminal.on_one_line, task.verdict.reasons))
    return [f"verdict: {task.verdict.decision}{score}" + (f": {reasons}" if reasons else "")]


def say_result(task: Task) -> None:
    """Print the outputs of a task, by subtask; nothing if there are none."""
    lines = [line for key, output in (task.result or {}).items() for line in _of_output(task.id, key, output)]
    for line in lines[:LINES_MAX]:
        terminal.say(line)
    if len(lines) > LINES_MAX:
        terminal.talk(f"… and {len(lines) - LINES_MAX} more lines; complete, as JSON: {_command(task.id)}")


def _of_output(task_id: str, key: str, output: Any) -> Iterator[str]:
    if isinstance(output, dict) and set(output) == _REFERENCE:
        name = terminal.on_one_line(key)
        yield f"{name}: {output['bytes']} bytes; see: {_command(task_id)} {name}"
        return
    yield from _lines(key, output, "")


def _lines(name: str, value: Any, indent: str) -> Iterator[str]:
    """Yield one value under its name; nested values follow, indented."""
    head = f"{indent}{terminal.on_one_line(name)}"
    mark = "" if name == "-" else ":"
    deeper = indent + "  "
    match value:
        case dict() if value:
            yield f"{head}{mark}"
            for key, inner in value.items():
                yield from _lines(str(key), inner, deeper)
        case list() if value:
            yield f"{head}{mark}"
            for inner in value:
                yield from _lines("-", inner, deeper)
        case str() if "\n" in value:
            yield f"{head}{mark}"
            for line in value.splitlines():
                yield f"{deeper}{terminal.on_one_line(line)}".rstrip()
        case _:
            yield f"{head}{mark} {_word(value)}".rstrip()


def _word(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict() | list():
            return "(empty)"
        case _:
            return terminal.on_one_line(str(value))


def _command(task_id: str) -> str:
    return f"swarmkeeper task result {task_id}"
