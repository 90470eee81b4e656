"""The clock of a simulation: it stands until its loop moves on. The wall clock may also be made to jump."""

from __future__ import annotations

import asyncio

from swarmkeeper.sim.loop import SECOND, VirtualLoop

# 2026-01-01T00:00:00Z: any fixed moment would do.
BEGINNING = 1_767_225_600 * SECOND


class VirtualClock:
    """Fulfils `core.ports.Clock`."""

    def __init__(self, loop: VirtualLoop, *, beginning: int = BEGINNING) -> None:
        self._loop = loop
        self._beginning = beginning

    def now(self) -> int:
        return self._beginning + self._loop.now

    def monotonic(self) -> int:
        return self._loop.now

    async def sleep(self, microseconds: int) -> None:
        await asyncio.sleep(max(0, microseconds) / SECOND)

    def jump(self, microseconds: int) -> None:
        """Set the wall clock forward, or back."""
        self._beginning += microseconds
