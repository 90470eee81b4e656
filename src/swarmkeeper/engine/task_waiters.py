"""Whoever waits for a task is woken by the commit that changes it, and told what it has come to: nobody asks the store
for that. Permission to wait is the caller's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from swarmkeeper.core.model import Task


class Wait:
    """One waiter, until a task is final, or is at another version than the known ones. `over` is done by then, and
    when the orchestrator stops.
    """

    __slots__ = ("_known", "over")

    def __init__(self, known: frozenset[int] | None) -> None:
        self._known = known
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def enough(self, version: int, *, final: bool) -> bool:
        return final if self._known is None else version not in self._known

    def told(self, task: Task) -> None:
        if self.enough(task.version, final=task.outcome is not None):
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
        """Wait for a task: for its outcome, or where versions are known for another one. Look at it after this began,
        since what came before is not told.
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

    def committed(self, tasks: Mapping[str, Task]) -> None:
        if not self._of:
            return
        for task_id, task in tasks.items():
            for wait in self._of.get(task_id, {}).values():
                wait.told(task)

    def stop(self) -> None:
        """Nothing more will come: whoever waits hears it now."""
        self._stopped = True
        for of_task in self._of.values():
            for wait in of_task.values():
                wait.end()
