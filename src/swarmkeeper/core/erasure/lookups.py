"""The kinds of rows of erasures by key that a store can load; see core/lookups.py."""

from __future__ import annotations

from swarmkeeper.core.erasure.records import AtRest
from swarmkeeper.core.lookups import Lookup

# By tenant. Until the end of the transaction, nobody else writes a body.
AT_REST: Lookup[str, AtRest] = Lookup("at_rest")
# Tenant -> when its data keys were erased last; 0: never
ERASED_AT: Lookup[str, int] = Lookup("erased_at")
