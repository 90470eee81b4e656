"""`run`: one sentence to a result. Starts an orchestrator and a swarm, submits the task, follows it to its end."""

from __future__ import annotations

import asyncio
import io
import math
import os
import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from swarmkeeper.cli.framework import connection, flags, running, terminal
from swarmkeeper.cli.framework.flags import AsJson, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit, on_one_line
from swarmkeeper.cli.serving import own_server, run_swarm
from swarmkeeper.cli.serving.run_swarm import RunSwarm
from swarmkeeper.cli.serving.run_view import RunView, follow
from swarmkeeper.cli.tasks import approval, explain, outcomes, trouble, watch
from swarmkeeper.cli.tasks.outcomes import say_result

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.wire.answers import Task

_BUDGET_USD_MAX = 1_000_000
_TITLE_LENGTH_MAX = 200
_LABEL = "run"  # of its tasks


def run(
    text: Annotated[str | None, typer.Argument(metavar="TASK", help="What you want, in a sentence.")] = None,
    swarm: Annotated[
        str | None, flag("--swarm", help="The swarm file; default: swarm.toml or swarm.yaml here, if there is one.")
    ] = None,
    model: Annotated[
        str | None,
        flag("--model", help="The model of all bots: anthropic:…, openai:…, http://HOST/v1#NAME, or local."),
    ] = None,
    budget: Annotated[
        float | None,
        flag(
            "--budget", help="US dollars. No work begins that the rest does not pay for; the task fails at the limit."
        ),
    ] = None,
    files: Annotated[Path | None, flag("--files", help="A folder that the bots may read, and no other.")] = None,
    go_on: Annotated[
        str | None, flag("--continue", metavar="TASK_ID", help="Go on with a task in place of a new one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Do a task with a swarm of AI bots, from the plan to the verdict, and print the result.

    Uses the orchestrator that runs for this folder, or starts one with its data in .swarmkeeper/. Progress goes to
    stderr, the result alone to stdout. Keys of models are read from the environment and stored nowhere. Exits with 0 if
    the result was accepted, otherwise with 3. Ctrl-C stops the bots; the task stays.
    """
    # A library that runs models prints a picture with an advertisement on a terminal, in the middle of our view.
    os.environ.setdefault("PYDANTIC_AI_NO_BANNER", "1")
    wish = _wish(text, go_on, budget)
    own = run_swarm.made(swarm, model, files, environ=os.environ)
    wish = wish.limited(own)
    for line in own.remarks:
        terminal.talk(line)
    begun = _Begun(_again(swarm, model, files))
    try:
        task = running.run_fast(_run(own, wish, begun, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):  # SIGINT, SIGTERM
        if begun.task_id is None:
            terminal.stop(Exit.INTERRUPTED)
        terminal.talk(f"stopped; the task stays. Go on with: {begun.command()}")
        terminal.stop(Exit.INTERRUPTED)
    if str(task.outcome) != "accepted":
        terminal.stop(Exit.TASK_FAILED)


@dataclass(frozen=True)
class _Wish:
    """What is to be done: a new task, or an earlier one."""

    text: str | None
    go_on: str | None
    budget: Mapping[str, Any]  # in the API's format; of an earlier task, limits to change

    def limited(self, own: RunSwarm) -> _Wish:
        """Return it with the swarm file's limits where the command names none. An earlier task has its own."""
        budget = self.budget if self.go_on is not None else {**own.budget, **self.budget}
        if "cost_micro_usd" in budget and own.unpriced:
            raise CliError(
                "unpriced",
                f"a budget cannot bind: the price of {', '.join(own.unpriced)} is unknown",
                exit_code=Exit.USAGE,
                fix="write the price into prices.toml beside the swarm file, or leave out --budget",
            )
        return replace(self, budget=budget)


def _wish(text: str | None, go_on: str | None, budget: float | None) -> _Wish:
    if (text is None) == (go_on is None):
        detail = "say what to do, or name a task to go on with" if text is None else "--continue takes no new task"
        raise CliError("usage", detail, exit_code=Exit.USAGE, fix='swarmkeeper run "Write a haiku about bees"')
    if text is not None and not text.strip():
        raise CliError("no_title", "the task is empty", exit_code=Exit.USAGE)
    if budget is None:
        return _Wish(text, go_on, {})
    if not (math.isfinite(budget) and 0 < budget <= _BUDGET_USD_MAX):
        detail = f"--budget is a number of US dollars above 0 and up to {_BUDGET_USD_MAX:,}"
        raise CliError("budget", detail, exit_code=Exit.USAGE)
    limit = {"cost_micro_usd": max(1, round(budget * 1_000_000))}
    return _Wish(text, go_on, limit if go_on is not None else {**limit, "at_limit": "stop"})


def _again(swarm: str | None, model: str | None, files: Path | None) -> list[str]:
    """Return the flags with which the command is repeated."""
    given = [("--swarm", swarm), ("--model", model), ("--files", None if files is None else str(files))]
    return [word for name, value in given if value is not None for word in (name, value)]


@dataclass
class _Begun:
    flags: list[str]
    task_id: str | None = None

    def command(self) -> str:
        assert self.task_id is not None, "the task is submitted"
        return " ".join([running.program(), "run", "--continue", self.task_id, *map(shlex.quote, self.flags)])


async def _run(own: RunSwarm, wish: _Wish, begun: _Begun, *, as_json: bool) -> Task:
    from swarmkeeper.clock import SystemEntropy
    from swarmkeeper.sdk.errors import ApiError

    suffix = SystemEntropy().secret(3).hex()
    current = asyncio.current_task()
    assert current is not None, "a coroutine runs in a task"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    async with own_server.orchestrator_for(flags.found()) as settings, connection.client_of(settings) as client:
        earlier = None if wish.go_on is None else await _earlier(client, wish)
        if earlier is not None and earlier.outcome is not None:
            task = earlier
        else:  # the bots first: without keys for them, no task is made
            async with own_server.bots_at_work(client, settings.url, own.bots, own.owners, suffix) as working:
                task = await run_swarm.first_of(_done(client, earlier, own, wish, begun), working)
        try:
            task = task.model_copy(update={"result": await client.result(task.id)})
        except ApiError as error:
            raise connection.refused(error, settings) from None
        _tell_end(task, own, as_json=as_json)  # here: the orchestrator may have to wait for other runs
        return task


async def _done(client: Client, earlier: Task | None, own: RunSwarm, wish: _Wish, begun: _Begun) -> Task:
    """Submit the task, or take the earlier one, and follow it to its end."""
    task = earlier
    if task is None:
        assert wish.text is not None, "there is a text, or a task to go on with"
        body = task_of(wish.text, own, wish.budget)
        connection.sendable(body)
        task = await client.submit(body)
    begun.task_id = task.id
    terminal.talk(f"task {task.id}; if this ends early, go on with: {begun.command()}")
    await _tell_of_others(client, task)
    looks = approval.watch_approvals(client, client.watch(task.id), go_on=True)
    why = partial(explain.with_explanation, client, task.id)
    return await follow(looks, RunView(own.unpriced), why, _messages())


async def _earlier(client: Client, wish: _Wish) -> Task:
    """Return the task to go on with, with its budget changed if that is asked for."""
    assert wish.go_on is not None, "a task to go on with is named"
    task = await client.get(wish.go_on)
    if not wish.budget or task.outcome is not None:
        return task
    if task.budget is None:
        detail = "--budget has no effect: a task that was submitted without a budget gets none later"
        raise CliError("budget", detail, exit_code=Exit.USAGE)
    return await client.patch(task.id, budget=wish.budget)


def task_of(text: str, own: RunSwarm, budget: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task for a sentence. A key of the environment that stands in it is hidden before it is sent."""
    from swarmkeeper.agents.masking import masked_json, masker

    words = text.strip()
    # A title has no control characters: a sentence that was copied may have.
    first = "".join(letter if letter.isprintable() else " " for letter in words.splitlines()[0]).strip() or "Task"
    title = first if len(first) <= _TITLE_LENGTH_MAX else f"{first[: _TITLE_LENGTH_MAX - 1]}…"
    body: dict[str, Any] = {
        "title": title,
        "labels": {_LABEL: "1"},
        "evaluation": own.evaluation,
        "planner_skills": list(own.planner_skills),
        "evaluator_skills": list(own.evaluator_skills),
        **({"budget": dict(budget)} if budget else {}),
        **({"description": words} if title != words else {}),
        **({"input": own.input} if own.input else {}),
        **({"max_rounds": own.max_rounds} if own.max_rounds is not None else {}),
    }
    masked: dict[str, Any] = masked_json(body, masker())
    return masked


async def _tell_of_others(client: Client, task: Task) -> None:
    """Say which earlier tasks the bots work on, too: they are in the same store, and nobody has ended them."""
    async for other in client.tasks(label=f"{_LABEL}:1"):
        if other.outcome is None and other.id != task.id:
            terminal.talk(
                f"the bots go on with an earlier task, too: {other.id} {on_one_line(other.title)[:60]}; "
                f"to end it: swarmkeeper task cancel {other.id}"
            )


def _messages() -> TextIO:
    """Return stderr, or where nothing is kept if the parent process closed it."""
    return sys.stderr or io.StringIO()


# ---- the end -------------------------------------------------------------------------------------------------------


def _tell_end(task: Task, own: RunSwarm, *, as_json: bool) -> None:
    if as_json:
        plain = task.model_dump(mode="json", by_alias=True, exclude_unset=True)
        fields = ("id", "title", "outcome", "result", "verdict", "failure", "usage", "round")
        terminal.say_json({name: plain.get(name) for name in fields})
    else:
        _say(task)
    if not watch.draws(_messages()):
        spent = RunView(own.unpriced).spent(task)
        terminal.talk(f"{task.id} {watch.task_state(task)}; {spent}")
    if str(task.outcome) != "accepted":
        terminal.talk("\n".join([*outcomes.of_verdict(task), *trouble.of_failure(task)] or [str(task.outcome)]))


def _say(task: Task) -> None:
    """Print the result alone: as text if it is text, else as JSON, or indented on a terminal."""
    if task.result is None:
        return
    texts = [output.get("text") for output in task.result.values() if isinstance(output, dict) and len(output) == 1]
    if texts and len(texts) == len(task.result) and all(isinstance(text, str) for text in texts):
        terminal.say(terminal.shown("\n\n".join(map(str, texts))))
    elif sys.stdout.isatty():
        say_result(task)
    else:
        terminal.say_json(task.result)
