"""`secret list|put|rotate|retire|delete|key`: secrets that the server keeps. A value is never an argument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import flag
from swarmkeeper.cli.framework.terminal import CliError, Exit

app = typer.Typer(no_args_is_help=True, help="Secrets that bots get under a lease: put, list, rotate, retire, delete.")

Name = Annotated[str, typer.Argument(help="The name: what follows secret:// in inputs.")]
File = Annotated[
    Path | None, flag("--file", help="A file with the value; one line break at its end is dropped. Default: stdin.")
]
COLUMNS = ("name", "version", "backend", "created_at", "released_at", "released")
VALUE_BYTES_MAX = 256 << 10


@app.command("list")
@connected
def list_(connection: Connection) -> None:
    """List the secrets of the tenant, without their values. Needs a key of role admin."""
    connection.say_all(lambda client: client.secrets(), COLUMNS)


@app.command()
@connected
def put(connection: Connection, name: Name, file: File = None) -> None:
    """Keep a value, read from stdin or a file, as the newest version of a secret. Needs a key of role admin."""
    _put(connection, name, _value(file))


@app.command()
@connected
def rotate(connection: Connection, name: Name, file: File = None) -> None:
    """Give a secret that exists a new value. The version before stays usable until `secret retire`."""
    existing = connection.all(lambda client: client.secrets())
    if all(secret.name != name or secret.backend != "builtin" for secret in existing):
        raise CliError("not_found", f"the server keeps no secret {name}", fix="`secret put` makes one")
    _put(connection, name, _value(file))


@app.command()
@connected
def retire(connection: Connection, name: Name) -> None:
    """Remove the versions of a secret before the newest. Needs a key of role admin."""
    state = connection.call(lambda client: client.retire_secret(name))
    connection.say_done(state, f"{name}: only version {state.version} is left")


@app.command()
@connected
def delete(connection: Connection, name: Name) -> None:
    """Remove a secret. What bots have got of it stays hidden in what the server records."""
    connection.call(lambda client: client.delete_secret(name))
    connection.say_done({"name": name, "deleted": True}, f"{name} is deleted")


@app.command()
def key() -> None:
    """Print a new master key, for the file that the setting `secrets_key_file` names. To replace one, put it first."""
    import base64

    from swarmkeeper.clock import SystemEntropy
    from swarmkeeper.secrets.sealing import KEY_BYTES

    terminal.say(base64.b64encode(SystemEntropy().secret(KEY_BYTES)).decode())


def _put(connection: Connection, name: str, value: str) -> None:
    state = connection.call(lambda client: client.put_secret(name, value))
    connection.say_done(state, f"{name} has version {state.version}")


def _value(file: Path | None) -> str:
    """Read the value. On a terminal it is asked for and not shown."""
    if file is None and sys.stdin.isatty():
        import getpass

        return getpass.getpass("value: ")
    try:
        if file is None:
            raw = sys.stdin.buffer.read(VALUE_BYTES_MAX + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(VALUE_BYTES_MAX + 1)
        text = raw.decode()
    except OSError as error:
        raise CliError("unreadable", f"the value cannot be read: {error.strerror}", exit_code=Exit.USAGE) from None
    except UnicodeDecodeError:
        raise CliError("unreadable", "the value is not UTF-8", exit_code=Exit.USAGE) from None
    if len(raw) > VALUE_BYTES_MAX:
        raise CliError("too_large", f"the value is larger than {VALUE_BYTES_MAX >> 10} KiB", exit_code=Exit.USAGE)
    return text.removesuffix("\n").removesuffix("\r")
