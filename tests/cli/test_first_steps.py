"""The first hour of a new user: a bot beside `dev`, several in a file, a task and its result."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmkeeper.app import make_log
from swarmkeeper.cli.admin import roles
from swarmkeeper.cli.framework.terminal import CliError
from swarmkeeper.cli.framework.typed_calls import PAGES_MAX, TypedCalls
from swarmkeeper.cli.tasks import outcomes
from swarmkeeper.clock import SystemClock
from swarmkeeper.govern import access
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.sdk import bot_logs
from swarmkeeper.sdk.errors import Busy, FieldProblem, Refused
from swarmkeeper.settings import Settings
from swarmkeeper.wire.answers import Task
from tests.cli.conftest import Running
from tests.cli.shell import Server, Shell
from tests.sdk.script import Script, refusal, task, virtually

BOT = """
from swarmkeeper import Done, executor, run

@executor(skills={"count"})
def count(subtask):
    return Done({"words": len(subtask.input["text"].split())})

if __name__ == "__main__":
    run(count)
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run `dev` in a folder, and return the folder."""
    folder = tmp_path_factory.mktemp("dev")
    server = Server("dev", "--port", "0", "--no-demo", "--json", folder=folder)
    try:
        server.first_line()
        yield folder
    finally:
        assert server.stop() == 0, server.said()


def typed(folder: Path, *words: str, forked: bool = True) -> str:
    """Run a command as a process; it must succeed. Return what it printed."""
    if words[0].endswith(".py"):
        run = Server(folder=folder, program=words, forked=forked)
    else:
        run = Server(*words, folder=folder, forked=forked)
    assert run.process.stdout is not None
    said = run.process.stdout.read()
    assert run.end() == 0, run.said()
    return said


def test_a_bot_started_by_python_finds_the_folder_of_dev(dev: Path) -> None:
    (dev / "bot.py").write_text(BOT)
    (dev / "hand_in.py").write_text("""
from swarmkeeper import sync

with sync.Client() as swarm:
    work = {"key": "main", "description": "count", "required_skills": ["count"], "input": {"text": "to be"}}
    task = swarm.submit("Count", subtasks=[work], evaluation="none")
    swarm.wait(task.id, timeout=50)
    print(swarm.result(task.id))
""")
    bot = Server(folder=dev, program=("bot.py",), forked=True)
    try:
        said = typed(dev, "hand_in.py", forked=False)
    finally:
        code = bot.stop()

    assert said == "{'main': {'words': 2}}\n", bot.said()
    assert code == 0


SEVERAL = """
from swarmkeeper import Done, ExecutorBot, executor

class Base(ExecutorBot):
    skills = {"loud"}

class Loud(Base):
    def execute(self, subtask):
        return Done({"said": "HERE"})

@executor(skills={"quiet"})
def quiet(subtask):
    return Done({"said": "here"})

