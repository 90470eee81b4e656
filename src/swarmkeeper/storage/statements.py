"""Reads files of named SQL statements, which are shared by all stores. Each starts with `-- name: x`, followed by its
comment and SQL.

Placeholders insert a table's columns, which are defined once in rows.py:

    {task.*}    task.id, task.tenant, …     to select a row
    {task}      id, tenant, …               to insert one
    {:task}     :id, :tenant, …             its values
    {task=}     status = :status, …         to update the columns that may change
    {task~}     status = :status, …         to update only the hot columns: SQLite checks every column that is set

Others stand for what the databases spell differently; each dialect has its own text for them:

    {each x}     the elements of a JSON list, as rows with the text `value`
    {numbers x}  the same for a list of integers
    {pairs x}    the same for a list of lists or objects, whose parts `value ->> …` returns
    {members x}  the members of a JSON object, as rows with `key` and the text `value`
    {json x}     a text with JSON, to take parts of it with `->` and `->>`
    {bytes x}    the bytes of a text
    {text x}     the text of some bytes
    {valid x}    whether a text is JSON
    {size x}     bytes of a body in the table payload, which may be encrypted (see at_rest/bodies.py)
    {by x}       the index to use, where the planner has to be told
    {free x}     `AND` that this transaction has, or gets at once, the lock of a task (see postgres/locks.py)
    {locked}     locks the rows, and reads them as they are then
    {greatest}, {least}, {find}
    {seq}        the order in which rows of a table were inserted

A statement whose text is `{own}` is in the file own.sql of each dialect.

A text that several statements of a file share follows `-- part: x`, and stands for `{part x}` in them, also where their
text is in own.sql.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_NAME = re.compile(r"^-- (name|part): *(\w+)[ ]*$", re.MULTILINE)
_PART = re.compile(r"\{part (\w+)\}")
_COMMENT = re.compile(r"^ *--.*$", re.MULTILINE)
_COLUMNS = re.compile(r"\{(:?)(\w+)(\.\*|=|~|)\}")
_MACRO = re.compile(r"\{(\w+)(?: ([^{}]+))?\}")
PARAMETER = re.compile(r"(?<![\w:]):([a-z_]+)")


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


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a database spells in its own way."""

    package: str  # its folder has own.sql
    macros: Mapping[str, str]  # `{0}` stands for the argument
    # Patterns and their replacements, for what needs no placeholder.
    regular: tuple[tuple[str, str], ...] = ()

    def written(self, sql: str) -> str:
        """Return the statement with the dialect's text for each macro."""
        before = ""
        while before != sql:  # the argument of a macro may be one itself
            before, sql = sql, _MACRO.sub(self._macro, sql)
        for shared, own in self.regular:
            sql = re.sub(shared, own, sql)
        return sql

    def _macro(self, match: re.Match[str]) -> str:
        text = self.macros.get(match[1])
        return match[0] if text is None else text.format(match[2])


@dataclass(frozen=True, slots=True)
class Text:
    """A statement, with `:name` for each parameter."""

    sql: str
    row: tuple[str, ...]  # of a statement that writes whole rows: the columns of a row, in order


def texts(file: str, tables: Mapping[str, Table], dialect: Dialect, package: str = __package__) -> dict[str, Text]:
    """Return the statements of a file in the package's folder by name, with placeholders replaced."""
    own, own_parts = _pieces(dialect.package, "own.sql")
    shared, parts = _pieces(package, file)
    own = {name: _with_parts(text, own_parts) for name, text in own.items()}
    return {
        name: _filled(dialect.written(_with_parts(own[name] if text == "{own}" else text, parts)), tables)
        for name, text in shared.items()
    }


def _filled(sql: str, tables: Mapping[str, Table]) -> Text:
    row: list[Table] = []
    sql = _COLUMNS.sub(lambda match: _columns(match, tables, row), sql)
    return Text(sql, row[0].columns + row[0].beside if row else ())


def own_names(dialect: Dialect) -> set[str]:
    """Return the names of the statements that a dialect words itself."""
    return set(_pieces(dialect.package, "own.sql")[0])


def _pieces(package: str, file: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the statements of a file, and its parts."""
    pieces = _NAME.split(files(package).joinpath(file).read_text("utf-8"))
    found: dict[str, dict[str, str]] = {"name": {}, "part": {}}
    for kind, name, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        assert name not in found[kind], f"{file} has two statements or parts named {name}"
        found[kind][name] = _COMMENT.sub("", text).strip().removesuffix(";")
    return found["name"], found["part"]


def _with_parts(sql: str, parts: Mapping[str, str]) -> str:
    return _PART.sub(lambda match: parts.get(match[1], match[0]), sql)


def _columns(match: re.Match[str], tables: Mapping[str, Table], row: list[Table]) -> str:
    values, table, form = match[1] == ":", tables[match[2]], match[3]
    if form == ".*":
        return ", ".join(f"{table.name}.{column}" for column in table.columns)
    if form in ("=", "~"):
        row.append(table)
        changed = table.changing if form == "=" else table.hot
        return ", ".join(f"{column} = :{column}" for column in changed)
    if values:
        row.append(table)
    return ", ".join((":" if values else "") + column for column in table.columns)
