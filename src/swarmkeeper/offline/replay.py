"""Replays the audit log against the rows: finds rows that were changed, inserted or removed by other means.

Theory. Audit records hold hashes of the rows that their commits wrote (core/decide/anchors.py). The last hash of each
row is what the row must have now. Both sides, millions of them, are put into a temporary database on disk and joined
there, so memory stays bounded. A record whose body was erased says nothing any more; nothing is left of its task,
either. If it was erased with the data key of its tenant, rows of its task may be left for a while, and count as older
than what the log tells; the record of that erasure has the hashes of the tenant's other rows.

Versions before 0.4.0 wrote no hashes. Rows from that time that were not changed since are counted as not anchored. The
same holds for rows of no task whose records have left the log. Which rows are that old is told by the times in the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from swarmkeeper.core.decide.anchors import PAYLOAD, TABLES, AnchoredTable, is_passing
from swarmkeeper.core.model import Tenant
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.operations.records import ItemRow, OperationRecord, hash_of_items
from swarmkeeper.core.ports import Read, Reader
from swarmkeeper.core.retention import ERASE
from swarmkeeper.govern import audit
from swarmkeeper.govern.anchors import hash_of
from swarmkeeper.reads.audit_queries import text_of

PAGE = 500
# A body may have a megabyte. While they are small, pages grow.
PAYLOADS_MIN, PAYLOADS_MAX = 20, 200
SMALL_PAGE = 200_000  # bytes
SHOWN = 20
CACHE_KIBIBYTES = 65_536
NEVER = 1 << 62

_ROWS: dict[type[Any], Read[Any]] = {
    kind: Read(f"doctor_rows_{table.name}", kind, "after", "behind", "n") for kind, table in TABLES.items()
}


class OwnedItemRow(NamedTuple):
    operation: str
    place: int
    task: str
    outcome: str | None
    code: str | None
    detail: str | None
    slice: int | None


_ITEMS_OF_ALL = Read("doctor_operation_items", OwnedItemRow, "after", "place", "n")


@dataclass(frozen=True, slots=True)
class RowMismatch:
    """A row that is not as the audit log says."""

    tenant: str | None
    table: str
    key: str
    index: int | None  # of the record that has the row's last hash
    reason: str

    def __str__(self) -> str:
        by = "" if self.index is None else f" (record {self.index})"
        whose = "" if self.tenant is None else f"tenant {self.tenant}: "
        return f"{whose}{self.table} {self.key}: {self.reason}{by}"


@dataclass(slots=True)
class Replay:
    """Args: `mismatches` are the first ones, at most SHOWN for each reason."""

    mismatches: list[RowMismatch] = field(default_factory=list)
    anchored: int = 0  # rows that are as the log says
    unanchored: dict[str, int] = field(default_factory=dict)  # by table: rows older than what the log tells


async def replay(store: Reader) -> Replay:
    """Compare all rows that are evidence with the audit log. Nothing may be written meanwhile: give a snapshot."""
    with _ledger() as ledger:
        found = Replay()
        for row in await store.read("audit_tenants", {}):
            await _read_log(store, ledger, row["tenant"], found)
        for row in await store.read("doctor_erasing", {"erase": ERASE}):
            ledger.execute("INSERT OR IGNORE INTO erasing VALUES (?)", (row["task"],))
        for kind, table in TABLES.items():
            await _read_rows(store, ledger, kind, table, found)
        await _read_payloads(store, ledger, found)
        await _read_operation_items(store, ledger, found)
        _compare(ledger, found)
        return found


# ---- the two sides ---------------------------------------------------------------------------------------------------

_SCHEMA = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -{CACHE_KIBIBYTES};
CREATE TABLE anchor (kind, key, hash, tenant, place, task, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE kept (kind, key, hash, tenant, task, at, usual, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE erased (task PRIMARY KEY, tenant, place) WITHOUT ROWID;
-- Hashes of the tasks of operations: those that the operations name, and those of the rows.
CREATE TABLE listed (operation PRIMARY KEY, tenant, hash) WITHOUT ROWID;
CREATE TABLE items (operation PRIMARY KEY, hash) WITHOUT ROWID;
CREATE TABLE erasing (task PRIMARY KEY) WITHOUT ROWID;
-- From which time on rows of a tenant have hashes; of rows of tasks, and of others.
-- And the index of the last record that says that the store's clock was set back; -1 if there is none.
CREATE TABLE log (tenant PRIMARY KEY, tasks_since, others_since, set_back) WITHOUT ROWID;
"""


