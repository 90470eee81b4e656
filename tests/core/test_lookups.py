"""The store can load every kind of lookup, and has no other loaders."""

from __future__ import annotations

from swarmkeeper.core import lookups
from swarmkeeper.core.decide.working_set import VOLATILE
from swarmkeeper.core.lookups import Lookup
from swarmkeeper.storage.sqlite import transaction

ALL = [value for value in vars(lookups).values() if isinstance(value, Lookup)]


def test_the_store_has_a_loader_for_each_lookup() -> None:
    assert sorted(ALL) == sorted([*transaction._GATHER, *transaction._BY_KEY])


def test_a_lookup_is_named_by_its_word() -> None:
    assert {name: str(value) for name, value in vars(lookups).items() if isinstance(value, Lookup)} == {
        lookup.upper(): str(lookup) for lookup in ALL
    }


def test_volatile_rows_are_lookups() -> None:
    assert set(ALL) > VOLATILE
