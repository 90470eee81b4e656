"""The real broker of one process, whose hints get lost, come twice, or come late."""

from __future__ import annotations

import asyncio

from swarmkeeper.broker import LocalBroker
from swarmkeeper.sim.kernel.faults import Faults

LATE = 1.0  # seconds: by it, how late hints come is measured


class FaultyBroker(LocalBroker):
    """Fulfils `core.ports.Broker`. Where nobody listens, nothing can go wrong."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    async def publish(self, topic: str, body: bytes = b"") -> None:
        place = f"broker:{topic}"
        if not self._subscribers.get(topic) or self._faults.strike("broker.lose", place):
            return
        if fault := self._faults.strike("broker.reorder", place):
            self._publish_later(fault.amount(LATE), topic, body)
            return
        if fault := self._faults.strike("broker.duplicate", place):
            self._publish_later(fault.amount(LATE), topic, body)
        await super().publish(topic, body)

    def _publish_later(self, seconds: float, topic: str, body: bytes) -> None:
        asyncio.get_running_loop().call_later(seconds, self._put, topic, body)

    def _put(self, topic: str, body: bytes) -> None:
        for hints in self._subscribers.get(topic, {}).values():
            hints.put(body)