_TWICE = "ON CONFLICT DO UPDATE SET hash = 'two rows have this key'"


@contextmanager
def _ledger() -> Iterator[sqlite3.Connection]:
    ledger = sqlite3.connect("", isolation_level=None)  # a file that goes when it is closed
    try:
        ledger.executescript(_SCHEMA)
        ledger.execute("BEGIN")
        yield ledger
    finally:
        ledger.close()


async def _read_log(store: Reader, ledger: sqlite3.Connection, tenant: bytes, found: Replay) -> None:
    name = _text(tenant)
    first_at: int | None = None
    old = old_others = -1  # the time of the last record that says nothing of rows; of rows of no task
    trim: audit.Trim | None = None
    set_back = -1
    unread = unread_others = -1  # the time of the last record whose data key was erased; before the last erasure
    async for page in _records(store, tenant):
        if first_at is None:
            first_at = page[0]["at"]
            old_others = first_at if page[0]["place"] else -1
        anchors: list[tuple[Any, ...]] = []
        for row in page:
            if row["action"] == _ERASE_BYTES and row["task"] is not None:
                told = (_text(row["task"]), name, row["place"])
                ledger.execute("INSERT OR IGNORE INTO erased VALUES (?, ?, ?)", told)
            if row["action"] == _RESET_BYTES:
                set_back = row["place"]
            if row["action"] == _TENANT_ERASE_BYTES and not audit.is_gone(row["body"]):
                old_others = -1  # it has the hashes of all rows of no task
                unread_others = -1
            if row["body"] is None:
                continue
            if audit.is_gone(row["body"]):
                unread = unread_others = row["at"]
                continue
            rows = audit.rows_of(row["body"])
            if rows is None:
                old = row["at"]
                continue
            if row["action"] == _TRIM_BYTES and (said := audit.trim_of(row["body"])) is not None:
                trim = said
            anchors += (
                (*_named(called), hashed, name, row["place"], task)
                for task, own in rows.items()
                for called, hashed in own.items()
            )
        ledger.executemany("INSERT OR REPLACE INTO anchor VALUES (?, ?, ?, ?, ?, ?)", anchors)
    if trim is not None:  # it has the hashes of all rows of no task
        old_others = -1
        began = await store.read("audit_log_start", {"tenant": tenant})
        if not began or (began[0]["size"], began[0]["at"]) != (trim.to, trim.at):
            reason = "it is not where a record says that the log begins"
            found.mismatches.append(RowMismatch(name, "audit_start", name, None, reason))
    since = (max(old, unread) + 1, max(old, old_others, unread_others) + 1)
    ledger.execute("INSERT INTO log VALUES (?, ?, ?, ?)", (name, *since, set_back))


_TENANT_ERASE_BYTES = audit.TENANT_ERASE.encode()
_ERASE_BYTES, _TRIM_BYTES, _RESET_BYTES = audit.TASK_ERASE.encode(), audit.TRIM.encode(), b"clock.reset"


async def _records(store: Reader, tenant: bytes) -> AsyncIterator[list[Any]]:
    place = 0
    while page := await store.read("audit_records", {"tenant": tenant, "place": place, "size": NEVER, "n": PAGE}):
        yield page
        place = page[-1]["place"] + 1


def _named(called: str) -> tuple[str, str]:
    table, _, key = called.partition(" ")
    return table, key


def _text(kept: bytes) -> str:
    return _shown(text_of(kept))


