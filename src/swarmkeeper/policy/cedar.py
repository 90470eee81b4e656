"""Decides by Cedar policies: `core.policies.records.Policies`.

Cedar skips a policy that errs, also a `forbid`. So something is allowed only if Cedar says Allow and no policy erred.
Decisions are kept by their facts: a claim asks for each candidate, and Cedar takes hundreds of microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import cedarpy

from swarmkeeper.core.policies.records import LABELS_MAX, Fact, Facts, PolicyAction, PolicyDecision
from swarmkeeper.policy.files import PolicyStatement, files_of, schema_text, statements_of

NOTHING = "(nothing permits it)"  # in place of the ids of policies on trial
KEPT_MAX = 10_000  # decisions
NUMBER_MAX = 2**53
TEXT_MAX = 8_192  # characters of one text
DECISION_MICROSECONDS = 10_000  # of processor time; more is an error


class CedarPolicies:
    """A set of policies."""

    def __init__(self, statements: Sequence[PolicyStatement], used: Callable[[], int] = lambda: 0) -> None:
        """
        Args:
            used: the processor time of this thread, in microseconds.
        """
        text = "\n".join(statement.text for statement in statements)
        self.hash = sha256(text.encode()).hexdigest()
        self._policies = cedarpy.PolicySet.from_str(text)
        self._schema = cedarpy.Schema.from_str(schema_text())
        self._message = {statement.id: statement.message for statement in statements}
        self.names = tuple(self._message)
        self.shadow: CedarPolicies | None = None  # on trial: asked, and not obeyed
        self._used = used
        self._kept: dict[tuple[PolicyAction, Facts, Facts], PolicyDecision] = {}

    def decide(self, action: PolicyAction, principal: Facts, resource: Facts) -> PolicyDecision:
        asked = (action, principal, resource)
        known = self._kept.get(asked)
        if known is None:
            known = self._decide(action, principal, resource)
            if self.shadow is not None and known.allowed:
                trial = self.shadow.decide(action, principal, resource)
                known = known if trial.allowed else replace(known, shadow=trial.policies or (NOTHING,))
            if known.error:
                return known  # the next try may go well
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[asked] = known
        return known

    def _decide(self, action: PolicyAction, principal: Facts, resource: Facts) -> PolicyDecision:
        if (beyond := _beyond(principal) or _beyond(resource)) is not None:
            return PolicyDecision(False, message=f"the fact {beyond} is too large to be decided on", error=True)
        request = {
            "principal": _uid(principal),
            "action": {"type": "Action", "id": str(action)},
            "resource": _uid(resource),
            "context": {},
        }
        began = self._used()
        result = cedarpy.is_authorized(
            request, self._policies, json.dumps([_entity(principal), _entity(resource)]), self._schema
        )
        took = self._used() - began
        diagnostics = result.diagnostics
        names = diagnostics.id_annotations_by_reason
        decided = tuple(sorted(names.get(reason, reason) for reason in diagnostics.reasons))
        if took > DECISION_MICROSECONDS:
            return PolicyDecision(False, decided, f"the decision took {took // 1000} ms", error=True)
        if diagnostics.errors or result.decision is cedarpy.Decision.NoDecision:
            return PolicyDecision(False, decided, "a policy could not be evaluated", error=True)
        if result.decision is cedarpy.Decision.Allow:
            return PolicyDecision(True, decided)
        said = "; ".join(self._message[name] for name in decided if self._message.get(name))
        return PolicyDecision(False, decided, said if decided else "no policy permits it")


def load(places: Sequence[str], used: Callable[[], int] = lambda: 0) -> CedarPolicies:
    """Read the policies in these files and folders.

    Raises:
        BadPolicies: they cannot be used; the message names the file and the line.
    """
    schema = cedarpy.Schema.from_str(schema_text())
    return CedarPolicies(statements_of(files_of(places), schema), used)


def _uid(entity: Facts) -> dict[str, str]:
    return {"type": entity.kind, "id": entity.id}


def _entity(entity: Facts) -> dict[str, Any]:
    attributes = {name: list(value) if isinstance(value, tuple) else value for name, value in entity.attributes}
    return {"uid": _uid(entity), "attrs": attributes, "parents": []}


def _beyond(entity: Facts) -> str | None:
    """Return the name of a fact that is out of bounds."""
    return next((name for name, value in (("id", entity.id), *entity.attributes) if _is_beyond(value)), None)


def _is_beyond(value: Fact) -> bool:
    if isinstance(value, int):
        return abs(value) > NUMBER_MAX
    if isinstance(value, str):
        return len(value) > TEXT_MAX
    return len(value) > LABELS_MAX or any(len(text) > TEXT_MAX for text in value)
