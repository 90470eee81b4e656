"""What the HTTP layer is given by the composition root: the services it calls, and its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from swarmkeeper.core.model import Json
from swarmkeeper.core.ports import Clock, Entropy
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.http.intake.limits import HttpLimits
from swarmkeeper.http.intake.reader import Readers
from swarmkeeper.http.refusals import Refusals
from swarmkeeper.service.admission import Admission
from swarmkeeper.service.engine import Engine, Log
from swarmkeeper.service.feed import Feed
from swarmkeeper.service.identity import Identity
from swarmkeeper.service.leases import Leases
from swarmkeeper.service.looking import Looks
from swarmkeeper.service.messages import Messages
from swarmkeeper.service.people import People
from swarmkeeper.service.queries import Queries
from swarmkeeper.service.quotas import Quotas
from swarmkeeper.service.standing import Standing
from swarmkeeper.service.turns import Pace
from swarmkeeper.service.waits import Waits


def _unobserved(method: str, path: str, status: int, microseconds: int) -> None:
    """Where nobody counts answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    engine: Engine
    queries: Queries
    leases: Leases
    waits: Waits
    people: People
    looks: Looks
    messages: Messages
    feed: Feed
    admission: Admission
    pace: Pace
    readers: Readers
    identity: Identity
    quotas: Quotas
    standing: Standing
    rules: Rulebook
    clock: Clock
    entropy: Entropy
    log: Log
    version: str
    refusals: Refusals
    metrics: Callable[[], tuple[bytes, str]]  # their text, and its media type
    readiness: Callable[[bool], Mapping[str, Json]]  # has "ready"; True asks for all that it rests on
    answered: Callable[[str, str, int, int], None] = _unobserved  # method, path as declared, status, microseconds
    limits: HttpLimits = field(default_factory=HttpLimits)