def _shown(text: str) -> str:
    """Return text that the temporary database takes: invalid parts of it are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


_UNREADABLE = (UnicodeDecodeError, ValueError, LookupError, TypeError, msgspec.MsgspecError)


async def _read_rows(
    store: Reader, ledger: sqlite3.Connection, kind: type[Any], table: AnchoredTable, found: Replay
) -> None:
    after, behind = "", ""
    try:
        while page := await store.read(_ROWS[kind], {"after": after, "behind": behind, "n": PAGE}):
            _keep(ledger, table, page)
            if kind is OperationRecord:
                listed = [(row.id, row.tenant, row.items_hash) for row in page]
                ledger.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?)", listed)
            after, behind = ([str(getattr(page[-1], name)) for name in table.key[:2]] + [""])[:2]
            if table.key[1:2] == ("at",):  # pages of items, not of rows
                behind = ""
    except _UNREADABLE as error:
        found.mismatches.append(
            RowMismatch(None, table.name, f"after {after} {behind}".rstrip(), None, f"a row cannot be read: {error}")
        )


def _keep(ledger: sqlite3.Connection, table: AnchoredTable, page: Iterable[Any]) -> None:
    ledger.executemany(
        f"INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?, ?) {_TWICE}",
        [
            (
                table.name,
                table.key_of(record),
                hash_of(table.name, record),
                record.id if table.name == "tenant" else getattr(record, "tenant", None),
                table.task_of(record),
                getattr(record, table.at) if table.at else None,
                _is_usual(record),
            )
            for record in page
        ],
    )


def _is_usual(record: Any) -> bool:
    """Whether it is a tenant as one comes into being, with its first record, which does not tell of it."""
    return type(record) is Tenant and (record.weight, record.max_backlog, record.budget) == (1, None, None)


async def _read_payloads(store: Reader, ledger: sqlite3.Connection, found: Replay) -> None:
    after, asked = "", PAYLOADS_MIN
    try:
        while page := await store.read("doctor_rows_payload", {"after": after, "n": asked}):
            ledger.executemany(
                f"INSERT INTO kept VALUES (?, ?, ?, NULL, ?, NULL, FALSE) {_TWICE}",
                [
                    (PAYLOAD, row["id"], hash_of(PAYLOAD, (row["task"], row["body"])), row["task"])
                    for row in page
                    if not is_passing(row["id"])
                ],
            )
            after = page[-1]["id"]
            is_small = sum(len(row["body"] or b"") for row in page) < SMALL_PAGE
            asked = min(2 * asked, PAYLOADS_MAX) if is_small else PAYLOADS_MIN
    except _UNREADABLE as error:
        found.mismatches.append(RowMismatch(None, PAYLOAD, f"after {after}", None, f"a row cannot be read: {error}"))


async def _read_operation_items(store: Reader, ledger: sqlite3.Connection, found: Replay) -> None:
    """Read the tasks of operations. An operation has the hash of its tasks, and the log has that of the operation."""
    after, place = "", -1
    rows: list[ItemRow] = []  # of the operation `after`
    try:
        while page := await fetch(store, _ITEMS_OF_ALL, after=after, place=place, n=PAGE):
            for operation, own in groupby(page, key=lambda row: row.operation):
                if operation != after:
                    _keep_items(ledger, after, rows)
                    after, rows = operation, []
                rows += [ItemRow(*row[1:]) for row in own]
            place = page[-1].place
        _keep_items(ledger, after, rows)
    except _UNREADABLE as error:
        reason = f"a row cannot be read: {error}"
        found.mismatches.append(RowMismatch(None, "operation_item", f"after {after} {place}", None, reason))


def _keep_items(ledger: sqlite3.Connection, operation: str, rows: list[ItemRow]) -> None:
    if rows:
        ledger.execute("INSERT OR REPLACE INTO items VALUES (?, ?)", (operation, hash_of_items(rows)))


# ---- comparing -------------------------------------------------------------------------------------------------------

# Rows of a task that a record says is erased count as gone, unless its erasure is still in progress.
_GONE = "(SELECT task FROM erased)"
_GOING = "(SELECT erased.task FROM erased JOIN erasing USING (task))"
_DIFFERENT = f"""
SELECT kind, key, anchor.tenant, anchor.place, anchor.hash IS NULL
  FROM anchor JOIN kept USING (kind, key)
 WHERE anchor.hash IS NOT kept.hash AND anchor.task NOT IN {_GONE} AND kept.task NOT IN {_GONE}
