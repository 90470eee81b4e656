"""Routes for tasks: submit a batch, list, inspect and control. Submitting and reading one task are in hot.py."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Depends, Query
from starlette.responses import Response

from swarmkeeper.core import commands, errors
from swarmkeeper.core.errors import Overloaded, SwarmkeeperError
from swarmkeeper.core.model import Json as JsonValue
from swarmkeeper.engine.loop import Replayed
from swarmkeeper.govern.access import Action
from swarmkeeper.http.dependencies import (
    BodyOf,
    Call,
    CurrentCall,
    Idempotency,
    IfMatch,
    LastEventId,
    Permission,
    Subtask,
    TaskId,
    replay_header,
)
from swarmkeeper.http.errors import problem, status_of
from swarmkeeper.http.intake import content
from swarmkeeper.http.openapi import Responses, refuses, returns
from swarmkeeper.http.queries import EventsQuery, OutputQuery, PageQuery, TasksQuery
from swarmkeeper.http.responses import Json, encode
from swarmkeeper.http.routers import sse
from swarmkeeper.http.routers.task_views import ETAG, changed_task, versions
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.reads.reading_thread import Reads
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros_or_none

Found = TypeVar("Found")

router = APIRouter(tags=["tasks"], route_class=StrictRoute)

# Microseconds between reads of a plan that is still being written: 10,000 subtasks take a second or two.
_PAUSES = (20_000, 50_000, 100_000, *(200_000,) * 24)
AT_ONCE = 128  # tasks submitted to the engine at once; one engine batch takes as many


# ---- submitting ----------------------------------------------------------------------------------------------------


@router.post("/tasks:batch", dependencies=[Depends(Permission(Action.TASK_SUBMIT))], response_model=v1.TaskBatchAnswer)
async def submit_tasks(
    asked: Annotated[list[commands.Submit | SwarmkeeperError], Depends(BodyOf(v1.TaskBatch, content.submits))],
    call: CurrentCall,
    idempotency: Idempotency,
) -> Response:
    """Submit up to 500 tasks. Each is accepted or refused on its own."""
    call.services.quotas.submissions.take(call.by, len(asked))
    submits = [task for task in asked if isinstance(task, commands.Submit)]
    answered: list[str | Replayed | SwarmkeeperError] = []
    for begin in range(0, len(submits), AT_ONCE):  # in parts, so that commands of others are not held up
        answered += await call.services.engine.do_all(submits[begin : begin + AT_ONCE])
    answers = iter(answered)
    results: list[JsonValue] = []
    ids: list[str] = []
    replayed: dict[str, str] = {}
    for submitted in asked:
        answer = next(answers) if isinstance(submitted, commands.Submit) else submitted
        if isinstance(answer, SwarmkeeperError):
            call.refused(answer)
            results.append({"status": status_of(answer), "error": problem(answer, call.request_id, call.base)})
            continue
        replayed |= replay_header(answer)
        ids.append(answer.resource if isinstance(answer, Replayed) else answer)
        results.append(None)

    async def whole(reads: Reads) -> JsonValue:
        tasks = iter([{"status": 201, "task": (await reads.queries.task(call.by, task_id))[0]} for task_id in ids])
        return {"results": [next(tasks) if result is None else result for result in results]}

    paced = call.services.quotas.submissions.headers(call.by)
    return Json(await call.after(lambda: call.read(whole)), 200, {**dict(paced), **replayed})


# ---- reading -------------------------------------------------------------------------------------------------------


@router.get("/tasks", response_model=v1.TaskPage | v1.ListedTaskPage)
async def list_tasks(query: Annotated[TasksQuery, Query()], call: CurrentCall) -> Response:
    """List tasks, without their subtasks and results; or as rows of a table."""
    page = await call.read_shared(
        Action.TASK_READ,
        lambda reads: reads.queries.tasks(
            call.by,
            query.filters(),
            order_by=query.order_by,
            page_size=query.page_size,
            page_token=query.page_token,
            as_rows=query.view == "row",
        ),
    )
    return Json(page)


@router.get("/tasks/{task_id:id}:explain", response_model=v1.Explanation)
async def explain_task(task_id: TaskId, call: CurrentCall) -> Response:
    """Explain why a task is not done yet: the reason for each waiting item, and the command that helps."""
    return Json(await call.read(lambda reads: reads.explainer.explain(call.by, task_id)))


@router.get("/tasks/{task_id:id}/subtasks", response_model=v1.SubTaskPage)
async def list_subtasks(task_id: TaskId, query: Annotated[PageQuery, Query()], call: CurrentCall) -> Response:
    """List a task's subtasks, in the order of its plan."""

    async def page(reads: Reads) -> tuple[bytes, bool]:
        found = await reads.queries.subtasks(call.by, task_id, page_size=query.page_size, page_token=query.page_token)
        return encode(found), bool(found["items"] or not found["next_page_token"])

    for pause in (*_PAUSES, None):
        body, written = await call.services.reading_thread.look(call.by, page)
        if written or pause is None:
            break
        await call.services.clock.sleep(pause)  # callers repeat at once, and would do so too often
    return Json(body)


@router.get("/tasks/{task_id:id}/subtasks/{subtask:subtask}", response_model=v1.SubTaskDetail)
async def get_subtask(task_id: TaskId, subtask: Subtask, call: CurrentCall) -> Response:
    """Read a subtask, by key or id, with its output, verdict and attempts."""
    return Json(await _written(call, lambda: call.read(lambda reads: reads.queries.subtask(call.by, task_id, subtask))))


