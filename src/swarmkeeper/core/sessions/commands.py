"""Commands on sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swarmkeeper.core.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession(Command[str]):
    """Open a session for the caller. Answers its id."""

    digest: str  # of the cookie
    seal: bytes
    public_id: str | None  # of the API key, if there is one
    secret_digest: bytes | None
    login: str | None  # JSON; see SessionRecord
    until: int | None = None  # when it ends at the latest, in microseconds of the wall clock


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession(Command[None]):
    """End a session of the caller."""

    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSessionUses(Command[None]):
    """Keep when sessions were last used, and remove those that were not used for too long."""

    uses: Mapping[str, int]  # session -> microseconds, by the wall clock
