"""The example that reviews a pull request: as its README says, in a copy of the folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.shell import Shell
from tests.swarm.example_folder import copied, first_steps

REVIEW = ("run", "Review this pull request", "--files", "changes", "--json")


@pytest.fixture
def review(example_shell: Shell) -> Shell:
    copied("review-a-pull-request", example_shell.folder)
    return example_shell


def split(review: Shell, diff: str = "pull-request.diff") -> list[str]:
    ran = subprocess.run(
        [sys.executable, "split.py", "changes", diff], cwd=review.folder, check=True, capture_output=True, text=True
    )
    return ran.stdout.splitlines()


def test_the_swarm_file_has_no_error_and_no_warning(review: Shell) -> None:
    said = review("swarm", "check")

    assert (said.code, said.out) == (0, "swarm.toml: 5 bots, no error\n")


def test_each_file_is_reviewed_and_the_verdict_cites_the_diff(review: Shell) -> None:
    assert split(review) == [
        "changes/01-shop-cart.py.diff",
        "changes/02-shop-orders.py.diff",
        "changes/03-docs-orders.md.diff",
    ]

    said = review(*REVIEW)

    assert said.code == 0, said.err
    assert "plan: 4 subtasks: file-1, file-2, file-3, summary" in said.err
    summary = said.json["result"]["summary"]
    assert summary["advice"] == "change"
    assert summary["files"] == ["shop/cart.py", "shop/orders.py", "docs/orders.md"]
    found = [(finding["file"], finding["severity"]) for finding in summary["findings"]]
    assert found == [("shop/orders.py", "blocker"), ("shop/cart.py", "major")]
    diff = (review.folder / "pull-request.diff").read_text("utf-8").splitlines()
    added = [line[1:].strip() for line in diff if line.startswith("+")]
    cited = said.json["verdict"]["findings"][0]["text"]
    for finding in summary["findings"]:
        assert finding["quote"] in added
        assert finding["quote"] in cited
    assert said.json["verdict"]["decision"] == "accept"
    assert 0 < said.json["usage"]["tokens"] < 400_000


def test_a_diff_without_faults_is_to_be_merged(review: Shell) -> None:
    diff = (review.folder / "pull-request.diff").read_text("utf-8")
    (review.folder / "docs.diff").write_text(diff[diff.index("diff --git a/docs") :], "utf-8")
    split(review)

    assert split(review, "docs.diff") == ["changes/01-docs-orders.md.diff"]
    said = review(*REVIEW)

    assert said.code == 0, said.err
    assert said.json["result"]["summary"]["advice"] == "merge"
    assert said.json["result"]["summary"]["findings"] == []


def test_a_path_in_a_diff_leads_nowhere(review: Shell) -> None:
    (review.folder / "bad.diff").write_text("diff --git a/../../evil b/../../.evil\n+x\n", "utf-8")

    assert split(review, "bad.diff") == ["changes/01-..-..-.evil.diff"]
    assert [path.name for path in (review.folder / "changes").iterdir()] == ["01-..-..-.evil.diff"]


def test_the_budget_binds(review: Shell) -> None:
    file = review.folder / "swarm.toml"
    file.write_text(file.read_text("utf-8").replace("tokens = 400_000", "tokens = 200"), "utf-8")
    split(review)

    said = review(*REVIEW)

    assert said.code == 3
    assert said.json["failure"]["code"] == "budget"


def test_the_readme_says_the_commands_that_are_run_here() -> None:
    steps = first_steps("review-a-pull-request")

    assert steps[:2] == ["swarmkeeper swarm check", "python split.py changes pull-request.diff"]
    assert steps[2].startswith('swarmkeeper run "Review this pull request" --files changes --json')
