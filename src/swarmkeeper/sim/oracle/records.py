"""What is stored, as the commits of a run have shown it, and what one commit wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import apsw

from swarmkeeper.core.model import Approval, Attempt, Bot, Event, Lease, QueueEntry, Task, Work
from swarmkeeper.core.states import Condition
from swarmkeeper.sim.kernel.loop import VirtualLoop
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle.invariants import Violation


@dataclass(slots=True)
class Commit:
    """What one transaction wrote: the last state of each record, and all that was told."""

    events: list[Event] = field(default_factory=list)
    tasks: dict[str, Task] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    granted: dict[str, Lease] = field(default_factory=dict)  # by work: leases that are new
    ended: dict[str, Lease] = field(default_factory=dict)  # by lease id: leases that were there before
    attempts: list[Attempt] = field(default_factory=list)
    leaves: dict[str, int] = field(default_factory=dict)  # ids of audit records, and how often they are there
    bodies: list[bytes] = field(default_factory=list)  # of those records
    ready_before: dict[str, QueueEntry] = field(default_factory=dict)  # that were taken out
    timed: set[tuple[str, str]] = field(default_factory=set)  # timers that were set or taken away
    at: int = 0


class Records:
    """The records of a run, by id. `broken` ends the run with the first thing that does not hold."""

    def __init__(self, loop: VirtualLoop, trace: Trace) -> None:
        self._loop, self._trace = loop, trace
        self.violation: Violation | None = None
        self.connection: Callable[[], apsw.Connection] | None = None  # to the store, where it is open
        self.tasks: dict[str, Task] = {}
        self.works: dict[str, Work] = {}
        self.works_of: dict[str, dict[str, str]] = {}  # task -> key -> work
        self.parents: dict[str, dict[str, Condition]] = {}  # child -> parents, and what they must come to
        self.children: dict[str, list[str]] = {}
        self.votes: dict[str, str] = {}  # item of a round of reviews -> what its verdict decides
        self.leases: dict[str, Lease] = {}  # by work
        self.attempts: dict[str, Attempt] = {}  # by lease id
        self.holders: dict[str, str] = {}  # lease id -> the bot it was granted to
        self.ended: dict[str, int] = {}  # lease id -> when its end was committed, of the loop's time
        self.heard: dict[str, int] = {}  # lease id -> when its bot was last told to go on, of the loop's time
        self.ready: dict[str, QueueEntry] = {}
        self.lines: dict[
            tuple[int, str, int], dict[str, QueueEntry]
        ] = {}  # (queue, tenant, priority) -> what waits there
        self.timers: dict[tuple[str, str], int] = {}  # (kind, what it is of) -> when it is due
        self.approvals: dict[str, Approval] = {}
        self.asked: dict[str, set[str]] = {}  # work -> its open questions
        self.jobs: dict[str, set[str]] = {}  # task -> its open jobs
        self.bots: dict[str, Bot | None] = {}  # None: deleted
        self.owners: dict[str, str] = {}  # bot -> whose it is
        self.names: dict[str, str] = {}  # of bots
        self.by_title: dict[str, str] = {}
        self.acknowledged: dict[str, str] = {}  # title -> task

    def silent(self, lease_id: str) -> int | None:
        """For how long nothing was heard of a lease; None: it was never beaten for."""
        heard = self.heard.get(lease_id)
        return None if heard is None else self._loop.now - heard

    def broken(self, invariant: str, entity: str, why: str, own_words: str = "") -> None:
        """An invariant does not hold: the run ends with the first one."""
        if self.violation is None:
            self.violation = Violation(invariant, entity, why, self._loop.now, own_words)
            self._trace("violation", entity, f"{invariant}: {why}")
        self._loop.stop()

    def label(self, work_id: str) -> str:
        work = self.works.get(work_id)
        return work_id if work is None else f"{self.tasks[work.task].title}/{work.key}"

    def title(self, task_id: str | None) -> str:
        task = self.tasks.get(task_id or "")
        return task_id or "-" if task is None else task.title

    def named(self, one: str) -> str:
        return self.label(one) if one in self.works else self.title(one)
