"""Sinks: audit records, and events if wanted, are sent to other systems, in order, at least once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmkeeper.core.ports import Clock, LogWriter
from swarmkeeper.sinks.bad_sinks import ReadSecret

if TYPE_CHECKING:
    from swarmkeeper.sinks.running import Sinks


def sinks_of(file: str, read_secret: ReadSecret, clock: Clock, log: LogWriter) -> Sinks | None:
    """Return the sinks of a file; None if the name is empty. Connects to nothing.

    Raises:
        BadSinks: the file cannot be used.
    """
    if not file:
        return None
    from swarmkeeper.sinks.running import Sinks

    return Sinks.of_file(file, read_secret, clock, log)