alias = quiet
"""


def test_bot_run_of_a_file_with_several_bots_lists_the_command_for_each(shell: Shell) -> None:
    (shell.folder / "several.py").write_text(SEVERAL)

    for target in ("several.py", "several.py:Laut"):
        said = shell("bot", "run", target)

        assert said.code == 2
        commands = [line.partition("bot run ")[2] for line in said.err.splitlines() if line.startswith("  run")]
        assert commands == ["several.py:Loud", "several.py:quiet"], said.err
    assert "bot run several.py --all" in shell("bot", "run", "several.py").err
    (shell.folder / "base.py").write_text("from swarmkeeper import ExecutorBot\nclass Unwritten(ExecutorBot): ...\n")
    assert "Unwritten needs a method execute" in shell("bot", "run", "base.py").err
    for words in (["--name", "x"], ["--skill", "x"]):
        assert "--all runs all bots" in shell("bot", "run", "several.py", "--all", *words).err
    assert shell("bot", "run", "several.py:quiet", "--all").code == 2


SKILLS = ("loud", "quiet")


def test_bot_run_all_runs_every_bot_of_a_file_in_one_process(dev: Path) -> None:
    (dev / "several.py").write_text(SEVERAL)
    bots = Server("bot", "run", "several.py", "--all", folder=dev)
    try:
        said = [typed(dev, "submit", "Say", "--skill", skill, "--no-review", "--wait", "--json") for skill in SKILLS]
    finally:
        code = bots.stop()

    assert [json.loads(line)["result"] for line in said] == [
        {"main": {"said": "HERE"}},
        {"main": {"said": "here"}},
    ]
    assert code == 0, bots.said()


@pytest.mark.parametrize(
    ("end", "line"),
    [("run(count)", 7), ("def main():\n    run(count)\n\nmain()", 10), ("asyncio.run(serve([count], Client()))", 7)],
)
def test_a_file_that_runs_its_bot_on_import_is_refused_with_the_line_to_change(
    end: str, line: int, shell: Shell
) -> None:
    head = "import asyncio\nfrom swarmkeeper import Client, Done, executor, run\n"
    head += "from swarmkeeper.sdk.runner import serve\n"
    (shell.folder / "unguarded.py").write_text(f"{head}@executor\ndef count(subtask):\n    return Done({{}})\n{end}\n")
    last = end.splitlines()[-1]

    for target in ("unguarded.py:count", "unguarded.py", "unguarded"):
        sys.modules.pop("unguarded", None)
        said = shell("bot", "run", target, "--url", "http://127.0.0.1:9")

        assert said.code == 2
        assert f"unguarded.py:{line}: {last}\n" in said.err
        assert f'if __name__ == "__main__":\n           {last}\n' in said.err
    said = shell("simulate", "--bots", "unguarded.py:count", "--seeds", "1", "--hours", "0.1")
    assert "unguarded.py cannot be loaded: it runs bots" in said.err, said


def test_bots_without_a_name_are_called_as_in_their_file_each_time_they_are_started(dev: Path) -> None:
    (dev / "named.py").write_text(SEVERAL)
    for _ in range(2):
        bots = Server("bot", "run", "named.py", "--all", folder=dev)
        try:
            typed(dev, "submit", "Say", "--skill", "loud", "--no-review", "--wait")
            typed(dev, "submit", "Say", "--skill", "quiet", "--no-review", "--wait")
        finally:
            assert bots.stop() == 0, bots.said()

    names = [json.loads(line)["name"] for line in typed(dev, "bot", "list", "--json").splitlines()]

    assert {"Loud", "quiet"} <= set(names)
    assert not any(name.startswith("bot_") for name in names)


# ---- what is typed and shown ---------------------------------------------------------------------------------------


def test_eight_characters_of_an_id_are_enough_if_they_are_unique(at: Shell) -> None:
    tasks = [at("submit", f"t{number}").out.strip() for number in range(2)]
    bot = at("api", "POST", "/bots/register", "--data", '{"type": "Executor", "version": "1"}').json["id"]
    known = [json.loads(line)["id"] for line in at("task", "list", "--json").out.splitlines()]

    for id_ in tasks:
        length = next(n for n in range(12, 31) if sum(other.startswith(id_[:n]) for other in known) == 1)
        assert at("task", "get", id_[:length], "--json").json["id"] == id_
    assert at("bot", "get", bot[:20], "--json").json["id"] == bot
    assert at("task", "get", "tsk_00000000").code == 5
    assert at("task", "get", "tsk_VVVVVVVV").code == 5
    assert at("task", "get", tasks[0][:11]).code == 5  # seven characters are too few
    assert at("task", "cancel", tasks[0][:25]).code == 0


async def test_an_ambiguous_short_id_lists_the_matches_after_a_bounded_number_of_calls() -> None:
    script = Script()
    ids = [f"tsk_06H1LQ8A{number:018d}" for number in range(3)]
    script.on("GET", "/tasks", {"items": [{"id": id_} for id_ in ids], "next_page_token": ""})
    calls = TypedCalls.like(script.client().calls)

    with pytest.raises(CliError, match="matches 3") as told:
        await calls.call("GET", "/tasks/tsk_06H1LQ8A/subtasks/tsk_06H1LQ8A")
    assert [value for _, value in told.value.facts] == ids

    script.on("GET", "/bots", *({"items": [], "next_page_token": "more"} for _ in range(99)))
    with pytest.raises(CliError, match="too many"):
        await calls.call("GET", "/bots/bot_06H1LQ8A")
    assert len(script.to("GET", "/bots")) == PAGES_MAX


def test_a_full_backlog_is_reported_at_once_with_the_limit_and_a_fix(shell: Shell, at: Shell, running: Running) -> None:
    key = at("key", "create", "--store", running.store, "--role", "admin", "--tenant", "small").out.strip()
    assert at("tenant", "set", "small", "--max-backlog", "0", "--store", running.store).code == 0
    at.set(SWARMKEEPER_API_KEY=key)

    script = Script()
    script.on("POST", "/tasks", *(refusal(429, "backlog_full") for _ in range(9)))
    with pytest.raises(Busy):
        virtually(TypedCalls.like(script.client().calls).call("POST", "/tasks", {}))
    assert len(script.to("POST", "/tasks")) == 1
    said = at("submit", "One more")
    assert "error[backlog_full]: 0 tasks are open, and no more than 0 may be" in said.err
    assert "swarmkeeper tenant set" in said.err


def test_key_create_lists_all_roles_with_what_each_may(shell: Shell) -> None:
    assert roles.ROLES.keys() == access.ROLES.keys()
    assert all(role in roles.HELP for role in access.ROLES)

    said = shell("key", "create", "--role", "manager")

    assert said.code == 2
    assert [line.split()[1] for line in said.err.splitlines() if line.startswith("  role")] == list(access.ROLES)


def test_refusals_have_the_codes_of_the_api() -> None:
    error = Refused("invalid", "no", problems=[FieldProblem("/x", "invalid", "must be a number")])

    assert error.errors == error.problems != ()


RESULT = {
    "count": {"words": 6, "sure": True, "names": ["a", "b"], "none": {}},
    "text": {"summary": "one\ntwo\x1b[2J"},
    "big": {"$ref": "/x", "sha256": "0", "bytes": 70_000},
}
SHOWN = """count:
  words: 6
  sure: yes
  names:
    - a
    - b
  none: (empty)
