"""Loads and saves of secrets, by the statements of secrets.sql. Generators, as in retention.py."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import fields
from typing import Any

from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.core.secrets.records import (
    Forgotten,
    LeaseSecrets,
    ReleasedValue,
    Sealed,
    SealedAgain,
    SecretRecord,
    SecretUse,
    SecretVersion,
)

LOOKUPS = frozenset({"secret", "secret_released", "secret_use", "secret_lease"})
# The key columns of each table, in the order of a `RowKey`.
KEYS: Mapping[str, tuple[str, ...]] = {
    "secret": ("tenant", "name", "version"),
    "secret_released": ("tenant", "name", "tag"),
    "secret_use": ("tenant", "name"),
    "secret_lease": ("lease_id",),
    "secret_loan": ("id",),
}


def load(wanted: Mapping[str, Iterable[Any]]) -> Generator[tuple[str, Mapping[str, Any]], list[Any], dict[Key, Any]]:
    """Return the rows of the lookups of secrets among `wanted`, which has the keys by lookup."""
    found: dict[Key, Any] = {}
    for tenant, name in wanted.get("secret", ()):
        got = yield "load_secret", {"tenant": tenant, "name": name}
        found["secret", (tenant, name)] = [
            SecretVersion(tenant, name, version, Sealed(*sealed), at, by) for version, *sealed, at, by in got
        ]
    for tenant, name, tag in wanted.get("secret_released", ()):
        key = tenant, name, tag
        got = yield "load_secret_released", {"tenant": tenant, "name": name, "tag": tag}
        found["secret_released", key] = None
        for version, source, key_id, nonce, body, *seen in got:
            sealed_value = Sealed(key_id, nonce, body)
            found["secret_released", key] = ReleasedValue(tenant, name, tag, version, source, sealed_value, *seen)
    for tenant, name in wanted.get("secret_use", ()):
        got = yield "load_secret_use", {"tenant": tenant, "name": name}
        found["secret_use", (tenant, name)] = SecretUse(tenant, name, *got[0]) if got else None
    for lease_id in wanted.get("secret_lease", ()):
        got = yield "load_secret_lease", {"lease_id": lease_id}
        found["secret_lease", lease_id] = LeaseSecrets(lease_id, *got[0]) if got else None
    return found


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    """Write and remove rows of secrets. A key ends with a text for each column; a version is a number."""
    for (table, *key), row in changes.secret_rows.items():
        named: dict[str, Any] = dict(zip(KEYS[table], key, strict=True))
        if table == "secret":
            named["version"] = int(named["version"])
        if row is None:
            yield f"delete_{table}", named
        elif isinstance(row, Forgotten):
            yield "forget_released", {**named, "before": row.before}
        elif isinstance(row, SealedAgain):
            yield (
                f"seal_{table}",
                {**named, **_sealed(row.sealed), "old": row.before.key_id, "old_nonce": row.before.nonce},
            )
        else:
            yield f"put_{table}", _columns(row)


def _columns(row: SecretRecord) -> dict[str, Any]:
    columns = {field.name: getattr(row, field.name) for field in fields(row)}
    sealed: Sealed | None = columns.pop("sealed", None)
    if sealed is not None:
        columns |= _sealed(sealed)
    return columns


def _sealed(sealed: Sealed) -> dict[str, Any]:
    return {"key_id": sealed.key_id, "nonce": sealed.nonce, "sealed": sealed.body}
