"""SQLite store: in a file or in memory."""

from swarmkeeper.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
