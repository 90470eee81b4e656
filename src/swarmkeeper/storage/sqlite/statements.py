"""Reads files of named SQL statements. Each starts with `-- name: x`, followed by its comment and SQL.

Placeholders insert a table's columns, which are defined once in rows.py:

    {task.*}    task.id, task.tenant, …     to select a row
    {task}      id, tenant, …               to insert one
    {:task}     :id, :tenant, …             its values
    {task=}     status = :status, …         to update the columns that may change
    {task~}     status = :status, …         to update only the hot columns: SQLite checks every column that is set

A statement that takes whole rows gets numbered parameters in column order, so that insert and update take the same
tuple. The table's `beside` columns come after those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_NAME = re.compile(r"^-- name: *(\w+)[ ]*$", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*$", re.MULTILINE)
_COLUMNS = re.compile(r"\{(:?)(\w+)(\.\*|=|~|)\}")
_PARAMETER = re.compile(r"(?<![\w:]):([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table's columns in row order. The first ones never change after the insert.

    Updates leave those out, so that they touch no index on them.
    """

    name: str
    fixed: tuple[str, ...]
    changing: tuple[str, ...] = ()
    hot: tuple[str, ...] = ()  # the changing columns that nearly every update changes
    beside: tuple[str, ...] = ()  # columns that are no part of the record: statements name them

    @property
    def columns(self) -> tuple[str, ...]:
        return self.fixed + self.changing


def read(file: str, tables: Mapping[str, Table]) -> dict[str, str]:
    """Return the statements of a file in this folder by name, with placeholders replaced."""
    parts = _NAME.split(files(__package__).joinpath(file).read_text("utf-8"))
    found: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        assert name not in found, f"{file} has two statements named {name}"
        found[name] = _filled(_COMMENT.sub("", text).strip().removesuffix(";"), tables)
    return found


def _filled(sql: str, tables: Mapping[str, Table]) -> str:
    whole_row: list[Table] = []

    def columns(match: re.Match[str]) -> str:
        values, table, form = match[1] == ":", tables[match[2]], match[3]
        if form == ".*":
            return ", ".join(f"{table.name}.{column}" for column in table.columns)
        if form in ("=", "~"):
            whole_row.append(table)
            changed = table.changing if form == "=" else table.hot
            return ", ".join(f"{column} = :{column}" for column in changed)
        if values:
            whole_row.append(table)
        return ", ".join((":" if values else "") + column for column in table.columns)

    sql = _COLUMNS.sub(columns, sql)
    if not whole_row:
        return sql
    numbers = {column: number for number, column in enumerate(whole_row[0].columns + whole_row[0].beside, 1)}
    return _PARAMETER.sub(lambda match: f"?{numbers[match[1]]}", sql)
