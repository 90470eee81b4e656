"""Migrates a store's schema. Numbered SQL files are applied once each, under the write lock, and recorded with their
hash; so a released file must not change, not even in a comment. A store of another version is refused with advice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path

import apsw

from swarmkeeper.core.ports import Entropy
from swarmkeeper.storage import migration_files
from swarmkeeper.storage import pepper as peppers
from swarmkeeper.storage.migration_files import Applied, Migration
from swarmkeeper.storage.refusals import SchemaOlder, StoreRefused
from swarmkeeper.storage.sqlite.copies import copy_to, free_name


def known() -> list[Migration]:
    """Return this version's migrations in order."""
    return migration_files.known(__package__)


def missing(connection: apsw.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations that were not applied yet; all of them if the store is empty.

    Raises:
        StoreRefused: it is another program's database, or another version's store.
    """
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    if "migration" not in tables:
        if tables:
            raise StoreRefused("this file is a database of another program: choose another path")
        return list(migrations)
    columns = "number, name, sha256" + (", runs_from" if _records_runs_from(connection) else "")
    applied = [Applied(*row) for row in connection.execute(f"SELECT {columns} FROM migration ORDER BY number")]
    return migration_files.missing(applied, migrations)


def _records_runs_from(connection: apsw.Connection) -> bool:
    found = connection.execute("SELECT count(*) FROM pragma_table_info('migration') WHERE name = 'runs_from'").get
    return bool(found)


def prepare(
    connection: apsw.Connection,
    path: Path | None,
    *,
    migrate: bool,
    create: bool,
    entropy: Entropy | None,
    new_pepper: peppers.NewPepper | None = None,
) -> None:
    """Bring the schema of a store that is being opened up to date, after copying its file.

    Args:
        new_pepper: gives the pepper of a new store in a file, which does not keep it.

    Raises:
        StoreRefused: it is not up to date, and must not be changed.
    """
    lacking = missing(connection, known())
    if not lacking:
        return
    if not is_empty(connection):
        if not migrate:
            refuse_older(lacking)
        if path is not None:
            copy_beside(connection, path, lacking[0])
    elif not create:
        raise StoreRefused(f"there is no swarmkeeper store in {path}: the database is empty")
    elif path is None:
        make_in_memory(connection, known(), migration_files.drawn(entropy))
        return
    outside = None if new_pepper is None or path is None else partial(new_pepper, path)
    apply(connection, known(), migration_files.drawn(entropy), outside)


def is_empty(connection: apsw.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_schema").get


def refuse_older(lacking: Sequence[Migration]) -> None:
    """Refuse a store of an older version, with advice.

    Raises:
        SchemaOlder: always.
    """
    raise SchemaOlder(
        f"this store has schema {lacking[0].number - 1}, this version needs {lacking[-1].number}: "
        "stop what uses it and run `swarmkeeper migrate`, which keeps a copy beside the file"
    )


def copy_beside(connection: apsw.Connection, path: Path, first: Migration) -> Path:
    """Copy the store as it is now to a new name in its folder, and return that path."""
    copy = free_name(path, f"before-{first.name}")
    copy_to(connection, copy)
    return copy


def apply(
    connection: apsw.Connection,
    migrations: Sequence[Migration],
    drawn: Mapping[str, bytes] | None,
    outside: Callable[[], bytes] | None = None,
) -> None:
    """Apply the missing migrations in one transaction. If two processes try at once, the second finds none left.

    Args:
        drawn: the keys of a new store; by default SQLite draws them.
        outside: gives the pepper of a new store that does not keep it.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        lacking = _carry_out(connection, migrations)
        if lacking:
            _fill_in(connection, drawn or {}, outside if len(lacking) == len(migrations) else None)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _carry_out(connection: apsw.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    """Apply the missing migrations, and return them."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, runs_from INTEGER) STRICT"
    )
    if not _records_runs_from(connection):
        connection.execute("ALTER TABLE migration ADD COLUMN runs_from INTEGER")
    lacking = missing(connection, migrations)
    for migration in lacking:
        connection.execute(migration.sql)
        recorded = (migration.number, migration.name, migration.sha256, migration.runs_from)
        connection.execute("INSERT INTO migration (number, name, sha256, runs_from) VALUES (?, ?, ?, ?)", recorded)
    return lacking


def make_in_memory(
    connection: apsw.Connection, migrations: Sequence[Migration], drawn: Mapping[str, bytes] | None
) -> None:
    """Make a new store in memory, as `apply` does, in a tenth of its time: tests and simulations make thousands."""
    with closing(apsw.Connection(":memory:")) as made:
        made.deserialize("main", _image(tuple(migrations)))
        # Not deserialized where it is used: such a database must not grow over a gigabyte.
        with connection.backup("main", made, "main") as copying:
            copying.step(-1)
    connection.execute("BEGIN IMMEDIATE")
    _fill_in(connection, drawn or {})
    connection.execute("COMMIT")


@lru_cache(maxsize=1)
def _image(migrations: tuple[Migration, ...]) -> bytes:
    """Return a store with this schema, and without keys of its own."""
    with closing(apsw.Connection(":memory:")) as made:
        _carry_out(made, migrations)
        return made.serialize("main")


def _fill_in(
    connection: apsw.Connection, drawn: Mapping[str, bytes], outside: Callable[[], bytes] | None = None
) -> None:
    """Fill in each store's own keys and mark, and its epoch, which each migration increments."""
    if outside is not None:
        kept_outside = outside()
        drawn = {**drawn, "pepper": peppers.name_of(kept_outside)}
        connection.execute("INSERT INTO meta VALUES ('pepper_check', ?)", (peppers.check_of(kept_outside),))
    # SQLite draws random bytes from a ChaCha20 stream that the operating system seeded.
    for key in migration_files.OWN_KEYS:
        put = "INSERT INTO meta VALUES (?, coalesce(?, randomblob(32))) ON CONFLICT DO NOTHING"
        connection.execute(put, (key, drawn.get(key)))
    connection.execute("INSERT INTO meta VALUES ('epoch', 1) ON CONFLICT DO UPDATE SET value = value + 1")
    pepper = connection.execute("SELECT value FROM meta WHERE key = 'pepper'").get
    mark = int.from_bytes(hashlib.sha256(pepper).digest()[:4], "big") >> 1 or 1
    connection.execute(f"PRAGMA user_version = {mark}")  # stored in the first page: see watch.py
