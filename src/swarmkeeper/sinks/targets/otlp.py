"""The sink `otlp`: log records for a collector of OpenTelemetry, over OTLP/HTTP in the JSON encoding.

The standard defines both encodings, binary and JSON, and collectors take both. JSON needs no further package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from swarmkeeper import __version__
from swarmkeeper.sinks.file import Entry, OtlpTable
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.web import Web, check_left_out, with_path

PATH = "/v1/logs"
# Severity numbers of the data model of logs.
_INFO, _WARN = 9, 13


def _text(value: str) -> dict[str, str]:
    return {"stringValue": value}


def log_record(record: SinkRecord) -> dict[str, Any]:
    """Return a record as a LogRecord, as protobuf's JSON mapping writes it: 64-bit numbers are texts."""
    return {
        "timeUnixNano": str(record.at * 1000),
        "observedTimeUnixNano": str(record.at * 1000),
        "severityNumber": _WARN if record.refused else _INFO,
        "severityText": "WARN" if record.refused else "INFO",
        "eventName": f"swarmkeeper.{record.kind}",
        "body": _text(record.body.decode()),
        "attributes": [{"key": f"swarmkeeper.{name}", "value": _text(value)} for name, value in record.facts],
    }


class OtlpTarget:
    """Implements `SinkTarget`."""

    pace = 0.25

    def __init__(self, entry: Entry, table: OtlpTable) -> None:
        self._web = Web(entry, table, with_path(table.url, PATH))
        self.place = self._web.place
        self._encode = msgspec.json.Encoder().encode

    async def open(self) -> None:
        await self._web.open()

    async def send(self, records: Sequence[SinkRecord]) -> int:
        resource = [
            {"key": "service.name", "value": _text("swarmkeeper")},
            {"key": "service.version", "value": _text(__version__)},
        ]
        scope = {"scope": {"name": "swarmkeeper.audit"}, "logRecords": [log_record(record) for record in records]}
        body = self._encode({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [scope]}]})
        content = await self._web.post(body, {"content-type": "application/json"})
        check_left_out(content, "rejectedLogRecords", "records")
        return len(records)

    async def close(self) -> None:
        await self._web.close()
