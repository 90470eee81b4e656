"""The sink `traces`: spans for a collector of OpenTelemetry, over OTLP."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.otlp import OtlpCalls, resource

TEST = "audit.test"  # the kind of the record of `sinks check`


class TracesTarget:
    """Implements `SinkTarget`. The body of a record is a JSON list of spans."""

    pace = 1.0

    def __init__(self, calls: OtlpCalls) -> None:
        self._calls, self.place = calls, calls.place
        self._decode = msgspec.json.Decoder(list[Any]).decode

    async def open(self) -> None:
        await self._calls.open()

    async def send(self, records: Sequence[SinkRecord]) -> int:
        spans: list[Any] = []
        for record in records:
            spans += [_test_span(record)] if record.kind == TEST else self._decode(record.body)
        if spans:
            scope = {"scope": {"name": "swarmkeeper"}, "spans": spans}
            await self._calls.export({"resourceSpans": [{"resource": resource(), "scopeSpans": [scope]}]})
        return len(records)

    async def close(self) -> None:
        await self._calls.close()


def _test_span(record: SinkRecord) -> dict[str, Any]:
    name = hashlib.sha256(record.id.encode()).hexdigest()
    at = str(record.at * 1000)
    about = {"traceId": name[:32], "spanId": name[32:48], "name": "swarmkeeper sinks check", "kind": 1}
    return {**about, "startTimeUnixNano": at, "endTimeUnixNano": at}
