"""The bots of the review swarm, each called with real files."""

import copy
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import Accept, Context, Done, Failed, Plan, Reject, Rework, SubTask
from swarmkeeper.bots import files, review
from swarmkeeper.bots.inspect_python import measure as measure_python
from swarmkeeper.bots.inspect_text import measure as measure_text
from swarmkeeper.bots.review_evaluator import ReviewEvaluator
from swarmkeeper.bots.review_planner import BUNDLES_MAX, ReviewPlanner
from swarmkeeper.sdk.context import Candidate
from swarmkeeper.wire.requests import TaskDefinition

Json = Any
# In two parts, so that scanners do not report this file as a leak.
SECRET = "AKIA" + "QYLPMN5HFIQR7XYA"

PYTHON = '''"""A module."""
def documented(x):
    """Says so."""
    return [y for y in x if y] if x else None

class Public:
    def method(self):  # TODO: document
        try:
            return 1
        except:
            pass
    def _private(self): ...
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PYTHON, encoding="utf-8")
    (tmp_path / "notes.md").write_text("See https://example.org/a and http://b.\nTODO\n", encoding="utf-8")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "prod.env").write_text(f"ID={SECRET}\n", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0")
    return tmp_path


def the_task(root: Path) -> TaskDefinition:
    return TaskDefinition.model_validate(review.task(root))


def planned(root: Path) -> Plan:
    plan = ReviewPlanner().plan(the_task(root))
    assert isinstance(plan, Plan)
    return plan


def done(subtasks: list[SubTask], outputs: dict[str, Json]) -> dict[str, Json]:
    """Execute the subtasks in order, each by the bot with its skill."""
    bots = {skill: bot for bot in review.swarm() for skill in bot.skills}
    for subtask in subtasks:
        upstream = {edge.key: outputs[edge.key] for edge in subtask.edges}
        context = Context(task_id="tsk_1", work_id="sub_1", lease_id="lse_1", attempt=1, upstream=upstream)
        bot = bots[subtask.required_skills[0]]
        answer = bot.before_submit(bot.code()(subtask, context))
        assert isinstance(answer, Done)
        assert subtask.key is not None
        outputs[subtask.key] = copy.deepcopy(answer.output)
    return outputs


def reviewed(root: Path) -> dict[str, Json]:
    """Return the results of a whole round."""
    return done(list(planned(root).subtasks), {})  # type: ignore[arg-type]  # the planner makes records, not mappings


def judged(root: Path, report: Json, key: str = "summarise") -> Accept | Rework | Reject | Failed:
    others: dict[str, Json] = {"inspect.python.1": {}, "inspect.text.1": {}, "inspect.text.2": {}, "scan.1": {}}
    return ReviewEvaluator().review(Candidate("task", the_task(root), {**others, key: report}))


def test_the_swarm_reviews_a_directory_and_its_evaluator_agrees(root: Path) -> None:
    report = reviewed(root)["summarise"]

    assert report["totals"] == {
        "files": 3,
        "lines": 15,
        "bytes": sum((root / name).stat().st_size for name in ("app.py", "notes.md", "config/prod.env")),
        "functions": 3,
        "classes": 1,
        "branches": 3,
        "undocumented": 2,
        "bare_excepts": 1,
        "links": 2,
        "markers": 2,
        "found": 1,
    }
    assert "config/prod.env:1 may hold a secret (rule aws-access-key)" in report["report"]
    assert "app.py:10 a bare except catches everything" in report["report"]
    assert "1 binary" in report["report"]
    assert SECRET not in str(report)
    assert isinstance(judged(root, report), Accept)


def test_a_changed_file_changes_the_report(root: Path) -> None:
    before = reviewed(root)["summarise"]["report"]
    (root / "app.py").write_text(PYTHON + "\ndef more(): ...\n", encoding="utf-8")

    assert reviewed(root)["summarise"]["report"] != before


def wrong_total(report: Json) -> None:
    report["totals"]["lines"] += 1


def wrong_total_that_only_one_bot_counts(report: Json) -> None:
    report["totals"]["links"] -= 1


def missing_file(report: Json) -> None:
    report["files"] = [entry for entry in report["files"] if entry["file"] != "notes.md"]
    for name in ("lines", "bytes", "links", "markers"):
        report["totals"][name] = sum(entry.get(name, 0) for entry in report["files"])
    report["totals"]["files"] -= 1


def secret(report: Json) -> None:
    report["report"] += f"\nBy the way: {SECRET}\n"


def wrong_count(report: Json) -> None:
    entry = report["files"][0]
    entry["functions"] += 1
    report["totals"]["functions"] += 1


def missed_secret(report: Json) -> None:
    entry = next(entry for entry in report["files"] if entry["found"])
    entry["found"] = 0
    report["totals"]["found"] = 0


@pytest.mark.parametrize(
    ("tamper", "reason", "targets"),
    [
        (wrong_total, "the total of lines is 15, the report says otherwise", ["summarise"]),
        (wrong_total_that_only_one_bot_counts, "the total of links is 2, the report says otherwise", ["summarise"]),
        (missing_file, "notes.md is missing from the report", []),
        (secret, "the report contains a secret at /report (rule aws-access-key)", ["summarise"]),
        (wrong_count, "app.py: functions is 3, the report says otherwise", ["inspect.python.1", "summarise"]),
        (missed_secret, "config/prod.env: found is 1, the report says otherwise", ["scan.1", "summarise"]),
    ],
)
def test_each_fault_in_a_report_is_a_reason_for_rework(
    root: Path, tamper: Callable[[Json], None], reason: str, targets: list[str]
) -> None:
    report = reviewed(root)["summarise"]
    tamper(report)

    verdict = judged(root, report)

    assert isinstance(verdict, Rework)
    assert verdict.reasons[0] == reason
    assert list(verdict.targets) == targets
    assert SECRET not in str(verdict)


def test_several_faults_are_each_named(root: Path) -> None:
    report = reviewed(root)["summarise"]
    for tamper in (missing_file, wrong_total, secret):
        tamper(report)

    verdict = judged(root, report)

    assert isinstance(verdict, Rework)
    reasons = "\n".join(verdict.reasons)
    assert "the total of lines" in reasons
    assert "the report contains a secret" in reasons
    assert "notes.md is missing" in reasons


def test_a_file_added_later_is_inspected_in_the_next_round(root: Path) -> None:
    outputs = reviewed(root)
    (root / "late.py").write_text("x = 1\n", encoding="utf-8")

    verdict = judged(root, outputs["summarise"])
    assert isinstance(verdict, Rework)
    added = [subtask for subtask in verdict.subtasks if isinstance(subtask, SubTask)]
    done(added, outputs)

    assert [subtask.key for subtask in added] == ["inspect.python.r2.1", "scan.r2.1", "summarise.r2"]
    assert isinstance(judged(root, outputs["summarise.r2"], "summarise.r2"), Accept)


def test_a_deleted_file_causes_rework_and_is_then_left_out(root: Path) -> None:
    outputs = reviewed(root)
    (root / "notes.md").unlink()

    verdict = judged(root, outputs["summarise"])
    assert isinstance(verdict, Rework)
    assert verdict.reasons[0] == "notes.md is not there any more"
    assert "inspect.text.2" in verdict.targets

    assert isinstance(judged(root, reviewed(root)["summarise"]), Accept)


def test_a_file_whose_name_is_a_secret_is_counted_but_not_named(root: Path) -> None:
    (root / f"{SECRET}.txt").write_text("x\n", encoding="utf-8")

    report = reviewed(root)["summarise"]

    assert SECRET not in str(report)
    assert report["totals"]["files"] == 4
    assert isinstance(judged(root, report), Accept)


def test_the_report_may_blame_only_existing_subtasks(root: Path) -> None:
    report = reviewed(root)["summarise"]
    wrong_count(report)
    report["files"][0]["by"] = "inspect.nobody"

    verdict = judged(root, report)

    assert isinstance(verdict, Rework)
    assert list(verdict.targets) == ["summarise"]


def test_the_latest_of_several_reports_is_judged(root: Path) -> None:
    report = reviewed(root)["summarise"]
    results = {f"summarise.r{n}": {**report, "totals": {}} for n in (2, 9)} | {"summarise": {}, "summarise.r10": report}

    assert isinstance(ReviewEvaluator().review(Candidate("task", the_task(root), results)), Accept)


@pytest.mark.parametrize("result", [{}, {"report": 1}, {"report": "", "totals": {}, "files": [1]}, None])
def test_an_invalid_report_is_rejected(root: Path, result: Json) -> None:
    assert isinstance(judged(root, result), Reject)


def test_thousands_of_files_make_a_graph_that_a_person_can_read(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"f{number}.{'py' if number % 2 else 'txt'}").write_text("x = 1\n", encoding="utf-8")

    plan = planned(tmp_path)

    subtasks = plan.as_sent()
    assert len(subtasks) <= 3 * BUNDLES_MAX + 1
    inspected = [name for each in subtasks if each["key"].startswith("inspect.") for name in each["input"]["files"]]
    assert len(inspected) == len(set(inspected)) == 2000
    scanned = [name for each in subtasks if each["key"].startswith("scan.") for name in each["input"]["files"]]
    assert sorted(scanned) == sorted(inspected)


def test_an_unreadable_directory_fails_the_planning_for_good() -> None:
    for given in ({}, {"path": "/nowhere/at/all"}, {"path": 3}):
        answer = ReviewPlanner().plan(TaskDefinition(title="Review", input=given))
        assert isinstance(answer, Failed)
        assert answer.kind == "not_retryable"


def test_an_empty_directory_is_not_planned(tmp_path: Path) -> None:
    assert isinstance(ReviewPlanner().plan(the_task(tmp_path)), Failed)


def test_all_bots_of_the_swarm_are_dedicated() -> None:
    assert all(bot.dedicated and bot.skills for bot in review.swarm())


def test_only_files_that_git_would_keep_are_reviewed(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init")
    (tmp_path / ".gitignore").write_text("built/\n", encoding="utf-8")
    (tmp_path / "built").mkdir()
    for name in ("kept.py", "new.py", "built/made.py", "ümlaut.txt"):
        (tmp_path / name).write_text("x = 1\n", encoding="utf-8")
    git("add", "kept.py")

    assert files.listing(tmp_path).files == (".gitignore", "kept.py", "new.py", "ümlaut.txt")


def test_environments_binaries_links_and_huge_files_are_skipped(tmp_path: Path) -> None:
    for name in ("a.txt", ".git/config", "node_modules/x.js", "env/pyvenv.cfg", "env/lib/x.py", "sub/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "giant.txt").write_bytes(b"x" * (files.BYTES_MAX + 1))
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    (tmp_path / os.fsdecode(b"not-text-\xff.txt")).write_text("x\n", encoding="utf-8")

    assert files.listing(tmp_path) == files.Listing(("a.txt", "sub/b.txt"), binary=1, large=1)


def test_no_file_outside_the_root_is_read(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("x\n", encoding="utf-8")
    root = tmp_path / "root"
    root.mkdir()

    assert files.read(root, "../outside.txt") is None
    assert files.read(root, str(tmp_path / "outside.txt")) is None


def test_invalid_python_is_a_finding_and_not_an_error() -> None:
    for text in ("def (:", "x = '\0'", "(" * 5000):
        measured = measure_python(text)
        assert measured["functions"] == 0
        assert measured["findings"][0]["text"] == "is not valid Python"


def test_text_is_measured() -> None:
    measured = measure_text("http://a https://b ftp://c\nFIXME and XXXL\n" + "x" * 501)

    assert (measured["lines"], measured["links"], measured["markers"]) == (3, 2, 1)
    assert measured["findings"] == [{"line": 3, "text": "the line is too long to read"}]


# ---- files that change while they are read ------------------------------------------------------------------------


def judged_since(began: datetime, root: Path, report: Json, *, in_round: int = 1) -> Accept | Rework | Reject | Failed:
    task = the_task(root).model_copy(update={"created_at": began})
    return ReviewEvaluator().review(Candidate("task", task, {"summarise": report}, in_round))


def after(root: Path) -> datetime:
    """Return a moment later than every file here, by the clock of the file system."""
    latest = max(path.stat().st_ctime for path in (root, *root.rglob("*")))
    return datetime.fromtimestamp(latest, UTC) + timedelta(seconds=2 * files.CLOCK_TICK_SECONDS)


def write_later(file: Path, text: str, moment: datetime) -> None:
    """Write the file until the file system's time for it is after `moment`."""
    while not file.exists() or file.stat().st_ctime < moment.timestamp():
        file.write_text(text, encoding="utf-8")


def test_a_file_that_changes_during_the_review_is_mentioned_and_not_judged(root: Path) -> None:
    report = reviewed(root)["summarise"]
    began = after(root)
    write_later(root / "notes.md", "Other words now.\n", began)

    verdict = judged_since(began, root, report)

    assert isinstance(verdict, Accept)
    assert verdict.reasons == [
        "2 files counted again: all numbers agree",
        "1 changed while being read and could not be counted again: notes.md",
    ]


def test_a_file_added_during_the_review_causes_one_more_round(root: Path) -> None:
    report = reviewed(root)["summarise"]
    began = after(root)
    write_later(root / "out.txt", "the demo's own output, into the folder that it reads\n", began)
    (root / "notes.md").unlink()

    first, second = (judged_since(began, root, report, in_round=number) for number in (1, 2))

    assert isinstance(first, Rework)
    assert "out.txt is missing from the report" in first.reasons
    assert isinstance(second, Accept)
    assert "notes.md, out.txt" in second.reasons[1]


def test_a_wrong_count_is_found_although_another_file_changed(root: Path) -> None:
    report = reviewed(root)["summarise"]
    wrong_count(report)
    began = after(root)
    write_later(root / "notes.md", "Other words now.\n", began)

    assert isinstance(judged_since(began, root, report), Rework)


def test_a_file_that_agrees_with_the_report_is_counted_whatever_its_date(root: Path) -> None:
    """The clock that dates files may differ from the server's."""
    report = reviewed(root)["summarise"]

    verdict = judged_since(datetime(2001, 1, 1, tzinfo=UTC), root, report)

    assert isinstance(verdict, Accept)
    assert verdict.reasons == ["3 files counted again: all numbers agree"]


@pytest.mark.parametrize("name", ["never/there.py", "../../etc/hostname", "app.py/under"])
def test_a_file_that_never_existed_does_not_count_as_changed(root: Path, name: str) -> None:
    report = reviewed(root)["summarise"]
    report["files"].append({**report["files"][0], "file": name})

    assert isinstance(judged_since(after(root), root, report), Rework)
