"""Operations on many tasks: which tasks they are, and what has come of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from swarmkeeper.core.errors import Invalid, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.operations.commands import ITEMS_MAX
from swarmkeeper.core.operations.reads import (
    OPERATION_ITEMS_PAGE,
    OPERATION_ROW,
    OPERATIONS_OF_PARTY_PAGE,
    OPERATIONS_PAGE,
)
from swarmkeeper.core.operations.records import OperationRecord
from swarmkeeper.reads import views
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.reading_thread import ReadingThread, Reads
from swarmkeeper.reads.tasks.filters import TaskFilter
from swarmkeeper.reads.views import View

_BEGIN = (2**62, "\U0010ffff")


async def selected(thread: ReadingThread, by: Principal, filters: TaskFilter) -> tuple[str, ...]:
    """Return the ids of the caller's tasks that fit now, the newest first.

    Raises:
        Invalid: there are too many.
    """
    found: list[str] = []
    token = ""
    while True:
        page, token = await thread.look(by, partial(_some, by, filters, token))
        found += page
        if len(found) > ITEMS_MAX:
            where = ("/filter", "too_many", f"must select at most {ITEMS_MAX} tasks")
            raise Invalid("the filter selects too many tasks: narrow it", details=(where,))
        if not token:
            return tuple(found)


async def _some(by: Principal, filters: TaskFilter, token: str, reads: Reads) -> tuple[list[str], str]:
    return await reads.queries.task_lists.ids(by, filters, token)


async def operation(
    queries: Queries, principal: Principal, operation_id: str, *, outcome: str | None, page_size: int, page_token: str
) -> View:
    """Return an operation with a page of its tasks.

    Raises:
        PermissionDenied: the role may not read tasks.
        ResourceNotFound: the tenant has no such operation, or it is another's and the caller sees only its own.
    """
    queries.check_size(page_size)
    queries.require(principal, "task.read")
    after = views.read_token(page_token, int)[0] if page_token else -1
    async with queries.moment() as then:
        rows = await fetch(then.reader, OPERATION_ROW, tenant=principal.tenant, operation=operation_id)
        if not rows or not principal.sees(rows[0].party):
            raise ResourceNotFound("no such operation")
        found = await fetch(
            then.reader, OPERATION_ITEMS_PAGE, operation=operation_id, after=after, outcome=outcome, limit=page_size + 1
        )
    row, items = rows[0], found[:page_size]
    following = views.token(items[-1].place) if len(found) > page_size else ""
    shown = [
        {"task_id": item.task, "outcome": item.outcome, "code": item.code, "detail": item.detail} for item in items
    ]
    return {**views.page(shown, following), **_shown(row)}


async def operations(queries: Queries, principal: Principal, *, page_size: int, page_token: str) -> View:
    """Return a page of the operations that the caller may see, the newest first.

    Raises:
        PermissionDenied: the role may not read tasks.
    """
    queries.check_size(page_size)
    queries.require(principal, "task.read")
    before_at, before_id = views.read_token(page_token, int, str) if page_token else _BEGIN
    asked: dict[str, Any] = {"tenant": principal.tenant, "before_at": before_at, "before_id": before_id}
    asked["limit"] = page_size + 1
    if principal.sees_own:
        found = await fetch(queries.reader, OPERATIONS_OF_PARTY_PAGE, **asked, party=principal.party)
    else:
        found = await fetch(queries.reader, OPERATIONS_PAGE, **asked)
    page = found[:page_size]
    following = views.token(page[-1].created_at, page[-1].id) if len(found) > page_size else ""
    return views.page([_shown(row) for row in page], following)


def _shown(row: OperationRecord) -> View:
    return {
        "id": row.id,
        "action": row.action,
        "dry_run": bool(row.dry_run),
        "state": _state(row),
        "progress": {
            "total": row.total,
            "done": row.done,
            "refused": row.refused,
            "left": row.total - row.done - row.refused,
        },
        "created_at": views.time(row.created_at),
        "ended_at": views.time(row.ended_at),
    }


def _state(row: OperationRecord) -> str:
    if row.forged_at is not None:
        return "forged"
    return "running" if row.ended_at is None else "ended"
