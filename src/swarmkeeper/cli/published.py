"""`audit key|prove|export|witness`, and `audit verify` for what is published: the audit log for people outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper import files
from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

if TYPE_CHECKING:
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.transparency.notes import SigningKey, VerifierKey
    from swarmkeeper.transparency.outside import LogVerification

TAMPERED, INCOMPLETE = 1, 2
_STATUS = {"whole": 0, "tampered": TAMPERED, "incomplete": INCOMPLETE}

Keys = Annotated[
    list[str] | None,
    flag("--key", metavar="NAME+ID+KEY", help="A verifier key of the log, from a source that you trust. Repeatable."),
]


class ServerLog:
    """A published log at a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, path: str) -> bytes:
        from swarmkeeper.sdk.errors import NotFound
        from swarmkeeper.transparency.outside import FileMissing

        try:
            return await self._client.audit_file(path)
        except NotFound:
            raise FileMissing(path) from None


# ---- keys ----------------------------------------------------------------------------------------------------------


def key(
    to: Annotated[Path, flag("--to", metavar="FILE", help="The file of the key, which only you can read.")],
    name: Annotated[
        str,
        flag("--name", help="A name that nobody else has, such as swarm.example.org."),
    ],
    add: Annotated[bool, flag("--add", help="Add it to the file: both sign while one replaces the other.")] = False,
    witness: Annotated[bool, flag("--witness", help="Make the key of a witness.")] = False,
) -> None:
    """Make a key that signs the audit log, for the setting `audit_key_file`; or the key of a witness.

    Prints the key that verifies its signatures. For a log it is that of the tenant `default`.
    """
    from swarmkeeper.clock import SystemEntropy
    from swarmkeeper.transparency import notes
    from swarmkeeper.transparency.checkpoints import origin_of
    from swarmkeeper.transparency.notes import BadKey

    try:
        made = notes.new_key(name, SystemEntropy().secret(32), notes.COSIGNATURE if witness else notes.ED25519)
    except BadKey as error:
        raise CliError("usage", f"--name: {error}", exit_code=Exit.USAGE) from None
    text = made.secret() + "\n"
    if to.exists():
        if not add:
            raise CliError("exists", f"{to} exists already", exit_code=Exit.CONFLICT, fix="use --add")
        had = signing_keys(to)
        if had[0].name != name:
            raise CliError("usage", f"the key in {to} has the name {had[0].name}", exit_code=Exit.USAGE)
        text = to.read_text(encoding="utf-8").rstrip() + "\n" + text
    files.write(to, text)
    shown = made if witness else made.named(origin_of(name, "default"))
    terminal.say(str(shown.verifier))
    terminal.talk(f"{to} has the secret part: keep it from everyone who could change the store")


def signing_keys(path: Path) -> list[SigningKey]:
    """Read the keys in a file.

    Raises:
        CliError: it cannot be read, or has none.
    """
    from swarmkeeper.settings import BadSetting, read_secret
    from swarmkeeper.transparency.notes import BadKey, SigningKey

    try:
        lines = read_secret(str(path), "key").splitlines()
        found = [SigningKey.parse(line) for line in lines if line.strip()]
    except (BadSetting, BadKey) as error:
        raise CliError("bad_key", f"{path}: {error}", exit_code=Exit.USAGE) from None
    return found


def verifier_keys(texts: Sequence[str] | None) -> list[VerifierKey]:
    """Read verifier keys.

    Raises:
        CliError: there is none, or one is not well-formed.
    """
    from swarmkeeper.transparency.notes import BadKey, VerifierKey

    if not texts:
        raise CliError(
            "usage",
            "without the log's verifier key, nobody knows who has signed it",
            exit_code=Exit.USAGE,
            fix="--key NAME+ID+KEY, as `swarmkeeper audit key` printed it",
        )
    try:
        return [VerifierKey.parse(text) for text in texts]
    except BadKey as error:
        raise CliError("usage", f"--key: {error}", exit_code=Exit.USAGE) from None


