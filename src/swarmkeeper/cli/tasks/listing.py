"""`task list`, `task count`, `task labels` and `task costs`: tables of tasks, and what is counted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.tasks import watch
from swarmkeeper.cli.tasks.query_line import Understood, understood

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.tables.answers import CostReport, LabelTally, ListedTask, TaskTally

Query = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[QUERY]...",
        help="A query line, such as 'status:failed label:team=money invoice'. It adds to the flags.",
        show_default=False,
    ),
]
Words = Annotated[
    str | None, flag("--q", help="Only tasks with these words in their title; the last one may be a beginning.")
]
Status = Annotated[str | None, flag("--status", help="Only tasks with this status: CREATED, PLANNED, …")]
WithOutcome = Annotated[str | None, flag("--outcome", help="Only tasks with this outcome: accepted, failed, …")]
WithSkill = Annotated[list[str] | None, flag("--skill", help="Only tasks that need this skill. Repeatable.")]
WithError = Annotated[
    str | None, flag("--error", help="Only tasks with these words in an error, or that failed with this code.")
]
WithLabel = Annotated[list[str] | None, flag("--label", help="Only tasks with this label: key:value. Repeatable.")]
Limit = Annotated[int, flag("--limit", help="Maximum number.", min=1)]
_COLUMNS = ("id", "state", "done", "created_at", "title")
_ROW_COLUMNS = ("id", "state", "done", "started_at", "ended_at", "last_bot", "cost", "error", "title")


@connected
def list_(
    connection: Connection,
    query: Query = None,
    q: Words = None,
    status: Status = None,
    outcome: WithOutcome = None,
    label: WithLabel = None,
    skill: WithSkill = None,
    error: WithError = None,
    order_by: Annotated[
        str | None, flag("--order-by", help="Order: created_at, -created_at (by default) or priority.")
    ] = None,
    view: Annotated[str, flag("--view", help="whole, or row: with start, end, last bot and first error.")] = "whole",
    limit: Limit = 50,
) -> None:
    """List the tasks of the tenant, newest first."""
    if order_by not in (None, "created_at", "-created_at", "priority"):
        raise CliError("order_by", "--order-by: created_at, -created_at or priority", exit_code=Exit.USAGE)
    if view not in ("whole", "row"):
        raise CliError("view", "--view: whole or row", exit_code=Exit.USAGE)
    line = line_of(query, q=q, status=status, outcome=outcome, label=label, skill=skill, error=error)
    asked: dict[str, Any] = {**line.matching, "order_by": order_by or line.order_by}

    async def work(client: Client) -> list[Task] | list[ListedTask]:
        found: list[Any] = []
        pages: Any = client.task_rows(**asked) if view == "row" else client.tasks(**asked)
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
        terminal.say_table([_row(task) for task in tasks], _ROW_COLUMNS if view == "row" else _COLUMNS)


def line_of(
    query: list[str] | None,
    *,
    q: str | None = None,
    status: str | None = None,
    outcome: str | None = None,
    label: list[str] | None = None,
    skill: list[str] | None = None,
    error: str | None = None,
) -> Understood:
    """Return what a query line and the flags beside it ask for.

    Raises:
        CliError: a part of the line is not understood.
    """
    line = understood(" ".join(query or ()))
    if line.problems:
        facts = [("query", problem) for problem in line.problems]
        detail = "the query is not understood"
        fix = "swarmkeeper docs query-line"
        raise CliError("query", detail, exit_code=Exit.USAGE, facts=facts, fix=fix)
    line.q = " ".join(filter(None, (line.q, q)))
    line.status += [status] if status else []
    line.outcome += [outcome] if outcome else []
    line.label += label or []
    line.skill += skill or []
    line.error = " ".join(filter(None, (line.error, error)))
    return line


def _row(task: Task | ListedTask) -> dict[str, Any]:
    shown = {
        "id": task.id,
        "state": watch.task_state(task),
        "done": f"{task.progress.done}/{task.progress.total}",
        "created_at": task.created_at.isoformat(timespec="seconds"),
        "title": task.title,
        "cost": task.usage.cost_micro_usd,
    }
    for name in ("started_at", "ended_at"):
        moment = getattr(task, name, None)
        shown[name] = "" if moment is None else moment.isoformat(timespec="seconds")
    error = getattr(task, "error", None)
    return {
        **shown,
        "last_bot": getattr(task, "last_bot", None),
        "error": error.get("message") if isinstance(error, dict) else None,
    }


@connected
def count(
    connection: Connection,
    query: Query = None,
    q: Words = None,
    status: Status = None,
    outcome: WithOutcome = None,
    label: WithLabel = None,
    skill: WithSkill = None,
    error: WithError = None,
) -> None:
    """Count tasks, by status and outcome if nothing else is asked for. A + after the number means: or more."""
    line = line_of(query, q=q, status=status, outcome=outcome, label=label, skill=skill, error=error)

    async def work(client: Client) -> TaskTally:
        return await client.count_tasks(**line.matching)

    counted = connection.call(work)
    if connection.as_json:
        terminal.say_record(counted)
        return
    terminal.say(f"{counted.number}{'+' if counted.at_least else ''}")
    parts = {**(counted.statuses or {}), **(counted.outcomes or {})}
    if parts:
        terminal.say_table([{"tasks": number, "of": name} for name, number in parts.items()], ("tasks", "of"))


@connected
def labels(
    connection: Connection,
    key: Annotated[str | None, typer.Argument(help="Only labels with this key.")] = None,
    limit: Limit = 50,
) -> None:
    """List the labels that tasks have, with how many tasks have each."""

    async def work(client: Client) -> list[LabelTally]:
        found: list[LabelTally] = []
        async for label in client.task_labels(key=key):
            found.append(label)
            if len(found) == limit:
                break
        return found

    found = connection.call(work)
    if connection.as_json:
        for label in found:
            terminal.say_record(label)
    else:
        terminal.say_table([label.model_dump() for label in found], ("key", "value", "tasks"))


@connected
def costs(
    connection: Connection,
    by: Annotated[str, flag("--by", help="day, bot, skill or label.")] = "day",
    first: Annotated[str | None, flag("--from", help="The first day, such as 2026-01-01. By default 30 days.")] = None,
    last: Annotated[str | None, flag("--to", help="The last day. By default today, in UTC.")] = None,
) -> None:
    """Show what attempts cost, in millionths of a US dollar, by day, bot, skill or label."""
    if by not in ("day", "bot", "skill", "label"):
        raise CliError("by", "--by: day, bot, skill or label", exit_code=Exit.USAGE)

    async def work(client: Client) -> CostReport:
        return await client.costs(by, first=first, last=last)  # type: ignore[arg-type]  # checked to be one of its words

    report = connection.call(work)
    if connection.as_json:
        terminal.say_record(report)
        return
    rows = [row.model_dump() for row in report.items]
    rows.append({"name": "(in all)", **report.total.model_dump()})
    terminal.say_table(rows, ("name", "cost_micro_usd", "tokens", "unpriced_tokens", "attempts"))
