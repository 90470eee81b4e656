"""A checkout for each attempt: what comes out of it, what it refuses, and that nothing of it is left."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.wire.answers import Feedback, Previous
from tests.agents.programs.conftest import Programs, Repo, Steps

CHANGE: Steps = [["write", "a.txt", "two\n"], ["write", "new/b.txt", "b\n"], ["text", "changed"]]


def bot_of(programs: Programs, script: Any, *words: str, **settings: Any) -> Any:
    return programs.bot(script, *words, worktree=True, roots=[programs.folder / "repos"], **settings)


def test_a_change_becomes_a_branch_a_commit_and_a_diff_and_the_checkout_is_gone(programs: Programs, repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD")

    output = programs.done(bot_of(programs, CHANGE), {"repository": str(repo.path)}, text="Write two\nand more")

    assert output["text"] == "changed\n"
    assert output["base"] == base
    assert repo.git("rev-parse", output["branch"]) == output["commit"] != base
    assert repo.git("show", f"{output['commit']}:new/b.txt") == "b"
    assert repo.git("log", "-1", "--format=%an %s", output["commit"]) == "swarmkeeper Write two and more"
    assert "-one\n+two\n" in output["diff"]
    assert not output["diff_truncated"]
    assert output["files"] == [
        {"path": "a.txt", "added": 1, "removed": 1},
        {"path": "new/b.txt", "added": 1, "removed": 0},
    ]
    assert (repo.path / "a.txt").read_text() == "one\n"
    assert (repo.git("status", "--porcelain"), repo.worktrees(), programs.left()) == ("", [], [])


def test_a_subtask_that_names_no_repository_works_on_that_of_the_bot(programs: Programs, repo: Repo) -> None:
    output = programs.done(bot_of(programs, CHANGE, repository=repo.path), {})

    assert repo.git("show", f"{output['commit']}:new/b.txt") == "b"
    assert (repo.path / "a.txt").read_text() == "one\n"


def test_a_repository_of_the_bot_lies_in_a_root_as_any_other(programs: Programs, repo: Repo) -> None:
    failed = programs.failed(bot_of(programs, CHANGE, repository=programs.folder), {})

    assert "outside the folders that this bot allows" in failed.why


def test_the_title_of_a_commit_ends_at_an_empty_line(programs: Programs, repo: Repo) -> None:
    text = "Migrate a.txt\n\nIn it, write two in place of one."

    output = programs.done(bot_of(programs, CHANGE), {"repository": str(repo.path)}, text=text)

    assert repo.git("log", "-1", "--format=%s", output["commit"]) == "Migrate a.txt"


def test_the_programs_own_commits_and_branches_are_part_of_the_result(programs: Programs, repo: Repo) -> None:
    own = "git switch -qc mine; echo two > a.txt; git -c user.name=x -c user.email=x@y commit -qam own; echo c > c.txt"

    output = programs.done(bot_of(programs, [["shell", own]]), {"repository": "app"})

    assert repo.git("log", "--format=%s", f"{output['base']}..{output['commit']}") == "Do it.\nown"
    assert {each["path"] for each in output["files"]} == {"a.txt", "c.txt"}


def test_without_changes_there_is_no_branch(programs: Programs, repo: Repo) -> None:
    output = programs.done(bot_of(programs, [["text", "nothing to do"]]), {"repository": "app"})

    assert (output["branch"], output["diff"], output["files"]) == (None, "", [])
    assert output["commit"] == output["base"]
    assert repo.branches() == ["main"]


def test_a_failed_program_leaves_no_branch_and_no_checkout(programs: Programs, repo: Repo) -> None:
    programs.failed(bot_of(programs, [*CHANGE, ["exit", 3]]), {"repository": "app"})

    assert (repo.branches(), repo.worktrees(), programs.left()) == (["main"], [], [])


def test_the_input_chooses_where_to_begin_and_the_branch(programs: Programs, repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.commit("later.txt", "later\n")
    repo.git("tag", "v1", first)

    output = programs.done(bot_of(programs, CHANGE), {"repository": "app", "ref": "v1", "branch": "fix/it"})

    assert (output["base"], output["branch"]) == (first, "fix/it")
    assert repo.git("rev-parse", "fix/it^") == first


def test_an_existing_branch_is_moved_forward(programs: Programs, repo: Repo) -> None:
    bot = bot_of(programs, CHANGE)
    first = programs.done(bot, {"repository": "app", "branch": "fix"})

    more = bot_of(programs, [["write", "c.txt", "c"]])
    second = programs.done(more, {"repository": "app", "branch": "fix"}, context=programs.context(work_id="sub_2"))

    assert second["base"] == first["commit"]
    assert repo.git("rev-parse", "fix") == second["commit"]


def test_a_branch_that_somebody_has_checked_out_is_not_moved(programs: Programs, repo: Repo) -> None:
    failed = programs.failed(bot_of(programs, CHANGE), {"repository": "app", "branch": "main"})

    assert "checked out elsewhere" in failed.why
    assert repo.git("status", "--porcelain") == ""


def test_a_branch_that_moved_meanwhile_is_not_overwritten(programs: Programs, repo: Repo) -> None:
    repo.git("branch", "fix")
    other = f"git -C {repo.path} branch -qf fix $(git commit-tree -p HEAD -m other HEAD^{{tree}})"
    named = f"git config user.name x; git config user.email x@y; {other}"

    failed = programs.failed(bot_of(programs, [*CHANGE, ["shell", named]]), {"repository": "app", "branch": "fix"})

    assert failed.kind == "retryable"
    assert repo.git("log", "-1", "--format=%s", "fix") == "other"


def test_a_rework_goes_on_from_the_previous_result(programs: Programs, repo: Repo) -> None:
    first = programs.done(bot_of(programs, CHANGE), {"repository": "app"})
    context = programs.context(
        attempt=2,
        feedback=[Feedback(round=1, text="add c")],
        previous=Previous(attempt=1, ending="succeeded", output=first),
    )

    again = programs.done(bot_of(programs, [["write", "c.txt", "c"]]), {"repository": "app"}, context=context)

    assert again["base"] == first["base"]
    assert {each["path"] for each in again["files"]} == {"a.txt", "c.txt", "new/b.txt"}
    assert again["branch"] != first["branch"]


def test_two_attempts_at_once_never_share_a_checkout(programs: Programs, repo: Repo) -> None:
    folders: list[str] = []

    def attempt(number: int) -> None:
        told = programs.folder / f"told-{number}"
        script: Steps = [["tell", str(told)], ["write", f"{number}.txt", "x"], ["sleep", 0.2]]
        output = programs.done(bot_of(programs, script), {"repository": "app"})
        folders.append(json.loads(told.read_text())["folder"])
        assert [each["path"] for each in output["files"]] == [f"{number}.txt"]

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(folders)) == 6
    assert (repo.worktrees(), programs.left()) == ([], [])
    assert len(repo.branches()) == 7


def test_a_long_diff_is_cut_in_its_middle(programs: Programs, repo: Repo) -> None:
    script: Steps = [["write", "big.txt", "line\n" * 10_000]]

    output = programs.done(bot_of(programs, script, diff_bytes_max=1_000), {"repository": "app"})

    assert output["diff_truncated"]
    assert "bytes left out]" in output["diff"]
    assert len(output["diff"]) < 1_200
    assert output["files"] == [{"path": "big.txt", "added": 10_000, "removed": 0}]


@pytest.mark.parametrize(
    "given",
    [
        {"repository": "../outside"},
        {"repository": "app/../../outside"},
        {"repository": "link"},
        {"repository": "/"},
        {"repository": ""},
        {"repository": 7},
        {"repository": ["app"]},
        {"repository": "a\0b"},
        {"repository": "missing"},
        {"repository": "plain"},
        {"repository": "app/inner"},
        {"repository": "gitfile"},
        {"repository": "elsewhere"},
        {"repository": "app/.git"},
        {"repository": "--upload-pack=touch x"},
        {"repository": "x" * 5_000},
        {"repository": "app", "ref": "--upload-pack=touch x"},
        {"repository": "app", "ref": "-h"},
        {"repository": "app", "ref": "missing"},
        {"repository": "app", "ref": ""},
        {"repository": "app", "ref": "main\0"},
        {"repository": "app", "ref": "main:a.txt"},
        {"repository": "app", "ref": 3},
        {"repository": "app", "branch": "-D"},
        {"repository": "app", "branch": "--force"},
        {"repository": "app", "branch": "a..b"},
        {"repository": "app", "branch": "@{-1}"},
        {"repository": "app", "branch": "refs/../x"},
        {"repository": "app", "branch": "x.lock"},
        {"repository": "app", "branch": "a\nb"},
        {"repository": "app", "branch": ""},
    ],
)
def test_a_hostile_repository_ref_or_branch_is_refused_and_nothing_runs(
    programs: Programs, repo: Repo, given: dict[str, Any], make_repo: Callable[[Path], Repo]
) -> None:
    roots = programs.folder / "repos"
    outside = make_repo(programs.folder / "outside")
    (roots / "link").symlink_to(outside.path)
    (roots / "plain").mkdir()
    (repo.path / "inner").mkdir()
    (roots / "gitfile").mkdir()
    (roots / "gitfile" / ".git").write_text(f"gitdir: {outside.path}/.git\n")
    elsewhere = make_repo(roots / "elsewhere")
    elsewhere.git("config", "core.worktree", str(outside.path))
    ran = programs.folder / "ran"

    failed = programs.failed(bot_of(programs, [["tell", str(ran)]]), given)

    assert failed.kind == "not_retryable", failed
    assert "input." in failed.why or "the repository has no commit" in failed.why or "the branch" in failed.why
    assert not ran.exists()
    assert (repo.worktrees(), outside.worktrees(), programs.left()) == ([], [], [])


@pytest.mark.parametrize("allowed", [False, True])
def test_hooks_of_the_repository_run_only_if_the_author_allows_it(
    programs: Programs, repo: Repo, *, allowed: bool
) -> None:
    ran = programs.folder / "hooked"
    hooks = repo.path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> {ran}\n")
        (hooks / name).chmod(0o755)
    repo.git("config", "core.hooksPath", str(hooks))
    repo.git("config", "core.fsmonitor", f"touch {ran}-monitor; true")
    own = "echo two > a.txt; git -c user.name=x -c user.email=x@y -c core.fsmonitor=false commit -qam own"
    ran.unlink(missing_ok=True)

    programs.done(bot_of(programs, [["shell", own]], hooks=allowed), {"repository": "app"})

    assert ran.exists() is allowed
    if allowed:
        assert {"post-checkout", "pre-commit"} <= set(ran.read_text().split())
    assert not Path(f"{ran}-monitor").exists()


def test_a_submodule_stays_empty_and_is_not_changed(
    programs: Programs, repo: Repo, make_repo: Callable[[Path], Repo]
) -> None:
    part = make_repo(programs.folder / "repos" / "part")
    repo.git("submodule", "add", "-q", str(part.path), "part")
    repo.git("commit", "-qm", "part")

    output = programs.done(bot_of(programs, CHANGE), {"repository": "app"})

    assert {each["path"] for each in output["files"]} == {"a.txt", "new/b.txt"}
    assert repo.worktrees() == []


def test_a_repository_made_inside_the_checkout_is_named_and_not_committed(programs: Programs, repo: Repo) -> None:
    script: Steps = [["shell", "git init -q deep/inner; echo x > deep/inner/x; git init -q '[ab]*'; echo y > y"]]

    output = programs.done(bot_of(programs, script), {"repository": "app"})

    assert sorted(output["not_committed"]) == ["[ab]*", "deep/inner"]
    assert [each["path"] for each in output["files"]] == ["y"]


def test_odd_names_modes_and_a_broken_git_file_do_not_stop_the_result(programs: Programs, repo: Repo) -> None:
    script: Steps = [
        ["shell", "printf x > \"$(printf 'bad\\377name')\"; printf x > -- ; mkdir shut; echo x > shut/f"],
        ["write", "tab\tand\nline", "x"],
        ["mode", "shut", 0o500],
        ["write", ".git", "gitdir: /nowhere\n"],
    ]

    output = programs.done(bot_of(programs, script), {"repository": "app"})

    assert {"--", "shut/f", "tab\tand\nline"} < {each["path"] for each in output["files"]}
    assert len(output["files"]) == 4
    assert (repo.worktrees(), programs.left()) == ([], [])


@pytest.mark.parametrize("command", ["cd ..; rm -r sub_1; ln -s {outside} sub_1", "cd ..; rm -r sub_1", "rm -r $PWD"])
def test_a_checkout_that_the_program_replaced_or_removed_gives_no_result(
    programs: Programs, repo: Repo, command: str
) -> None:
    outside = programs.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")

    failed = programs.failed(bot_of(programs, [["shell", command.format(outside=outside)]]), {"repository": "app"})

    assert "removed its checkout" in failed.why
    assert (outside / "secret").exists()
    assert (repo.branches(), repo.worktrees(), programs.left()) == (["main"], [], [])


def test_a_lock_that_a_killed_git_left_does_not_cost_the_result(programs: Programs, repo: Repo) -> None:
    script: Steps = [*CHANGE, ["shell", "touch $(git rev-parse --git-dir)/index.lock"]]

    assert programs.done(bot_of(programs, script), {"repository": "app"})["branch"]


def test_a_repository_of_its_own_in_place_of_the_git_file_changes_nothing(programs: Programs, repo: Repo) -> None:
    own = "rm .git; git init -q; git config core.fsmonitor 'touch {0}'; git config core.worktree /; echo x > x"
    ran = programs.folder / "ran"

    output = programs.done(bot_of(programs, [["shell", own.format(ran)]]), {"repository": "app"})

    assert ([each["path"] for each in output["files"]], ran.exists()) == (["x"], False)


def test_a_worktree_outside_the_roots_of_a_repository_inside_is_refused(programs: Programs, repo: Repo) -> None:
    outside = programs.folder / "outside"
    repo.git("worktree", "add", "-q", str(outside))
    (programs.folder / "repos" / "link").symlink_to(outside)

    for named in ("link", str(outside)):
        assert "lies outside" in programs.failed(bot_of(programs, CHANGE), {"repository": named}).why
