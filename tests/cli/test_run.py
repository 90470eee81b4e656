"""`run`: one sentence to a result. A script says what models say; the small model shows that it works."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from swarmkeeper.ai import local
from swarmkeeper.cli.serving.run_view import RunView
from swarmkeeper.wire.answers import Task
from tests.cli.shell import Server, Shell

MODELS = """
import os, pathlib, time
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.usage import RequestUsage

HERE = pathlib.Path(__file__).parent

def said(part):
    return ModelResponse(parts=[part], usage=RequestUsage(input_tokens=1000, output_tokens=0))

def answer(messages, info):
    fields = info.output_tools[0].parameters_json_schema["properties"] if info.output_tools else {}
    name = info.output_tools[0].name if info.output_tools else ""
    if "steps" in fields:
        secret = os.environ.get("MY_PROVIDER_API_KEY", "it")
        step = {"key": "write", "description": f"Write {secret}.", "skill": "swarm.work", "uses_input": True}
        return said(ToolCallPart(name, {"steps": [step, step | {"key": "improve", "after": ["write"]}]}))
    if "judgements" in fields:
        met = not (HERE / "reject").exists()
        judged = {"criterion": 1, "met": met, "reason": f"It buzzes {os.environ.get('MY_PROVIDER_API_KEY', '')}."}
        cited = {"evidence": [{"subtask": "improve", "quote": "Bees buzz"}]} if met else {"subtask": "improve"}
        return said(ToolCallPart(name, {"judgements": [judged | cited], "decision": "accept" if met else "reject"}))
    mine = "wait-another" if "Write another" in str(messages) else "wait"
    while (HERE / mine).exists():
        time.sleep(0.02)
    returned = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    if (HERE / "look").exists() and not returned:
        return said(ToolCallPart("read_file", {"path": (HERE / "look").read_text()}))
    seen = f" {returned[0].content}" if returned else ""
    more = (HERE / "say").read_text() if (HERE / "say").exists() else ""
    return said(TextPart(f"Bees buzz.{seen}{more}"))
