"""What commands and claims take of the engine's time, in ordinary commands; told before they are decided."""

from __future__ import annotations

from collections.abc import Sequence

from swarmkeeper.engine.batch import Queued
from swarmkeeper.engine.dispatcher import Poll

COST_BYTES = 32 << 10  # of a command take the engine about as long as the command itself
COST_LEASES = 2  # so do as many leases
COST_ROWS = 4  # and as many rows
COST_TOLD = 512  # and so many characters that are redacted, where they are chosen to take long
TENANTS_KNOWN_MAX = 1024  # whose commands' rows are remembered


class Costs:
    def __init__(self) -> None:
        self._rows_of: dict[str, float] = {}  # by tenant: what its commands wrote of late, each

    def of(self, item: Queued | Poll) -> int:
        if isinstance(item, Poll):
            return 1 + item.claim.most // COST_LEASES
        command = item.command
        rider = 0 if item.poll is None else item.poll.claim.most // COST_LEASES
        # What a command sets off shows only when it is decided: likely as much as the last ones of its tenant did.
        rows = max(command.rows, int(self._rows_of.get(command.by.tenant, 0)))
        return 1 + command.size // COST_BYTES + command.told // COST_TOLD + rows // COST_ROWS + rider

    def learn(self, commands: Sequence[Queued]) -> None:
        """Take in how many rows these have written."""
        of: dict[str, list[int]] = {}
        for queued in commands:
            of.setdefault(queued.command.by.tenant, []).append(queued.rows)
        for tenant, rows in of.items():
            usual = (self._rows_of.pop(tenant, 0.0) + sum(rows) / len(rows)) / 2
            if usual >= COST_ROWS:  # the others are what a command costs at all
                self._rows_of[tenant] = usual
        while len(self._rows_of) > TENANTS_KNOWN_MAX:
            del self._rows_of[next(iter(self._rows_of))]
