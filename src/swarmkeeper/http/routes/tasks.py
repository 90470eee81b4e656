"""What clients do: submit tasks, look at them, wait for them, steer them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from swarmkeeper.core import commands, errors
from swarmkeeper.core.errors import Invalid, Overloaded, SwarmkeeperError, Unauthenticated
from swarmkeeper.core.model import Json
from swarmkeeper.govern.access import Action
from swarmkeeper.http import content, sse
from swarmkeeper.http.calls import Calls, Exchange, Reply
from swarmkeeper.http.errors import encode, problem, status_of
from swarmkeeper.http.limits import ClientGone
from swarmkeeper.http.query import EventsQuery, NoQuery, OutputQuery, PageQuery, TaskQuery, TasksQuery
from swarmkeeper.service.engine import Replayed
from swarmkeeper.service.looking import Reads
from swarmkeeper.service.queries import TaskFilter
from swarmkeeper.wire import v1
from swarmkeeper.wire.shapes import micros

Told = TypeVar("Told")

calls = Calls("tasks")

_ETAG = re.compile(r'(?:W/)?"(\d{1,18})"')
_OF_A_TASK = (errors.Forbidden, errors.NotFound)
# Between looks for a part of a plan that is still being written: a plan of 10,000 takes a second or two.
_PAUSES = (20_000, 50_000, 100_000, *(200_000,) * 24)
_REPLAYED = ("idempotency-replayed", "true")
# Up to this a task that was just submitted is shown at once, which takes less than a millisecond.
SMALL_BYTES = 16 << 10
SMALL_ROWS = 20
AT_ONCE = 128  # tasks of a batch, as many as the engine takes in at once


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else micros(seconds)


async def _told(x: Exchange[Any, Any], status: int, task_id: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """The task that a command was about, as it is now."""
    shown, version = await x.after(_shown(x, task_id))
    return Reply(status, shown, (("etag", f'"{version}"'), *headers))


async def _shown(
    x: Exchange[Any, Any], task_id: str, known: frozenset[int] = frozenset(), *, explain: bool = False
) -> tuple[bytes | None, int]:
    """A task and its version; no task where the caller has that one, for which alone it does not ask why."""

    async def whole(reads: Reads) -> tuple[bytes | None, int]:
        shown, version = await (reads.explainer if explain else reads.queries).task(x.by, task_id)
        # Reasons change without the task.
        return None if version in known and not explain else encode(shown), version

    return await x.parts.looks.look(x.by, whole)


# ---- submitting ----------------------------------------------------------------------------------------------------


@calls.add(
    "POST",
    "/tasks",
    body=v1.TaskDefinition,
    long_body=True,
    meaning=content.submit,
    needs=Action.TASK_SUBMIT,
    answers={201: v1.Task},
    refusals=(errors.Forbidden, errors.NotSupported, errors.BacklogFull),
    idempotent=True,
)
async def submit_task(x: Exchange[v1.TaskDefinition, NoQuery]) -> Reply:
    """Submit a task; without `subtasks` a planner plans it."""
    asked: commands.Submit = x.meaning
    x.parts.quotas.submissions.take(x.by)
    answer = await x.parts.engine.do(asked)
    replayed = isinstance(answer, Replayed)
    task_id = answer.resource if isinstance(answer, Replayed) else answer
    paced = x.parts.quotas.submissions.headers(x.by)
    headers = (("location", f"{x.base}/tasks/{task_id}"), *((_REPLAYED,) if replayed else ()), *paced)
    if asked.size > SMALL_BYTES or asked.rows > SMALL_ROWS or replayed:
        return await _told(x, 201, task_id, headers)
    # Nothing that others look at is waited for by who submits a task.
    shown, version = await x.after(x.parts.queries.task(x.by, task_id))
    return Reply(201, shown, (("etag", f'"{version}"'), *headers))


@calls.add(
    "POST",
    "/tasks:batch",
    body=v1.TaskBatch,
    long_body=True,
    meaning=content.submits,
    needs=Action.TASK_SUBMIT,
    answers={200: v1.TaskBatchAnswer},
    refusals=(errors.Forbidden,),
    idempotent=True,
)
async def submit_tasks(x: Exchange[v1.TaskBatch, NoQuery]) -> Reply:
    """Submit up to 500 tasks, each taken or refused by itself."""
    asked: list[commands.Submit | SwarmkeeperError] = x.meaning
    x.parts.quotas.submissions.take(x.by, len(asked))
    submits = [one for one in asked if isinstance(one, commands.Submit)]
    answered: list[Any] = []
    for begin in range(0, len(submits), AT_ONCE):  # so that others' commands come in between
        answered += await x.parts.engine.do_all(submits[begin : begin + AT_ONCE])
    answers = iter(answered)
    results: list[Json] = []
    ids: list[str] = []
    replayed = False
    for one in asked:
        answer: Any = next(answers) if isinstance(one, commands.Submit) else one
        if isinstance(answer, SwarmkeeperError):
            x.refused(answer)
            results.append({"status": status_of(answer), "error": problem(answer, x.request_id, x.base)})
            continue
        if isinstance(answer, BaseException):
            raise answer
        replayed |= isinstance(answer, Replayed)
        ids.append(answer.resource if isinstance(answer, Replayed) else answer)
        results.append(None)

    async def whole(reads: Reads) -> Json:
        tasks = iter([{"status": 201, "task": (await reads.queries.task(x.by, one))[0]} for one in ids])
        return {"results": [next(tasks) if one is None else one for one in results]}

    paced = x.parts.quotas.submissions.headers(x.by)
    return Reply(200, await x.after(x.look(whole)), (*paced, *((_REPLAYED,) if replayed else ())))


# ---- looking -------------------------------------------------------------------------------------------------------


@calls.add("GET", "/tasks", query=TasksQuery, answers={200: v1.TaskPage}, refusals=(errors.Forbidden,))
async def list_tasks(x: Exchange[Any, TasksQuery]) -> Reply:
    """List tasks, without their subtasks and results."""
    query = x.query
    filters = TaskFilter(
        status=tuple(query.status),
        outcome=tuple(query.outcome),
        labels=tuple(query.label),
        created_after=None if query.created_after is None else _moment(query.created_after),
        created_before=None if query.created_before is None else _moment(query.created_before),
    )
    page = await x.look(
        lambda reads: reads.queries.tasks(
            x.by, filters, order_by=query.order_by, page_size=query.page_size, page_token=query.page_token
        )
    )
    return Reply(200, page)


def _moment(moment: Any) -> int:
    return micros(moment.timestamp())


@calls.add(
    "GET",
    "/tasks/{task_id}",
    query=TaskQuery,
    answers={200: v1.Task, 304: None},
    refusals=_OF_A_TASK,
    headers=("If-None-Match",),
)
async def get_task(x: Exchange[Any, TaskQuery]) -> Reply:
    """Look at a task, or wait for its outcome or its next change."""
    task_id, query = x.path["task_id"], x.query
    known = _versions(x.headers.get("if-none-match", ""))
    if "until" in query.model_fields_set and query.until == "change" and not known:
        raise Invalid(
            "to wait for a change, say since when",
            details=(("/headers/if-none-match", "required", "must hold the last ETag"),),
        )
    if query.wait_seconds > 0:
        await _wait(x, task_id, None if query.until == "final" else known)
    shown, version = await _shown(x, task_id, known, explain=query.explain)
    etag = ("etag", f'"{version}"')
    return Reply(304 if shown is None else 200, shown, (etag,))


async def _wait(x: Exchange[Any, TaskQuery], task_id: str, known: frozenset[int] | None) -> None:
    """Until the task is final, or where versions are known is at none of them; or until the time is up."""
    parts = x.parts
    loop = asyncio.get_running_loop()
    until = loop.time() + min(x.query.wait_seconds, parts.limits.wait_max)
    with parts.waits.on(task_id, known) as wait:
        version, final = await parts.queries.version(x.by, task_id)
        if wait.enough(version, final=final):
            return
        gone = asyncio.ensure_future(x.gone())
        try:
            with parts.quotas.waits.held(x.by), parts.standing.of(x.by) as ended:
                left = until - loop.time()
                await asyncio.wait((wait.over, gone, ended), timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    raise ClientGone
                if ended.done():
                    raise Unauthenticated("the API key was revoked or has expired")
        finally:
            gone.cancel()


def _versions(etags: str) -> frozenset[int]:
    return frozenset(int(version) for version in _ETAG.findall(etags))


@calls.add("GET", "/tasks/{task_id}/subtasks", query=PageQuery, answers={200: v1.SubTaskPage}, refusals=_OF_A_TASK)
async def list_subtasks(x: Exchange[Any, PageQuery]) -> Reply:
    """List a task's subtasks, in the order of its plan."""
    task_id, query = x.path["task_id"], x.query

    async def shown(reads: Reads) -> bytes | None:
        page = await reads.queries.subtasks(x.by, task_id, page_size=query.page_size, page_token=query.page_token)
        return encode(page) if page["items"] or not page["next_page_token"] else None

    async def last(reads: Reads) -> bytes:
        page = await reads.queries.subtasks(x.by, task_id, page_size=query.page_size, page_token=query.page_token)
        return encode(page)

    for pause in _PAUSES:
        if (page := await x.parts.looks.look(x.by, shown)) is not None:
            return Reply(200, page)
        await x.parts.clock.sleep(pause)  # else who goes on at once would do it very often
    page = await x.parts.looks.look(x.by, last)
    return Reply(200, page)


