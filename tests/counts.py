"""Where tests leave the numbers that `.ci/run` prints. One small file each, so that parallel workers need no lock."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".pytest_counts"


def write_count(name: str, count: int) -> None:
    """Leave `count` for `.ci/run` under `name`; scripts/ci_counts.py lists the names that it expects."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps({"count": count}) + "\n", encoding="utf-8")
