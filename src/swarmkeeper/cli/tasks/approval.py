"""`approval …`: lists and decides approvals and questions; reports open ones while a command waits for a task."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from swarmkeeper.cli.framework import documents, terminal
from swarmkeeper.cli.framework.connection import Connection, connected, sendable
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit, on_one_line

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.people import Approval

app = typer.Typer(no_args_is_help=True, help="Approvals and questions: list, show, decide.")

ApprovalId = Annotated[str, typer.Argument(metavar="APPROVAL_ID", help="apr_…")]
_STATES = ("open", "decided", "expired", "cancelled")


@app.command("list")
@connected
def list_(
    connection: Connection,
    state: Annotated[str, flag("--state", help="State: open, decided, expired, cancelled, or all.")] = "open",
    task: Annotated[str | None, flag("--task", help="Only approvals and questions of this task.")] = None,
) -> None:
    """List approvals and questions by state, by default the open ones, oldest first."""
    if state not in (*_STATES, "all"):
        raise CliError("state", f"--state: {', '.join(_STATES)} or all", exit_code=Exit.USAGE)
    wanted: Any = None if state == "all" else state
    found = connection.all(lambda client: client.approvals(state=wanted, task_id=task))
    if connection.as_json:
        for approval in found:
            terminal.say_json(_plain(approval))
    else:
        rows = [{**_plain(approval), "until": approval.expires_at.isoformat(timespec="seconds")} for approval in found]
        terminal.say_table(rows, ("id", "kind", "state", "task_id", "asked_by", "until", "question"))


@app.command()
@connected
def show(connection: Connection, approval_id: ApprovalId) -> None:
    """Show an approval or question, and the command that decides it."""
    _show(connection.call(lambda client: client.approval(approval_id)), as_json=connection.as_json)


def _show(approval: Approval, *, as_json: bool) -> None:
    if as_json:
        terminal.say_json(_plain(approval))
        return
    terminal.say(f"{approval.id}  {approval.kind}, {approval.state}: {on_one_line(approval.question)}")
    facts = [("task", approval.task_id), ("asked by", on_one_line(approval.asked_by))]
    if approval.choices:
        facts.append(("choices", ", ".join(map(on_one_line, approval.choices))))
    if approval.schema_ is not None:
        facts.append(("schema", json.dumps(approval.schema_, ensure_ascii=False)))
    facts += _subject(approval)
    if approval.decision is not None:
        decision = approval.decision
        said = decision.comment or decision.reason or ("" if decision.answer is None else json.dumps(decision.answer))
        at = decision.at.isoformat(timespec="seconds")
        facts.append(("decided", f"{decision.verb} by {decision.by} at {at}" + (f": {said}" if said else "")))
    elif approval.state == "open":
        facts.append(("until", approval.expires_at.isoformat(timespec="seconds")))
        facts += [("decide", command) for command in commands_for(approval)]
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        terminal.say(f"  {name:<{width}}  {on_one_line(text)}")
    if approval.kind == "plan" and isinstance(approval.subject, dict):
        rows = list(map(_subtask, approval.subject.get("subtasks", [])))
        terminal.say_table(rows, ("key", "skills", "after", "description"))


def _subject(approval: Approval) -> list[tuple[str, str]]:
    """For a result: return its verdict, and the command that shows it."""
    if approval.kind not in ("final", "rounds") or not isinstance(approval.subject, dict):
        return []
    lines = [("result", f"swarmkeeper task result {approval.task_id}")]
    verdict = approval.subject.get("verdict")
    if isinstance(verdict, dict):
        reasons = "; ".join(map(str, verdict.get("reasons") or ()))
        lines.append(("verdict", f"{verdict.get('decision')}" + (f": {reasons}" if reasons else "")))
    return lines


def _subtask(spec: Mapping[str, Any]) -> dict[str, Any]:
    before = [edge if isinstance(edge, str) else edge["key"] for edge in spec.get("depends_on") or ()]
    skills = spec.get("required_skills") or ()
    return {"key": spec.get("key"), "skills": skills, "after": before, "description": spec.get("description")}


def commands_for(approval: Approval) -> list[str]:
    """Return the commands that decide it, one line for each possible decision."""
    if approval.kind in ("plan", "final", "budget"):
        ways = [f"swarmkeeper approval approve {approval.id} --subject-hash {approval.subject_hash}"]
    elif approval.choices:
        # Choices are not inserted: a bot's text must not become part of a shell command.
        ways = [f"swarmkeeper approval answer {approval.id} CHOICE"]
    else:
        said = "TEXT" if approval.schema_ is None else "--value JSON"
        ways = [f"swarmkeeper approval answer {approval.id} {said}"]
    return [*ways, f"swarmkeeper approval reject {approval.id} --reason WORDS"]


# ---- deciding ------------------------------------------------------------------------------------------------------


@app.command()
@connected
def approve(
    connection: Connection,
    approval_id: ApprovalId,
    subject_hash: Annotated[
        str | None,
        flag("--subject-hash", help="The hash that you have read. Without it, the current version is approved."),
    ] = None,
    comment: Annotated[str | None, flag("--comment", help="A comment, stored with the decision.")] = None,
) -> None:
    """Approve a plan or a result. Exits with 6 if it already has another decision, or has changed since it was read."""

    async def work(client: Client) -> Approval:
        read = subject_hash or (await client.approval(approval_id)).subject_hash
        return await client.approve(approval_id, read, comment)

    _say_decided(connection.call(work), as_json=connection.as_json)


@app.command()
@connected
def reject(
    connection: Connection,
    approval_id: ApprovalId,
    reason: Annotated[str, flag("--reason", help="The reason. It is stored.")],
) -> None:
    """Reject: the task fails, or, for a question, the work of the bot that asked."""
    _say_decided(connection.call(lambda client: client.reject(approval_id, reason)), as_json=connection.as_json)


@app.command()
@connected
def answer(
    connection: Connection,
    approval_id: ApprovalId,
    text: Annotated[str | None, typer.Argument(help="The answer as text, or one of the choices.")] = None,
    value: Annotated[str | None, flag("--value", help="The answer as JSON, or @FILE with it.")] = None,
) -> None:
    """Answer a bot's question, or answer `accept` or `round` after the last round of rework."""
    if (text is None) == (value is None):
        raise CliError("answer", "give the answer either as a text or as --value JSON", exit_code=Exit.USAGE)
    said = text if value is None else documents.argument(value, what="--value")
    sendable(said)
    _say_decided(connection.call(lambda client: client.answer(approval_id, said)), as_json=connection.as_json)


