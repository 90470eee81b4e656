"""What people are asked and what they decide: bots' questions, approvals, and the three verbs that end one."""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import commands, errors
from swarmkeeper.core.decide import asking
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.query import ApprovalsQuery, NoQuery
from swarmkeeper.service.engine import Replayed
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros

calls = Calls("people")

_OF_A_DECISION = (errors.Forbidden, errors.NotFound, errors.AlreadyDecided)


@calls.add(
    "POST",
    "/leases/{lease_id}:ask",
    body=v1.Ask,
    answers={200: v1.AskAnswer},
    refusals=(errors.Forbidden, errors.LeaseLost, errors.TaskClosed),
)
async def ask(x: Exchange[v1.Ask, NoQuery]) -> Reply:
    """Ask a person about a work; it ends the lease, and the answer comes with the work's next one.

    Again on the lease that it ended, it is answered as before.
    """
    body = x.body
    asked = commands.Ask(
        by=x.by,
        lease_id=x.path["lease_id"],
        question=body.question,
        choices=tuple(body.choices),
        schema=body.schema_,
        expires=None if body.expires_in_seconds is None else micros(body.expires_in_seconds),
        progress=None if body.progress is None else body.progress.record(),
        trace=x.trace,
    )
    approval_id = await x.parts.engine.do(await x.aside(lambda: asking.readable(asked, x.parts.rules)))
    return Reply(200, {"approval_id": approval_id})


@calls.add("GET", "/approvals", query=ApprovalsQuery, answers={200: v1.ApprovalPage}, refusals=(errors.Forbidden,))
async def list_approvals(x: Exchange[Any, ApprovalsQuery]) -> Reply:
    """List what people are asked, or were."""
    query = x.query
    page = await x.look(
        lambda reads: reads.people.approvals(
            x.by, state=query.state, task_id=query.task_id, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Reply(200, page)


@calls.add("GET", "/approvals/{approval_id}", answers={200: v1.Approval}, refusals=(errors.Forbidden, errors.NotFound))
async def get_approval(x: Exchange[Any, NoQuery]) -> Reply:
    """Look at what is to be decided, whole."""
    return Reply(200, await x.look(lambda reads: reads.people.approval(x.by, x.path["approval_id"])))


async def _decide(x: Exchange[Any, NoQuery], verb: str, **said: Any) -> Reply:
    command = commands.Decide(
        by=x.by, approval=x.path["approval_id"], verb=verb, idempotency=x.idempotency, trace=x.trace, **said
    )
    answer = await x.parts.engine.do(command)
    headers = (("idempotency-replayed", "true"),) if isinstance(answer, Replayed) else ()
    return Reply(200, await x.after(x.look(lambda reads: reads.people.approval(x.by, command.approval))), headers)


@calls.add(
    "POST",
    "/approvals/{approval_id}:approve",
    body=v1.Approve,
    answers={200: v1.Approval},
    refusals=(*_OF_A_DECISION, errors.StaleApproval),
    idempotent=True,
)
async def approve_approval(x: Exchange[v1.Approve, NoQuery]) -> Reply:
    """Approve a plan or a result, as it was read."""
    return await _decide(x, "approve", subject_hash=x.body.subject_hash, reason=x.body.comment or "")


@calls.add(
    "POST",
    "/approvals/{approval_id}:reject",
    body=v1.Reject,
    answers={200: v1.Approval},
    refusals=_OF_A_DECISION,
    idempotent=True,
)
async def reject_approval(x: Exchange[v1.Reject, NoQuery]) -> Reply:
    """Say no: the task fails, or the work that asked does."""
    return await _decide(x, "reject", reason=x.body.reason)


@calls.add(
    "POST",
    "/approvals/{approval_id}:answer",
    body=v1.AnswerQuestion,
    answers={200: v1.Approval},
    refusals=_OF_A_DECISION,
    idempotent=True,
)
async def answer_approval(x: Exchange[v1.AnswerQuestion, NoQuery]) -> Reply:
    """Answer a bot's question, or say how to go on after the last round."""
    return await _decide(x, "answer", answer=x.body.answer)
