"""Makes spans of OpenTelemetry from events of the feed, after the fact.

Theory. A task belongs to the trace of its submission, which is stored with it: trace id, the caller's span, and whether
the caller samples. So every server makes the same spans, and nothing is kept in memory: an attempt that has ended has a
row with start, end, bot and use, and the event of the same commit tells when to send it. The id of a span follows from
what it is about: a span that is sent again is the same span, and a bot can be told its parent before that is sent. The
decision to sample follows from the trace id alone.

Names and attributes are those of the semantic conventions for generative AI, where they have one: a task is
`invoke_workflow`, an attempt `invoke_agent`, or `plan` for a planner's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from swarmkeeper.core.ids import span_id
from swarmkeeper.core.named_reads import EventRow, fetch
from swarmkeeper.core.ports import Reader
from swarmkeeper.core.states import TASK_ENDS, AttemptOutcome
from swarmkeeper.reads import views
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.sink_reads import (
    TRACED_ATTEMPTS,
    TRACED_CANCELLED,
    TRACED_TASKS,
    TracedAttemptRow,
    TracedTaskRow,
)

encode = msgspec.json.Encoder().encode
PROVIDER = "swarmkeeper"
_INTERNAL, _CLIENT = 1, 3  # kinds of spans
_OK, _ERROR = 1, 2  # status codes
VERDICTS = frozenset({"task.judged", "work.accepted", "work.rework", "work.rejected", "work.rounds_exhausted"})
_ID, _PARENT = 32, 16  # characters of a trace id and of a span id, hexadecimal
_RANDOM_BITS = 56  # of a trace id, as W3C Trace Context says
_NO_ERRORS = frozenset(
    {AttemptOutcome.SUCCEEDED, AttemptOutcome.RELEASED, AttemptOutcome.DEFERRED, AttemptOutcome.ASKED}
)


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A traceparent in its parts."""

    id: str
    parent: str
    sampled: bool

    @classmethod
    def of(cls, traceparent: str) -> TraceParent | None:
        """Return the parts; None if there is no traceparent."""
        parts = traceparent.split("-")
        if len(parts) < 4 or len(parts[1]) != _ID or len(parts[2]) != _PARENT:
            return None
        return cls(parts[1], parts[2], bool(int(parts[3], 16) & 1))

    @property
    def began_here(self) -> bool:
        """Whether `ids.traceparent` made it: no caller has a span of it."""
        return self.parent == self.id[-_PARENT:]

    def within(self, ratio: float) -> bool:
        """Return whether the trace is one of this share of all traces. The same on every server, for all its spans."""
        random = int(self.id, 16) & ((1 << _RANDOM_BITS) - 1)
        return self.sampled and random >= (1.0 - ratio) * (1 << _RANDOM_BITS)


def of_lease(traceparent: str, lease_id: str, ratio: float) -> str:
    """Return the traceparent for a bot: its own spans belong below that of its attempt, and are sampled as that is.

    Args:
        traceparent: of the task's submission.
    """
    trace = TraceParent.of(traceparent)
    if trace is None:
        return traceparent
    return f"00-{trace.id}-{span_id(lease_id)}-{'01' if trace.within(ratio) else '00'}"


