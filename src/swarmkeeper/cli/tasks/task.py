"""`submit` and `task …`: handing work in, watching it, steering it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from swarmkeeper.cli.framework import documents, terminal
from swarmkeeper.cli.framework.connection import Connection, connected, sendable
from swarmkeeper.cli.framework.flags import TaskId, flag, seconds
from swarmkeeper.cli.framework.terminal import Exit, Failure
from swarmkeeper.cli.tasks import approval, explain, look, outcomes, trouble, watch

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.events import CloudEvent

app = typer.Typer(no_args_is_help=True, help="Tasks: look, watch, steer.")

Reason = Annotated[str | None, flag("--reason", help="Why; it is kept.")]
WaitApproval = Annotated[
    bool,
    flag(
        "--wait-approval/--no-wait-approval",
        help="What to do where nothing goes on before a person decides: wait on, or end with 8.",
    ),
]
Timeout = Annotated[float | None, seconds("--timeout-seconds", help="When to stop waiting (7); the task goes on.")]


@connected
def submit(
    connection: Connection,
    title: Annotated[str | None, typer.Argument(help="What is to be done, in a line.")] = None,
    file: Annotated[str | None, flag("-f", "--file", help="A task as JSON, TOML or YAML; - is JSON on stdin.")] = None,
    description: Annotated[str | None, flag("--description", help="More about it.")] = None,
    skill: Annotated[
        list[str] | None, flag("--skill", help="No planner: one subtask that requires this skill. May be repeated.")
    ] = None,
    input_: Annotated[str | None, flag("--input", help="A JSON object, or @FILE that holds one.")] = None,
    no_review: Annotated[bool, flag("--no-review", help="Without an evaluator.")] = False,
    priority: Annotated[int | None, flag("--priority", help="0 to 9, 9 first.")] = None,
    label: Annotated[list[str] | None, flag("--label", help="key:value. May be repeated.")] = None,
    idempotency_key: Annotated[
        str | None, flag("--idempotency-key", help="The same key never makes two tasks.")
    ] = None,
    wait: Annotated[bool, flag("--wait", help="Wait for the outcome; print the result.")] = False,
    watched: Annotated[bool, flag("--watch", help="Show how it goes on, until the outcome.")] = False,
    timeout_seconds: Timeout = None,
    wait_approval: WaitApproval = True,
) -> None:
    """Hand in a task. Prints its id; with --wait its result, and ends with 3 where it failed or was rejected."""
    body = _body_of(title, file)
    given = {"description": description, "priority": priority, "labels": _labels(label)}
    body |= {name: value for name, value in given.items() if value is not None}
    sent = _input(input_)
    if sent is not None:
        body["input"] = sent
    if skill:
        if "subtasks" in body:
            detail = "--skill makes the one subtask of a task, and this file has subtasks of its own"
            raise Failure("skill", detail, exit_code=Exit.USAGE, fix="leave out --skill, or the file's subtasks")
        body["subtasks"] = [
            {"key": "main", "description": body["title"], "required_skills": skill, "input": sent or {}}
        ]
    if no_review:
        body["evaluation"] = "none"
    sendable(body)

    async def work(client: Client) -> Task:
        task = await client.submit(body, idempotency_key=idempotency_key)
        if not (wait or watched):
            return task
        terminal.talk(f"submitted {task.id}")
        last = await _until_over(
            client, task.id, watched=watched, timeout_seconds=timeout_seconds, wait_approval=wait_approval
        )
        if watched and not connection.as_json:
            return last
        return last.model_copy(update={"result": await client.result(task.id)})

    task = connection.call(work)
    if not (wait or watched):
        terminal.say_record(task) if connection.as_json else terminal.say(task.id)
        return
    if wait and not watched:
        if connection.as_json:
            terminal.say_record(task)
        elif not sys.stdout.isatty():  # scripts read the result from it
            terminal.say_json(task.result)
        else:
            outcomes.say(task)
    _end_with(task, watched=watched)


def _body_of(title: str | None, file: str | None) -> dict[str, Any]:
    body = {} if file is None else read_task(file)
    if title is not None:
        body["title"] = title
    if not isinstance(body.get("title"), str) or not body["title"]:
        raise Failure("no_title", "a task needs a title", exit_code=Exit.USAGE, fix='swarmkeeper submit "TITLE"')
    return body


def read_task(name: str) -> dict[str, Any]:
    """A task from a file, read as its ending says."""
    body = documents.read(name, what="the file")
    if not isinstance(body, dict):
        raise Failure("file", "the file holds no object", exit_code=Exit.USAGE)
    return body


def _input(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = documents.argument(text, what="--input")
    if not isinstance(value, dict):
        raise Failure("input", "--input must be a JSON object", exit_code=Exit.USAGE)
    return value


def _labels(listed: Sequence[str] | None) -> dict[str, str] | None:
    if not listed:
        return None
    pairs = [one.partition(":") for one in listed]
    if any(not colon for _, colon, _ in pairs):
        raise Failure("label", "a label is written key:value", exit_code=Exit.USAGE)
    return {key: value for key, _, value in pairs}


async def _until_over(
    client: Client, task_id: str, *, watched: bool, timeout_seconds: float | None, wait_approval: bool
) -> Task:
    """The task once its outcome is known; whoever sees nothing move is told what it waits for."""
    looks = approval.telling(client, client.watch(task_id), go_on=wait_approval)

    def silent(task: Task) -> None:
        pass

    why = partial(explain.looked, client, task_id)
    try:
        async with asyncio.timeout(timeout_seconds):
            if watched and terminal.manner.as_json:
                return await watch.each(looks, why, terminal.say_record)
            if watched:
                return await watch.follow(looks, why)
            return await watch.each(looks, why, silent)
    except TimeoutError:
        raise Failure(
            "timed_out",
            f"no outcome within {timeout_seconds:g} s; the task goes on",
            exit_code=Exit.TIMED_OUT,
            fix=f"swarmkeeper task watch {task_id}",
        ) from None


def _end_with(task: Task, *, watched: bool) -> NoReturn:
    if str(task.outcome) == "accepted":
        terminal.stop(Exit.OK)
    told = watched and watch.draws(sys.stdout)  # the last picture says why
    terminal.talk("\n".join([f"{task.id} {watch.task_state(task)}", *([] if told else trouble.of_failure(task))]))
    terminal.stop(Exit.TASK_FAILED)


# ---- looking -------------------------------------------------------------------------------------------------------

app.command()(explain.explain)


def _row(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "state": watch.task_state(task),
        "done": f"{task.progress.done}/{task.progress.total}",
        "created_at": task.created_at.isoformat(timespec="seconds"),
        "title": task.title,
    }


@app.command("list")
@connected
def list_(
    connection: Connection,
    status: Annotated[str | None, flag("--status", help="Only those: CREATED, PLANNED, …")] = None,
    outcome: Annotated[str | None, flag("--outcome", help="Only those: accepted, failed, …")] = None,
    label: Annotated[str | None, flag("--label", help="Only those with this label: key:value")] = None,
    order_by: Annotated[str, flag("--order-by", help="created_at, -created_at or priority.")] = "-created_at",
    limit: Annotated[int, flag("--limit", help="So many at most.", min=1)] = 50,
) -> None:
    """Tasks of the tenant, the newest first."""
    if order_by not in ("created_at", "-created_at", "priority"):
        raise Failure("order_by", "--order-by: created_at, -created_at or priority", exit_code=Exit.USAGE)

    async def work(client: Client) -> list[Task]:
        found: list[Task] = []
        query = {"status": status, "outcome": outcome, "label": label, "order_by": order_by}
        pages = client.tasks(**query)  # type: ignore[arg-type]  # order_by was checked to be one of its words
        async for task in pages:
            found.append(task)
            if len(found) == limit:
                break
        return found

    tasks = connection.call(work)
    if connection.as_json:
        for task in tasks:
            terminal.say_record(task)
    else:
        terminal.say_table([_row(task) for task in tasks], ("id", "state", "done", "created_at", "title"))


app.command("get")(look.get)


@app.command("watch")
@connected
def watch_(
    connection: Connection,
    task_id: TaskId,
    timeout_seconds: Timeout = None,
    wait_approval: WaitApproval = True,
) -> None:
    """Show how a task goes on, until its outcome is known; ends with 3 where it failed or was rejected."""

    async def work(client: Client) -> Task:
        return await _until_over(
            client, task_id, watched=True, timeout_seconds=timeout_seconds, wait_approval=wait_approval
        )

    _end_with(connection.call(work), watched=True)


@app.command()
@connected
def graph(connection: Connection, task_id: TaskId) -> None:
    """Its subtasks, and what each waits for."""
    found = connection.call(lambda client: client.graph(task_id))
    if connection.as_json:
        terminal.say_json(found.model_dump(mode="json", by_alias=True))
        return
    before: dict[str, list[str]] = {}
    for edge in found.edges:
        before.setdefault(edge.to, []).append(f"{edge.from_} ({edge.when}: {edge.state})")
    rows = [
        {"key": one.key, "status": one.status, "attempt": one.attempt, "after": look.few(before.get(one.key, []))}
        for one in found.nodes
    ]
    terminal.say_table(rows, ("key", "status", "attempt", "after"))


@app.command()
@connected
def result(
    connection: Connection,
    task_id: TaskId,
    subtask: Annotated[str | None, typer.Argument(help="One subtask's output, by key or id.")] = None,
) -> None:
    """What came out, as JSON: of the whole task, or of one subtask."""

    async def work(client: Client) -> Any:
        if subtask is not None:
            return await client.output(task_id, subtask)
        return await client.result(task_id)

    found = connection.call(work)
    if found is None:
        raise Failure(
            "no_result",
            "there is no result yet",
            exit_code=Exit.CONFLICT,
            fix=f"swarmkeeper task watch {terminal.on_one_line(task_id)}",
        )
    terminal.say_json(found)


@app.command()
@connected
def events(
    connection: Connection,
    task_id: Annotated[str | None, typer.Argument(metavar="TASK_ID", help="tsk_…; else of all, and of bots.")] = None,
    follow: Annotated[bool, flag("--follow", help="Go on with what happens from now on, until it is over.")] = False,
    after: Annotated[str | None, flag("--after", help="Only those after this cursor (an event's id).")] = None,
) -> None:
    """What happened to it, or to all tasks and bots, in order."""

    def show(event: CloudEvent) -> None:
        if connection.as_json:
            terminal.say_json(event.model_dump(mode="json", exclude_none=True))
        else:
            kind = event.type.removeprefix("io.swarmkeeper.").removesuffix(".v1")
            about = _about(event.data)
            terminal.say(f"{event.id:>6}  {event.time:%H:%M:%S}  {kind:<20} {about}".rstrip())

    connection.each(lambda client: client.events(task_id, after=after, follow=follow), show)


def _about(data: Any) -> str:
    plain = data if isinstance(data, Mapping) else data.model_dump(mode="json", exclude_none=True)
    words = ("key", "keys", "from", "to", "bot", "attempt", "outcome", "code", "decision", "count", "in_seconds")
    told = [f"{word}={terminal.on_one_line(str(plain[word]))}" for word in words if plain.get(word) is not None]
    error = plain.get("error")
    said = error.get("message") if isinstance(error, Mapping) else plain.get("reason")
    return " ".join([*told, *([terminal.on_one_line(f": {said}")] if said else [])])


# ---- steering ------------------------------------------------------------------------------------------------------


def _steer(connection: Connection, ask: Callable[[Client], Awaitable[Task]]) -> None:
    task = connection.call(ask)
    if connection.as_json:
        terminal.say_record(task)
    else:
        terminal.talk(f"{task.id} {watch.task_state(task)}")


@app.command()
@connected
def cancel(
    connection: Connection,
    task_id: TaskId,
    reason: Reason = None,
) -> None:
    """End it; bots at work on it hear so with their next heartbeat."""
    _steer(connection, lambda client: client.cancel(task_id, reason))


@app.command()
@connected
def pause(
    connection: Connection,
    task_id: TaskId,
    reason: Reason = None,
) -> None:
    """Hand out nothing more of it until it is resumed."""
    _steer(connection, lambda client: client.pause(task_id, reason))


@app.command()
@connected
def resume(
    connection: Connection,
    task_id: TaskId,
    reason: Reason = None,
) -> None:
    """Let it go on."""
    _steer(connection, lambda client: client.resume(task_id, reason))


@app.command()
@connected
def archive(
    connection: Connection,
    task_id: TaskId,
    reason: Reason = None,
) -> None:
    """Put a failed task away."""
    _steer(connection, lambda client: client.archive(task_id, reason))


@app.command()
@connected
def retry(
    connection: Connection,
    task_id: TaskId,
    reason: Reason = None,
    deadline_seconds: Annotated[float | None, seconds("--deadline-seconds", help="A new deadline, from now.")] = None,
) -> None:
    """Take a failed task up again, from where it stopped."""
    _steer(connection, lambda client: client.retry(task_id, reason, deadline_seconds=deadline_seconds))
