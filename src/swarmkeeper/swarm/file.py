"""Reads a swarm file (TOML or YAML) into a `SwarmFile`, or names every problem in it with its line."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from swarmkeeper.swarm import positions
from swarmkeeper.swarm.entries import (
    EntryLimits,
    EvaluatorEntry,
    ExecutorEntry,
    McpServerEntry,
    ModelEntry,
    PlanExampleEntry,
    PlannerEntry,
    PlanStepEntry,
    SwarmBudget,
    SwarmDefaults,
    SwarmEntry,
    SwarmFile,
    ToolEntry,
    mcp_parts,
    owner_of,
    replica_names,
)
from swarmkeeper.swarm.positions import Positions
from swarmkeeper.wire.parsing import documents

SCHEMA_ID = "urn:swarmkeeper:schema:swarm:1"
DEFAULT_NAMES = ("swarm.toml", "swarm.yaml", "swarm.yml")
_BYTES_MAX = 1 << 20
_LINE = re.compile(r"\(?(?:at )?line (\d+),? column \d+\)?:? ?")
_PLAIN = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,63}$")
_KEY_WORDS = re.compile(r"key|token|secret|password", re.IGNORECASE)
SwarmPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SwarmProblem:
    """One problem of a swarm file.

    Attributes:
        line: counted from 1.
        at: the place, such as `bots[1].model`.
        what: what is wrong, in words.
        severity: a warning does not keep the swarm from running.
    """

    line: int
    at: str
    what: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        warning = "warning: " if self.severity == "warning" else ""
        return f"{warning}{self.at}: {self.what}" if self.at else f"{warning}{self.what}"


class BadSwarmFile(ValueError):
    """A swarm file cannot be used. `problems` are all that is wrong with it."""

    def __init__(self, file: str, problems: Sequence[SwarmProblem]) -> None:
        super().__init__("\n".join(f"{file}:{problem.line}: {problem}" for problem in problems))
        self.file = file
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class LocatedSwarm:
    """A swarm file with the lines of its parts."""

    swarm: SwarmFile
    positions: Positions

    def problem(self, path: SwarmPath, what: str, severity: Literal["error", "warning"] = "error") -> SwarmProblem:
        return SwarmProblem(self.positions.line(path), place(path), what, severity)


def load(path: str | Path) -> SwarmFile:
    """Read a swarm file.

    Files and variables that it names need not exist: `check.check` looks at them.

    Raises:
        BadSwarmFile: with every problem, each with its line.
    """
    return locate(path).swarm


def locate(path: str | Path) -> LocatedSwarm:
    """Read a swarm file, and keep the lines.

    Raises:
        BadSwarmFile: see `load`.
    """
    file = Path(path)
    plain, lines = _read(file)
    try:
        swarm = SwarmFile.model_validate(plain)
    except ValidationError as error:
        raise BadSwarmFile(file.name, _sorted(_explained(error, plain, lines))) from None
    swarm._folder = file.parent.absolute()
    located = LocatedSwarm(swarm, lines)
    if problems := list(_inconsistent(located)):
        raise BadSwarmFile(file.name, _sorted(problems))
    return located


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a swarm file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **SwarmFile.model_json_schema(),
        "title": "Swarm file of swarmkeeper",
    }


def place(path: SwarmPath) -> str:
    """Return a path as people write it: `bots[1].tools[0]`."""
    written = "".join(f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in path)
    return written.removeprefix(".")


# ---- reading -------------------------------------------------------------------------------------------------------


def _read(file: Path) -> tuple[object, Positions]:
    ending = file.suffix.lower()
    if ending not in (*documents.TOML_ENDINGS, *documents.YAML_ENDINGS):
        raise _whole(file, "the name of a swarm file ends in .toml, .yaml or .yml")
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # reading a pipe would wait for its writer
            raise _whole(file, "is no plain file")
        with file.open("rb") as opened:
            raw = opened.read(_BYTES_MAX + 1)
        if len(raw) > _BYTES_MAX:
            raise _whole(file, "is longer than 1 MiB")
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise _whole(file, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise _whole(file, "is not UTF-8", line=raw.count(b"\n", 0, error.start) + 1) from None
    try:
        plain = documents.parse(text, ending, size_max=16 * _BYTES_MAX)
    except documents.Unreadable as error:
        said = str(error)
        found = _LINE.search(said)
        line = int(found[1]) if found else text.count("\n") + 1 if "end of document" in said else 1
        what = _LINE.sub("", said).strip() or "it cannot be parsed"
        raise _whole(file, f"is not {ending[1:].upper()}: {what}", line=line) from None
    if not isinstance(plain, dict):
        raise _whole(file, "a swarm file is a mapping of swarm, models, tools and bots")
    return plain, positions.of_toml(text) if ending in documents.TOML_ENDINGS else positions.of_yaml(text)


def _whole(file: Path, what: str, *, line: int = 1) -> BadSwarmFile:
    return BadSwarmFile(file.name, [SwarmProblem(line, "", what)])


# ---- what pydantic found, in words ---------------------------------------------------------------------------------


def _explained(error: ValidationError, plain: object, lines: Positions) -> Iterator[SwarmProblem]:
    for details in error.errors(include_url=False):
        path = _path_in(plain, details["loc"], missing=details["type"] == "missing")
        yield SwarmProblem(lines.line(path), place(path), _words(dict(details), path, plain))


def _path_in(plain: object, loc: Sequence[int | str], *, missing: bool) -> SwarmPath:
    """Return the path in the document: pydantic also names the types of unions and the keys of mappings."""
    path: SwarmPath = ()
    value: Any = plain
    for number, step in enumerate(loc):
        last = number == len(loc) - 1
        if isinstance(value, dict) and (step in value or (last and missing)):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        path = (*path, step)
    return path


# What may stand inside the parts of a file, for suggestions.
_INNER: dict[str, tuple[type[SwarmEntry], ...]] = {
    "swarm": (SwarmDefaults, SwarmBudget),
    "models": (ModelEntry,),
    "tools": (ToolEntry, McpServerEntry),
    "bots": (EntryLimits, PlanExampleEntry, PlanStepEntry),
}
_FIELDS_OF: dict[str, list[str]] = {
    "planner": sorted(PlannerEntry.model_fields),
    "executor": sorted(ExecutorEntry.model_fields),
    "evaluator": sorted(EvaluatorEntry.model_fields),
}


def _words(details: dict[str, Any], path: SwarmPath, plain: object) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        name = str(path[-1])
        if _KEY_WORDS.search(name):
            return "there is no such field: keys are never written here, they come from the environment"
        return f"there is no such field{_did_you_mean(name, _fields_at(path[:-1], plain))}"
    if kind == "missing":
        return "is missing"
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return "its type is planner, executor or evaluator"
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch":
        return "has characters that are not allowed here, or is too long"
    said: str = details["msg"]
    return said[0].lower() + said[1:]


def _fields_at(path: SwarmPath, plain: object) -> list[str]:
    if not path:
        return list(SwarmFile.model_fields)
    if path[0] == "bots" and len(path) == 2:
        entry: Any = plain
        for step in path:
            entry = entry[step]
        return _FIELDS_OF.get(entry.get("type"), [])
    return [name for kind in _INNER.get(str(path[0]), ()) for name in kind.model_fields]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(sorted(known))}" if known else ""


def _shown(name: str) -> str:
    return name if _PLAIN.match(name) else "…"


# ---- names within the file -----------------------------------------------------------------------------------------


def _inconsistent(located: LocatedSwarm) -> Iterator[SwarmProblem]:
    """Find names of what the file does not have, and bots that cannot be in one swarm."""
    swarm = located.swarm
    yield from _names_taken_twice(located)
    skills = swarm.skills()
    contributors = {owner_of(entry) for entry in swarm.bots if not isinstance(entry, EvaluatorEntry)}
    for number, entry in enumerate(swarm.bots):
        at: SwarmPath = ("bots", number)
        if entry.model is not None and entry.model not in swarm.models:
            what = f"there is no model {entry.model}{_did_you_mean(entry.model, list(swarm.models))}"
            yield located.problem((*at, "model"), what)
        if isinstance(entry, PlannerEntry):
            yield from _bad_examples(located, at, entry, skills)
        if isinstance(entry, ExecutorEntry):
            for index, tool in enumerate(entry.tools):
                parts = mcp_parts(tool)
                if parts is not None and parts[0] not in swarm.tools:
                    what = f"there is no tools.{parts[0]}{_did_you_mean(parts[0], list(swarm.tools))}"
                    yield located.problem((*at, "tools", index), what)
        if isinstance(entry, EvaluatorEntry) and (owner := owner_of(entry)) in contributors:
            what = f"{owner} is also the owner of a bot that plans or executes: nobody judges their own work"
            yield located.problem((*at, "owner"), what)


def _names_taken_twice(located: LocatedSwarm) -> Iterator[SwarmProblem]:
    swarm = located.swarm
    seen: set[str] = set()
    for number, (entry, called) in enumerate(zip(swarm.bots, swarm.names(), strict=True)):
        names = set(replica_names(called, entry.replicas))
        if taken := sorted(names & seen):
            yield located.problem(("bots", number, "name"), f"there are two bots with the name {taken[0]}")
        seen |= names


def _bad_examples(
    located: LocatedSwarm, at: SwarmPath, entry: PlannerEntry, skills: dict[str, str]
) -> Iterator[SwarmProblem]:
    for number, example in enumerate(entry.examples):
        steps: SwarmPath = (*at, "examples", number, "steps")
        if len(example.steps) > entry.max_subtasks:
            yield located.problem(steps, f"has {len(example.steps)} steps, and max_subtasks is {entry.max_subtasks}")
        earlier: list[str] = []
        for index, step in enumerate(example.steps):
            if step.key in earlier:
                yield located.problem((*steps, index, "key"), f"there are two steps {step.key}")
            if step.skill is not None and step.skill not in skills:
                what = f"no executor has the skill {step.skill}{_did_you_mean(step.skill, list(skills))}"
                yield located.problem((*steps, index, "skill"), what)
            for place_, key in enumerate(step.after):
                if key not in earlier:
                    yield located.problem((*steps, index, "after", place_), f"{key} is not an earlier step")
            earlier.append(step.key)


def _sorted(problems: Iterator[SwarmProblem] | Sequence[SwarmProblem]) -> list[SwarmProblem]:
    return sorted(problems, key=lambda problem: (problem.line, problem.at))
