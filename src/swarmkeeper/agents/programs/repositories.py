"""Checks what a subtask says about a repository: its path, the ref to begin from, and the branch to make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmkeeper.agents.programs.git import COMMIT, Git
from swarmkeeper.sdk.attempts.sendable import readable

Json = Any

_NAME_LENGTH_MAX = 200


class BadRepository(ValueError):
    """What the subtask says about its repository is wrong; another attempt would meet the same."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on this machine.

    Attributes:
        top: its working tree.
        common: where git keeps its objects and refs, for all its worktrees.
    """

    top: Path
    common: Path


@dataclass(frozen=True, slots=True)
class Start:
    """Where an attempt begins.

    Attributes:
        commit: what is checked out.
        base: what the result is compared with: in a rework, where the first round began.
        branch: the branch that the subtask asks for; None: a new one.
        branch_was: its commit now; None: it does not exist.
    """

    commit: str
    base: str
    branch: str | None = None
    branch_was: str | None = None


def repository_of(git: Git, named: Json, roots: Sequence[Path]) -> Repository:
    """Return the repository that a subtask names: an absolute path, or one relative to a root.

    Raises:
        BadRepository: it is no repository, or it lies, also by a link, outside all roots.
    """
    if not isinstance(named, str) or not named or "\0" in named:
        raise BadRepository("input.repository is the path of a git repository on the bot's machine")
    outside = BadRepository(f"input.repository lies outside the folders that this bot allows: {_shown(named)}")
    try:
        found = [folder.resolve() for root in roots if (folder := root / named).is_dir()]
        path = next((each for each in found if _within(each, roots)), None)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadRepository(f"input.repository cannot be read: {type(error).__name__}") from None
    if path is None:
        if found or Path(named).is_absolute() or ".." in Path(named).parts:
            raise outside
        raise BadRepository(f"input.repository does not exist on this bot's machine: {_shown(named)}")
    # Not `--show-toplevel` alone: git would go up to a repository that holds the folder.
    top, common = (
        git.asks("rev-parse", "--show-toplevel", folder=path),
        git.asks("rev-parse", "--path-format=absolute", "--git-common-dir", folder=path),
    )
    if top is None or common is None or Path(top).resolve() != path:
        raise BadRepository(f"input.repository is not the top of a git repository with files: {_shown(named)}")
    if not _within(Path(common).resolve(), roots):
        raise outside
    return Repository(path, Path(common).resolve())


def start_of(git: Git, repository: Repository, given: Mapping[str, Json], previous: Json) -> Start:
    """Return where an attempt begins: `ref` of the input, else the branch if it exists, else what is checked out.

    Args:
        given: the subtask's input, with `ref` and `branch`, both optional.
        previous: the output of the round before, in a rework: the work goes on from there.

    Raises:
        BadRepository: a ref or a branch is not valid, or the branch cannot be moved.
    """
    folder = repository.top
    branch = _checked_branch(git, folder, given.get("branch"))
    was = None if branch is None else commit_of(git, folder, f"refs/heads/{branch}")
    ref = given.get("ref")
    if ref is None:
        base = was or commit_of(git, folder, "HEAD")
        if base is None:
            raise BadRepository("the repository has no commit yet")
    else:
        if not isinstance(ref, str) or not ref or ref.startswith("-") or len(ref) > _NAME_LENGTH_MAX or "\0" in ref:
            raise BadRepository("input.ref is the name of a branch, a tag or a commit")
        base = commit_of(git, folder, ref)
        if base is None:
            raise BadRepository(f"the repository has no commit {_shown(ref)}")
    commit = _previous_commit(git, folder, previous)
    if branch is not None and was is not None and was not in (base, commit):
        raise BadRepository(f"the branch {_shown(branch)} exists, and is not at the ref to begin from")
    if commit is None:
        return Start(base, base, branch, was)
    began = previous.get("base")
    known = isinstance(began, str) and COMMIT.fullmatch(began) and commit_of(git, folder, began) == began
    return Start(commit, began if known else base, branch, was)


def commit_of(git: Git, folder: Path, ref: str) -> str | None:
    """Return the full name of a commit; None if there is none."""
    try:
        found = git.asks("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", folder=folder)
    except (ValueError, UnicodeError):  # a NUL, or a lone surrogate
        return None
    return found if found and COMMIT.fullmatch(found) else None


def _checked_branch(git: Git, folder: Path, named: Json) -> str | None:
    if named is None:
        return None
    wrong = BadRepository("input.branch is not a valid name of a branch")
    if not isinstance(named, str) or named.startswith("-") or not 0 < len(named) <= _NAME_LENGTH_MAX:
        raise wrong
    try:
        checked = git.asks("check-ref-format", "--branch", named, folder=folder)
    except (ValueError, UnicodeError):
        raise wrong from None
    # It would expand `@{-1}` to a name; what was asked for is what is made.
    if checked != named:
        raise wrong
    return named


def _previous_commit(git: Git, folder: Path, previous: Json) -> str | None:
    made = previous.get("commit") if isinstance(previous, Mapping) else None
    if not isinstance(made, str) or not COMMIT.fullmatch(made):
        return None
    return commit_of(git, folder, made)


def _within(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _shown(text: str) -> str:
    text = readable(text)
    return repr(text if len(text) <= 100 else text[:99] + "…")
