"""The record of a person, and of a sign-in by token. Plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Somebody to whom keys and sign-ins belong. Persons are never removed, so that evidence keeps its meaning."""

    id: str
    tenant: str
    name: str  # unique in the tenant; tokens name the person by it
    created_at: int
    disabled_at: int | None = None  # None: the person's keys and tokens are accepted


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """The token of an identity provider by which a caller is known. The token itself is kept nowhere."""

    issuer: str
    subject: str
    id: str  # a hash of the token
    key: str  # the provider's key that signed it
    expires_at: int  # microseconds of the wall clock
    skills: frozenset[str] | None = None  # work that requires another one is not there for its bot
    task: str | None = None  # what belongs to another one is not there for it
    person: str | None = None  # the person's name, as a claim gives it; None: the rule names no person
    # When the person signed in (microseconds of the wall clock). None: the token does not prove it well enough.
    signed_in_at: int | None = None
    acr: tuple[str, ...] = ()  # the authentication contexts that the issuer must name for that
