"""The named reads of operations; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.named_reads import CountRow
from swarmkeeper.core.operations.records import ItemRow, OperationRecord
from swarmkeeper.core.ports import Read


class OperationIdRow(NamedTuple):
    id: str
    tenant: str


OPERATION_ROW = Read("operation_row", OperationRecord, "tenant", "operation")
OPEN_OPERATIONS = Read("open_operations", OperationRecord, "limit")
OPEN_OPERATIONS_OF = Read("open_operations_of", CountRow, "tenant", "limit")
OPERATIONS_OVER = Read("operations_over", OperationIdRow, "before")
OPERATION_ITEMS = Read("operation_items", ItemRow, "operation", "after", "limit")
OPERATION_ITEMS_PAGE = Read("operation_items_page", ItemRow, "operation", "after", "outcome", "limit")
OPERATIONS_PAGE = Read("operations_page", OperationRecord, "tenant", "before_at", "before_id", "limit")
OPERATIONS_OF_PARTY_PAGE = Read(
    "operations_of_party_page", OperationRecord, "tenant", "party", "before_at", "before_id", "limit"
)

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
