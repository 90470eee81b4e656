"""Loads and saves of erasures by key, by the statements of erasures.sql. Generators, as in storage/retention.py."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from swarmkeeper.core.erasure.records import AtRest
from swarmkeeper.core.ports import Changes, Key

LOOKUPS = frozenset({"at_rest", "erased_at"})
WHOLE = "all_sealed"  # in `meta`: the store has no plain body


def load(wanted: Mapping[str, Iterable[Any]]) -> Generator[tuple[str, Mapping[str, Any]], list[Any], dict[Key, Any]]:
    """Return the rows of the lookups of erasures among `wanted`, which has the keys by lookup."""
    found: dict[Key, Any] = {}
    for tenant in wanted.get("at_rest", ()):
        keys = yield "load_data_keys_of", {"tenant": tenant}
        whole = yield "meta", {"key": WHOLE}
        [[busy, held, changed_at, erased_at, used]] = yield "load_at_rest", {"tenant": tenant}
        found["at_rest", tenant] = AtRest(
            tuple(row[0] for row in keys), bool(whole), bool(busy), bool(held), changed_at, erased_at, bool(used)
        )
    for tenant in wanted.get("erased_at", ()):
        [[erased_at]] = yield "load_erased_at", {"tenant": tenant}
        found["erased_at", tenant] = erased_at
    return found


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    """Destroy data keys."""
    for key, record in changes.erased_keys.items():
        yield "delete_data_key", {"id": key}
        yield "insert_erased_key", asdict(record)
