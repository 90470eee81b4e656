"""`store encrypt` and `store rotate-key`: bodies of the store under keys that are not in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.settings import BadSetting

if TYPE_CHECKING:
    from swarmkeeper.settings import Settings
    from swarmkeeper.storage.at_rest.bodies import BodyCodec
    from swarmkeeper.storage.at_rest.passes import Survey
    from swarmkeeper.storage.at_rest.raw import RawBodies


def encrypt(store: Store = None, as_json: AsJson = False) -> None:
    """Encrypt what is in the store under the key of `encryption_key`. Servers that have the setting may be running.

    What is encrypted already is left alone, so run it again after an interruption. Without a server, what is left of
    plain rows is removed from the files, too.
    """
    from swarmkeeper.storage.at_rest.texts import TEXTS

    settings = _with_key(store)
    facts = running.run(_encrypt(settings))
    if as_json:
        terminal.say_json(facts)
        return
    done = facts["encrypted"]
    texts = sum(number for table, number in done.items() if table in TEXTS)
    terminal.say(
        f"{done['payload']} payloads, {done['event']} events, {done['audit_leaf']} audit records and {texts} rows with "
        "texts were encrypted"
    )
    if not facts["cleaned"]:
        terminal.talk(
            "a server is using the store, so its files may still hold what rows were before: "
            "run this again while no server does"
        )


def rotate_key(store: Store = None, as_json: AsJson = False) -> None:
    """Wrap the data keys anew, under the first master key of `encryption_key`. Servers may be running.

    Put the new key into the first line, and keep the old ones below until this has ended.
    """
    settings = _with_key(store)
    number, current = running.run(_rotate(settings))
    if as_json:
        terminal.say_json({"wrapped": number, "key": current})
    else:
        terminal.say(f"{number} data keys were wrapped under master key {current}; all others are not needed any more")


def _with_key(store: str | None) -> Settings:
    settings = running.on_disk(store, lost="")
    if not settings.encryption_key:
        fix = "`swarmkeeper secret key` makes a key; name its file: SWARMKEEPER_ENCRYPTION_KEY=file:/…"
        raise CliError("no_key", "the setting encryption_key is empty", exit_code=Exit.USAGE, fix=fix)
    return settings


async def _encrypt(settings: Settings) -> dict[str, Any]:
    from swarmkeeper.storage.at_rest import passes

    async with raw_of(settings) as (raw, bodies, alone):
        if not alone and not await raw.keys():
            detail = "a server is using this store that was started without encryption_key"
            raise CliError(
                "store_held", detail, exit_code=Exit.CONFLICT, fix="start it again with the setting, and repeat this"
            )
        done = await passes.encrypt(raw, bodies)
        await raw.clean(alone=alone)
        return {"encrypted": done, "cleaned": alone}


async def _rotate(settings: Settings) -> tuple[int, str]:
    from swarmkeeper.storage.at_rest import passes

    async with raw_of(settings) as (raw, bodies, _):
        assert bodies.keys is not None, "the setting is there"
        return await passes.rotate(raw, bodies.keys), bodies.keys.ring.current


async def survey(settings: Settings) -> Survey | None:
    """Count and check the bodies of a store; None if nothing in it is encrypted, nor to be encrypted."""
    from swarmkeeper.storage.at_rest import passes

    async with raw_of(settings, reading=True) as (raw, bodies, _):
        if bodies.keys is None and not await raw.keys():
            return None
        return await passes.survey(raw, bodies)


@asynccontextmanager
async def raw_of(settings: Settings, *, reading: bool = False) -> AsyncIterator[tuple[RawBodies, BodyCodec, bool]]:
    """Open a store to go over its bodies, as its only user if there is no other.

    Yields:
        the bodies as they are stored, what opens them, and whether nobody else uses the store.

    Raises:
        CliError: it cannot be used.
    """
    from swarmkeeper.storage.opening import is_postgres

    opened = _postgres if is_postgres(settings.store) else _sqlite
    try:
        bodies = await running.bodies_of(settings)
    except BadSetting as error:
        raise running.of_store(error) from None
    async with opened(settings, bodies, reading=reading) as (raw, alone):
        try:
            yield raw, bodies, alone
        except CliError:
            raise
        except Exception as error:
            raise running.of_store(error) from None


@asynccontextmanager
async def _sqlite(settings: Settings, bodies: BodyCodec, *, reading: bool) -> AsyncIterator[tuple[RawBodies, bool]]:
    from swarmkeeper.storage.at_rest.raw import SqliteBodies
    from swarmkeeper.storage.refusals import StoreHeld
    from swarmkeeper.storage.sqlite.store import SqliteStore

    store = SqliteStore(settings.store, bodies=bodies)
    alone = not reading
    try:
        try:
            await (store.open(create=False) if alone else store.open_to_read())
        except StoreHeld:
            alone = False
            await store.open(exclusive=False, create=False)
    except Exception as error:
        raise running.of_store(error) from None
    try:
        yield SqliteBodies(store.reading if reading else store.connection), alone
    finally:
        await store.close()


@asynccontextmanager
async def _postgres(settings: Settings, bodies: BodyCodec, *, reading: bool) -> AsyncIterator[tuple[RawBodies, bool]]:
    from swarmkeeper.storage.at_rest.moving import ALONE
    from swarmkeeper.storage.at_rest.raw import PostgresBodies
    from swarmkeeper.storage.opening import store_at
    from swarmkeeper.storage.postgres import connections

    store = store_at(settings.store, bodies=bodies)
    try:
        # It refuses what is no store of this version.
        await store.open_to_read()
        await store.start()  # events that wait get their numbers
        await store.close()
        connection = await connections.connect(settings.store, writing=not reading)
    except Exception as error:
        raise running.of_store(error) from None
    try:
        await connection.execute("SET statement_timeout = 0")
        if connection.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
            await connection.execute("SET transaction_timeout = 0")
        alone = not reading and bool(await connection.fetchval(ALONE))
        yield PostgresBodies(connection), alone
    finally:
        await connections.close(connection)


_TRANSACTION_TIMEOUT_SINCE = 17  # the version of PostgreSQL
