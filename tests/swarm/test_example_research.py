"""The example that answers from sources: every claim cites a file, and a quote that is not there goes back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.process import ran
from tests.cli.shell import Shell
from tests.swarm.example_folder import copied, first_steps

QUESTION = "How long does the battery last, and who repairs the lamp?"


@pytest.fixture
def research(example_shell: Shell) -> Shell:
    copied("research-with-sources", example_shell.folder)
    return example_shell


def asked(folder: Path, question: str = QUESTION, *, forked: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the example, by default in a fork of a process that has imported most of what it imports."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SWARMKEEPER_")}
    command = [sys.executable, "research.py", question, "sources"]
    if forked:
        return ran(command, folder=folder, environment=environment)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def cited(text: str) -> dict[str, list[str]]:
    """Return the quotes of a report by their sources."""
    found: dict[str, list[str]] = {}
    for source, quote in re.findall(r'^   (\S+): "(.*)"$', text, re.MULTILINE):
        found.setdefault(source, []).append(quote)
    return found


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after), "utf-8")


def test_the_swarm_file_has_no_error_and_no_warning(research: Shell) -> None:
    said = research("swarm", "check")

    assert (said.code, said.out) == (0, "swarm.toml: 5 bots, no error\n")


def test_every_claim_cites_a_source_that_says_so(research: Shell) -> None:
    said = asked(research.folder, forked=False)

    assert said.returncode == 0, said.stdout + said.stderr
    quotes = cited(said.stdout)
    assert sorted(quotes) == ["field-test.md", "manual.md", "warranty.md"]
    for source, each in quotes.items():
        text = (research.folder / "sources" / source).read_text("utf-8")
        assert [quote for quote in each if quote not in text] == []
    claims = re.findall(r"^\d+\. ", said.stdout, re.MULTILINE)
    assert len(claims) == sum(map(len, quotes.values())) == 3
    assert "accepted in round 2" in said.stderr
    assert "waterproof" not in said.stdout


def test_a_model_that_insists_on_an_invented_claim_is_not_accepted(research: Shell) -> None:
    change(research.folder / "script.py", "([] if told else [INVENTED])", "[INVENTED]")

    said = asked(research.folder)

    assert said.returncode == 3
    assert "failed in round 4" in said.stderr


def test_a_source_outside_the_folder_is_none(research: Shell) -> None:
    (research.folder / "secret.md").write_text("The lamp is waterproof to 10 metres.", "utf-8")
    change(research.folder / "script.py", '"source": "manual.md"', '"source": "../secret.md"')

    said = asked(research.folder)

    assert said.returncode == 0, said.stdout + said.stderr
    assert "accepted in round 2" in said.stderr
    assert "waterproof" not in said.stdout


def test_the_budget_binds(research: Shell) -> None:
    change(research.folder / "swarm.toml", "attempts = 60", "attempts = 2")

    said = asked(research.folder)

    assert said.returncode == 3
    assert said.stderr.rstrip().splitlines()[-1].startswith("failed ")


def test_the_readme_says_the_commands_that_are_run_here() -> None:
    assert first_steps("research-with-sources") == [
        "swarmkeeper swarm check",
        f'python research.py "{QUESTION}" sources',
    ]