# ---- proofs and copies ---------------------------------------------------------------------------------------------


@connected
def prove(
    connection: Connection,
    index: Annotated[int, typer.Argument(metavar="INDEX", min=0, help="The record's index, as `audit list` shows it.")],
    to: Annotated[Path | None, flag("--to", metavar="FILE", help="Write it to a file instead of printing it.")] = None,
    body: Annotated[
        Path | None, flag("--body", metavar="FILE", help="Write the record's body to a file, with what proves it.")
    ] = None,
) -> None:
    """Print a record with the proof that the signed log has it. Whoever has the verifier key can verify it offline."""
    proof = connection.call(lambda client: client.audit_file(f"{index}/proof"))
    if body is not None:
        files.write(body, connection.call(lambda client: client.audit_file(f"{index}/body")))
    if to is None:
        terminal.say(proof.decode().rstrip("\n"))
    else:
        files.write(to, proof)


@connected
def export(
    connection: Connection,
    to: Annotated[Path, flag("--to", metavar="DIR", help="The folder, new or from an earlier export.")],
    keys: Keys = None,
) -> None:
    """Copy the signed audit log into a folder (c2sp.org/tlog-tiles): only what is new, and only what verifies.

    Exits with 1 if the log does not go on from what was exported, 2 if something is missing.
    """
    from swarmkeeper.transparency.outside import FileMissing, Folder
    from swarmkeeper.transparency.outside import export as copy

    known = verifier_keys(keys)

    async def work(client: Client) -> LogVerification:
        return await copy(ServerLog(client), Folder(to), known)

    try:
        found = connection.call(work)
    except FileMissing as missing:
        raise CliError("not_found", f"the server does not publish `{missing}`", exit_code=Exit.NOT_FOUND) from None
    except files.BadFile as bad:
        raise CliError("bad_file", f"{to}: {bad}") from None
    say(found, as_json=connection.as_json)


@connected
def witness(
    connection: Connection,
    to: Annotated[Path, flag("--to", metavar="DIR", help="Where the witness keeps the last checkpoint.")],
    signing_key: Annotated[Path, flag("--signing-key", metavar="FILE", help="The witness's: `audit key --witness`.")],
    keys: Keys = None,
    every: Annotated[float, flag("--every", min=1, help="Seconds between looks.")] = 60.0,
    once: Annotated[bool, flag("--once", help="Look once, and end.")] = False,
) -> None:
    """Follow a server's signed audit log from another machine, and cosign it only while it grows.

    Exits with 1 if the log was cut or rewritten: the folder then has both checkpoints, which prove it.
    """
    from swarmkeeper.clock import SystemClock
    from swarmkeeper.sdk.errors import ApiError
    from swarmkeeper.transparency.notes import BadKey, BadNote
    from swarmkeeper.transparency.outside import FileMissing, Folder
    from swarmkeeper.transparency.witness import Fork, Witness

    known, own = verifier_keys(keys), signing_keys(signing_key)[0]

    async def work(client: Client) -> None:
        follower = Witness(ServerLog(client), Folder(to), known, own, wall=SystemClock().now)
        while True:
            try:
                head, is_new = await follower.look()
                if is_new:
                    terminal.say(f"cosigned {head.size} records of {terminal.on_one_line(head.origin)}")
            except (FileMissing, ApiError) as error:
                if once:
                    raise
                terminal.talk(f"nothing to cosign: {terminal.on_one_line(str(error))}")
            if once:
                return
            await asyncio.sleep(every)

    try:
        connection.call(work)
    except BadKey as error:
        raise CliError("bad_key", f"--signing-key: {error}", exit_code=Exit.USAGE) from None
    except FileMissing as missing:
        raise CliError("not_found", f"the server does not publish `{missing}`", exit_code=Exit.NOT_FOUND) from None
    except files.BadFile as bad:
        raise CliError("bad_file", f"{to}: {bad}") from None
    except (Fork, BadNote) as found:
        terminal.say(f"ALARM: {terminal.on_one_line(str(found))}")
        raise typer.Exit(TAMPERED) from None


