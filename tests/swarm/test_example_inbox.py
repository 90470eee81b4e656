"""The example that triages an inbox: nothing is sent that a person has not approved."""

from __future__ import annotations

import json
import time
from email import message_from_bytes
from typing import Any

import pytest

from swarmkeeper.swarm.file import load
from tests.cli.shell import SECONDS_MAX, Server, Shell
from tests.swarm.example_folder import copied, first_steps

RUN = ("run", "Triage the inbox", "--files", "inbox", "--json")
ANSWERED = ("1-refund.txt", "3-opening-hours.txt", "4-urgent-audit.txt")


@pytest.fixture
def inbox(example_shell: Shell) -> Shell:
    copied("triage-an-inbox", example_shell.folder)
    return example_shell


def questions(shell: Shell, count: int) -> dict[str, str]:
    """Wait for this many questions, and return the id of each by the mail that it is about."""
    end = time.monotonic() + SECONDS_MAX
    while True:
        said = shell("approval", "list", "--json")
        found = [json.loads(line) for line in said.out.splitlines()] if said.code == 0 else []
        asked = {each["question"].split('"mail": "')[1].split('"')[0]: each["id"] for each in flat(found)}
        if len(asked) == count:
            return asked
        assert time.monotonic() < end, f"{said}"
        time.sleep(0.1)


def flat(found: list[Any]) -> list[Any]:
    return [each for one in found for each in (one if isinstance(one, list) else [one])]


def outbox(shell: Shell) -> dict[str, str]:
    """Return the text of each mail that was sent, by its receiver."""
    mails = [message_from_bytes(path.read_bytes()) for path in (shell.folder / "outbox").glob("*.eml")]
    return {mail["To"]: str(mail.get_payload()).strip() for mail in mails}


def test_the_swarm_file_has_no_error_and_no_warning(inbox: Shell) -> None:
    said = inbox("swarm", "check")

    assert (said.code, said.out) == (0, "swarm.toml: 5 bots, no error\n")


def test_only_what_a_person_approves_is_sent(inbox: Shell) -> None:
    running = Server(*RUN, folder=inbox.folder)
    try:
        asked = questions(inbox, 3)
        assert sorted(asked) == sorted(ANSWERED)
        assert outbox(inbox) == {}

        shown = inbox("approval", "show", asked["4-urgent-audit.txt"]).out
        assert "Here are the addresses of all customers" in shown
        assert inbox("approval", "answer", asked["1-refund.txt"], "approve").code == 0
        assert inbox("approval", "answer", asked["3-opening-hours.txt"], "approve").code == 0
        assert inbox("approval", "answer", asked["4-urgent-audit.txt"], "deny").code == 0
        result = running.first_line()
        assert running.end() == 0, running.said()
    finally:
        running.stop()

    assert outbox(inbox) == {
        "Ada Byron <ada@customers.example>": "We are sorry. You get your money back within three days.",
        "Charles <charles@customers.example>": "We are open on Saturdays from 10 to 16.",
    }
    answers = {answer["mail"]: (answer["kind"], answer["sent"]) for answer in result["result"].values()}
    assert answers == {
        "1-refund.txt": ("complaint", True),
        "2-newsletter.txt": ("newsletter", False),
        "3-opening-hours.txt": ("question", True),
        "4-urgent-audit.txt": ("other", False),
    }
    assert result["verdict"]["decision"] == "accept"
    assert 0 < result["usage"]["tokens"] < 400_000
    assert running.said().count("a person is asked (question): May the agent call send(") >= 3


def test_what_reads_mail_cannot_send(inbox: Shell) -> None:
    tools = {bot.skills[0]: bot.tools for bot in load(inbox.folder / "swarm.toml").bots if bot.type == "executor"}

    assert tools == {"mail.triage": [], "mail.answer": ["python:tools.py:send"]}


def test_the_readme_says_the_commands_that_are_run_here() -> None:
    assert first_steps("triage-an-inbox") == [
        "swarmkeeper swarm check",
        'swarmkeeper run "Triage the inbox" --files inbox --json > result.json',
    ]
