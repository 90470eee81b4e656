"""Plans and their edges: validation, subtasks as JSON, the state of edges, downstream order, plans in parts."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import Edge, SubtaskSpec
from swarmkeeper.core.policies import labels
from swarmkeeper.core.states import EDGE_MET, FINAL, Condition, Status

SUBTASKS_MAX = 10_000
EDGES_MAX = 100_000
DEPTH_MAX = 1_000
EDGES_A_ROW = 4  # edges that take about as long to write as one row
PARTS_A_SLICE = 10  # while others wait, one part is written at a time: fifty rows take as long as a few commands
PART_BYTES_MAX = 256 * 1024  # bytes that take about as long to read and write as fifty rows
NAMED_MAX = 500  # subtasks of a plan that are named one by one
SHOWN_BYTES_MAX = 1024 * 1024  # size of the subtasks that an approval shows
ERRORS_MAX = 100  # more errors would not help the author
SECOND = 1_000_000

_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def is_key(key: str) -> bool:
    return _KEY.fullmatch(key) is not None


def check_plan(
    specs: Sequence[SubtaskSpec],
    *,
    at: str = "",
    existing: Iterable[str] = (),
    indexes: Sequence[int] | None = None,
    labelled: labels.Flow = (),
) -> list[Detail]:
    """Return all errors of a plan as (JSON Pointer, code, text); an empty list if it is valid.

    Args:
        at: pointer of the object that has the list `subtasks`, e.g. "/plan".
        existing: keys of subtasks that exist already; new ones may depend on them.
        indexes: the index of each spec in the list, if some specs could not be read.
        labelled: the labels of the subtasks that exist already.
    """
    existing_keys = set(existing)
    positions = indexes if indexes is not None else range(len(specs))
    errors: list[Detail] = []
    if not specs and not existing_keys and indexes is None:
        errors.append((f"{at}/subtasks", "empty", "a plan needs at least one subtask"))
    if len(specs) + len(existing_keys) > SUBTASKS_MAX:
        errors.append((f"{at}/subtasks", "too_many", f"a task has at most {SUBTASKS_MAX} subtasks"))
        return errors
    first_at: dict[str, int] = {}
    for position, spec in zip(positions, specs, strict=True):
        pointer = f"{at}/subtasks/{position}/key"
        if not is_key(spec.key):
            errors.append((pointer, "pattern", "a key is 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit"))
        if spec.key in first_at or spec.key in existing_keys:
            errors.append((pointer, "duplicate", "another subtask has this key"))
        else:
            first_at[spec.key] = position
    edges = 0
    for position, spec in zip(positions, specs, strict=True):
        seen: set[str] = set()
        for number, (parent, _) in enumerate(spec.depends_on):
            edges += 1
            pointer = f"{at}/subtasks/{position}/depends_on/{number}"
            if parent == spec.key:
                errors.append((pointer, "cycle", "a subtask cannot depend on itself"))
            elif parent not in first_at and parent not in existing_keys:
                errors.append((pointer, "unknown_key", "no subtask has this key"))
            elif parent in seen:
                errors.append((pointer, "duplicate", "this dependency is named twice"))
            seen.add(parent)
    if any(spec.labels for spec in specs) and labels.too_many(
        ((name, value) for name, value, _ in labelled), (label for spec in specs for label in spec.labels.items())
    ):
        most = f"{labels.DIFFERENT_MAX} different labels, of {labels.LENGTH_MAX} characters together"
        errors.append((f"{at}/subtasks", "too_many_labels", f"the subtasks of a task have at most {most}"))
    if edges > EDGES_MAX:
        errors.append((f"{at}/subtasks", "too_many", f"a plan has at most {EDGES_MAX} edges"))
    if not errors:
        errors += _check_order(specs, positions, at)
    return errors[:ERRORS_MAX]


def _check_order(specs: Sequence[SubtaskSpec], positions: Sequence[int], at: str) -> list[Detail]:
    """Check cycles and depth. All keys must be known and unique."""
    inside = {spec.key: position for position, spec in zip(positions, specs, strict=True)}
    waiting = {spec.key: sum(parent in inside for parent, _ in spec.depends_on) for spec in specs}
    children: dict[str, list[str]] = {}
    for spec in specs:
        for parent, _ in spec.depends_on:
            children.setdefault(parent, []).append(spec.key)
    depth = sum(1 for _ in _layers(waiting, children))
    cycle = "this subtask waits for itself, through other subtasks"
    errors: list[Detail] = [
        (f"{at}/subtasks/{inside[key]}/depends_on", "cycle", cycle) for key, count in waiting.items() if count > 0
    ]
    if depth > DEPTH_MAX:
        errors.append((f"{at}/subtasks", "too_deep", f"the longest chain is over {DEPTH_MAX} subtasks"))
    return errors


def handled_keys(specs: Iterable[SubtaskSpec]) -> frozenset[str]:
    """Return the keys of the subtasks whose failure an edge accepts."""
    return frozenset(
        parent for spec in specs for parent, condition in spec.depends_on if condition is not Condition.SUCCESS
    )


# ---- subtasks as JSON: the format of the API, also used in the store -----------------------------------------------


def to_json(spec: SubtaskSpec) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "key": spec.key,
        "description": spec.description,
        "required_skills": list(spec.required_skills),
        "depends_on": [{"key": key, "when": str(condition)} for key, condition in spec.depends_on],
        "input": dict(spec.input),
    }
    # Most subtasks have none of these, so each is looked at without a call.
    if spec.timeout is not None:
        plain["timeout_seconds"] = _seconds(spec.timeout)
    if spec.max_attempts is not None:
        plain["max_attempts"] = spec.max_attempts
    if spec.give_up is not None:
        plain["give_up_after_seconds"] = _seconds(spec.give_up)
    if spec.start is not None:
        plain["schedule_to_start_seconds"] = _seconds(spec.start)
    if spec.on_failure is not None:
        plain["on_failure"] = spec.on_failure
    if spec.assign_to is not None:
        plain["assign_to"] = spec.assign_to
    if spec.priority is not None:
        plain["priority"] = spec.priority
    if spec.budget is not None:
        plain["budget"] = dict(spec.budget)
    if spec.concurrency:
        plain["concurrency"] = [{"key": key, "max": most} for key, most in spec.concurrency]
    if spec.labels:
        plain["labels"] = dict(spec.labels)
    return plain


def from_json(plain: Mapping[str, Any]) -> SubtaskSpec:
    """Return the spec for a mapping in the API's format, whose types must have been checked."""
    return SubtaskSpec(
        key=plain["key"],
        description=plain.get("description", ""),
        required_skills=tuple(plain.get("required_skills") or ()),
        depends_on=tuple(_dependency(parent) for parent in plain.get("depends_on") or ()),
        input=plain.get("input") or {},
        timeout=_microseconds(plain.get("timeout_seconds")),
        max_attempts=plain.get("max_attempts"),
        give_up=_microseconds(plain.get("give_up_after_seconds")),
        start=_microseconds(plain.get("schedule_to_start_seconds")),
        on_failure=plain.get("on_failure"),
        assign_to=plain.get("assign_to"),
        priority=plain.get("priority"),
        budget=plain.get("budget"),
        concurrency=tuple((limit["key"], limit["max"]) for limit in plain.get("concurrency") or ()),
        labels=plain.get("labels") or {},
    )


