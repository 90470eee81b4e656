"""`redact test`, `redact explain`, and a server that reloads its rules on a signal."""

from __future__ import annotations

import io
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.server import BIN, Server
from tests.cli.shell import Shell

TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
BADGES = 'version = 1\n[[detector]]\nid = "badge"\npattern = "badge-[0-9]{4}"\nhit = ["badge-1234"]\nmiss = ["badge-x"]'


@pytest.fixture
def typed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on lines of JSON; return the lines of its output."""

    def run(*words: str, lines: list[Any]) -> list[Any]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(json.dumps(line) + "\n" for line in lines)))
        return [json.loads(line) for line in shell(*words).out.splitlines()]

    return run


def test_redact_test_answers_line_by_line(typed: Any) -> None:
    lines = typed("redact", "test", lines=[{"password": "x"}, ["plain"]])

    assert lines[0]["redacted_fields"][0]["pointer"] == "/password"
    assert lines[1] == {"value": ["plain"], "redacted_fields": []}


def test_redact_test_uses_the_given_or_configured_rules(typed: Any, shell: Shell) -> None:
    (shell.folder / "mine.toml").write_text(BADGES)
    assert typed("redact", "test", lines=["badge-1234"])[0]["value"] == "badge-1234"

    assert typed("redact", "test", "--rules", "mine.toml", lines=["badge-1234"])[0]["value"] == "[redacted:badge]"

    (shell.folder / "swarmkeeper.toml").write_text('redaction = "mine.toml"')
    assert typed("redact", "test", lines=["badge-1234"])[0]["value"] == "[redacted:badge]"


def test_invalid_rules_are_refused_with_file_and_rule(shell: Shell) -> None:
    (shell.folder / "mine.toml").write_text(BADGES.replace("{4}", "{9}"))

    said = shell("redact", "test", "--rules", "mine.toml")
    missing = shell("redact", "test", "--rules", "none.toml")

    assert (said.code, missing.code) == (2, 2)
    assert "detector 'badge': hit 1 is not found" in said.err
    assert "none.toml: cannot be read" in missing.err


def test_explain_names_the_rule_and_the_stage_of_each_match(typed: Any) -> None:
    percent = "".join(f"%{ord(letter):02x}" for letter in "password=hunter2")
    value = {
        "password": "x",
        "note": [f"see {TOKEN}"],
        "other": percent,
        "a@b.example": 4111111111111111,
        "odd": "\ud800",
    }

    found = typed("redact", "explain", lines=["plain", value])

    assert [
        (finding["line"], finding["pointer"], finding["in"], finding["rule"], finding["stage"]) for finding in found
    ] == [
        (2, "/password", "value", "secret-field", "field"),
        (2, "/note/0", "value", "github-token", "text"),
        (2, "/other", "value", "password-pair", "decoded"),
        (2, "/[redacted:email]", "key", "email", "text"),
        (2, "/[redacted:email]", "value", "card", "text"),
        (2, "/odd", "value", "unscanned", "unscanned"),
    ]
    assert (found[1]["start"], found[1]["end"], found[1]["length"]) == (4, 44, 40)
    assert 4 < found[1]["entropy"] < 5
    assert "hunter2" not in json.dumps(found)
    assert TOKEN not in json.dumps(found)


@pytest.mark.parametrize(
    ("rule", "text", "why"),
    [
        ("github-token", "nothing", "the text has none of its keywords: ghp_, gho_, ghu_, ghs_, ghr_, github_pat_"),
        ("github-token", "ghp_short", "its pattern does not match"),
        ("card", "é 4111 1111 1111 1112", "2..21 does not pass the check 'luhn'"),
        ("aws-secret-key", "aws_secret_access_key = " + "ab" * 20, "24..64 has an entropy of 1.00 bits a character"),
        ("password-pair", "password=${HERE}", "9..16 only stands for a secret"),
        ("password-pair", "password=[redacted:email]", "9..25 is a placeholder"),
        ("password-pair", f"password={TOKEN}", "9..49 is found, but an earlier rule claims it"),
        ("secret-field", "nothing", "the rule matches places, not text, and none of its places is here"),
    ],
)
def test_explain_gives_the_reason_why_a_rule_finds_nothing(typed: Any, rule: str, text: str, why: str) -> None:
    found = typed("redact", "explain", "--rule", rule, lines=[[text]])

    assert next(finding for finding in found if "why_not" in finding)["why_not"].startswith(why)


def test_an_unknown_rule_is_refused(shell: Shell) -> None:
    assert shell("redact", "explain", "--rule", "none").code == 2


def test_a_server_reloads_its_rules_on_sighup(tmp_path: Path) -> None:
    rules = tmp_path / "redaction.toml"
    rules.write_text("version = 1")
    program = [sys.executable, str(BIN / "swarmkeeper"), "serve", "--redaction", str(rules)]
    server = Server(tmp_path / "s.db", program=program)

    def shown() -> Any:
        headers = {"x-api-key": server.key("auditor")}
        return httpx2.post(f"{server.url}/redaction:test", json={"value": "badge-1234"}, headers=headers).json()[
            "value"
        ]

    def said(event: str) -> bool:
        return f'"event": "{event}"' in server.store.with_suffix(".log").read_text()

    with server:
        assert server.process is not None
        assert shown() == "badge-1234"

        rules.write_text(BADGES)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: said("rules_changed"))
        assert shown() == "[redacted:badge]"

        rules.write_text("version = 2")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: said("rules_refused"))
        assert shown() == "[redacted:badge]"


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)