class SpanMaker:
    def __init__(self, store: Reader, ratio: float, text: Callable[[str, str], str]) -> None:
        """
        Args:
            ratio: the share of traces that are sent, from 0 to 1.
            text: redaction, of text of a tenant.
        """
        self._store, self._ratio, self._text = store, ratio, text

    async def records(self, rows: Sequence[EventRow], cursor: str) -> list[SinkRecord]:
        """Return one record for each event: its body is a JSON list of spans, and often empty.

        Raises:
            StoreUnavailable, StoreDamaged: try again.
        """
        tasks = await self._tasks(row.task for row in rows if row.task is not None)
        works = sorted({row.work for row in rows if row.work is not None and row.task in tasks})
        # By item and time of the commit: an attempt's end and the event that tells of it are of one commit.
        attempts: dict[tuple[str, int], list[TracedAttemptRow]] = {}
        if works:
            for each in await fetch(self._store, TRACED_ATTEMPTS, works=json.dumps(works)):
                attempts.setdefault((each.work, each.ended), []).append(each)
        made = []
        for row in rows:
            spans = await self._spans(row, tasks, attempts)
            made.append(SinkRecord(row.seq, row.id, row.tenant, row.kind, encode(spans), row.at, cursor))
        return made

    async def _tasks(self, ids: Iterable[str]) -> dict[str, tuple[TracedTaskRow, TraceParent]]:
        wanted = sorted(set(ids))
        rows = await fetch(self._store, TRACED_TASKS, tasks=json.dumps(wanted)) if wanted else []
        traced = {row.id: (row, TraceParent.of(row.trace)) for row in rows}
        return {
            task: (row, trace)
            for task, (row, trace) in traced.items()
            if trace is not None and trace.within(self._ratio)
        }

    async def _spans(
        self,
        row: EventRow,
        tasks: Mapping[str, tuple[TracedTaskRow, TraceParent]],
        attempts: dict[tuple[str, int], list[TracedAttemptRow]],
    ) -> list[dict[str, Any]]:
        if row.task is None or row.task not in tasks:
            return []
        task, trace = tasks[row.task]
        ended = attempts.pop((row.work, row.at), []) if row.work is not None else []
        spans = [self._attempt(each, trace) for each in ended]
        if row.kind in VERDICTS:
            spans.append(self._verdict(row, trace))
        if row.kind in TASK_ENDS:
            # Of what is cancelled with its task, no event tells.
            asked = {"task": row.task, "at": row.at, "ending": AttemptOutcome.CANCELLED}
            spans += [self._attempt(each, trace) for each in await fetch(self._store, TRACED_CANCELLED, **asked)]
            spans.append(self._task(row, task, trace))
        return spans

    def _task(self, row: EventRow, task: TracedTaskRow, trace: TraceParent) -> dict[str, Any]:
        outcome = str(views.json_of(row.body).get("outcome", ""))
        failed = row.kind == "task.failed"
        attributes = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.conversation.id": task.id,
            "swarmkeeper.tenant": task.tenant,
            "swarmkeeper.task.id": task.id,
            "swarmkeeper.task.outcome": outcome,
        }
        if failed:
            attributes["error.type"] = outcome or "_OTHER"
        name = ("invoke_workflow", _INTERNAL, span_id(task.id), "" if trace.began_here else trace.parent)
        return _span(trace, *name, task.created_at, row.at, attributes, failed=failed)

    def _attempt(self, attempt: TracedAttemptRow, trace: TraceParent) -> dict[str, Any]:
        operation = "plan" if attempt.kind == "plan" else "invoke_agent"
        agent = self._text(attempt.bot_name or attempt.bot, attempt.tenant)
        failed = attempt.ending not in _NO_ERRORS
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.agent.id": attempt.bot,
            "gen_ai.agent.name": agent,
            "gen_ai.conversation.id": attempt.task,
            "swarmkeeper.tenant": attempt.tenant,
            "swarmkeeper.task.id": attempt.task,
            "swarmkeeper.work.id": attempt.work,
            "swarmkeeper.work.kind": attempt.kind,
            "swarmkeeper.lease.id": attempt.lease_id,
            "swarmkeeper.attempt": attempt.attempt,
            "swarmkeeper.attempt.ending": attempt.ending,
        }
        if attempt.bot_version:
            attributes["gen_ai.agent.version"] = self._text(attempt.bot_version, attempt.tenant)
        if failed:
            attributes["error.type"] = attempt.ending
        used = {} if attempt.usage is None else views.json_of(attempt.usage)
        attributes |= {f"swarmkeeper.usage.{name}": value for name, value in used.items() if isinstance(value, int)}
        name = (f"{operation} {agent}", _CLIENT, span_id(attempt.lease_id), span_id(attempt.task))
        return _span(trace, *name, attempt.started, attempt.ended, attributes, failed=failed)

    def _verdict(self, row: EventRow, trace: TraceParent) -> dict[str, Any]:
        assert row.task is not None, "verdicts are about a task"
        body = views.json_of(row.body)
        attributes = {
            "swarmkeeper.tenant": row.tenant,
            "swarmkeeper.task.id": row.task,
            "swarmkeeper.verdict.decision": str(body.get("decision", "")),
            "swarmkeeper.verdict.round": body.get("round", 0),
        }
        if row.work is not None:
            attributes["swarmkeeper.work.id"] = row.work
        name = ("verdict", _INTERNAL, span_id(row.id), span_id(row.task))
        return _span(trace, *name, row.at, row.at, attributes, failed=False)


def _span(
    trace: TraceParent,
    name: str,
    kind: int,
    id_: str,
    parent: str,
    start: int,
    end: int,
    attributes: Mapping[str, Any],
    *,
    failed: bool,
) -> dict[str, Any]:
    """Return a span as protobuf's JSON mapping for OTLP writes it: ids in hexadecimal, 64-bit numbers as texts."""
    return {
        "traceId": trace.id,
        "spanId": id_,
        "parentSpanId": parent,
        "flags": 1,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start * 1000),
        "endTimeUnixNano": str(max(start, end) * 1000),
        "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
        "status": {"code": _ERROR if failed else _OK},
    }


def _value(value: str | int) -> dict[str, str]:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
