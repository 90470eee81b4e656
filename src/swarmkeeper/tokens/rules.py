"""Turns the claims of a verified token into a principal, by the first rule that fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import re2

from swarmkeeper.core import ids
from swarmkeeper.core.errors import PermissionDenied
from swarmkeeper.core.model import Principal
from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.core.rules.texts import is_line
from swarmkeeper.govern.access import Role
from swarmkeeper.tokens.file import IssuerTable, OneValue, RuleTable, SomeValues

NAME_MAX = 128
SKILLS_MAX = 100
_ABSENT = object()


def principal_of(table: IssuerTable, claims: Mapping[str, Any], login: TokenLogin) -> Principal:
    """Return what a token becomes.

    Raises:
        PermissionDenied: no rule fits, or a claim that the rule needs is missing or not allowed.
    """
    for number, rule in enumerate(table.rule, 1):
        if all(_fits(claims, claim, wanted) for claim, wanted in rule.when.items()):
            return _principal(rule, number, claims, login)
    raise PermissionDenied("the token is good, but no rule of this server gives its holder a role")


def _principal(rule: RuleTable, number: int, claims: Mapping[str, Any], login: TokenLogin) -> Principal:
    tenant = _one(rule.tenant, claims, f"rule {number}, tenant")
    bot = None if rule.bot_name is None else _one(rule.bot_name, claims, f"rule {number}, bot_name")
    skills = None if rule.skills is None else _some(rule.skills, claims, f"rule {number}, skills")
    owner = f"{login.issuer}#{login.subject}"
    if rule.owner is not None:
        owner = _one(rule.owner, claims, f"rule {number}, owner")
    key_id = ids.of_token(tenant, login.issuer, login.subject, owner)
    if rule.person is not None:
        login = replace(login, person=_one(rule.person, claims, f"rule {number}, person"))
    sees_own = rule.role == Role.CLIENT and rule.scope != "tenant"
    return Principal(tenant, key_id, str(rule.role), bot, owner, skills, login, sees_own=sees_own)


def _one(given: OneValue, claims: Mapping[str, Any], place: str) -> str:
    if given.claim is None:
        assert given.value is not None, "the file gives a value or a claim"
        return given.value
    return _allowed(given, claim_of(claims, given.claim), place)


def _some(given: SomeValues, claims: Mapping[str, Any], place: str) -> frozenset[str]:
    if given.claim is None:
        return frozenset(given.values or ())
    found = [*_each(given.claim, claim_of(claims, given.claim))]
    if len(found) > SKILLS_MAX:
        raise PermissionDenied(f"{place}: the token's claim has more than {SKILLS_MAX} values")
    return frozenset(_allowed(given, value, place) for value in found)


def _allowed(given: OneValue | SomeValues, value: Any, place: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_MAX or not value.strip() or not is_line(value):
        raise PermissionDenied(f"{place}: the token's claim is missing, or no line of 1 to {NAME_MAX} characters")
    if given.allowed is not None and value not in given.allowed:
        raise PermissionDenied(f"{place}: the token's claim is not one of those allowed")
    if given.pattern is not None and re2.fullmatch(given.pattern, value) is None:
        raise PermissionDenied(f"{place}: the token's claim does not match the pattern")
    return value


def claim_of(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim by its name, its dotted path, or its JSON Pointer (RFC 6901); a value of no JSON type if absent.

    A name comes first: there are claims that are called like a URL.
    """
    if path in claims:
        return claims[path]
    if path.startswith("/"):
        steps = [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    else:
        steps = path.split(".")
    found: Any = claims
    for step in steps:
        if not isinstance(found, Mapping) or step not in found:
            return _ABSENT
        found = found[step]
    return found


def _fits(claims: Mapping[str, Any], claim: str, wanted: Any) -> bool:
    values = wanted if isinstance(wanted, list) else [wanted]
    # In JSON, true is not 1.
    return any(
        type(value) is type(each) and value == each
        for each in _each(claim, claim_of(claims, claim))
        for value in values
    )


def _each(claim: str, found: Any) -> Iterator[Any]:
    """Yield the values of a claim. A scope is one text with several (RFC 8693, section 4.2)."""
    if found is _ABSENT:
        return
    if isinstance(found, list):
        yield from found
    elif claim == "scope" and isinstance(found, str):
        yield from found.split(" ")
    else:
        yield found
