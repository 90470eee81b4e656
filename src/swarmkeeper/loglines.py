"""Writes a line of a log as a person at a terminal reads it, for the server and for bots: time, level, words, facts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_ID = re.compile(r"\b([a-z]{3})_[0-9A-V]{18}([0-9A-V]{8})\b")


def is_coloured(environ: Mapping[str, str]) -> bool:
    """Whether a terminal is to be given colours."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def line(at: datetime, level: str, words: str, fields: Mapping[str, Any], *, coloured: bool) -> str:
    """One line: the local time of day, the level, what happened in words, and what else there is to say."""
    mark = f"{level.upper():<7}"
    if coloured:
        mark = f"\x1b[{_COLOURS.get(level, '0')}m{mark}\x1b[0m"
    told = facts(fields)
    return f"{at.astimezone():%H:%M:%S} {mark} {printable(words)}{'  ' if told else ''}{told}".rstrip()


def facts(fields: Mapping[str, Any]) -> str:
    """`name=value`, with ids cut to their ends: those differ, and a search for one finds the whole in other logs."""
    return " ".join(f"{name}={_ID.sub(_cut, _word(value))}" for name, value in fields.items())


def _cut(found: re.Match[str]) -> str:
    return f"{found[1]}_…{found[2]}"


def printable(text: str) -> str:
    """The same on one line, and nothing in it that a terminal would obey."""
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if text and text.isprintable() and " " not in text:
        return text
    return json.dumps(text)
