"""Authenticates API keys and tokens. Keys are cached in memory and read again when they may have changed.

An unknown key is looked up in the store at once, so that a new key works at once. Callers that send wrong keys are
slowed down by source address; a valid cached key is never refused for that. The module also keeps when each bot last
called.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

from swarmkeeper.access.accesses import Accesses
from swarmkeeper.access.duplicate_processes import Processes
from swarmkeeper.access.sessions.kept import Sessions, caller_of
from swarmkeeper.access.sessions.one_time import OneTimeTokens
from swarmkeeper.access.stuck_code import StuckCodeRegistry
from swarmkeeper.core import ids
from swarmkeeper.core.errors import AuthenticationFailed, NotSupported, PermissionDenied, RateLimited, SwarmkeeperError
from swarmkeeper.core.model import ApiKey, Principal
from swarmkeeper.core.named_reads import KEY_BY_PUBLIC_ID, TENANT_ROW, fetch
from swarmkeeper.core.persons.reads import PERSON_BY_NAME, PERSON_ROW
from swarmkeeper.core.persons.records import PersonRecord, TokenLogin
from swarmkeeper.core.ports import Heard, Store
from swarmkeeper.core.sessions.commands import OpenSession
from swarmkeeper.core.sessions.records import SessionRecord
from swarmkeeper.govern import keys

SECOND = 1_000_000
# Wrong keys per second: enough for a person with a broken script to notice; guessing a key takes 2^256 tries.
FAILURES_A_SECOND = 10
# Each lookup costs the store a read of some microseconds, and each token that is verified about as much. What is found
# to be good is not counted.
LOOKUPS_A_SECOND = 100
SOURCES_MAX = 10_000
KEYS_MAX = 50_000
TENANTS_MAX = 10_000

_REFUSED = "the API key is missing, unknown, expired or revoked"
_SIGNED_OUT = "the session has ended: sign in again"
_USED = "the link was used already, or is older than a minute: a new one is needed"


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` per second, and as many at once. `at` is in microseconds."""

    rate: int
    left: float
    at: int

    def has_room(self, now: int) -> bool:
        self.left = min(float(self.rate), self.left + (now - self.at) * self.rate / SECOND)
        self.at = now
        return self.left >= 1

    def take(self, now: int) -> bool:
        if not self.has_room(now):
            return False
        self.left -= 1
        return True

    def charge(self) -> None:
        """Count what has had room and turned out to count. Many of those at once leave a debt."""
        self.left = max(-float(self.rate), self.left - 1)

    def give_back(self) -> None:
        self.left = min(float(self.rate), self.left + 1)


class Buckets:
    """One bucket for each source. The least recently used are forgotten, which only resets their limit."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._of: dict[str, Bucket] = {}

    def of(self, source: str, now: int) -> Bucket:
        bucket = self._of.pop(source, None) or Bucket(self._rate, float(self._rate), now)
        self._of[source] = bucket
        if len(self._of) > SOURCES_MAX:
            del self._of[next(iter(self._of))]
        return bucket


@dataclass(slots=True)
class Presence:
    """When each bot last called, and when it last asked for work, in microseconds. In memory: after a restart, a bot is
    seen again with its next call, and has time to ask. Servers that share a store tell each other; see others.py.
    """

    _now: Callable[[], int]
    _last: dict[str, int] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)
    _untold: set[str] = field(default_factory=set)  # bots that were heard since `take_untold`
    _began: int = 0

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start the time that bots have to ask for work; call this when they can reach the server."""
        self._began = self._now()

    def seen(self, bot_id: str) -> None:
        self._last[bot_id] = self._now()
        self._untold.add(bot_id)

    def last_seen(self, bot_id: str) -> int | None:
        return self._last.get(bot_id)

    def asked(self, bot_id: str) -> None:
        """Record that the bot asked for work, or that it registered or reported and will ask soon."""
        self._last[bot_id] = self._asked[bot_id] = self._now()
        self._untold.add(bot_id)

    def last_asked(self, bot_id: str) -> int:
        """When the bot last asked for work; if it has not since the start, the time of the start."""
        return self._asked.get(bot_id, self._began)

    def forget(self, bot_id: str) -> None:
        self._last.pop(bot_id, None)
        self._asked.pop(bot_id, None)
        self._untold.discard(bot_id)

    def take_untold(self) -> list[Heard]:
        """Return what was heard since the last call, for the other servers."""
        untold, self._untold = self._untold, set()
        return [(bot, self._last[bot], self._asked.get(bot, 0)) for bot in untold]

    def keep_untold(self, bots: Iterable[str]) -> None:
        """Tell again of these, because the other servers may not have got it."""
        self._untold.update(bot for bot in bots if bot in self._last)

    def hear(self, heard: Iterable[Heard]) -> None:
        """Learn what other servers have heard. Their clocks may be ahead of this one's: nobody called in the future."""
        now = self._now()
        for bot, seen_at, asked_at in heard:
            self._last[bot] = max(self._last.get(bot, 0), min(seen_at, now))
            if asked_at:
                self._asked[bot] = max(self._asked.get(bot, 0), min(asked_at, now))