def _dependency(parent: str | Mapping[str, str]) -> tuple[str, Condition]:
    if isinstance(parent, str):
        return parent, Condition.SUCCESS
    return parent["key"], Condition(parent.get("when", "success"))


def _seconds(microseconds: int) -> float:
    whole, rest = divmod(microseconds, SECOND)
    return microseconds / SECOND if rest else whole


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)


# ---- edges --------------------------------------------------------------------------------------------------------


def edge_state(edges: Iterable[Edge], status_of: Mapping[str, Status]) -> tuple[int, bool]:
    """Return (number of edges not yet settled, whether a settled one is broken).

    Args:
        status_of: the status of each upstream item, by id.
    """
    pending, broken = 0, False
    for edge in edges:
        status = status_of[edge.parent]
        if status not in FINAL:
            pending += 1
        elif not EDGE_MET.get((edge.condition, status), False):
            broken = True
    return pending, broken


def downstream(roots: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Return the roots and everything downstream, parents before children, ties by id."""
    children: dict[str, list[str]] = {}
    for edge in edges:
        children.setdefault(edge.parent, []).append(edge.child)
    reached = set(roots)
    stack = sorted(reached)
    while stack:
        for child in children.get(stack.pop(), ()):
            if child not in reached:
                reached.add(child)
                stack.append(child)
    waiting = dict.fromkeys(sorted(reached), 0)
    for parent in waiting:
        for child in children.get(parent, ()):
            waiting[child] += 1
    return [work for layer in _layers(waiting, children) for work in sorted(layer)]


def _layers(waiting: dict[str, int], children: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield the nodes in layers, parents before children (Kahn's algorithm).

    Args:
        waiting: the number of parents of each node; counted down, so that only nodes in or behind a cycle stay above 0.
    """
    layer = [node for node, count in waiting.items() if count == 0]
    while layer:
        yield layer
        following = []
        for node in layer:
            for child in children.get(node, ()):
                waiting[child] -= 1
                if waiting[child] == 0:
                    following.append(child)
        layer = following


# ---- plans in parts, as slices are stored --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """A valid plan that is longer than a slice, prepared for the store so that the engine can accept it quickly."""

    count: int  # subtasks
    keys: tuple[str, ...]  # keys of the first subtasks
    parts: tuple[bytes, ...]
    body: bytes  # the whole plan in the API's format
    digest: str  # SHA-256 of the body
    first: bytes  # the first subtasks as a JSON list, for an approval
    labels: labels.Flow = ()  # all that the subtasks have themselves

    @property
    def size(self) -> int:
        return sum(map(len, self.parts)) + len(self.body)


def cut(specs: Sequence[SubtaskSpec], slice_rows: int) -> tuple[tuple[SubtaskSpec, ...], Written | None]:
    """Prepare a valid first plan for a command: return its specs; if they are many or large, none, but the parts."""
    plain = [to_json(spec) for spec in specs]
    body = json.dumps({"subtasks": plain}).encode()
    if len(specs) <= slice_rows and len(body) <= PART_BYTES_MAX:
        return tuple(specs), None
    written = parts(specs, {}, handled_keys(specs), part_rows(slice_rows))
    return (), Written(
        count=len(specs),
        keys=tuple(spec.key for spec in specs[:NAMED_MAX]),
        parts=tuple(json.dumps(part).encode() for part in written),
        body=body,
        digest=hashlib.sha256(body).hexdigest(),
        first=_first_subtasks(plain),
        labels=own_labels(specs),
    )


def _first_subtasks(plain: Sequence[dict[str, Any]]) -> bytes:
    """Return the first subtasks of a plan, as many as a person can read, as a JSON list."""
    texts: list[str] = []
    room = SHOWN_BYTES_MAX
    for subtask in plain[:NAMED_MAX]:
        text = json.dumps(subtask)
        room -= len(text) + 2
        if room < 0:
            break
        texts.append(text)
    return f"[{', '.join(texts)}]".encode()


def part_rows(slice_rows: int) -> int:
    """Return the number of rows of one part. Several parts are written at once if no one waits."""
    return max(1, slice_rows // PARTS_A_SLICE)


def own_labels(specs: Iterable[SubtaskSpec]) -> labels.Flow:
    """Return all labels that these subtasks have themselves, each with the first that has it."""
    return labels.merged((name, value, spec.key) for spec in specs for name, value in spec.labels.items())


def parts(
    specs: Sequence[SubtaskSpec],
    known: Mapping[str, str],
    failure_handled: Collection[str],
    size: int,
    *,
    outside: Mapping[str, labels.Flow] | None = None,
    base: labels.Flow = (),
) -> Iterator[list[dict[str, Any]]]:
    """Yield the plan in parts with limited rows, edges and bytes.

    Edges within the plan that do not fit in the part of their row follow in later parts; no item is leased before the
    last part is written. A node has the whole subtask as text: others wait while a part is read, so nested inputs must
    not be parsed then.

    Args:
        known: ids of the subtasks that exist already, by key. Their status may change, so an edge from one of them is
            written together with its row, whose `pending` counts it.
        failure_handled: keys of the subtasks whose failure an edge accepts.
        size: rows of one part.
        outside: labels that flow from the subtasks that exist already, by key.
        base: labels that flow into all of the new ones.
    """
    nodes = [labels.LabelledNode(spec.key, spec.labels, [key for key, _ in spec.depends_on]) for spec in specs]
    inflow = labels.inflows(nodes, outside or {}, base)
    part: list[dict[str, Any]] = []
    rows, edges, length, edges_max = 0, 0, 0, size * EDGES_A_ROW
    for number, spec in enumerate(specs):
        # (key, or id of an existing subtask; condition; whether it is in this plan)
        outer: list[list[Any]] = [
            [known[key], str(condition), False] for key, condition in spec.depends_on if key in known
        ]
        inner: list[list[Any]] = [[key, str(condition), True] for key, condition in spec.depends_on if key not in known]
        whole = to_json(spec)
        body = json.dumps(whole)
        flow = inflow.get(spec.key, ())
        weight = len(body) + sum(map(len, itertools.chain.from_iterable(flow)))
        if part and length + weight > PART_BYTES_MAX:
            yield part
            part, rows, edges, length = [], 0, 0, 0
        here = max(0, edges_max - edges - len(outer))
        more = max(0, len(inner) - here)
        light = {name: value for name, value in whole.items() if name not in ("description", "depends_on", "input")}
        node = {"spec": light, "body": body, "number": number, "handled": spec.key in failure_handled}
        if flow:
            node["inflow"] = flow
        part.append({**node, "parents": outer + inner[:here], "more": more})
        rows, edges, length = rows + 1, edges + len(outer) + len(inner) - more, length + weight
        for begin in range(here, len(inner), edges_max):
            yield part
            part = [{"child": spec.key, "parents": inner[begin : begin + edges_max]}]
            rows, edges, length = 0, len(inner[begin : begin + edges_max]), 0
        if rows >= size or edges >= edges_max:
            yield part
            part, rows, edges, length = [], 0, 0, 0
    if part:
        yield part
