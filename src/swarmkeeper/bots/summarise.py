"""Joins the measurements into one report: totals, a line for each file, and what stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from swarmkeeper.bots import files
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.sdk.answers import Answer, Done, Failed
from swarmkeeper.sdk.bots import ExecutorBot
from swarmkeeper.sdk.context import Context
from swarmkeeper.sdk.runner import run
from swarmkeeper.wire.requests import SubTask

# Summed over all files, in the order in which the report shows them.
COUNTED = (
    "lines", "bytes", "functions", "classes", "branches", "undocumented", "bare_excepts", "links", "markers", "found"
)  # fmt: skip
TITLES = {"undocumented": "public, not documented", "bare_excepts": "bare excepts", "found": "possible secrets"}
FILES_SHOWN_MAX = 200
FINDINGS_SHOWN_MAX = 50


class Summarise(ExecutorBot):
    """Upstream outputs → `{"report": Markdown, "totals", "files", "passed_over"}`."""

    skills = frozenset({"summarise"})
    dedicated = True

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor.default()

    def execute(self, subtask: SubTask, context: Context) -> Done | Failed:
        try:
            root = files.root_of(subtask.input)
        except files.DirectoryNotFound as error:
            return Failed(str(error), kind="not_retryable")
        entries = join(context.upstream)
        totals = {"files": len(entries)} | {name: sum(entry.get(name, 0) for entry in entries) for name in COUNTED}
        passed_over = files.listing(root).passed_over()
        report = markdown(root.name, totals, entries, passed_over)
        return Done({"report": report, "totals": totals, "files": _shortened(entries), "passed_over": passed_over})

    def before_submit(self, result: Answer) -> Answer:
        """Redact the output: names of files and functions may contain secrets."""
        if not isinstance(result, Done):
            return result
        return Done(self._redactor.redact(dict(result.output)).value)


def join(upstream: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry for each file, with the key of the subtask that measured it. New measurements replace an earlier
    report's.
    """
    earlier = {entry["file"]: entry for output in upstream.values() if "report" in output for entry in output["files"]}
    measured = {
        entry["file"]: {**entry, "by": key}
        for key, output in upstream.items()
        if "report" not in output
        for entry in output.get("files", ())
    }
    entries = {name: dict(entry) for name, entry in sorted({**earlier, **measured}.items())}
    for key, output in upstream.items():
        for scan in output.get("scanned", ()):
            if scan["file"] in entries:
                entries[scan["file"]] |= {"found": scan["count"], "places": scan["places"], "scanned_by": key}
    return list(entries.values())


def _shortened(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Cut findings and places to as many as the report shows, so that the output of a large review stays small."""
    left = {"findings": FINDINGS_SHOWN_MAX, "places": FINDINGS_SHOWN_MAX}
    shortened = []
    for entry in entries:
        short = dict(entry)
        for name in left:
            short[name] = short.get(name, [])[: left[name]]
            left[name] -= len(short[name])
        shortened.append(short)
    return shortened


def markdown(
    title: str, totals: Mapping[str, int], entries: Sequence[Mapping[str, Any]], passed_over: Mapping[str, int]
) -> str:
    """Return the report as Markdown."""
    lines = [f"# Review of {_plain(title)}", "", f"{totals['files']} files", ""]
    lines += ["| what | how many |", "|---|---:|"]
    lines += [f"| {TITLES.get(name, name)} | {totals[name]} |" for name in COUNTED]
    lines += ["", "## What stands out", "", *_stands_out(entries)]
    lines += ["", "## Files", "", "| file | lines | functions | branches | markers | possible secrets |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for entry in entries[:FILES_SHOWN_MAX]:
        numbers = " | ".join(
            str(entry.get(name, "")) for name in ("lines", "functions", "branches", "markers", "found")
        )
        lines.append(f"| {_plain(entry['file'])} | {numbers} |")
    if len(entries) > FILES_SHOWN_MAX:
        lines.append(f"\nand {len(entries) - FILES_SHOWN_MAX} more, all of them in the numbers above.")
    if any(passed_over.values()):
        skipped = " and ".join(f"{count} {why}" for why, count in passed_over.items() if count)
        lines.append(f"\nPassed over: {skipped}.")
    return "\n".join(lines) + "\n"


def _stands_out(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [
        *(
            f"- {_plain(entry['file'])}:{place['line']} may hold a secret (rule {place['rule']})"
            for entry in entries
            for place in entry.get("places", ())
        ),
        *(
            f"- {_plain(entry['file'])}:{finding['line']} {_plain(finding['text'])}"
            for entry in entries
            for finding in entry.get("findings", ())
        ),
    ]
    more = [f"- and {len(found) - FINDINGS_SHOWN_MAX} more"] if len(found) > FINDINGS_SHOWN_MAX else []
    return [*found[:FINDINGS_SHOWN_MAX], *more] or ["Nothing."]


def _plain(text: str) -> str:
    """Make text from files safe in Markdown: one line, no table cell, no tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    run(Summarise())
