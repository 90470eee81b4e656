"""`approval …` as people type it, and waiting for a task that needs a person."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Running
from tests.cli.shell import Server, Shell

BOT = """
from swarmkeeper import Ask, Context, Done, ExecutorBot, SubTask

class Painter(ExecutorBot):
    skills = {"paint"}

    def execute(self, subtask: SubTask, context: Context):
        if not context.answers:
            return Ask("which\\ncolour?", **subtask.input)
        return Done({"colour": context.answers[0].answer})
"""


@pytest.fixture(scope="module")
def painter(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("painter")
    (folder / "painter_bot.py").write_text(BOT)
    environ = {"SWARMKEEPER_URL": running.url, "SWARMKEEPER_API_KEY": running.key}
    bot = Server("bot", "run", "painter_bot.py:Painter", "--name", "painter", folder=folder, environ=environ)
    yield bot
    assert bot.stop() == 0, bot.said()


def planned(at: Shell) -> tuple[str, Any]:
    """Return a task whose plan needs approval, and the approval."""
    body = {"title": "x", "approval": "plan", "evaluation": "none", "subtasks": [{"key": "a", "description": "do it"}]}
    (at.folder / "task.json").write_text(json.dumps(body))
    task = at("submit", "-f", "task.json").out.strip()
    return task, json.loads(at("approval", "list", "--task", task, "--json").out)


def asked(at: Shell, **question: Any) -> tuple[str, str]:
    """Submit a task whose bot asks a question, with a command that does not wait; return the ids of both."""
    (at.folder / "input.json").write_text(json.dumps(question))
    said = at("submit", "paint", "--skill", "paint", "--input", "@input.json", "--no-review", "--wait",
              "--no-wait-approval", "--timeout-seconds", "60", "--json")  # fmt: skip
    assert said.code == 8, said.err
    error = json.loads(said.err.splitlines()[-1])["error"]
    assert error["code"] == "needs_approval"
    facts = dict(error["facts"])
    return facts["task"], facts["approval"].split()[0]


def test_open_approvals_are_listed_and_shown_with_the_command_that_decides_them(at: Shell) -> None:
    task, approval = planned(at)

    listed = at("approval", "list")
    shown = at("approval", "show", approval["id"])

    assert approval["id"] in listed.out
    assert approval["task_id"] == task
    assert f"swarmkeeper approval approve {approval['id']} --subject-hash {approval['subject_hash']}" in shown.out
    assert "do it" in shown.out
    assert at("approval", "show", approval["id"], "--json").json == approval
    assert at("approval", "list", "--state", "decided", "--task", task).out.count("\n") == 1
    assert at("approval", "list", "--state", "all", "--task", task, "--json").json == approval


def test_an_approved_plan_cannot_be_rejected(at: Shell) -> None:
    task, approval = planned(at)

    stale = at("approval", "approve", approval["id"], "--subject-hash", "0")
    done = at("approval", "approve", approval["id"], "--comment", "fine", "--json")
    late = at("approval", "reject", approval["id"], "--reason", "no")

    assert (stale.code, stale.err.splitlines()[0][:21]) == (6, "error[stale_approval]")
    assert (done.code, done.json["decision"]["comment"]) == (0, "fine")
    assert late.code == 6
    assert "error[already_decided]" in late.err
    assert at("task", "get", task, "--json").json["holds"] == []
    assert "fine" in at("approval", "show", approval["id"]).out


def test_a_rejected_plan_ends_its_task_and_a_waiting_command_with_3(at: Shell) -> None:
    task, approval = planned(at)

    assert at("approval", "reject", approval["id"], "--reason", "too dear").code == 0

    watched = at("task", "watch", task)
    assert watched.code == 3
    assert "approval_denied" in watched.err


def test_with_no_wait_approval_a_command_exits_with_8(at: Shell) -> None:
    task, approval = planned(at)

    watched = at("task", "watch", task, "--no-wait-approval")
    waits_on = at("task", "watch", task, "--timeout-seconds", "1")

    assert watched.code == 8
    assert f"swarmkeeper approval approve {approval['id']}" in watched.err
    assert waits_on.code == 7
    assert waits_on.err.count(f"swarmkeeper approval show {approval['id']}") == 1
    assert f"swarmkeeper approval approve {approval['id']} --subject-hash" in waits_on.err


def test_a_question_is_answered_with_one_of_its_choices(at: Shell, painter: Server) -> None:
    task, question = asked(at, choices=["red", "blue"])

    assert at("approval", "answer", question, "green").code == 1
    assert at("approval", "answer", question, "blue").code == 0
    assert at("task", "watch", task, "--timeout-seconds", "60").code == 0
    assert at("task", "result", task).json == {"main": {"colour": "blue"}}


def test_a_question_with_a_schema_is_answered_with_json(at: Shell, painter: Server) -> None:
    task, question = asked(at, schema={"type": "array", "items": {"type": "integer"}})
    (at.folder / "rgb.json").write_text("[0, 0, 255]")

    refused = at("approval", "answer", question, "--value", '["x"]')
    assert refused.code == 1
    assert "/answer/0" in refused.err
    assert at("approval", "answer", question, "--value", "@rgb.json").code == 0
    assert at("task", "watch", task, "--timeout-seconds", "60").code == 0
    assert at("task", "result", task).json == {"main": {"colour": [0, 0, 255]}}


def test_a_bots_question_cannot_write_lines_of_its_own(at: Shell, painter: Server) -> None:
    task, question = asked(at)

    shown = at("approval", "show", question)

    assert "which\\ncolour?" in shown.out
    assert at("approval", "reject", question, "--reason", "no").code == 0
    assert at("task", "watch", task, "--timeout-seconds", "60").code == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["list", "--state", "lost"], 2),
        (["show", "apr_0"], 5),
        (["approve", "apr_0"], 5),
        (["answer", "apr_0"], 2),
        (["answer", "apr_0", "a", "--value", "1"], 2),
        (["answer", "apr_0", "--value", "{"], 2),
        (["answer", "apr_0", "--value", "@nowhere"], 2),
        (["reject", "apr_0"], 2),
    ],
)
def test_each_invalid_decision_has_its_exit_code(at: Shell, words: list[str], code: int) -> None:
    assert at("approval", *words).code == code


def test_a_client_may_read_approvals_but_not_decide_them(at: Shell, running: Running) -> None:
    task, approval = planned(at)
    made = at("key", "create", "--store", running.store, "--role", "client", "--scope", "tenant", "--json").json
    at.set(SWARMKEEPER_API_KEY=made["key"])

    assert at("approval", "list", "--task", task).code == 0
    assert at("approval", "approve", approval["id"]).code == 4
    assert at("approval", "list").code == 4
