"""A real PostgreSQL server for tests, and a new database for each test.

One server runs for each process that runs tests (with pytest-xdist, for each worker), from the first test that asks
for it to the end. `postgres_keeper.py` stops it, also when the tests are killed. No installation is needed, and no
Docker: the programs come with a wheel.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg

from swarmkeeper.storage.postgres import PostgresStore

TEMPLATE = "with_schema"
KEPT = 2
KEEPER = Path(__file__).with_name("postgres_keeper.py")


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
        self._has_template = False

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
        """Create a database with the schema of this version, and return its URL."""
        if not self._has_template:
            asyncio.run(self._make_template())
            self._has_template = True
        return self.new_database(template=TEMPLATE)

    async def _make_template(self) -> None:
        await self._run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0", "postgres")
        store = PostgresStore(self.url(TEMPLATE))
        await store.open(exclusive=False)
        await store.close()

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
