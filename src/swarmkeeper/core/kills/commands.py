"""Commands of the kill switch."""

from __future__ import annotations

from dataclasses import dataclass

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Command, Repeatable
from swarmkeeper.core.kills import lookups as own
from swarmkeeper.core.kills.records import KillKind
from swarmkeeper.core.ports import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceKill(Repeatable[str]):
    """Stop what has this name. Answers the kill's id."""

    kind: KillKind
    name: str
    reason: str
    until: int | None = None  # None: until it is lifted

    @property
    def redacted_characters(self) -> int:
        return len(self.reason) + len(self.name)

    def _own_needs(self) -> list[Key]:
        return [own.KILLS.of(self.by.tenant), lookups.TENANT.of(self.by.tenant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftKill(Command[str]):
    """Let what was killed work again. Answers the kill's id."""

    kill: str

    def _own_needs(self) -> list[Key]:
        return [own.KILLS.of(self.by.tenant)]
