"""Measures text that is not Python: size, links, markers of work left to do, lines too long to read."""

from __future__ import annotations

import re
from typing import Any

from swarmkeeper.bots import files
from swarmkeeper.sdk.answers import Done, Failed
from swarmkeeper.sdk.bots import ExecutorBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.sdk.runner import run
from swarmkeeper.wire.requests import SubTask

MARKER = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
LINK = re.compile(r"https?://[^\s<>\"')\]]")
LINE_LENGTH_MAX = 500  # beyond it a file is data or minified, and no person reads it


class InspectText(ExecutorBot):
    """`{"root", "files"}` → `{"files": [{"file", "lines", "links", "markers", "findings"}]}`."""

    skills = frozenset({"inspect.text"})
    dedicated = True
    capacity = 4

    def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
        try:
            root = files.root_of(subtask.input)
        except files.NotThere as error:
            return Failed(str(error), kind="not_retryable")
        names = subtask.input["files"]
        measured: list[dict[str, Any]] = []
        for name, content, text in files.each(root, names):
            measured.append({"file": name, "language": "text", "bytes": len(content), **measure(text)})
            context.progress(len(measured) / len(names), name)
        return Done({"files": measured})


def measure(text: str) -> dict[str, Any]:
    lines = text.splitlines()
    longest = max(range(len(lines)), key=lambda place: len(lines[place]), default=0)
    too_long = bool(lines) and len(lines[longest]) > LINE_LENGTH_MAX
    return {
        "lines": len(lines),
        "links": len(LINK.findall(text)),
        "markers": len(MARKER.findall(text)),
        "findings": [{"line": longest + 1, "text": "a line too long to read"}] if too_long else [],
    }


if __name__ == "__main__":
    run(InspectText())
