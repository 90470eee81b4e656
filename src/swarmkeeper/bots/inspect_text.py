"""Measures text that is not Python: size, links, markers of unfinished work, lines too long to read."""

from __future__ import annotations

import re
from typing import Any

from swarmkeeper.bots.file_bot import FileBot
from swarmkeeper.bots.files import MARKER
from swarmkeeper.sdk.runner import run

LINK = re.compile(r"https?://[^\s<>\"')\]]")
LINE_LENGTH_MAX = 500  # a longer line is data or minified code


class InspectText(FileBot):
    """`{"root", "files"}` → `{"files": [{"file", "lines", "links", "markers", "findings"}]}`."""

    skills = frozenset({"inspect.text"})
    capacity = 4

    def examine(self, content: bytes, text: str) -> dict[str, Any]:
        return {"language": "text", "bytes": len(content), **measure(text)}


def measure(text: str) -> dict[str, Any]:
    lines = text.splitlines()
    longest = max(range(len(lines)), key=lambda place: len(lines[place]), default=0)
    too_long = bool(lines) and len(lines[longest]) > LINE_LENGTH_MAX
    return {
        "lines": len(lines),
        "links": len(LINK.findall(text)),
        "markers": len(MARKER.findall(text)),
        "findings": [{"line": longest + 1, "text": "the line is too long to read"}] if too_long else [],
    }


if __name__ == "__main__":
    run(InspectText())
