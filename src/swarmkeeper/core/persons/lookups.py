"""The kinds of rows of persons that a store can load; see core/lookups.py."""

from __future__ import annotations

from swarmkeeper.core.lookups import Lookup
from swarmkeeper.core.persons.records import PersonRecord

# By id.
PERSON: Lookup[str, PersonRecord | None] = Lookup("person")
# (tenant, name) -> id
PERSON_NAME: Lookup[tuple[str, str], str | None] = Lookup("person_name")
# (tenant, id) -> ids of the person's keys that are not revoked
KEYS_OF_PERSON: Lookup[tuple[str, str], list[str]] = Lookup("keys_of_person")
