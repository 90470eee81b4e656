"""A bot with both hooks: what must not leave this process is taken out, and what happens is written down here."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarmkeeper import Done, ExecutorBot, SubTask, run
from swarmkeeper.sdk.answers import Answer

MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")


class Careful(ExecutorBot):
    skills = {"text.shout"}
    journal = Path(os.environ.get("JOURNAL", "journal.jsonl"))

    async def execute(self, subtask: SubTask) -> Done:
        return Done({"text": subtask.input["text"].upper()})

    def before_submit(self, result: Answer) -> Answer:
        """The last look before anything leaves: no address of anybody does."""
        if isinstance(result, Done):
            return Done({"text": MAIL.sub("…", result.output["text"])})
        return result

    def on_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """An audit of our own: one line for each thing that happened to this bot."""
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"event": kind, **fields}, default=str) + "\n")


run(Careful())
