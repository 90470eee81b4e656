"""Clock of a simulation. It advances only with its loop. Faults make the wall clock jump, or make the whole clock run
too fast or too slow.
"""

from __future__ import annotations

import asyncio

from swarmkeeper.sim.kernel.loop import SECOND, VirtualLoop

# 2026-01-01T00:00:00Z; any fixed moment would do.
BEGINNING = 1_767_225_600 * SECOND


class VirtualClock:
    """Implements `core.ports.Clock`. Times are in microseconds."""

    def __init__(self, loop: VirtualLoop, *, beginning: int = BEGINNING) -> None:
        self._loop = loop
        self._beginning = beginning

        self._shown = self._since = loop.now  # monotonic reading and loop time when the pace last changed
        self._pace = 0  # parts per million by which it runs too fast

    def now(self) -> int:
        return self._beginning + self.monotonic()

    def monotonic(self) -> int:
        passed = self._loop.now - self._since
        return self._shown + passed + passed * self._pace // 1_000_000

    async def sleep(self, microseconds: int) -> None:
        await asyncio.sleep(max(0, microseconds) / SECOND)

    def jump(self, microseconds: int) -> None:
        """Set the wall clock forward, or back if negative."""
        self._beginning += microseconds

    def skew(self, parts: int) -> None:
        """From now on, run too fast by `parts` per million; negative: too slow; 0: at the right pace."""
        self._shown, self._since, self._pace = self.monotonic(), self._loop.now, parts
