"""Reads scenario files (YAML, TOML or JSON) into a `Rehearsal`, or raises an error that names the field. Files are
checked against the same schema that is published.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from swarmkeeper.core.rules import graph
from swarmkeeper.sim.kernel.faults import KINDS
from swarmkeeper.sim.play.scenarios import SCENARIOS, Scenario
from swarmkeeper.wire.parsing import documents

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

SHIPPED = Path(__file__).parent / "shipped"
STANDARD = "standard"
SCHEMA_ID = "urn:swarmkeeper:schema:scenario:1"
_BYTES_MAX = 2**20  # of a file; a scenario with a thousand measured durations has a fiftieth of that
_SIZE_MAX = 2**21  # with all YAML references expanded


class BadScenario(ValueError):
    """The value is not a scenario; the message says where it is wrong."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets for the median over all seeds. A missing target is not checked."""

    tasks_per_hour_min: float | None = None
    accepted_share_min: float | None = None
    completion_p50_seconds_max: float | None = None
    completion_p95_seconds_max: float | None = None
    completion_p99_seconds_max: float | None = None
    queue_p95_seconds_max: float | None = None
    utilisation_max: float | None = None
    tokens_per_task_max: float | None = None
    usd_per_task_max: float | None = None
    rework_share_max: float | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    usd_per_million_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A scenario with its targets and prices."""

    scenario: Scenario
    targets: Targets = Targets()
    prices: Prices = Prices()


# ---- the schema ----------------------------------------------------------------------------------------------------

_CHANCE = {"minimum": 0, "maximum": 1}
_SECONDS = {"exclusiveMinimum": 0, "maximum": 31_536_000}
_HOURS = {"exclusiveMinimum": 0, "maximum": 8_760}
_POSITIVE = {"exclusiveMinimum": 0}


def _weights(*words: str) -> dict[str, Any]:
    return {
        "minProperties": 1,
        "propertyNames": {"enum": list(words)},
        "additionalProperties": {"type": "number", "minimum": 0},
    }


# Bounds and description of each field, which its type cannot express.
_FIELDS: Mapping[str, Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "Scenario": {
        "name": ({"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}, "Name in reports; default: the file's name."),
        "tenants": (
            {"minimum": 1, "maximum": 8},
            "Number of tenants. Each has its own tasks, people and bots, as many as given here.",
        ),
        "tasks_per_hour": (
            {"exclusiveMinimum": 0, "maximum": 100_000},
            "Mean number of arrivals in an hour.",
        ),
        "tasks_max": ({"minimum": 1}, "No more tasks arrive after this number."),
        "hours": (_HOURS, "Virtual time in which tasks arrive and faults strike."),
        "heal_hours": (_HOURS, "Virtual time after that, without faults, in which everything must end."),
        "planned_by_client": (_CHANCE, "Share of tasks that come with their plan."),
        "shapes": (_weights("one", "flat", "chain", "fan", "join", "cleanup", "free"), "Shapes of plans, by weight."),
        "size": ({"minimum": 1, "maximum": 200}, "Approximate number of subtasks."),
        "sizes": (
            {
                "propertyNames": {"pattern": "^([1-9][0-9]{0,2}|1000)$"},
                "additionalProperties": {"type": "number", "minimum": 0},
            },
            'Exact numbers of subtasks, by weight; replaces `size`: `{"3": 2, "5": 1}`.',
        ),
        "skills": ({"uniqueItems": True}, "All skills; the first two bots of a type have all of them."),
        "skilled": (_CHANCE, "Share of subtasks that require a skill, which not every bot has."),
        "evaluation": (_weights("final", "each", "none"), "What is reviewed, by weight."),
        "quorums": (
            {
                "minProperties": 1,
                "propertyNames": {"pattern": "^(1/[1-9]|2/[2-9]|3/[3-9]|4/[4-9]|5/[5-9])$"},
                "additionalProperties": {"type": "number", "minimum": 0},
            },
            "Reviews that must accept, of all reviews: `2/3`, by weight.",
        ),
        "approvals": (_weights("none", "plan", "final", "rounds"), "What a person must approve, by weight."),
        "deadline": (_CHANCE, "Share of tasks with a deadline."),
        "deadline_seconds": (_SECONDS, "Approximate deadline."),
        "max_rounds": ({"minimum": 1, "maximum": 20}, "Rounds of work before a task fails."),
        "budgets": (_CHANCE, "Share of tasks with a budget of tokens."),
        "budget_tokens": ({"minimum": 1, "maximum": 1_000_000_000_000}, "Approximate limit of a task's budget."),
        "verdicts": (_weights("accept", "rework", "reject"), "Decisions of evaluators, by weight."),
        "continues": (_CHANCE, "Share of subtasks whose failure does not matter."),
        "labelled": (
            _CHANCE,
            "Share of subtasks with labels; no-lethal-trifecta is then in force, except with real processes.",
        ),
        "limited": (
            _CHANCE,
            "Share of subtasks with a key of which one runs at a time; rate limits then have a scope.",
        ),
        "planners": ({}, "Bots that make plans."),
        "executors": ({}, "Bots that do the work."),
        "evaluators": ({}, "Bots that review."),
        "people": ({}, "Behaviour of clients, operators and approvers."),
        "bounds": ({}, "Limits of the system."),
        "task": (
            {"minProperties": 1},
            "More fields of every task, as in `POST /tasks`; only over HTTP.",
        ),
        "poll_seconds": ({"exclusiveMinimum": 0, "maximum": 60}, "How long a bot waits for work in one call."),
        "faults": ({"items": {"enum": list(KINDS)}, "uniqueItems": True}, "Kinds of faults; all by default."),
    },
    "Fleet": {
        "count": ({"minimum": 1, "maximum": 500}, "Number of bots."),
        "capacity": ({"minimum": 1, "maximum": 100}, "Leases of one bot at a time."),
        "work_seconds": (_SECONDS, "Mean time of one attempt."),
        "durations": (
            {"items": {"type": "number", "minimum": 0, "maximum": 31_536_000}, "maxItems": 1_000},
            "Seconds of one attempt, each equally likely; replaces `work_seconds`.",
        ),
        "tokens": ({"minimum": 0, "maximum": 1_000_000_000}, "Used by one attempt."),
        "retryable": ({"minimum": 0, "maximum": 10}, "Weight of retryable failures, relative to 1 for success."),
        "not_retryable": ({"minimum": 0, "maximum": 10}, "Weight of failures that are not retryable."),
        "rate_limited": ({"minimum": 0, "maximum": 10}, "Weight of refusals by a provider."),
        "released": ({"minimum": 0, "maximum": 10}, "Weight of work given back at once."),
        "deferred": ({"minimum": 0, "maximum": 10}, "Weight of work given back for a while."),
        "asks": ({"minimum": 0, "maximum": 10}, "Weight of questions to a person."),
        "unsound": (_CHANCE, "Share of plans and verdicts that break rules, and are corrected."),
    },
    "People": {
        "cancel": (_CHANCE, "Share of tasks that are cancelled."),
        "pause": (_CHANCE, "Share of tasks that are paused for a while."),
        "patch": (_CHANCE, "Share of tasks that are changed while open."),
        "retry": (_CHANCE, "Share of failed tasks that are retried."),
        "archive": (_CHANCE, "Share of failed tasks that are archived."),
        "tell": (_CHANCE, "Share of tasks that get a message."),
        "drain": (_CHANCE, "Share of bots that are drained, every ten minutes."),
        "bulk": (_CHANCE, "Chance of an operation on many tasks, every two minutes. Level http."),
        "decide_seconds": (_SECONDS, "Mean time until an approver decides."),
        "approve": (_CHANCE, "Share of decisions that approve."),
    },
    "Bounds": {
        "lease_seconds": ({"minimum": 1, "maximum": 86_400}, "How long a bot may be silent."),
        "timeout_seconds": ({"minimum": 1, "maximum": 604_800}, "How long an attempt may take."),
        "schedule_to_start_seconds": ({"minimum": 1, "maximum": 31_536_000}, "How long an item waits for a bot."),
        "answer_seconds": ({"minimum": 1, "maximum": 31_536_000}, "How long a person has for an answer."),
        "slice_rows": ({"minimum": 4, "maximum": 10_000}, "Rows of a plan that are written in one commit."),
    },
    "Targets": {
        "tasks_per_hour_min": (_POSITIVE, "Tasks that end in an hour."),
        "accepted_share_min": (_CHANCE, "Of the tasks that end."),
        "completion_p50_seconds_max": (_POSITIVE, "From submission to acceptance."),
        "completion_p95_seconds_max": (_POSITIVE, "From submission to acceptance."),
        "completion_p99_seconds_max": (_POSITIVE, "From submission to acceptance."),
        "queue_p95_seconds_max": (_POSITIVE, "How long an item waits for a bot."),
        "utilisation_max": (_CHANCE, "Of the busiest fleet."),
        "tokens_per_task_max": (_POSITIVE, "Of each task that ends."),
        "usd_per_task_max": (_POSITIVE, "Of each task that ends; needs `prices`."),
        "rework_share_max": (_CHANCE, "Of the tokens."),
    },
    "Prices": {"usd_per_million_tokens": ({"minimum": 0}, "Price of a million tokens.")},
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file."""
    _, parts = msgspec.json.schema_components((Scenario, Targets, Prices), ref_template="#/$defs/{name}")
    for name, part in parts.items():
        part["additionalProperties"] = False
        for field, (bounds, words) in _FIELDS[name].items():
            part["properties"][field] |= {**bounds, "description": words}
    whole = parts.pop("Scenario")
    del whole["required"]  # the name defaults to that of the file
    whole["properties"]["targets"] = {"$ref": "#/$defs/Targets", "description": Targets.__doc__}
    whole["properties"]["prices"] = {"$ref": "#/$defs/Prices", "description": "Prices of usage."}
    # A fleet need not have all fields: the others are as in the standard scenario.
    del parts["Fleet"]["required"]
    for field in parts["Fleet"]["properties"].values():
        field.pop("default", None)  # each fleet has its own defaults
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **whole,
        "title": "Scenario of swarmkeeper simulate",
        "$defs": parts,
    }


