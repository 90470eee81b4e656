"""Wake those who wait for a task when a commit changes it, without polling the store. Callers check permissions."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager

from swarmkeeper.core.model import TaskRecord


class Wait:
    """One waiter for a task.

    `over` is done once the task is final or, if versions are known, has another version; also when the server stops.
    """

    __slots__ = ("_known", "over")

    def __init__(self, known: frozenset[int] | None) -> None:
        self._known = known
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def for_outcome(self) -> bool:
        """Whether it waits for the task's outcome alone."""
        return self._known is None

    def enough(self, version: int, *, final: bool) -> bool:
        return final if self._known is None else version not in self._known

    def notify(self, version: int, *, final: bool) -> None:
        if self.enough(version, final=final):
            self.end()

    def end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class TaskWaiters:
    def __init__(self) -> None:
        self._of: dict[str, dict[int, Wait]] = {}
        self._stopped = False

    @contextmanager
    def on(self, task_id: str, known: frozenset[int] | None) -> Iterator[Wait]:
        """Wait for a task's outcome; if versions are known, for another version.

        Read the task inside the block: earlier changes are not reported.
        """
        wait = Wait(known)
        if self._stopped:
            wait.end()
        waiting = self._of.setdefault(task_id, {})
        waiting[id(wait)] = wait
        try:
            yield wait
        finally:
            del waiting[id(wait)]
            if not waiting and self._of.get(task_id) is waiting:
                del self._of[task_id]

    def committed(self, tasks: Mapping[str, TaskRecord]) -> None:
        if not self._of:
            return
        for task_id, task in tasks.items():
            self.changed(task_id, task.version, final=task.outcome is not None)

    def awaited(self, changed: Iterable[str], closed: Container[str]) -> list[str]:
        """Return those of the changed tasks that someone waits for.

        Args:
            closed: those that have got an outcome. For the others, waiters for an outcome need not be told.
        """
        return [
            task_id
            for task_id in changed
            if any(task_id in closed or not wait.for_outcome for wait in self._of.get(task_id, {}).values())
        ]

    def changed(self, task_id: str, version: int, *, final: bool) -> None:
        for wait in self._of.get(task_id, {}).values():
            wait.notify(version, final=final)

    def stop(self) -> None:
        """End all waits: no more commits will come."""
        self._stopped = True
        for of_task in self._of.values():
            for wait in of_task.values():
                wait.end()
