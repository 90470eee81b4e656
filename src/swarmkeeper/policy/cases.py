"""Tests of policies: cases in TOML or JSON, each with a principal, an action, a resource and what is expected.

    [[case]]
    name = "others do not get private work"
    principal = {bot = "reader", owner = "else"}
    action = "work.claim"
    resource = {labels = ["private"]}
    expected = "deny"
    policy = "private-to-acme"

Facts that a case does not give have the values below.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmkeeper.core.decide.policies import why
from swarmkeeper.core.policies.records import Facts, Policies, PolicyAction, PolicyDecision, facts

CASES_BYTES_MAX = 4 << 20
_CALLER: Mapping[str, Any] = {"tenant": "default", "kind": "bot", "owner": "", "roles": [], "bot": "", "skills": []}
_LABELS: Mapping[str, Any] = {"labels": [], "own_labels": [], "task_labels": []}
_WORK: Mapping[str, Any] = {
    "tenant": "default",
    "kind": "execute",
    "skills": [],
    **_LABELS,
    "submitter": "",
    "priority": 5,
}
_RESOURCES: Mapping[PolicyAction, tuple[str, Mapping[str, Any]]] = {
    PolicyAction.TASK_SUBMIT: ("Task", {"tenant": "default", "labels": [], "submitter": "", "priority": 5}),
    PolicyAction.TASK_UPDATE: (
        "TaskChange",
        {"tenant": "default", "labels": [], "removed": [], "submitter": "", "priority": 5},
    ),
    **dict.fromkeys(
        (
            PolicyAction.WORK_CLAIM,
            PolicyAction.PLAN_SUBMIT,
            PolicyAction.RESULT_SUBMIT,
            PolicyAction.VERDICT_SUBMIT,
        ),
        ("Work", _WORK),
    ),
    PolicyAction.SECRET_RESOLVE: ("Secret", {"tenant": "default", "name": "", "skills": [], **_LABELS}),
    PolicyAction.APPROVAL_DECIDE: (
        "Approval",
        {"tenant": "default", "kind": "plan", "verb": "approve", "asked_by": "", "submitter": "", "labels": []},
    ),
    PolicyAction.KEY_MANAGE: ("Key", {"tenant": "default", "role": "", "bot": "", "owner": ""}),
    PolicyAction.AUDIT_READ: ("Log", {"tenant": "default"}),
}


class BadCases(Exception):
    """The cases cannot be run; the message says which and why."""


@dataclass(frozen=True, slots=True)
class PolicyCase:
    name: str
    action: PolicyAction
    principal: Facts
    resource: Facts
    allowed: bool
    policy: str | None = None  # that must be among those that decide

    def fault(self, policies: Policies) -> str | None:
        """Return how the decision differs from what is expected; None if it does not."""
        decision = policies.decide(self.action, self.principal, self.resource)
        if decision.allowed != self.allowed:
            return f"expected {_word(self.allowed)}, and it is {said(decision)}"
        if self.policy is not None and self.policy not in decision.policies:
            return f"{self.policy} does not decide it: it is {said(decision)}"
        return None


def said(decision: PolicyDecision) -> str:
    """Return a decision in words: allowed or denied, by which policies, and why."""
    by = (", ".join(decision.policies) if decision.allowed else why(decision)) or "no policy"
    return f"{_word(decision.allowed)} ({by})"


def read(file: Path) -> list[PolicyCase]:
    """Read a file of cases.

    Raises:
        BadCases: it cannot be read, or a case is malformed.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(CASES_BYTES_MAX + 1)
        if len(raw) > CASES_BYTES_MAX:
            raise BadCases(f"{file}: larger than {CASES_BYTES_MAX >> 20} MiB")
        document = json.loads(raw) if file.suffix == ".json" else tomllib.loads(raw.decode())
    except OSError as error:
        raise BadCases(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadCases(f"{file}: {error}") from None
    cases = document.get("case") if isinstance(document, dict) else document
    if not isinstance(cases, list) or not cases:
        raise BadCases(f"{file}: there are no cases: [[case]] in TOML, a list in JSON")
    return [_case(f"{file}: case {number}", case) for number, case in enumerate(cases, 1)]


def question(where: str, action: object, principal: object, resource: object) -> tuple[PolicyAction, Facts, Facts]:
    """Return what to ask the policies.

    Raises:
        BadCases: no such action, or no such fact.
    """
    if action not in set(PolicyAction):
        raise BadCases(f"{where}: action: expected one of {', '.join(PolicyAction)}")
    known = PolicyAction(str(action))
    kind, defaults = _RESOURCES[known]
    caller = _entity(f"{where}: principal", "Caller", _CALLER, principal)
    return known, caller, _entity(f"{where}: resource", kind, defaults, resource)


def _case(where: str, case: object) -> PolicyCase:
    if not isinstance(case, dict):
        raise BadCases(f"{where}: expected a table")
    if unknown := case.keys() - {"name", "action", "principal", "resource", "expected", "policy"}:
        raise BadCases(f"{where}: {min(unknown)}: no such field")
    name = str(case.get("name") or where)
    if case.get("expected") not in ("allow", "deny"):
        raise BadCases(f"{where}: expected: is `allow` or `deny`")
    asked = question(where, case.get("action"), case.get("principal", {}), case.get("resource", {}))
    policy = case.get("policy")
    return PolicyCase(name, *asked, allowed=case["expected"] == "allow", policy=None if policy is None else str(policy))


def _entity(where: str, kind: str, defaults: Mapping[str, Any], given: object) -> Facts:
    if not isinstance(given, dict):
        raise BadCases(f"{where}: expected a table")
    id_ = str(given.get("id", kind.lower()))
    values = {name: value for name, value in given.items() if name != "id"}
    for name, value in values.items():
        if name not in defaults:
            raise BadCases(f"{where}: {name}: no such fact of {kind}; there are {', '.join(sorted(defaults))}")
        wanted = type(defaults[name])
        fits = isinstance(value, wanted) and not isinstance(value, bool)
        if not fits or (wanted is list and not all(isinstance(text, str) for text in value)):
            raise BadCases(f"{where}: {name}: expected {_WORDS[wanted]}")
    return facts(kind, id_, **{**defaults, **values})


_WORDS: Mapping[type[Any], str] = {list: "a list of texts", str: "a text", int: "a number"}


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "denied"
