"""PostgreSQL's words for what the shared statements leave open (see storage/statements.py).

A statement of writes.sql is executed once for all its rows. They arrive as a table `given`: as one JSON document, or as
one array for each column if a column holds bytes, which JSON cannot. A document takes half of the client's time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from swarmkeeper.storage import rows
from swarmkeeper.storage.statements import PARAMETER, Dialect, texts

POSTGRES = Dialect(
    package=__package__,
    macros={
        "each": "json_array_elements_text(CAST({0} AS json))",
        "numbers": "(SELECT CAST(value AS bigint) AS value FROM json_array_elements_text(CAST({0} AS json)))",
        "pairs": "json_array_elements(CAST({0} AS json))",
        "members": "json_each_text(CAST({0} AS json))",
        "json": "CAST({0} AS json)",
        "bytes": "convert_to({0}, 'UTF8')",
        "text": "CAST({0} AS text)",
        "valid": "({0} IS JSON)",
        "by": "",
        "free": "AND pg_try_advisory_xact_lock(hashtextextended('task/' || {0}, 0))",
        "locked": "\n   FOR UPDATE",
        "greatest": "greatest",
        "least": "least",
        "size": "(length({0}.body) - 64 * {0}.sealed)",
        "find": "strpos",
        "seq": "seq",
    },
    # In SQLite, CROSS JOIN also means that the tables are read in this order, and takes a condition.
    regular=((r"CROSS JOIN(?= (?:\w+|\w+ AS \w+)\s+ON\b)", "JOIN"),),
)

# Parameters of statements for many rows that are no columns of a record, and their types.
_BESIDE: Mapping[str, str] = {
    "start_due": "bigint",
    "seq": "bigint",
    "outbox": "bigint",
    "expire_put_off": "bigint",
    "end_put_off": "bigint",
    "weight": "bigint",
    "max_backlog": "bigint",
    "budget": "text",
    "opened": "bigint",
    "opened_subtasks": "bigint",
    "stored": "bigint",
    "id": "text",
    "key": "text",
    "value": "bigint",
    "at": "bigint",
}
_KEY_OF_COST = dict.fromkeys(("tenant", "part", "name", "party"), "text") | {"day": "bigint", "week": "bigint"}
_AMOUNTS = dict.fromkeys(("cost_micro_usd", "tokens", "unpriced_tokens", "attempts"), "bigint")
_TALLIES: Mapping[str, dict[str, str]] = {
    "task_count": dict.fromkeys(("tenant", "party", "status", "outcome"), "text")
    | {"week": "bigint", "number": "bigint"},
    "label_count": dict.fromkeys(("tenant", "key", "value", "party"), "text") | {"week": "bigint", "number": "bigint"},
    "cost": _KEY_OF_COST | _AMOUNTS,
    "cost_span": _KEY_OF_COST | _AMOUNTS,
    "task_label": {"tenant": "text", "label": "text", "created_at": "bigint", "task": "text"},
}
_TARGET = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")
_VALUES = re.compile(r"\bVALUES \((.*?)\)(?=\s*(?:ON CONFLICT|$))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with numbered parameters."""

    sql: str
    parameters: tuple[str, ...]  # in order of their numbers

    def arguments(self, given: Mapping[str, Any]) -> list[Any]:
        return [given[name] for name in self.parameters]


@dataclass(frozen=True, slots=True)
class RowStatement:
    """A statement for many rows. Its parameters, `$1` and so on, are what `encode` makes of the rows."""

    sql: str
    columns: tuple[str, ...]  # what a row holds
    parameters: int
    encode: Callable[[Sequence[rows.Row]], list[Any]]


def read(*files: str) -> dict[str, Statement]:
    """Return the statements of shared files by name."""
    return {name: numbered(text.sql) for file in files for name, text in texts(file, rows.TABLES, POSTGRES).items()}


