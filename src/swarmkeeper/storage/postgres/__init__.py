"""PostgreSQL store: one database for any number of replicas."""

from swarmkeeper.storage.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
