"""A checkout of a repository for one attempt, as a git worktree: made, turned into a commit with its diff, removed.

Theory. A checkout is always detached: the branch of the result is made only when the attempt has succeeded, by one
update that fails if another was quicker. So a killed attempt leaves no branch, and two attempts never hold the same
one. After the program has run, git is told where the worktree's administrative folder and files are: the program may
have changed the `.git` file that says so.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmkeeper.agents.programs.folders import locked
from swarmkeeper.agents.programs.git import COMMIT, OUTPUT_BYTES_MAX, Git, GitFailed
from swarmkeeper.agents.programs.repositories import Repository, Start

Json = Any

DIFF_BYTES_MAX = 256 * 1024
DIFF_BYTES_BOUND = 512 * 1024  # of what an author may choose; see ANSWER_LENGTH_MAX
FILES_MAX = 1_000  # named in an output
_PATHS_LENGTH_MAX = 100_000  # characters of all paths together
_NO_VARIABLES: Mapping[str, str] = {}
_BRANCHES_MAX = 50
_NESTED_MAX = 100
SAVED_REFS = "refs/swarmkeeper/saved/"


class BranchMoved(Exception):
    """The branch of the result was moved or checked out by somebody else while the program ran."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an attempt changed; part of its output."""

    commit: str
    base: str
    branch: str | None  # None: nothing was changed
    diff: str
    diff_truncated: bool
    files: tuple[Mapping[str, Json], ...]
    not_committed: tuple[str, ...]  # repositories that the program made inside the checkout

    def as_output(self) -> dict[str, Json]:
        made: dict[str, Json] = {
            "branch": self.branch, "commit": self.commit, "base": self.base, "diff": self.diff,
            "diff_truncated": self.diff_truncated, "files": list(self.files),
        }  # fmt: skip
        return made | ({"not_committed": [path[:300] for path in self.not_committed]} if self.not_committed else {})


