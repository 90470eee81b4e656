"""A script in place of an agent program, for a try without a key and for tests. It understands nothing.

It takes the words of `claude -p PROMPT --output-format stream-json`, and prints events as Claude Code does. As an agent
may, it forgets something at first (an import), and corrects it when the tests that failed are shown to it.
"""

import json
import re
import sys
from pathlib import Path


def say(kind, **fields):
    print(json.dumps({"type": kind, "session_id": "a-script", **fields}), flush=True)


prompt = sys.argv[sys.argv.index("-p") + 1]
file = Path(re.search(r"^Migrate (\S+)", prompt)[1])
usage = {"input_tokens": len(prompt) // 4, "output_tokens": 100}
say("system", subtype="init", model="a-script")
edit = {"type": "tool_use", "id": "1", "name": "Edit", "input": {"file_path": str(file)}}
say("assistant", message={"id": "1", "model": "a-script", "usage": usage, "content": [edit]})

code = file.read_text("utf-8").replace("datetime.utcnow()", "datetime.now(UTC)")
if "name 'UTC' is not defined" in prompt:
    code = code.replace("from datetime import ", "from datetime import UTC, ", 1)
file.write_text(code, "utf-8")

say("result", subtype="success", is_error=False, result=f"{file} is migrated.", usage=usage, total_cost_usd=0.01)
