"""Loads and saves of kills, by the statements of kills.sql. Generators, as in retention.py."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.storage import rows

LOOKUPS = frozenset({"kills", "kill", "killed_leases"})


def load(wanted: Mapping[str, Iterable[Any]]) -> Generator[tuple[str, Mapping[str, Any]], list[Any], dict[Key, Any]]:
    """Return the rows of the lookups of kills among `wanted`, which has the keys by lookup."""
    found: dict[Key, Any] = {}
    for tenant in wanted.get("kills", ()):
        got = yield "load_kills", {"tenant": tenant}
        found["kills", tenant] = list(map(rows.KILL.from_row, got))
    for name in wanted.get("kill", ()):
        got = yield "load_kill", {"id": name}
        found["kill", name] = rows.KILL.from_row(got[0]) if got else None
    for tenant, kind, name, n in wanted.get("killed_leases", ()):
        got = yield f"leases_of_killed_{kind}", {"tenant": tenant, "name": name, "n": n}
        found["killed_leases", (tenant, kind, name, n)] = [row[0] for row in got]
    return found


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], None]:
    """Write and remove kills."""
    for name, kill in changes.kills.items():
        if kill is None:
            yield "delete_kill", {"id": name}
        else:
            yield "put_kill", asdict(kill)
