"""Reads policy files: the statements of a file with their lines, and their annotations.

Cedar names neither file nor line in its errors, and numbers policies by their order. So a file is cut into its
statements here, and each is checked alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from swarmkeeper.files import BadFile, read_text

BYTES_MAX = 1 << 20  # of one file
POLICIES_MAX = 1_000


class BadPolicies(Exception):
    """The policies cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class PolicyStatement:
    """One policy of a file."""

    id: str  # of its annotation @id
    message: str  # of its annotation @message
    text: str
    where: str  # file and line


def schema_text() -> str:
    return Path(__file__).with_name("schema.cedarschema").read_text("utf-8")


def shipped(name: str) -> Path:
    """Return the path of a policy file that comes with the server."""
    return Path(__file__).with_name("policies") / name


def files_of(places: Sequence[str]) -> list[Path]:
    """Return the policy files: those named, and `*.cedar` of the folders named, by name.

    Raises:
        BadPolicies: there is none.
    """
    found: list[Path] = []
    for place in places:
        path = Path(place)
        if path.is_dir():
            inside = sorted(path.glob("*.cedar"))
            if not inside:
                raise BadPolicies(f"{place}: no file *.cedar is in this folder")
            found += inside
        else:
            found.append(path)
    return found


def statements_of(files: Sequence[Path], schema: cedarpy.Schema) -> list[PolicyStatement]:
    """Read, parse and validate policies.

    Raises:
        BadPolicies: a file cannot be read; a policy does not parse, does not fit the schema, or has no id of its own.
    """
    found: list[PolicyStatement] = []
    places: dict[str, str] = {}
    for file in files:
        for line, text in cut(_text(file), str(file)):
            statement = _checked(text, f"{file}:{line}", schema)
            if statement.id in places:
                raise BadPolicies(f"{statement.where}: @id {statement.id} is that of {places[statement.id]}, too")
            places[statement.id] = statement.where
            found.append(statement)
    if not found:
        raise BadPolicies(f"{', '.join(map(str, files))}: no policy is in it")
    if len(found) > POLICIES_MAX:
        raise BadPolicies(f"{found[POLICIES_MAX].where}: there are more than {POLICIES_MAX} policies")
    return found


def cut(text: str, file: str) -> Iterator[tuple[int, str]]:
    """Yield the statements of a file with the line on which each begins. A `;` in a text or comment ends none.

    Raises:
        BadPolicies: a text is not closed.
    """
    begin, line, at, number = 0, 1, 0, 1
    blank = True  # nothing of the statement came yet
    while at < len(text):
        letter = text[at]
        if letter == "\n":
            number += 1
        elif text.startswith("//", at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        elif not letter.isspace():
            if blank:
                begin, line, blank = at, number, False
            if letter == '"':
                opened = number
                at += 1
                while at < len(text) and text[at] != '"':
                    number += text[at] == "\n"
                    at += 2 if text[at] == "\\" else 1
                if at >= len(text):
                    raise BadPolicies(f"{file}:{opened}: a text is not closed")
            elif letter == ";":
                yield line, text[begin : at + 1]
                blank = True
        at += 1
    if not blank:
        yield line, text[begin:]


def _checked(text: str, where: str, schema: cedarpy.Schema) -> PolicyStatement:
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed:
        problem = "; ".join(error.error.replace("for policy `policy0`, ", "") for error in result.errors)
        raise BadPolicies(f"{where}: {problem}")
    parsed = json.loads(cedarpy.policies_to_json_str(text))
    if parsed["templates"]:
        raise BadPolicies(f"{where}: a template is no policy: give it its values")
    [policy] = parsed["staticPolicies"].values()
    notes: dict[str, Any] = policy.get("annotations", {})
    if not notes.get("id"):
        raise BadPolicies(f'{where}: the policy needs a name: @id("…") before it')
    return PolicyStatement(notes["id"], notes.get("message") or "", text, where)


def _text(file: Path) -> str:
    try:
        return read_text(file, BYTES_MAX)
    except BadFile as bad:
        raise BadPolicies(f"{file}: {bad}") from None
