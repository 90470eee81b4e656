"""Routes for bots' questions and approvals: ask, list, approve, reject, answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.core.decide.effects import questions
from swarmkeeper.http.dependencies import ApprovalId, Call, CurrentCall, Idempotency, LeaseId, replay_header
from swarmkeeper.http.openapi import refuses
from swarmkeeper.http.queries import ApprovalsQuery
from swarmkeeper.http.responses import Json
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros, micros_or_none

router = APIRouter(tags=["people"], route_class=StrictRoute)


@router.post(
    "/leases/{lease_id:id}:ask", response_model=v1.AskAnswer, responses=refuses(errors.LeaseLost, errors.TaskClosed)
)
async def ask(lease_id: LeaseId, body: v1.Ask, call: CurrentCall) -> Response:
    """Ask a person about a work item. This ends the lease; the answer comes with the item's next lease.

    A repeated call for the same lease gets the same answer.
    """
    asked = commands.AskQuestion(
        by=call.by,
        lease_id=lease_id,
        question=body.question,
        choices=tuple(body.choices),
        schema=body.schema_,
        expires=micros_or_none(body.expires_in_seconds),
        default=body.default_answer,
        remind=micros_or_none(body.remind_after_seconds),
        escalate=micros_or_none(body.escalate_after_seconds),
        step_up=None if body.step_up is None else micros(body.step_up.max_age_seconds),
        progress=None if body.progress is None else body.progress.record(),
        trace=call.trace,
    )
    command = await call.run_long(lambda: questions.readable(asked, call.services.rules))
    return Json({"approval_id": await call.services.engine.do(command)})


@router.get("/approvals", response_model=v1.ApprovalPage)
async def list_approvals(query: Annotated[ApprovalsQuery, Query()], call: CurrentCall) -> Response:
    """List approvals, open and decided, and count those that are open."""
    page = await call.read(
        lambda reads: reads.approval_queries.approvals(
            call.by,
            state=query.state,
            task_id=query.task_id,
            by_expiry=query.order == "expires",
            page_size=query.page_size,
            page_token=query.page_token,
        )
    )
    return Json(page)


@router.get("/approvals/{approval_id:id}", response_model=v1.Approval)
async def get_approval(approval_id: ApprovalId, call: CurrentCall) -> Response:
    """Read an approval with its whole subject."""
    return Json(await call.read(lambda reads: reads.approval_queries.approval(call.by, approval_id)))


async def _decide(
    call: Call, approval_id: str, verb: str, idempotency: tuple[str, str] | None, **decision: Any
) -> Response:
    command = commands.Decide(
        by=call.by, approval=approval_id, verb=verb, idempotency=idempotency, trace=call.trace, **decision
    )
    answer = await call.services.engine.do(command)
    shown = await call.after(lambda: call.read(lambda reads: reads.approval_queries.approval(call.by, approval_id)))
    return Json(shown, headers=replay_header(answer))


@router.post(
    "/approvals/{approval_id:id}:approve",
    response_model=v1.Approval,
    responses=refuses(errors.AlreadyDecided, errors.StaleApproval, errors.SignInRequired),
)
async def approve_approval(
    approval_id: ApprovalId, body: v1.Approve, call: CurrentCall, idempotency: Idempotency
) -> Response:
    """Approve a plan or a result, if it has not changed since it was read."""
    return await _decide(
        call, approval_id, "approve", idempotency, subject_hash=body.subject_hash, reason=body.comment or ""
    )


@router.post(
    "/approvals/{approval_id:id}:reject",
    response_model=v1.Approval,
    responses=refuses(errors.AlreadyDecided, errors.SignInRequired),
)
async def reject_approval(
    approval_id: ApprovalId, body: v1.Reject, call: CurrentCall, idempotency: Idempotency
) -> Response:
    """Reject: the task fails, or the work item that asked."""
    return await _decide(call, approval_id, "reject", idempotency, reason=body.reason)


@router.post(
    "/approvals/{approval_id:id}:answer",
    response_model=v1.Approval,
    responses=refuses(errors.AlreadyDecided, errors.SignInRequired),
)
async def answer_approval(
    approval_id: ApprovalId, body: v1.AnswerQuestion, call: CurrentCall, idempotency: Idempotency
) -> Response:
    """Answer a bot's question, or decide how to go on after the last round."""
    return await _decide(call, approval_id, "answer", idempotency, answer=body.answer)
