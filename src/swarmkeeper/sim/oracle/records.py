"""The records of a run, as learned from its commits, and the content of one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import apsw

from swarmkeeper.core.model import (
    ApprovalRecord,
    AttemptRecord,
    BotRecord,
    Event,
    LeaseRecord,
    QueueEntry,
    TaskRecord,
    Work,
)
from swarmkeeper.core.policies.labels import NONE
from swarmkeeper.core.states import Condition
from swarmkeeper.sim.kernel.loop import VirtualLoop
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle.invariants import Violation


@dataclass(slots=True)
class Commit:
    """What one transaction wrote: the last state of each record, and all events."""

    events: list[Event] = field(default_factory=list)
    tasks: dict[str, TaskRecord] = field(default_factory=dict)
    works: dict[str, Work] = field(default_factory=dict)
    granted: dict[str, LeaseRecord] = field(default_factory=dict)  # new leases, by work
    ended: dict[str, LeaseRecord] = field(default_factory=dict)  # removed leases, by lease id
    attempts: list[AttemptRecord] = field(default_factory=list)
    leaves: dict[str, int] = field(default_factory=dict)  # ids of audit records, and how often each was written
    bodies: list[bytes] = field(default_factory=list)  # of those audit records
    ready_before: dict[str, QueueEntry] = field(default_factory=dict)  # removed or replaced entries of the ready queue
    timed: set[tuple[str, str]] = field(default_factory=set)  # timers that were set or removed
    at: int = 0


class Records:
    """The records of a run, by id. `broken` ends the run with the first violation."""

    def __init__(self, loop: VirtualLoop, trace: Trace) -> None:
        self._loop, self._trace = loop, trace
        self.violation: Violation | None = None
        self.policed = False  # whether the policy no-lethal-trifecta is in force
        self.connection: Callable[[], apsw.Connection] | None = None  # to the store, while it is open
        self.tasks: dict[str, TaskRecord] = {}
        self.works: dict[str, Work] = {}
        self.works_of: dict[str, dict[str, str]] = {}  # task -> key -> work
        self.parents: dict[str, dict[str, Condition]] = {}  # child -> parent -> condition of the edge
        self.children: dict[str, list[str]] = {}
        self.votes: dict[str, str] = {}  # item of a round of reviews -> decision of its verdict
        self.leases: dict[str, LeaseRecord] = {}  # by work
        self.attempts: dict[str, AttemptRecord] = {}  # by lease id
        self.holders: dict[str, str] = {}  # lease id -> the bot it was granted to
        self.ended: dict[str, int] = {}  # lease id -> loop time at which its end was committed
        # lease id -> loop time at which its bot last got the directive `continue`
        self.last_heartbeats: dict[str, int] = {}
        self.ready: dict[str, QueueEntry] = {}
        # (queue, tenant, priority) -> work -> waiting entry
        self.queues: dict[tuple[int, str, int], dict[str, QueueEntry]] = {}
        self.timers: dict[tuple[str, str], int] = {}  # (kind, reference) -> due time
        self.approvals: dict[str, ApprovalRecord] = {}
        self.open_questions: dict[str, set[str]] = {}  # work -> its open approvals
        self.jobs: dict[str, set[str]] = {}  # task -> its open jobs
        self.bots: dict[str, BotRecord | None] = {}  # None: deleted
        self.owners: dict[str, str] = {}  # bot -> its owner
        self.names: dict[str, str] = {}  # of bots
        self.by_title: dict[str, str] = {}
        self.acknowledged: dict[str, str] = {}  # title -> task

    def silent(self, lease_id: str) -> int | None:
        """Return the microseconds since the last heartbeat of a lease; None if there was none."""
        last = self.last_heartbeats.get(lease_id)
        return None if last is None else self._loop.now - last

    def may_go_out(self, work: Work, *, along_the_graph: bool) -> bool:
        """Whether the work has a way out, and private data and untrusted text may have flowed into it.

        Args:
            along_the_graph: whether labels are followed here, too, or only those count that are stored with the item.
        """
        of_task = set(self.tasks[work.task].labels)
        own = of_task | {name for name, _ in (work.labels or NONE).own}
        flowed = own | {name for name, *_ in (work.labels or NONE).inflow}
        left, seen = list(self.parents.get(work.id, ())) if along_the_graph else [], set[str]()
        while left:
            before = left.pop()
            if before not in seen:
                seen.add(before)
                flowed |= {name for name, _ in (self.works[before].labels or NONE).own}
                left += self.parents.get(before, ())
        return "egress" in own and {"private", "untrusted"} <= flowed

    def broken(self, invariant: str, entity: str | None, why: str, own_words: str = "") -> None:
        """Record a broken invariant and stop the run. Only the first one is kept. `entity` is an id or a name."""
        if self.violation is None:
            entity = self.named(entity or "-")
            self.violation = Violation(invariant, entity, why, self._loop.now, own_words)
            self._trace("violation", entity, f"{invariant}: {why}")
        self._loop.stop()

    def label(self, work_id: str) -> str:
        work = self.works.get(work_id)
        return work_id if work is None else f"{self.tasks[work.task].title}/{work.key}"

    def title(self, task_id: str | None) -> str:
        task = self.tasks.get(task_id or "")
        return task_id or "-" if task is None else task.title

    def named(self, id_: str) -> str:
        return self.label(id_) if id_ in self.works else self.title(id_)
