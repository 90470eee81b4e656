"""The words of an explanation: the command line of a fix, and the summary of a task. It takes no decisions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from swarmkeeper.core.rules.explain import (
    RANK,
    CreateEvaluatorKey,
    EnableBot,
    EndKill,
    Fix,
    ListApprovals,
    RaiseTenantBudget,
    ResumeTask,
    RetryTask,
    RunBot,
    ShowApproval,
    TaskFacts,
    WaitingReason,
    Why,
)
from swarmkeeper.core.states import TASK_CLOSED, TaskStatus

DEFAULT_TENANT = "default"


def command(fix: Fix) -> str:
    """Return the command line that carries out a fix. FILE is a placeholder for the bot's file."""
    return shlex.join(["swarmkeeper", *_words(fix)])


def _words(fix: Fix) -> list[str]:
    match fix:
        case RunBot(skills, name):
            named = [] if name is None else ["--name", name]
            return ["bot", "run", "FILE", *named, *(word for skill in skills for word in ("--skill", skill))]
        case EnableBot(bot):
            return ["bot", "enable", bot]
        case ResumeTask(task):
            return ["task", "resume", task]
        case EndKill(kill):
            return ["kill", "lift", kill]
        case RetryTask(task):
            return ["task", "retry", task]
        case ShowApproval(approval):
            return ["approval", "show", approval]
        case ListApprovals():
            return ["approval", "list"]
        case RaiseTenantBudget(tenant):
            return ["tenant", "get", tenant]
        case CreateEvaluatorKey(owner, tenant):
            of_tenant = [] if tenant == DEFAULT_TENANT else ["--tenant", tenant]
            return ["key", "create", "--role", "bot:evaluator", "--owner", owner, *of_tenant]


def summary(
    task: TaskFacts, counts: Mapping[WaitingReason, int], first: tuple[str, Why] | None, *, failure: str = ""
) -> str:
    """Return one sentence on why the task waits or has ended.

    Args:
        counts: number of the task's items, by reason.
        first: the key of the item to name, and why it waits.
        failure: why a FAILED task failed.
    """
    if task.status in TASK_CLOSED:
        if task.status is TaskStatus.FAILED:
            return f"The task has ended: {failure or 'failed'}; `{command(RetryTask(task.task))}` reopens it."
        return "The task has ended; nothing waits."
    if first is None:
        if task.loading:
            return "The rows of its plan are still being written; this finishes by itself."
        return "Nothing waits; the task is about to continue by itself."
    key, why = first
    rest = dict(counts)
    rest[why.reason] = rest.get(why.reason, 1) - 1
    more = [f"{rest[reason]} {reason}" for reason in sorted(rest, key=RANK.__getitem__) if rest[reason] > 0]
    about = f"{key} waits" if key else "The task waits"
    loading = " (the rows of its plan are still being written)" if task.loading and why.reason != "queued" else ""
    text = f"{about} [{why.reason}]: {why.detail}{loading}" + (f"; also waiting: {', '.join(more)}" if more else "")
    return text if text.endswith(("?", "!", ".", "…")) else f"{text}."
