"""Trace of a run, line by line, and its digest: equal digests mean equal runs, byte for byte.

Entities have readable names (`t7/a`, `executor-2`) instead of ids, so that lines of two runs can be compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from swarmkeeper.sim.kernel.loop import SECOND, VirtualLoop

# Lines of these kinds belong to the story of every entity.
ALWAYS = frozenset({"fault", "crash", "boot", "heal", "violation"})


@dataclass(frozen=True, slots=True)
class TraceLine:
    at: int  # microseconds since the run began
    kind: str
    entity: str
    text: str

    def __str__(self) -> str:
        return f"{self.at / SECOND:14.6f}  {self.kind:<9} {self.entity:<28} {self.text}".rstrip()


class Trace:
    def __init__(self, loop: VirtualLoop, *, keep: bool = False) -> None:
        self._loop = loop
        self._keep = keep
        self._digest = hashlib.sha256()
        self.count = 0
        self.lines: list[TraceLine] = []  # empty unless `keep`

    def __call__(self, kind: str, entity: str, text: str = "") -> None:
        at = self._loop.now
        self._digest.update(f"{at}|{kind}|{entity}|{text}\n".encode())
        self.count += 1
        if self._keep:
            self.lines.append(TraceLine(at, kind, entity, text))

    @property
    def hash(self) -> str:
        """The digest: 64 lower-case hexadecimal digits."""
        return self._digest.hexdigest()
