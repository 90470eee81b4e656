"""Estimate the engine time that commands and claims take, before they are decided. The unit is an ordinary command."""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.engine.batch import Queued
from swarmkeeper.engine.polls import Poll

# Each of these amounts takes about as long as one ordinary command.
COST_BYTES = 32 << 10
COST_LEASES = 2
COST_ROWS = 4
COST_CHARACTERS = 512  # to redact; measured with text that is slow to redact
TENANTS_KNOWN_MAX = 1024  # tenants whose row counts are remembered


class Costs:
    def __init__(self) -> None:
        self._rows_of: dict[str, float] = {}  # by tenant: recent average of rows written per command

    def of(self, item: Queued | Poll) -> int:
        """Return the estimated cost, at least 1."""
        if isinstance(item, Poll):
            return 1 + item.claim.most // COST_LEASES
        command = item.command
        rider = 0 if item.poll is None else item.poll.claim.most // COST_LEASES
        # The rows that a command writes are known only once it is decided; assume the recent average of its tenant.
        rows = max(command.rows, int(self._rows_of.get(command.by.tenant, 0)))
        redaction = command.redacted_characters // COST_CHARACTERS
        return 1 + command.size // COST_BYTES + redaction + rows // COST_ROWS + rider

    def learn(self, commands: Sequence[Queued]) -> None:
        """Update the averages with the rows that these commands have written."""
        rows_of: dict[str, list[int]] = {}
        for queued in commands:
            rows_of.setdefault(queued.command.by.tenant, []).append(queued.rows)
        for tenant, rows in rows_of.items():
            usual = (self._rows_of.pop(tenant, 0.0) + sum(rows) / len(rows)) / 2
            if usual >= COST_ROWS:  # fewer rows are part of a command's base cost
                self._rows_of[tenant] = usual
        while len(self._rows_of) > TENANTS_KNOWN_MAX:
            del self._rows_of[next(iter(self._rows_of))]
