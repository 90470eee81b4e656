"""Rules that match bots with work, and that order the work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256

from swarmkeeper.core.model import BotRecord, Queue, QueueEntry, TaskRecord, Work
from swarmkeeper.core.states import KIND_OF, Kind

MINUTE = 60_000_000
PRIORITY_MAX = 9
SUBTASKS_A_MINUTE = 100  # subtasks of a task that go before a later task, for each minute that it is later


def serves(bot: BotRecord, queue: Queue, skills: Iterable[str] | None = None) -> bool:
    """Whether this bot may take items of that queue.

    Args:
        skills: the skills that the claim names; None: all of the bot's.
    """
    if KIND_OF[bot.type] is not queue.kind:
        return False
    if queue.assign_to is not None and queue.assign_to != bot.name:
        return False
    able = set(bot.skills) if skills is None else set(bot.skills).intersection(skills)
    if not able.issuperset(queue.skills):
        return False
    return not bot.dedicated or bool(queue.skills)


def position_of(task: TaskRecord, work: Work) -> int:
    """Return an item's position within its queue and priority: by start of the tasks, then in the order of the plan.

    The first `SUBTASKS_A_MINUTE` subtasks count from when the plan was accepted, the next ones from a minute later, and
    so on. So a task of ten thousand subtasks does not delay, until all are done, a small task that came a few minutes
    later.
    """
    return task.position + work.ordinal + work.ordinal // SUBTASKS_A_MINUTE * MINUTE


def aged(priority: int, since: int, now: int) -> int:
    """Return the value of a priority whose oldest item has waited since then: one more for each minute, up to 9."""
    return min(PRIORITY_MAX, priority + max(0, now - since) // MINUTE)


def choose(items: Sequence[QueueEntry], now: int) -> list[QueueEntry]:
    """Return the items in the order in which they are leased. Within a priority, tasks started earlier come first."""
    oldest: dict[int, int] = {}
    for item in items:
        oldest[item.priority] = min(item.since, oldest.get(item.priority, item.since))
    counts = {priority: (-aged(priority, since, now), since) for priority, since in oldest.items()}
    return sorted(items, key=lambda item: (*counts[item.priority], -item.priority, item.position, item.work))


class QueueIdTaken(Exception):
    """Two queues of different meaning have one id: going on would mix their items."""

    def __init__(self, queue: Queue, other: object) -> None:
        super().__init__(f"queue id {queue.id} means {other}, and cannot also mean {queue}")


def queue_id(kind: Kind, skills: Sequence[str], assign_to: str | None) -> int:
    """Return the id of a new queue, which depends only on its meaning: two servers give one queue the same id.

    Stores of earlier versions number their queues from 1; those ids stay.

    Args:
        skills: sorted.
    """
    meaning = json.dumps([kind, list(skills), assign_to], separators=(",", ":"))
    return int.from_bytes(sha256(meaning.encode()).digest()[:7]) >> 3  # 53 bits: exact in every JSON reader


class QueueBook:
    """All queues, by id and by meaning. They are few, and kept in memory."""

    def __init__(self, queues: tuple[Queue, ...] = ()) -> None:
        self.by_id: dict[int, Queue] = {}
        self.by_meaning: dict[tuple[Kind, tuple[str, ...], str | None], Queue] = {}
        for queue in queues:
            self.add(queue)

    def add(self, queue: Queue) -> None:
        """Add a queue of the store.

        Raises:
            QueueIdTaken: the id means another queue.
        """
        known = self.by_id.setdefault(queue.id, queue)
        if known != queue:
            raise QueueIdTaken(queue, known)
        self.by_meaning[queue.kind, queue.skills, queue.assign_to] = queue

    def remove(self, queue: Queue) -> None:
        self.by_id.pop(queue.id, None)
        self.by_meaning.pop((queue.kind, queue.skills, queue.assign_to), None)

    def find(self, kind: Kind, skills: tuple[str, ...], assign_to: str | None) -> Queue | None:
        return self.by_meaning.get((kind, skills, assign_to))

    def new(self, kind: Kind, skills: tuple[str, ...], assign_to: str | None) -> Queue:
        """Return a queue that is not in the book; the caller adds it.

        Raises:
            QueueIdTaken: its id means another queue.
        """
        queue = Queue(queue_id(kind, skills, assign_to), kind, skills, assign_to)
        if queue.id in self.by_id:
            raise QueueIdTaken(queue, self.by_id[queue.id])
        return queue
