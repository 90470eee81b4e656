"""What an administrator does on the store itself, whether or not a server runs on it: one command, one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core.commands import CreateKey, ResetClock, SetTenant
from swarmkeeper.core.errors import Detail, Invalid, StillStopping
from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.named_reads import TENANTS, fetch
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
BACKLOG_MAX = 1_000_000_000  # of what can be set; no bound at all is said in another way
# A key of the first administrator has nobody else to be made by.
KEY_ID = "console"
TENANT = "default"


@dataclass(frozen=True, slots=True)
class KeyWish:
    """The key that is wanted."""

    role: str
    bot: str | None = None
    owner: str | None = None
    skills: tuple[str, ...] | None = None
    expires_days: int | None = None
    tenant: str = TENANT


@dataclass(frozen=True, slots=True)
class TenantWish:
    """What a tenant shall have; None leaves it as it is."""

    tenant: str
    weight: int | None = None
    max_backlog: int | None = None
    unbounded: bool = False


async def create_key(
    store: Store, wish: KeyWish, *, clock: Clock, entropy: Entropy, rules: Rules, pepper: bytes | None = None
) -> tuple[str, str]:
    """Make a key on an open store; the id of its record, and its text, which is kept nowhere.

    `pepper` is the configured one; without it the store's own is used.

    Raises:
        Invalid: no such key can be; `details` say why.
    """
    _check(wish)
    engine = await _beside(store, clock, entropy, rules)
    if pepper is None:
        pepper = (await store.start()).pepper
    made = keys.new_key(entropy.secret(keys.ENTROPY_BYTES))
    key_id = await engine.once(
        CreateKey(
            by=Principal(wish.tenant, KEY_ID, Role.ADMIN),
            role=wish.role,
            public_id=made.public_id,
            digest=keys.digest(pepper, made.secret),
            bot=wish.bot,
            owner=wish.owner,
            skills=wish.skills,
            expires=None if wish.expires_days is None else wish.expires_days * DAY,
        )
    )
    return key_id, made.text


async def set_tenant(store: Store, wish: TenantWish, *, clock: Clock, entropy: Entropy, rules: Rules) -> None:
    """Change what a tenant may have. A server that runs on the store takes it in by itself.

    Raises:
        NotFound: there is no such tenant.
        Invalid: it cannot have that; `details` say why.
    """
    wrong: list[Detail] = []
    if wish.weight is not None and not 1 <= wish.weight <= WEIGHT_MAX:
        wrong.append(("/weight", "invalid", f"must be from 1 to {WEIGHT_MAX}"))
    if wish.max_backlog is not None and not 0 <= wish.max_backlog <= BACKLOG_MAX:
        wrong.append(("/max_backlog", "invalid", f"must be from 0 to {BACKLOG_MAX}"))
    if wish.unbounded and wish.max_backlog is not None:
        wrong.append(("/max_backlog", "contradiction", "set either a bound or no bound"))
    if wrong:
        raise Invalid("not a valid value for a tenant", details=tuple(wrong))
    engine = await _beside(store, clock, entropy, rules)
    by = Principal(wish.tenant, KEY_ID, Role.ADMIN)
    await engine.once(SetTenant(by=by, weight=wish.weight, max_backlog=wish.max_backlog, unbounded=wish.unbounded))


async def reset_clock(store: Store, *, clock: Clock, entropy: Entropy, rules: Rules) -> int:
    """Set the store's time back to the wall clock, where it is ahead; by how many microseconds it was, 0 for not.

    The store must be open for this process alone. Each tenant's audit log says so first: if this ends in between, it
    can be done again, and says so again.

    Raises:
        StillStopping: long work is under way, whose steps are ordered by time; a server has to finish it first.
    """
    started = await store.start()
    if started.alive_at - clock.now() <= APART:
        return 0
    if started.jobs:
        raise StillStopping(
            "long work is in progress: start a server, let it finish, stop it, and try again", retry_after=1
        )
    engine = await _beside(store, clock, entropy, rules)
    for tenant in await fetch(store, TENANTS):
        by = Principal(tenant.id, KEY_ID, Role.ADMIN)
        await engine.once(ResetClock(by=by, before=engine.now(), after=clock.now()))
    wall = clock.now()
    ahead = (await store.start()).alive_at - wall
    await store.set_back(ahead, wall)
    return ahead


async def _beside(store: Store, clock: Clock, entropy: Entropy, rules: Rules) -> Engine:
    """An engine for one command, whether or not another runs on the store."""
    engine = Engine(store, clock=clock, entropy=entropy, rules=rules, limits=Limits(), broker=_NoBroker(), log=_no_log)
    await engine.start(alone=False)
    return engine


def _check(wish: KeyWish) -> None:
    """The rules of `POST /keys`: a key made here is one that the API would make."""
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
    if wish.expires_days is not None and not 1 <= wish.expires_days <= DAYS_MAX:
        wrong.append(("/expires_days", "invalid", f"must be from 1 to {DAYS_MAX}"))
    if wrong:
        raise Invalid("such a key cannot be created", details=tuple(wrong))


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_MAX and is_line(text) and bool(text.strip())


class _NoBroker:
    """Nobody in this process waits to be woken; the server beside it looks by itself."""

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