# ---- reads ---------------------------------------------------------------------------------------------------------


def shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find(name: str) -> Rehearsal:
    """Return the shipped scenario of that name, or the scenario in that file.

    Raises:
        BadScenario: it does not exist, or cannot be used.
    """
    if name in shipped():
        return read(SHIPPED / f"{name}.yaml")
    path = Path(name)
    if not name or (not path.suffix and not path.exists()):
        raise BadScenario(f"there is no scenario of that name; shipped are {', '.join(shipped())}")
    return read(path)


def read(path: Path) -> Rehearsal:
    """Read a scenario file. Missing fields are as in the standard scenario.

    Raises:
        BadScenario: it cannot be read, or a field cannot be used; the message says where.
    """
    plain = _plain(path)
    try:
        # A file's name may have characters that a scenario's name may not: spaces, or unprintable ones.
        return made(plain, name=re.sub(r"[^A-Za-z0-9_-]", "-", path.stem)[:64].lstrip("-_") or "scenario")
    except BadScenario as error:
        raise BadScenario(f"{path.name}: {error}") from None


def made(plain: object, *, name: str) -> Rehearsal:
    """Make a rehearsal from a parsed value. `name` is the default name.

    Raises:
        BadScenario: a field cannot be used; the message says where.
    """
    if not isinstance(plain, dict):
        raise BadScenario("a scenario is an object of fields")
    check_fields(plain)
    _one_of_two(plain)
    rest = {"name": name, **plain}
    targets, prices = rest.pop("targets", {}), rest.pop("prices", {})
    whole = msgspec.to_builtins(SCENARIOS[STANDARD])
    for part in ("planners", "executors", "evaluators", "people", "bounds"):
        rest[part] = whole[part] | rest.get(part, {})
    try:
        found = Rehearsal(
            msgspec.convert(rest, Scenario), msgspec.convert(targets, Targets), msgspec.convert(prices, Prices)
        )
    except msgspec.ValidationError as error:
        raise BadScenario(str(error)) from None
    check_sound(found)
    return found


