"""Reads the numbered SQL files that make and change a store's schema, and compares them with the applied ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from swarmkeeper.core.ports import Entropy
from swarmkeeper.storage.refusals import SchemaAltered, SchemaNewer

# Secrets of 32 bytes that each store draws for itself, by their names in `meta`: for digests of keys and tags, and for
# cursors. They are copied with the store, and shown to nobody.
OWN_KEYS = ("pepper", "cursor_key")
_KEY_BYTES = 32
_RUNS_FROM = re.compile(r"^-- runs from: schema ([0-9]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def runs_from(self) -> int:
        """Return the oldest schema whose versions of swarmkeeper work with this one: by default no older one.

        The file says it in a line `-- runs from: schema 3`, if all that it does is to add what older versions need not
        know: tables, indexes, columns that may be NULL or have a default.
        """
        said = _RUNS_FROM.search(self.sql)
        return self.number if said is None else int(said[1])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def drawn(entropy: Entropy | None) -> dict[str, bytes] | None:
    """Draw the keys of a new store; None without a source: the database draws them.

    They are drawn at once, so that another key does not change what a simulation draws afterwards.
    """
    if entropy is None:
        return None
    both = entropy.secret(_KEY_BYTES * len(OWN_KEYS))
    return {key: both[at * _KEY_BYTES : (at + 1) * _KEY_BYTES] for at, key in enumerate(OWN_KEYS)}


def known(package: str) -> list[Migration]:
    """Return this version's migrations of the store in that package, in order."""
    return list(_read(package))


@cache
def _read(package: str) -> tuple[Migration, ...]:
    """Read the files once: a process may open thousands of stores, as tests and simulations do."""
    found = [
        Migration(int(file.name[:4]), file.name.removesuffix(".sql"), file.read_text("utf-8"))
        for file in files(package).joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda migration: migration.number))


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that a store records."""

    number: int
    name: str
    sha256: str
    runs_from: int | None = None  # None: recorded before there was such a number


def missing(applied: Sequence[Applied], migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations that were not applied yet; `applied` are those that were, in order.

    Raises:
        SchemaNewer, SchemaAltered: it is another version's store.
    """
    last = migrations[-1].number
    for later in applied[len(migrations) :]:
        least = later.runs_from or later.number
        if least > last:
            raise SchemaNewer(
                f"this store has schema {applied[-1].number} for versions that know {least}, this version knows up to "
                f"{last}: use the version of swarmkeeper that made it, or a later one"
            )
    for done, migration in zip(applied, migrations, strict=False):
        if (done.number, done.sha256) != (migration.number, migration.sha256):
            raise SchemaAltered(
                f"migration {done.name} of this store differs from this version's {migration.name}: "
                "use the version of swarmkeeper that made it"
            )
    return list(migrations[len(applied) :])
