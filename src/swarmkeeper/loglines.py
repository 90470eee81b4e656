"""Formats log lines for a terminal, for the server and for bots: time, level, message, fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31"}
_ID = re.compile(r"\b([a-z]{3})_[0-9A-V]{18}([0-9A-V]{8})\b")


def is_coloured(environ: Mapping[str, str]) -> bool:
    """Whether to write colours to a terminal."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def line(at: datetime, level: str, words: str, fields: Mapping[str, Any], *, coloured: bool) -> str:
    """Format one line: local time of day, level, message, fields."""
    mark = f"{level.upper():<7}"
    if coloured:
        mark = f"\x1b[{_COLOURS.get(level, '0')}m{mark}\x1b[0m"
    shown = facts(fields)
    return f"{at.astimezone():%H:%M:%S} {mark} {printable(words)}{'  ' if shown else ''}{shown}".rstrip()


def facts(fields: Mapping[str, Any]) -> str:
    """Format fields as `name=value`. Ids are cut to their last characters, which are enough to search other logs."""
    return " ".join(f"{name}={_ID.sub(_cut, _word(value))}" for name, value in fields.items())


def _cut(found: re.Match[str]) -> str:
    return f"{found[1]}_…{found[2]}"


def printable(text: str) -> str:
    """Escape line breaks and all that a terminal would interpret."""
    return "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if text and text.isprintable() and " " not in text:
        return text
    return json.dumps(text)
