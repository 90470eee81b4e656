"""Removes each fence from the code, one after another, and checks that a test then fails.

A fence is a comparison that keeps a bot from changing what it no longer holds, or a writer from overwriting another's
change: in SQL each `AND lease_id = …` and `AND version = …`; in the core each comparison of a lease, its bot, its
times, its owner, or of the hash of a report or an approval. `python -m tests.tidy.fences [file:line …]` takes some
minutes and is not part of a usual run: run it after changing a fence.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.tidy.tree import ROOT

SQL = ("src/swarmkeeper/storage/writes.sql", "src/swarmkeeper/storage/sqlite/own.sql")
CORE = tuple(
    f"src/swarmkeeper/core/decide/{name}.py"
    for name in ("decisions/work", "decisions/approvals", "decisions/timers", "effects/owners", "working_set")
)
TESTS = {
    ".sql": ("tests/storage", "tests/engine"),
    ".py": ("tests/engine", "tests/core", "tests/http/test_access.py", "tests/http/test_approvals.py"),
}
SECONDS_MAX = 300
FENCED = {
    "lease_id",
    "bot",
    "owner",
    "tenant",
    "expires_at",
    "ends_at",
    "attempt",
    "result_hash",
    "content_hash",
    "subject_hash",
}
CLAUSE = re.compile(r"\bAND \w+\.(?:lease_id|version|row_version) = :\w+(?: - 1)?")


class Fence(NamedTuple):
    file: str
    line: int
    start: int  # characters from the beginning of the file
    end: int
    text: str
    without: str  # the text in its place

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def fences() -> Iterator[Fence]:
    for file in SQL:
        text = (ROOT / file).read_text(encoding="utf-8")
        for found in CLAUSE.finditer(text):
            yield Fence(file, text.count("\n", 0, found.start()) + 1, *found.span(), found.group(), "")
    for file in CORE:
        text = (ROOT / file).read_text(encoding="utf-8")
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        for test, without in _conditions(ast.parse(text)):
            if test.lineno == test.end_lineno and _is_fence(test):
                start, end = (
                    starts[test.lineno - 1] + test.col_offset,
                    starts[test.lineno - 1] + (test.end_col_offset or 0),
                )
                yield Fence(file, test.lineno, start, end, text[start:end], without)


def _conditions(tree: ast.AST) -> Iterator[tuple[ast.Compare, str]]:
    """Yield each comparison in a condition, with the value that leaves the rest of the condition unchanged."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp):
            neutral = "True" if isinstance(node.op, ast.And) else "False"
            yield from ((value, neutral) for value in node.values if isinstance(value, ast.Compare))
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
            yield node.test, "False"


def _is_fence(test: ast.Compare) -> bool:
    """Return whether it compares a part of a lease with something other than nothing."""
    if isinstance(test.ops[0], ast.Is | ast.IsNot):
        return False
    names = {node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    return not names.isdisjoint(FENCED)


def still_green(fence: Fence, tree: Path) -> str | None:
    """Return the output of the run if no test failed without this fence."""
    place = tree / fence.file
    whole = place.read_text(encoding="utf-8")
    place.write_text(whole[: fence.start] + fence.without + whole[fence.end :], encoding="utf-8")
    try:
        run = subprocess.run(  # this interpreter, on a copy of this repository
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS[Path(fence.file).suffix]],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None  # without the fence the tests do not end: that is a failure, too
    finally:
        place.write_text(whole, encoding="utf-8")
    return run.stdout[-4000:] if run.returncode == 0 else None


def main(asked: list[str]) -> int:
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        for part in ("src", "tests"):
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        for fence in fences():
            if asked and str(fence) not in asked:
                continue
            said = still_green(fence, tree)
            bad += said is not None
            sys.stdout.write(f"{'red  ' if said is None else 'GREEN'} {fence}  {fence.text}\n{said or ''}")
            sys.stdout.flush()
    sys.stdout.write(f"{bad} fences can be removed without a failing test\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
