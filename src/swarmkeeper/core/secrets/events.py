"""The kinds of events about secrets; see core/events.py. None has a value."""

# No `from __future__ import annotations` here: `event` reads the field types when it creates a class.

from collections.abc import Sequence

from swarmkeeper.core.catalogue import EventBody, Own, event


@event("secret.released")
class SecretReleased(EventBody):
    """A bot got the values of secrets under its lease. Names and tags are in the same order."""

    tags: Own[Sequence[str]]
    bot: Own[str]
    lease: Own[str]
    names: Sequence[str]
    versions: Sequence[str]


@event("secret.put")
class SecretPut(EventBody):
    """A secret that the server keeps has a new version."""

    version: Own[int]
    name: str


@event("secret.retired")
class SecretRetired(EventBody):
    """The versions of a secret before the newest were removed."""

    version: Own[int]
    name: str


@event("secret.deleted")
class SecretDeleted(EventBody):
    """A secret that the server keeps was removed."""

    name: str
