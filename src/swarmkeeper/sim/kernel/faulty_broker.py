"""The real in-process broker, with hints that are lost, duplicated or delayed."""

from __future__ import annotations

import asyncio

from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.sim.kernel.faults import Faults

LATE = 1.0  # seconds: the base of a late hint's delay


class FaultyBroker(LocalBroker):
    """Implements `core.ports.Broker`. Without subscribers, no fault strikes."""

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
