"""Hashes the rows that a batch has written, and puts the hashes into its audit records; see core/decide/anchors.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from swarmkeeper.core.decide.anchors import PAYLOAD, TABLES, Anchored, row_of
from swarmkeeper.core.model import AuditEntry


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be hashed")


_encode = msgspec.json.Encoder(enc_hook=_plain, order="deterministic").encode


def hash_of(table: str, record: Any) -> str:
    """Return the hash of what counts of a row, in hexadecimal.

    Args:
        record: of the class in `TABLES`; for a payload, the pair of task id and body.
    """
    if table == PAYLOAD:
        task, body = record
        return sha256(b"%s %s" % (task.encode(), body)).hexdigest()
    return sha256(_encode(TABLES[type(record)].values(record))).hexdigest()


def attach(entries: Sequence[AuditEntry], anchored: Anchored, new: Callable[[str, str], AuditEntry]) -> None:
    """Put the hashes of the written rows into records of the same task, or of none.

    A record loses its body when its task is erased, and only then may the hashes go, too.

    Args:
        new: makes a further record, for a tenant and a task that have none in this batch.
    """
    if not anchored:
        return
    of_task = {entry.task_id: entry for entry in entries if entry.task_id is not None}
    of_tenant = {entry.tenant: entry for entry in entries if entry.task_id is None}
    tenants: dict[str, str] = {}
    written = []
    for name, kept in anchored.items():
        row = row_of(kept)
        written.append((name, row))
        if row.task and row.tenant is not None:
            tenants[row.task] = row.tenant
    rows: dict[str, dict[str, dict[str, str | None]]] = {}
    for (table, key), (tenant, task, record) in written:
        entry = of_task.get(task) if task else None
        if entry is None:
            # A queue belongs to all tenants.
            whose = tenant or (tenants.get(task) if task else entries[0].tenant)
            assert whose is not None, f"a row of {table} has a tenant"
            entry = None if task else of_tenant.get(whose)
            if entry is None:
                entry = new(whose, task)
                (of_task if task else of_tenant)[task or whose] = entry
        if entry.id not in rows:
            entry.rows = rows[entry.id] = {}
        own = rows[entry.id]
        if task not in own:
            own[task] = {}
        own[task][f"{table} {key}"] = None if record is None else hash_of(table, record)
