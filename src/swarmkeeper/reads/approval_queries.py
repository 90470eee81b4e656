"""Reads approvals. The engine decides them; this module changes nothing."""

from __future__ import annotations

import hashlib
from typing import Any

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Invalid, PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import ApprovalRow, fetch
from swarmkeeper.core.ports import ReadsOnly, Rules
from swarmkeeper.reads import views
from swarmkeeper.reads.queries import PAGE_SIZE, PAGE_SIZE_MAX
from swarmkeeper.reads.tasks.lists import PAGE_BYTES_MAX
from swarmkeeper.reads.views import Inline, View


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
        return _readable(approval(found[0], None), self._rules, principal.tenant)

    async def approvals(
        self,
        principal: Principal,
        *,
        state: str | None = None,
        task_id: str | None = None,
        page_size: int = PAGE_SIZE,
        page_token: str = "",
    ) -> View:
        """Return a page of approvals, oldest first; it ends early if it gets large. An unknown task yields none."""
        self._require(principal, of_one_task=task_id is not None)
        if not 1 <= page_size <= PAGE_SIZE_MAX:
            raise Invalid("no such page", details=(("/query/page_size", "range", f"must be 1 to {PAGE_SIZE_MAX}"),))
        after = views.read_token(page_token, str)[0] if page_token else ""
        asked: dict[str, Any] = {"tenant": principal.tenant, "state": state, "after": after, "limit": page_size + 1}
        sizes_of, rows_of = named_reads.APPROVALS_BYTES, named_reads.APPROVALS_PAGE
        if task_id is not None:
            asked["task"] = task_id
            sizes_of, rows_of = named_reads.APPROVALS_BYTES_OF_TASK, named_reads.APPROVALS_PAGE_OF_TASK
        if task_id is not None and not await self._sees(principal, task_id):
            return views.page([], "")
        sizes = await fetch(self._store, sizes_of, **asked)
        fitting, room = 0, PAGE_BYTES_MAX
        for row in sizes[:page_size]:
            room -= row.bytes
            if fitting and room < 0:
                break
            fitting += 1
        if not fitting:
            return views.page([], "")
        last = sizes[fitting - 1].id
        found = await fetch(self._store, rows_of, **{**asked, "limit": fitting})
        inline = Inline()
        # If an approval was decided between the two reads, one from the next page may have moved in.
        shown = [approval(row, inline) for row in found if row.id <= last]
        readable = [_readable(view, self._rules, principal.tenant) for view in shown]
        return views.page(readable, views.token(last) if fitting < len(sizes) else "")

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
    return {**shown, "subject": subject, "question": rules.text(shown["question"], tenant=tenant)}


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
