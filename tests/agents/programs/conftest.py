"""A stand-in program, real git repositories, and attempts without an orchestrator."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import Context, SubTask
from swarmkeeper.agents.programs import CommandBot, command_bot
from swarmkeeper.sdk.answers import Answer, Done, Failed
from swarmkeeper.sdk.processes import subprocesses
from tests.sdk.alive import Alive

STAND_IN = Path(__file__).with_name("stand_in.py")
Steps = list[list[Any]]


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "GRACE_SECONDS", 0.1)


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[Alive]:
    alive = Alive(tmp_path)
    yield alive
    alive.close()


class Programs:
    """Makes bots of the stand-in, and runs single attempts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.count = 0

    def command(self, script: Steps | dict[str, Steps], *words: str) -> list[str]:
        self.count += 1
        file = self.folder / f"script-{self.count}.json"
        file.write_text(json.dumps(script), encoding="utf-8")
        return [sys.executable, str(STAND_IN), str(file), *words]

    def bot(self, script: Steps | dict[str, Steps], *words: str, **settings: Any) -> CommandBot:
        return command_bot(self.command(script, *words), skills={"code"}, home=self.home, **settings)

    def left(self) -> list[str]:
        """Return what is left of attempts."""
        return sorted(entry.name for entry in self.home.iterdir() if entry.name != ".lock")

    def wait_until_nothing_is_left(self) -> None:
        """Wait for the thread of a cancelled attempt, which removes its folder."""
        while self.left():
            pass

    @staticmethod
    def context(**given: Any) -> Context:
        plain: dict[str, Any] = {"task_id": "tsk_1", "work_id": "sub_1", "lease_id": "lse_1", "attempt": 1}
        return Context(**plain | given)

    def answer(
        self,
        bot: CommandBot,
        given: dict[str, Any] | None = None,
        *,
        context: Context | None = None,
        text: str = "Do it.",
    ) -> Answer:
        subtask = SubTask(key="change", description=text, input=given or {})
        return bot.execute(subtask, context or self.context())

    def done(self, bot: CommandBot, given: dict[str, Any] | None = None, **named: Any) -> dict[str, Any]:
        answer = self.answer(bot, given, **named)
        assert isinstance(answer, Done), answer
        output: dict[str, Any] = answer.output
        return output

    def failed(self, bot: CommandBot, given: dict[str, Any] | None = None, **named: Any) -> Failed:
        answer = self.answer(bot, given, **named)
        assert isinstance(answer, Failed), answer
        return answer


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


class Repo:
    """A real git repository."""

    def __init__(self, path: Path, *, like: Path | None = None) -> None:
        """
        Args:
            like: copy the repository there, which is quicker than making one of the same content.
        """
        self.path = path
        if like is not None:
            shutil.copytree(like, path, symlinks=True)
            return
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.commit("a.txt", "one\n")

    def git(self, *words: str) -> str:
        named = ("-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "protocol.file.allow=always")
        ran = subprocess.run(["git", *named, *words], cwd=self.path, capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    def commit(self, name: str, text: str) -> str:
        (self.path / name).write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-qm", f"Write {name}")
        return self.git("rev-parse", "HEAD")

    def worktrees(self) -> list[str]:
        """Return the paths that git knows, besides the repository itself, and git's own folders for them."""
        listed = self.git("worktree", "list", "--porcelain").splitlines()
        known = [line.split(" ", 1)[1] for line in listed if line.startswith("worktree ")][1:]
        folder = self.path / ".git" / "worktrees"
        return known + ([each.name for each in folder.iterdir()] if folder.exists() else [])

    def branches(self) -> list[str]:
        return self.git("branch", "--format=%(refname:short)").splitlines()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Repo(tmp_path_factory.mktemp("template") / "repo").path


@pytest.fixture
def repo(tmp_path: Path, template: Path) -> Repo:
    return Repo(tmp_path / "repos" / "app", like=template)


@pytest.fixture
def make_repo(template: Path) -> Callable[[Path], Repo]:
    return partial(Repo, like=template)
