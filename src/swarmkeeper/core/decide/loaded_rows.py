"""Reading what a batch has loaded. Decisions never load: a row that is missing is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from swarmkeeper.core import lookups
from swarmkeeper.core.decide.undo_log import UndoLog
from swarmkeeper.core.errors import IllegalTransition, ResourceNotFound
from swarmkeeper.core.lookups import K, Lookup, V
from swarmkeeper.core.model import Json, TaskRecord, Work
from swarmkeeper.core.ports import Key
from swarmkeeper.core.retention import ERASE, ERASING_ACTIONS


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

    def is_being_erased(self, task: TaskRecord) -> bool:
        return any(job.kind == ERASE for job in self.get(lookups.JOBS, task.id))

    def record(
        self,
        action: str,
        resource: str,
        *,
        task: TaskRecord | None = None,
        body: Json = None,
        own: Mapping[str, Json] | None = None,
    ) -> None:
        """Set the contents of the command's audit record; see `UndoLog.record`.

        Raises:
            IllegalTransition: the task is being erased, so a new record of it would keep its body.
        """
        ended = task is not None and task.outcome is not None  # no other task is erased
        if task is not None and ended and action not in ERASING_ACTIONS and self.is_being_erased(task):
            raise IllegalTransition("the task is being erased: nothing of it changes any more")
        super().record(action, resource, task=task, body=body, own=own)
