"""Keys that limit how many items run at once, such as `repo:main` with 1.

An item with keys that is READY stands in the line of one of them. As many of each queue's line are *admitted* to the
queue as may run now; the others wait, and a claim never sees them. So a claim costs the same however many wait, and
they keep nothing else in their queue waiting.

    enter: READY ──▸ admitted, if all its keys have room and nobody of its queue waits before it; else it waits
    occupy: an admitted item is leased and counts as running for each of its keys
    vacate: a lease ends, so the first who wait for its keys are admitted
    leave: it stops being READY in another way (cancelled, held, expired)

An item with several keys waits for one that has no room. When its turn comes, and another of its keys has none, it
changes to that line. All counts are in the row of the key, and change in the commit that grants or ends a lease.
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, Protocol

from swarmkeeper.core import lookups
from swarmkeeper.core.lookups import K, Lookup, V
from swarmkeeper.core.model import KeyLimit, TaskRecord, Work
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import Status

TIMER = "line"  # continues with a line whose first items all changed to other lines


class LineHolder(Protocol):
    """What this needs of the working set."""

    now: int
    changes: Changes

    def get(self, lookup: Lookup[K, V], key: K) -> V: ...
    def put(self, mapping: MutableMapping[Any, Any], key: Any, value: Any) -> None: ...
    def put_row(self, lookup: Lookup[K, V], key: K, value: V) -> None: ...
    def edit_work(self, work: Work) -> Work: ...
    def work(self, work_id: str) -> Work: ...
    def task(self, task_id: str) -> TaskRecord: ...
    def is_held(self, task: TaskRecord) -> bool: ...
    def queue_up(self, task: TaskRecord, work: Work) -> None: ...
    def make_ready(self, task: TaskRecord, work: Work) -> None: ...
    def stop_start_clock(self, work: Work) -> None: ...
    def set_timer(self, kind: str, ref: str, due: int | None) -> None: ...


def limit_id(tenant: str, key: str) -> str:
    """Return the id of a tenant's key. Timers name it, and the key is a text of a caller."""
    return f"lim_{sha256(f'{tenant} {key}'.encode()).hexdigest()[:32]}"  # ids of tenants have no blank


def keys_of(work: Work) -> list[tuple[str, int]]:
    """Return the item's keys, with how many items of each may run at once."""
    return [] if work.limits is None else [(key, most) for key, most in json.loads(work.limits)]


def ids_of(work: Work) -> list[str]:
    return [limit_id(work.tenant, key) for key, _ in keys_of(work)]


def enter(working: LineHolder, work: Work) -> bool:
    """Put a READY item into a line; return whether it is admitted to its queue."""
    if work.line is not None:
        return False  # it waits already
    limits = _limits(working, work)
    full = next((limit for limit, most in limits if limit.running >= most), None)
    limit = limits[0][0] if full is None else full
    most = next(most for known, most in limits if known is limit)
    admitted, waiting = _line(limit, work)
    goes = full is None and not waiting and limit.running + admitted < most
    _count(working, limit, work, admitted=goes, waiting=not goes)
    working.edit_work(work).line = limit.id
    return goes


def leave(working: LineHolder, work: Work) -> None:
    """Take an item out of its line, if it stands in one. Call this before its clock to start is stopped."""
    if work.line is None:
        return
    limit = working.get(lookups.KEY_LIMIT, work.line)
    assert limit is not None, "a key exists while an item stands in its line"
    admitted = work.start_due is not None
    working.edit_work(work).line = None
    limit = _count(working, limit, work, admitted=-admitted, waiting=-(not admitted))
    if admitted and work.status is not Status.LEASED:
        _admit(working, limit)


def may_start(working: LineHolder, work: Work) -> bool:
    """Whether all keys of an admitted item have room. If not, it goes back to a line, where no claim sees it."""
    if all(limit.running < most for limit, most in _limits(working, work)):
        return True
    working.stop_start_clock(work)
    working.make_ready(working.task(work.task), work)
    return False


