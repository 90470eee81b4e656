"""The code blocks of README and docs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    options: dict[str, str]
    code: str


def blocks_of(page: Path) -> list[Block]:
    return [
        Block(language or "", dict(re.findall(r"(\w+)=(\S+)", options)), code)
        for language, options, code in FENCE.findall(page.read_text(encoding="utf-8"))
    ]
