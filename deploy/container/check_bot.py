"""Health check of a bot's container: exits with 0 if the bot is not stuck and its file is recent. Needs no shell.

A bot that cannot reach the orchestrator is well: it keeps trying, and a restart would not help.
"""

import json
import os
import sys
import time
from pathlib import Path

OLD = 60  # seconds; a bot writes its file every 5


def is_well(file: Path, now: float) -> bool:
    """Return whether the file of `run` says so."""
    try:
        is_recent = now - file.stat().st_mtime < OLD
        return is_recent and json.loads(file.read_text(encoding="utf-8"))["status"] != "stuck"
    except (OSError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_well(Path(os.environ.get("SWARMKEEPER_HEALTH_FILE", "")), time.time()) else 1)
