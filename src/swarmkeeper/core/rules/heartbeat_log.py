"""Progress and log lines of an attempt: join the pieces that heartbeats bring, within limits.

A heartbeat has the lines since the previous one. An attempt keeps all of them, or the last ones if they are too many:
the reason of a failure is usually there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmkeeper.core.model import Json

# For one attempt. A terminal page has about fifty lines; the characters limit what each heartbeat rewrites.
LINES_MAX = 50
LINE_LENGTH_MAX = 1_000
CHARACTERS_MAX = 16_000


def joined(before: Mapping[str, Json] | None, added: Mapping[str, Json]) -> dict[str, Json]:
    """Return the progress so far, with what a heartbeat or a report adds.

    Lines that are repeated from the last heartbeat (its answer was lost) are not doubled. `fraction` and `message` are
    replaced together, because an old message does not describe a new fraction.
    """
    progress = dict(before or {})
    if added.get("fraction") is not None or added.get("message") is not None:
        for name in ("fraction", "message"):
            progress.pop(name, None)
            if added.get(name) is not None:
                progress[name] = added[name]
    if lines := [_cut(line, LINE_LENGTH_MAX) for line in added.get("log") or ()]:
        progress["log"] = _bounded(_continued(list(progress.get("log") or ()), lines))
    return progress


def _continued(before: list[str], lines: list[str]) -> list[str]:
    for overlap in range(min(len(before), len(lines)), 0, -1):
        if before[-overlap:] == lines[:overlap]:
            return before + lines[overlap:]
    return before + lines


def _bounded(lines: list[str]) -> list[str]:
    kept = lines[-LINES_MAX:]
    room = CHARACTERS_MAX
    for number, line in enumerate(reversed(kept)):
        room -= len(line)
        if room < 0:
            return kept[len(kept) - number :]
    return kept


def _cut(text: Any, length: int) -> str:
    plain = str(text)
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"
