"""Reads what a program prints while it runs: JSON lines of a known agent program, one JSON value, or plain text.

Everything is hostile until checked. A line may be cut, huge, nested deeply, or no UTF-8; a number may be negative,
infinite or a text. What is not understood is passed over: these programs add new events with every release.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from swarmkeeper.agents.caps import ModelUsage
from swarmkeeper.agents.programs.words import session_name
from swarmkeeper.agents.run import AgentRun
from swarmkeeper.sdk.processes.output import LineSplitter

Json = Any

EVENT_BYTES_MAX = 8 * 1024 * 1024  # a result of a tool may hold a picture
COUNT_MAX = 2**53
COST_USD_MAX = 1_000_000
_SNIFFED_LINES = 20  # a program may greet before its first event


@dataclass(slots=True)
class Said:
    """What a program has said so far.

    Attributes:
        session: the name by which the program can continue this session.
        answer: the final answer as text; `output`, if it is set, has it as JSON.
        ended: the program said that it is done, well or not.
        error: what it said about its failure.
        cap: the limit of its own at which the program stopped, in words.
        resets_at: seconds since 1970 at which a rate limit ends.
        sessions: called with the session's name when it is first known.
    """

    session: str | None = None
    answer: str | None = None
    output: Json = None
    has_output: bool = False
    ended: bool = False
    error: str | None = None
    cap: str | None = None
    resets_at: float | None = None


class EventReader(Protocol):
    """Understands the events of one program."""

    def __call__(self, event: Mapping[str, Json]) -> None: ...


class Totals:
    """Reports what a program has used, from totals that may be repeated, late or wrong."""

    def __init__(self, run: AgentRun, said: Said, use_cost: Callable[[int], None], priced: Callable[[], int]) -> None:
        self._run, self._said, self._use_cost, self._priced = run, said, use_cost, priced
        self._tokens = 0
        self._cost = 0

    def tokens(self, total: int, model: str | None = None) -> None:
        """Set the tokens of the whole run so far; a lower number than before changes nothing.

        Raises:
            CapReached: too many, and the program has not ended: a result that is there is paid for, and not lost.
        """
        new = total - self._tokens
        if new > 0:
            self._tokens = total
            self._run.used(ModelUsage(input_tokens=new, model=model), cost_follows=True)
            if not self._said.ended:
                self._run.check_tokens()

    def cost(self, usd: object) -> None:
        """Set the cost of the whole run, as the program states it, in place of what a price list says."""
        if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 <= usd <= COST_USD_MAX:
            return
        total = math.ceil(usd * 1_000_000)
        known = max(self._cost, self._priced())
        if total > known:
            self._use_cost(total - known)
            self._cost = total


class ProgramReader:
    """Reads a program's stdout, piece by piece.

    Args:
        reads: the format; None: found out from the first lines.
        readers: what makes the reader of events for each format that has events.
        on_text: called with each line that is no event.
    """

    def __init__(
        self,
        reads: str | None,
        readers: Mapping[str, Callable[[], EventReader]],
        on_text: Callable[[str], None],
    ) -> None:
        self.format = reads
        self._readers, self._on_text = readers, on_text
        self._reader = readers[reads]() if reads is not None and reads in readers else None
        self._line = bytearray()
        self._skipping = False
        self._lines = 0
        self._whole = False  # it may be one JSON value on several lines, which is read at the end
        self._text = LineSplitter(on_text)
        self.broken = 0  # lines that look like events and could not be read

    def add(self, data: bytes) -> None:
        """Read more of the output. What the readers of events raise, it raises."""
        if self.format in ("text", "json"):
            if self.format == "text":
                self._text.add(data)
            return
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._extend(piece)
            self._end_line()
        self._extend(rest)

    def end(self) -> None:
        """Read the last line, which may have no line break."""
        self._end_line()
        self._text.end()

    def _extend(self, piece: bytes) -> None:
        if not self._skipping:
            self._line += piece
            if len(self._line) > EVENT_BYTES_MAX:
                self._skipping = True
                self._line.clear()

    def _end_line(self) -> None:
        line, self._line = bytes(self._line).strip(), bytearray()
        if self._skipping:
            self._skipping = False
            self.broken += 1
        elif line:
            self._read(line)

    def _read(self, line: bytes) -> None:
        event = event_in(line) if line.startswith(b"{") else None
        if event is None:
            self.broken += self._reader is not None and line.startswith(b"{")
            self._text.add(line + b"\n")
        if self._reader is None and self.format is None:
            self._lines += 1
            self._whole = self._whole or (self._lines == 1 and line[:1] in b"{[")
            self._sniff(event)
        if self._reader is not None and event is not None:
            self._reader(event)

    def _sniff(self, event: Mapping[str, Json] | None) -> None:
        found = None if event is None else format_of(event)
        if found is not None:
            self.format, self._reader = found, self._readers[found]()
        elif self._lines >= _SNIFFED_LINES and not self._whole:
            self.format = "text"


def event_in(line: bytes) -> Mapping[str, Json] | None:
    """Return the JSON object in a line; None if it is none."""
    found = json_in(line.decode("utf-8", "replace"))
    return found if isinstance(found, dict) else None


def json_in(text: str) -> Json:
    """Return the JSON value of a text; None if it is none, or `null`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def format_of(event: Mapping[str, Json]) -> str | None:
    """Return which program prints such an event; None: no known one."""
    kind = event.get("type")
    if not isinstance(kind, str):
        return "gemini" if "response" in event and isinstance(event.get("stats"), dict) else None
    if kind.partition(".")[0] in ("thread", "turn", "item") and "." in kind:
        return "codex"
    if (kind in ("system", "result") and "subtype" in event) or (kind == "assistant" and "message" in event):
        return "claude"
    if kind == "init" and "session_id" in event:
        return "gemini"
    return None


def count(value: object) -> int:
    """Return a number of something; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= COUNT_MAX:
        return 0
    return int(value)


def text_of(value: object) -> str | None:
    return value if isinstance(value, str) else None


def members(value: object) -> Mapping[str, Json]:
    """Return an object; an empty one for what is none."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Json]:
    """Return a list; an empty one for what is none."""
    return value if isinstance(value, list) else []


def known_session(said: Said, value: object) -> None:
    """Keep the first name of the session."""
    if said.session is None:
        said.session = session_name(value)
