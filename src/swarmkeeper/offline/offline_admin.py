"""Administration directly on the store, with or without a running server: one command, one transaction."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import CreateKey, RecordRestore, ResetClock, SetRate, SetTenant
from swarmkeeper.core.errors import Detail, Invalid, StillStopping
from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.named_reads import TENANTS, fetch
from swarmkeeper.core.persons.reads import PERSON_BY_NAME
from swarmkeeper.core.ports import Clock, Entropy, Rules, Store
from swarmkeeper.core.rules.texts import is_line
from swarmkeeper.engine.engine_time import APART
from swarmkeeper.engine.fairness import WEIGHT_MAX
from swarmkeeper.engine.loop import Engine
from swarmkeeper.govern import keys
from swarmkeeper.govern.access import Role

DAY = 86_400_000_000
NAME_MAX = 128
DAYS_MAX = 3650
BACKLOG_MAX = 1_000_000_000  # the largest bound; for no bound, use `unbounded`
BUDGET_MAX = 2**53
# The actor of commands given here. The first administrator's key cannot be created by another key.
KEY_ID = "console"
TENANT = "default"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """The attributes of a key to create."""

    role: str
    bot: str | None = None
    owner: str | None = None
    skills: tuple[str, ...] | None = None
    expires_days: int | None = None  # None, 0: never
    networks: tuple[str, ...] | None = None
    tenant: str = TENANT
    person: str | None = None  # id or name
    scope: str | None = None  # own | tenant, of a client; None: own


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """The new settings of a tenant; None leaves a setting unchanged."""

    tenant: str
    weight: int | None = None
    max_backlog: int | None = None
    unbounded: bool = False
    budget: Mapping[str, int] | None = None  # limits to set, by amount
    no_budget: bool = False


@dataclass(frozen=True, slots=True)
class RateSettings:
    """A rate of a tenant; without any number, it is removed."""

    tenant: str
    key: str  # `tenant`, `skill:<name>` or `scope:<name>`
    most: int | None = None  # leases that may run at once; only of a skill
    per_minute: int | None = None
    tokens_per_minute: int | None = None


async def create_key(
    store: Store, wish: KeySpec, *, clock: Clock, entropy: Entropy, rules: Rules, pepper: bytes
) -> tuple[str, str]:
    """Create a key on an open store; return the id of its record, and its text, which is not stored.

    Args:
        pepper: the one in force.

    Raises:
        Invalid: such a key cannot be created; `details` has the reasons.
    """
    _check(wish)
    engine = await _engine(store, clock, entropy, rules)
    made = keys.new_key(entropy.secret(keys.ENTROPY_BYTES))
    answer = await engine.once(
        CreateKey(
            by=Principal(wish.tenant, KEY_ID, Role.ADMIN),
            role=wish.role,
            public_id=made.public_id,
            digest=keys.digest(pepper, made.secret),
            bot=wish.bot,
            owner=wish.owner,
            skills=wish.skills,
            expires=(wish.expires_days or 0) * DAY,
            networks=wish.networks,
            person=None if wish.person is None else await _person(store, wish.tenant, wish.person),
            scope=wish.scope,
        )
    )
    return not_replayed(answer), made.text


async def _person(store: Store, tenant: str, called: str) -> str:
    """Return the id of a person, by name or id. An unknown one is refused with the key."""
    found = await fetch(store, PERSON_BY_NAME, tenant=tenant, name=called)
    return found[0].id if found else called


async def set_tenant(store: Store, wish: TenantSettings, *, clock: Clock, entropy: Entropy, rules: Rules) -> None:
    """Change a tenant's settings. A server that runs on the store picks up the change.

    Raises:
        ResourceNotFound: there is no such tenant.
        Invalid: a value is out of range; `details` has the reasons.
    """
    wrong: list[Detail] = []
    if wish.weight is not None and not 1 <= wish.weight <= WEIGHT_MAX:
        wrong.append(("/weight", "invalid", f"must be from 1 to {WEIGHT_MAX}"))
    if wish.max_backlog is not None and not 0 <= wish.max_backlog <= BACKLOG_MAX:
        wrong.append(("/max_backlog", "invalid", f"must be from 0 to {BACKLOG_MAX}"))
    if wish.unbounded and wish.max_backlog is not None:
        wrong.append(("/max_backlog", "contradiction", "set either a bound or no bound"))
    for name, most in (wish.budget or {}).items():
        if not 1 <= most <= BUDGET_MAX:
            wrong.append((f"/budget/{name}", "invalid", f"must be from 1 to {BUDGET_MAX}"))
    if wish.no_budget and wish.budget:
        wrong.append(("/budget", "contradiction", "set either limits or no budget"))
    if wrong:
        raise Invalid("not a valid value for a tenant", details=tuple(wrong))
    engine = await _engine(store, clock, entropy, rules)
    by = Principal(wish.tenant, KEY_ID, Role.ADMIN)
    await engine.once(
        SetTenant(
            by=by,
            weight=wish.weight,
            max_backlog=wish.max_backlog,
            unbounded=wish.unbounded,
            budget=wish.budget or None,
            no_budget=wish.no_budget,
        )
    )


RATE_MAX = 1_000_000_000
RATE_KEY_LENGTH_MAX = 140


async def set_rate(store: Store, wish: RateSettings, *, clock: Clock, entropy: Entropy, rules: Rules) -> None:
    """Set, replace or remove a rate of a tenant. A server that runs on the store picks up the change.

    Raises:
        ResourceNotFound: there is no such tenant.
        Invalid: the key is none of a rate, or a number is out of range; `details` has the reasons.
    """
    numbers = {"most": wish.most, "per_minute": wish.per_minute, "tokens_per_minute": wish.tokens_per_minute}
    wrong: list[Detail] = [
        (f"/{name}", "invalid", f"must be from 1 to {RATE_MAX}")
        for name, number in numbers.items()
        if number is not None and not 1 <= number <= RATE_MAX
    ]
    if len(wish.key) > RATE_KEY_LENGTH_MAX:
        wrong.append(("/key", "invalid", f"has at most {RATE_KEY_LENGTH_MAX} characters"))
    if wrong:
        raise Invalid("not a valid rate", details=tuple(wrong))
    engine = await _engine(store, clock, entropy, rules)
    by = Principal(wish.tenant, KEY_ID, Role.ADMIN)
    await engine.once(
        SetRate(
            by=by,
            key=wish.key,
            most=wish.most,
            per_minute=wish.per_minute,
            tokens_per_minute=wish.tokens_per_minute,
        )
    )


async def reset_clock(store: Store, *, clock: Clock, entropy: Entropy, rules: Rules) -> int:
    """Set the store's time back to the wall clock if it is ahead.

    The store must be open in this process only. The change is first recorded in each tenant's audit log; if the process
    ends in between, run it again, and it is recorded again.

    Returns:
        How far the store's time was ahead, in microseconds; 0 if it was not.

    Raises:
        StillStopping: a background job is in progress, whose steps are ordered by time; a server must finish it first.
    """
    started = await store.start()
    if started.alive_at - clock.now() <= APART:
        return 0
    if started.jobs:
        raise StillStopping(
            "long work is in progress: start a server, let it finish, stop it, and try again", retry_after=1
        )
    engine = await _engine(store, clock, entropy, rules)
    for tenant in await fetch(store, TENANTS):
        by = Principal(tenant.id, KEY_ID, Role.ADMIN)
        await engine.once(ResetClock(by=by, before=engine.now(), after=clock.now()))
    wall = clock.now()
    ahead = (await store.start()).alive_at - wall
    await store.set_back(ahead, wall)
    return ahead


async def record_restore(store: Store, *, clock: Clock, entropy: Entropy, rules: Rules) -> int:
    """Record in each tenant's audit log and feed that the store was restored; return the number of tenants."""
    reached = (await store.start()).alive_at
    engine = await _engine(store, clock, entropy, rules)
    tenants = await fetch(store, TENANTS)
    for tenant in tenants:
        await engine.once(RecordRestore(by=Principal(tenant.id, KEY_ID, Role.ADMIN), reached=reached))
    return len(tenants)


