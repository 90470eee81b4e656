"""`isolation="process"`: what an attempt does to its process, and leaves behind, ends with that attempt."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import Accept, Done, ExecutorBot, Plan, SubTask, Task, evaluator, executor, planner
from swarmkeeper.cli.bots import bot_files
from swarmkeeper.sdk.attempts.failures import OwnCode
from swarmkeeper.sdk.attempts.user_code import Returned
from swarmkeeper.sdk.context import Context, Outbox
from swarmkeeper.sdk.processes.isolation import CannotIsolate, Children, Job
from swarmkeeper.testing import run_swarm, running_swarm
from swarmkeeper.wire.answers import BotMessage, Feedback
from tests.sdk.alive import Alive
from tests.sdk.isolated_bots import Talks, Worst, shout

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("little_grace")


def doing(what: str, skill: str = "worst", **given: Any) -> dict[str, Any]:
    subtask = {"key": "it", "description": "", "required_skills": [skill], "input": {"do": what, **given}}
    return {"title": what or "it", "evaluation": "none", "subtasks": [{**subtask, "max_attempts": 1}]}


def outcome_of(task: Task) -> Any:
    """Return the output of the task's only subtask, or how it failed."""
    return task.result["it"] if task.result else task.outcome


def test_each_way_to_break_the_process_fails_only_its_own_attempt(
    alive: Alive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "swarmkeeper.bot")
    whats = [
        *("exits", "exits_at_once", "crashes", "is_killed", "raises", "answers_nothing"),
        *("writes_everywhere", "closes_everything", "forks", "leaves_children", "work"),
    ]
    bot = Worst("hello")
    bot.capacity = 3

    tasks = run_swarm([bot], [doing(what, **{"with": str(alive.path)}) for what in whats])

    outcomes = dict(zip(whats, map(outcome_of, tasks), strict=True))
    work = outcomes.pop("work")
    assert work["text"] == "hello"
    assert os.getpid() not in (work["process"], work["parent"])
    assert outcomes.pop("forks") == {"from": "the process"}
    assert outcomes.pop("leaves_children") == {"left": "up"}
    assert alive.nobody()
    assert set(outcomes.values()) == {"failed"}
    logged = [record.getMessage() for record in caplog.records]
    failures = {line.partition(" failed: ")[2].splitlines()[0] for line in logged if " failed: " in line}
    closed = "the pipe to the bot is gone: the code in here closed it (Bad file descriptor)"
    died = "the child process {} before it answered"
    assert {line for line in failures if "isolated_bots.py" not in line} == {
        f"{died.format('ended with exit code 4')}; the last line it wrote: printed",
        f"{died.format('was ended by SIGKILL')} (out of memory?); the last line it wrote: printed",
        f"{died.format('ended with exit code 1')}; the last line it wrote: {closed}",
        "the child process wrote an invalid message to the pipe to its bot; the last line it wrote: printed",
    }
    own = {line.partition(" (at isolated_bots.py:")[0]: line for line in failures if "isolated_bots.py" in line}
    assert set(own) == {
        "SystemExit: usage: none",
        died.format("was ended by SIGSEGV"),
        "ZeroDivisionError: division by zero",
    }
    assert "in crashes)" in own[died.format("was ended by SIGSEGV")]
    assert any(line.endswith(": printed") for line in logged)


async def test_a_child_that_hangs_is_killed_soon_after_its_work_is_cancelled(alive: Alive) -> None:
    async with running_swarm([Worst()]) as client:
        hanging = await client.submit(doing("hangs", **{"with": str(alive.path)}))
        assert await asyncio.to_thread(alive.hears) == "up"

        await client.cancel(hanging.id)

        await asyncio.to_thread(alive.wait_until_dead)
        after = await client.submit(doing("work"))
        assert (await client.wait(after.id, timeout=60)).outcome == "accepted"


BOT = """
import asyncio, sys
from dataclasses import dataclass
from swarmkeeper import Context, Done, ExecutorBot, SubTask


@dataclass
class Command:
    text: str


class Runs(ExecutorBot):
    isolation = "process"

    def __init__(self, command: Command | None = None) -> None:
        self.command = command or Command("exit 7")

    def execute(self, subtask: SubTask, context: Context) -> Done:
        return Done({"code": context.run_sync(self.command.text).code})


async def main() -> None:
    from swarmkeeper.sdk.context import Outbox
    from swarmkeeper.sdk.attempts.failures import OwnCode
    from swarmkeeper.sdk.processes.isolation import Children, Job

    bot = Runs(Command(sys.argv[1]))
    children = Children(bot, lambda: "runs", OwnCode(bot.code()))
    await children.warm()
    outbox = Outbox(Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1))
    subtask = SubTask(id="sub_1", parent_task_id="tsk_1", description="")
    await children.start(Job(subtask, outbox.about()), outbox, print).outcome


if __name__ == "__main__":
    asyncio.run(main())
"""


