"""Addresses of brokers and of the outgoing stream: which are valid, and how people see them. No driver is needed."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

NATS = ("nats", "tls")
VALKEY = ("valkey", "valkeys", "redis", "rediss")
EXPECTED = "expected nats://host:4222, tls://host:4222, valkey://host:6379/0, redis://… or rediss://…"
_DEFAULT_PORTS = {**dict.fromkeys(NATS, 4222), **dict.fromkeys(VALKEY, 6379)}


class BrokerRefused(Exception):
    """A broker cannot be used as it is configured; the message says why, and never has a password."""


def checked(address: str) -> str:
    """Return the address of a server of NATS, Valkey or Redis; empty stays empty.

    Raises:
        ValueError: it is none. The message does not repeat it: it may have a password.
    """
    if not address:
        return ""
    try:
        parts = urlsplit(address)
        known = parts.scheme in _DEFAULT_PORTS and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a port or an IPv6 address that is none
        known = False
    if not known or not _is_path_valid(parts) or any(character.isspace() for character in address):
        raise ValueError(EXPECTED)
    return address


def _is_path_valid(parts: SplitResult) -> bool:
    if parts.fragment:
        return False
    path = parts.path.removeprefix("/")
    if parts.scheme in NATS:
        return not path and not parts.query
    return not path or (path.isascii() and path.isdecimal())  # the number of a database


def is_nats(address: str) -> bool:
    return urlsplit(address).scheme in NATS


def shown(address: str) -> str:
    """Return the address without user, password, token and options, for texts that people see."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
