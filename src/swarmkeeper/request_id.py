"""The id and the trace of the request that the running code answers: set by the HTTP layer, written by the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

# The answer carries the same id. Empty outside of requests (timers, background jobs).
REQUEST: ContextVar[str] = ContextVar("swarmkeeper_request", default="")
NO_TRACE: Mapping[str, str] = {}
# What log lines say of the trace: `trace_id` and `span_id`. Empty outside of requests, and while no traces are sent.
TRACE: ContextVar[Mapping[str, str]] = ContextVar("swarmkeeper_trace", default=NO_TRACE)


def trace_fields(traceparent: str, span: str | None = None) -> Mapping[str, str]:
    """Return the fields of a log line about a trace; none without a trace.

    Args:
        span: the span that the line belongs to; None: that of the caller, if a caller has sent the traceparent.
    """
    parts = traceparent.split("-")
    if len(parts) < 4:
        return NO_TRACE
    trace, parent = parts[1:3]
    if span is None:
        # `ids.traceparent` makes a parent of the end of the trace id: nobody sends such a span.
        return {"trace_id": trace} if trace.endswith(parent) else {"trace_id": trace, "span_id": parent}
    return {"trace_id": trace, "span_id": span}


@contextmanager
def tracing(fields: Mapping[str, str]) -> Iterator[None]:
    """Let log lines in the block name this trace, or none."""
    before = TRACE.get()
    TRACE.set(fields)
    try:
        yield
    finally:
        TRACE.set(before)
