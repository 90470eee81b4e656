"""Brokers: they carry hints between servers to read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmkeeper.broker.local import LocalBroker

if TYPE_CHECKING:
    from swarmkeeper.broker.postgres import PostgresBroker


def broker_beside(store_url: str, *, shared: bool) -> LocalBroker | PostgresBroker:
    """Return the broker for the servers of a store; run its `run` in the background.

    Args:
        shared: several servers may have the store open: then it is in PostgreSQL.
    """
    if not shared:
        return LocalBroker()
    from swarmkeeper.broker.postgres import PostgresBroker

    return PostgresBroker(store_url)
