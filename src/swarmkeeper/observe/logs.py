"""Writes redacted log lines, as JSON or as text.

The product calls `Log`. `Handler` forwards what libraries log through Python's logging.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from swarmkeeper import loglines
from swarmkeeper.core.model import Json, Redacted
from swarmkeeper.request_id import TRACE

LEVELS = ("debug", "info", "warning", "error")
# Level of each event; others are info, or error if they have an exception.
LOUDNESS: Mapping[str, str] = {
    "fault": "error",
    "engine_ended": "error",
    "store_lost": "error",
    "store_left": "error",
    "store_damaged": "error",
    "internal": "error",
    "stream_broken": "warning",
    "feed_waits": "warning",
    "broker_lost": "warning",
    "outgoing_waits": "warning",
    "outgoing_skipped": "warning",
    "outgoing_too_large": "warning",
    "sink_waits": "warning",
    "sink_stopped": "error",
    "sink_gap": "warning",
    "sinks_refuse": "error",
    "issuer_keys_unread": "warning",
    "retention_waits": "warning",
    "rules_refused": "error",
    "task_failed": "warning",
    "work_failed": "warning",
    "lease_lost": "warning",
    "store_unavailable": "warning",
    "batch_failed": "warning",
    "stalled": "warning",
    "clock_apart": "warning",
    "clock_forward": "warning",
    "tick_failed": "warning",
    "secrets_unknown": "error",
    "secrets_full": "error",
    "secrets_untold": "warning",
    "secret_source_down": "warning",
    "secret_not_revoked": "warning",
    "secrets_upkeep_failed": "warning",
    "request": "debug",
}
_TEXT_MAX = 16_384  # characters of one field: a traceback of a deep recursion is longer, without more information
_LIBRARY_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning"}


class RedactionRules(Protocol):
    """The redaction rules in force."""

    def redact(self, value: Json, *, tenant: None) -> Redacted: ...


class Log:
    """Writes one line per call: `log("store_unavailable", error="…")`.

    A line of a request also has its trace, while traces are sent. A field `exception` is written as its traceback.
    Lines of several threads do not mix. A line that cannot be written is counted in `lost`, and reported after the next
    one that can be: a server must not stop because of its log.
    """

    def __init__(
        self,
        stream: TextIO,
        rules: RedactionRules,
        now: Callable[[], int],
        *,
        level: str = "info",
        as_json: bool = True,
    ) -> None:
        self.people = False  # whether a person reads the log on a terminal
        self._stream, self._rules, self._now, self._as_json = stream, rules, now, as_json
        self._least = LEVELS.index(level)
        self.lost = 0  # lines that could not be written
        self._unreported = 0  # lost lines not reported yet

    def writes(self, event: str) -> bool:
        """Whether a line of this event would be written at the log's level."""
        return LEVELS.index(LOUDNESS.get(event, "info")) >= self._least

    def __call__(self, event: str, **fields: Any) -> None:
        self.write(LOUDNESS.get(event, "error" if "exception" in fields else "info"), event, fields)

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        if LEVELS.index(level) < self._least:
            return
        if self._put(self._line(level, event, fields)) and self._unreported:
            count, self._unreported = self._unreported, 0
            self._put(self._line("warning", "log_lines_lost", {"count": count}))

    def _line(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        plain = {name: _plain(value) for name, value in fields.items()}
        shown = self._rules.redact({"event": event, **TRACE.get(), **plain}, tenant=None).value
        at = datetime.fromtimestamp(self._now() / 1_000_000, UTC).isoformat(timespec="milliseconds")
        stamp = at.replace("+00:00", "Z")
        if self._as_json:
            return json.dumps({"at": stamp, "level": level, **shown}, ensure_ascii=False)
        if self.people:
            facts = {name: value for name, value in shown.items() if name != "event"}
            words = str(shown["event"]).replace("_", " ")
            moment = datetime.fromtimestamp(self._now() / 1_000_000, UTC)
            return loglines.line(moment, level, words, facts, coloured=loglines.is_coloured(os.environ))
        return _as_text(stamp, level, shown)

    def _put(self, line: str) -> bool:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the disk is full, or the reader of a pipe is gone
            self.lost += 1
            self._unreported += 1
            return False
        return True


class _Discard(io.StringIO):
    """Discards what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


def on_stderr(rules: RedactionRules, now: Callable[[], int], *, level: str, form: str) -> Log:
    """Make the log of a process.

    Args:
        form: json, text, or auto (for people on a terminal, else json).
    """
    stream: TextIO = sys.stderr or _Discard()  # None: the parent process closed it
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    log = Log(stream, rules, now, level=level, as_json=as_json)
    log.people = form == "auto" and not as_json
    return log


class Handler(logging.Handler):
    """Forwards library logs to `Log`, so that they are redacted, too."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info is not None and record.exc_info[1] is not None:
            fields["exception"] = record.exc_info[1]
        self._log.write(_LIBRARY_LEVELS.get(record.levelno, "error"), "library", fields)


def take_over(log: Log) -> Callable[[], None]:
    """Send all library logs to `log`. Return a function that restores the former handlers and levels."""
    root = logging.getLogger()
    former, level = list(root.handlers), root.level
    root.handlers[:] = [Handler(log)]
    root.setLevel(logging.INFO)
    # Their lines contain URLs with query strings; our own lines have the route instead.
    quiet = [logging.getLogger(name) for name in ("uvicorn.access", "httpx2", "httpcore2", "httpx", "httpcore")]
    levels = [logger.level for logger in quiet]
    for logger in quiet:
        logger.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)

    def put_back() -> None:
        root.handlers[:] = former
        root.setLevel(level)
        for logger, former_level in zip(quiet, levels, strict=True):
            logger.setLevel(former_level)

    return put_back


def _plain(value: Any) -> Json:
    if isinstance(value, BaseException):
        return "".join(traceback.format_exception(value))[-_TEXT_MAX:]
    if isinstance(value, str):
        return value[:_TEXT_MAX]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)[:_TEXT_MAX]


def _as_text(stamp: str, level: str, shown: Mapping[str, Json]) -> str:
    event = shown["event"]
    fields = " ".join(f"{name}={_word(value)}" for name, value in shown.items() if name != "event")
    return f"{stamp} {level.upper():7} {event} {fields}".rstrip()


def _word(value: Json) -> str:
    """Format a value on one line, without control characters that a terminal would interpret."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text and text.isprintable() and " " not in text:
        return text
    return json.dumps(text)