"""
MODEL = "python:models.py:answer"
SWARM = f"""
[models.main]
use = ["{MODEL}"]
[[bots]]
type = "planner"
model = "main"
[[bots]]
type = "executor"
skills = ["swarm.work"]
model = "main"
[[bots]]
type = "evaluator"
model = "main"
"""
PRICE = f'models."{MODEL}" = {{ input = 1000, output = 0 }}\n'  # a request costs a dollar
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")


@pytest.fixture
def scripted(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    (shell.folder / "models.py").write_text(MODELS)
    (shell.folder / "swarm.toml").write_text(SWARM)
    (shell.folder / "prices.toml").write_text(PRICE)
    return shell


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def goes_on_with(text: str) -> list[str]:
    """Return the words of the command that the text says."""
    found = re.search(r"run (--continue .*)", text)
    assert found is not None, text
    return ["run", *found[1].split()]


# ---- content -------------------------------------------------------------------------------------------------------


def test_a_sentence_becomes_a_plan_a_result_a_verdict_and_a_bill(scripted: Shell) -> None:
    said = scripted("run", "Write a haiku about bees")

    assert (said.code, said.out) == (0, "Bees buzz.\n")
    assert "plan: 2 subtasks: write, improve" in said.err
    assert "verdict: accept" in said.err
    assert "spent $4.00, 4,000 tokens" in said.err
    assert (scripted.folder / ".swarmkeeper" / ".gitignore").read_text().endswith("*\n")


def test_json_is_one_object_with_everything(scripted: Shell) -> None:
    said = scripted("run", "Write a haiku about bees", "--json", "--budget", "10")

    assert said.code == 0
    assert said.json["outcome"] == "accepted"
    assert said.json["result"] == {"improve": {"text": "Bees buzz."}}
    assert said.json["verdict"]["decision"] == "accept"
    assert said.json["usage"] == {"tokens": 4_000, "cost_micro_usd": 4_000_000}


def test_a_rejected_result_is_printed_and_exits_with_3(scripted: Shell) -> None:
    (scripted.folder / "reject").touch()

    said = scripted("run", "Write a haiku about bees")

    assert (said.code, said.out) == (3, "Bees buzz.\n")
    assert "verdict: reject" in said.err


def test_the_swarm_that_ships_works_with_the_model_that_is_named(scripted: Shell) -> None:
    (scripted.folder / "swarm.toml").unlink()

    said = scripted("run", "Write a haiku about bees", "--model", MODEL)

    assert (said.code, said.out) == (0, "Bees buzz.\n")
    assert "swarm: the swarm that ships, 5 bots" in said.err


def test_a_named_model_takes_the_place_of_those_of_the_file(scripted: Shell) -> None:
    (scripted.folder / "swarm.toml").write_text(SWARM.replace(MODEL, "openai:gpt-5.2"))  # whose key is missing

    assert "OPENAI_API_KEY" in scripted("run", "Write a haiku").err
    assert scripted("run", "Write a haiku", "--model", MODEL).code == 0


# ---- before it begins ----------------------------------------------------------------------------------------------


def test_without_a_key_or_model_one_screen_says_what_to_set(scripted: Shell) -> None:
    (scripted.folder / "swarm.toml").unlink()

    said = scripted("run", "Write a haiku about bees")

    assert (said.code, said.out) == (2, "")
    lines = said.err.splitlines()
    assert len(lines) < 24
    for word in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "--model local", "weak", "swarm.toml"):
        assert word in said.err
    assert not (scripted.folder / ".swarmkeeper").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what to do"),
        (["", "--model", MODEL], "the task is empty"),
        (["Do it", "--continue", "tsk_1"], "takes no new task"),
        (["Do it", "--budget", "nan"], "a number of US dollars"),
        (["Do it", "--budget", "0"], "a number of US dollars"),
        (["Do it", "--files", "nowhere"], "no directory"),
        (["Do it", "--model", "gpt"], "provider:name"),
        (["Do it", "--swarm", "other.toml"], "cannot be read"),
        (["--continue", "tsk_06H1SPH22C6J641A268R71EEIL"], "not_found"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_model_is_asked(scripted: Shell, words: list[str], told: str) -> None:
    said = scripted("run", *words)

    assert said.code in (2, 5)
    assert said.out == ""
    assert told in said.err
    assert "Traceback" not in said.err


def test_a_key_of_the_environment_is_stored_and_shown_nowhere(scripted: Shell) -> None:
    secret = "zq-unusual-4711-form"
    scripted.set(MY_PROVIDER_API_KEY=secret)
    (scripted.folder / "say").write_text(f" The key is {secret}.")

    said = scripted("run", f"Write a haiku about {secret}")

    assert "[hidden: MY_PROVIDER_API_KEY]" in said.out
    assert secret not in said.out + said.err
    for file in (scripted.folder / ".swarmkeeper").rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file.name


# ---- money ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["flag", "file"])
def test_a_task_that_has_used_up_its_budget_ends(scripted: Shell, where: str) -> None:
    if where == "file":
        (scripted.folder / "swarm.toml").write_text(f"[swarm]\nbudget = {{ cost_usd = 1.5 }}\n{SWARM}")

    said = scripted("run", "Write a haiku about bees", "--json", *(["--budget", "1.5"] if where == "flag" else []))

    assert said.code == 3
    assert (said.json["outcome"], said.json["failure"]["code"]) == ("failed", "budget")
    assert "of $1.50" in said.err
    assert said.json["usage"]["cost_micro_usd"] <= 2_000_000  # the request that went beyond the limit is the last


def test_the_limit_of_subtasks_in_a_swarm_file_binds_the_plan(scripted: Shell) -> None:
    (scripted.folder / "swarm.toml").write_text(f"[swarm]\nbudget = {{ subtasks = 1 }}\n{SWARM}")

    said = scripted("run", "Write a haiku about bees", "--json")

    assert said.code == 3
    assert "allows 1 subtasks" in said.err


def test_what_happens_at_a_limit_has_no_effect_without_one(scripted: Shell) -> None:
    (scripted.folder / "swarm.toml").write_text(f'[swarm]\nbudget = {{ at_limit = "stop" }}\n{SWARM}')

    said = scripted("run", "Write a haiku about bees")

    assert said.code == 2
    assert "at_limit has no effect without a limit" in said.err


def test_a_budget_is_refused_where_a_price_is_unknown(scripted: Shell) -> None:
    (scripted.folder / "prices.toml").unlink()

    said = scripted("run", "Write a haiku about bees", "--budget", "1.5")

    assert said.code == 2
    assert f"the price of {MODEL} is unknown" in said.err
    assert scripted("run", "Write a haiku about bees").code == 0


# ---- files ---------------------------------------------------------------------------------------------------------


def test_bots_read_the_folder_that_is_named(scripted: Shell) -> None:
    notes = scripted.folder / "notes"
    notes.mkdir()
    (notes / "bees.txt").write_text("They dance.")
    (scripted.folder / "look").write_text("bees.txt")

    said = scripted("run", "Write a haiku about bees", "--files", "notes")

    assert said.code == 0
    assert "They dance." in said.out


@pytest.mark.parametrize("path", ["../models.py", "link.txt", "inner/../../models.py", ".env", "/etc/passwd"])
def test_bots_read_no_other_folder(scripted: Shell, path: str) -> None:
    notes = scripted.folder / "notes"
    notes.mkdir()
    (notes / ".env").write_text("def answer")
    (notes / "link.txt").symlink_to(scripted.folder / "models.py")
    (scripted.folder / "look").write_text(path)

    said = scripted("run", "Write a haiku about bees", "--files", "notes")

    assert "def answer" not in said.out
    assert "root:" not in said.out


# ---- it is stopped, killed, or not alone ---------------------------------------------------------------------------


def begun(folder: Path, **environ: str) -> Server:
    """Start a run whose executor waits for the file `wait` to go."""
    (folder / "wait").touch()
    server = Server("run", "Write a haiku about bees", folder=folder, environ=environ)
    until(lambda: "LEASED" in server.said())
    return server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_task_and_says_how_to_go_on(scripted: Shell, number: signal.Signals) -> None:
    server = begun(scripted.folder)

    assert server.stop(number) == 130
    words = goes_on_with(server.said().partition("stopped; the task stays")[2])
    (scripted.folder / "wait").unlink()

    assert scripted(*words).out == "Bees buzz.\n"


def test_a_killed_run_is_gone_on_with_and_plans_nothing_twice(scripted: Shell) -> None:
    server = begun(scripted.folder, SWARMKEEPER_LEASE_SECONDS="5")
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    words = goes_on_with(server.said())
    (scripted.folder / "wait").unlink()

    said = scripted(*words, "--json")

    assert said.code == 0
    assert said.json["result"] == {"improve": {"text": "Bees buzz."}}
    assert said.json["usage"]["tokens"] == 4_000  # one plan, two steps, one verdict: what was lost was not reported
    again = scripted(*words)
    assert (again.code, again.out) == (0, "Bees buzz.\n")  # it is over: nothing is done, the result is printed


def test_a_second_run_in_the_folder_uses_the_running_orchestrator(scripted: Shell) -> None:
    first = begun(scripted.folder)
    (scripted.folder / "wait-another").touch()
    second = Server("run", "Write another", folder=scripted.folder)
    until(lambda: second.said().count("LEASED") > 0)
    assert "uses the orchestrator at http://127.0.0.1:" in second.said()

    (scripted.folder / "wait").unlink()
    until(lambda: "waits for its end" in first.said())  # it has its result, and the other still needs the server
    assert second.process.poll() is None
    (scripted.folder / "wait-another").unlink()

    assert second.end() == 0, second.said()
    assert first.end() == 0, first.said()


def test_a_key_that_may_not_make_keys_for_bots_makes_no_task(scripted: Shell) -> None:
    server = begun(scripted.folder)
    told = re.search(r"listening.*?(http://[0-9.:]+)", (scripted.folder / ".swarmkeeper" / "run.log").read_text())
    assert told is not None
    store = "sqlite:///.swarmkeeper/store.db"
    key = scripted("key", "create", "--role", "client", "--scope", "tenant", "--store", store, "--json").json["key"]
    scripted.set(SWARMKEEPER_URL=told[1], SWARMKEEPER_API_KEY=key)

    said = scripted("run", "Write another")

    assert said.code == 4
    assert "forbidden" in said.err
    assert len(scripted("task", "list", "--json").out.splitlines()) == 1
    assert server.stop() == 130


def test_a_folder_that_cannot_be_written_is_told(scripted: Shell) -> None:
    (scripted.folder / ".swarmkeeper").write_text("no folder")

    said = scripted("run", "Write a haiku")

    assert said.code == 1
    assert "error[folder]" in said.err


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_it_works_with_a_closed_stream(scripted: Shell, closed: str) -> None:
    command = f"{sys.executable} -m swarmkeeper.cli run 'Write a haiku' {closed}"

    ended = subprocess.run(["sh", "-c", command], cwd=scripted.folder, capture_output=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (b"" if closed == ">&-" else b"Bees buzz.\n")


# ---- what others write cannot break the view -----------------------------------------------------------------------

HOSTILE = "\x1b[2J\x1b]0;title\x07[red]bold[/red] \u202egnp.exe [/] {curly} \r over"


def test_control_characters_of_a_result_do_not_reach_the_terminal(scripted: Shell) -> None:
    (scripted.folder / "say").write_text(HOSTILE + "x" * 200_000)

    said = scripted("run", f"Write {HOSTILE}")

    assert said.code == 0
    for text in (said.out, said.err):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text
    assert "[red]bold[/red]" in said.out
    assert max(map(len, said.err.splitlines())) < 2_000


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_hostile_task_is_drawn_on_lines_of_its_own(width: int) -> None:
    file = io.StringIO()
    console = Console(file=file, width=width, height=24, markup=True, force_terminal=False)

    console.print(RunView(("[blink]m",)).picture(hostile_task(), width=width, height=24))

    drawn = file.getvalue()
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn
    assert "\r" not in drawn
    assert len(drawn.splitlines()) <= 24
    assert max(map(len, drawn.splitlines())) <= width
    assert "spent $0.23" in drawn


def hostile_task() -> Task:
    at = "2026-11-27T12:00:00Z"
    subtask: dict[str, Any] = {
        "id": "sub_1", "parent_task_id": "tsk_1", "status": "LEASED", "description": HOSTILE * 100, "attempt": 1,
        "bot": HOSTILE, "started_at": at, "progress": {"fraction": 0.5, "message": HOSTILE * 50},
    }  # fmt: skip
    return Task.model_validate(
        {
            "id": "tsk_1", "title": HOSTILE * 30, "status": "IN_PROGRESS", "created_at": at, "updated_at": at,
            "subtasks": [subtask | {"key": f"{HOSTILE}{number}"} for number in range(60)], "subtasks_total": 60,
            "verdict": {"decision": "rework", "reasons": [HOSTILE * 100]},
            "usage": {"tokens": 1000, "cost_micro_usd": 225_000},
        }
    )  # fmt: skip


# ---- the small model -----------------------------------------------------------------------------------------------


def test_the_small_model_plans_does_judges_and_accounts_within_half_a_minute(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    local._Shared.server.address()  # it is there
    start = time.monotonic()

    said = shell("run", "Write a haiku about bees", "--model", "local", "--json")

    took = time.monotonic() - start
    assert said.code in (0, 3), said.err  # its judgement is its own
    assert said.json["outcome"] in ("accepted", "failed", "rejected")
    assert said.json["result"]
    assert all(output["text"] for output in said.json["result"].values())
    assert said.json["verdict"]["decision"] in ("accept", "rework", "reject")
    assert said.json["usage"]["tokens"] > 100
    assert said.json["usage"]["cost_micro_usd"] == 0
    assert "is weak" in said.err
    assert took < 30, took


def test_the_small_model_gets_the_beginnings_of_files_for_it_calls_no_tools(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmkeeper.cli.serving import run_swarm

    notes = shell.folder / "notes"
    notes.mkdir()
    (notes / "bees.txt").write_text("They dance. " * 1_000)
    (notes / "picture.png").write_bytes(b"\x89PNG\0\0")

    made = run_swarm.made(None, "local", Path("notes"), environ={})

    assert made.input["files"] == ["bees.txt", "picture.png"]
    assert list(made.input["beginnings"]) == ["bees.txt"]
    assert len(made.input["beginnings"]["bees.txt"]) == 1_000
    assert json.dumps(made.input)
    assert Path.cwd() == shell.folder
