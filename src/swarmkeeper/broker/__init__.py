"""Brokers pass hints to read the store again. Only the store holds facts."""

from swarmkeeper.broker.local import LocalBroker

__all__ = ["LocalBroker"]
