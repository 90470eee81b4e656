"""Base of the bots that examine files one by one: it reports progress after each file and collects the facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from swarmkeeper.bots import files
from swarmkeeper.sdk.answers import Done, Failed
from swarmkeeper.sdk.bots import ExecutorBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.wire.requests import SubTask


class FileBot(ExecutorBot, ABC):
    """`{"root", "files"}` → `{output: [{"file", …}]}`, with one entry for each file that is still there."""

    dedicated = True
    output: ClassVar[str] = "files"  # the name of the list

    # A plain function: it runs in a thread, so heartbeats continue.
    def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
        try:
            root = files.root_of(subtask.input)
        except files.DirectoryNotFound as error:
            return Failed(str(error), kind="not_retryable")
        names = subtask.input["files"]
        found: list[dict[str, Any]] = []
        for name, content, text in files.each(root, names):
            found.append({"file": name, **self.examine(content, text)})
            context.progress(len(found) / len(names), name)
        return Done({self.output: found})

    @abstractmethod
    def examine(self, content: bytes, text: str) -> dict[str, Any]:
        """Return the facts about one file, as JSON values; `text` is its content as UTF-8."""
