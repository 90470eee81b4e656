"""The exact words of explanations: the API and the CLI show them as they are, so scripts may depend on them."""

from __future__ import annotations

import pytest

from swarmkeeper.core.rules.explain import (
    CreateEvaluatorKey,
    EnableBot,
    Fix,
    ListApprovals,
    ResumeTask,
    RetryTask,
    RunBot,
    ShowApproval,
    TaskFacts,
    WaitingReason,
    Why,
)
from swarmkeeper.core.states import TaskStatus
from swarmkeeper.reads import wording


@pytest.mark.parametrize(
    ("fix", "command"),
    [
        (RunBot(()), "swarmkeeper bot run FILE"),
        (RunBot(("count", "a b")), "swarmkeeper bot run FILE --skill count --skill 'a b'"),
        (RunBot(("count",), "n-2"), "swarmkeeper bot run FILE --name n-2 --skill count"),
        (RunBot((), "x; rm -rf /"), "swarmkeeper bot run FILE --name 'x; rm -rf /'"),
        (EnableBot("bot_1"), "swarmkeeper bot enable bot_1"),
        (ResumeTask("tsk_1"), "swarmkeeper task resume tsk_1"),
        (RetryTask("tsk_1"), "swarmkeeper task retry tsk_1"),
        (ShowApproval("apr_1"), "swarmkeeper approval show apr_1"),
        (ListApprovals(), "swarmkeeper approval list"),
        (CreateEvaluatorKey("us", "default"), "swarmkeeper key create --role bot:evaluator --owner us"),
        (CreateEvaluatorKey("us", "b"), "swarmkeeper key create --role bot:evaluator --owner us --tenant b"),
    ],
)
def test_each_fix_is_one_command_line(fix: Fix, command: str) -> None:
    assert wording.command(fix) == command


def summary(status: TaskStatus, first: tuple[str, Why] | None, *, loading: bool = False, failure: str = "") -> str:
    task = TaskFacts(task="tsk_1", tenant="default", status=status, since=0, loading=loading)
    counts = {WaitingReason.DEPENDENCY: 2, WaitingReason.PAUSED: 1}
    return wording.summary(task, counts if first else {}, first, failure=failure)


def test_the_summary_of_an_ended_task_says_how_to_reopen_a_failed_one() -> None:
    assert summary(TaskStatus.FAILED, None, failure="boom [retries_exhausted]") == (
        "The task has ended: boom [retries_exhausted]; `swarmkeeper task retry tsk_1` reopens it."
    )
    assert summary(TaskStatus.FAILED, None) == (
        "The task has ended: failed; `swarmkeeper task retry tsk_1` reopens it."
    )
    assert summary(TaskStatus.ARCHIVED, None) == "The task has ended; nothing waits."


def test_the_summary_of_an_open_task_names_its_first_reason() -> None:
    paused = Why(WaitingReason.PAUSED, "its task is paused")

    assert summary(TaskStatus.IN_PROGRESS, ("a", paused)) == (
        "a waits [paused]: its task is paused; also waiting: 2 dependency."
    )
    assert summary(TaskStatus.IN_PROGRESS, ("", paused), loading=True) == (
        "The task waits [paused]: its task is paused (the rows of its plan are still being written);"
        " also waiting: 2 dependency."
    )
    assert summary(TaskStatus.IN_PROGRESS, None) == "Nothing waits; the task is about to continue by itself."
    assert summary(TaskStatus.IN_PROGRESS, None, loading=True) == (
        "The rows of its plan are still being written; this finishes by itself."
    )
