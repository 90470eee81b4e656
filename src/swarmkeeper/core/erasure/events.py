"""The kinds of events of erasures; see core/events.py."""

# No `from __future__ import annotations` here: `event` reads the field types when it creates a class.

from swarmkeeper.core.catalogue import EventBody, Own, event


@event("tenant.erased")
class TenantErased(EventBody):
    """The tenant's data keys were destroyed: nothing that was encrypted under them can be read any more."""

    keys: Own[int]  # how many
