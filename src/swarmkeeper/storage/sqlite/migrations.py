"""Brings a store's schema to this version: numbered SQL files, each applied once, under the write lock, and remembered
with its hash. A store that another version made is refused with what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import apsw

from swarmkeeper.storage.refusals import SchemaAltered, SchemaNewer, SchemaOlder, StoreRefused
from swarmkeeper.storage.sqlite.copies import copy_to, free_name


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known() -> list[Migration]:
    """All that this version has, in order."""
    found = [
        Migration(int(file.name[:4]), file.name.removesuffix(".sql"), file.read_text("utf-8"))
        for file in files(__package__).joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found, key=lambda one: one.number)


def missing(connection: apsw.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """What this store still lacks; all of them where it is empty.

    Raises:
        StoreRefused: it is not one of ours, or another version's.
    """
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    if "migration" not in tables:
        if tables:
            raise StoreRefused("this file is a database, but not one of swarmkeeper's: choose another path")
        return list(migrations)
    applied = connection.execute("SELECT number, name, sha256 FROM migration ORDER BY number").fetchall()
    if len(applied) > len(migrations):
        raise SchemaNewer(
            f"this store has schema {applied[-1][0]}, this version knows up to {migrations[-1].number}: "
            "use the version of swarmkeeper that made it, or a later one"
        )
    for (number, name, sha256), one in zip(applied, migrations, strict=False):
        if (number, sha256) != (one.number, one.sha256):
            raise SchemaAltered(
                f"migration {name} was applied to this store with another content than this version's {one.name}: "
                "use the version of swarmkeeper that made it"
            )
    return list(migrations[len(applied) :])


def is_empty(connection: apsw.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_schema").get


def refuse_older(lacking: Sequence[Migration]) -> None:
    """Say how to go on with a store that an older version made.

    Raises:
        SchemaOlder: always.
    """
    raise SchemaOlder(
        f"this store has schema {lacking[0].number - 1}, this version needs {lacking[-1].number}: "
        "stop what uses it and run `swarmkeeper migrate`, which keeps a copy beside the file"
    )


def copy_beside(connection: apsw.Connection, path: Path, first: Migration) -> Path:
    """Keep the store as it is now, under a name that no other copy has."""
    copy = free_name(path, f"before-{first.name}")
    copy_to(connection, copy)
    return copy


def apply(connection: apsw.Connection, migrations: Sequence[Migration], pepper: bytes | None) -> None:
    """Apply what is missing, all or nothing. Two processes may try at once: the second finds nothing left to do."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migration"
            " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT"
        )
        lacking = missing(connection, migrations)
        for one in lacking:
            connection.execute(one.sql)
            connection.execute("INSERT INTO migration VALUES (?, ?, ?)", (one.number, one.name, one.sha256))
        if lacking:
            _fill_in(connection, pepper)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _fill_in(connection: apsw.Connection, pepper: bytes | None) -> None:
    """Fill in what every store has: a pepper and a mark of its own, and an epoch that a migration raises."""
    # SQLite draws random bytes from a ChaCha20 stream that the operating system seeded.
    connection.execute(
        "INSERT INTO meta VALUES ('pepper', coalesce(?, randomblob(32))) ON CONFLICT DO NOTHING", (pepper,)
    )
    connection.execute("INSERT INTO meta VALUES ('epoch', 1) ON CONFLICT DO UPDATE SET value = value + 1")
    drawn = connection.execute("SELECT value FROM meta WHERE key = 'pepper'").get
    mark = int.from_bytes(hashlib.sha256(drawn).digest()[:4], "big") >> 1 or 1
    connection.execute(f"PRAGMA user_version = {mark}")  # in the first page of the file: see watch.py