"""
# Their keys have a time, which moves when the store's clock is set back.
_MOVED = "('feedback', 'answered')"
_MISSING = f"""
SELECT kind, key, anchor.tenant, anchor.place
  FROM anchor LEFT JOIN kept USING (kind, key) JOIN log ON log.tenant = anchor.tenant
 WHERE kept.kind IS NULL AND anchor.hash IS NOT NULL AND anchor.task NOT IN {_GONE}
       AND NOT (kind IN {_MOVED} AND anchor.place < log.set_back)
"""
_ERASED = f"""
SELECT kind, key, erased.tenant, erased.place FROM kept JOIN erased USING (task) WHERE kept.task NOT IN {_GOING}
"""
# A row that no record names: when it came into being, and since when rows like it are named.
_UNTOLD = f"""
WITH untold AS (
    SELECT kept.kind, kept.key, coalesce(kept.tenant, task.tenant) AS tenant, kept.task,
           coalesce(min(kept.at, coalesce(task.at, kept.at)), task.at) AS at
      FROM kept LEFT JOIN anchor USING (kind, key)
           LEFT JOIN kept AS task ON task.kind = 'task' AND task.key = kept.task AND kept.task <> ''
     WHERE anchor.kind IS NULL AND NOT (kept.usual AND kept.tenant IN (SELECT tenant FROM log))
           AND kept.task NOT IN {_GONE}
)
SELECT untold.kind, untold.key, untold.tenant,
       log.tenant IS NOT NULL AND untold.kind <> 'erased_key'
       AND coalesce(untold.at, 0) < CASE WHEN untold.task = '' THEN log.others_since ELSE log.tasks_since END
       OR untold.kind IN {_MOVED} AND log.set_back >= 0
       OR untold.kind = 'queue' AND EXISTS (SELECT 1 FROM log WHERE others_since > 0)
  FROM untold LEFT JOIN log ON log.tenant = untold.tenant
"""
_ITEMS = """
SELECT operation, tenant, items.hash IS NULL FROM listed LEFT JOIN items USING (operation)
 WHERE coalesce(items.hash, ?) <> listed.hash
UNION ALL
SELECT operation, NULL, FALSE FROM items WHERE operation NOT IN (SELECT operation FROM listed)
"""
_EQUAL = "SELECT count(*) FROM anchor JOIN kept USING (kind, key) WHERE anchor.hash = kept.hash"


def _compare(ledger: sqlite3.Connection, found: Replay) -> None:
    for table, key, tenant, place, is_removed in ledger.execute(f"{_DIFFERENT} ORDER BY place LIMIT {SHOWN}"):
        reason = "the log says that it was removed" if is_removed else "it differs from what the log says"
        found.mismatches.append(RowMismatch(tenant, table, key, place, reason))
    for table, key, tenant, place in ledger.execute(f"{_MISSING} ORDER BY place LIMIT {SHOWN}"):
        found.mismatches.append(RowMismatch(tenant, table, key, place, "it is missing"))
    for table, key, tenant, place in ledger.execute(f"{_ERASED} LIMIT {SHOWN}"):
        found.mismatches.append(RowMismatch(tenant, table, key, place, "the log says that its task was erased"))
    for key, tenant, are_missing in ledger.execute(f"{_ITEMS} LIMIT {SHOWN}", (hash_of_items(()),)):
        reason = "they are missing" if are_missing else "they differ from what the operation says"
        found.mismatches.append(RowMismatch(tenant, "operation_item", key, None, reason))
    inserted = 0
    for table, key, tenant, is_old in ledger.execute(_UNTOLD):
        if is_old:
            found.unanchored[table] = found.unanchored.get(table, 0) + 1
        elif (inserted := inserted + 1) <= SHOWN:
            found.mismatches.append(RowMismatch(tenant, table, key, None, "no record of the log tells of it"))
    [(found.anchored,)] = ledger.execute(_EQUAL)