@calls.add("GET", "/tasks/{task_id}/subtasks/{subtask}", answers={200: v1.SubTaskDetail}, refusals=_OF_A_TASK)
async def get_subtask(x: Exchange[Any, NoQuery]) -> Reply:
    """Look at a subtask, by key or id, with all that came of it."""
    task_id, ref = x.path["task_id"], x.path["subtask"]
    return Reply(200, await _written(x, lambda: x.look(lambda reads: reads.queries.subtask(x.by, task_id, ref))))


@calls.add(
    "GET",
    "/tasks/{task_id}/subtasks/{subtask}/output",
    query=OutputQuery,
    answers={200: None},
    refusals=_OF_A_TASK,
)
async def get_output(x: Exchange[Any, OutputQuery]) -> Reply:
    """Fetch what a subtask has put out, whole, however large."""
    task_id, ref, attempt = x.path["task_id"], x.path["subtask"], x.query.attempt
    output = await _written(x, lambda: x.look(lambda reads: reads.queries.output(x.by, task_id, ref, attempt=attempt)))
    return Reply(200, output)


async def _written(x: Exchange[Any, Any], look: Callable[[], Awaitable[Told]]) -> Told:
    """What is found, once it is there: a long plan is written in parts, after its task was accepted.

    Raises:
        Overloaded: it takes longer than a caller should wait.
    """
    for pause in _PAUSES:
        try:
            return await look()
        except Overloaded:
            await x.parts.clock.sleep(pause)
    return await look()


