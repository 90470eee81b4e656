"""Prints the counts that tests/counts.py wrote, at the end of `.ci/run`; fails if one of the first three is not 0."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COUNTS = ROOT / ".pytest_counts"

# name, meaning, whether it must be 0, and the path that requires it
EXPECTED = (
    ("tests_skipped", "tests skipped", True, "tests"),
    ("docs_blocks_unexecuted", "docs code blocks unexecuted", True, "docs"),
    ("routes_left_out", "routes left out of schemathesis", True, "src/swarmkeeper/http/app.py"),
    ("type_ignores_without_reason", "`type: ignore` without a reason", False, "tests/tidy"),
)


def main() -> int:
    """Return 1 if a required count is missing or not 0."""
    failed = False
    for name, meaning, binding, due_with in EXPECTED:
        file = COUNTS / f"{name}.json"
        if not file.exists():
            due = (ROOT / due_with).exists()
            failed |= due
            print(f"  {'no test wrote it' if due else 'not due: no ' + due_with:>8}  {meaning}")
            continue
        count = int(json.loads(file.read_text(encoding="utf-8"))["count"])
        failed |= binding and count != 0
        print(f"  {count:>8}  {meaning}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
