"""Migrates a code base file by file: an agent program for each file, a branch for each file, and the tests as judge.

python migrate.py                          a code base for a try, made of sample/
python migrate.py REPOSITORY FILE…         your own
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from swarmkeeper import Accept, Candidate, Context, EvaluatorBot, Reject, Rework
from swarmkeeper.agents.programs import command_bot
from swarmkeeper.testing import run_swarm

HERE = Path(__file__).resolve().parent

WORDS = ["-p", "{prompt}", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"]
CLAUDE_CODE = ["claude", *WORDS]
STAND_IN = [sys.executable, str(HERE / "stand_in.py"), *WORDS]
PROGRAM = STAND_IN  # a script plays the program, so that this runs without a key; your own: CLAUDE_CODE
KEYS = ["ANTHROPIC_API_KEY"]  # all that the program gets of this environment, beside PATH, HOME and the like
TESTS = [sys.executable, "-m", "unittest"]
OLD = "utcnow("
WHAT_TO_DO = """Migrate {file}

In this file, replace each use of datetime.utcnow(), which is deprecated, by datetime.now(UTC). Change this file alone,
and nothing else in it. All tests must pass."""
BUDGET = {"cost_micro_usd": 5_000_000, "tokens": 5_000_000, "attempts": 60, "at_limit": "stop"}  # 5 US dollars


class TestsPass(EvaluatorBot):
    """Accepts a branch if its tests pass in a copy of it, and if nothing else was changed. No model has a say in it."""

    name = "tests"

    def __init__(self, repository: Path) -> None:
        self.repository = repository

    async def review(self, candidate: Candidate, context: Context) -> Accept | Rework | Reject:
        if candidate.of == "task":  # each file was judged before
            return Accept() if candidate.results else Reject(reasons=["no file could be migrated"])
        [(key, result)] = candidate.results.items()
        file, commit = candidate.subtask.input["file"], result["commit"]
        git = ["git", "-C", str(self.repository)]
        changed = await context.run([*git, "diff", "--name-only", f"HEAD...{commit}"], check=True)
        if changed.stdout.split("\n") != [file, ""]:
            return Rework({key: f"Change {file}, and nothing else. This is changed: {changed.stdout or 'nothing'}"})
        code = await context.run([*git, "show", f"{commit}:{file}"], check=True, log=False)
        if OLD in code.stdout:
            return Rework({key: f"There is still a {OLD} in {file}."})
        with tempfile.TemporaryDirectory() as folder:
            await context.run([*git, "archive", f"--output={folder}/code.tar", commit], check=True)
            await context.run(["tar", "-xf", "code.tar"], cwd=folder, check=True)
            # Code that an agent wrote: it gets nothing of this environment. For code of strangers, use a container.
            tested = await context.run(TESTS, cwd=folder, timeout=300, inherit_env=False, env={"PATH": "/usr/bin:/bin"})
        if not tested.ok:
            return Rework({key: f"The tests fail:\n{tested.stderr[-4_000:]}"})
        return Accept(reasons=["the tests pass"])


def migrated(repository: Path, files: list[str]):
    """Run the swarm, and return its task."""
    agent = command_bot(
        PROGRAM, skills={"code.change"}, worktree=True, roots=[repository], env=KEYS, timeout_seconds=1_800, capacity=2
    )
    steps = [
        {
            "key": file.removesuffix(".py").replace("/", "-"),
            "description": WHAT_TO_DO.format(file=file),
            "required_skills": ["code.change"],
            "on_failure": "continue",  # the other files go on
            "input": {"repository": str(repository), "branch": f"migrate/{file.removesuffix('.py')}", "file": file},
        }
        for file in files
    ]
    task = {"title": "Migrate", "evaluation": "each", "budget": BUDGET, "subtasks": steps}
    return run_swarm([agent, TestsPass(repository)], [task], timeout_seconds=86_400)[0]


def practice() -> Path:
    """Make a repository of sample/, anew each time."""
    repository = HERE / "practice"
    shutil.rmtree(repository, ignore_errors=True)
    shutil.copytree(HERE / "sample", repository)
    git = ["git", "-C", str(repository), "-c", "user.name=Me", "-c", "user.email=me@localhost"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Begin"]):
        subprocess.run([*git, *words], check=True)
    return repository


def main() -> None:
    if len(sys.argv) > 2:
        repository, files = Path(sys.argv[1]).resolve(), sys.argv[2:]
    else:
        repository = practice()
        files = sorted(str(file.relative_to(repository)) for file in repository.glob("shop/[a-z]*.py"))
    task = migrated(repository, files)
    done = task.result or {}
    for result in done.values():
        print(result["branch"])
    cost = task.usage.cost_micro_usd / 1_000_000
    print(f"{task.outcome}: {len(done)} of {len(files)} files, {task.usage.tokens:,} tokens, ${cost:.2f}")
    print(f"look at one: git -C {repository} diff HEAD...BRANCH")
    print(f"take it:     git -C {repository} merge BRANCH")
    sys.exit(0 if task.outcome == "accepted" and len(done) == len(files) else 3)


if __name__ == "__main__":
    main()
