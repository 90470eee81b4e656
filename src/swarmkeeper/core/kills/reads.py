"""The named reads about kills; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.kills.records import KillRecord
from swarmkeeper.core.ports import Read


class KilledTenantRow(NamedTuple):
    id: str


KILLS_OF_TENANT = Read("kills_of_tenant", KillRecord, "tenant")
KILLED_TENANTS = Read("killed_tenants", KilledTenantRow)  # those that have kills

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
