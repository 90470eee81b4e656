"""Looks for secrets in files, with the detectors that redact the orchestrator's own evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from swarmkeeper.bots.file_bot import FileBot
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.sdk.runner import run

LINES_AT_ONCE = 200
FOUND_MAX = 50  # places listed for one file; all are counted


class ScanSecrets(FileBot):
    """`{"root", "files"}` → `{"scanned": [{"file", "count", "places": [{"line", "rule"}]}]}`: the places, not the
    secrets.
    """

    skills = frozenset({"scan.secrets"})
    capacity = 2
    output = "scanned"

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor.default()

    def examine(self, content: bytes, text: str) -> dict[str, Any]:
        places = list(self._places(text.splitlines()))
        return {"count": len(places), "places": places[:FOUND_MAX]}

    def _places(self, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
        # Each line is a value of its own, so that a finding has a line number. Many lines go in one call, because lines
        # without a secret are checked together. The pointer of a line is its index in the list.
        for start in range(0, len(lines), LINES_AT_ONCE):
            for field in self._redactor.redact(lines[start : start + LINES_AT_ONCE]).fields:
                yield {"line": start + int(field.pointer[1:]) + 1, "rule": field.rule}


if __name__ == "__main__":
    run(ScanSecrets())
