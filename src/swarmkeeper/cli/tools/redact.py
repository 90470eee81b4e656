"""`redact test` and `redact explain`: show what redaction hides in JSON values on stdin and why, without a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.govern.redaction.redactor import Redactor

redact = typer.Typer(no_args_is_help=True, help="Redaction: test and explain rules.")

Rules = Annotated[
    list[str] | None,
    flag(
        "--rules",
        help="A file with rules in addition to the shipped ones. May be repeated. Default: the setting `redaction`.",
    ),
]


@redact.command("test")
def show(rules: Rules = None) -> None:
    """Show what redaction hides. Reads one JSON value per line, and prints {"value", "redacted_fields"} for each, in
    order.

    Placeholders have no tags here, because tags need a store's key.
    """
    redactor = _redactor(rules)
    for value in _values():
        seen = redactor.redact(value)
        fields = [
            {"pointer": field.pointer, "rule": field.rule, "action": field.action, "in": field.within}
            for field in seen.fields
        ]
        terminal.say(json.dumps({"value": seen.value, "redacted_fields": fields}, ensure_ascii=False))


@redact.command()
def explain(
    rules: Rules = None,
    rule: Annotated[
        str | None, flag("--rule", help="Explain only this rule, and also why it finds nothing in a text.")
    ] = None,
) -> None:
    """Explain why values are hidden. Reads one JSON value per line, and prints one line for each match, without the
    secret.

    `stage` is field (by its place), text, decoded (it was encoded in the text) or unscanned; `start` and `end` are
    character
    offsets in the text; `length` and `entropy` are those of the secret.
    """
    from swarmkeeper.govern.redaction.findings import findings

    redactor = _redactor(rules)
    if rule is not None and rule not in redactor.rules:
        raise CliError("rule", "no such rule", exit_code=Exit.USAGE, fix=f"one of {', '.join(redactor.rules)}")
    for number, value in enumerate(_values(), 1):
        for finding in findings(redactor, value, rule):
            said = {name: content for name, content in asdict(finding).items() if content not in (None, "")}
            said["in"] = said.pop("within")
            if finding.start is None:
                del said["length"], said["entropy"]
            if finding.why_not:
                said = {name: said[name] for name in ("pointer", "in", "rule", "why_not") if name in said}
            terminal.say(json.dumps({"line": number, **said}, ensure_ascii=False))


def _redactor(rules: list[str] | None) -> Redactor:
    from swarmkeeper.cli.framework import running
    from swarmkeeper.govern.redaction.packs import BadRules
    from swarmkeeper.rulefiles import load

    try:
        return load(running.settings_of().redaction if rules is None else rules)
    except BadRules as error:
        raise CliError("rules", str(error), exit_code=Exit.USAGE) from None


def _values() -> Iterator[Any]:
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                raise CliError("input", f"line {number} is not JSON", exit_code=Exit.USAGE) from None
