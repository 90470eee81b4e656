"""The named reads of operations; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.named_reads import CountRow, JsonText
from swarmkeeper.core.ports import Read


class OperationRow(NamedTuple):
    id: str
    tenant: str
    party: str
    caller: JsonText
    action: str
    args: JsonText
    dry_run: int
    total: int
    trace: str
    created_at: int
    ended_at: int | None
    owner: str
    until: int


class ItemRow(NamedTuple):
    place: int
    task: str
    outcome: str | None  # done | refused; None: not yet
    code: str | None
    detail: str | None


class OperationIdRow(NamedTuple):
    id: str


class OutcomeRow(NamedTuple):
    outcome: str  # empty: not yet
    number: int


OPERATION_ROW = Read("operation_row", OperationRow, "tenant", "operation")
OPEN_OPERATIONS = Read("open_operations", OperationRow, "limit")
OPEN_OPERATIONS_OF = Read("open_operations_of", CountRow, "tenant", "limit")
OPERATIONS_OVER = Read("operations_over", OperationIdRow, "before")
OPERATION_ITEMS_LEFT = Read("operation_items_left", ItemRow, "operation", "after", "limit")
OPERATION_ITEMS_PAGE = Read("operation_items_page", ItemRow, "operation", "after", "outcome", "limit")
OPERATION_COUNTS = Read("operation_counts", OutcomeRow, "operation")

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
