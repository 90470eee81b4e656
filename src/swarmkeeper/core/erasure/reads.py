"""The named reads about erasures by key; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.ports import Read


class ErasedTenantRow(NamedTuple):
    tenant: str
    erased_at: int  # the last time


ERASED_TENANTS = Read("erased_tenants", ErasedTenantRow)

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
