"""What a bot says on its way: how the pieces that come with heartbeats are joined, and how much of it is kept.

A heartbeat holds the lines since the one before. What is kept of an attempt is all of them, the last ones where they
are many: whoever asks why it failed mostly finds it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarmkeeper.core.model import Json

# Of one attempt. A page of a terminal has some fifty lines; the bytes bound what each heartbeat writes anew.
LINES_MAX = 50
LINE_LENGTH_MAX = 1_000
CHARACTERS_MAX = 16_000


def joined(before: Mapping[str, Json] | None, said: Mapping[str, Json]) -> dict[str, Json]:
    """What was said so far, with what a heartbeat or a report adds.

    Lines that the last heartbeat had already (its answer was lost, so they came again) are not doubled. How far it is
    and the message to it are replaced together: an old message tells nothing of a new fraction.
    """
    known = dict(before or {})
    if said.get("fraction") is not None or said.get("message") is not None:
        for name in ("fraction", "message"):
            known.pop(name, None)
            if said.get(name) is not None:
                known[name] = said[name]
    if lines := [_cut(line, LINE_LENGTH_MAX) for line in said.get("log") or ()]:
        known["log"] = _bounded(_continued(list(known.get("log") or ()), lines))
    return known


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