@calls.add("GET", "/tasks/{task_id}/graph", answers={200: v1.Graph}, refusals=_OF_A_TASK)
async def get_graph(x: Exchange[Any, NoQuery]) -> Reply:
    """Look at a task's plan as a graph."""
    return Reply(200, await x.look(lambda reads: reads.queries.graph(x.by, x.path["task_id"])))


@calls.add(
    "GET",
    "/tasks/{task_id}/events",
    query=EventsQuery,
    answers={200: v1.EventPage},
    media_types=("application/json", sse.EVENT_STREAM),
    refusals=(*_OF_A_TASK, errors.CursorTooOld),
    headers=("Last-Event-ID",),
)
async def task_events(x: Exchange[Any, EventsQuery]) -> Reply | None:
    """Read what happened to a task, or follow it as a stream, which ends with the task."""
    return await events_of(x, x.path["task_id"])


async def events_of(x: Exchange[Any, EventsQuery], task_id: str | None) -> Reply | None:
    """A page, or the stream where the caller asks for that."""
    after = sse.resumed_after(x, int(x.query.page_token or x.query.after))
    if sse.wanted(x):
        await sse.stream(x, task_id, after)
        return None
    size = x.query.page_size
    page = await x.look(lambda reads: reads.queries.events(x.by, after=after, task_id=task_id, page_size=size))
    return Reply(200, page)


