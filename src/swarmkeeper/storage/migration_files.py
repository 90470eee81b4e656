"""Reads the numbered SQL files that make and change a store's schema, and compares them with the applied ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from swarmkeeper.storage.refusals import SchemaAltered, SchemaNewer


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known(package: str) -> list[Migration]:
    """Return this version's migrations of the store in that package, in order."""
    found = [
        Migration(int(file.name[:4]), file.name.removesuffix(".sql"), file.read_text("utf-8"))
        for file in files(package).joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found, key=lambda migration: migration.number)


def missing(applied: Sequence[tuple[int, str, str]], migrations: Sequence[Migration]) -> list[Migration]:
    """Return the migrations that were not applied yet.

    Args:
        applied: number, name and hash of each that was, in order.

    Raises:
        SchemaNewer, SchemaAltered: it is another version's store.
    """
    if len(applied) > len(migrations):
        raise SchemaNewer(
            f"this store has schema {applied[-1][0]}, this version knows up to {migrations[-1].number}: "
            "use the version of swarmkeeper that made it, or a later one"
        )
    for (number, name, sha256), migration in zip(applied, migrations, strict=False):
        if (number, sha256) != (migration.number, migration.sha256):
            raise SchemaAltered(
                f"migration {name} of this store differs from this version's {migration.name}: "
                "use the version of swarmkeeper that made it"
            )
    return list(migrations[len(applied) :])
