"""Guesses which waiting items a claim will ask for, so that they come with the levels of their queues.

A claim asks first at which priorities its queues have items, and then for the first items of the highest. Each question
is a round trip. Most claims ask for the same priority of a queue as the claim before. So a transaction asks for these
items together with the levels. A wrong guess costs little: its items stay locked for others until the transaction ends.

The items and their tasks come with the heads, since they are loaded next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swarmkeeper.core.model import QueueEntry
from swarmkeeper.core.ports import Key
from swarmkeeper.storage import rows

QUEUES_MAX = 4  # of one guess: each number of queues is a statement of its own, and their items are locked
REMEMBERED = 1_000  # queues of tenants


class AskedHeads:
    """What was last asked of each queue. The store keeps it from transaction to transaction."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], tuple[int, int]] = {}

    def note(self, tenant: str, queue: int, priority: int, limit: int) -> None:
        if len(self._last) >= REMEMBERED:
            self._last.clear()
        before, most = self._last.get((tenant, queue), (priority, 0))
        # Claims ask for a few more or fewer each time. One row too few costs a statement, one too many nearly nothing.
        self._last[tenant, queue] = priority, max(limit, most - 1) if before == priority else limit

    def guess(self, tenant: str, queues: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return the queue, priority and limit of what will most likely be asked of these queues; nothing of many."""
        known = [(queue, *self._last[tenant, queue]) for queue in queues if (tenant, queue) in self._last]
        return known if len(known) <= QUEUES_MAX else []


def first_entries(tenant: str, queue: int, priority: int, limit: int) -> tuple[str, Mapping[str, Any]]:
    """Return the statement for the first items of a queue and priority, and its parameters."""
    return "heads_and_items", {
        "tenant": tenant,
        "queue": queue,
        "priority": priority,
        "limit": limit,
        "place": -1,
        "work": "",
    }


_READY_END = len(rows.READY.table.columns)
_WORK_END = _READY_END + len(rows.WORK.table.columns)


class ItemsAhead:
    """The items and tasks that came with the heads of queues in one transaction, until it saves something."""

    def __init__(self) -> None:
        self._rows: dict[Key, rows.Row] = {}

    def put(self, found: Sequence[Any]) -> list[QueueEntry]:
        """Return the queue entries of these rows, and keep what came with them if it is as the locks found it."""
        for row in found:
            if len(row) > _READY_END and row[-1]:
                item, task = row[_READY_END:_WORK_END], row[_WORK_END:-1]
                self._rows["work", item[0]], self._rows["task", task[0]] = item, task
        return [rows.READY.from_row(row[:_READY_END]) for row in found]

    def take(self, needs: Sequence[Key]) -> dict[Key, rows.Row] | None:
        """Return the rows of all of these; None if one is not here."""
        known = self._rows
        return {need: known[need] for need in needs} if needs and known.keys() >= set(needs) else None

    def clear(self) -> None:
        self._rows.clear()


class HeadsAhead:
    """The items that were read ahead in one transaction, until it saves something."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, int], tuple[int, list[QueueEntry]]] = {}

    def put(self, tenant: str, line: tuple[int, int, int], found: list[QueueEntry]) -> None:
        queue, priority, limit = line
        self._found[tenant, queue, priority] = limit, found

    def get(self, tenant: str, queue: int, priority: int, limit: int) -> list[QueueEntry] | None:
        """Return up to `limit` items; None if too few were read, or none."""
        read, found = self._found.get((tenant, queue, priority), (0, []))
        return found[:limit] if limit <= read or len(found) < read else None

    def clear(self) -> None:
        self._found.clear()
