"""Bugs that are planted to see the simulator find them: each puts one wrong function in place of a right one, in a test
alone. A bug has a name, the invariants by which it may be found, and within how many seeds it must be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.decide import DECISIONS, progress
from swarmkeeper.core.decide import work as decisions
from swarmkeeper.core.world import World
from swarmkeeper.service.batch import Batch
from swarmkeeper.storage.sqlite import SqliteStore, unit

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    words: str
    plant: Callable[[Patch], None]
    found_by: frozenset[str]  # ids of invariants: whichever sees it first
    seeds: int  # within so many it must be found


BUGS: dict[str, Bug] = {}


def bug(words: str, *, found_by: tuple[str, ...], seeds: int) -> Callable[[Callable[[Patch], None]], Bug]:
    def made(plant: Callable[[Patch], None]) -> Bug:
        name = plant.__name__.replace("_", "-")
        found = BUGS[name] = Bug(name, words, plant, frozenset(found_by), seeds)
        return found

    return made


def _decides(patch: Patch, command: type[commands.Command], function: Callable[[World, Any], Any]) -> None:
    assert isinstance(DECISIONS, dict)
    patch.setitem(DECISIONS, command, function)


@bug(
    "a report under a lease that is over is taken as one under the lease that is there now",
    found_by=("2.fence",),
    seeds=8,
)
def missing_fence(patch: Patch) -> None:
    def report(world: World, command: commands.Report) -> Any:
        attempt = world.look("attempt", command.lease_id)
        if attempt is not None and attempt.result_hash is None:
            current = world.look("lease", attempt.work)
            if current is not None:
                current.bot = command.bot  # nobody asks whose it is
                command = replace(command, lease_id=current.lease_id)
        return decisions.report(world, command)

    _decides(patch, commands.Report, report)


@bug("what waits for an item is told of its end twice", found_by=("4.pending", "8.timer", "5.cause", "rows"), seeds=2)
def double_release(patch: Patch) -> None:
    def settle(world: World, task: Any, work: Any, once: Any = progress.settle) -> None:
        once(world, task, work)
        once(world, task, work)

    patch.setattr(progress, "settle", settle)


@bug("after a restart nobody looks whether leases run out", found_by=("rows", "7.liveness", "8.due"), seeds=8)
def lease_timers_forgotten(patch: Patch) -> None:
    async def grace(self: SqliteStore, now: int, start_floor: int, right: Any = SqliteStore.grace) -> None:
        await right(self, now, start_floor)
        self.connection.execute("DELETE FROM timer WHERE kind = 'lease'")

    patch.setattr(SqliteStore, "grace", grace)


@bug("a submission that comes again makes another task", found_by=("1.one-task",), seeds=8)
def idempotency_lost(patch: Patch) -> None:
    patch.setattr(Batch, "_remember", lambda self, command, value: None)


@bug("of those that wait in a line, the youngest is handed out first", found_by=("9.order",), seeds=4)
def unfair_queue(patch: Patch) -> None:
    right = unit.QUERIES["ready_heads"]
    wrong = right.replace("ORDER BY place, work", "ORDER BY place DESC, work")
    assert wrong != right
    patch.setattr(unit, "QUERIES", {**unit.QUERIES, "ready_heads": wrong})
