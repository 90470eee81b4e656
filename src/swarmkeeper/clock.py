"""The system's clock and entropy: the only module that uses them directly."""

from __future__ import annotations

import asyncio
import secrets
import time


class SystemClock:
    """Time in microseconds."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> int:
        return time.monotonic_ns() // 1000

    def used(self) -> int:
        """Return the processor time of this thread."""
        return time.thread_time_ns() // 1000

    async def sleep(self, microseconds: int) -> None:
        await asyncio.sleep(max(0, microseconds) / 1_000_000)


class SystemEntropy:
    """Randomness of the operating system."""

    def seed(self) -> bytes:
        return secrets.token_bytes(16)

    def secret(self, size: int) -> bytes:
        return secrets.token_bytes(size)