async def _engine(store: Store, clock: Clock, entropy: Entropy, rules: Rules) -> Engine:
    """Start an engine for one command; another engine may be running on the store."""
    engine = Engine(store, clock=clock, entropy=entropy, rules=rules, limits=Limits(), broker=_NoBroker(), log=_no_log)
    await engine.start(alone=False)
    return engine


def _check(wish: KeySpec) -> None:
    """Check the same rules as `POST /keys`."""
    wrong: list[Detail] = []
    if wish.role not in frozenset(Role):
        wrong.append(("/role", "unknown", f"must be one of {', '.join(Role)}"))
    for name, value in (("bot", wish.bot), ("owner", wish.owner), ("tenant", wish.tenant)):
        if value is not None and not _is_name(value):
            wrong.append((f"/{name}", "invalid", f"must be 1 to {NAME_MAX} characters, all of them visible"))
    for number, skill in enumerate(wish.skills or ()):
        if not _is_name(skill):
            wrong.append((f"/skills/{number}", "invalid", f"must be 1 to {NAME_MAX} characters, all of them visible"))
    may_be_a_bot = wish.role == Role.ADMIN or wish.role.startswith("bot:")
    if not may_be_a_bot and (wish.bot is not None or wish.skills is not None):
        wrong.append(("/bot", "bots_only", "bot and skills are allowed only with bot roles and admin"))
    if wish.scope not in (None, "own", "tenant"):
        wrong.append(("/scope", "unknown", "must be own or tenant"))
    if wish.expires_days is not None and not 0 <= wish.expires_days <= DAYS_MAX:
        wrong.append(("/expires_days", "invalid", f"must be from 0 (never) to {DAYS_MAX}"))
    for number, network in enumerate(wish.networks or ()):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            wrong.append((f"/networks/{number}", "invalid", "must be a network like 10.0.0.0/8"))
    if wrong:
        raise Invalid("such a key cannot be created", details=tuple(wrong))


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_MAX and is_line(text) and bool(text.strip())


class _NoBroker:
    """Does nothing: no one in this process waits for hints, and a running server watches the store by itself."""

    async def publish(self, topic: str, body: bytes = b"") -> None:
        return

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return nullcontext(_nothing())


async def _nothing() -> AsyncIterator[bytes]:
    hints: tuple[bytes, ...] = ()
    for hint in hints:
        yield hint


def _no_log(event: str, **fields: Any) -> None:
    return
