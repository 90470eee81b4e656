"""Reads approvals. The engine decides them; this module changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Invalid, PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import ApprovalRow, fetch
from swarmkeeper.core.ports import ReadsOnly, Rules
from swarmkeeper.reads import views
from swarmkeeper.reads.insight.insight_reads import (
    APPROVAL_NAMES,
    APPROVALS_BY_ID,
    OPEN_APPROVALS_COUNT,
    OPEN_APPROVALS_PAGE,
)
from swarmkeeper.reads.queries import PAGE_SIZE, PAGE_SIZE_MAX
from swarmkeeper.reads.tasks.lists import PAGE_BYTES_MAX
from swarmkeeper.reads.views import Inline, View

OPEN_MAX = 10_000  # open approvals that are counted


class ApprovalQueries:
    """Reads approvals of a tenant, or of one task. For the latter, permission to read tasks is enough."""

    def __init__(self, store: ReadsOnly, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    async def approval(self, principal: Principal, approval_id: str) -> View:
        """Return one approval with its whole subject.

        Raises:
            ResourceNotFound: the tenant has no approval with this id.
            PermissionDenied: the role may read neither approvals nor tasks.
        """
        self._require(principal, of_one_task=True)
        found = await fetch(self._store, named_reads.APPROVAL_ROW, tenant=principal.tenant, approval=approval_id)
        if not found or not await self._sees(principal, found[0].task):
            raise ResourceNotFound("no such approval")
        (shown,) = await self._shown(principal, found, None)
        return shown

    async def approvals(
        self,
        principal: Principal,
        *,
        state: str | None = None,
        task_id: str | None = None,
        by_expiry: bool = False,
        page_size: int = PAGE_SIZE,
        page_token: str = "",
    ) -> View:
        """Return a page of approvals, oldest first; it ends early if it gets large. An unknown task yields none.

        Args:
            by_expiry: the open ones of the tenant, what expires first first; takes no other filter.
        """
        self._require(principal, of_one_task=task_id is not None)
        if by_expiry:
            page = await self._open_by_expiry(principal, page_size, page_token)
        else:
            page = await self._by_id(principal, state, task_id, page_size, page_token)
        if not self._rules.may(principal, "approval.read"):
            return {**page, "open": None, "open_at_least": False}
        (counted,) = await fetch(self._store, OPEN_APPROVALS_COUNT, tenant=principal.tenant, most=OPEN_MAX + 1)
        return {**page, "open": min(counted.number, OPEN_MAX), "open_at_least": counted.number > OPEN_MAX}

    async def _open_by_expiry(self, principal: Principal, page_size: int, page_token: str) -> View:
        self._check_size(page_size)
        at, last = views.read_token(page_token, int, str) if page_token else (-1, "")
        asked = {"tenant": principal.tenant, "after_at": at, "after_id": last}
        sizes = await fetch(self._store, OPEN_APPROVALS_PAGE, **asked, limit=page_size + 1)
        fitting = _fitting([row.bytes for row in sizes[:page_size]])
        if not fitting:
            return views.page([], "")
        order = {row.id: place for place, row in enumerate(sizes[:fitting])}
        found = await fetch(self._store, APPROVALS_BY_ID, tenant=principal.tenant, ids=json.dumps(list(order)))
        # One that was decided between the two reads is not open any more.
        rows = sorted((row for row in found if row.state == "open"), key=lambda row: order[row.id])
        end = sizes[fitting - 1]
        following = views.token(end.expires_at, end.id) if fitting < len(sizes) else ""
        return views.page(await self._shown(principal, rows, Inline()), following)

    def _check_size(self, page_size: int) -> None:
        if not 1 <= page_size <= PAGE_SIZE_MAX:
            raise Invalid("no such page", details=(("/query/page_size", "range", f"must be 1 to {PAGE_SIZE_MAX}"),))

    async def _by_id(
        self, principal: Principal, state: str | None, task_id: str | None, page_size: int, page_token: str
    ) -> View:
        self._check_size(page_size)
        after = views.read_token(page_token, str)[0] if page_token else ""
        asked: dict[str, Any] = {"tenant": principal.tenant, "state": state, "after": after, "limit": page_size + 1}
        sizes_of, rows_of = named_reads.APPROVALS_BYTES, named_reads.APPROVALS_PAGE
        if task_id is not None:
            asked["task"] = task_id
            sizes_of, rows_of = named_reads.APPROVALS_BYTES_OF_TASK, named_reads.APPROVALS_PAGE_OF_TASK
        if task_id is not None and not await self._sees(principal, task_id):
            return views.page([], "")
        sizes = await fetch(self._store, sizes_of, **asked)
        fitting = _fitting([row.bytes for row in sizes[:page_size]])
        if not fitting:
            return views.page([], "")
        last = sizes[fitting - 1].id
        found = await fetch(self._store, rows_of, **{**asked, "limit": fitting})
        # If an approval was decided between the two reads, one from the next page may have moved in.
        shown = await self._shown(principal, [row for row in found if row.id <= last], Inline())
        return views.page(shown, views.token(last) if fitting < len(sizes) else "")

    async def _shown(self, principal: Principal, rows: Sequence[ApprovalRow], inline: Inline | None) -> list[View]:
        ids = json.dumps([row.id for row in rows])
        names = {row.id: row for row in await fetch(self._store, APPROVAL_NAMES, ids=ids)} if rows else {}
        shown = []
        for row in rows:
            # A task that has just been erased has no title any more.
            of_row = names.get(row.id)
            named = {"task_title": of_row and of_row.title, "asker": row.asked_by if of_row is None else of_row.asker}
            shown.append(_readable(approval(row, inline) | named, self._rules, principal.tenant))
        return shown

    async def _sees(self, principal: Principal, task_id: str) -> bool:
        """Whether the caller may know of the task, if there is one."""
        if not principal.sees_own:
            return True
        rows = await fetch(self._store, named_reads.TASK_ROW, tenant=principal.tenant, task=task_id)
        return bool(rows) and principal.sees(rows[0].party)

    def _require(self, principal: Principal, *, of_one_task: bool) -> None:
        if self._rules.may(principal, "approval.read"):
            return
        # An approval is no more secret than its task.
        if not (of_one_task and self._rules.may(principal, "task.read")):
            raise PermissionDenied(self._rules.why_not(principal, "approval.read"))


def _fitting(sizes: Sequence[int]) -> int:
    """Return how many approvals of these sizes fit into a page: at least one."""
    fitting, room = 0, PAGE_BYTES_MAX
    for size in sizes:
        room -= size
        if fitting and room < 0:
            break
        fitting += 1
    return fitting


def approval(row: ApprovalRow, inline: Inline | None) -> View:
    """Return an approval in wire format. A subject that does not fit into `inline` is replaced by a reference."""
    subject = row.subject or "null"
    size = len(subject.encode())
    whole = inline is None or inline.fits(size)
    digest = hashlib.sha256(subject.encode()).hexdigest()
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "task_id": row.task,
        "work_id": row.work,
        "asked_by": row.asked_by,
        "question": row.question,
        "choices": views.json_of(row.choices),
        "schema": views.json_of(row.schema),
        "subject": views.json_of(subject)
        if whole
        else {"$ref": f"/approvals/{row.id}", "sha256": digest, "bytes": size},
        "subject_hash": row.subject_hash,
        "opened_at": views.time(row.opened_at),
        "expires_at": views.time(row.expires_at),
        "at_expiry": views.json_of(row.at_expiry),
        "step_up": None if row.step_up is None else {"max_age_seconds": row.step_up // 1_000_000},
        "decision": _decision(row),
    }


def _readable(shown: View, rules: Rules, tenant: str) -> View:
    """Redact an approval. A plan is kept whole, because people approve it; redacting a long plan takes a while, so
    approvals are read on the reading thread (reading_thread.py).
    """
    subject = shown["subject"]
    if isinstance(subject, dict) and isinstance(subject.get("subtasks"), list):
        # One subtask at a time, because redaction bounds the size of its input.
        subtasks = [rules.redact(subtask, tenant=tenant).value for subtask in subject["subtasks"]]
        subject = {**subject, "subtasks": subtasks}
    else:
        subject = rules.redact(subject, tenant=tenant).value
    title = shown["task_title"]
    return {
        **shown,
        "subject": subject,
        "question": rules.text(shown["question"], tenant=tenant),
        "task_title": None if title is None else rules.text(title, tenant=tenant),
    }


def _decision(row: ApprovalRow) -> View | None:
    if row.decision is None:
        return None
    decided: dict[str, Any] = views.json_of(row.decision)
    verb, words = decided["verb"], decided.get("reason") or None
    return {
        "verb": verb,
        "by": row.decided_by,
        "person": row.decided_person,
        "person_name": row.decided_name,
        "at": views.time(row.decided_at),
        "comment": words if verb == "approve" else None,
        "reason": words if verb == "reject" else None,
        "answer": decided.get("answer"),
    }
