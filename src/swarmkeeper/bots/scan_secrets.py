"""Looks for secrets in files, with the detectors that keep them out of the orchestrator's own evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from swarmkeeper.bots import files
from swarmkeeper.govern.redaction import Redactor
from swarmkeeper.sdk.answers import Done, Failed
from swarmkeeper.sdk.bots import ExecutorBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.sdk.runner import run
from swarmkeeper.wire.requests import SubTask

LINES_AT_ONCE = 200
FOUND_MAX = 50  # places told of one file; all are counted


class ScanSecrets(ExecutorBot):
    """`{"root", "files"}` → `{"scanned": [{"file", "count", "places": [{"line", "rule"}]}]}`: where, never what."""

    skills = frozenset({"scan.secrets"})
    dedicated = True
    capacity = 2

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor.default()

    def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
        try:
            root = files.root_of(subtask.input)
        except files.NotThere as error:
            return Failed(str(error), kind="not_retryable")
        names = subtask.input["files"]
        scanned: list[dict[str, Any]] = []
        for name, _, text in files.each(root, names):
            places = list(self._places(text.splitlines()))
            scanned.append({"file": name, "count": len(places), "places": places[:FOUND_MAX]})
            context.progress(len(scanned) / len(names), name)
        return Done({"scanned": scanned})

    def _places(self, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
        # Line by line, so that what is found has a place; some at a time, since where nothing is found in any of them
        # one look is enough. The pointer of a line is its number in what was given, from 0.
        for start in range(0, len(lines), LINES_AT_ONCE):
            for field in self._redactor.redact(lines[start : start + LINES_AT_ONCE]).fields:
                yield {"line": start + int(field.pointer[1:]) + 1, "rule": field.rule}


if __name__ == "__main__":
    run(ScanSecrets())
