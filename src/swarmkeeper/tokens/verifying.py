"""Verifies tokens: chooses the issuer, checks signature and times, and keeps what was found until the token expires."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.errors import AuthenticationFailed
from swarmkeeper.core.model import Principal
from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.core.ports import Clock, LogWriter
from swarmkeeper.core.rules.texts import is_line
from swarmkeeper.tokens.compact import Compact, parse
from swarmkeeper.tokens.fetching import fetch_keys
from swarmkeeper.tokens.file import TEXT_MAX, IssuerTable, StepUpTable, is_domain
from swarmkeeper.tokens.issuer_keys import IssuerKeys
from swarmkeeper.tokens.keys import KeySet
from swarmkeeper.tokens.refusals import refused
from swarmkeeper.tokens.rules import principal_of

SECOND = 1_000_000
# A verified token takes about 2 KiB here. Without its place, it is only verified again.
KNOWN_MAX = 10_000
_TIME_MAX = 1 << 40  # seconds; a later time is a mistake, or is in milliseconds
_SPIFFE = "spiffe://"


@dataclass(frozen=True, slots=True)
class Issuer:
    table: IssuerTable
    keys: IssuerKeys


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    """A token that was verified."""

    issuer: Issuer
    key: str  # thumbprint of the key that signed it
    begins_at: int  # microseconds of the wall clock
    ends_at: int
    principal: Principal


class Tokens:
    """The verifier. Nothing is connected before the first token comes."""

    def __init__(
        self,
        tables: Sequence[IssuerTable],
        clock: Clock,
        log: LogWriter,
        fetch: Callable[[IssuerTable], Awaitable[KeySet]] = fetch_keys,
    ) -> None:
        self._wall = clock.now
        self._issuers = {
            table.issuer: Issuer(table, IssuerKeys(table, fetch, clock.monotonic, log)) for table in tables
        }
        self._known: dict[bytes, _VerifiedToken] = {}  # by the hash of a token
        self.verified = 0  # signatures checked so far

    async def principal(self, text: str) -> Principal:
        """Return the caller whose token this is.

        Raises:
            AuthenticationFailed: the token is not accepted; the message says why.
            PermissionDenied: it is good, but gives no role.
            Overloaded: the keys of its issuer are not known now.
        """
        shown = hashlib.sha256(text.encode(errors="replace")).digest()
        if (known := self._known.get(shown)) is not None:
            if known.begins_at <= self._wall() < known.ends_at and known.issuer.keys.has(known.key):
                known.issuer.keys.check()
                known.issuer.keys.refresh()
                return known.principal
            del self._known[shown]
        found = await self._verified(parse(text), shown.hex())
        if len(self._known) >= KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[shown] = found
        return found.principal

    def knows(self, text: str) -> bool:
        """Whether this token was verified before."""
        return hashlib.sha256(text.encode(errors="replace")).digest() in self._known

    def still_good(self, login: TokenLogin) -> bool:
        """Whether a token that was accepted has not expired, and its issuer has not withdrawn the key."""
        issuer = self._issuers.get(login.issuer)
        if issuer is None or self._wall() >= login.expires_at:
            return False
        issuer.keys.refresh()
        return issuer.keys.has(login.key)

    def warnings(self) -> list[str]:
        """Say which issuers do not give their keys."""
        return [
            f"the keys of the issuer {name} cannot be read: {issuer.keys.problem}"
            for name, issuer in self._issuers.items()
            if issuer.keys.problem
        ]

    async def close(self) -> None:
        await asyncio.gather(*(issuer.keys.close() for issuer in self._issuers.values()))

    async def _verified(self, token: Compact, id_: str) -> _VerifiedToken:
        issuer = self._issuer_of(token.claims)
        table = issuer.table
        if token.algorithm not in table.algorithms:
            raise refused("its algorithm is not one that is allowed for this issuer")
        if token.typ is None and "jwt" not in table.types:
            raise refused("its header has no typ")
        if token.typ is not None and token.typ not in table.types:
            raise refused("its typ is not one that is allowed for this issuer")
        key = await issuer.keys.key_for(token)
        if key is None:
            raise refused("its issuer has no key of this name for this algorithm")
        self.verified += 1
        if not key.signed(token):
            raise refused("its signature is wrong")
        subject = _subject(token.claims)
        _check_audience(token.claims, table.audience)
        begins_at, ends_at = self._times(token.claims, table)
        login = TokenLogin(
            table.issuer,
            subject,
            id_,
            key.thumbprint,
            ends_at,
            signed_in_at=_signed_in_at(token.claims, table.step_up),
            acr=tuple(table.step_up.acr or ()),
        )
        return _VerifiedToken(issuer, key.thumbprint, begins_at, ends_at, principal_of(table, token.claims, login))

    def _issuer_of(self, claims: Mapping[str, Any]) -> Issuer:
        """Return the issuer that a token names. The name proves nothing until the signature is verified."""
        named = claims.get("iss")
        if isinstance(named, str) and (issuer := self._issuers.get(named)) is not None and not issuer.table.spiffe:
            return issuer
        subject = claims.get("sub")
        if isinstance(subject, str) and subject.startswith(_SPIFFE):
            domain, slash, path = subject.removeprefix(_SPIFFE).partition("/")
            issuer = self._issuers.get(_SPIFFE + domain)
            if issuer is not None and issuer.table.spiffe and is_domain(domain) and slash and _is_path(path):
                return issuer
        raise refused("its issuer is not one that this server trusts")

    def _times(self, claims: Mapping[str, Any], table: IssuerTable) -> tuple[int, int]:
        """Return from when until when a token is accepted.

        Raises:
            AuthenticationFailed: that is not now.
        """
        now, leeway = self._wall(), int(table.leeway_seconds * SECOND)
        expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None:
            raise refused("it has no exp")
        ends_at = expires + leeway
        begins_at = max((at - leeway for at in (begins, issued) if at is not None), default=0)
        if table.max_age_seconds is not None:
            if issued is None:
                raise refused("it has no iat, by which its age is known")
            ends_at = min(ends_at, issued + int(table.max_age_seconds * SECOND) + leeway)
            if now >= issued + int(table.max_age_seconds * SECOND) + leeway:
                raise refused("it was issued too long ago")
        if now >= ends_at:
            raise refused("it has expired")
        if now < begins_at:
            raise refused("it is not valid yet (nbf or iat)")
        return begins_at, ends_at


def _time(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _TIME_MAX:
        raise refused(f"its {name} is not a time in seconds")
    return int(value * SECOND)


def _signed_in_at(claims: Mapping[str, Any], demanded: StepUpTable) -> int | None:
    """Return when the holder signed in; None if the token does not prove that as demanded."""
    for name, accepted in (("acr", demanded.acr), ("amr", demanded.amr)):
        found = claims.get(name)
        listed = found if isinstance(found, list) else [found]
        if accepted is not None and not any(isinstance(each, str) and each in accepted for each in listed):
            return None
    try:
        return _time(claims, demanded.time)
    except AuthenticationFailed:  # of a malformed time nothing is known
        return None


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= TEXT_MAX or not is_line(subject):
        raise refused(f"its sub is missing, or no line of 1 to {TEXT_MAX} characters")
    return subject


def _check_audience(claims: Mapping[str, Any], accepted: Sequence[str]) -> None:
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(each, str) for each in listed) or not set(listed) & set(accepted):
        raise refused("it is not for this server (aud)")


def _is_path(path: str) -> bool:
    """Whether this is the path of a SPIFFE ID, without its first slash (SPIFFE-ID, section 2.2)."""
    letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
    return all(step not in ("", ".", "..") and set(step) <= letters for step in path.split("/"))
