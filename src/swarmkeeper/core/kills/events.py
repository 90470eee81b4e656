"""The kinds of events of the kill switch; see core/events.py."""

# No `from __future__ import annotations` here: `event` reads the field types when it creates a class.

from swarmkeeper.core.catalogue import EventBody, Own, event


@event("kill.placed")
class KillPlaced(EventBody):
    """A person stopped a bot, an owner, a skill or the tenant: it gets no more work, and its leases are revoked."""

    kill: Own[str]
    kind: Own[str]
    until: Own[int | None]
    name: str
    reason: str


@event("kill.lifted")
class KillLifted(EventBody):
    """A kill has ended: a person lifted it, or its time is over."""

    kill: Own[str]
    kind: Own[str]
    how: Own[str]
    name: str
