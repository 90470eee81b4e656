"""Plans and their edges: soundness, a subtask as JSON, what a settled edge means, what lies downstream."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.errors import Detail
from swarmkeeper.core.model import Edge, SubtaskSpec
from swarmkeeper.core.states import EDGE_MET, FINAL, Condition, Status

SUBTASKS_MAX = 10_000
EDGES_MAX = 100_000
DEPTH_MAX = 1_000
EDGES_A_ROW = 4  # are written in about the time of a row of a plan
PARTS_A_SLICE = 10  # where others wait one is written at a time: fifty rows take as long as a few of their commands
PART_BYTES_MAX = 256 * 1024  # are read and written in about the time of fifty rows
TOLD_MAX = 500  # of a plan's subtasks are told one by one
TOLD_BYTES_MAX = 1024 * 1024  # of them are shown to whoever has to approve it
ERRORS_MAX = 100  # more would not help whoever has to mend it
SECOND = 1_000_000

_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def is_key(key: str) -> bool:
    return _KEY.fullmatch(key) is not None


def check_plan(
    specs: Sequence[SubtaskSpec], *, at: str = "", existing: Iterable[str] = (), indexes: Sequence[int] | None = None
) -> list[Detail]:
    """All that is wrong with a plan, as (JSON Pointer, code, words); empty when it is sound.

    Args:
        at: pointer of the list that the specs stand in, e.g. "/plan".
        existing: keys of subtasks that are there already, which new ones may depend on.
        indexes: where in the list each spec stood, when some could not be read.
    """
    there = set(existing)
    places = indexes if indexes is not None else range(len(specs))
    errors: list[Detail] = []
    if not specs and not there and indexes is None:
        errors.append((f"{at}/subtasks", "empty", "a plan needs at least one subtask"))
    if len(specs) + len(there) > SUBTASKS_MAX:
        errors.append((f"{at}/subtasks", "too_many", f"a task has at most {SUBTASKS_MAX} subtasks"))
        return errors
    first_at: dict[str, int] = {}
    for place, spec in zip(places, specs, strict=True):
        pointer = f"{at}/subtasks/{place}/key"
        if not is_key(spec.key):
            errors.append((pointer, "pattern", "a key is 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit"))
        if spec.key in first_at or spec.key in there:
            errors.append((pointer, "duplicate", "another subtask has this key"))
        else:
            first_at[spec.key] = place
    edges = 0
    for place, spec in zip(places, specs, strict=True):
        seen: set[str] = set()
        for number, (parent, _) in enumerate(spec.depends_on):
            edges += 1
            pointer = f"{at}/subtasks/{place}/depends_on/{number}"
            if parent == spec.key:
                errors.append((pointer, "cycle", "a subtask cannot depend on itself"))
            elif parent not in first_at and parent not in there:
                errors.append((pointer, "unknown_key", "no subtask has this key"))
            elif parent in seen:
                errors.append((pointer, "duplicate", "this dependency is named twice"))
            seen.add(parent)
    if edges > EDGES_MAX:
        errors.append((f"{at}/subtasks", "too_many", f"a plan has at most {EDGES_MAX} edges"))
    if not errors:
        errors += _check_order(specs, places, at)
    return errors[:ERRORS_MAX]


def _check_order(specs: Sequence[SubtaskSpec], places: Sequence[int], at: str) -> list[Detail]:
    """Cycles and depth, by Kahn's algorithm; only called where every name is known and unique."""
    inside = {spec.key: place for place, spec in zip(places, specs, strict=True)}
    waiting = {spec.key: sum(parent in inside for parent, _ in spec.depends_on) for spec in specs}
    children: dict[str, list[str]] = {}
    for spec in specs:
        for parent, _ in spec.depends_on:
            children.setdefault(parent, []).append(spec.key)
    layer = [key for key, count in waiting.items() if count == 0]
    depth, done = 0, 0
    while layer:
        depth += 1
        done += len(layer)
        following = []
        for key in layer:
            for child in children.get(key, ()):
                waiting[child] -= 1
                if waiting[child] == 0:
                    following.append(child)
        layer = following
    errors: list[Detail] = []
    if done < len(specs):
        errors += [
            (
                f"{at}/subtasks/{inside[key]}/depends_on",
                "cycle",
                "this subtask waits for itself, through other subtasks",
            )
            for key, count in waiting.items()
            if count > 0
        ]
    if depth > DEPTH_MAX:
        errors.append((f"{at}/subtasks", "too_deep", f"the longest chain is over {DEPTH_MAX} subtasks"))
    return errors


