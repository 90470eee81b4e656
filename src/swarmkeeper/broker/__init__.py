"""Brokers: they carry hints between servers to read again. The outgoing stream carries events to other programs."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from swarmkeeper.broker.addresses import BrokerRefused, is_nats
from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.broker.remote import RemoteBroker
from swarmkeeper.core.ports import Entropy, LogWriter

Chosen = Callable[[str], LocalBroker | RemoteBroker]


def name_of_store(secret: bytes) -> str:
    """Return the name under which the servers of one store find each other on a broker that others use, too.

    Args:
        secret: the store's own pepper, which each store draws for itself. It does not follow from the name.
    """
    return hmac.digest(secret, b"swarmkeeper/broker", "sha256").hex()[:16]


def choose(address: str, store_url: str, *, shared: bool, entropy: Entropy, log: LogWriter) -> Chosen:
    """Return the function that makes the broker of a store's servers from the store's name. Opens nothing.

    Args:
        address: of a server of NATS, Valkey or Redis; empty: what the store has itself.
        shared: several servers may have the store open: then it is in PostgreSQL.

    Raises:
        BrokerRefused: this broker is of no use, or its driver is not installed.
    """
    if address and not shared:
        raise BrokerRefused(
            "a store in SQLite has one server, so there are no others to send hints to: leave it empty,"
            " or use a store in PostgreSQL"
        )
    if not shared:
        return lambda _: LocalBroker()
    if not address:
        from swarmkeeper.broker.postgres import PostgresBroker

        return lambda _: PostgresBroker(store_url, log)
    try:
        if is_nats(address):
            from swarmkeeper.broker.nats import NatsBroker

            return lambda name: NatsBroker(address, name, log)
        from swarmkeeper.broker.valkey import ValkeyBroker, client_of

        _ = client_of(address)  # refuses wrong options now
        own = entropy.secret(8).hex()
        return lambda name: ValkeyBroker(address, name, own, log)
    except ModuleNotFoundError as error:
        raise missing(error) from None
    except (TypeError, ValueError):
        raise BrokerRefused("an option in the address is wrong") from None


def missing(error: ModuleNotFoundError) -> Exception:
    """Return what to raise if a module is not there: BrokerRefused if it is a driver."""
    if error.name in ("nats", "valkey"):
        kind = "NATS" if error.name == "nats" else "Valkey or Redis"
        return BrokerRefused(f"{kind} needs a driver: pip install 'swarmkeeper[{error.name}]'")
    return error
