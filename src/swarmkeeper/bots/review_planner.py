"""Plans the review of a directory: which subtask measures which files, which look for secrets, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from swarmkeeper.bots import files
from swarmkeeper.sdk.answers import Failed, Plan
from swarmkeeper.sdk.bots import PlannerBot
from swarmkeeper.sdk.runner import run
from swarmkeeper.wire.requests import SubTask, TaskDefinition

# A graph that a person can survey, whether the directory has ten files or ten thousand.
BUNDLES_MAX = 24
FILES_MAX = 10_000  # the report has a line for each
SCAN_FILES = 50  # in one bundle, unless there would be too many bundles


class ReviewPlanner(PlannerBot):
    """`{"path": …}` → inspect.<language>.<n> and scan.<n>, and one summarise after them."""

    skills = frozenset({"review.plan"})
    dedicated = True

    def plan(self, task: TaskDefinition) -> Plan | Failed:
        try:
            root = files.root_of(task.input)
        except files.DirectoryNotFound as error:
            return Failed(str(error), kind="not_retryable")
        found = files.listing(root)
        if len(found.files) > FILES_MAX:
            return Failed(f"more than {FILES_MAX} files: review a part of them", kind="not_retryable")
        if not found.files:
            return Failed("there is no text file to review", kind="not_retryable")
        parts = [*inspections(str(root), found.files), *scans(str(root), found.files)]
        return Plan([*parts, summary(str(root), parts)])


def inspections(root: str, names: Sequence[str], mark: str = "") -> Iterator[SubTask]:
    """Yield one subtask for each file or bundle of neighbours; `mark` distinguishes the keys of a later round."""
    for language in ("python", "text"):
        of_language = [name for name in names if files.language(name) == language]
        for place, bundle in enumerate(_bundles(of_language, 1), start=1):
            yield SubTask(
                key=f"inspect.{language}{mark}.{place}",
                description=f"Measure {_name_of(bundle)}",
                required_skills=[f"inspect.{language}"],
                input={"root": root, "files": bundle},
            )


def scans(root: str, names: Sequence[str], mark: str = "") -> Iterator[SubTask]:
    for place, bundle in enumerate(_bundles(names, SCAN_FILES), start=1):
        yield SubTask(
            key=f"scan{mark}.{place}",
            description=f"Look for secrets in {_name_of(bundle)}",
            required_skills=["scan.secrets"],
            input={"root": root, "files": bundle},
        )


def summary(root: str, parts: Sequence[SubTask], mark: str = "", before: str | None = None) -> SubTask:
    """Return the subtask that writes the report from the parts and, in a later round, from the report of `before`."""
    keys = [part.key for part in parts if part.key is not None]
    return SubTask(
        key=f"summarise{mark}",
        description="Write the report",
        required_skills=["summarise"],
        depends_on=[*([before] if before else []), *keys],
        input={"root": root},
    )


def _bundles(names: Sequence[str], size: int) -> Iterator[list[str]]:
    """Yield bundles of neighbours: `size` names each, more if there would be too many bundles."""
    size = max(size, -(-len(names) // BUNDLES_MAX))
    for start in range(0, len(names), size):
        yield list(names[start : start + size])


def _name_of(bundle: Sequence[str]) -> str:
    if len(bundle) == 1:
        return bundle[0]
    return f"{len(bundle)} files, {bundle[0]} to {bundle[-1]}"


if __name__ == "__main__":
    run(ReviewPlanner())
