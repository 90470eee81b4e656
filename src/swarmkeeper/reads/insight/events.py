"""Pages of events: in order or the newest first, of all kinds or of some."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from swarmkeeper.core import named_reads
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import EventRow, fetch
from swarmkeeper.reads import views
from swarmkeeper.reads.feed import START, Position
from swarmkeeper.reads.insight import insight_reads
from swarmkeeper.reads.queries import PAGE_SIZE, Queries
from swarmkeeper.reads.views import View

# A filter looks at so many events for one page, so that each page is quick; a page may be short, or empty, although
# more events follow.
LOOKED_AT_MAX = 2_000
_END = 2**62  # after every event


async def events(
    queries: Queries,
    principal: Principal,
    *,
    after: Position = START,
    before: Position = START,
    task_id: str | None = None,
    kinds: Collection[str] = (),
    newest_first: bool = False,
    page_size: int = PAGE_SIZE,
) -> View:
    """Return a page of events between two cursors: of the tenant, or of one task that the caller may read.

    Args:
        kinds: such as task.accepted; empty: all.

    Raises:
        CursorTooOld: the events after the cursor have been deleted.
    """
    queries.check_size(page_size)
    await queries.may_follow(principal, task_id)
    last = await queries.number_after(principal, task_id, before) if before.text else _END
    which: dict[str, Any] = {"after": await queries.number_after(principal, task_id, after)}
    which |= {"tenant": principal.tenant} if task_id is None else {"task": task_id}
    if kinds:
        rows, following = await _of_kinds(queries, which | {"before": last}, kinds, newest_first, page_size)
    else:
        found = await _all(queries, which, last, newest_first, page_size + 1)
        rows = found[:page_size]
        following = rows[-1].seq if len(found) > page_size else 0
    shown = [views.event(row, queries.cursor_of(principal, row.seq)) for row in rows]
    return views.page(shown, queries.cursor_of(principal, following) if following else "")


async def _all(queries: Queries, which: dict[str, Any], before: int, newest_first: bool, limit: int) -> list[EventRow]:
    of_task = "task" in which
    if newest_first:
        read = insight_reads.EVENTS_OF_TASK_NEWEST if of_task else insight_reads.EVENTS_OF_TENANT_NEWEST
        return await fetch(queries.reader, read, **which, before=before, limit=limit)
    read = named_reads.EVENTS_OF_TASK if of_task else named_reads.EVENTS_OF_TENANT
    return await fetch(queries.reader, read, **which, limit=limit)


async def _of_kinds(
    queries: Queries, which: dict[str, Any], kinds: Collection[str], newest_first: bool, page_size: int
) -> tuple[list[EventRow], int]:
    """Return the events of these kinds among the next ones, and the number to go on after; 0 at the end."""
    read = insight_reads.EVENT_KINDS["task" in which, newest_first]
    looked = await fetch(queries.reader, read, **which, limit=LOOKED_AT_MAX)
    fitting = [row.seq for row in looked if row.kind in kinds]
    numbers = fitting[:page_size]
    following = 0
    if len(fitting) > page_size:
        following = numbers[-1]
    elif len(looked) == LOOKED_AT_MAX:
        following = looked[-1].seq
    if not numbers:
        return [], following
    found = await fetch(queries.reader, insight_reads.EVENTS_OF_NUMBERS, numbers=json.dumps(numbers))
    return found[::-1] if newest_first else found, following
