"""Which bot may take which work, and which of several comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from swarmkeeper.core.model import Bot, Queue, QueueEntry, Task, Work
from swarmkeeper.core.states import KIND_OF, Kind

MINUTE = 60_000_000
PRIORITY_MAX = 9
SUBTASKS_A_MINUTE = 100  # of one task that go before later tasks, for each minute that these are later


def serves(bot: Bot, queue: Queue, skills: Iterable[str] | None = None) -> bool:
    """Whether this bot may take what stands in that queue.

    Args:
        skills: what the bot asks to use this time; None: all it has.
    """
    if KIND_OF[bot.type] is not queue.kind:
        return False
    if queue.assign_to is not None and queue.assign_to != bot.name:
        return False
    able = set(bot.skills) if skills is None else set(bot.skills).intersection(skills)
    if not able.issuperset(queue.skills):
        return False
    return not bot.dedicated or bool(queue.skills)


def place_of(task: Task, work: Work) -> int:
    """Where an item stands among those of its queue and priority: in the order in which their tasks were begun, and
    within one in the order of the plan.

    The first subtasks of a task count from when its plan was accepted, the next as many from a minute later, and so on:
    a task of ten thousand does not keep one of three, handed in a few minutes later, waiting until all are done.
    """
    return task.position + work.ordinal + work.ordinal // SUBTASKS_A_MINUTE * MINUTE


def aged(priority: int, since: int, now: int) -> int:
    """What a priority counts for where something of it has waited since then: one more for each minute, up to 9."""
    return min(PRIORITY_MAX, priority + max(0, now - since) // MINUTE)


def choose(items: Sequence[QueueEntry], now: int) -> list[QueueEntry]:
    """In the order in which they are handed out. Among those of one priority, tasks begun earlier come first."""
    oldest: dict[int, int] = {}
    for item in items:
        oldest[item.priority] = min(item.since, oldest.get(item.priority, item.since))
    counts = {priority: (-aged(priority, since, now), since) for priority, since in oldest.items()}
    return sorted(items, key=lambda item: (*counts[item.priority], -item.priority, item.position, item.work))


class QueueBook:
    """All queues there are, by what they stand for. Few, and kept in memory."""

    def __init__(self, queues: tuple[Queue, ...] = ()) -> None:
        self.by_id: dict[int, Queue] = {}
        self.by_meaning: dict[tuple[Kind, tuple[str, ...], str | None], Queue] = {}
        for queue in queues:
            self.add(queue)

    def add(self, queue: Queue) -> None:
        self.by_id[queue.id] = queue
        self.by_meaning[queue.kind, queue.skills, queue.assign_to] = queue

    def remove(self, queue: Queue) -> None:
        self.by_id.pop(queue.id, None)
        self.by_meaning.pop((queue.kind, queue.skills, queue.assign_to), None)

    def find(self, kind: Kind, skills: tuple[str, ...], assign_to: str | None) -> Queue | None:
        return self.by_meaning.get((kind, skills, assign_to))

    def next_id(self) -> int:
        return max(self.by_id, default=0) + 1