# ---- verifying -----------------------------------------------------------------------------------------------------


def is_published(source: str) -> bool:
    """Return whether this names a published log or a proof, and not a store."""
    return source.startswith(("http://", "https://")) or Path(source).is_dir() or source.endswith(".tlog-proof")


def verify(
    source: str,
    keys: Sequence[str] | None,
    witnesses: Sequence[str],
    since: Path | None,
    body: Path | None,
    *,
    as_json: bool,
) -> None:
    """Verify a published log at a URL or in a folder, or a file with the proof of one record; end with its status."""
    from swarmkeeper.transparency import outside

    known = verifier_keys(keys)
    cosigners = verifier_keys(witnesses) if witnesses else []
    if source.endswith(".tlog-proof"):
        if since is not None or witnesses:
            raise CliError("usage", "--since and --witness are for a whole log, not for a proof", exit_code=Exit.USAGE)
        _verify_record(Path(source), known, body, as_json=as_json)
        return
    if body is not None:
        raise CliError("usage", "--body is for the proof of one record", exit_code=Exit.USAGE)
    older = None if since is None else _read(since)

    async def work(log: Any) -> LogVerification:
        return await outside.verify(log, known, since=older, witnesses=cosigners)

    if Path(source).is_dir():
        found = asyncio.run(work(outside.Folder(Path(source))))
    else:
        found = Connection.of(url=source).call(lambda client: work(ServerLog(client)))
    say(found, as_json=as_json)


def _read(path: Path) -> bytes:
    """Raises: CliError: the file cannot be read."""
    from swarmkeeper.transparency.outside import FILE_BYTES_MAX

    try:
        return files.read_bytes(path, FILE_BYTES_MAX)
    except files.BadFile as bad:
        raise CliError("not_found", f"{path} {bad}", exit_code=Exit.NOT_FOUND) from None


def _verify_record(path: Path, keys: Sequence[VerifierKey], body: Path | None, *, as_json: bool) -> None:
    from swarmkeeper.transparency.notes import BadNote
    from swarmkeeper.transparency.outside import proved, proved_body

    try:
        found = proved(_read(path), keys)
        opened = None if body is None else proved_body(found, _read(body))
    except BadNote as bad:
        terminal.say(f"tampered: {terminal.on_one_line(str(bad))}")
        raise typer.Exit(TAMPERED) from None
    if as_json:
        shown = {"index": found.index, "size": found.head.size, "record": found.record.decode()}
        terminal.say_json(shown if body is None else {**shown, "body": opened})
    else:
        terminal.say(f"record {found.index} of {found.head.size} in {terminal.on_one_line(found.head.origin)}:")
        terminal.say(terminal.shown(found.record.decode()))
        if opened is not None:
            terminal.say("its body, to which the record commits:")
            terminal.say(terminal.shown(opened))
    if body is not None and opened is None:
        terminal.talk("the server says that the body was erased: a later record of the log must tell of it")
        raise typer.Exit(INCOMPLETE)


def say(found: LogVerification, *, as_json: bool) -> None:
    """Print what verifying has found, and end with its status."""
    if as_json:
        shown = asdict(found) | {"head": None}
        if found.head is not None:
            shown["head"] = {"origin": found.head.origin, "size": found.head.size, "root": found.head.root.hex()}
        terminal.say_json(shown)
    else:
        log = "" if found.head is None else f"{found.head.origin}, {found.head.size} records: "
        what = found.status if found.status == "whole" else f"{found.status}: {found.reason}"
        terminal.say(terminal.on_one_line(log + what))
        if found.begin:
            terminal.say(f"  the records before {found.begin} have left the log; their hashes are part of the root")
        for names, word in ((found.signers, "signed"), (found.witnesses, "cosigned")):
            if names:
                terminal.say(terminal.on_one_line(f"  {word} by {', '.join(names)}"))
    raise typer.Exit(_STATUS[found.status])
