"""Makes all that follows from other rows anew, in slices: counts and sums week by week, then labels and words, then
what is left of tasks that there are no more. Each slice is a transaction that notes how far it came, so that a process
may die between any two, and work may go on between them. Generators of statements, as in retention.py. PostgreSQL has
slices of its own for counts and for what is left: see in_postgres.py.

`words_begin`, `words_of` and `words_end` are steps of the store's own: it keeps the words of titles in its way.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

from swarmkeeper.core.tallies.records import WEEK
from swarmkeeper.storage.derived import spans

Steps = Generator[tuple[str, Mapping[str, Any]], list[Any], bool]

TASKS = 2_000  # of a slice of labels and words
WRONG = 500  # labels that are removed at once
_BEFORE = -(2**62)
FIRST = "", _BEFORE  # tenant and time before all tasks
FIRST_WEEK = _BEFORE // WEEK
_OF_WEEKS = ("rebuild_drop_task_counts", "rebuild_drop_label_counts", "rebuild_drop_costs")
_SWEEPS = ("rebuild_sweep_task_counts", "rebuild_sweep_label_counts", "rebuild_sweep_costs")


def begin() -> Steps:
    """Begin to make everything anew, also if that is under way."""
    yield "rebuild_ends", {}
    yield "rebuild_begin", {}
    return True


def one_slice() -> Steps:
    """Make the next slice anew; return whether there are more. Run each in a transaction of its own."""
    begun = yield "rebuild_begun", {}
    if not begun:
        return False
    if len(begun) > 1:  # the clock was set back meanwhile
        return (yield from begin())
    step, tenant, place, task = begun[0]
    if step in ("begin", "week"):
        if step == "begin":
            yield "rebuild_forget_folded", {}
            yield "rebuild_forget_spans", {}
        at = _BEFORE if step == "begin" else (place + 1) * WEEK
        found = yield "rebuild_next", {"tenant": tenant, "at": at}
        if found:
            tenant, week = found[0]
            yield from _week(tenant, week)
            yield goes_on("week", tenant, week)
        else:
            yield "words_begin", {}
            yield goes_on("task", *FIRST)
        return True
    if step in ("task", "label"):  # the latter for labels alone
        found = yield "rebuild_next_tasks", {"tenant": tenant, "place": place, "task": task, "n": TASKS}
        if found:
            ids = json.dumps([row[0] for row in found])
            yield "rebuild_labels", {"ids": ids}
            if step == "task":
                yield "words_of", {"ids": ids}
            last, tenant, place = found[-1]
            yield goes_on(step, tenant, place, last)
        if len(found) < TASKS:  # later ones have their labels and words already
            yield goes_on("sweep", "", 0)
        return True
    if step == "span":
        return (yield from _spans(tenant))
    for statement in _SWEEPS:
        yield statement, {}
    wrong = yield "rebuild_wrong_labels", {"n": WRONG}
    for row in wrong:
        yield "remove_label", dict(zip(("tenant", "label", "created_at", "task"), row, strict=True))
    if len(wrong) == WRONG:
        return True
    yield "words_end", {}
    yield goes_on("span", "", 0)
    return True


def _spans(tenant: str) -> Steps:
    """Fold a day of this tenant's costs; or go on to the next tenant."""
    ((last,),) = yield "last_day_of_costs", {"tenant": tenant}
    if last is not None and (yield from spans.one_day(tenant, last)) < last:
        return True
    ((following,),) = yield "next_tenant_with_costs", {"tenant": tenant}
    if following is not None:
        yield goes_on("span", following, 0)
        return True
    yield "rebuild_ends", {}
    return False


def _week(tenant: str, week: int) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    for statement in _OF_WEEKS:
        yield statement, {"tenant": tenant, "week": week}
    of_week = {"tenant": tenant, "week": week, "first": week * WEEK, "past": (week + 1) * WEEK}
    for statement in ("rebuild_task_counts", "rebuild_label_counts", "rebuild_costs"):
        yield statement, of_week


def goes_on(step: str, tenant: str, place: int, task: str = "") -> tuple[str, Mapping[str, Any]]:
    return "rebuild_goes_on", {"step": step, "tenant": tenant, "place": place, "task": task}
