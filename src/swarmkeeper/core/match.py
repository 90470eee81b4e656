"""Which bot may take which work, and which of several comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from swarmkeeper.core.model import Bot, Queue, Ready
from swarmkeeper.core.states import KIND_OF, Kind

MINUTE = 60_000_000
PRIORITY_MAX = 9


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


def rank(item: Ready, now: int) -> tuple[int, int, str]:
    """Sort key: smaller comes first. One priority higher for each minute of waiting, up to the highest.

    `place` is the moment at which the item joined its queue, so its age is the distance to it.
    """
    aged = min(PRIORITY_MAX, item.priority + max(0, now - item.place) // MINUTE)
    return (-aged, item.place, item.work)


def choose(heads: Sequence[Ready], now: int) -> list[Ready]:
    return sorted(heads, key=lambda item: rank(item, now))


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
