"""The store can load every kind of lookup, and has no other loaders."""

from __future__ import annotations

from swarmkeeper.core import lookups
from swarmkeeper.core.decide.working_set import VOLATILE
from swarmkeeper.core.erasure import lookups as of_erasures
from swarmkeeper.core.lookups import Lookup
from swarmkeeper.core.operations import lookups as of_operations
from swarmkeeper.core.persons import lookups as of_persons
from swarmkeeper.core.secrets import lookups as of_secrets
from swarmkeeper.storage import operations, persons, retention, secrets
from swarmkeeper.storage.at_rest import erasing
from swarmkeeper.storage.derived import saving
from swarmkeeper.storage.postgres import loading as of_postgres
from swarmkeeper.storage.sqlite import loading

PLACES = {**vars(lookups), **vars(of_secrets), **vars(of_persons), **vars(of_erasures), **vars(of_operations)}
ALL = [value for value in PLACES.values() if isinstance(value, Lookup)]


def test_the_store_has_a_loader_for_each_lookup() -> None:
    own = ["tree"]  # heads of audit trees, which the SQLite store itself appends to
    apart = [
        *retention.LOOKUPS,
        *secrets.LOOKUPS,
        *persons.LOOKUPS,
        *erasing.LOOKUPS,
        *saving.LOOKUPS,
        *operations.LOOKUPS,
    ]

    assert sorted([*ALL, *own]) == sorted([*loading.GATHER, *loading.BY_KEY, *apart])
    assert sorted(ALL) == sorted([*of_postgres.GATHER, *of_postgres.BY_KEY, *apart])


def test_a_lookup_is_named_by_its_word() -> None:
    assert {name: str(value) for name, value in PLACES.items() if isinstance(value, Lookup)} == {
        lookup.upper(): str(lookup) for lookup in ALL
    }


def test_volatile_rows_are_lookups() -> None:
    assert set(ALL) > VOLATILE
