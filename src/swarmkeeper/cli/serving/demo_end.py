"""The last screen of `demo`: about twenty lines on what was planned, done, judged and recorded, and the next steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.tasks import trouble

if TYPE_CHECKING:
    from swarmkeeper.wire.answers import Task
    from swarmkeeper.wire.events import CloudEvent

FINDINGS_SHOWN = 5
REASONS_SHOWN = 3
TEXT_MAX = 200  # of one line from a bot


@dataclass
class Course:
    """The course of a task, read from its events."""

    seconds: float = 0.0  # from its submission to its last event
    worked: float = 0.0  # seconds of all attempts added up
    at_once: int = 0  # maximum of attempts at the same time
    attempts: int = 0  # of subtasks
    planned: list[int] = field(default_factory=list)  # number of subtasks of each plan or rework
    bots: dict[str, Counter[str]] = field(default_factory=dict)  # kind of work → bot id → attempts

    @classmethod
    def of(cls, events: Iterable[CloudEvent]) -> Course:
        """Read the events of one task, in order."""
        course = cls()
        began: dict[str, datetime] = {}
        first: datetime | None = None
        for event in events:
            first = first or event.time
            course.seconds = (event.time - first).total_seconds()
            work = str(event.data.get("work_id"))
            if event.kind == "work.leased":
                began[work] = event.time
                course.attempts += event.data["kind"] == "execute"
                course.at_once = max(course.at_once, len(began))
                course.bots.setdefault(str(event.data["kind"]), Counter())[str(event.data["bot"])] += 1
            elif event.kind == "task.planned" or (event.kind == "task.rework" and event.data.get("added")):
                course.planned.append(int(event.data.get("count") or event.data.get("added") or 0))
            elif work in began:
                course.worked += (event.time - began.pop(work)).total_seconds()
        return course


@dataclass(frozen=True)
class Findings:
    """What stands out in the reviewed files, the most important first."""

    lines: list[str]
    more: int

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Findings:
        """Take turns between kinds, so that fifty findings of one kind do not hide the only one of another."""
        groups = [*_secrets(report), *_of_code(report)]
        kinds: dict[str, list[tuple[str, int]]] = {}
        for kind, line, count in groups:
            kinds.setdefault(kind, []).append((line, count))
        turns = [line for turn in range(FINDINGS_SHOWN) for lines in kinds.values() for line in lines[turn : turn + 1]]
        shown = turns[:FINDINGS_SHOWN]
        everything = sum(int(report["totals"].get(name, 0)) for name in ("found", "bare_excepts", "undocumented"))
        shown_count = sum(count for _, count in shown)
        return cls([line for line, _ in shown], max(everything - shown_count, 0))


Group = tuple[str, str, int]  # kind, line, number of findings


def _secrets(report: Mapping[str, Any]) -> list[Group]:
    found = [
        ("secret", f"{entry['file']}:{entry['places'][0]['line']}", entry["found"], _rules(entry["places"]))
        for entry in report["files"]
        if entry.get("found") and entry.get("places")
    ]
    # Test files contain made-up secrets more often than real ones.
    found.sort(key=lambda entry: (_is_test(entry[1]), entry[1]))
    return [
        (kind, f"{place} may hold {'a secret' if count == 1 else f'{count} secrets'} ({rules})", count)
        for kind, place, count, rules in found
    ]


def _of_code(report: Mapping[str, Any]) -> list[Group]:
    groups: list[Group] = []
    for entry in sorted(report["files"], key=lambda entry: (_is_test(entry["file"]), -entry.get("branches", 0))):
        by_text: dict[str, list[Mapping[str, Any]]] = {}
        for finding in entry.get("findings", ()):
            by_text.setdefault(_kind(finding["text"]), []).append(finding)
        for kind, found in by_text.items():
            more = f" (and {len(found) - 1} more there)" if len(found) > 1 else ""
            groups.append((kind, f"{entry['file']}:{found[0]['line']} {found[0]['text']}{more}", len(found)))
    order = {kind: place for place, kind in enumerate(_FIRST)} | {_LAST: len(_FIRST) + 1}
    return sorted(groups, key=lambda group: order.get(group[0], len(_FIRST)))


_FIRST = ("is not valid Python", "a bare except catches everything")
_LAST = "the line is too long to read"  # mostly data, not code


def _kind(text: str) -> str:
    return text if text in (*_FIRST, _LAST) else text.partition(" ")[2]  # without the name of the function or class


def _rules(places: Sequence[Mapping[str, Any]]) -> str:
    rules = list(dict.fromkeys(str(place["rule"]) for place in places))
    return ", ".join(rules[:2]) + (", …" if len(rules) > 2 else "")


def _is_test(place: str) -> bool:
    return any(part.startswith("test") for part in place.split("/"))


@dataclass(frozen=True)
class End:
    """All data of the screen."""

    task: Task
    course: Course
    bot_names: Mapping[str, str]  # by id
    report: Mapping[str, Any] | None  # output of the last summary
    report_file: Path | None
    store: str  # its URL
    audit: str  # result of its verification

    def doers(self, kind: str) -> str:
        """Return the names of the bots that did work of this kind, the busiest first."""
        done = self.course.bots.get(kind, Counter[str]()).most_common()
        return ", ".join(_said(self.bot_names.get(bot, bot)) for bot, _ in done) or "nobody"


def screen(end: End) -> list[str]:
    """Return the lines of the screen; text from bots and files is made safe for a terminal."""
    course, task = end.course, end.task
    outcome = task.outcome or task.status
    lines = [f"{outcome}: {_said(task.title)}, {_files(end.report)} in {_seconds(course.seconds)}", ""]
    lines += [f"planned   {count} {_subtasks(count)} by {end.doers('plan')}" for count in course.planned[:1]]
    for count in course.planned[1:]:
        lines.append(f"rework    {count} more {_subtasks(count)}")
    parallel = f"up to {course.at_once} at once" if course.at_once > 1 else "one after another"
    lines.append(f"done      in {course.attempts} attempts, {parallel}: {_seconds(course.worked)} of work")
    lines.append(f"          by {end.doers('execute')}")
    lines += _verdict(end)
    if task.failure is not None:
        lines.append(f"failed    {_said(task.failure.detail)} [{task.failure.code}]")
        if task.failure.cause is not None:
            cause = task.failure.cause
            lines.append(f"why       {_said(cause.message)} ({_said(trouble.where(cause))})")
    lines.append(f"recorded  {end.audit}")
    if end.report is not None:
        lines += _findings(Findings.of(end.report))
    lines.append("")
    if end.report_file is not None:
        lines.append(f"report    {end.report_file}")
    program = running.program()
    lines += [
        f"next      {program} dev     an orchestrator of your own in this folder, with these bots",
        f"          {program} init    a first bot of yours, and how to run it",
        f"          {program} audit verify {end.store}",
    ]
    return lines


def _verdict(end: End) -> list[str]:
    verdict = end.task.verdict
    if verdict is None:
        return []
    score = "" if verdict.score is None else f", score {verdict.score:g}"
    lines = [f"judged    {verdict.decision}{score}, by {end.doers('review')}"]
    return lines + [f"          {_said(reason)}" for reason in verdict.reasons[:REASONS_SHOWN]]


def _findings(findings: Findings) -> list[str]:
    if not findings.lines:
        return ["", "Nothing stands out."]
    more = f", and {findings.more} more in the report" if findings.more else ""
    return ["", f"What stands out{more}:", *(f"  {_said(line)}" for line in findings.lines)]


def _files(report: Mapping[str, Any] | None) -> str:
    count = 0 if report is None else int(report["totals"]["files"])
    return "no report" if report is None else f"{count} {'file' if count == 1 else 'files'}"


def _subtasks(count: int) -> str:
    return "subtask" if count == 1 else "subtasks"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _said(text: str) -> str:
    line = terminal.on_one_line(terminal.shown(text))
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"
