"""`submit` and `task …`: submits, watches and steers tasks."""

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
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.tasks import approval, explain, listing, look, outcomes, trouble, watch

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.events import CloudEvent

app = typer.Typer(no_args_is_help=True, help="Tasks: list, show, watch, control.")

Reason = Annotated[str | None, flag("--reason", help="The reason. It is stored.")]
WaitApproval = Annotated[
    bool,
    flag(
        "--wait-approval/--no-wait-approval",
        help="What to do when the task cannot continue until a person decides: keep waiting, or exit with 8.",
    ),
]
Timeout = Annotated[
    float | None,
    seconds("--timeout-seconds", help="Seconds after which to stop waiting and exit with 7; the task continues."),
]


@connected
def submit(
    connection: Connection,
    title: Annotated[str | None, typer.Argument(help="The title of the task, on one line.")] = None,
    file: Annotated[
        str | None, flag("-f", "--file", help="A file with the task as JSON, TOML or YAML; - is JSON on stdin.")
    ] = None,
    description: Annotated[str | None, flag("--description", help="A longer description.")] = None,
    skill: Annotated[
        list[str] | None,
        flag("--skill", help="Use no planner, but one subtask that requires this skill. May be repeated."),
    ] = None,
    input_: Annotated[str | None, flag("--input", help="A JSON object, or @FILE with one.")] = None,
    no_review: Annotated[bool, flag("--no-review", help="Accept the result without an evaluator.")] = False,
    priority: Annotated[int | None, flag("--priority", help="0 to 9; 9 is the highest.")] = None,
    label: Annotated[list[str] | None, flag("--label", help="key:value. May be repeated.")] = None,
    idempotency_key: Annotated[
        str | None, flag("--idempotency-key", help="The same key never creates two tasks.")
    ] = None,
    wait: Annotated[bool, flag("--wait", help="Wait for the outcome, and print the result.")] = False,
    watched: Annotated[bool, flag("--watch", help="Show the progress until the outcome is known.")] = False,
    timeout_seconds: Timeout = None,
    wait_approval: WaitApproval = True,
) -> None:
    """Submit a task. Prints its id. With --wait, prints its result, and exits with 3 if it failed or was rejected."""
    body = _body_of(title, file)
    given = {"description": description, "priority": priority, "labels": _labels(label)}
    body |= {name: value for name, value in given.items() if value is not None}
    sent = _input(input_)
    if sent is not None:
        body["input"] = sent
    if skill:
        if "subtasks" in body:
            detail = "--skill creates the only subtask of a task, but this file has its own subtasks"
            raise CliError("skill", detail, exit_code=Exit.USAGE, fix="leave out --skill, or the file's subtasks")
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
        raise CliError("no_title", "a task needs a title", exit_code=Exit.USAGE, fix='swarmkeeper submit "TITLE"')
    return body


def read_task(name: str) -> dict[str, Any]:
    """Read a task from a file, by the ending of its name."""
    body = documents.read(name, what="the file")
    if not isinstance(body, dict):
        raise CliError("file", "the file does not contain an object", exit_code=Exit.USAGE)
    return body


