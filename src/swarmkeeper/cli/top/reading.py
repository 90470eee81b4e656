"""What the screens show, read from the API: a few calls for each, and never whole stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from swarmkeeper.cli.tasks.query_line import Understood, understood
from swarmkeeper.cli.top.words import error_of, now
from swarmkeeper.sdk.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.insight.load import QueueState
    from swarmkeeper.wire.people import Approval
    from swarmkeeper.wire.tables.answers import ListedTask

APPROVALS_MAX, QUEUES_MAX, FAILED_MAX, ROWS_MAX = 100, 500, 200, 500

T = TypeVar("T")


async def some(items: AsyncIterator[T], most: int) -> list[T]:
    """Return the first items of a list."""
    found: list[T] = []
    async for each in items:
        found.append(each)
        if len(found) == most:
            break
    return found


async def _allowed(items: AsyncIterator[T], most: int) -> list[T]:
    """Return the first items of a list; none if the role may not read it."""
    try:
        return await some(items, most)
    except Forbidden:
        return []


@dataclass(slots=True)
class FailedAlike:
    error: str
    tasks: int


@dataclass(slots=True)
class InboxRead:
    approvals: list[Approval] = field(default_factory=list)
    stuck: list[QueueState] = field(default_factory=list)
    failed: list[FailedAlike] = field(default_factory=list)


async def inbox(client: Client) -> InboxRead:
    """Return what needs a person, what nobody does, and what failed within a day, by error."""
    day = now() - timedelta(days=1)
    approvals = await _allowed(client.approvals(order="expires"), APPROVALS_MAX)
    queues = await _allowed(client.queues(), QUEUES_MAX)
    rows = await _allowed(client.task_rows(status="FAILED", created_after=day), FAILED_MAX)
    stuck = [queue for queue in queues if queue.waiting and not queue.bots_asking]
    stuck.sort(key=lambda queue: (queue.bots > 0, -queue.waiting))
    errors = sorted(map(error_of, rows))
    failed = [FailedAlike(error, len(list(alike))) for error, alike in groupby(errors)]
    failed.sort(key=lambda alike: -alike.tasks)
    return InboxRead(approvals, stuck, failed)


@dataclass(slots=True)
class TasksRead:
    line: Understood
    rows: list[ListedTask]
    number: str


async def tasks(client: Client, text: str) -> TasksRead:
    """Return the first tasks of a query line, and how many fit."""
    line = understood(text)
    order: Any = line.order_by
    rows = await some(client.task_rows(**line.matching, order_by=order), ROWS_MAX)
    counted = await client.count_tasks(**line.matching)
    return TasksRead(line, rows, f"{counted.number:,}{'+' if counted.at_least else ''}")


async def task(client: Client, task_id: str) -> Task:
    return await client.get(task_id, explain=True)
