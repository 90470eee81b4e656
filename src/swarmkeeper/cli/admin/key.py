"""`key create|generate|list|rotate|revoke`. `create` works on the store itself, so it can create the first key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarmkeeper.cli.admin import roles
from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.connection import Connection, connected
from swarmkeeper.cli.framework.flags import AsJson, Store, flag, seconds
from swarmkeeper.settings import BadSetting

if TYPE_CHECKING:
    from swarmkeeper.offline.offline_admin import KeySpec
    from swarmkeeper.settings import Settings

app = typer.Typer(no_args_is_help=True, help="API keys: create, generate, list, rotate, revoke.")


@app.command()
def create(
    role: Annotated[str, flag("--role", help=roles.HELP)],
    bot: Annotated[str | None, flag("--bot", help="The only bot name that the key may act as.")] = None,
    owner: Annotated[str | None, flag("--owner", help="The owner responsible for its bots.")] = None,
    skills: Annotated[str | None, flag("--skills", help="The skills that its bot may claim: a,b")] = None,
    tenant: Annotated[
        str, flag("--tenant", help="The key's tenant. The first key of a tenant creates it.")
    ] = "default",
    expires_days: Annotated[
        int | None,
        flag("--expires-days", help="Days until the key expires; 0: never. Else as key_days says."),
    ] = None,
    networks: Annotated[
        str | None, flag("--networks", help="The only networks from which it may be used: 10.0.0.0/8,…")
    ] = None,
    person: Annotated[str | None, flag("--person", help="The person to whom it belongs: id or name.")] = None,
    scope: Annotated[
        str | None, flag("--scope", help="Which tasks a client sees and steers: own (the default) or tenant.")
    ] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Create a key directly in the store, whether or not a server is running. Creates the store if there is none.

    The key is shown only once. `swarmkeeper api POST /keys` creates one through a server.
    """
    from swarmkeeper.core.errors import Invalid
    from swarmkeeper.offline.offline_admin import KeySpec

    roles.check(role)
    listed = None if skills is None else tuple(skill.strip() for skill in skills.split(",") if skill.strip())
    settings = running.on_disk(store, lost=", and its key with it")
    days = settings.key_days if expires_days is None else expires_days
    within = None if networks is None else tuple(part.strip() for part in networks.split(",") if part.strip())
    wish = KeySpec(role, bot, owner, listed, days, within, tenant, person, scope)
    try:
        key_id, text = running.run(_create(wish, settings))
    except Invalid as error:
        raise running.invalid(error) from None
    if as_json:
        terminal.say_json({"id": key_id, "key": text, "role": role})
        return
    terminal.say(text)
    until = f"it expires in {days} days" if days else "it does not expire"
    terminal.talk(f"{key_id}, role {role}: the key is shown only this once; {until}")


async def _create(wish: KeySpec, settings: Settings) -> tuple[str, str]:
    from swarmkeeper.offline import offline_admin
    from swarmkeeper.storage import pepper as peppers
    from swarmkeeper.storage.refusals import PepperMissing

    try:
        configured = settings.pepper_bytes()
    except BadSetting as error:
        raise running.of_store(error) from None
    async with running.store_of(settings, create=True) as opened:
        try:
            pepper, _ = peppers.in_force(configured, await opened.start(), opened.path)
        except PepperMissing as error:
            raise running.of_store(error) from None
        return await offline_admin.create_key(opened, wish, pepper=pepper, **running.administration())


@app.command()
def generate(as_json: AsJson = False) -> None:
    """Print a random key that no store knows yet. A server with SWARMKEEPER_BOOTSTRAP_KEY_FILE creates it."""
    from swarmkeeper.clock import SystemEntropy
    from swarmkeeper.govern import keys

    text = keys.new_key(SystemEntropy().secret(keys.ENTROPY_BYTES)).text
    if as_json:
        terminal.say_json({"key": text})
    else:
        terminal.say(text)


@app.command("list")
@connected
def list_(connection: Connection) -> None:
    """List all keys of the tenant, without their secrets."""
    listed = connection.all(lambda client: client.keys())
    rows = [key.model_dump(mode="json", exclude={"key"}) for key in listed]
    if connection.as_json:
        for row in rows:
            terminal.say_json(row)
    else:
        columns = (
            "id",
            "role",
            "bot",
            "owner",
            "person_name",
            "scope",
            "created_at",
            "last_used",
            "expires_at",
            "revoked_at",
        )
        terminal.say_table(rows, columns)


@app.command()
@connected
def rotate(
    connection: Connection,
    key_id: Annotated[str, typer.Argument(help="The id of the key: key_…")],
    overlap_seconds: Annotated[
        float, seconds("--overlap-seconds", help="Seconds for which the old secret stays valid.")
    ] = 0,
) -> None:
    """Give a key a new secret. The secret is shown only once."""
    made = connection.call(lambda client: client.rotate_key(key_id, overlap_seconds=overlap_seconds))
    if connection.as_json:
        terminal.say_json({"id": made.id, "key": made.key, "role": made.role})
    else:
        terminal.say(made.key or "")


@app.command()
@connected
def revoke(
    connection: Connection,
    key_id: Annotated[str, typer.Argument(help="The id of the key: key_…")],
) -> None:
    """Revoke a key. Bots that have no other key lose their leases; this does not count as a crash."""
    key = connection.call(lambda client: client.revoke_key(key_id))
    if connection.as_json:
        terminal.say_json(key.model_dump(mode="json", exclude={"key"}))
    else:
        terminal.talk(f"{key.id} is revoked")
