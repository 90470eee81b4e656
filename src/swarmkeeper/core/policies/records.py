"""The facts that policies decide on, and their decision. Equal facts get the same decision, so it can be kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from swarmkeeper.core.policies.labels import NONE, Label, WorkLabels

LABELS_MAX = 512  # texts in one set; more are an error, and an error is a deny


class PolicyAction(StrEnum):
    TASK_SUBMIT = "task.submit"
    TASK_UPDATE = "task.update"
    WORK_CLAIM = "work.claim"
    PLAN_SUBMIT = "plan.submit"
    RESULT_SUBMIT = "result.submit"
    VERDICT_SUBMIT = "verdict.submit"
    SECRET_RESOLVE = "secret.resolve"
    APPROVAL_DECIDE = "approval.decide"
    KEY_MANAGE = "key.manage"
    AUDIT_READ = "audit.read"


Fact = str | int | tuple[str, ...]  # a tuple is a set of texts, sorted


@dataclass(frozen=True, slots=True)
class Facts:
    """An entity: its type, its id and its attributes, as the schema declares them."""

    kind: str
    id: str
    attributes: tuple[tuple[str, Fact], ...]


def facts(kind: str, id_: str, /, **attributes: str | int | Iterable[str]) -> Facts:
    """Return an entity; sets of texts come as any iterable."""
    plain: list[tuple[str, Fact]] = [
        (name, value if isinstance(value, str | int) else tuple(sorted(set(value))))
        for name, value in sorted(attributes.items())
    ]
    return Facts(kind, id_, tuple(plain))


def labels_of(labels: Mapping[str, str]) -> list[str]:
    """Return labels as policies see them: each as `name`, and as `name=value`."""
    return _texts(labels.items())


def _texts(labels: Iterable[Label]) -> list[str]:
    return [text for name, value in labels for text in (name, f"{name}={value}")]


def facts_of_labels(task: Mapping[str, str], item: WorkLabels | None) -> dict[str, list[str]]:
    """Return the attributes of an item that are labels: all of them, and those that did not flow in."""
    mine = item or NONE
    of_task = labels_of(task)
    own = of_task + _texts(mine.own)
    every = own + _texts((name, value) for name, value, _ in mine.inflow)
    return {"labels": every, "own_labels": own, "task_labels": of_task}


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    allowed: bool
    policies: tuple[str, ...] = ()  # ids of those that decided; none: nothing permits it
    message: str = ""  # why it is denied
    shadow: tuple[str, ...] = ()  # ids of policies on trial that would deny it
    error: bool = False  # it is denied because a policy could not be evaluated


class Policies(Protocol):
    """A set of policies."""

    hash: str

    def decide(self, action: PolicyAction, principal: Facts, resource: Facts) -> PolicyDecision: ...
