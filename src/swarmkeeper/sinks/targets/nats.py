"""The sink `nats`: each record is a message in a stream of JetStream, with its id as `Nats-Msg-Id`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swarmkeeper.core.ports import EventTooLarge
from swarmkeeper.sinks.bad_sinks import BadSinks
from swarmkeeper.sinks.file import Entry, NatsTable
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.target import RecordRefused

if TYPE_CHECKING:
    from swarmkeeper.broker.jetstream import JetStreamStream


class NatsTarget:
    """Implements `SinkTarget`."""

    pace = 0.0

    def __init__(self, entry: Entry, table: NatsTable, where: str) -> None:
        self._stream = _stream(entry, table, where)
        self.place = self._stream.place

    async def open(self) -> None:
        await self._stream.open()

    async def send(self, records: Sequence[SinkRecord]) -> int:
        try:
            return await self._stream.append(records)
        except EventTooLarge as error:
            raise RecordRefused(f"{error}: set record_bytes, or a larger bound there") from None

    async def close(self) -> None:
        await self._stream.close()


def _stream(entry: Entry, table: NatsTable, where: str) -> JetStreamStream:
    try:
        from swarmkeeper.broker.jetstream import JetStreamStream
    except ModuleNotFoundError as error:
        if error.name != "nats":
            raise
        raise BadSinks(f"{where} kind: NATS needs a driver: pip install 'swarmkeeper[nats]'") from None
    return JetStreamStream(entry.secret(table.url), table.stream, 0)