def _say_decided(approval: Approval, *, as_json: bool) -> None:
    if as_json:
        terminal.say_json(_plain(approval))
    else:
        assert approval.decision is not None, "the call has decided it"
        follow = f"swarmkeeper task watch {approval.task_id}"
        terminal.talk(f"{approval.id} is decided ({approval.decision.verb}); follow the task: {follow}")


def _plain(approval: Approval) -> dict[str, Any]:
    return approval.model_dump(mode="json", by_alias=True)


# ---- waiting for a task --------------------------------------------------------------------------------------------


async def watch_approvals(client: Client, looks: AsyncIterator[Task], *, go_on: bool) -> AsyncIterator[Task]:
    """Pass on the looks; report each approval that is opened meanwhile once, on stderr.

    Raises:
        CliError: with `needs_approval`, unless `go_on`: the task cannot go on until a person decides.
    """
    reported: set[str] = set()
    async for task in looks:
        yield task
        if task.outcome is not None:
            continue
        asked = [approval async for approval in client.approvals(state="open", task_id=task.id)]
        for approval in asked:
            if approval.id not in reported and go_on:
                reported.add(approval.id)
                terminal.talk(_asking(approval))
        if not go_on and (stopping := stopped_by(task, asked)) is not None:
            raise CliError(
                "needs_approval",
                f"the task waits for a person: {on_one_line(stopping.question)}",
                exit_code=Exit.NEEDS_APPROVAL,
                facts=[("task", task.id), ("approval", f"{stopping.id} ({stopping.kind})")],
                fix=commands_for(stopping)[0],
            )


def _asking(approval: Approval) -> str:
    from swarmkeeper.core.rules.explain import ShowApproval
    from swarmkeeper.reads import wording

    where = wording.command(ShowApproval(approval.id))
    return "\n".join(
        [
            f"a person is asked ({approval.kind}): {on_one_line(approval.question)}",
            f"  show    {where}",
            *(f"  decide  {command}" for command in commands_for(approval)),
        ]
    )


_AT_WORK: frozenset[Literal["READY", "LEASED", "IN_REVIEW"]] = frozenset({"READY", "LEASED", "IN_REVIEW"})


def stopped_by(task: Task, asked: list[Approval]) -> Approval | None:
    """Return the approval without which the task cannot go on. A plan, a result or a round holds the whole task. A
    question stops it if no item is at work and all waiting items wait for answers.
    """
    for approval in asked:
        if approval.kind != "question":
            return approval
    if not asked:
        return None
    if str(task.status) == "CREATED":
        return asked[0]  # only planning can be at work
    if str(task.status) == "COMPLETED":
        return asked[0] if len(asked) >= task.quorum.of else None
    questioned = {approval.work_id for approval in asked}
    shown_all = len(task.subtasks) == task.subtasks_total
    moving = any(
        subtask.status in _AT_WORK or (subtask.status == "WAITING" and subtask.id not in questioned)
        for subtask in task.subtasks
    )
    return asked[0] if shown_all and not moving else None
