"""What a copy is made of: tables with their rows in the order of their keys, and what a store keeps of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Row = tuple[Any, ...]
# Rows that are read, sent and compared at once. Bodies may be large, so their bytes are bounded, too.
ROWS_MAX = 5_000
BYTES_MAX = 8 * 1024 * 1024
# Each restored store numbers its events from the next multiple on: more than any store reaches, while a thousand
# restores stay below 2^53.
EPOCH = 1 << 40


class NotCopied(Exception):
    """The copy cannot be made, or differs from its source. The message says what to do."""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table as PostgreSQL describes it. A row is a tuple of all columns."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]  # of each column: bigint, boolean, bytea or text
    key: tuple[str, ...]  # columns of the primary key: rows are in its order
    identity: str = ""  # the column that the server numbers

    @property
    def body(self) -> int | None:
        """Return the position of the column whose values may be large."""
        at = self.columns.index("body") if "body" in self.columns else None
        return at if at is not None and self.types[at] == "bytea" else None

    @property
    def version(self) -> str:
        """Return the column that grows with every write of a row; empty if there is none."""
        grows = ("row_version", "version")  # a bot's `version` is a text
        return next((name for name in grows if (name, "bigint") in zip(self.columns, self.types, strict=True)), "")


@dataclass(frozen=True, slots=True)
class CopyOrigin:
    """Which store the rows are from, and in which state."""

    store: str  # the same for each state of a store; tells nothing of its secrets
    state: str  # differs if anything was written in between


MetaRow = tuple[str, int | None, bytes | None]  # key, value, secret: a row of `meta` in PostgreSQL


class Content(Protocol):
    """All rows of one state of a store."""

    @property
    def origin(self) -> CopyOrigin: ...

    @property
    def meta(self) -> Sequence[MetaRow]:
        """Return what the store keeps of itself: its keys, the time it has reached, its epoch."""

    def chunks(self, table: StoredTable) -> AsyncIterator[list[Row]]:
        """Yield the rows of a table in the order of its key; nothing if the store does not have the table.

        Raises:
            NotCopied: it does not have one of the columns.
        """


def epoch_after(last: int) -> int:
    """Return the number after which a restored store numbers its events; `last` is the last one that it has."""
    return (last // EPOCH + 1) * EPOCH
