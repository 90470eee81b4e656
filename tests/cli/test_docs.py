"""`swarmkeeper docs`: the documentation, wherever the package is installed."""

import os
import pty
import subprocess
import sys

from swarmkeeper.govern.access import ROLES, Role
from tests.cli.shell import Shell
from tests.tidy.tree import ROOT


def test_a_page_of_the_documentation_is_printed_unchanged(shell: Shell) -> None:
    page = shell("docs", "rework")

    assert page.code == 0
    assert page.out == (ROOT / "docs/guides/rework.md").read_text(encoding="utf-8")


def test_a_topic_is_found_by_the_names_that_people_give_it(shell: Shell) -> None:
    wanted = shell("docs", "long-jobs").out

    for name in ("Long Jobs", "long_jobs", "guides/long-jobs.md", "docs/guides/long-jobs.md"):
        assert shell("docs", name).out == wanted, name


def test_without_a_topic_all_are_listed_with_their_titles(shell: Shell) -> None:
    shown = shell("docs")

    assert shown.code == 0
    pages = list((ROOT / "docs").rglob("*.md"))
    listed = {line.split()[0] for line in shown.out.splitlines() if line.startswith("  ")}
    assert listed == {page.stem.lower() for page in pages}
    assert "  start " in shown.out
    assert "Let a person decide" in shown.out


def test_an_unknown_topic_is_refused_with_similar_ones(shell: Shell) -> None:
    misspelt = shell("docs", "aproval")
    spoken_of = shell("docs", "quorum")
    nothing = shell("docs", "zxqv")

    assert (misspelt.code, misspelt.out) == (5, "")
    assert "swarmkeeper docs approvals" in misspelt.err
    assert "swarmkeeper docs rework" in spoken_of.err
    assert "fix  swarmkeeper docs\n" in nothing.err


def test_programs_read_topics_and_pages_as_json(shell: Shell) -> None:
    page = shell("docs", "start", "--json").json
    lines = shell("docs", "--json").out.splitlines()

    assert (page["topic"], page["title"]) == ("start", "Start here")
    assert "make demo" in page["text"]
    assert len(lines) == len(list((ROOT / "docs").rglob("*.md")))


def test_a_terminal_shows_the_page_formatted_and_links_as_commands() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "swarmkeeper.cli", "docs", "approvals"]
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    ) as drawing:
        os.close(theirs)
        drawn = b""
        try:
            while piece := os.read(ours, 65536):
                drawn += piece
        except OSError:  # on Linux, reading a terminal ends like this when all writers have closed it
            pass
    os.close(ours)

    assert drawing.returncode == 0
    assert b"\x1b[" in drawn
    assert b"## " not in drawn
    assert b"swarmkeeper docs redaction" in drawn
    assert b"redaction.md" not in drawn


def test_the_help_of_key_create_and_the_page_on_roles_name_all_nine(shell: Shell) -> None:
    words = " ".join(shell("key", "create", "--help").out.split())
    page = shell("docs", "roles").out

    assert len(Role) == 9
    for role in Role:
        assert role in words
        assert f"| `{role}` |" in page
        for action in ROLES[role]:
            assert f"| `{action}` |" in page
    assert "swarmkeeper docs roles" in words
