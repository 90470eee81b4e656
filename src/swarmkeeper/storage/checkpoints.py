"""Saves what is published of audit logs: roots of full tiles, signed checkpoints, and how far sinks have read.

A generator, as in retention.py: it yields the name and the parameters of a statement, and gets its rows.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any

from swarmkeeper.core.ports import Changes


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    for tile in changes.tile_hashes:
        yield "insert_audit_hash", asdict(tile)
    for checkpoint in changes.checkpoints:
        yield "insert_checkpoint", asdict(checkpoint)
        yield "thin_checkpoints", {"tenant": checkpoint.tenant, "size": checkpoint.size, "at": checkpoint.at}
    for name, seq in sorted(changes.sink_cursors.items()):  # sorted, so that two servers never wait for each other
        yield "move_sink", {"name": name, "seq": seq}
