"""The query line for tasks, the same as in the dashboard: `status:failed label:team=money after:2026-11-01 invoice`.

`swarmkeeper docs query-line` says what it means. The dashboard has it in dashboard/src/query.ts; the examples in
tests/cli/query_line.json hold for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

STATUSES = ("CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED", "FAILED", "ARCHIVED")
OUTCOMES = ("accepted", "rejected", "failed", "cancelled", "expired")
SORTS: Mapping[str, str] = {"newest": "-created_at", "oldest": "created_at", "priority": "priority"}
NAMES = ("status", "outcome", "label", "skill", "error", "after", "before", "sort")

_TOKEN = re.compile(r'(?:"[^"]*"?|[^ \t\r\n\u00a0"])+')
_TIME = re.compile(
    r"((?:19|20)\d\d)-(\d\d)-(\d\d)"
    r"(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?",
    re.ASCII,
)


@dataclass(slots=True)
class Understood:
    """What a line asks for, in the words of the API, and what was not understood and is left out."""

    q: str = ""
    status: list[str] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    skill: list[str] = field(default_factory=list)
    error: str = ""
    created_after: str | None = None
    created_before: str | None = None
    order_by: str = "-created_at"
    problems: list[str] = field(default_factory=list)

    @property
    def matching(self) -> dict[str, Any]:
        """What selects tasks, without their order."""
        given = {
            "q": self.q or None,
            "error": self.error or None,
            "created_after": self.created_after,
            "created_before": self.created_before,
        }
        return {"status": self.status, "outcome": self.outcome, "label": self.label, "skill": self.skill, **given}


def understood(line: str) -> Understood:
    """Return what a line means; it never fails."""
    found = Understood()
    words: list[str] = []
    seen: set[str] = set()
    for raw in _TOKEN.findall(line):
        word = raw.replace('"', "")
        name, colon, value = word.partition(":")
        if raw.startswith('"') or not colon:
            words.append(word)
            continue
        problem = _take(found, name.lower(), value, seen)
        if problem:
            found.problems.append(f"{word}: {problem}")
    found.q = " ".join(filter(None, words))
    if found.q and found.order_by == "priority":
        found.problems.append("sort:priority: tasks with words in their titles are sorted by time")
        found.order_by = "-created_at"
    return found


def _take(found: Understood, name: str, value: str, seen: set[str]) -> str | None:
    """Add a filter to what was understood; return what is wrong with it."""
    if name in ("after", "before", "sort"):
        if name in seen:
            return f"{name}: is there already"
        seen.add(name)
    match name:
        case "status":
            return _any_of(found.status, value.upper().replace("-", "_"), STATUSES, "a status")
        case "outcome":
            return _any_of(found.outcome, value.lower(), OUTCOMES, "an outcome")
        case "label":
            label, sign, text = value.partition("=" if "=" in value else ":")
            if not label or not sign:
                return "a label is written as label:name=value"
            _once(found.label, f"{label}:{text}")
        case "skill":
            if not value:
                return "a skill is written as skill:name"
            _once(found.skill, value)
        case "error":
            if not value:
                return "words of an error are written as error:word"
            found.error = f"{found.error} {value}".strip()
        case "after" | "before":
            moment = _moment(value)
            if moment is None:
                return "a time is written as 2026-11-29 or 2026-11-29T06:00Z"
            setattr(found, f"created_{name}", moment)
        case "sort":
            if value.lower() not in SORTS:
                return f"sort by {', '.join(SORTS)}"
            found.order_by = SORTS[value.lower()]
        case _:
            return f"write {', '.join(f'{each}:' for each in NAMES)} or, to search for it in titles, put it in quotes"
    return None


def _any_of(chosen: list[str], value: str, allowed: tuple[str, ...], what: str) -> str | None:
    if value not in allowed:
        return f"{what} is one of {', '.join(allowed).lower()}"
    _once(chosen, value)
    return None


def _once(values: list[str], value: str) -> None:
    if value not in values:
        values.append(value)


def _moment(text: str) -> str | None:
    """Return a time in UTC as the API takes it; a time without a zone is local."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    try:
        date(*map(int, found.groups()))
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def tokens(line: str) -> Iterator[str]:
    """Yield the words of a line as they are written."""
    yield from _TOKEN.findall(line)


def toggled(line: str, word: str) -> str:
    """Put a word into a line, or take it out if it is there."""
    there = [each if each.count('"') % 2 == 0 else f'{each}"' for each in tokens(line)]
    rest = [each for each in there if _bare(each) != _bare(word)]
    return " ".join(rest if len(rest) < len(there) else [*there, word])


def _bare(word: str) -> str:
    return word.replace('"', "").lower()


def line_of(
    *,
    status: list[str],
    outcome: list[str],
    label: Mapping[str, str],
    words: list[str],
    order_by: str,
    skill: Sequence[str] = (),
    error: Sequence[str] = (),
) -> str:
    """Return the line that asks for this."""
    names = {order: name for name, order in SORTS.items()}
    parts = [f"status:{each.lower()}" for each in status] + [f"outcome:{each}" for each in outcome]
    parts += [f'label:"{name}={value}"' for name, value in label.items()]
    parts += [f'skill:"{each}"' for each in skill] + [f'error:"{each}"' for each in error]
    parts += [f'"{word}"' for word in words]
    return " ".join([*parts, f"sort:{names[order_by]}"])
