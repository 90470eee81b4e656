"""The verdicts on a task and its subtasks, those of earlier rounds, too: each review keeps what it came to."""

from __future__ import annotations

import json

from swarmkeeper.core import named_reads
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Rules
from swarmkeeper.reads import views
from swarmkeeper.reads.insight.insight_reads import VERDICTS_PAGE, VerdictRow
from swarmkeeper.reads.insight.timeline import round_of
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.tasks.lists import PAGE_BYTES_MAX
from swarmkeeper.reads.views import View

# A verdict that is longer is shown without its reasons, findings and feedback; `GET …/subtasks/{id}` has the whole.
VERDICT_BYTES_MAX = 1 << 20


async def verdicts(
    queries: Queries,
    rules: Rules,
    principal: Principal,
    task_id: str,
    *,
    subtask: str | None,
    page_size: int,
    page_token: str,
) -> View:
    """Return a page of a task's verdicts, the oldest first; it ends early if it gets large.

    Args:
        subtask: only those on the subtask with this key.

    Raises:
        ResourceNotFound, PermissionDenied: the caller may not read the task.
    """
    queries.check_size(page_size)
    async with queries.moment() as then:
        await then.visible_task(principal, task_id)
        asked = {"task": task_id, "after": then.position(principal, page_token), "subject": subtask}
        found = await fetch(then.reader, VERDICTS_PAGE, limit=page_size + 1, **asked)
        shown: list[VerdictRow] = []
        room = PAGE_BYTES_MAX
        for row in found[:page_size]:
            room -= row.bytes if row.bytes <= VERDICT_BYTES_MAX else 0
            if shown and room < 0:
                break
            shown.append(row)
        wanted = [row.result for row in shown if row.bytes <= VERDICT_BYTES_MAX]
        ids = json.dumps(wanted)
        bodies = {row.id: row.body for row in await fetch(then.reader, named_reads.PAYLOADS, ids=ids)}
        following = then.token_at(principal, shown[-1].seq) if len(shown) < len(found) else ""
    return views.page([_verdict(row, bodies.get(row.result), rules, principal.tenant) for row in shown], following)


def _verdict(row: VerdictRow, body: bytes | None, rules: Rules, tenant: str) -> View:
    said = views.json_of(body) or {}
    # Feedback goes to bots as it was written; people get it redacted, as they got reasons and findings.
    feedback = [
        {"subtask": target["subtask"], "text": rules.text(target["feedback"], tenant=tenant)}
        for target in said.get("targets", ())
        if target.get("feedback")
    ]
    return {
        "work_id": row.id,
        "subject": row.subject,
        "round": round_of(row.key),
        "evaluator": row.evaluator,
        "attempt": row.attempt,
        "at": views.time(row.ended),
        "decision": said.get("decision"),
        "score": said.get("score"),
        "reasons": said.get("reasons", []),
        "findings": said.get("findings", []),
        "feedback": feedback,
        "targets": [target["subtask"] for target in said.get("targets", ())],
        "added": [spec["key"] for spec in said.get("subtasks", ())],
        "complete": body is not None,
    }
