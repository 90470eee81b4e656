"""The record of a kill, and what it stops. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from swarmkeeper.core.model import BotRecord

KILLED = "killed"  # the reason of a claim that gets nothing because of a kill
# Each claim of a tenant with kills reads all of them.
KILLS_MAX = 200


class KillKind(StrEnum):
    BOT = "bot"
    OWNER = "owner"
    SKILL = "skill"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class KillRecord:
    """Stops all that has this name, until it is lifted or its time is over."""

    id: str
    tenant: str
    kind: str  # a KillKind
    name: str  # of a bot also its id
    reason: str  # redacted
    placed_by: str  # key id
    placed_at: int
    until: int | None = None  # None: until somebody lifts it


@dataclass(slots=True)
class KillBook:
    """Which tenants have kills, as this server knows it: perhaps one too many, never one too few while it is fresh.

    So a tenant without kills pays nothing. What exactly is killed is read from the store.
    """

    tenants: dict[str, None] = field(default_factory=dict)
    fresh: bool = True  # False: another server may have placed kills that this one has not learned of

    def may_have(self, tenant: str) -> bool:
        return not self.fresh or tenant in self.tenants


def kill_id(tenant: str, kind: str, name: str) -> str:
    """Return the id of the kill of this name: placing it again changes it."""
    return f"kil_{sha256(f'{tenant} {kind} {name}'.encode()).hexdigest()[:32]}"  # ids of tenants have no blank


def in_force(kills: Iterable[KillRecord], now: int) -> list[KillRecord]:
    return [kill for kill in kills if kill.until is None or now < kill.until]


def of_tenant(kills: Iterable[KillRecord]) -> KillRecord | None:
    """Return the kill that stops the whole tenant."""
    return next((kill for kill in kills if kill.kind == KillKind.TENANT), None)


def of_bot(kills: Iterable[KillRecord], bot: BotRecord) -> KillRecord | None:
    """Return the first kill that stops this bot: its own, its owner's or its tenant's."""
    for kill in kills:
        named = kill.name in (bot.name, bot.id)
        if (
            kill.kind == KillKind.TENANT
            or (kill.kind == KillKind.BOT and named)
            or (kill.kind == KillKind.OWNER and kill.name == bot.owner)
        ):
            return kill
    return None


def of_skills(kills: Iterable[KillRecord], skills: Sequence[str]) -> KillRecord | None:
    """Return the first kill that stops work which requires these skills."""
    return next((kill for kill in kills if kill.kind == KillKind.SKILL and kill.name in skills), None)
