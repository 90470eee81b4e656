"""The id of the request that the running code answers: set by the HTTP layer, written by the log."""

from __future__ import annotations

from contextvars import ContextVar

# The answer carries the same id. Empty outside of requests (timers, background jobs).
REQUEST: ContextVar[str] = ContextVar("swarmkeeper_request", default="")