def handled_keys(specs: Iterable[SubtaskSpec]) -> frozenset[str]:
    """Keys of the subtasks whose failure an edge takes care of."""
    return frozenset(
        parent for spec in specs for parent, condition in spec.depends_on if condition is not Condition.SUCCESS
    )


# ---- a subtask as JSON: the shape of the API, used for what is stored, too ----------------------------------------


def to_json(spec: SubtaskSpec) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "key": spec.key,
        "description": spec.description,
        "required_skills": list(spec.required_skills),
        "depends_on": [{"key": key, "when": str(condition)} for key, condition in spec.depends_on],
        "input": dict(spec.input),
    }
    optional = {
        "timeout_seconds": _seconds(spec.timeout),
        "max_attempts": spec.max_attempts,
        "give_up_after_seconds": _seconds(spec.give_up),
        "schedule_to_start_seconds": _seconds(spec.start),
        "on_failure": spec.on_failure,
        "assign_to": spec.assign_to,
        "priority": spec.priority,
    }
    plain.update({name: value for name, value in optional.items() if value is not None})
    return plain


def from_json(plain: Mapping[str, Any]) -> SubtaskSpec:
    """The spec that a mapping of the API's shape describes; its types are taken as checked."""
    return SubtaskSpec(
        key=plain["key"],
        description=plain.get("description", ""),
        required_skills=tuple(plain.get("required_skills") or ()),
        depends_on=tuple(_dependency(one) for one in plain.get("depends_on") or ()),
        input=plain.get("input") or {},
        timeout=_microseconds(plain.get("timeout_seconds")),
        max_attempts=plain.get("max_attempts"),
        give_up=_microseconds(plain.get("give_up_after_seconds")),
        start=_microseconds(plain.get("schedule_to_start_seconds")),
        on_failure=plain.get("on_failure"),
        assign_to=plain.get("assign_to"),
        priority=plain.get("priority"),
    )


def _dependency(one: str | Mapping[str, str]) -> tuple[str, Condition]:
    if isinstance(one, str):
        return one, Condition.SUCCESS
    return one["key"], Condition(one.get("when", "success"))


def _seconds(microseconds: int | None) -> float | None:
    if microseconds is None:
        return None
    whole, rest = divmod(microseconds, SECOND)
    return microseconds / SECOND if rest else whole


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)


# ---- edges --------------------------------------------------------------------------------------------------------


def standing(edges: Iterable[Edge], status_of: Mapping[str, Status]) -> tuple[int, bool]:
    """(edges not yet settled, whether a settled one is broken), given the status of each upstream item."""
    pending, broken = 0, False
    for edge in edges:
        status = status_of[edge.parent]
        if status not in FINAL:
            pending += 1
        elif not EDGE_MET.get((edge.condition, status), False):
            broken = True
    return pending, broken