@router.get("/tasks/{task_id:id}/subtasks/{subtask:subtask}/output")
async def get_output(
    task_id: TaskId, subtask: Subtask, query: Annotated[OutputQuery, Query()], call: CurrentCall
) -> Response:
    """Read a subtask's whole output, of any size."""
    attempt = query.attempt
    output = await _written(
        call, lambda: call.read(lambda reads: reads.queries.output(call.by, task_id, subtask, attempt=attempt))
    )
    return Json(output)


async def _written(call: Call, read: Callable[[], Awaitable[Found]]) -> Found:
    """Repeat a read until the subtask has been written: a long plan is written in parts after its task was accepted.

    Raises:
        Overloaded: the plan is still being written after the last pause.
    """
    for pause in _PAUSES:
        try:
            return await read()
        except Overloaded:
            await call.services.clock.sleep(pause)
    return await read()


@router.get("/tasks/{task_id:id}/graph", response_model=v1.Graph)
async def get_graph(task_id: TaskId, call: CurrentCall) -> Response:
    """Read a task's plan as a graph."""
    return Json(await call.read(lambda reads: reads.queries.graph(call.by, task_id)))


@router.get(
    "/tasks/{task_id:id}/events",
    response_model=v1.EventPage,
    responses={**sse.DESCRIBED, **refuses(errors.CursorTooOld)},
)
async def task_events(
    task_id: TaskId, query: Annotated[EventsQuery, Query()], call: CurrentCall, last: LastEventId = None
) -> Response:
    """Read a task's events, or follow them as a stream, which ends with the task."""
    return await sse.events(call, query, task_id)


# ---- control -------------------------------------------------------------------------------------------------------


@router.patch(
    "/tasks/{task_id:id}",
    response_model=v1.Task,
    responses={**returns(200, "ETag"), **refuses(errors.IllegalTransition, errors.PreconditionFailed)},
)
async def change_task(task_id: TaskId, body: v1.TaskPatch, call: CurrentCall, if_match: IfMatch = None) -> Response:
    """Change a task's priority, labels, deadline or budget; with If-Match, only if the task is unchanged."""
    command = commands.Update(
        by=call.by,
        trace=call.trace,
        task=task_id,
        priority=body.priority,
        labels=body.labels,
        deadline=micros_or_none(body.deadline_seconds),
        if_version=_version_to_match(call),
        budget=None if body.budget is None else body.budget.limits(),
    )
    await call.services.engine.do(command)
    return await changed_task(call, task_id)


def _version_to_match(call: Call) -> int | None:
    """Return the version that If-Match requires: None without a condition, -1 unless it is exactly one known ETag."""
    sent = call.headers.get("if-match")
    if sent is None or sent.strip() == "*":
        return None
    found = versions(sent)
    # No task has version -1, so the precondition fails.
    return min(found) if len(found) == 1 and ETAG.fullmatch(sent.strip()) else -1


OptionalReason = Annotated[v1.Reason, Body(default_factory=v1.Reason)]
_STEERED: Responses = {**returns(200, "ETag"), **refuses(errors.IllegalTransition)}


async def _steer(call: Call, command: commands.OnTask) -> Response:
    """Carry out a command and answer with the resulting task."""
    answer = await call.services.engine.do(command)
    return await changed_task(call, command.task, headers=replay_header(answer))


def _on_task(
    call: Call, task_id: str, body: v1.Reason | v1.Retry, idempotency: tuple[str, str] | None
) -> dict[str, Any]:
    return {
        "by": call.by,
        "idempotency": idempotency,
        "trace": call.trace,
        "task": task_id,
        "reason": body.reason or "",
    }


@router.post("/tasks/{task_id:id}:cancel", response_model=v1.Task, responses=_STEERED)
async def cancel_task(task_id: TaskId, body: OptionalReason, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Cancel a task. Bots that work on it are informed with their next heartbeat."""
    return await _steer(call, commands.Cancel(**_on_task(call, task_id, body, idempotency)))


@router.post("/tasks/{task_id:id}:pause", response_model=v1.Task, responses=_STEERED)
async def pause_task(task_id: TaskId, body: OptionalReason, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Pause a task: lease no more of its work until it is resumed. Leased work continues."""
    return await _steer(call, commands.Pause(**_on_task(call, task_id, body, idempotency)))


@router.post("/tasks/{task_id:id}:resume", response_model=v1.Task, responses=_STEERED)
async def resume_task(task_id: TaskId, body: OptionalReason, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Resume a paused task."""
    return await _steer(call, commands.Resume(**_on_task(call, task_id, body, idempotency)))


@router.post(
    "/tasks/{task_id:id}:retry",
    response_model=v1.Task,
    responses={**returns(200, "ETag"), **refuses(errors.IllegalTransition, errors.StillStopping, errors.Erased)},
)
async def retry_task(
    task_id: TaskId,
    body: Annotated[v1.Retry, Body(default_factory=v1.Retry)],
    call: CurrentCall,
    idempotency: Idempotency,
) -> Response:
    """Retry a failed task from where it stopped."""
    deadline = micros_or_none(body.deadline_seconds)
    budget = None if body.budget is None else body.budget.limits()
    asked = _on_task(call, task_id, body, idempotency)
    return await _steer(call, commands.RetryFailedTask(**asked, deadline=deadline, budget=budget))


@router.post("/tasks/{task_id:id}:archive", response_model=v1.Task, responses=_STEERED)
async def archive_task(task_id: TaskId, body: OptionalReason, call: CurrentCall, idempotency: Idempotency) -> Response:
    """Archive a failed task for good."""
    return await _steer(call, commands.Archive(**_on_task(call, task_id, body, idempotency)))
