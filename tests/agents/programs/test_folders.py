"""What killed bots leave is swept; a living attempt's folder never is."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.agents.programs.folders import OWNER_FILE, AttemptFolders, FolderOwner, started
from tests.acceptance.process import Process
from tests.agents.programs.conftest import STAND_IN, Programs, Repo, Steps
from tests.sdk.alive import Alive

# A bot in a process of its own: it does one attempt, or waits in it until it is killed.
BOT = """
import sys, json
from pathlib import Path
from swarmkeeper import Context, SubTask
from swarmkeeper.agents.programs import command_bot
given = json.loads(sys.argv[1])
bot = command_bot(given["command"], skills={"code"}, home=given["home"], worktree=True, roots=[given["root"]],
                  resume=given["resume"], reads="claude")
context = Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1)
print(bot.execute(SubTask(key="x", description="Do it.", input={"repository": given["repository"]}), context))
"""


Bot = subprocess.Popen[bytes] | Process


def start_bot(
    programs: Programs, repo: Repo, script: Any, resume: list[str] | None = None, *, forked: bool = True
) -> Bot:
    """Start a bot.

    Args:
        forked: from a process that has loaded most of what it imports; when it is killed, it is gone at once.
    """
    given = {
        "command": programs.command(script), "home": str(programs.home), "root": str(repo.path.parent),
        "repository": str(repo.path), "resume": resume or [],
    }  # fmt: skip
    if not forked:
        return subprocess.Popen([sys.executable, "-c", BOT, json.dumps(given)], stdout=subprocess.DEVNULL)
    file, log = (repo.path.parent / name for name in ("started_bot.py", "started_bot.err"))
    file.write_text(BOT)
    return Process([sys.executable, str(file), json.dumps(given)], log=log, environment=os.environ)


def sweep(programs: Programs) -> int:
    return AttemptFolders(programs.home).sweep(lambda home, about: None)


def kill(process: Bot, *, reap: bool = True) -> None:
    os.kill(process.pid, signal.SIGKILL)
    if reap:
        process.wait(20)
    else:  # a bot in a container is often not reaped: wait until it is a zombie
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize("reap", [True, False])
def test_the_checkout_of_a_killed_bot_is_removed_at_the_next_start(
    programs: Programs, repo: Repo, alive: Alive, *, reap: bool
) -> None:
    pipe = str(alive.path)
    script: Steps = [["write", "a.txt", "half"], ["ignore", "SIGTERM"], ["fork", pipe], ["hold", pipe]]
    bot = start_bot(programs, repo, script, forked=False)
    alive.hears()
    assert (len(repo.worktrees()), programs.left()) == (2, ["sub_1"])

    kill(bot, reap=reap)
    output = programs.done(
        programs.bot([["write", "b.txt", "x"]], worktree=True, roots=[repo.path.parent]), {"repository": "app"}
    )

    assert [each["path"] for each in output["files"]] == ["b.txt"]
    assert alive.nobody()
    assert (repo.worktrees(), programs.left(), repo.branches()) == ([], [], ["main", output["branch"]])
    if not reap:
        bot.wait(20)


def test_a_living_bots_checkout_is_left_alone(programs: Programs, repo: Repo, alive: Alive) -> None:
    bot = start_bot(programs, repo, [["hold", str(alive.path)]])
    alive.hears()

    assert sweep(programs) == 0
    output = programs.done(
        programs.bot([["write", "b.txt", "x"]], worktree=True, roots=[repo.path.parent]), {"repository": "app"}
    )

    assert [each["path"] for each in output["files"]] == ["b.txt"]
    assert (len(repo.worktrees()), programs.left()) == (2, ["sub_1"])
    kill(bot)
    alive.wait_until_dead()


def test_the_session_of_a_killed_bot_goes_on_with_its_files(programs: Programs, repo: Repo, alive: Alive) -> None:
    begin: list[Any] = ["event", {"type": "system", "subtype": "init", "session_id": "ses-1"}]
    end: list[Any] = ["event", {"type": "result", "subtype": "success", "result": "done"}]
    script: dict[str, Steps] = {
        "--resume": [["shell", "echo rest >> half.txt"], end],
        "": [["write", "half.txt", "half\n"], begin, ["hold", str(alive.path)]],
    }
    bot = start_bot(programs, repo, script, ["--resume", "{session}"])
    alive.hears()
    while json.loads((programs.home / "sub_1" / OWNER_FILE).read_text())["about"]["session"] is False:
        time.sleep(0.001)
    kill(bot)
    kept = {"program": sys.executable, "host": os.uname().nodename, "session": "ses-1"}

    again = programs.bot(
        script, resume=["--resume", "{session}"], reads="claude", worktree=True, roots=[repo.path.parent]
    )
    output = programs.done(again, {"repository": "app"}, context=programs.context(attempt=2, resumed_from=kept))

    assert repo.git("show", f"{output['commit']}:half.txt") == "half\nrest"
    assert (repo.worktrees(), programs.left()) == ([], [])


@pytest.mark.parametrize("moment", range(8))
def test_a_bot_killed_at_any_moment_leaves_nothing_after_the_sweep(programs: Programs, repo: Repo, moment: int) -> None:
    """Between any two lines of an attempt: while the folder, the owner file, the checkout are made or removed."""
    bot = start_bot(programs, repo, [["write", "a.txt", "x"], ["event", {"type": "result", "subtype": "success"}]])
    programs.home.mkdir(exist_ok=True)
    while bot.poll() is None and not any(each.name != ".lock" for each in programs.home.iterdir()):
        time.sleep(0.001)
    try:
        bot.wait(moment * 0.03)
    except subprocess.TimeoutExpired:
        kill(bot)

    programs.done(programs.bot([["text", "x"]], worktree=True, roots=[repo.path.parent]), {"repository": "app"})

    assert (repo.worktrees(), programs.left()) == ([], [])
    repo.git("fsck", "--strict")


def folder_of(programs: Programs, **owner: Any) -> Path:
    """Make an attempt's folder with another owner."""
    folders = AttemptFolders(programs.home)
    folder = folders.claim("sub_9", {})
    here = FolderOwner.here()
    record = {"pid": here.pid, "started": here.started, "boot": here.boot, "host": here.host, "about": {}} | owner
    (folder / OWNER_FILE).write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    ("owner", "swept"),
    [
        ({}, 0),
        ({"host": "elsewhere"}, 0),
        ({"host": "elsewhere", "pid": 2**22 + 1}, 0),
        ({"started": "1"}, 1),  # the id is used again by another process
        ({"boot": "before"}, 1),
        ({"pid": 2**22 + 1}, 1),
        ({"pid": "x"}, 0),
        ({"about": 7}, 0),
    ],
)
def test_only_a_folder_whose_owner_is_surely_dead_is_removed(
    programs: Programs, owner: dict[str, Any], swept: int
) -> None:
    folder = folder_of(programs, **owner)

    assert sweep(programs) == swept
    assert folder.exists() is not bool(swept)