def _input(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = documents.argument(text, what="--input")
    if not isinstance(value, dict):
        raise CliError("input", "--input must be a JSON object", exit_code=Exit.USAGE)
    return value


def _labels(listed: Sequence[str] | None) -> dict[str, str] | None:
    if not listed:
        return None
    pairs = [label.partition(":") for label in listed]
    if any(not colon for _, colon, _ in pairs):
        raise CliError("label", "a label must be key:value", exit_code=Exit.USAGE)
    return {key: value for key, _, value in pairs}


async def _until_over(
    client: Client, task_id: str, *, watched: bool, timeout_seconds: float | None, wait_approval: bool
) -> Task:
    """Return the task once its outcome is known; while nothing changes, print what it waits for."""
    looks = approval.watch_approvals(client, client.watch(task_id), go_on=wait_approval)

    def silent(task: Task) -> None:
        pass

    why = partial(explain.with_explanation, client, task_id)
    try:
        async with asyncio.timeout(timeout_seconds):
            if watched and terminal.output_format.as_json:
                return await watch.each(looks, why, terminal.say_record)
            if watched:
                return await watch.follow(looks, why)
            return await watch.each(looks, why, silent)
    except TimeoutError:
        raise CliError(
            "timed_out",
            f"no outcome within {timeout_seconds:g} s; the task continues",
            exit_code=Exit.TIMED_OUT,
            fix=f"swarmkeeper task watch {task_id}",
        ) from None


def _end_with(task: Task, *, watched: bool) -> NoReturn:
    if str(task.outcome) == "accepted":
        terminal.stop(Exit.OK)
    drawn = watched and watch.draws(sys.stdout)  # the table shows why
    terminal.talk("\n".join([f"{task.id} {watch.task_state(task)}", *([] if drawn else trouble.of_failure(task))]))
    terminal.stop(Exit.TASK_FAILED)


# ---- looking -------------------------------------------------------------------------------------------------------

app.command()(explain.explain)


app.command("list")(listing.list_)
for command in (listing.count, listing.labels, listing.costs):
    app.command()(command)
app.command("get")(look.get)


@app.command("watch")
@connected
def watch_(
    connection: Connection,
    task_id: TaskId,
    timeout_seconds: Timeout = None,
    wait_approval: WaitApproval = True,
) -> None:
    """Show the progress of a task until its outcome is known. Exits with 3 if it failed or was rejected."""

    async def work(client: Client) -> Task:
        return await _until_over(
            client, task_id, watched=True, timeout_seconds=timeout_seconds, wait_approval=wait_approval
        )

    _end_with(connection.call(work), watched=True)


@app.command()
@connected
def graph(connection: Connection, task_id: TaskId) -> None:
    """List the subtasks of a task, and what each depends on."""
    found = connection.call(lambda client: client.graph(task_id))
    if connection.as_json:
        terminal.say_json(found.model_dump(mode="json", by_alias=True))
        return
    before: dict[str, list[str]] = {}
    for edge in found.edges:
        before.setdefault(edge.to, []).append(f"{edge.from_} ({edge.when}: {edge.state})")
    rows = [
        {"key": node.key, "status": node.status, "attempt": node.attempt, "after": look.few(before.get(node.key, []))}
        for node in found.nodes
    ]
    terminal.say_table(rows, ("key", "status", "attempt", "after"))


@app.command()
@connected
def result(
    connection: Connection,
    task_id: TaskId,
    subtask: Annotated[str | None, typer.Argument(help="One subtask's output, by key or id.")] = None,
) -> None:
    """Print the output of a task, or of one subtask, as JSON."""

    async def work(client: Client) -> Any:
        if subtask is not None:
            return await client.output(task_id, subtask)
        return await client.result(task_id)

    found = connection.call(work)
    if found is None:
        raise CliError(
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
    task_id: Annotated[
        str | None, typer.Argument(metavar="TASK_ID", help="tsk_…. By default, the events of all tasks and bots.")
    ] = None,
    follow: Annotated[bool, flag("--follow", help="Keep printing new events until the task ends.")] = False,
    after: Annotated[
        str | None, flag("--after", help="Only events after this cursor (an event's id); latest: only new ones.")
    ] = None,
    types: Annotated[
        list[str] | None, flag("--type", help="Only events of this type, such as task.accepted. May be repeated.")
    ] = None,
) -> None:
    """Print the events of a task, or of all tasks and bots, in order."""

    def show(event: CloudEvent) -> None:
        if connection.as_json:
            terminal.say_json(event.model_dump(mode="json", exclude_none=True))
        else:
            kind = event.type.removeprefix("io.swarmkeeper.").removesuffix(".v1")
            about = _about(event.data)
            terminal.say(f"{event.id}  {event.time:%H:%M:%S}  {kind:<20} {about}".rstrip())

    connection.each(lambda client: client.events(task_id, after=after, follow=follow, types=types or ()), show)


def _about(data: Any) -> str:
    plain = data if isinstance(data, Mapping) else data.model_dump(mode="json", exclude_none=True)
    words = ("key", "keys", "from", "to", "bot", "attempt", "outcome", "code", "decision", "count", "in_seconds")
    facts = [f"{word}={terminal.on_one_line(str(plain[word]))}" for word in words if plain.get(word) is not None]
    error = plain.get("error")
    said = error.get("message") if isinstance(error, Mapping) else plain.get("reason")
    return " ".join([*facts, *([terminal.on_one_line(f": {said}")] if said else [])])


# ---- steering ------------------------------------------------------------------------------------------------------


def _steer(connection: Connection, ask: Callable[[Client], Awaitable[Task]]) -> None:
    task = connection.call(ask)
    if connection.as_json:
        terminal.say_record(task)
    else:
        terminal.talk(f"{task.id} {watch.task_state(task)}")


@app.command()
@connected
def cancel(connection: Connection, task_id: TaskId, reason: Reason = None) -> None:
    """Cancel a task. Bots that work on it learn this with their next heartbeat."""
    _steer(connection, lambda client: client.cancel(task_id, reason))


@app.command()
@connected
def pause(connection: Connection, task_id: TaskId, reason: Reason = None) -> None:
    """Pause a task: bots get no more of it until it is resumed."""
    _steer(connection, lambda client: client.pause(task_id, reason))


@app.command()
@connected
def resume(connection: Connection, task_id: TaskId, reason: Reason = None) -> None:
    """Resume a paused task."""
    _steer(connection, lambda client: client.resume(task_id, reason))


@app.command()
@connected
def archive(connection: Connection, task_id: TaskId, reason: Reason = None) -> None:
    """Archive a failed task."""
    _steer(connection, lambda client: client.archive(task_id, reason))


@app.command()
@connected
def retry(
    connection: Connection,
    task_id: TaskId,
    reason: Reason = None,
    deadline_seconds: Annotated[
        float | None, seconds("--deadline-seconds", help="A new deadline, in seconds from now.")
    ] = None,
) -> None:
    """Reopen a failed task where it stopped."""
    _steer(connection, lambda client: client.retry(task_id, reason, deadline_seconds=deadline_seconds))