# ---- steering ------------------------------------------------------------------------------------------------------


@calls.add(
    "PATCH",
    "/tasks/{task_id}",
    body=v1.TaskPatch,
    answers={200: v1.Task},
    refusals=(*_OF_A_TASK, errors.IllegalTransition, errors.PreconditionFailed),
    headers=("If-Match",),
)
async def change_task(x: Exchange[v1.TaskPatch, NoQuery]) -> Reply:
    """Change a task's priority, labels or deadline; with If-Match only if nobody else has."""
    task_id, body = x.path["task_id"], x.body
    command = commands.Update(
        by=x.by,
        trace=x.trace,
        task=task_id,
        priority=body.priority,
        labels=body.labels,
        deadline=_micros(body.deadline_seconds),
        if_version=_if_match(x),
    )
    await x.parts.engine.do(command)
    return await _told(x, 200, task_id)


def _if_match(x: Exchange[Any, Any]) -> int | None:
    """The version that the task must be at, where the caller says."""
    sent = x.headers.get("if-match")
    if sent is None or sent.strip() == "*":
        return None
    versions = _versions(sent)
    # A tag that is none of ours cannot match: no task is at version -1.
    return min(versions) if len(versions) == 1 and _ETAG.fullmatch(sent.strip()) else -1


async def _steer(x: Exchange[Any, Any], command: commands.OnTask) -> Reply:
    answer = await x.parts.engine.do(command)
    return await _told(x, 200, command.task, (_REPLAYED,) if isinstance(answer, Replayed) else ())


_STEERING: dict[str, Any] = {
    "body": v1.Reason,
    "body_optional": True,
    "answers": {200: v1.Task},
    "refusals": (*_OF_A_TASK, errors.IllegalTransition),
    "idempotent": True,
}


def _on_task(x: Exchange[Any, Any]) -> dict[str, Any]:
    return {
        "by": x.by,
        "idempotency": x.idempotency,
        "trace": x.trace,
        "task": x.path["task_id"],
        "reason": x.body.reason or "",
    }


@calls.add("POST", "/tasks/{task_id}:cancel", **_STEERING)
async def cancel_task(x: Exchange[v1.Reason, NoQuery]) -> Reply:
    """End a task; bots that work on it hear of it with their next heartbeat."""
    return await _steer(x, commands.Cancel(**_on_task(x)))


@calls.add("POST", "/tasks/{task_id}:pause", **_STEERING)
async def pause_task(x: Exchange[v1.Reason, NoQuery]) -> Reply:
    """Hand out nothing more of a task until it is resumed; what is leased goes on."""
    return await _steer(x, commands.Pause(**_on_task(x)))


@calls.add("POST", "/tasks/{task_id}:resume", **_STEERING)
async def resume_task(x: Exchange[v1.Reason, NoQuery]) -> Reply:
    """Hand out a paused task's work again."""
    return await _steer(x, commands.Resume(**_on_task(x)))


@calls.add(
    "POST",
    "/tasks/{task_id}:retry",
    **_STEERING | {"body": v1.Retry, "refusals": (*_STEERING["refusals"], errors.StillStopping)},
)
async def retry_task(x: Exchange[v1.Retry, NoQuery]) -> Reply:
    """Take a failed task up again where it stopped."""
    return await _steer(x, commands.Retry(**_on_task(x), deadline=_micros(x.body.deadline_seconds)))


@calls.add("POST", "/tasks/{task_id}:archive", **_STEERING)
async def archive_task(x: Exchange[v1.Reason, NoQuery]) -> Reply:
    """Put a failed task away for good."""
    return await _steer(x, commands.Archive(**_on_task(x)))