def test_a_folder_without_an_owner_file_a_link_and_a_file_are_left_alone(programs: Programs) -> None:
    folder_of(programs).rename(programs.home / "x")
    (programs.home / "x" / OWNER_FILE).unlink()
    (programs.home / "file").write_text("x")
    (programs.home / "link").symlink_to(programs.folder)

    assert sweep(programs) == 0
    assert programs.left() == ["file", "link", "x"]


def test_what_a_killed_bot_was_making_or_removing_is_removed(programs: Programs) -> None:
    AttemptFolders(programs.home).claim("sub_1", {}).rename(programs.home / ".old-1-1-9-sub_1")
    (programs.home / f".new-{2**22 + 1}-5-9-sub_1").mkdir()
    (programs.home / f".new-{os.getpid()}-{started(os.getpid())}-9-sub_2").mkdir()

    assert sweep(programs) == 2
    assert [name[:5] for name in programs.left()] == [".new-"]


def test_two_sweeps_at_once_remove_each_folder_once(programs: Programs) -> None:
    for number in range(20):
        folder_of(programs, started="1").rename(programs.home / f"sub_{number}")
    retired: list[str] = []

    def retire(home: Path, about: Mapping[str, Any]) -> None:
        retired.append(home.name.rpartition("-")[2])

    threads = [threading.Thread(target=AttemptFolders(programs.home).sweep, args=(retire,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(retired) == sorted({*retired})
    assert (len(retired), programs.left()) == (20, [])


def test_the_path_of_a_checkout_is_not_used_while_the_old_one_is_removed(programs: Programs) -> None:
    folder_of(programs, started="1")
    made: list[str] = []

    def retire(home: Path, about: Mapping[str, Any]) -> None:
        made.append(AttemptFolders(programs.home).claim("sub_9", {}).name)

    AttemptFolders(programs.home).sweep(retire)

    assert made == ["sub_9-2"]


def test_a_link_out_of_an_attempts_folder_is_not_followed(programs: Programs) -> None:
    outside = programs.folder / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    folder = folder_of(programs, started="1")
    (folder / "link").symlink_to(outside)
    (folder / "shut").mkdir()
    (folder / "shut" / "link").symlink_to(outside)
    (folder / "shut").chmod(0o500)

    assert sweep(programs) == 1
    assert (outside / "kept").exists()


def test_an_owner_file_cannot_make_the_sweep_remove_another_worktree(
    programs: Programs, repo: Repo, make_repo: Callable[[Path], Repo]
) -> None:
    from swarmkeeper.agents.programs.attempt import retire

    theirs = programs.folder / "theirs"
    repo.git("worktree", "add", "-q", str(theirs))
    about = {"common": str(repo.path / ".git"), "checkout": str(programs.folder / "x"), "work": "w", "base": "HEAD"}

    retire(programs.folder, about, dict(os.environ), ("a", "b@c"), done=False)

    assert theirs.exists()
    assert len(repo.worktrees()) == 2
    assert STAND_IN.exists()


@pytest.mark.parametrize("inside", [[], ["locked", "HEAD"]])
def test_a_worktree_that_git_was_making_when_it_was_killed_is_removed(
    programs: Programs, repo: Repo, inside: list[str]
) -> None:
    from swarmkeeper.agents.programs.attempt import retire

    for name in ("sub_9", "sub_8"):
        (repo.path / ".git" / "worktrees" / name).mkdir(parents=True)
        for each in inside:
            (repo.path / ".git" / "worktrees" / name / each).touch()
    about = {"common": str(repo.path / ".git"), "checkout": str(programs.home / "sub_9" / "sub_9")}

    retire(programs.home / "sub_9", about, dict(os.environ), ("a", "b@c"), done=False)

    assert repo.worktrees() == ["sub_8"]


def test_a_sweep_that_waited_never_takes_the_folder_of_a_new_attempt(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(programs, started="1")

    def meanwhile(_: Path) -> bool:
        monkeypatch.undo()
        assert sweep(programs) == 1
        assert AttemptFolders(programs.home).claim("sub_9", {}) == folder
        return False

    monkeypatch.setattr("swarmkeeper.agents.programs.folders._in_use", meanwhile)

    assert sweep(programs) == 0
    assert folder.exists()