def downstream(roots: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Roots and all that lies behind them, upstream before downstream, ties by id."""
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
    layer = [work for work, count in waiting.items() if count == 0]
    order: list[str] = []
    while layer:
        order += layer
        following = []
        for parent in layer:
            for child in children.get(parent, ()):
                waiting[child] -= 1
                if waiting[child] == 0:
                    following.append(child)
        layer = sorted(following)
    return order


# ---- a plan in parts, as its slices are stored ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """A sound plan that is longer than a slice, as it is stored: what takes long of accepting it, done beforehand."""

    count: int  # subtasks
    keys: tuple[str, ...]  # of the first ones
    parts: tuple[bytes, ...]
    body: bytes  # the whole plan in the API's shape
    digest: str  # SHA-256 of the body
    told: bytes  # the first subtasks as a JSON list, for whoever has to approve it

    @property
    def size(self) -> int:
        return sum(map(len, self.parts)) + len(self.body)


def cut(specs: Sequence[SubtaskSpec], slice_rows: int) -> tuple[tuple[SubtaskSpec, ...], Written | None]:
    """A sound first plan as a command carries it: its nodes, or where they are many or large, no node but its parts."""
    plain = [to_json(spec) for spec in specs]
    body = json.dumps({"subtasks": plain}).encode()
    if len(specs) <= slice_rows and len(body) <= PART_BYTES_MAX:
        return tuple(specs), None
    written = parts(specs, {}, handled_keys(specs), part_rows(slice_rows))
    return (), Written(
        count=len(specs),
        keys=tuple(spec.key for spec in specs[:TOLD_MAX]),
        parts=tuple(json.dumps(part).encode() for part in written),
        body=body,
        digest=hashlib.sha256(body).hexdigest(),
        told=told(plain),
    )


def told(plain: Sequence[dict[str, Any]]) -> bytes:
    """The first subtasks of a plan in the API's shape, as many as one can look through, as a JSON list."""
    texts: list[str] = []
    room = TOLD_BYTES_MAX
    for one in plain[:TOLD_MAX]:
        text = json.dumps(one)
        room -= len(text) + 2
        if room < 0:
            break
        texts.append(text)
    return f"[{', '.join(texts)}]".encode()


def part_rows(slice_rows: int) -> int:
    """How many rows one part has. Several are written at once where nobody waits."""
    return max(1, slice_rows // PARTS_A_SLICE)


def parts(
    specs: Sequence[SubtaskSpec], known: Mapping[str, str], failure_handled: Collection[str], size: int
) -> Iterator[list[dict[str, Any]]]:
    """The plan in parts of bounded rows, edges and bytes. Edges within the plan that are too many for the part that
    their row stands in follow it; none of it is handed out before the last.

    A node has the whole subtask as a text: a part is read while everybody waits, and what a caller nested in an input
    is nothing that has to be read then.

    Args:
        known: ids of the subtasks that are there already, by key; where such a one stands may change, so that an edge
            from it is written with the row that counts it.
    """
    part: list[dict[str, Any]] = []
    rows, edges, length, edges_max = 0, 0, 0, size * EDGES_A_ROW
    for number, spec in enumerate(specs):
        # (key, or id where it is known; condition; whether it stands in this same plan)
        outer: list[list[Any]] = [
            [known[key], str(condition), False] for key, condition in spec.depends_on if key in known
        ]
        inner: list[list[Any]] = [[key, str(condition), True] for key, condition in spec.depends_on if key not in known]
        whole = to_json(spec)
        body = json.dumps(whole)
        if part and length + len(body) > PART_BYTES_MAX:
            yield part
            part, rows, edges, length = [], 0, 0, 0
        here = max(0, edges_max - edges - len(outer))
        more = max(0, len(inner) - here)
        light = {name: value for name, value in whole.items() if name not in ("description", "depends_on", "input")}
        node = {"spec": light, "body": body, "number": number, "handled": spec.key in failure_handled}
        part.append({**node, "parents": outer + inner[:here], "more": more})
        rows, edges, length = rows + 1, edges + len(outer) + len(inner) - more, length + len(body)
        for begin in range(here, len(inner), edges_max):
            yield part
            part = [{"child": spec.key, "parents": inner[begin : begin + edges_max]}]
            rows, edges, length = 0, len(inner[begin : begin + edges_max]), 0
        if rows >= size or edges >= edges_max:
            yield part
            part, rows, edges, length = [], 0, 0, 0
    if part:
        yield part
