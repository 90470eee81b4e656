"""Sets up a bot's logging if its author has not."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime

from swarmkeeper import loglines


class _ForPeople(logging.Formatter):
    """Formats a record as a line for a terminal, followed by its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        level = record.levelname.lower()
        text = loglines.line(at, level, record.getMessage(), {}, coloured=loglines.is_coloured(os.environ))
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def begin() -> None:
    """Write this process's logs to stderr, unless logging is set up already."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        if sys.stderr is not None and sys.stderr.isatty():
            for handler in logging.getLogger().handlers:
                handler.setFormatter(_ForPeople())
