"""Brokers: they carry hints between servers to read again. The outgoing stream carries events to other programs."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from swarmkeeper.broker.addresses import BrokerRefused, is_nats
from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.broker.remote import RemoteBroker
from swarmkeeper.core.ports import LogWriter, OutgoingStream

Chosen = Callable[[str], LocalBroker | RemoteBroker]


def name_of_store(secret: bytes) -> str:
    """Return the name under which the servers of one store find each other on a broker that others use, too.

    Args:
        secret: the store's own pepper, which each store draws for itself. It does not follow from the name.
    """
    return hmac.digest(secret, b"swarmkeeper/broker", "sha256").hex()[:16]


def choose(address: str, store_url: str, *, shared: bool, own: str, log: LogWriter) -> Chosen:
    """Return the function that makes the broker of a store's servers from the store's name. Opens nothing.

    Args:
        address: of a server of NATS, Valkey or Redis; empty: what the store has itself.
        shared: several servers may have the store open: then it is in PostgreSQL.
        own: what only this server has.

    Raises:
        BrokerRefused: this broker is of no use, or its driver is not installed.
    """
    if address and not shared:
        raise BrokerRefused(
            "broker: a store in SQLite has one server, so there are no others to send hints to: leave it empty,"
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
        return lambda name: ValkeyBroker(address, name, own, log)
    except ModuleNotFoundError as error:
        raise missing("broker", error) from None
    except (TypeError, ValueError):
        raise BrokerRefused("broker: an option in the address is wrong") from None


def stream_at(address: str, name: str, length: int) -> OutgoingStream | None:
    """Return the outgoing stream at an address; None if that is empty. Opens nothing.

    Args:
        name: of the stream there.
        length: how many events it keeps; 0: all.

    Raises:
        BrokerRefused: its driver is not installed, or an option is wrong.
    """
    if not address:
        return None
    try:
        if is_nats(address):
            from swarmkeeper.broker.jetstream import JetStreamStream

            return JetStreamStream(address, name, length)
        from swarmkeeper.broker.valkey_stream import ValkeyStream

        return ValkeyStream(address, name, length)
    except ModuleNotFoundError as error:
        raise missing("stream", error) from None
    except (TypeError, ValueError):
        raise BrokerRefused("stream: an option in the address is wrong") from None


def missing(setting: str, error: ModuleNotFoundError) -> Exception:
    """Return what to raise if a module is not there: BrokerRefused if it is a driver."""
    if error.name in ("nats", "valkey"):
        kind = "NATS" if error.name == "nats" else "Valkey or Redis"
        return BrokerRefused(f"{setting}: {kind} needs a driver: pip install 'swarmkeeper[{error.name}]'")
    return error
