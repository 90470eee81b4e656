"""The clock of a simulation: it stands still until its loop moves on. Faults make the wall clock jump, or make all of
it run too fast or too slow.
"""

from __future__ import annotations

import asyncio

from swarmkeeper.sim.kernel.loop import SECOND, VirtualLoop

# 2026-01-01T00:00:00Z: any fixed moment would do.
BEGINNING = 1_767_225_600 * SECOND


class VirtualClock:
    """Fulfils `core.ports.Clock`."""

    def __init__(self, loop: VirtualLoop, *, beginning: int = BEGINNING) -> None:
        self._loop = loop
        self._beginning = beginning

        self._shown = self._since = loop.now  # what a clock that only runs forward showed when its pace last changed
        self._pace = 0  # parts of a million that it runs too fast

    def now(self) -> int:
        return self._beginning + self.monotonic()

    def monotonic(self) -> int:
        passed = self._loop.now - self._since
        return self._shown + passed + passed * self._pace // 1_000_000

    async def sleep(self, microseconds: int) -> None:
        await asyncio.sleep(max(0, microseconds) / SECOND)

    def jump(self, microseconds: int) -> None:
        """Set the wall clock forward, or back."""
        self._beginning += microseconds

    def skew(self, parts: int) -> None:
        """Run too fast by so many parts of a million from now on; below 0, too slow; 0: as time does."""
        self._shown, self._since, self._pace = self.monotonic(), self._loop.now, parts
