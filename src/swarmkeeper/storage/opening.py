"""Makes the store that an address names."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from swarmkeeper.core.ports import Entropy, ReadsOnly, Store
from swarmkeeper.storage.at_rest.bodies import BodyCodec
from swarmkeeper.storage.pepper import NewPepper
from swarmkeeper.storage.refusals import MALFORMED, StoreRefused, is_well_formed

POSTGRES = ("postgresql://", "postgres://")


class ReadsBeside(ReadsOnly, Protocol):
    """Reads for another thread."""

    def close(self) -> None: ...


class OpenedStore(Store, Protocol):
    """What the server and the command line need of a store besides the port."""

    @property
    def path(self) -> Path | None:
        """Its file, if it has one."""

    @property
    def damage(self) -> str:
        """What is damaged; empty if nothing is known to be."""

    @property
    def is_lost(self) -> bool:
        """Whether its files were removed or replaced."""

    async def open(self, *, exclusive: bool = True, migrate: bool = False, create: bool = True) -> None:
        """Open the store, and create the schema if it is new.

        Args:
            exclusive: True for an orchestrator; False for a tool that runs beside it.
            migrate: bring an older schema up to date.
            create: if False, the store must exist.

        Raises:
            StoreRefused: it cannot be used in its present state; the message says what to do.
            StoreUnavailable: it cannot be used now.
        """

    async def open_to_read(self) -> None:
        """Open an existing store only for `read`.

        Raises:
            StoreRefused, StoreUnavailable: as for `open`.
        """

    def open_reader(self) -> ReadsBeside | None:
        """Return reads for another thread; None if this store has none."""

    def check_files(self) -> None:
        """Check that the files are those that were opened.

        Raises:
            StoreLost: they are not.
        """

    async def rebuild(self) -> None:
        """Make counts, sums, labels and words anew: they follow from other rows. Others may use the store meanwhile."""

    async def rescue(self) -> str:
        """After StoreLost, save what only this process still has, and return what was done."""


def is_postgres(url: str) -> bool:
    return url.startswith(POSTGRES)


def shown(url: str) -> str:
    """Return the address without its passwords, for texts that people see.

    Of an address that cannot be understood it shows nothing: any part may be of a password.
    """
    scheme, colon, _ = url.partition(":")
    if not colon or scheme == "sqlite" or ("://" not in url and not scheme.lower().startswith("postgres")):
        return url  # it names a file
    if not is_postgres(url) or not is_well_formed(url):
        return f"{scheme}:…"
    parts = urlsplit(url)
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if "password" not in name])
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + host, query=query))


def is_in_memory(url: str) -> bool:
    """Return whether the store ends with its process.

    Raises:
        StoreRefused: it is not the address of a store.
    """
    from swarmkeeper.storage.sqlite.store import MEMORY, path_of

    return not is_postgres(url) and path_of(url) == MEMORY


def store_at(
    url: str,
    *,
    entropy: Entropy | None = None,
    inline: bool = False,
    new_pepper: NewPepper | None = None,
    bodies: BodyCodec | None = None,
) -> OpenedStore:
    """Return the store at an address: sqlite:///relative.db, a path, or postgresql://user@host/database. Opens nothing.

    Args:
        entropy: draws a new store's pepper; by default the database does.
        inline: write to a SQLite store on the event loop, for a loop without threads.
        new_pepper: gives the pepper of a new store that does not keep it.
        bodies: encrypts bodies.

    Raises:
        StoreRefused: it is not the address of a store, or its driver is not installed.
    """
    if is_postgres(url):
        if not is_well_formed(url):
            raise StoreRefused(MALFORMED)
        try:
            from swarmkeeper.storage.postgres import PostgresStore
        except ModuleNotFoundError as error:
            if error.name != "asyncpg":
                raise
            raise StoreRefused("a store in PostgreSQL needs a driver: pip install 'swarmkeeper[postgres]'") from None
        return PostgresStore(url, entropy=entropy, new_pepper=new_pepper, bodies=bodies)
    from swarmkeeper.storage.sqlite.store import SqliteStore

    return SqliteStore(url, entropy=entropy, inline=inline, new_pepper=new_pepper, bodies=bodies)
