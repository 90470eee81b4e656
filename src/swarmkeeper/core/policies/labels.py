"""How labels flow along the graph of a plan: what a subtask has itself, and what reaches it from those before it.

A label is a name with a value. What a subtask has reaches all that depend on it, directly or through others, on
every edge, however the subtask ends: labels say what may have flowed, so they must not depend on the order of
events. The labels of a task are not stored with its items; they are added when something is decided, so a label that
a task gets later counts for all its unfinished work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of the subtasks of one task: these bound what is stored with each of up to 10,000 items.
DIFFERENT_MAX = 32
LENGTH_MAX = 2_048  # characters of their names and values

Label = tuple[str, str]  # name, value
LabelSource = tuple[str, str, str]  # name, value, and the key of a subtask that has it itself
Flow = tuple[LabelSource, ...]  # sorted; each label once


@dataclass(frozen=True, slots=True)
class WorkLabels:
    """The labels of an item without those of its task: its own, and what has flowed in."""

    own: tuple[Label, ...] = ()  # sorted
    inflow: Flow = ()

    def outflow(self, key: str) -> Flow:
        """Return what flows from the item, whose key this is, to those that depend on it."""
        return merged(((name, value, key) for name, value in self.own), self.inflow)


NONE = WorkLabels()


def merged(*flows: Iterable[LabelSource]) -> Flow:
    """Return all labels of these flows; of several sources of a label, the first."""
    found: dict[Label, str] = {}
    for flow in flows:
        for name, value, source in flow:
            found.setdefault((name, value), source)
    return tuple((name, value, source) for (name, value), source in sorted(found.items()))


def labels_or_none(own: Iterable[Label], inflow: Flow) -> WorkLabels | None:
    """Return the labels of an item as they are stored: None if there are none."""
    sorted_ = tuple(sorted(own))
    return WorkLabels(sorted_, inflow) if sorted_ or inflow else None


def from_json(plain: Mapping[str, Any] | None) -> WorkLabels | None:
    """Return the labels of an item from what is stored."""
    if plain is None:
        return None
    return WorkLabels(tuple(map(tuple, plain["own"])), tuple(map(tuple, plain["inflow"])))


def in_words(labels: Iterable[tuple[str, str, str | None]], key: str) -> str:
    """Say where each label comes from; `key` is the item's own."""
    said = []
    for name, value, source in labels:
        whence = "its task" if source is None else "itself" if source == key else f"subtask {source}"
        said.append(f"{name}={value} (of {whence})" if value else f"{name} (of {whence})")
    return ", ".join(said)


def of_key(item: WorkLabels | None, key: str) -> Flow:
    return () if item is None else item.outflow(key)


def effective(task: Mapping[str, str], item: WorkLabels | None, key: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield all labels that count for an item, each once, with the subtask it comes from; None: from the task."""
    item = item or NONE
    seen: set[Label] = set()
    sources: Iterable[tuple[str, str, str | None]] = (
        *((name, value, key) for name, value in item.own),
        *((name, value, None) for name, value in sorted(task.items())),
        *item.inflow,
    )
    for name, value, source in sources:
        if (name, value) not in seen:
            seen.add((name, value))
            yield name, value, source


def too_many(known: Iterable[Label], more: Iterable[Label]) -> bool:
    """Whether a task's subtasks would have more different labels than can be stored with each item."""
    every = {*known, *more}
    return len(every) > DIFFERENT_MAX or sum(len(name) + len(value) for name, value in every) > LENGTH_MAX


@dataclass(frozen=True, slots=True)
class LabelledNode:
    """A subtask of a new plan."""

    key: str
    own: Mapping[str, str]
    parents: Sequence[str]


def inflows(nodes: Sequence[LabelledNode], outside: Mapping[str, Flow], base: Flow = ()) -> dict[str, Flow]:
    """Return what flows into each subtask of a valid plan, by key; those that nothing flows into are left out.

    Of several sources of a label, the one that comes through the first dependency by key counts. Each label is copied
    once for each subtask, so a plan with many edges costs no more than one with few.

    Args:
        outside: what flows from subtasks that exist already, by key.
        base: what flows into all of them.
    """
    if not base and not any(outside.values()) and not any(node.own for node in nodes):
        return {}
    inside = {node.key for node in nodes}
    children: dict[str, list[LabelledNode]] = {}
    waiting: dict[str, int] = {}
    for node in nodes:
        before = [parent for parent in node.parents if parent in inside]
        waiting[node.key] = len(before)
        for parent in before:
            children.setdefault(parent, []).append(node)
    out: dict[str, dict[Label, str]] = {
        key: {(name, value): source for name, value, source in flow} for key, flow in outside.items()
    }
    bits: dict[Label, int] = {}

    def mask(labels: Iterable[Label]) -> int:
        found = 0
        for label in labels:
            found |= 1 << bits.setdefault(label, len(bits))
        return found

    masks = {key: mask(flow) for key, flow in out.items()}
    start = {(name, value): source for name, value, source in base}
    start_mask = mask(start)
    found: dict[str, Flow] = {}
    ready = [node for node in nodes if waiting[node.key] == 0]
    while ready:
        node = ready.pop()
        labels, has = dict(start), start_mask
        for parent in sorted(node.parents):
            if masks.get(parent, 0) & ~has:
                for label, source in out[parent].items():
                    labels.setdefault(label, source)
                has |= masks[parent]
        if labels:
            found[node.key] = tuple((name, value, labels[name, value]) for name, value in sorted(labels))
        own = dict.fromkeys(node.own.items(), node.key)
        out[node.key] = {**labels, **own}
        masks[node.key] = has | mask(own)
        for child in children.get(node.key, ()):
            waiting[child.key] -= 1
            if waiting[child.key] == 0:
                ready.append(child)
    return found
