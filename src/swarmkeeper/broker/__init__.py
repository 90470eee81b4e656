"""Ways to tell others to look again. Hints only: what is true stands in the store."""

from swarmkeeper.broker.local import LocalBroker

__all__ = ["LocalBroker"]
