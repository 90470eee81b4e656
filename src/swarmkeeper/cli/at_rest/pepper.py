"""`store move-pepper`: takes the pepper of the keys out of the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from swarmkeeper.cli.framework import running, terminal
from swarmkeeper.cli.framework.flags import AsJson, Store, flag
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.settings import BadSetting

if TYPE_CHECKING:
    from swarmkeeper.core.ports import Started
    from swarmkeeper.settings import Settings


def move_pepper(
    to: Annotated[
        Path | None, flag("--to", metavar="FILE", help="The file to write. By default STORE.pepper beside the store.")
    ] = None,
    replace: Annotated[
        bool, flag("--replace", help="Go on with the configured pepper although keys were made with another.")
    ] = False,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Take the pepper of the API keys out of the store, to a file. No server may be using the store.

    With a pepper in the settings, that one is the store's from then on, and no file is written.
    """
    settings = running.on_disk(store, lost="")
    try:
        facts = running.run(_move(settings, to, replace=replace))
    except Exception as error:
        raise running.of_store(error) from None
    if as_json:
        terminal.say_json(facts)
    elif not facts["moved"]:
        terminal.talk("the pepper is outside of this store already: nothing to do")
    elif facts["file"] is None:
        terminal.talk("the configured pepper is the store's from now on, and the store has none")
    else:
        terminal.talk(f"the pepper is in {facts['file']} now: keep a copy of it, not beside backups of the store")
        if not facts["beside"]:
            terminal.talk("name that file in SWARMKEEPER_PEPPER_FILE, for each server of this store")


async def _move(settings: Settings, to: Path | None, *, replace: bool) -> dict[str, Any]:
    from swarmkeeper.storage import pepper as peppers
    from swarmkeeper.storage.at_rest import moving
    from swarmkeeper.storage.opening import is_postgres, store_at
    from swarmkeeper.storage.sqlite.store import SqliteStore

    configured = settings.pepper_bytes()
    if is_postgres(settings.store):
        opened = store_at(settings.store)
        await opened.open_to_read()
        try:
            started = await opened.start()
        finally:
            await opened.close()
        pepper, file = _chosen(started, configured, to, replace=replace)
        if pepper is not None:
            await moving.keep_outside_postgres(settings.store, pepper)
        return {"moved": pepper is not None, "file": None if file is None else str(file), "beside": False}
    async with running.alone(SqliteStore(settings.store, bodies=await running.bodies_of(settings))) as store:
        assert store.path is not None, "a store in memory was refused"
        beside = peppers.file_of(store.path)
        pepper, file = _chosen(await store.start(), configured, to or beside, replace=replace)
        if pepper is not None:
            moving.keep_outside_sqlite(store, pepper)
    return {"moved": pepper is not None, "file": None if file is None else str(file), "beside": file == beside}


def _chosen(
    started: Started, configured: bytes | None, to: Path | None, *, replace: bool
) -> tuple[bytes | None, Path | None]:
    """Return the pepper that leaves the store, and the file that it was written to; no pepper if it has left already.

    Raises:
        CliError: a file is needed, or it has another pepper.
        BadSetting: there is nothing to replace the pepper with.
    """
    from swarmkeeper import files
    from swarmkeeper.storage import pepper as peppers

    if replace and configured is None:
        raise BadSetting("pepper: --replace needs the new one in the settings")
    if started.pepper_check is not None:
        is_same = configured is None or peppers.check_of(configured) == started.pepper_check
        if is_same:
            return None, None
        if not replace:
            detail = "the configured pepper is not the one that this store's keys were made with"
            raise CliError("another_pepper", detail, exit_code=Exit.CONFLICT, fix="give the right one, or --replace")
    if configured is not None:
        return configured, None
    if to is None:
        raise CliError("usage", "a store in a database needs a file for its pepper: --to FILE", exit_code=Exit.USAGE)
    if not to.exists():
        files.write(to, peppers.text_of(started.pepper) + "\n")
    elif peppers.read(to) != started.pepper:
        raise CliError(
            "exists", f"{to} has another pepper", exit_code=Exit.CONFLICT, fix="move it away, or name another"
        )
    return started.pepper, to
