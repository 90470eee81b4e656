"""Makes what follows from other rows anew in a SQLite store, where the words of titles are a table of their own.

Words know a task by its number. Numbers are in the order of creation, for each tenant: lists with words go by them. A
task that comes meanwhile gets a number above all that are made anew: a row without a task keeps them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apsw

from swarmkeeper.storage.derived import rebuilding
from swarmkeeper.storage.derived.rebuilding import Steps
from swarmkeeper.storage.sqlite.loading import QUERIES

_BASE = "(SELECT n FROM task_number WHERE task = '')"
_NUMBERS_OF_TASKS = f"""
INSERT INTO task_number (n, task)
SELECT (SELECT coalesce(max(n), 0) FROM task_number WHERE n < {_BASE}) + row_number() OVER (ORDER BY wanted.key),
       wanted.value
  FROM json_each(:ids) AS wanted JOIN task ON task.id = wanted.value
 WHERE NOT EXISTS (SELECT 1 FROM task_number WHERE task_number.task = wanted.value)
"""
_WORDS_OF_TASKS = f"""
INSERT INTO task_words (rowid, tenant, title)
SELECT task_number.n, char(57344) || hex(task.tenant), task.title
  FROM json_each(:ids) AS wanted
  JOIN task_number ON task_number.task = wanted.value JOIN task ON task.id = wanted.value
 WHERE task_number.n < {_BASE}
 ORDER BY task_number.n
"""
_NEXT_BASE = "(SELECT coalesce(max(n), 0) / 4294967296 + 1 FROM task_number) * 4294967296"
_OWN: Mapping[str, tuple[str, ...]] = {
    "words_begin": (
        "INSERT INTO task_words (task_words) VALUES ('delete-all')",
        f"INSERT INTO task_number (n, task) VALUES ({_NEXT_BASE}, ' ')",
        "DELETE FROM task_number WHERE task <> ' '",
        "UPDATE task_number SET task = '' WHERE task = ' '",
    ),
    "words_of": (_NUMBERS_OF_TASKS, _WORDS_OF_TASKS),
    "words_end": ("DELETE FROM task_number WHERE task = ''",),
    "remove_label": (QUERIES["delete_task_label"],),
}


def begin(connection: apsw.Connection) -> None:
    """Begin to make everything anew."""
    _transaction(connection, rebuilding.begin())


def finish(connection: apsw.Connection) -> None:
    """Make everything anew that is left; nothing if that was not begun."""
    if connection.execute(QUERIES["rebuild_begun"]).fetchone() is not None:
        while _transaction(connection, rebuilding.one_slice()):
            pass


def _transaction(connection: apsw.Connection, steps: Steps) -> bool:
    connection.execute("BEGIN IMMEDIATE")
    try:
        more = _run(connection, steps)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return more


def _run(connection: apsw.Connection, steps: Steps) -> bool:
    found: list[Any] | None = None
    try:
        while True:
            name, given = next(steps) if found is None else steps.send(found)
            found = []
            for sql in _OWN.get(name) or (QUERIES[name],):
                parameters = tuple(given.values()) if name == "remove_label" else given
                found = list(connection.execute(sql, parameters))
    except StopIteration as done:
        more: bool = done.value
        return more
