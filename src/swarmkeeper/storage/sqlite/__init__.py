"""The store on SQLite: one file, or memory."""

from swarmkeeper.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
