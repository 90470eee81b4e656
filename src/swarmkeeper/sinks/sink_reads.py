"""The named reads of sinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.named_reads import AuditRecordRow, JsonText
from swarmkeeper.core.ports import Read


class SinkHeadRow(NamedTuple):
    """A tenant's log with records that a sink lacks."""

    tenant: str
    size: int  # records in all
    begin: int  # index of the first record that is still there
    cursor: int  # how many records the sink has got, or missed
    oldest: int | None  # time of the first record that it lacks, of those that are still there


class TracedTaskRow(NamedTuple):
    id: str
    tenant: str
    trace: str  # traceparent of the submission
    created_at: int


class TracedAttemptRow(NamedTuple):
    """An ended attempt."""

    work: str
    kind: str
    task: str
    tenant: str
    attempt: int
    lease_id: str
    bot: str
    bot_name: str | None
    bot_version: str | None
    started: int
    ended: int
    ending: str
    usage: JsonText | None


SINK_HEADS = Read("sink_heads", SinkHeadRow, "prefix")
SINK_RECORDS = Read("sink_records", AuditRecordRow, "tenant", "begin", "limit")
TRACED_TASKS = Read("traced_tasks", TracedTaskRow, "tasks")
TRACED_ATTEMPTS = Read("traced_attempts", TracedAttemptRow, "works")
TRACED_CANCELLED = Read("traced_cancelled", TracedAttemptRow, "task", "at", "ending")

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
