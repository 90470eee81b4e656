"""Names that were replaced by standard words of the field must not return."""

import keyword
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.tidy.tree import ROOT, SRC, files, name_of

# Old name -> the word to use. Only names without another meaning are here: `scope` is ASGI's, too.
# CONTRIBUTING.md has the whole table.
INSTEAD: Mapping[str, str] = {
    "Happening": "Transition",
    "TaskHappening": "TaskTransition",
    "happening": "transition",
    "task_happened": "move_task",
    "Ending": "AttemptOutcome",
    "World": "WorkingSet",
    "Journal": "UndoLog",
    "SqliteUnit": "SqliteTransaction",
    "Want": "Key",
    "wants": "needs",
    "_own_wants": "_own_needs",
    "Chore": "BackgroundJob",
    "ChoreTurns": "JobTurns",
    "chore": "job",
    "chores": "jobs",
    "add_chore": "add_job",
    "begin_chore": "begin_job",
    "edit_chore": "edit_job",
    "end_chore": "end_job",
    "next_chore": "next_job",
    "next_chores": "next_jobs",
    "Fire": "TimerFired",
    "held_back": "is_held",
    "makers": "contributors",
    "Beaten": "HeartbeatResult",
    "Pulse": "LeaseHeartbeat",
    "Pulses": "HeartbeatCache",
    "pulses": "heartbeats",
    "Heads": "ReadyQueues",
    "heads": "queue_entries",
    "HandOver": "Dispatcher",
    "Turns": "StrideScheduler",
    "Figures": "Stats",
    "Waits": "TaskWaiters",
    "Bodies": "PayloadCache",
    "Evidence": "AuditQueries",
    "Passage": "Call",
    "Exchange": "Call",
    "VerdictGiven": "VerdictOut",
    "FindingGiven": "FindingOut",
    "UsageGiven": "UsageOut",
    "ProgressGiven": "ProgressOut",
    "DefaultsGiven": "DefaultsOut",
    "QuorumGiven": "QuorumOut",
    "DependencyGiven": "DependencyOut",
    "governing": "rules",
    "oversight": "approvals",
    "Coins": "NamedChoice",
    "coins": "choice",
    "Door": "CoreEdge",
    "HttpDoor": "HttpEdge",
    "Judge": "TransitionChecks",
    "borders": "tenant_isolation",
    "nosy": "intruder",
    "tripwires": "nondeterminism_guards",
}

ANY_OLD = re.compile(rf"\b({'|'.join(INSTEAD)})\b")


def test_no_identifier_of_the_source_is_a_name_that_was_replaced() -> None:
    found = [
        f"{name_of(file)}:{line}: {name}, write {INSTEAD[name]}"
        for file in files(SRC, ".py")
        if ANY_OLD.search(file.read_text(encoding="utf-8"))  # taking a file apart costs a hundred times as much
        for line, name in identifiers(file)
        if name in INSTEAD
    ]

    assert found == []


def test_no_module_has_a_name_that_was_replaced() -> None:
    found = [f"{name_of(file)}: write {INSTEAD[file.stem]}" for file in files(SRC, ".py") if file.stem in INSTEAD]

    assert found == []


def test_no_new_name_is_itself_replaced() -> None:
    assert {old: new for old, new in INSTEAD.items() if new in INSTEAD} == {}


def test_contributors_find_the_new_name_of_each_class() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## Names that changed\n")[2]
    rows = [line for line in table.splitlines() if line.startswith("| `")]

    missing = [
        old
        for old, new in INSTEAD.items()
        if old[0].isupper() and not any(f"`{old}`" in row and f"`{new}`" in row for row in rows)
    ]

    assert missing == []


def identifiers(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of each identifier; words in strings and comments do not count."""
    with tokenize.open(file) as lines:
        for token in tokenize.generate_tokens(lines.readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                yield token.start[0], token.string
