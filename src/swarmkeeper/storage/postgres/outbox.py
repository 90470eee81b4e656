"""What one transaction tells: its events, audit records and counts, gathered to one row of the outbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from swarmkeeper.core.ports import Changes
from swarmkeeper.storage import rows
from swarmkeeper.storage.at_rest.bodies import BodyRows
from swarmkeeper.storage.derived import saving

_pack = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Told:
    events: list[rows.Row] = field(default_factory=list)
    leaves: list[rows.Row] = field(default_factory=list)  # with UNPLACED as their place
    counts: dict[str, list[int]] = field(default_factory=dict)  # by tenant: as for count_opened
    alive_at: int | None = None
    tallies: list[tuple[list[rows.Row], ...]] = field(default_factory=list)  # see derived/saving.py
    sealed: int = 0  # whether bodies are encrypted; a column of its own

    def add(self, changes: Changes, bodies: BodyRows) -> None:
        self.sealed = int(bodies.sealed)
        self.events += map(bodies.event, changes.events)
        self.leaves += map(bodies.leaf, changes.leaves)
        for place, counted in enumerate((changes.opened, changes.opened_subtasks, changes.stored)):
            for tenant, number in counted.items():
                self.counts.setdefault(tenant, [0, 0, 0])[place] += number
        if changes.task_counts or changes.label_counts or changes.costs:
            self.tallies.append(saving.given(changes))
        if changes.alive_at is not None:
            self.alive_at = max(changes.alive_at, self.alive_at or 0)

    def __bool__(self) -> bool:
        return bool(self.events or self.leaves or self.counts or self.tallies or self.alive_at is not None)

    def row(self) -> dict[str, Any]:
        """Return the columns of its row."""
        body = _pack((self.events, self.leaves, self.counts, self.alive_at, self.tallies))
        return {"body": body, "counts": rows.to_json(self.counts) if self.counts else None, "sealed": self.sealed}


def unpacked(body: bytes) -> Told:
    events, leaves, counts, alive_at, tallies = msgspec.msgpack.decode(body)
    return Told(events, leaves, counts, alive_at, tallies)
