"""Makes the target of each sink. Connects to nothing."""

from __future__ import annotations

from collections.abc import Callable

from swarmkeeper.sinks.bad_sinks import BadSinks
from swarmkeeper.sinks.file import (
    Entry,
    HttpTable,
    JsonlTable,
    MetricsTable,
    NatsTable,
    OtlpTable,
    SyslogTable,
    TracesTable,
)
from swarmkeeper.sinks.targets.target import SinkTarget


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
                from swarmkeeper.sinks.targets.otlp import OtlpTarget

                return OtlpTarget(entry, table)
            case TracesTable():
                from swarmkeeper.sinks.targets.traces import TracesTarget

                return TracesTarget(entry, table)
            case MetricsTable():
                from swarmkeeper.sinks.targets.metrics import MetricsTarget

                return MetricsTarget(entry, table)
            case NatsTable():
                from swarmkeeper.sinks.targets.nats import NatsTarget

                return NatsTarget(entry, table, where)
    except OSError as error:  # of the TLS files
        raise BadSinks(f"{where} ca_file, certificate_file or key_file: {error.strerror or error}") from None