OWN_ISSUER = "urn:swarmkeeper:own"


@dataclass(frozen=True, slots=True)
class VerifiedOwnToken:
    """What a token that this server gave says; its signature was verified."""

    public_id: str  # of the API key
    secret: str  # the version of the key's secret that it was made by: see govern/keys.py
    role: str
    login: TokenLogin


@dataclass(frozen=True, slots=True)
class WantedToken:
    """What a token of this server is to be worth: never more than what it is exchanged for."""

    role: str
    seconds: int
    skills: frozenset[str] | None = None  # None: all that the key has
    task: str | None = None  # None: any
    until: int | None = None  # when it ends at the latest, in microseconds of the wall clock


class OwnTokens(Protocol):
    """Makes and verifies the server's own tokens; see tokens/own.py."""

    def knows(self, text: str) -> bool: ...
    def made(self, public_id: str, key_id: str, secret: str, wanted: WantedToken) -> tuple[str, int]: ...
    def verified(self, text: str) -> VerifiedOwnToken | None: ...


class TokenVerifier(Protocol):
    """Verifies tokens of identity providers; see tokens/verifying.py."""

    def knows(self, text: str) -> bool: ...
    async def principal(self, text: str) -> Principal: ...
    def still_good(self, login: TokenLogin) -> bool: ...