def read_only_here() -> dict[str, Statement]:
    """Return the statements that no other store has, by name."""
    return {name: numbered(text.sql) for name, text in texts("only.sql", rows.TABLES, POSTGRES, __package__).items()}


def numbered(sql: str) -> Statement:
    """Return a statement with `$1` and so on in place of `:name`."""
    names = tuple(dict.fromkeys(PARAMETER.findall(sql)))
    numbers = {name: number for number, name in enumerate(names, 1)}
    return Statement(PARAMETER.sub(lambda match: f"${numbers[match[1]]}", sql), names)


def read_row_statements() -> dict[str, RowStatement]:
    """Return the statements for many rows by name, with those that no other store has."""
    types = {records.table.name: records.column_types() for records in rows.RECORDS}
    types[rows.PAYLOAD.name] = {"id": "text", "task": "text", "body": "bytea", "sealed": "bigint"}
    types["data_key"] = dict.fromkeys(("id", "tenant", "key_id"), "text") | {"nonce": "bytea", "wrapped": "bytea"}
    types |= _TALLIES
    found = {**texts("writes.sql", rows.TABLES, POSTGRES), **texts("only_rows.sql", rows.TABLES, POSTGRES, __package__)}
    # A statement for hot columns takes only the columns that it names.
    return {name: _for_many(text.sql, () if name.endswith("_hot") else text.row, types) for name, text in found.items()}


def _for_many(sql: str, row: tuple[str, ...], types: Mapping[str, Mapping[str, str]]) -> RowStatement:
    target = _TARGET.search(sql)
    assert target is not None, f"this statement writes no rows: {sql}"
    own = types.get(target[1], {})
    columns = row or tuple(dict.fromkeys(PARAMETER.findall(sql)))
    typed = {column: own.get(column) or _BESIDE[column] for column in columns}
    as_arrays = "bytea" in typed.values()
    given = _arrays(typed) if as_arrays else _document(typed)
    return RowStatement(
        sql=_with_given(sql, given),
        columns=columns,
        parameters=len(columns) if as_arrays else 1,
        encode=_columns_of if as_arrays else _encoder(columns),
    )


def _document(typed: Mapping[str, str]) -> str:
    columns = ", ".join(f"{column} {kind}" for column, kind in typed.items())
    return f"json_to_recordset($1) AS given ({columns})"


def _arrays(typed: Mapping[str, str]) -> str:
    arrays = ", ".join(f"CAST(${number} AS {kind}[])" for number, kind in enumerate(typed.values(), 1))
    return f"unnest({arrays}) AS given ({', '.join(typed)})"


def _with_given(sql: str, given: str) -> str:
    """Return the statement with `given` as the source of its parameters."""
    if sql.startswith("INSERT"):
        sql, is_found = _VALUES.subn(lambda match: f"SELECT {match[1]} FROM {given}", sql, count=1)
        if not is_found:
            sql = sql.replace(" FROM ", f" FROM {given}, ", 1)
    elif " USING " in sql:
        sql = sql.replace(" USING ", f" USING {given}, ", 1)
    else:
        source = "USING" if sql.startswith("DELETE") else "FROM"
        sql = sql.replace("WHERE", f"{source} {given} WHERE", 1)
    return PARAMETER.sub(r"given.\1", sql)


_encode_json = msgspec.json.Encoder().encode


def _encoder(columns: tuple[str, ...]) -> Callable[[Sequence[rows.Row]], list[Any]]:
    """Return the function that writes rows as one JSON document.

    Each row becomes an object of a class with these columns: dictionaries would take four times as long.
    """
    row_of = msgspec.defstruct("Row", [(column, Any) for column in columns], gc=False)

    def encoded(many: Sequence[rows.Row]) -> list[Any]:
        return [_encode_json([row_of(*row) for row in many]).decode()]

    return encoded


def _columns_of(many: Sequence[rows.Row]) -> list[Any]:
    """Return the rows as one list for each column."""
    return [list(column) for column in zip(*many, strict=True)]
