"""Makes the target of each sink. Connects to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from swarmkeeper.sinks.bad_sinks import BadSinks
from swarmkeeper.sinks.file import (
    Entry,
    HttpTable,
    JsonlTable,
    MetricsTable,
    NatsTable,
    OtlpOverWeb,
    OtlpTable,
    SyslogTable,
    TracesTable,
)
from swarmkeeper.sinks.targets.target import SinkTarget

if TYPE_CHECKING:
    from swarmkeeper.sinks.targets.otlp import OtlpCalls, Signal


def target_of(entry: Entry, wall: Callable[[], int]) -> SinkTarget:
    """Return what sends the records of a sink.

    Args:
        wall: the wall clock, in microseconds.

    Raises:
        BadSinks: a certificate, a key or a secret cannot be used, or a driver is not installed.
    """
    where, table = f"[sink.{entry.name}]", entry.table
    try:
        match table:
            case JsonlTable():
                from swarmkeeper.sinks.targets.jsonl import JsonlTarget

                return JsonlTarget(entry, table)
            case SyslogTable():
                from swarmkeeper.sinks.targets.syslog import SyslogTarget

                return SyslogTarget(entry, table)
            case HttpTable():
                from swarmkeeper.sinks.targets.webhook import WebhookTarget

                return WebhookTarget(entry, table, wall, where)
            case OtlpTable():
                from swarmkeeper.sinks.targets.otlp import LOGS, OtlpTarget

                return OtlpTarget(_calls_of(entry, table, LOGS))
            case TracesTable():
                from swarmkeeper.sinks.targets.otlp import TRACES
                from swarmkeeper.sinks.targets.traces import TracesTarget

                return TracesTarget(_calls_of(entry, table, TRACES))
            case MetricsTable():
                from swarmkeeper.sinks.targets.metrics import MetricsTarget
                from swarmkeeper.sinks.targets.otlp import METRICS

                return MetricsTarget(_calls_of(entry, table, METRICS))
            case NatsTable():
                from swarmkeeper.sinks.targets.nats import NatsTarget

                return NatsTarget(entry, table, where)
    except OSError as error:  # of the TLS files
        raise BadSinks(f"{where} ca_file, certificate_file or key_file: {error.strerror or error}") from None


def _calls_of(entry: Entry, table: OtlpOverWeb, signal: Signal) -> OtlpCalls:
    """Return what sends in the form that the table names.

    Raises:
        BadSinks: a package that the form needs is not installed, or a certificate cannot be used.
    """
    if table.protocol == "http/json":
        from swarmkeeper.sinks.targets.otlp import JsonCalls

        return JsonCalls(entry, table, signal)
    try:
        from swarmkeeper.sinks.targets import rpc
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("google", "grpc", "opentelemetry"):
            raise
        needs = "needs further packages: pip install 'swarmkeeper[otel]'"
        raise BadSinks(f"[sink.{entry.name}] protocol: {table.protocol} {needs}") from None
    kind = rpc.GrpcCalls if table.protocol == "grpc" else rpc.BinaryCalls
    return kind(entry, table, signal)