def _one_of_two(plain: Mapping[str, Any]) -> None:
    """Refuse two fields that replace each other, because one of them would have no effect."""
    parts = {name: part for name, part in plain.items() if isinstance(part, dict)}
    for at, part, new, other in (
        ("", plain, "sizes", "size"),
        *((f"{name}.", part, "durations", "work_seconds") for name, part in parts.items()),
    ):
        if part.get(new) and other in part:
            raise BadScenario(f"`{at}{new}` replaces `{at}{other}`: leave one of them out")


def check_sound(found: Rehearsal) -> None:
    """Check what depends on several fields.

    Raises:
        BadScenario: tasks of this scenario cannot end well.
    """
    for field in ("shapes", "evaluation", "quorums", "approvals", "verdicts"):
        weight = sum(getattr(found.scenario, field).values())
        if not weight or math.isinf(weight):
            raise BadScenario(f"`{field}`: at least one weight must be above 0, and their sum finite")
    if found.scenario.sizes and not sum(found.scenario.sizes.values()):
        raise BadScenario("`sizes`: at least one weight must be above 0")
    if not found.scenario.verdicts.get("accept"):
        raise BadScenario("`verdicts.accept` must be above 0, or no task that is reviewed is ever accepted")
    readers = max(int(quorum[-1]) for quorum, weight in found.scenario.quorums.items() if weight)
    if readers > found.scenario.evaluators.count:
        raise BadScenario(f"`quorums` ask for {readers} reviewers, and `evaluators.count` is less")
    if found.scenario.task is not None:
        _check_task(found.scenario.task)
    if found.scenario.skilled and not found.scenario.skills:
        raise BadScenario("without `skills`, `skilled` must be 0")
    if found.targets.usd_per_task_max is not None and not found.prices.usd_per_million_tokens:
        raise BadScenario("`targets.usd_per_task_max` needs `prices.usd_per_million_tokens`")


