"""The client's calls for lists of tasks, counts and costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel

from swarmkeeper.wire.answers import Page, Task, TaskPage
from swarmkeeper.wire.tables.answers import (
    CostReport,
    LabelTally,
    LabelTallyPage,
    ListedTask,
    ListedTaskPage,
    TaskTally,
)

Item = TypeVar("Item")
Record = TypeVar("Record", bound=BaseModel)
OrderBy = Literal["created_at", "-created_at", "priority"]


class Reading(Protocol):
    """What these calls need of a client."""

    async def _read(self, path: str, model: type[Record], query: Mapping[str, object] | None = None) -> Record: ...

    def _items(
        self, path: str, model: type[Page[Item]], query: Mapping[str, object] | None = None
    ) -> AsyncIterator[Item]: ...


class TableCalls:
    """A part of `swarmkeeper.Client`."""

    def tasks(
        self: Reading,
        *,
        q: str | None = None,
        status: str | Sequence[str] = (),
        outcome: str | Sequence[str] = (),
        label: str | Sequence[str] = (),
        skill: str | Sequence[str] = (),
        error: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        order_by: OrderBy | None = None,
    ) -> AsyncIterator[Task]:
        """Iterate over the tasks with any of the statuses, any of the outcomes and all of the labels (`key:value`).

        Args:
            q: words of the title; the last one may be the beginning of a word.
            skill: that an item of the task needs; all of these.
            error: words in errors of the task's attempts, or the code of its failure.
        """
        asked = _matching(q, status, outcome, (label, skill), error, (created_after, created_before))
        return self._items("/tasks", TaskPage, {**asked, "order_by": order_by})

    def task_rows(
        self: Reading,
        *,
        q: str | None = None,
        status: str | Sequence[str] = (),
        outcome: str | Sequence[str] = (),
        label: str | Sequence[str] = (),
        skill: str | Sequence[str] = (),
        error: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        order_by: OrderBy | None = None,
    ) -> AsyncIterator[ListedTask]:
        """Iterate over the same tasks as rows of a table: without what was sent, with what has happened."""
        asked = _matching(q, status, outcome, (label, skill), error, (created_after, created_before))
        return self._items("/tasks", ListedTaskPage, {**asked, "order_by": order_by, "view": "row"})

    async def count_tasks(
        self: Reading,
        *,
        q: str | None = None,
        status: str | Sequence[str] = (),
        outcome: str | Sequence[str] = (),
        label: str | Sequence[str] = (),
        skill: str | Sequence[str] = (),
        error: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
    ) -> TaskTally:
        """Count tasks: exactly by status and outcome, or by one label; with other filters up to some thousand."""
        asked = _matching(q, status, outcome, (label, skill), error, (created_after, created_before))
        return await self._read("/tasks:count", TaskTally, asked)

    def task_labels(self: Reading, *, key: str | None = None) -> AsyncIterator[LabelTally]:
        """Iterate over the labels that tasks have, in order, with how many tasks have each."""
        return self._items("/tasks:labels", LabelTallyPage, {"key": key})

    async def costs(
        self: Reading,
        by: Literal["day", "bot", "skill", "label"],
        *,
        first: date | str | None = None,
        last: date | str | None = None,
    ) -> CostReport:
        """Return what attempts cost, from the first to the last day; by default in the last 30 days."""
        return await self._read("/costs", CostReport, {"by": by, "from": _day(first), "to": _day(last)})


def _matching(
    q: str | None,
    status: str | Sequence[str],
    outcome: str | Sequence[str],
    listed: tuple[str | Sequence[str], str | Sequence[str]],
    error: str | None,
    created: tuple[datetime | str | None, datetime | str | None],
) -> dict[str, object]:
    return {
        "q": q,
        "status": status,
        "outcome": outcome,
        "label": listed[0],
        "skill": listed[1],
        "error": error,
        "created_after": time_of(created[0]),
        "created_before": time_of(created[1]),
    }


def _day(day: date | str | None) -> str | None:
    return day.isoformat() if isinstance(day, date) else day


def time_of(moment: datetime | str | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
