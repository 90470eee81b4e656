"""A bot with two hooks: one removes mail addresses from its answers, one writes its events to a file."""

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
        """Remove mail addresses before the answer leaves this process."""
        if isinstance(result, Done):
            return Done({"text": MAIL.sub("…", result.output["text"])})
        return result

    def on_event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Write one line for each event of this bot."""
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"event": kind, **fields}, default=str) + "\n")


run(Careful())
