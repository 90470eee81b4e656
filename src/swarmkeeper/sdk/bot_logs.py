"""How the logs of a bot look where its author has not set logging up."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime

from swarmkeeper import loglines


class _ForPeople(logging.Formatter):
    """A line for who watches a terminal; a traceback follows as usual."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        level = record.levelname.lower()
        said = loglines.line(at, level, record.getMessage(), {}, coloured=loglines.is_coloured(os.environ))
        return f"{said}\n{self.formatException(record.exc_info)}" if record.exc_info else said


def begin() -> None:
    """Write the logs of this process to stderr, unless somebody sees to them already."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        if sys.stderr is not None and sys.stderr.isatty():
            for handler in logging.getLogger().handlers:
                handler.setFormatter(_ForPeople())
