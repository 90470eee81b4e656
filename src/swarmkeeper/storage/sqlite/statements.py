"""Reads files of named statements. Each starts with `-- name: x`; what follows up to the next is its comment and SQL.

So that a table's columns are written once (rows.py), a statement may say

    {task.*}    task.id, task.tenant, …     to select a row
    {task}      id, tenant, …               to insert one
    {:task}     :id, :tenant, …             its values
    {task=}     status = :status, …         to change what may change in it
    {task~}     the same, of the few columns that change all the time: SQLite checks what is set, changed or not

and a statement that takes whole rows has its parameters numbered in the order of the columns, so that one tuple serves
insert and update alike.
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
    """A table's columns in the order of its rows in Python: first those that never change after the insert.

    They are left out of updates, so that an update touches no index on them.
    """

    name: str
    fixed: tuple[str, ...]
    changing: tuple[str, ...] = ()
    hot: tuple[str, ...] = ()  # of those that change, the ones that nearly every step of a life does

    @property
    def columns(self) -> tuple[str, ...]:
        return self.fixed + self.changing


def read(file: str, tables: Mapping[str, Table]) -> dict[str, str]:
    """The statements of a file beside this one, by name, with columns filled in."""
    parts = _NAME.split(files(__package__).joinpath(file).read_text("utf-8"))
    found: dict[str, str] = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        assert name not in found, f"two statements of {file} are called {name}"
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
    place = {column: number for number, column in enumerate(whole_row[0].columns, 1)}
    return _PARAMETER.sub(lambda match: f"?{place[match[1]]}", sql)
