"""Loads and saves of retention, by the statements of retention.sql: legal holds, and the rows that are erased.

They are generators: they yield the name and the parameters of a statement, and get its rows. So a store that waits for
its database, and one that does not, share them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from swarmkeeper.core.ports import Changes, Key
from swarmkeeper.core.retention import ERASING_ACTIONS, LegalHoldRecord, TaskPart
from swarmkeeper.storage import rows

_OWN_ACTIONS = json.dumps(ERASING_ACTIONS)
LOOKUPS = frozenset({"legal_hold", "task_part", "records_of_task", "newest_record", "audit_begin", "rows_of_tenant"})
_OF_TENANT: Mapping[str, Callable[[Any], Any]] = {
    "load_tenant_row": rows.tenant,
    "load_keys_of_tenant": rows.API_KEY.from_row,
    "load_bots_of_tenant": rows.BOT.from_row,
    "load_rates_of_tenant": rows.WORK_RATE.from_row,
    "load_kills_of_tenant": rows.KILL.from_row,
    "load_persons_of_tenant": rows.PERSON.from_row,
    "load_operations_of_tenant": rows.OPERATION.from_row,
    "load_erased_keys_of_tenant": rows.ERASED_KEY.from_row,
}


def load(
    wanted: Mapping[str, Iterable[Any]],
) -> Generator[tuple[str, Mapping[str, Any]], list[Any], dict[Key, Any]]:
    """Return the rows of retention's own lookups among `wanted`, which has the keys by lookup."""
    found: dict[Key, Any] = {}
    for tenant, task in wanted.get("legal_hold", ()):
        got = yield "load_legal_hold", {"tenant": tenant, "task": task}
        found["legal_hold", (tenant, task)] = LegalHoldRecord(*got[0]) if got else None
    for task, after, n in wanted.get("task_part", ()):
        got = yield "load_task_part", {"task": task, "after": after, "n": n}
        works = tuple(row[0] for row in got)
        owners = works if len(works) == n else (*works, task)
        [[stored]] = yield "stored_of", {"owners": json.dumps(owners)}
        found["task_part", (task, after, n)] = TaskPart(works, int(stored))
    for task, place, n in wanted.get("records_of_task", ()):
        got = yield "load_records_of_task", {"task": task, "after": place, "n": n, "own": _OWN_ACTIONS}
        found["records_of_task", (task, place, n)] = [row[0] for row in got]
    for task in wanted.get("newest_record", ()):
        [[at]] = yield "load_newest_record", {"task": task}
        found["newest_record", task] = at
    for tenant in wanted.get("audit_begin", ()):
        [[begin]] = yield "load_audit_begin", {"tenant": tenant}
        found["audit_begin", tenant] = begin
    for tenant in wanted.get("rows_of_tenant", ()):
        own: list[Any] = []
        for statement, record in _OF_TENANT.items():
            own += map(record, (yield statement, {"tenant": tenant}))
        found["rows_of_tenant", tenant] = own
    return found


def save(changes: Changes) -> Generator[tuple[str, Mapping[str, Any]], list[Any], list[str]]:
    """Write legal holds and erase rows; return the ids of the payloads that were erased."""
    for (tenant, task), hold in changes.legal_holds.items():
        if hold is None:
            yield "delete_legal_hold", {"tenant": tenant, "task": task}
        else:
            yield "put_legal_hold", asdict(hold)
    gone: list[str] = []
    for statement, parameters in changes.erased:
        plain = {
            name: json.dumps(value) if isinstance(value, (list, tuple)) else value for name, value in parameters.items()
        }
        got = yield statement, plain
        gone += [row[0] for row in got]
    return gone
