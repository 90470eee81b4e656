"""The example that migrates a code base: a branch for each file, and the tests decide."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.process import ran
from tests.swarm.example_folder import copied, first_steps

FILES = ("orders", "reports", "sessions")


class Migration:
    """A copy of the example's folder, with a home folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.repository = folder / "example", folder / "example" / "practice"
        self.home = folder / "home"
        self.home.mkdir()
        self.folder.mkdir()
        copied("migrate-a-code-base", self.folder)

    def run(self, *words: str, forked: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the example, by default in a fork of a process that has imported most of what it imports."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SWARMKEEPER_", "XDG"))
        } | {"HOME": str(self.home)}
        command = [sys.executable, "migrate.py", *words]
        if forked:
            return ran(command, folder=self.folder, environment=environment)
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def change(self, file: str, before: str, after: str) -> None:
        path = self.folder / file
        text = path.read_text("utf-8")
        assert before in text
        path.write_text(text.replace(before, after), "utf-8")

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=Me", "-c", "user.email=me@localhost")
        command = ["git", "-C", str(self.repository), *identity, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def branches(self) -> list[str]:
        return self.git("branch", "--format=%(refname:short)").split()


@pytest.fixture
def migration(tmp_path: Path) -> Migration:
    return Migration(tmp_path)


def test_each_file_is_migrated_on_a_branch_of_its_own_and_all_fit_together(migration: Migration) -> None:
    said = migration.run(forked=False)

    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[:3] == [f"migrate/shop/{file}" for file in FILES]
    assert "accepted: 3 of 3 files" in said.stdout
    assert "$0.05" in said.stdout  # five runs of the program: two files were sent back once
    assert migration.branches() == ["main", *(f"migrate/shop/{file}" for file in FILES)]
    for file in FILES:
        assert migration.git("diff", "--name-only", f"main...migrate/shop/{file}") == f"shop/{file}.py\n"
    rounds = {file: migration.git("log", "--format=%s", f"main..migrate/shop/{file}").splitlines() for file in FILES}
    assert rounds == {
        "orders": ["Migrate shop/orders.py"] * 2,
        "reports": ["Migrate shop/reports.py"],
        "sessions": ["Migrate shop/sessions.py"] * 2,
    }
    assert len(migration.git("worktree", "list").splitlines()) == 1
    assert migration.git("status", "--porcelain") == ""

    migration.git("merge", "-q", "-m", "Migrated", *(f"migrate/shop/{file}" for file in FILES))
    assert "utcnow" not in "".join(path.read_text("utf-8") for path in migration.repository.rglob("*.py"))
    subprocess.run([sys.executable, "-m", "unittest", "-q"], cwd=migration.repository, check=True)


def test_what_fails_its_tests_is_not_accepted_and_the_others_go_on(migration: Migration) -> None:
    migration.change("stand_in.py", "if \"name 'UTC'", "if file.stem != 'orders' and \"name 'UTC'")

    said = migration.run()

    assert said.returncode == 3, said.stdout + said.stderr
    assert said.stdout.splitlines()[:2] == ["migrate/shop/reports", "migrate/shop/sessions"]
    assert "accepted: 2 of 3 files" in said.stdout


def test_a_program_that_changes_another_file_is_not_accepted(migration: Migration) -> None:
    migration.change("stand_in.py", 'file.write_text(code, "utf-8")', 'Path("setup.py").write_text(code, "utf-8")')

    said = migration.run()

    assert said.returncode == 3
    assert "rejected: 0 of 3 files" in said.stdout


def test_the_budget_binds(migration: Migration) -> None:
    migration.change("migrate.py", '"attempts": 60', '"attempts": 3')

    said = migration.run()

    assert said.returncode == 3
    assert "failed: " in said.stdout
    assert len(migration.git("worktree", "list").splitlines()) == 1


def test_your_own_repository_and_files(migration: Migration) -> None:
    assert migration.run().returncode == 0
    migration.git("branch", "-D", "migrate/shop/reports")

    said = migration.run(str(migration.repository), "shop/reports.py")

    assert said.returncode == 0, said.stdout + said.stderr
    assert "accepted: 1 of 1 files" in said.stdout


def test_the_readme_says_the_commands_that_are_run_here() -> None:
    assert first_steps("migrate-a-code-base")[0] == "python migrate.py"