def _check_task(task: Mapping[str, Any]) -> None:
    from pydantic import ValidationError

    from swarmkeeper.wire.requests import TaskDefinition, specs

    if "title" in task:
        raise BadScenario("`task.title`: tasks get the titles t1, t2 and so on")
    try:
        found = TaskDefinition.model_validate({"title": "t1", **task})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadScenario(f"`{'.'.join(map(str, ('task', *first['loc'])))}`: {first['msg']}") from None
    if found.subtasks is not None and (wrong := graph.check_plan(specs(found.subtasks), at="task")):
        raise BadScenario(f"`{wrong[0][0].replace('/', '.')}`: {wrong[0][2]}")


def text_of(path: Path) -> str:
    """Return the text of a user's file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a text file, or too long.
    """
    with open(path, "rb", opener=_opened) as file:
        found = file.read(_BYTES_MAX + 1)
    if len(found) > _BYTES_MAX:
        raise ValueError("the file is too long: more than a megabyte")
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None


def _opened(path: str, flags: int) -> int:
    number = os.open(path, flags | os.O_NONBLOCK)  # opening a pipe could block for ever
    if stat.S_ISREG(kind := os.fstat(number).st_mode) or stat.S_ISDIR(kind):
        return number
    os.close(number)
    raise ValueError("this is not a file")


def _plain(path: Path) -> object:
    ending = path.suffix.lower()
    name = path.name or str(path)
    if ending not in documents.ENDINGS:
        raise BadScenario(f"{name}: a scenario is written as .yaml, .toml or .json")
    try:
        text = text_of(path)
    except OSError as error:
        raise BadScenario(f"{name}: the file cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadScenario(f"{name}: {error}") from None
    try:
        return documents.parse(text, ending, size_max=_SIZE_MAX)
    except documents.Unreadable as error:
        raise BadScenario(f"{name}: {error}") from None


# ---- error messages ------------------------------------------------------------------------------------------------


def check_fields(plain: dict[str, Any]) -> None:
    """Check each field of a scenario against the schema.

    Raises:
        BadScenario: a field is unknown, has the wrong type, or is out of bounds.
    """
    from jsonschema_rs import Draft202012Validator

    whole = schema()
    try:
        wrong = sorted(_words(error, whole) for error in Draft202012Validator(whole).iter_errors(plain))
    except (TypeError, ValueError):
        words = "it has a value that JSON cannot express, such as a date, or a key that is not text"
        raise BadScenario(words) from None
    if wrong:
        raise BadScenario("; ".join(wrong[:5]))


def _words(error: ValidationError, whole: Mapping[str, Any]) -> str:
    position = ".".join(map(str, error.instance_path))
    details = error.kind.as_dict()
    if error.kind.name == "additionalProperties":
        return "; ".join(_unknown(position, str(name), whole) for name in details["unexpected"])
    words: Mapping[str, Callable[[], str]] = {
        "type": lambda: f"must be {_a(details['types'])}",
        "anyOf": lambda: "must be a number or null",
        "enum": lambda: f"must be one of {_listed(details['options'])}",
        "minimum": lambda: f"must be at least {details['limit']}",
        "maximum": lambda: f"must be at most {details['limit']}",
        "exclusiveMinimum": lambda: f"must be above {details['limit']}",
        "minProperties": lambda: "must not be empty",
        "uniqueItems": lambda: "must not have duplicates",
        "pattern": lambda: f"must be like {details['pattern']}",
        "propertyNames": lambda: "has an unknown key",
    }
    say = words.get(error.kind.name)
    return f"`{position}` {say() if say is not None else 'has an invalid value'}"


def _unknown(position: str, name: str, whole: Mapping[str, Any]) -> str:
    at: Mapping[str, Any] = whole
    if position:
        at = whole["$defs"][whole["properties"][position]["$ref"].rpartition("/")[2]]
    near = get_close_matches(name, at["properties"], 1)
    full = f"{position}.{name}" if position else name
    return f"there is no `{full}`" + (f"; is `{near[0]}` meant?" if near else "")


_NAMES = {
    "number": "a number",
    "integer": "a whole number",
    "object": "an object",
    "array": "a list",
    "null": "nothing",
}


def _a(types: list[str]) -> str:
    return " or ".join(_NAMES.get(type_, f"a {type_}") for type_ in types)


def _listed(options: list[Any]) -> str:
    return ", ".join(map(str, options))
