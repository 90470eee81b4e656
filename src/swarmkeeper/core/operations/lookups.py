"""The kinds of rows of operations that a store can load; see core/lookups.py."""

from __future__ import annotations

from swarmkeeper.core.lookups import Lookup
from swarmkeeper.core.operations.records import OperationRecord

OPERATION: Lookup[str, OperationRecord | None] = Lookup("operation")
