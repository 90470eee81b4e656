"""Splits a diff into one file for each changed file, so that bots can read them one by one.

git diff main... | python split.py changes
python split.py changes pull-request.diff
"""

import re
import sys
from pathlib import Path


def split(diff: str) -> dict[str, str]:
    """Return the part of each changed file, by a name without folders: a diff may name any path."""
    parts = [part for part in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE) if part.startswith("diff --git ")]
    found = {}
    for number, part in enumerate(parts, start=1):
        path = part.splitlines()[0].rpartition(" b/")[2]
        found[f"{number:02}-{re.sub('[^A-Za-z0-9._-]', '-', path)}.diff"] = part
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.diff"):
        old.unlink()
    text = Path(sys.argv[2]).read_text("utf-8") if len(sys.argv) > 2 else sys.stdin.read()
    for name, part in split(text).items():
        (folder / name).write_text(part, "utf-8")
        print(folder / name)
