"""Reading what a batch has loaded. Decisions never load: a row that is missing is asked for."""

from __future__ import annotations

from collections.abc import Iterable

from swarmkeeper.core import lookups
from swarmkeeper.core.decide.undo_log import UndoLog
from swarmkeeper.core.errors import ResourceNotFound
from swarmkeeper.core.lookups import K, Lookup, V
from swarmkeeper.core.model import TaskRecord, Work
from swarmkeeper.core.ports import Key


class NotLoaded(Exception):
    """The command cannot be decided without more rows."""

    def __init__(self, *needs: Key) -> None:
        super().__init__(needs)
        self.needs = needs


class LoadedRows(UndoLog):
    def get(self, lookup: Lookup[K, V], key: K) -> V:
        """Return the value of a lookup for a key.

        Raises:
            NotLoaded: it is not loaded yet.
        """
        try:
            found: V = self.rows[lookup, key]
        except KeyError:
            raise NotLoaded((lookup, key)) from None
        return found

    def get_many(self, lookup: Lookup[K, V], keys: Iterable[K]) -> list[V]:
        """Return the values for several keys, in their order.

        Raises:
            NotLoaded: with all missing rows, so that they are loaded in one round.
        """
        needs = [(lookup, key) for key in keys]
        missing = [want for want in needs if want not in self.rows]
        if missing:
            raise NotLoaded(*missing)
        return [self.rows[want] for want in needs]

    def known(self, lookup: Lookup[K, V], key: K) -> V | None:
        """Return the value for a key, or None if it is not loaded."""
        return self.rows.get((lookup, key))

    def task(self, task_id: str, tenant: str | None = None) -> TaskRecord:
        task: TaskRecord | None = self.rows.get((lookups.TASK, task_id)) or self.get(lookups.TASK, task_id)
        if task is None or (tenant is not None and task.tenant != tenant):
            raise ResourceNotFound("no such task")
        return task

    def work(self, work_id: str) -> Work:
        work: Work | None = self.rows.get((lookups.WORK, work_id)) or self.get(lookups.WORK, work_id)
        assert work is not None, "a referenced work item must exist"
        return work
