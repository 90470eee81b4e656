"""The record of an operation, and what proves that nobody but a server has written it.

Theory. Whoever can write to the store could make a server act for another caller, on other tasks, or once more. So each
operation has a seal: an HMAC, under the pepper, of everything that a server acts on. Tasks and their outcomes are rows
of their own; the operation has a hash of them, which the seal covers. The hash is a chain: it begins with the list of
tasks, and each note of outcomes is added. So a note costs what it notes, however many tasks there are.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import NamedTuple

Seal = Callable[[str], bytes]  # makes an HMAC of a text, under the pepper
Noted = tuple[int, str, str | None, str | None]  # place, outcome, code and detail of a refusal


@dataclass(frozen=True, slots=True)
class OperationRecord:
    id: str
    tenant: str
    party: str
    caller: str  # JSON; see access/operations/callers.py
    action: str
    args: str  # JSON
    dry_run: int
    total: int
    trace: str
    created_at: int
    ended_at: int | None = None
    owner: str = ""  # the server that carries it out
    until: int = 0  # others may take it over then
    items_hash: str = ""  # see `hash_of_tasks`
    slices: int = 0  # how many notes of outcomes there are
    done: int = 0  # tasks with this outcome
    refused: int = 0
    seal: bytes = b""
    forged_at: int | None = None  # when a server found that the seal does not fit

    def after(self, noted: Sequence[Noted]) -> OperationRecord:
        """Return the operation with these outcomes; its seal does not fit yet."""
        done = sum(outcome == "done" for _, outcome, *_ in noted)
        return replace(
            self,
            items_hash=hash_after(self.items_hash, noted),
            slices=self.slices + 1,
            done=self.done + done,
            refused=self.refused + len(noted) - done,
        )

    def sealed(self, seal: Seal) -> OperationRecord:
        return replace(self, seal=seal(self._text()))

    def is_genuine(self, seal: Seal) -> bool:
        """Whether a server has written it as it is."""
        return hmac.compare_digest(seal(self._text()), self.seal)

    def _text(self) -> str:
        values = [getattr(self, name) for name in _SEALED]
        return f"operation seal\n{json.dumps(values)}"


_UNSEALED = {"owner", "until", "seal", "forged_at"}  # who carries it out is nothing that is acted on
_SEALED = [field.name for field in fields(OperationRecord) if field.name not in _UNSEALED]


def hash_of_tasks(tasks: Iterable[str]) -> str:
    """Return where the chain of an operation begins."""
    return sha256(json.dumps(list(tasks)).encode()).hexdigest()


def hash_after(before: str, noted: Sequence[Noted]) -> str:
    """Return the hash after a note of outcomes, in order of their places."""
    return sha256(json.dumps([before, sorted(noted)]).encode()).hexdigest()


class ItemRow(NamedTuple):
    """A task of an operation, and what came of it."""

    place: int
    task: str
    outcome: str | None  # done | refused; None: not yet
    code: str | None
    detail: str | None
    slice: int | None  # the note in which the outcome was: 1, 2, 3…


def hash_of_items(rows: Iterable[ItemRow]) -> str:
    """Return the hash that an operation with these rows has; "" if no operation can have them.

    Args:
        rows: in order of their places.
    """
    tasks: list[str] = []
    notes: dict[int, list[Noted]] = {}
    for place, task, outcome, code, detail, number in rows:
        if place != len(tasks) or (outcome is None) != (number is None):
            return ""
        tasks.append(task)
        if number is not None:
            notes.setdefault(number, []).append((place, str(outcome), code, detail))
        elif code is not None or detail is not None:
            return ""
    found = hash_of_tasks(tasks)
    for number in range(1, len(notes) + 1):
        if number not in notes:
            return ""
        found = hash_after(found, notes[number])
    return found
