"""A real PostgreSQL server for tests, and a database of its own for each test.

One server runs for each process that runs tests (with pytest-xdist, for each worker), from the first test that asks
for it to the end. `postgres_keeper.py` stops it, also when the tests are killed. No installation is needed, and no
Docker: the programs come with a wheel.

A store that earlier tests have used is emptied for a later one, which takes a tenth of what a new database takes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg

from swarmkeeper.storage.postgres import PostgresStore
from tests.support.kept_sessions import RESTING, real_loop

TEMPLATE = "with_schema"
KEPT = 2
KEEPER = Path(__file__).with_name("postgres_keeper.py")
# Our server has no TLS. Each connection would look for certificates in files, and ask the server for TLS before.
os.environ.setdefault("PGSSLMODE", "disable")
LARGE = 1_000_000  # bytes of a table, from which on removing its file is quicker than removing its rows

# What a change of the schema changes: it writes rows of the catalogue anew. Both are the same in a copy.
_SHAPE = """
SELECT md5(concat_ws(' ',
    (SELECT string_agg(concat(relname, relkind, relpersistence, reloptions), ',' ORDER BY relname)
        FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    (SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM pg_attribute),
    (SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM pg_constraint),
    (SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM pg_index),
    (SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM pg_proc),
    (SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM pg_trigger),
    (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase WHERE datname = current_database())
))
"""
_ALONE = f"""
SELECT bool_and(pg_terminate_backend(pid, 10_000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> '{RESTING}'
"""
_TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
_SEQUENCES = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'"


class PostgresServer:
    def __init__(self, *, durable: bool = False) -> None:
        """
        Args:
            durable: let each commit wait for the disk, as it does in production.
        """
        self._keeper = subprocess.Popen(
            [sys.executable, str(KEEPER), *(("--durable",) if durable else ())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the keyboard is for the tests: these end the server
        )
        self._listen()
        self._numbers = itertools.count(1)
        self._databases: list[str] = []  # the last ones
        self._stores: list[str] = []  # the last ones, likewise
        self._shape = self._reset = ""  # of the template, once there is one
        self._emptying: dict[str, asyncpg.Connection] = {}  # by store: a new session would plan all this anew

    def _listen(self) -> None:
        assert self._keeper.stdout is not None, "it is a pipe"
        said = json.loads(self._keeper.stdout.readline() or "{}")
        if not said:
            raise RuntimeError("PostgreSQL did not start: its keeper says why on standard error")
        self.folder = Path(said["folder"])
        self.port: int = said["port"]
        self.pid: int = said["pid"]

    def _tell(self, what: str) -> None:
        assert self._keeper.stdin is not None, "it is a pipe"
        self._keeper.stdin.write(what.encode() + b"\n")
        self._keeper.stdin.flush()
        self._listen()

    def halt(self, *, immediate: bool = False) -> None:
        """Stop the server, until `resume`.

        Args:
            immediate: as in a crash: nothing more is written, and the next start has to recover.
        """
        self._tell("stop immediate" if immediate else "stop fast")

    def resume(self) -> None:
        """Start the server again, on the same port."""
        self._tell("start")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str = "template0", *, keep: bool = False) -> str:
        """Create a database, as a copy of `template`, and return its URL.

        Args:
            keep: until the end. Others are dropped when the test after the next one begins: each takes 8 MB.
        """
        name = f"test_{next(self._numbers)}"
        while len(self._databases) > KEPT:
            self.run(f"DROP DATABASE {self._databases.pop(0)} WITH (FORCE)")
        # STRATEGY WAL_LOG would be slower with `fsync` off: copying files is what takes the time.
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        if not keep:
            self._databases.append(name)
        return self.url(name)

    def new_store(self) -> str:
        """Return the URL of an empty store with the schema of this version.

        It may be one that a test before the last ones has used: its rows are removed, and whoever uses it is cut off.
        """
        while len(self._stores) > KEPT:
            name = self._stores.pop(0)
            if real_loop().run(self._emptied(name)):
                self._stores.append(name)
                return self.url(name)
            self.drop(self.url(name))
        url = self.own_store()
        self._stores.append(url.rpartition("/")[2])
        return url

    def own_store(self) -> str:
        """Return the URL of a new store, which no other test gets."""
        if not self._shape:
            asyncio.run(self._make_template())
        return self.new_database(template=TEMPLATE, keep=True)

    def drop(self, url: str) -> None:
        self.run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    async def _make_template(self) -> None:
        await self._run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0", "postgres")
        store = PostgresStore(self.url(TEMPLATE))
        await store.open(exclusive=False)
        await store.close()
        connection = await asyncpg.connect(self.url(TEMPLATE))
        try:
            self._reset = await _reset(connection)
            self._shape = await connection.fetchval(_SHAPE)
        finally:
            await connection.close()

    async def _emptied(self, name: str) -> bool:
        connection = self._emptying.get(name)
        if connection is None or connection.is_closed():
            options = {"application_name": RESTING}
            connection = self._emptying[name] = await asyncpg.connect(self.url(name), server_settings=options)
        return await self.empty(connection)

    async def empty(self, connection: asyncpg.Connection) -> bool:
        """Make a store as it was when it was new. If its schema was changed, leave it, and return False."""
        await connection.fetchval(_ALONE)
        if await connection.fetchval(_SHAPE) != self._shape:
            return False
        large = await connection.fetch(f"{_TABLES} AND pg_relation_size(oid) > {LARGE}")
        if large:
            await connection.execute(f"TRUNCATE {', '.join(table for (table,) in large)} CASCADE")
        await connection.execute(self._reset)
        return True

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as superuser, on a connection of its own."""
        asyncio.run(self._run(statement, database))

    async def _run(self, statement: str, database: str) -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def stop(self) -> None:
        assert self._keeper.stdin is not None, "it is a pipe"
        self._keeper.stdin.close()
        self._keeper.wait(30)


async def _reset(connection: asyncpg.Connection) -> str:
    """Return the statements that remove all rows from a store but those that are there now."""
    steps, filled = [], []
    for (table,) in await connection.fetch(_TABLES):
        steps.append(f"DELETE FROM {table}")
        kept = await connection.fetchval(f"SELECT json_agg(t) FROM {table} t")
        if kept is not None:
            rows_of = f"json_populate_recordset(NULL::{table}, {_quoted(kept)})"
            filled.append(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {rows_of}")
    for (sequence,) in await connection.fetch(_SEQUENCES):
        last, called = await connection.fetchrow(f"SELECT last_value, is_called FROM {sequence}")
        filled.append(f"SELECT setval('{sequence}', {last}, {called})")
    # As a replica does: without triggers and foreign keys, so in any order.
    begin = ["BEGIN", "SET LOCAL session_replication_role = replica"]
    return ";\n".join([*begin, *steps, *filled, "COMMIT", "SELECT pg_stat_reset()"])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def rows(url: str, query: str) -> list[Any]:
    """Run one statement on a connection of its own, and return what it found. No event loop may run."""

    async def work() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            found: list[Any] = await connection.fetch(query)
            return found
        finally:
            await connection.close()

    return asyncio.run(work())


_server: PostgresServer | None = None


def server() -> PostgresServer:
    """Return this process's server, which runs until the process ends."""
    global _server
    if _server is None:
        _server = PostgresServer()
    return _server
