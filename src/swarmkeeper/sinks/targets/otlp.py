"""OTLP, the protocol of OpenTelemetry, in its three forms; and the sink `otlp`, which sends log records by it.

The forms are JSON and the binary encoding over HTTP, and gRPC. JSON needs no further package, so it is the default.
Requests are written once, as JSON's mapping has them; rpc.py makes the binary form of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import msgspec

from swarmkeeper import __version__
from swarmkeeper.sinks.file import Entry, OtlpOverWeb
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.target import RecordRefused
from swarmkeeper.sinks.targets.web import ANSWER_BYTES_MAX, Web, shown, with_path

# Severity numbers of the data model of logs.
_INFO, _WARN = 9, 13
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Signal:
    """One of the kinds of data that OTLP has."""

    name: str  # in names of the protocol: Export<Name>ServiceRequest
    path: str
    rejected: str  # the member of `partialSuccess` with the number of what was left out
    what: str  # in messages


LOGS = Signal("logs", "/v1/logs", "rejectedLogRecords", "records")
TRACES = Signal("trace", "/v1/traces", "rejectedSpans", "spans")
METRICS = Signal("metrics", "/v1/metrics", "rejectedDataPoints", "values")


class OtlpCalls(Protocol):
    """What sends requests of one signal to one collector."""

    place: str  # where it is, without credentials

    async def open(self) -> None: ...

    async def export(self, request: dict[str, Any]) -> None:
        """Send a request, written as JSON's mapping has it, and return when the collector has it.

        Raises:
            RecordRefused, TargetBusy: the collector's answer; also if it has left out a part.
            Exception: there was no answer.
        """

    async def close(self) -> None: ...


class JsonCalls:
    """Implements `OtlpCalls`: JSON over HTTP."""

    def __init__(self, entry: Entry, table: OtlpOverWeb, signal: Signal) -> None:
        self._web, self._signal = Web(entry, table, with_path(table.url, signal.path)), signal
        self.place = self._web.place

    async def open(self) -> None:
        await self._web.open()

    async def export(self, request: dict[str, Any]) -> None:
        content = await self._web.post(_encode(request), {"content-type": "application/json"})
        check_size(content, self._signal)
        try:
            partial = msgspec.json.decode(content)["partialSuccess"]
            count, said = int(partial.get(self._signal.rejected, 0)), str(partial.get("errorMessage", ""))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
            return  # nothing was left out; or a proxy's page, or the binary form: the status has said that all is well
        check_left_out(self._signal, count, said)

    async def close(self) -> None:
        await self._web.close()


def check_size(content: bytes, signal: Signal) -> None:
    """Refuse to go on after an answer of which only the beginning is known.

    Raises:
        RecordRefused: it is too long to be read: it may say that a part of a batch was left out.
    """
    if len(content) > ANSWER_BYTES_MAX:
        why = f"it answered with more than {ANSWER_BYTES_MAX >> 10} KiB"
        raise RecordRefused(f"{why}: whether it took all {signal.what} is not known: {shown(content)}")


def check_left_out(signal: Signal, count: int, said: str) -> None:
    """Refuse to go on after an answer that says that a part of a batch was left out.

    Raises:
        RecordRefused: a part was left out.
    """
    if count:
        raise RecordRefused(f"it left out {count} {signal.what} of a batch: {shown(said.encode())}")


def resource(**more: str) -> dict[str, Any]:
    """Return who sends."""
    names = {"service.name": "swarmkeeper", "service.version": __version__, **more}
    return {"attributes": [{"key": name, "value": text(value)} for name, value in names.items()]}


def text(value: str) -> dict[str, str]:
    return {"stringValue": value}


@cache
def _key(fact: str) -> str:
    return f"swarmkeeper.{fact}"


def log_record(record: SinkRecord) -> dict[str, Any]:
    """Return a record as a LogRecord, as protobuf's JSON mapping writes it: 64-bit numbers are texts."""
    at = str(record.at * 1000)
    return {
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "severityNumber": _WARN if record.refused else _INFO,
        "severityText": "WARN" if record.refused else "INFO",
        "eventName": f"swarmkeeper.{record.kind}",
        "body": text(record.body.decode()),
        "attributes": [{"key": _key(name), "value": {"stringValue": value}} for name, value in record.facts],
    }


class OtlpTarget:
    """Implements `SinkTarget`."""

    pace = 0.5

    def __init__(self, calls: OtlpCalls) -> None:
        self._calls, self.place = calls, calls.place

    async def open(self) -> None:
        await self._calls.open()

    async def send(self, records: Sequence[SinkRecord]) -> int:
        scope = {"scope": {"name": "swarmkeeper.audit"}, "logRecords": [log_record(record) for record in records]}
        await self._calls.export({"resourceLogs": [{"resource": resource(), "scopeLogs": [scope]}]})
        return len(records)

    async def close(self) -> None:
        await self._calls.close()
