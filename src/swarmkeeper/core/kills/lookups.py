"""The kinds of rows of kills that a store can load; see core/lookups.py."""

from __future__ import annotations

from swarmkeeper.core.kills.records import KillRecord
from swarmkeeper.core.lookups import Lookup

# The kills of a tenant, in order of their ids.
KILLS: Lookup[str, list[KillRecord]] = Lookup("kills")
# By id.
KILL: Lookup[str, KillRecord | None] = Lookup("kill")
# (tenant, kind, name, limit) -> ids of items with live leases that such a kill stops, in order
KILLED_LEASES: Lookup[tuple[str, str, str, int], list[str]] = Lookup("killed_leases")
