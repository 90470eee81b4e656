"""`person create|list|rename|disable|enable`: the people to whom keys and sign-ins by token belong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli.framework import terminal
from swarmkeeper.cli.framework.connection import Connection, connected

if TYPE_CHECKING:
    from swarmkeeper.wire.people import Person

app = typer.Typer(no_args_is_help=True, help="Persons to whom keys belong: create, list, rename, disable, enable.")

PersonId = Annotated[str, typer.Argument(metavar="ID", help="The person: per_…")]
Name = Annotated[str, typer.Argument(help="Unique in the tenant; a claim of a token may name the person by it.")]
COLUMNS = ("id", "name", "created_at", "disabled_at")


@app.command()
@connected
def create(connection: Connection, name: Name) -> None:
    """Create a person. Needs a key of role admin, as rename, disable and enable do."""
    _say(connection, connection.call(lambda client: client.create_person(name)), "is created")


@app.command("list")
@connected
def list_(connection: Connection) -> None:
    """List the persons of the tenant. Needs a key of role auditor or admin."""
    connection.say_all(lambda client: client.persons(), COLUMNS)


@app.command()
@connected
def rename(connection: Connection, person_id: PersonId, name: Name) -> None:
    """Give a person another name. Tokens must give the new one."""
    _say(connection, connection.call(lambda client: client.rename_person(person_id, name)), "is renamed")


@app.command()
@connected
def disable(connection: Connection, person_id: PersonId) -> None:
    """Refuse the keys and tokens of a person, on every server within a second."""
    _say(connection, connection.call(lambda client: client.disable_person(person_id)), "is disabled")


@app.command()
@connected
def enable(connection: Connection, person_id: PersonId) -> None:
    """Accept the keys and tokens of a person again."""
    _say(connection, connection.call(lambda client: client.enable_person(person_id)), "is enabled")


def _say(connection: Connection, person: Person, done: str) -> None:
    if connection.as_json:
        terminal.say_json(person.model_dump(mode="json"))
    else:
        terminal.say(person.id)
        terminal.talk(f"{terminal.on_one_line(person.name)} {done}")
