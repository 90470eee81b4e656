"""Locks between replicas: who has a task for the length of a transaction.

Theory. A task and all that belongs to it are changed only by who has the task's lock. Locks are advisory: PostgreSQL
keeps them by number, here the hash of a name, and frees them when the transaction ends, however it ends. (Two names
with one hash only wait for each other.) The first load of a transaction takes all locks that it needs in one statement,
in the order of their names, and waits for them. Later it only asks for locks that are free. So nobody waits while it
has something that another waits for, and no two wait for each other.

A row that was read before its lock was taken may have changed in between: it has to be read again. The statement that
takes the first locks reads the rows, too, as they were when it began. Mostly nothing was committed until it had the
locks, which it sees from snapshots of PostgreSQL; otherwise the rows are read again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swarmkeeper.core.ports import Key
from swarmkeeper.storage.postgres.execution import Execution
from swarmkeeper.storage.rows import Row, to_json

# Kinds of lookups whose key is a task's id, and whose key begins with one.
_TASK_KEYS = frozenset({"task", "graph", "plan_items", "jobs", "messages", "approvals", "newest_record"})
_TASK_FIRST = frozenset({"work_key", "open_works", "held_works", "task_part", "records_of_task", "task_costs"})
# Kinds whose key is, or begins with, the id of a work item; of a lease; of a bot.
_WORK_KEYS = frozenset({"work", "lease", "parents", "late"})
# Kinds whose rows belong to no task, and are written without a version to compare.
_OWN_KEYS = frozenset({"work_rate", "cooldown", "audit_begin", "operation"})
_LEASE_KEYS = frozenset({"lease_id", "attempt"})


def task_lock(task: str) -> str:
    return f"task/{task}"


class Locks:
    """The locks of one transaction."""

    def __init__(self, execution: Execution, budgeted: set[str]) -> None:
        """
        Args:
            budgeted: tenants that are known to have a budget; the store keeps them.
        """
        self._execution = execution
        self._budgeted = budgeted
        self._held: set[str] = set()
        self._asked: set[str] = set()  # those that the first read names itself
        self._busy: set[str] = set()  # that others had when they were asked for
        self._waits = True  # the next call may wait, being the first
        self._task_of: dict[str, str] = {}  # by work item, of those that were loaded
        self.now: int | None = None  # the server's time when the last awaited lock was taken

    def learn(self, work: str, task: str) -> None:
        """Remember to which task an item belongs: that saves a query each time its lock is taken."""
        self._task_of[work] = task

    def account_lock(self, tenant: str) -> str:
        """Return the lock of a tenant's budget, which has no version: from now on, whoever loads the tenant has it."""
        self._budgeted.add(tenant)
        return f"budget/{tenant}"

    def has(self, name: str) -> bool:
        return name in self._held

    def has_task(self, task: str) -> bool:
        return task_lock(task) in self._held

    def first(self, needs: Iterable[Key]) -> tuple[str, Mapping[str, Any]] | None:
        """Return the read that takes all locks for these rows, and waits for them; give its rows to `waited`.

        It may be part of a statement that reads the rows, too. None: there are no locks to take, or it is too late
        to wait for any.
        """
        if not self._waits:
            return None
        self._waits = False
        names, of = self._names_of(needs)
        self._asked = names
        if of:
            return "lock_tasks_and_wait", {"names": to_json(sorted(names)), **of}
        return ("lock_and_wait", {"names": to_json(sorted(names))}) if names else None

    def waited(self, found: Sequence[Row]) -> bool:
        """Note the locks that this read took. Return whether its statement has read what is stored since then."""
        ((locked, self.now, is_same, *_),) = found
        self._held.update(self._asked if locked is None else json.loads(locked))
        return bool(is_same)

    async def take(self, needs: Iterable[Key]) -> set[str]:
        """Take the locks for these rows that are free, and return those that others have."""
        names, of = self._names_of(needs)
        if of:
            names |= {task_lock(row[0]) for row in await self._execution.fetch("tasks_of", **of)}
        return await self.take_free(names)

    def got(self, names: Iterable[str]) -> None:
        """Note locks that another statement took, as far as they were free. As for `take_free`."""
        self._waits = False
        self._held.update(names)

    async def take_free(self, names: Iterable[str]) -> set[str]:
        """Take the locks that are free, and return the others. Ends the time in which a load may wait."""
        self._waits = False
        asked = {name for name in names if name not in self._held}
        wanted = asked - self._busy
        if wanted:
            found = await self._execution.fetch("lock_at_once", names=to_json(sorted(wanted)))
            got = {row[0] for row in found}
            self._held |= got
            self._busy |= wanted - got
        return asked - self._held

    def _names_of(self, needs: Iterable[Key]) -> tuple[set[str], Mapping[str, str]]:
        """Return the names of locks, and of what else the tasks have to be locked, for the statement `tasks_of`."""
        names: set[str] = set()
        of: dict[str, set[str]] = {"works": set(), "leases": set(), "approvals": set(), "bots": set()}
        for kind, key in needs:
            if kind in _TASK_KEYS:
                names.add(task_lock(key))
            elif kind in _TASK_FIRST:
                names.add(task_lock(key[0]))
            elif kind in _WORK_KEYS or kind == "children":
                work = key[0] if kind == "children" else key
                if work in self._task_of:
                    names.add(task_lock(self._task_of[work]))
                else:
                    of["works"].add(work)
            elif kind in _LEASE_KEYS:
                of["leases"].add(key)
            elif kind == "approval":
                of["approvals"].add(key)
            elif kind == "leases_of_bot":
                of["bots"].add(key)
            elif kind == "grants":
                if key[1] is not None:
                    names.add(task_lock(key[1]))
            elif kind == "speakers":
                names.add(task_lock(key[3]))
            else:
                names |= self._names_of_others(kind, key)
        return names, {name: to_json(sorted(keys)) for name, keys in of.items()} if any(of.values()) else {}

    def _names_of_others(self, kind: str, key: Any) -> set[str]:
        """Return the locks of rows that belong to no task."""
        if kind == "claim":  # of all claims of a bot, which share its capacity: nothing else compares how many it has
            return {f"claim/{key[0]}"}
        if kind in ("idempotency", "legal_hold", "secret", "secret_use"):
            return {f"{kind}/{key[0]}/{key[1]}"}
        if kind == "tenant" and key in self._budgeted:
            return {self.account_lock(key)}
        return {f"{kind}/{key}"} if kind in _OWN_KEYS else set()