@dataclass(frozen=True, slots=True)
class Checkout:
    """One worktree.

    Attributes:
        folder: its files.
        admin: git's own folder for it, in the repository.
        registered: the path of the files that git knows; `folder` is another one after a move.
    """

    folder: Path
    admin: Path
    common: Path
    registered: Path

    @classmethod
    def add(cls, git: Git, repository: Repository, start: Start, folder: Path) -> Checkout:
        """Check out the start's commit into a folder that does not exist.

        Raises:
            GitFailed: it cannot be made.
        """
        # In the attempt's folder, not in the repository: so the sweep sees that git still works for a killed bot.
        words = ("worktree", "add", "--force", "--detach", "--no-checkout", "--quiet", "--", str(folder), start.commit)
        with _registering(repository.common):
            git(*words, folder=folder.parent, variables={"GIT_DIR": str(repository.common)})
        admin = admin_of(repository.common, folder)
        if admin is None:
            raise GitFailed("git worktree: the new worktree is not registered")
        made = cls(folder, admin, repository.common, folder)
        made.run(git, "checkout", "--quiet", "--force", "--detach", start.commit)
        return made

    def run(
        self,
        git: Git,
        *words: str,
        given: bytes | None = None,
        most: int = OUTPUT_BYTES_MAX,
        variables: Mapping[str, str] = _NO_VARIABLES,
    ) -> str:
        """Run git on this worktree, whatever its `.git` file says now."""
        place = {"GIT_DIR": str(self.admin), "GIT_WORK_TREE": str(self.folder), "GIT_COMMON_DIR": str(self.common)}
        return git(*words, folder=self.folder, given=given, most=most, variables={**place, **variables})

    def committed(self, git: Git, start: Start, message: str, author: tuple[str, str]) -> tuple[str, tuple[str, ...]]:
        """Return the commit that holds all changes, and what it could not hold. Ignored files are not in it.

        Raises:
            GitFailed: the files cannot be committed.
        """
        if self.folder.is_symlink() or not self.folder.is_dir():
            raise GitFailed("git add: the program removed its checkout, or put something else in its place")
        # Left by a git that was killed with the program: none runs here any more.
        (self.admin / "index.lock").unlink(missing_ok=True)
        head = self._commit_at(git, "HEAD") or start.commit
        nested = self._nested(git)
        excluded = [f":(top,exclude,literal){path}" for path in nested]
        listed = b"\0".join(os.fsencode(path) for path in (":(top)", *excluded))
        self.run(git, "add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul", given=listed)
        tree = self.run(git, "write-tree").strip()
        if tree == self.run(git, "rev-parse", "--verify", "--end-of-options", f"{head}^{{tree}}").strip():
            return head, nested
        name, email = author
        people = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", name), ("EMAIL", email))
        }
        made = self.run(
            git, "commit-tree", tree, "-p", head, "-F", "-", given=message.encode("utf-8", "replace"), variables=people
        )
        return made.strip(), nested

    def finish(
        self, git: Git, start: Start, *, branch: str, message: str, author: tuple[str, str], diff_bytes_max: int
    ) -> Change:
        """Commit all changes and make the branch.

        Args:
            branch: a name for the branch, if the subtask asked for none; a number is added if it is taken.

        Raises:
            GitFailed: the files cannot be committed.
            BranchMoved: see there.
        """
        commit, nested = self.committed(git, start, message, author)
        made = None if commit == start.base else self._make_branch(git, start, branch, commit)
        shown = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", start.base, commit, "--")
        diff = self.run(git, "diff", *shown, most=diff_bytes_max)
        exact = len(diff.encode()) <= diff_bytes_max
        numbers = self.run(git, "diff", "--numstat", "-z", *shown)
        return Change(commit, start.base, made, diff, not exact, _files_of(numbers), nested)

    def save(self, git: Git, name: str, base: str, author: tuple[str, str]) -> None:
        """Keep all changes under a ref, for an attempt that continues the program's session.

        Raises:
            GitFailed: they cannot be committed.
        """
        commit, _ = self.committed(git, Start(base, base), "Unfinished work of an attempt", author)
        self.run(git, "update-ref", saved_ref(name), commit)

    def unregister(self) -> None:
        """Remove git's folder for this worktree, if it still belongs to it. The files are removed by their owner."""
        if self.admin.parent != self.common / "worktrees" or _registered(self.admin) != self.registered / ".git":
            return
        with _registering(self.common):
            # The file that says whose it is goes last: if this process is killed, the next sweep still finds the rest.
            for entry in self.admin.iterdir():
                if entry.name != "gitdir":
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink(missing_ok=True)
            shutil.rmtree(self.admin)

    def _commit_at(self, git: Git, ref: str) -> str | None:
        with contextlib.suppress(GitFailed):
            found = self.run(git, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip()
            return found if COMMIT.fullmatch(found) else None
        return None

    def _nested(self, git: Git) -> tuple[str, ...]:
        """Return repositories that the program made in the checkout: git would keep their commit, not their files."""
        found: list[str] = []
        submodules = {
            line.partition("\t")[2]
            for line in self.run(git, "ls-files", "--stage", "-z").split("\0")
            if line.startswith("160000")
        }
        for folder, inner, names in os.walk(self.folder):
            path = os.path.relpath(folder, self.folder)
            if path != "." and (".git" in inner or ".git" in names):
                inner.clear()
                if path not in submodules:
                    found.append(path)
            if ".git" in inner:
                inner.remove(".git")
            if len(found) >= _NESTED_MAX:
                raise GitFailed(f"git add: the program left {_NESTED_MAX} repositories or more in its checkout")
        return tuple(found)

    def _make_branch(self, git: Git, start: Start, name: str, commit: str) -> str:
        if start.branch is not None:
            self._move_branch(git, start.branch, commit, start.branch_was)
            return start.branch
        for number in range(1, _BRANCHES_MAX):
            branch = name if number == 1 else f"{name}-{number}"
            at = self._commit_at(git, f"refs/heads/{branch}")
            if at == commit:
                return branch
            if at is None:
                with contextlib.suppress(BranchMoved):
                    self._move_branch(git, branch, commit, None)
                    return branch
        raise BranchMoved(f"{_BRANCHES_MAX} branches are named like {name}")

    def _move_branch(self, git: Git, branch: str, commit: str, was: str | None) -> None:
        """Set a branch, if it still is where it was, and nobody has it checked out: their files would look changed."""
        with _registering(self.common):
            listed = self.run(git, "worktree", "list", "--porcelain", "-z").split("\0\0")
        if any(
            f"branch refs/heads/{branch}" in each.split("\0") and f"worktree {self.registered}" not in each.split("\0")
            for each in listed
        ):
            raise BranchMoved(f"the branch {branch} is checked out elsewhere")
        if was is not None and was != commit and self._ancestor(git, was, commit) is False:
            raise BranchMoved(f"the result does not contain what the branch {branch} holds")
        try:
            self.run(git, "update-ref", f"refs/heads/{branch}", commit, was or "0" * len(commit))
        except GitFailed as error:
            raise BranchMoved(f"the branch {branch} was moved meanwhile: {error}") from error

    def _ancestor(self, git: Git, older: str, newer: str) -> bool:
        with contextlib.suppress(GitFailed):
            self.run(git, "merge-base", "--is-ancestor", older, newer)
            return True
        return False


def _registering(common: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the list of worktrees: git fails when it reads about one that another git is just making or removing."""
    return locked(common / "swarmkeeper-worktrees.lock")


def admin_of(common: Path, folder: Path) -> Path | None:
    """Return git's folder for the worktree whose files are in `folder`; None if git knows none."""
    with contextlib.suppress(OSError):
        for admin in (common / "worktrees").iterdir():
            if _registered(admin) == folder / ".git":
                return admin
    return None


def saved_ref(name: str) -> str:
    """Return the ref of unfinished work."""
    return SAVED_REFS + re.sub(r"[^0-9A-Za-z_-]", "_", name)


def _registered(admin: Path) -> Path | None:
    try:
        return Path(os.fsdecode((admin / "gitdir").read_bytes()).rstrip("\n"))
    except OSError:
        return None


def _files_of(numbers: str) -> tuple[Mapping[str, Json], ...]:
    """Read `--numstat -z`: added, removed and path of each file; of a binary file, the numbers are dashes."""
    found: list[Mapping[str, Json]] = []
    length = 0
    for line in numbers.split("\0")[:FILES_MAX]:
        added, _, rest = line.partition("\t")
        removed, _, path = rest.partition("\t")
        length += len(path)
        if path and "left out]" not in path and length <= _PATHS_LENGTH_MAX:
            found.append({"path": path, "added": _count(added), "removed": _count(removed)})
    return tuple(found)


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 16 else None


def author_of(author: Sequence[str]) -> tuple[str, str]:
    """Return name and email of a commit's author.

    Raises:
        ValueError: they cannot stand in a commit.
    """
    if isinstance(author, str) or len(author) != 2:
        raise ValueError('author is a pair: ("name", "email")')
    for text in author:
        if not isinstance(text, str) or not text.strip() or re.search(r"[<>\n\r\0]", text):
            raise ValueError("author's name and email are texts without < > and line breaks")
    return author[0], author[1]
