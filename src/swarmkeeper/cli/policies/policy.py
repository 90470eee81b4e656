"""`policy check|test|explain` look at policy files without a server, `policy shadow` at what those on trial did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import AsJson, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.policy.cedar import CedarPolicies
    from swarmkeeper.wire.answers import AuditLog

app = typer.Typer(no_args_is_help=True, help="Policies in Cedar: check, test and explain them.")

SHADOW = "shadow:"  # what reasons of policies on trial begin with

Policies = Annotated[
    list[str] | None,
    flag("--policies", help="A policy file or a folder. May be repeated. Default: the setting `policies`."),
]


@app.command()
def check(policies: Policies = None, as_json: AsJson = False) -> None:
    """Check that policy files parse and fit the facts that the server gives them."""
    loaded = _loaded(policies)
    if as_json:
        terminal.say_json({"policies": loaded.names, "hash": loaded.hash})
    else:
        terminal.say(f"{len(loaded.names)} policies: {', '.join(loaded.names)}")


@app.command("test")
def run_cases(
    file: Annotated[Path, typer.Argument(help="Cases in TOML or JSON: see the guide on policies.")],
    policies: Policies = None,
    as_json: AsJson = False,
) -> None:
    """Run the cases of a file against policies. Exits with 1 if one is decided otherwise than expected."""
    from swarmkeeper.policy.cases import BadCases, read

    loaded = _loaded(policies)
    try:
        cases = read(file)
    except BadCases as error:
        raise CliError("cases", str(error), exit_code=Exit.USAGE) from None
    faults = [(case.name, case.fault(loaded)) for case in cases]
    failed = [(name, fault) for name, fault in faults if fault is not None]
    if as_json:
        wrong = [{"case": name, "fault": fault} for name, fault in failed]
        terminal.say_json({"cases": len(cases), "failed": wrong})
    else:
        for name, fault in failed:
            terminal.say(f"{name}: {fault}")
        terminal.say(f"{len(cases) - len(failed)} of {len(cases)} cases are as expected")
    if failed:
        raise typer.Exit(Exit.ERROR)


@app.command()
def explain(
    action: Annotated[str, typer.Argument(help="The action: task.submit, work.claim, …")],
    principal: Annotated[str, flag("--principal", help='Facts about the caller, as JSON: {"owner": "acme"}')] = "{}",
    resource: Annotated[str, flag("--resource", help='Facts about the object, as JSON: {"labels": ["a"]}')] = "{}",
    policies: Policies = None,
    as_json: AsJson = False,
) -> None:
    """Say whether something is allowed, and which policies decide it."""
    from swarmkeeper.policy.cases import BadCases, question, said

    loaded = _loaded(policies)
    try:
        asked = question("explain", action, _json("--principal", principal), _json("--resource", resource))
    except BadCases as error:
        raise CliError("facts", str(error), exit_code=Exit.USAGE) from None
    decision = loaded.decide(*asked)
    if as_json:
        terminal.say_json(
            {"allowed": decision.allowed, "policies": list(decision.policies), "message": decision.message}
        )
    else:
        terminal.say(f"{action} is {said(decision)}")


@app.command()
@connected
def shadow(
    connection: Connection,
    after: Annotated[int, flag("--after", help="Only audit records after this index.", min=-1)] = -1,
) -> None:
    """Show what the policies on trial (`policies_shadow`) would have denied, by policy and action, from the audit log.

    Needs a key of role auditor or admin.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def note(record: AuditLog) -> None:
        for reason in record.decision.reasons if record.decision is not None else ():
            if reason.startswith(SHADOW):
                key = (reason.removeprefix(SHADOW), record.event)
                row = found.setdefault(key, {"policy": key[0], "action": key[1], "count": 0})
                row["count"] += 1
                row |= {"last": record.timestamp.isoformat(), "resource": record.resource, "index": record.index}

    connection.each(lambda client: client.audit(after=after if after >= 0 else None), note)
    rows = [found[key] for key in sorted(found)]
    if connection.as_json:
        for row in rows:
            terminal.say_json(row)
    elif rows:
        terminal.say_table(rows, ("policy", "action", "count", "last", "resource", "index"))
    else:
        terminal.talk("the policies on trial would have denied nothing")


def _json(where: str, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CliError("not_json", f"{where}: is no JSON: {error}", exit_code=Exit.USAGE) from None


def _loaded(policies: list[str] | None) -> CedarPolicies:
    from swarmkeeper.cli.framework import running
    from swarmkeeper.policy.cedar import load
    from swarmkeeper.policy.files import BadPolicies

    places = tuple(policies) if policies else running.settings_of().policies
    if not places:
        raise CliError("policies", "there are no policies", exit_code=Exit.USAGE, fix="name them with --policies")
    try:
        return load(places)
    except BadPolicies as error:
        raise CliError("policies", str(error), exit_code=Exit.USAGE) from None