def occupy(working: LineHolder, work: Work) -> None:
    """Count a lease of an item for each of its keys."""
    for limit, _ in _limits(working, work):
        _put(working, replace(limit, running=limit.running + 1))


def vacate(working: LineHolder, work: Work) -> None:
    """Count the end of a lease, and admit those whose turn it is."""
    freed = [_put(working, replace(limit, running=limit.running - 1)) for limit, _ in _limits(working, work)]
    for limit in freed:
        known = working.get(lookups.KEY_LIMIT, limit.id)
        if known is not None:
            _admit(working, known)


def moment_came(working: LineHolder, name: str) -> None:
    """Continue to admit items of a line."""
    working.set_timer(TIMER, name, None)
    limit = working.get(lookups.KEY_LIMIT, name)
    if limit is not None:
        _admit(working, limit)


def _admit(working: LineHolder, limit: KeyLimit) -> None:
    name = limit.id
    for queue in list(limit.lines):
        for work_id in working.get(lookups.KEY_LINE, (name, int(queue))) if limit.lines[queue][1] else ():
            work = working.work(work_id)
            if work.line != name or work.start_due is not None or work.status is not Status.READY:
                continue  # the list is as stored, and this command has moved it
            task = working.task(work.task)
            if not working.is_held(task) and not _has_room(working, name, work):
                break
            _move_on(working, name, task, work)
        else:
            left = working.get(lookups.KEY_LIMIT, name)
            if left is not None and left.lines.get(queue, (0, 0))[1]:
                working.set_timer(TIMER, name, working.now)


def _has_room(working: LineHolder, name: str, work: Work) -> bool:
    """Whether the first of a line may be admitted, as far as the key of this line is concerned."""
    limit = working.get(lookups.KEY_LIMIT, name)
    assert limit is not None, "a key exists while an item stands in its line"
    most = next(most for key, most in keys_of(work) if limit_id(work.tenant, key) == name)
    return limit.running + _line(limit, work)[0] < most


def _move_on(working: LineHolder, name: str, task: TaskRecord, work: Work) -> None:
    """Admit the first item of a line, or have it change to the line of a key without room.

    An item whose task is held leaves the line: it enters one again when the hold ends.
    """
    limit = working.get(lookups.KEY_LIMIT, name)
    assert limit is not None, "a key exists while an item stands in its line"
    working.edit_work(work).line = None
    limits = _limits(working, work)
    full = next((other for other, most in limits if other.running >= most), None)
    held = working.is_held(task)
    if full is not None and not held:
        _count(working, limit, work, waiting=-1)
        _count(working, full, work, waiting=1)
        work.line = full.id
        return
    _count(working, limit, work, admitted=0 if held else 1, waiting=-1)
    if not held:
        work.line = name
        working.queue_up(task, work)


def _limits(working: LineHolder, work: Work) -> list[tuple[KeyLimit, int]]:
    """Return the item's keys, in its own order, each with how many of its items may run at once."""
    found = []
    for key, most in keys_of(work):
        name = limit_id(work.tenant, key)
        found.append((working.get(lookups.KEY_LIMIT, name) or KeyLimit(name, work.tenant, key, 0, {}), most))
    return found


def _line(limit: KeyLimit, work: Work) -> tuple[int, int]:
    admitted, waiting = limit.lines.get(str(work.queue), (0, 0))
    return admitted, waiting


def _count(working: LineHolder, limit: KeyLimit, work: Work, *, admitted: int = 0, waiting: int = 0) -> KeyLimit:
    before = _line(limit, work)
    line = (before[0] + admitted, before[1] + waiting)
    assert min(line) >= 0, "no line is shorter than empty"
    lines = {queue: each for queue, each in limit.lines.items() if queue != str(work.queue)}
    return _put(working, replace(limit, lines=lines | {str(work.queue): line} if any(line) else lines))


def _put(working: LineHolder, limit: KeyLimit) -> KeyLimit:
    working.put_row(lookups.KEY_LIMIT, limit.id, limit)
    working.put(working.changes.key_limits, limit.id, limit)
    return limit
