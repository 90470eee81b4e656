"""`identity check`: the file of issuers, the keys of each, and what a token becomes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.core.model import Principal
    from swarmkeeper.tokens.file import IssuerTable

app = typer.Typer(no_args_is_help=True, help="Identity: issuers of tokens that callers may use.")


@app.callback()
def _group() -> None:
    """Keep `check` a command of its own: without this, Typer would make it the whole group."""


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file of issuers (TOML).")],
    token: Annotated[
        str | None, typer.Argument(metavar="[TOKEN|-]", help="A token to try; -: it is read from stdin.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a file of issuers, read the keys of each, and say what a token would become, or why it is refused.

    Needs no server. Exits with 1 if keys cannot be read, or the token is refused.
    """
    from swarmkeeper.tokens.file import read
    from swarmkeeper.tokens.refusals import BadIdentity

    try:
        tables = read(Path(file))
    except BadIdentity as error:
        raise CliError("bad_identity", str(error), exit_code=Exit.USAGE) from None
    text = sys.stdin.read(_STDIN_MAX).strip() if token == "-" else token
    found = running.run(_checked(tables, text))
    for one in found:
        if as_json:
            terminal.say_json(one)
        else:
            terminal.say(terminal.on_one_line("  ".join(_shown(one))))
    if not all(one["ok"] for one in found):
        raise typer.Exit(Exit.ERROR)


_STDIN_MAX = 64 << 10  # characters; a token has at most 8 KiB


async def _checked(tables: Sequence[IssuerTable], text: str | None) -> list[dict[str, Any]]:
    from swarmkeeper.clock import SystemClock
    from swarmkeeper.core.errors import SwarmkeeperError
    from swarmkeeper.tokens.fetching import fetch_keys
    from swarmkeeper.tokens.keys import BadIssuerKeys, KeySet
    from swarmkeeper.tokens.verifying import Tokens

    async def issuer(table: IssuerTable) -> tuple[dict[str, Any], KeySet | None]:
        one: dict[str, Any] = {"issuer": table.issuer, "ok": False, "keys": 0, "unused": [], "problem": ""}
        try:
            keys = await fetch_keys(table)
        except BadIssuerKeys as error:
            one["problem"] = str(error)
            return one, None
        one |= {"ok": True, "keys": len(keys.keys), "unused": list(keys.unused)}
        return one, keys

    answers = await asyncio.gather(*map(issuer, tables))
    found = [one for one, _ in answers]
    if text is None:
        return found
    keys_of = {table.issuer: keys for table, (_, keys) in zip(tables, answers, strict=True)}

    async def fetched(table: IssuerTable) -> KeySet:
        keys = keys_of[table.issuer]
        if keys is None:
            raise BadIssuerKeys("they could not be read")
        return keys

    tokens = Tokens(tables, SystemClock(), lambda *_, **__: None, fetched)
    try:
        principal = await tokens.principal(text)
    except SwarmkeeperError as error:
        found.append({"token": "refused", "ok": False, "problem": error.detail})
    else:
        found.append({"token": "accepted", "ok": True, **_of(principal)})
    return found


def _of(principal: Principal) -> dict[str, Any]:
    from swarmkeeper.wire.shapes import rfc3339

    login = principal.token
    assert login is not None, "a token gives a login"
    return {
        "issuer": login.issuer,
        "subject": login.subject,
        "tenant": principal.tenant,
        "role": principal.role,
        "bot_name": principal.bot,
        "owner": principal.owner,
        "person": login.person,
        "skills": None if principal.skills is None else sorted(principal.skills),
        "key_id": principal.key_id,
        "signed_in_at": None if login.signed_in_at is None else rfc3339(login.signed_in_at),
        "accepted_until": rfc3339(login.expires_at),
    }


def _shown(one: dict[str, Any]) -> list[str]:
    if "token" in one:
        if not one["ok"]:
            return ["token", "refused:", one["problem"]]
        return ["token", *(f"{name}={value}" for name, value in one.items() if name not in ("token", "ok") and value)]
    if not one["ok"]:
        return [one["issuer"], f"failed: {one['problem']}"]
    unused = "".join(f"; not used: {why}" for why in one["unused"])
    return [one["issuer"], f"ok: {one['keys']} keys{unused}"]
