"""Which call the running code answers: its id goes from the door to the log, past everything that has no use for it."""

from __future__ import annotations

from contextvars import ContextVar

# The id that the answer carries, too; empty where nobody called (timers, jobs).
REQUEST: ContextVar[str] = ContextVar("swarmkeeper_request", default="")
