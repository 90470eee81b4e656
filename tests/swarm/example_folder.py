"""Copies of the folders in examples/, as a person makes one."""

from __future__ import annotations

import shutil
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def copied(name: str, folder: Path) -> None:
    """Copy what an example's folder holds in the repository into this one."""
    ignored = [line.strip("/") for line in (EXAMPLES / name / ".gitignore").read_text("utf-8").split()]
    left_out = shutil.ignore_patterns("__pycache__", ".swarmkeeper", *ignored)
    shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True, ignore=left_out)


def first_steps(name: str) -> list[str]:
    """Return the commands of the README's first block of commands: indented lines."""
    lines = (EXAMPLES / name / "README.md").read_text("utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("    "))
    end = next(number for number, line in enumerate(lines[begin:], start=begin) if not line.startswith("    "))
    return [line.strip() for line in lines[begin:end]]