class Identity:
    """Authenticates callers. All times are in microseconds.

    Args:
        now: engine time, for the presence of bots.
        wall: the wall clock, by which keys expire.
        monotonic: monotonic time, for rate limits.
        tokens: what verifies tokens of identity providers; None: none of them is accepted.
        own_tokens: likewise for those that this server gives.
    """

    def __init__(
        self,
        store: Store,
        pepper: bytes,
        *,
        now: Callable[[], int],
        wall: Callable[[], int],
        monotonic: Callable[[], int],
        tokens: TokenVerifier | None = None,
        own_tokens: OwnTokens | None = None,
    ) -> None:
        self.presence = Presence(now)
        self.processes = Processes()
        self.stuck = StuckCodeRegistry()
        # Whether what is cached may be used; see access/others.py.
        self.is_fresh: Callable[[], bool] = lambda: True
        self.check_time: Callable[[], None] = lambda: None  # raises Overloaded if this server stood still
        self.accesses = Accesses(monotonic, wall)
        self.failures = 0  # calls without a valid credential, for metrics
        self._store, self._pepper, self._tokens = store, pepper, tokens
        self._own_tokens = own_tokens
        self._wall, self._monotonic = wall, monotonic
        self._keys: dict[str, ApiKey] = {}  # by public id
        self._public_ids: dict[str, str] = {}  # id of the key's record -> public id
        # By the hash of a key's text that was found valid: saves checking it again. The hash itself is no credential.
        self._known: dict[bytes, tuple[ApiKey, Principal]] = {}
        self._persons: dict[tuple[str, str], PersonRecord] = {}  # by tenant and id; also by tenant and name
        self._tenants = set[str]()  # that exist, as far as it is known; none ever ends
        self._generation = 0
        self._failing = Buckets(FAILURES_A_SECOND)
        self._looking_up = Buckets(LOOKUPS_A_SECOND)
        self.one_time = OneTimeTokens(monotonic)
        self._sessions = Sessions(store, self.digest, wall)
        self.accesses.sessions = self._sessions.used

    # ---- authentication --------------------------------------------------------------------------------------------

    async def authenticate(self, text: str | None, source: str = "", *, as_bearer: bool = False) -> Principal:
        """Return the principal of a key or token.

        Args:
            text: the key or token as sent; None if there is none.
            source: the caller's address, for rate limits.
            as_bearer: whether it may be a token: only `Authorization: Bearer` carries one.

        Raises:
            AuthenticationFailed: the key or token is missing, unknown, expired or revoked.
            PermissionDenied: the token is good, but gives no role.
            RateLimited: too many wrong keys or tokens came from this source.
            Overloaded: whether the token is good is not known now; or this server stood still.
        """
        self.check_time()
        if as_bearer and text is not None and "." in text:  # no key has a dot
            return await self._by_token(text, source)
        shown = b"" if text is None else hashlib.sha256(text.encode(errors="replace")).digest()
        fresh = self.is_fresh()
        if fresh and (known := self._known.get(shown)) is not None:
            # A changed key is a different record.
            shown_key, principal = known
            is_same = self._keys.get(shown_key.public_id) is shown_key and await self._has_person(shown_key)
            if is_same and self._good(shown_key) and _may_come_from(source, shown_key):
                self.accesses.used.add(shown_key.id)
                return principal
            del self._known[shown]
        parsed = keys.parse(text) if text is not None else None
        if parsed is None:
            raise self._failed(source)
        public_id, secret = parsed
        key = self._keys.get(public_id) if fresh else None
        if key is None:
            key = await self._look_up(public_id, source)
        if key is None:
            raise self._failed(source)
        why = self._why_not(key, secret, source)
        if why is None and not await self._has_person(key):
            why = "person_disabled"
        if why is not None:
            self.accesses.refused(_principal(key), why, "authenticate")
            raise self._failed(source, is_known=True)
        principal = replace(_principal(key), secret_digest=self.digest(secret))
        self.accesses.used.add(key.id)
        if key.previous_digest is None:  # during a rotation, the old text is valid only for a while
            self._remember(shown, key, principal)
        return principal

    async def by_session(self, cookie: str, source: str) -> Principal:
        """Return the principal of a browser's session, which is worth what its key or token is worth now.

        Raises:
            AuthenticationFailed: there is no such session, it has ended, or its key or token is not good any more.
            RateLimited: too many wrong cookies came from this source.
            Overloaded: this server stood still.
        """
        self.check_time()
        unknown = self._unknown(source, "sessions")
        session = await self._sessions.find(cookie)
        principal = None if session is None else await self._of_session(session, source)
        if session is None or principal is None:
            unknown.charge()
            raise self._failed(source, refused=_SIGNED_OUT)
        self._sessions.note(session)
        return principal

    async def _of_session(self, session: SessionRecord, source: str) -> Principal | None:
        """Return the caller of an open session; None if the key or token with which it was opened is not good."""
        principal = caller_of(session)
        if session.public_id is not None:
            cached = self._keys.get(session.public_id) if self.is_fresh() else None
            key = cached or await self._read(session.public_id)
            if key is None or not _may_come_from(source, key):
                return None
            if principal is None:
                principal = replace(_principal(key), secret_digest=session.secret_digest, session=session.id)
            self.accesses.used.add(key.id)
        if principal is None or not await self._is_good(principal):
            return None
        return principal

    def opening(self, by: Principal, cookie: str, trace: str) -> OpenSession:
        """Return the command that opens a session for a caller with a key or token."""
        return replace(self._sessions.opening(by, cookie, self._public_ids.get(by.key_id)), trace=trace)

    async def redeemed(self, token: str, source: str) -> Principal:
        """Return whose one-time token this is; it counts no more.

        Raises:
            AuthenticationFailed: there is no such token, it was used or is too old, or its key has ended since.
            RateLimited: too many wrong ones came from this source.
        """
        principal = self.one_time.take(token)
        if principal is None or not await self.still_good(principal):
            raise self._failed(source, refused=_USED)
        return principal

    async def _by_token(self, text: str, source: str) -> Principal:
        """Return the principal of a token. Verifying takes long: what fails counts against a limit before it begins."""
        bucket = None if self._has_verified(text) else self._looking_up.of(source, self._monotonic())
        if bucket is not None and not bucket.take(self._monotonic()):
            self.failures += 1
            self.accesses.strange(source)
            raise RateLimited("too many calls without a good token", retry_after=1)
        counts = False
        try:
            return await self._verified(text, source)
        except (AuthenticationFailed, PermissionDenied, RateLimited):
            counts = True
            raise
        finally:
            if bucket is not None and not counts:
                bucket.give_back()

    def _has_verified(self, text: str) -> bool:
        """Whether this token was found good before."""
        return any(each is not None and each.knows(text) for each in (self._own_tokens, self._tokens))

    async def _verified(self, text: str, source: str) -> Principal:
        try:
            own = None if self._own_tokens is None else self._own_tokens.verified(text)
            if own is not None:
                return await self._by_own_token(own, source)
            if self._tokens is None:
                raise AuthenticationFailed(_REFUSED)
            principal = await self._tokens.principal(text)
            if not await self._has_tenant(principal.tenant):
                raise PermissionDenied("the token is good, but its tenant does not exist: its first key creates it")
            principal = await self._with_person(principal)
        except (AuthenticationFailed, PermissionDenied) as error:
            limited = self._failed(source)
            raise limited if isinstance(limited, RateLimited) else error from None
        return principal

    async def _by_own_token(self, own: VerifiedOwnToken, source: str) -> Principal:
        key = self._keys.get(own.public_id) if self.is_fresh() else None
        key = key or await self._look_up(own.public_id, source)
        if key is None or key.id != own.login.subject or not self._good(key) or not _may_come_from(source, key):
            raise AuthenticationFailed("the token is not accepted: its API key is revoked, expired or elsewhere")
        if not await self._has_person(key):
            raise AuthenticationFailed("the token is not accepted: the person of its API key is disabled")
        digest = next((each for each in self._digests(key) if keys.version(each) == own.secret), None)
        if digest is None:
            raise AuthenticationFailed("the token is not accepted: its API key has another secret since")
        self.accesses.used.add(key.id)
        whole = _principal(key)
        skills = whole.skills if own.login.skills is None else own.login.skills & (whole.skills or own.login.skills)
        return replace(whole, role=own.role, skills=skills, token=own.login, secret_digest=digest)

    def token(self, by: Principal, wanted: WantedToken) -> tuple[str, int]:
        """Return a token that is worth as much as the caller's key or token, or less, and its seconds.

        Args:
            by: a caller with an API key, or with a token of this server for one.

        Raises:
            NotSupported: the pepper is in the store.
        """
        if self._own_tokens is None:
            raise NotSupported("this server makes no tokens: they need a pepper outside of the store: `pepper`")
        assert by.secret_digest is not None, "a caller with a key, or a token for one, has a secret"
        return self._own_tokens.made(self._public_ids[by.key_id], by.key_id, keys.version(by.secret_digest), wanted)

    async def _with_person(self, principal: Principal) -> Principal:
        """Return the caller with the person whom the token names.

        Raises:
            PermissionDenied: the person does not exist, or is disabled.
        """
        login = principal.token
        if login is None or login.person is None:
            return principal
        person = await self._person(principal.tenant, name=login.person)
        if person is None:
            raise PermissionDenied("the token is good, but its person does not exist: an administrator creates it")
        if person.disabled_at is not None:
            raise PermissionDenied("the token is good, but its person is disabled")
        return replace(principal, person=person.id, key_id=ids.of_person(principal.key_id, person.id))

    async def _has_person(self, key: ApiKey) -> bool:
        """Whether the person of a key, if it has one, may call."""
        if key.person is None:
            return True
        person = await self._person(key.tenant, id_=key.person)
        return person is not None and person.disabled_at is None

    async def _person(self, tenant: str, *, id_: str = "", name: str = "") -> PersonRecord | None:
        """Return a person by id or by name, from memory if that is fresh."""
        # No id has a blank, so no name can pass for an id.
        shown = (tenant, id_ or f" {name}")
        if self.is_fresh() and (known := self._persons.get(shown)) is not None:
            return known
        generation = self._generation
        if id_:
            rows: list[PersonRecord] = await fetch(self._store, PERSON_ROW, tenant=tenant, person=id_)
        else:
            rows = await fetch(self._store, PERSON_BY_NAME, tenant=tenant, name=name)
        if not rows:
            return None
        if generation == self._generation:  # otherwise the person may have changed since
            if len(self._persons) >= KEYS_MAX:
                del self._persons[next(iter(self._persons))]
            self._persons[shown] = rows[0]
        return rows[0]

    async def _has_tenant(self, tenant: str) -> bool:
        if tenant not in self._tenants:
            if not await fetch(self._store, TENANT_ROW, tenant=tenant):
                return False
            if len(self._tenants) >= TENANTS_MAX:
                self._tenants.pop()
            self._tenants.add(tenant)
        return True

    def _remember(self, shown: bytes, key: ApiKey, principal: Principal) -> None:
        if len(self._known) >= KEYS_MAX:
            del self._known[next(iter(self._known))]
        self._known[shown] = key, principal

    async def still_good(self, principal: Principal) -> bool:
        """Whether the caller's key, token or session is still valid. Reads the store for sessions, after changes."""
        if principal.session is not None and not await self._sessions.is_open(principal.session):
            return False
        return await self._is_good(principal)

    async def _is_good(self, principal: Principal) -> bool:
        """Whether a key or token is still valid. Reads the store only after keys have changed."""
        if principal.token is not None:
            if principal.token.issuer != OWN_ISSUER:
                if self._tokens is None or not self._tokens.still_good(principal.token):
                    return False
                if principal.token.person is None:
                    return True
                person = await self._person(principal.tenant, name=principal.token.person)
                return person is not None and person.id == principal.person and person.disabled_at is None
            if self._wall() >= principal.token.expires_at:
                return False
        public_id = self._public_ids.get(principal.key_id)
        if public_id is None:
            return False
        cached = self._keys.get(public_id) if self.is_fresh() else None
        key = cached or await self._read(public_id)
        if key is None or key.id != principal.key_id or not self._good(key) or not await self._has_person(key):
            return False
        return principal.secret_digest is None or self._has(key, principal.secret_digest)

    def digest(self, secret: str) -> bytes:
        """Return the digest of a key's secret, as it is stored."""
        return keys.digest(self._pepper, secret)

    def _good(self, key: ApiKey) -> bool:
        return key.revoked_at is None and (key.expires_at is None or self._wall() < key.expires_at)

    def _has(self, key: ApiKey, digest: bytes) -> bool:
        """Whether this is the digest of the key's secret, or of the one before it while that is good."""
        return any(keys.same(digest, each) for each in self._digests(key))

    def _digests(self, key: ApiKey) -> list[bytes]:
        """Return the digests of the key's secret, and of the one before it while that is good."""
        if key.previous_digest is None or key.previous_until is None or self._wall() >= key.previous_until:
            return [key.digest]
        return [key.digest, key.previous_digest]

    def _why_not(self, key: ApiKey, secret: str, source: str) -> str | None:
        """Return why the key is not accepted, as a word for the audit log; None if it is."""
        if not self._has(key, self.digest(secret)):
            return "key_wrong"
        if key.revoked_at is not None:
            return "key_revoked"
        if not self._good(key):
            return "key_expired"
        return None if _may_come_from(source, key) else "key_network"

    def _failed(self, source: str, *, is_known: bool = False, refused: str = _REFUSED) -> SwarmkeeperError:
        self.failures += 1
        now = self._monotonic()
        if not is_known:
            self.accesses.strange(source)
        if self._failing.of(source, now).take(now):
            return AuthenticationFailed(refused)
        return RateLimited("too many calls without a good API key", retry_after=1)

    def _unknown(self, source: str, what: str) -> Bucket:
        """Return what counts the unknown keys and sessions of a source; raises RateLimited if they were too many."""
        now = self._monotonic()
        bucket = self._looking_up.of(source, now)
        if not bucket.has_room(now):
            self.failures += 1
            self.accesses.strange(source)
            raise RateLimited(f"too many calls with unknown {what}", retry_after=1)
        return bucket

    async def _look_up(self, public_id: str, source: str) -> ApiKey | None:
        unknown = self._unknown(source, "API keys")
        if (key := await self._read(public_id)) is None:
            unknown.charge()
        return key

    async def _read(self, public_id: str) -> ApiKey | None:
        generation = self._generation
        rows: list[ApiKey] = await fetch(self._store, KEY_BY_PUBLIC_ID, public_id=public_id)
        if not rows:
            return None
        key = rows[0]
        if generation == self._generation:  # otherwise the key may have changed since it was read
            self._keys[public_id] = key
            if len(self._keys) > KEYS_MAX:
                del self._keys[next(iter(self._keys))]
        self._public_ids[key.id] = public_id  # only existing keys, so that strangers cannot make this grow
        return key

    # ---- changes ---------------------------------------------------------------------------------------------------

    def forget(self, key_ids: Iterable[str]) -> None:
        """Drop keys that were created or changed from the cache. Args: `key_ids` are the ids of their records."""
        self._generation += 1
        for key_id in key_ids:
            self._keys.pop(self._public_ids.get(key_id, ""), None)

    def forget_persons(self) -> None:
        """Drop all persons from the cache, because one was created or changed."""
        self._generation += 1
        self._persons.clear()

    def forget_bot(self, bot_id: str) -> None:
        """Drop what is known of a bot that was removed."""
        self.presence.forget(bot_id)
        self.processes.forget(bot_id)
        self.stuck.forget(bot_id)

    def forget_all(self) -> None:
        """Drop all keys from the cache, because another process may have changed any of them."""
        self._generation += 1
        self._keys.clear()
        self._persons.clear()


def _may_come_from(source: str, key: ApiKey) -> bool:
    """Return whether the key may be used from the caller's address."""
    if key.networks is None:
        return True
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False  # a caller within this process has none
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in _parsed(key.networks))


@lru_cache(maxsize=1_000)
def _parsed(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, networks))


def _principal(key: ApiKey) -> Principal:
    return Principal(
        tenant=key.tenant,
        key_id=key.id,
        role=key.role,
        bot=key.bot,
        owner=key.owner,
        skills=None if key.skills is None else frozenset(key.skills),
        person=key.person,
        sees_own=key.scope == "own",
    )
