"""Finds the place of a moment in a tenant's audit log, whose records are in order of time, without reading the log."""

from __future__ import annotations

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import ReadsOnly
from swarmkeeper.reads.insight.insight_reads import AUDIT_NEWEST

_PROBES = 16  # records of one read: a million are searched in five
_END = 2**62  # after every record


class _LeafTime(msgspec.Struct):
    at: int


async def place_at(store: ReadsOnly, tenant: str, at: int) -> int:
    """Return the index of the first record at this time or later; if there is none, that after the last one."""
    first = await fetch(store, named_reads.AUDIT_POSITIONS, tenant=tenant, after=-1, limit=1)
    last = await fetch(store, AUDIT_NEWEST[""], tenant=tenant, after=-1, before=_END, limit=1)
    if not first or not last:
        return 0
    low, high = first[0].place, last[0].place + 1
    while low < high:
        step = max(1, (high - low) // _PROBES)
        wanted = msgspec.json.encode(list(range(low, high, step))).decode()
        rows = await fetch(store, named_reads.AUDIT_RECORDS_AT, tenant=tenant, places=wanted)
        if not rows:  # these have just left the log
            return high
        for row in rows:
            if msgspec.json.decode(row.leaf, type=_LeafTime).at >= at:
                high = row.place
                break
            low = row.place + 1
    return low
