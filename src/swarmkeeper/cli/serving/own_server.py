"""The orchestrator of `run`: the one that runs for this folder, or one of its own for as long as the run lasts."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from swarmkeeper import files
from swarmkeeper.cli.framework import connection, flags, running, terminal
from swarmkeeper.cli.framework.terminal import CliError, Exit
from swarmkeeper.cli.serving import dev
from swarmkeeper.cli.serving.sample_swarm import at_work, name_of, role_of
from swarmkeeper.devfolder import DEV_FOLDER

if TYPE_CHECKING:
    from swarmkeeper.sdk.bots import BaseBot
    from swarmkeeper.sdk.client import Client
    from swarmkeeper.server import Served
    from swarmkeeper.settings import Found, Settings

_KEY = "admin"
_KEY_DAYS = 2  # the keys of a run that is killed end by themselves
_LOOKS, _LOOK_SECONDS = 20, 0.25  # for the address of one that another `run` is starting


@asynccontextmanager
async def orchestrator_for(found: Found) -> AsyncIterator[Settings]:
    """Yield the settings with which a client reaches the orchestrator.

    One that the flags, the environment or swarmkeeper.toml name must be running. Otherwise it is the one of this
    folder's `dev` or `run`; if none runs, it is started here, with its data in .swarmkeeper/.

    If other runs use the one that was started here, it lasts until they have ended.

    Raises:
        CliError: it cannot be started.
    """
    if _is_named(found):
        yield found.settings
        return
    async with AsyncExitStack() as stack:
        try:
            dev.prepare(Path(DEV_FOLDER))
            users = stack.enter_context(FolderUsers(Path(DEV_FOLDER) / "run.lock"))
        except OSError as error:
            detail = f"{DEV_FOLDER}/ cannot be made or written here: {error.strerror}"
            raise CliError("folder", detail, fix="work in a folder that you may write to") from None
        for look in range(_LOOKS):
            if users.enter():
                found = flags.found()  # another process may have begun meanwhile, and written where it is
                if await _answers(found.settings):
                    terminal.talk(f"uses the orchestrator at {found.settings.url}")
                    yield found.settings
                    return
                try:
                    served = await stack.enter_async_context(_started(found.settings))
                    break
                except CliError as error:
                    if error.code != "store_held" or look == _LOOKS - 1:
                        raise
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            raise CliError("store_held", "another run of this folder is ending; try again", exit_code=Exit.CONFLICT)
        key_file = str(dev.key_file(Path(DEV_FOLDER), _KEY))
        yield replace(found.settings, url=served.url, api_key="", api_key_file=key_file, token="", token_file="")
        waiting = False
        while not users.leave_as_last():
            if not waiting:
                terminal.talk("another run uses this orchestrator: waits for its end (Ctrl-C: do not wait)")
            waiting = True
            await asyncio.sleep(_LOOK_SECONDS)


class FolderUsers:
    """Counts the processes that use the orchestrator of a folder, by locks on a file: those of the dead are dropped.

    Args:
        file: it is made where it is missing, and stays.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened = -1

    def __enter__(self) -> Self:
        self._opened = files.descriptor(self._file, os.O_RDWR)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._opened)

    def enter(self) -> bool:
        """Become a user; False: the last one is just ending the orchestrator."""
        return self._locked(fcntl.LOCK_SH)

    def leave_as_last(self) -> bool:
        """Return whether there is no other user. If so, none can come until the file is closed."""
        return self._locked(fcntl.LOCK_EX)

    def _locked(self, kind: int) -> bool:
        try:
            fcntl.flock(self._opened, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _is_named(found: Found) -> bool:
    """Return whether somebody has named a server or a key: then no other will do."""
    sources = {found.explain(name)[0].source for name in ("url", "api_key", "api_key_file", "token", "token_file")}
    return bool(sources - {".swarmkeeper", "default"})


async def _answers(settings: Settings) -> bool:
    """Return whether the orchestrator of this folder runs: it answers, and knows the folder's key."""
    from swarmkeeper.sdk.errors import ApiError

    if not settings.api_key_file:
        return False
    try:
        async with connection.client_of(settings) as client:
            async for _ in client.keys():
                break
        return True
    except (CliError, ApiError):  # nobody, or the server of another folder at the same port
        return False


@asynccontextmanager
async def _started(settings: Settings) -> AsyncIterator[Served]:
    from swarmkeeper.clock import SystemClock
    from swarmkeeper.observe.logs import Log
    from swarmkeeper.server import serving

    folder = Path(DEV_FOLDER)
    own = replace(settings, store=f"sqlite:///{folder / 'store.db'}", host="127.0.0.1", port=0, four_eyes=False)
    async with AsyncExitStack() as stack:
        try:
            dev.prepare(folder)
            stream = stack.enter_context(files.append(folder / "run.log"))
            log = Log(stream, running.shipped_rules(), SystemClock().now)
            served = await stack.enter_async_context(serving(own, log=log, take_over_logs=True))
            await dev.kept_key(folder, served.swarm, _KEY, "admin", None)
            kept = replace(own, api_key_file=str(dev.key_file(folder, _KEY)))
            dev.remember(folder, kept, served.url)
        except Exception as error:
            raise running.of_store(error) from None
        yield served


@asynccontextmanager
async def bots_at_work(
    client: Client, url: str, bots: Sequence[BaseBot], owners: Mapping[str, str], suffix: str
) -> AsyncIterator[asyncio.Future[None]]:
    """Run bots while the block lasts, each with a key of its own, which is revoked at the end.

    Args:
        owners: the owner of each bot, by its name.
        suffix: added to the names, since two runs may use one orchestrator, and a bot's name is unique there.
    """
    from swarmkeeper.sdk.errors import ApiError

    keys: dict[str, str] = {}
    ids: list[str] = []
    for bot in bots:
        owner = owners.get(name_of(bot))
        bot.name = f"{name_of(bot)}-{suffix}"
        record = await client.create_key(role_of(bot), bot=bot.name, owner=owner, expires_days=_KEY_DAYS)
        assert record.key is not None, "a new key is shown once"
        keys[bot.name] = record.key
        ids.append(record.id)
    try:
        async with at_work(url, bots, keys) as working:
            yield working
    finally:
        with suppress(ApiError, OSError):  # the server may have gone first; the keys end by themselves
            for key_id in ids:
                await client.revoke_key(key_id)