def test_killing_a_bot_run_with_python_m_kills_its_children(alive: Alive, tmp_path: Path) -> None:
    (tmp_path / "my_bot.py").write_text(BOT)
    command = f"exec 9>{alive.path}; echo up >&9; sleep 1000"
    bot = subprocess.Popen([sys.executable, "-m", "my_bot", command], cwd=tmp_path)
    assert alive.hears() == "up\n"

    bot.kill()
    bot.wait()

    alive.wait_until_dead()


def test_children_can_make_bots_of_the_command_line_and_bots_of_functions(tmp_path: Path) -> None:
    file = tmp_path / "my-bot.v3.py"
    file.write_text(BOT)

    [hung, shouted] = run_swarm(
        [bot_files.load(f"{file}:Runs"), shout],
        [{"title": "run", "subtasks": [{"key": "it", "description": ""}]}, doing("", "shout", text="hello")],
    )

    assert outcome_of(hung) == {"code": 7}
    assert outcome_of(shouted)["text"] == "HELLO"
    assert outcome_of(shouted)["process"] != os.getpid()


async def test_the_context_works_in_a_child_as_in_the_parent() -> None:
    heard = BotMessage(
        from_bot="other", to_bot=None, task_id="tsk_1", payload={"text": "hello"}, timestamp="2026-01-01T00:00:00Z"
    )
    context = Context(
        task_id="tsk_1",
        work_id="sub_1",
        lease_id="lse_1",
        attempt=3,
        feedback=[Feedback(round=1, text="better")],
        upstream={"a": {"b": [1, None]}},
        resumed_from=[1],
    )
    outbox = Outbox(context)
    bot = Talks()
    children = Children(bot, lambda: "talks", OwnCode(bot.code()))
    await children.warm()
    subtask = SubTask(id="sub_1", parent_task_id="tsk_1", description="", required_skills=[], input={"text": "input"})
    try:
        running = children.start(Job(subtask, outbox.about()), outbox, pytest.fail)
        outbox.receive(heard)
        outcome = await running.outcome
    finally:
        children.close()

    assert isinstance(outcome, Returned)
    assert str(outcome.value) == "Later(seconds=7, why='0 better input')"
    beat = outbox.heartbeat()
    assert beat["progress"] == {"fraction": 0.5, "message": "from a command", "log": ["line 3", "from a command"]}
    assert beat["usage"] == {"tokens": 7, "cost_micro_usd": 5}
    assert beat["checkpoint"] == {"from": [1], "upstream": {"a": {"b": [1, None]}}}
    assert [(each.to_bot, each.payload) for each in outbox.messages()] == [("other", {"heard": "hello"})]


SERVES = """
from swarmkeeper import Done, ExecutorBot, run


class Serves(ExecutorBot):
    isolation = "process"

    def execute(self, subtask):
        return Done({})


run(Serves())
"""


def test_a_file_that_runs_its_bot_on_import_gets_an_error(tmp_path: Path) -> None:
    file = tmp_path / "serves.py"
    file.write_text(SERVES)

    ended = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "swarmkeeper: isolation='process': the bot cannot be made in a child process: RuntimeError: "
        'the bot\'s file serves it whenever it is imported: put that under `if __name__ == "__main__":`'
    )


def refusal(bot: ExecutorBot) -> str:
    with pytest.raises(CannotIsolate) as refused:
        run_swarm([bot], [doing("work")])
    return str(refused.value)


def test_a_bot_that_a_child_cannot_make_is_refused_before_it_takes_work() -> None:
    class Local(Worst):
        pass

    assert "at the top of a file" in refusal(Local())
    assert "at the top of a file" in refusal(executor(isolation="process")(lambda subtask: Done({})))
    assert "what it was made with cannot go there" in refusal(Worst(text=threading.Lock()))  # type: ignore[arg-type]  # on purpose
    changed = Worst()
    changed.model = "large"  # type: ignore[attr-defined]  # the mistake under test
    assert "has model in the bot's process, set after it was made" in refusal(changed)


def test_only_executors_can_be_isolated_and_only_in_a_process() -> None:
    @planner
    def plan(task: object) -> Plan:
        return Plan([])

    plan.isolation = "process"  # type: ignore[attr-defined]  # planners have no such setting
    with pytest.raises(TypeError, match="a planner cannot be isolated, only an executor"):
        run_swarm([plan], [{"title": "plan"}])
    with pytest.raises(TypeError, match="no setting 'isolation'"):
        evaluator(isolation="process")(lambda candidate: Accept())
    with pytest.raises(TypeError, match="isolation is 'process', or left out"):
        executor(isolation="thread")(lambda subtask: Done({}))
    with pytest.raises(TypeError, match="takes no arguments"):
        ExecutorBot("text")


def test_in_virtual_time_the_code_runs_in_the_same_process() -> None:
    [worked, talked] = run_swarm(
        [Worst("here"), shout], [doing("work"), doing("", "shout", text="x")], virtual_time=True
    )

    assert outcome_of(worked)["process"] == os.getpid()
    assert outcome_of(talked)["process"] == os.getpid()
