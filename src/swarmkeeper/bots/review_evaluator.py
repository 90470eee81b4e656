"""Judges a review: reads the files itself, counts again in its own way, and trusts nothing in the report."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from swarmkeeper.bots import files, review_planner
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.sdk.answers import Accept, Failed, Reject, Rework
from swarmkeeper.sdk.bots import EvaluatorBot
from swarmkeeper.sdk.context import Candidate
from swarmkeeper.sdk.runner import run

_BRANCHING = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
_MARKERS = ("TODO", "FIXME", "XXX")
_NO_LINK = frozenset({"", *"<>\"')]"} | {chr(point) for point in range(0x3001) if chr(point).isspace()})
_REASONS_MAX = 20  # reasons of one kind
_LATER_ROUND = re.compile(r"\.r([0-9]{1,6})$")


@dataclass
class Complaints:
    """What is wrong, and which subtask can fix it."""

    subtasks: frozenset[str]  # subtasks that can be asked for rework
    reasons: list[str] = field(default_factory=list)
    targets: dict[str, list[str]] = field(default_factory=dict)

    def add(self, subtask: object, default: str, reason: str) -> None:
        """Complain about the subtask if the report may name it; else about `default`."""
        target = subtask if isinstance(subtask, str) and subtask in self.subtasks else default
        if len(self.reasons) < 5 * _REASONS_MAX:
            self.reasons.append(reason)
        feedback = self.targets.setdefault(target, [])
        if len(feedback) < _REASONS_MAX:
            feedback.append(reason)


class ReviewEvaluator(EvaluatorBot):
    """Accepts a report that covers every file, adds up, and contains no secret; otherwise asks for rework by name."""

    skills = frozenset({"review.judge"})
    dedicated = True

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor.default()

    def review(self, candidate: Candidate) -> Accept | Rework | Reject | Failed:
        try:
            root = files.root_of(candidate.task.input)
        except files.DirectoryNotFound as error:
            return Failed(str(error), kind="not_retryable")
        reports = {key: output for key, output in candidate.results.items() if _is_report(output)}
        if not reports:
            return Reject(reasons=["there is no report to be judged"])
        key = max(reports, key=_round_of)  # a later report contains all earlier ones
        report = reports[key]
        complaints = Complaints(frozenset(candidate.results))
        # The report hides names that look like secrets: look files up by their redacted names.
        by_shown_name = {self._redactor.text(name): name for name in files.listing(root).files}
        entries = {entry["file"]: entry for entry in report["files"]}
        # A file that was written after the task was submitted cannot be counted again: the verdict mentions it and does
        # not judge it. Checked only if numbers differ: files may be dated by another clock than the server's.
        began = candidate.task.created_at

        def has_changed(shown: str) -> bool:
            return isinstance(began, datetime) and files.changed_since(root, by_shown_name.get(shown, shown), began)

        # A file added during the review causes one more round, not one in each round: the next may add another.
        unread = by_shown_name.keys() - entries.keys()
        changed = {shown for shown in unread if candidate.round > 1 and has_changed(shown)}
        missing = [by_shown_name[shown] for shown in sorted(unread - changed)]
        counted: dict[str, Mapping[str, Any]] = {}
        for shown, entry in entries.items():
            own = self._recount(root, by_shown_name[shown]) if shown in by_shown_name else None
            if (own is None or _differing(entry, own)) and has_changed(shown):
                changed.add(shown)
                counted[shown] = entry
            elif own is not None:
                counted[shown] = own
        self._check_files(key, entries, counted, complaints)
        _check_totals(key, report["totals"], counted, complaints)
        self._check_secrets(key, report, complaints)
        if not missing and not complaints.reasons:
            return Accept(score=1.0, reasons=_agreed(len(counted.keys() - changed), sorted(changed)))
        for name in missing[:_REASONS_MAX]:
            complaints.reasons.append(f"{self._redactor.text(name)} is missing from the report")
        return Rework(
            targets={target: "\n".join(feedback) for target, feedback in complaints.targets.items()},
            reasons=complaints.reasons[:100],
            subtasks=_subtasks_for(str(root), missing, key, candidate.round) if missing else (),
        )

    def _recount(self, root: Path, name: str) -> dict[str, int]:
        content = files.read(root, name) or b""
        text = content.decode("utf-8", errors="replace")
        lines = text.splitlines()
        counted = {
            "lines": len(lines),
            "bytes": len(content),
            "markers": sum(word in _MARKERS for word in re.findall(r"\w+", text)),
            # In pieces: a piece without secrets is checked quickly.
            "found": sum(len(self._redactor.redact(lines[at : at + 100]).fields) for at in range(0, len(lines), 100)),
        }
        return counted | (_of_python(text) if files.language(name) == "python" else {"links": _links(text)})

    def _check_files(
        self,
        key: str,
        entries: Mapping[str, Mapping[str, Any]],
        counted: Mapping[str, Mapping[str, Any]],
        complaints: Complaints,
    ) -> None:
        for shown, entry in entries.items():
            if shown not in counted:
                complaints.add(entry.get("by"), key, f"{self._redactor.text(shown)} is not there any more")
                continue
            for name in _differing(entry, counted[shown]):
                subtask = entry.get("scanned_by" if name == "found" else "by")
                complaints.add(subtask, key, f"{shown}: {name} is {counted[shown][name]}, the report says otherwise")

    def _check_secrets(self, key: str, report: Mapping[str, Any], complaints: Complaints) -> None:
        for hidden in self._redactor.redact(dict(report)).fields[:_REASONS_MAX]:
            complaints.add(key, key, f"the report contains a secret at {hidden.pointer} (rule {hidden.rule})")


def _differing(entry: Mapping[str, Any], counted: Mapping[str, Any]) -> list[str]:
    return [name for name, count in counted.items() if entry.get(name) != count]


def _agreed(counted: int, changed: list[str]) -> list[str]:
    reasons = [f"{counted} {'file' if counted == 1 else 'files'} counted again: all numbers agree"]
    if changed:
        names = ", ".join(changed[:3]) + (", …" if len(changed) > 3 else "")
        reasons.append(f"{len(changed)} changed while being read and could not be counted again: {names}")
    return reasons


def _check_totals(
    key: str, totals: Mapping[str, Any], counted: Mapping[str, Mapping[str, Any]], complaints: Complaints
) -> None:
    """Compare the totals of the report with sums of our own counts."""
    sums = Counter({"files": len(counted)})
    for numbers in counted.values():
        sums.update({name: number for name, number in numbers.items() if isinstance(number, int)})
    for name, count in sums.items():
        if totals.get(name) != count:
            complaints.add(key, key, f"the total of {name} is {count}, the report says otherwise")


def _of_python(text: str) -> dict[str, int]:
    nodes = list(ast.walk(files.parsed(text) or ast.Module([], [])))
    kinds = Counter(type(node) for node in nodes)
    return {
        "functions": kinds[ast.FunctionDef] + kinds[ast.AsyncFunctionDef],
        "classes": kinds[ast.ClassDef],
        "branches": sum(kinds[kind] for kind in _BRANCHING)
        + sum(len(node.ifs) for node in nodes if isinstance(node, ast.comprehension)),
        "bare_excepts": sum(isinstance(node, ast.ExceptHandler) and node.type is None for node in nodes),
        "undocumented": sum(_lacks_docstring(node) for node in _public(nodes)),
    }


def _public(nodes: list[ast.AST]) -> list[ast.AST]:
    """Return the public functions and classes: in the module, and in public classes."""
    open_scopes = {id(node) for node in nodes if isinstance(node, ast.Module)}
    found: list[ast.AST] = []
    # The walk goes from outside to inside, so a class is known to be public before its body is visited.
    for scope in nodes:
        if id(scope) not in open_scopes:
            continue
        for node in getattr(scope, "body", []):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                found.append(node)
                if isinstance(node, ast.ClassDef):
                    open_scopes.add(id(node))
    return found


def _lacks_docstring(node: ast.AST) -> bool:
    first = getattr(node, "body", [None])[0]
    return not (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )


def _links(text: str) -> int:
    """Count the URL schemes that are followed by something that can be an address."""
    return sum(
        (text.endswith("http", 0, at) or text.endswith("https", 0, at)) and text[at + 3 : at + 4] not in _NO_LINK
        for at in (found.start() for found in re.finditer("://", text))
    )


def _subtasks_for(root: str, missing: list[str], key: str, round: int) -> list[Any]:  # noqa: A002 - the domain's word
    mark = f".r{round + 1}"
    parts = [*review_planner.inspections(root, missing, mark), *review_planner.scans(root, missing, mark)]
    return [*parts, review_planner.summary(root, parts, mark, before=key)]


def _is_report(output: object) -> bool:
    return (
        isinstance(output, Mapping)
        and isinstance(output.get("report"), str)
        and isinstance(output.get("totals"), Mapping)
        and isinstance(output.get("files"), list)
        and all(isinstance(entry, Mapping) and isinstance(entry.get("file"), str) for entry in output["files"])
    )


def _round_of(key: str) -> tuple[int, str]:
    found = _LATER_ROUND.search(key)
    return (int(found[1]) if found else 1), key


if __name__ == "__main__":
    run(ReviewEvaluator())
