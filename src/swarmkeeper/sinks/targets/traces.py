"""The sink `traces`: spans for a collector of OpenTelemetry, over OTLP/HTTP in the JSON encoding."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from swarmkeeper import __version__
from swarmkeeper.sinks.file import Entry, TracesTable
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.web import Web, check_left_out, with_path

PATH = "/v1/traces"
TEST = "audit.test"  # the kind of the record of `sinks check`


class TracesTarget:
    """Implements `SinkTarget`. The body of a record is a JSON list of spans."""

    pace = 1.0

    def __init__(self, entry: Entry, table: TracesTable) -> None:
        self._web = Web(entry, table, with_path(table.url, PATH))
        self.place = self._web.place
        self._decode = msgspec.json.Decoder(list[msgspec.Raw]).decode

    async def open(self) -> None:
        await self._web.open()

    async def send(self, records: Sequence[SinkRecord]) -> int:
        spans: list[Any] = []
        for record in records:
            spans += [_test_span(record)] if record.kind == TEST else self._decode(record.body)
        if not spans:
            return len(records)
        resource = [
            {"key": "service.name", "value": {"stringValue": "swarmkeeper"}},
            {"key": "service.version", "value": {"stringValue": __version__}},
        ]
        scope = {"scope": {"name": "swarmkeeper"}, "spans": spans}
        body = {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scope]}]}
        content = await self._web.post(msgspec.json.encode(body), {"content-type": "application/json"})
        check_left_out(content, "rejectedSpans", "spans")
        return len(records)

    async def close(self) -> None:
        await self._web.close()


def _test_span(record: SinkRecord) -> dict[str, Any]:
    name = hashlib.sha256(record.id.encode()).hexdigest()
    at = str(record.at * 1000)
    about = {"traceId": name[:32], "spanId": name[32:48], "name": "swarmkeeper sinks check", "kind": 1}
    return {**about, "startTimeUnixNano": at, "endTimeUnixNano": at}
