"""Loads and saves of persons and of sessions, by the statements of persons.sql. Generators, as in retention.py."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.storage import rows

LOOKUPS = frozenset({"person", "person_name", "keys_of_person"})


def load(wanted: Mapping[str, Iterable[Any]]) -> Generator[tuple[str, Mapping[str, Any]], list[Any], dict[Key, Any]]:
    """Return the rows of the lookups of persons among `wanted`, which has the keys by lookup."""
    found: dict[Key, Any] = {}
    for person in wanted.get("person", ()):
        got = yield "load_person", {"id": person}
        found["person", person] = rows.PERSON.from_row(got[0]) if got else None
    for tenant, name in wanted.get("person_name", ()):
        got = yield "load_person_name", {"tenant": tenant, "name": name}
        found["person_name", (tenant, name)] = got[0][0] if got else None
    for tenant, person in wanted.get("keys_of_person", ()):
        got = yield "load_keys_of_person", {"tenant": tenant, "person": person}
        found["keys_of_person", (tenant, person)] = [row[0] for row in got]
    return found


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    """Write persons and sessions."""
    for person in changes.persons.values():
        yield "put_person", asdict(person)
    for step in changes.sessions:  # a list cannot be sent the rows of each
        yield step[0], step[1]