text:
  summary:
    one
    two\\x1b[2J
big: 70000 bytes; see: swarmkeeper task result tsk_1 big
"""


def test_a_result_is_shown_to_people_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes.say(Task.model_validate(task() | {"result": RESULT}))

    assert capsys.readouterr().out == SHOWN

    outcomes.say(Task.model_validate(task() | {"result": {"list": list(range(500))}}))
    said = capsys.readouterr()
    assert said.out.count("\n") == outcomes.LINES_MAX
    assert "and 441 more lines; complete, as JSON: swarmkeeper task result tsk_1" in said.err


def test_logs_on_a_terminal_are_readable_text(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    log = make_log(Settings(), Rulebook(Redactor.default()), SystemClock())

    log("store_unavailable", error="disk full", bot="bot_06H1M7P9LGLR9AS9PSPEBCB7UQ", evil="\x1b[2J")
    bot = bot_logs._ForPeople().format(logging.makeLogRecord({"msg": "count: registered", "levelname": "INFO"}))
    monkeypatch.setenv("NO_COLOR", "1")
    log("stalled")

    first, second = out.getvalue().splitlines()
    level = "\x1b[33mWARNING\x1b[0m"
    facts = 'error="disk full" bot=bot_…PEBCB7UQ evil="\\u001b[2J"'
    assert first[8:] == f" {level} store unavailable  {facts}"
    assert re.fullmatch(r"\d\d:\d\d:\d\d \x1b\[32mINFO   \x1b\[0m count: registered", bot)
    assert second[8:] == " WARNING stalled"
