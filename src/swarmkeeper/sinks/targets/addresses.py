"""Addresses that outgoing HTTP calls may use. A name is resolved, every address of it is checked, and the connection
goes to a checked address: so a name that is changed in between leads nowhere else.

The tables name what is refused, because Python's `is_global` differs between versions and passes translated addresses,
behind which a private one may be.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Nothing is sent here, whatever the configuration says: this host as a source, link-local (with the metadata services
# of clouds), multicast, reserved, and the metadata services that have other addresses.
NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4"),
            *("240.0.0.0/4", "::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::/32", "100.100.100.200/32"),
        ),
    )
)
# Only with `allow_private`: this machine, private networks, networks for tests and documentation, and addresses that
# stand for an IPv4 address: mapped, compatible, NAT64, 6to4, Teredo. Of IPv6, all but 2000::/3 is not public.
PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15"),
            *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
            *("::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)


class AddressRefused(OSError):
    """A name has an address to which no call goes. The message names the host; the address may be a secret."""


def check(host: str, address: str, *, allow_private: bool) -> None:
    """Check one address.

    Raises:
        AddressRefused: nothing may be sent there.
    """
    found: Address = ipaddress.ip_address(address.partition("%")[0])
    # An address within another one must be allowed, too: ::ffff:169.254.169.254 leads where 169.254.169.254 does.
    for each in (found, *_within(found)):
        if any(each in network for network in NEVER if network.version == each.version):
            raise AddressRefused(f"{host} has an address to which nothing is ever sent")
        if not allow_private and any(each in network for network in PRIVATE if network.version == each.version):
            raise AddressRefused(f"{host} has an address that is not public: allow_private = true permits it")


def _within(address: Address) -> list[Address]:
    """Return the IPv4 addresses for which an IPv6 address stands."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address] = [each for each in (address.ipv4_mapped, address.sixtofour) if each is not None]
    if address.teredo is not None:
        found += address.teredo
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in ipaddress.ip_network("64:ff9b::/96"):
        found.append(last)
    if address in ipaddress.ip_network("::/96") and int(last) > 1:  # ::1 is loopback, and stands for nothing else
        found.append(last)
    return found


def literal(host: str) -> str | None:
    """Return the host if it is an address, which no resolver sees."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return host


class CheckedResolver(AbstractResolver):
    """Resolves names to addresses that were checked, all of them."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for each in found:
            check(host, each["host"], allow_private=self._allow_private)
        return found

    async def close(self) -> None:
        await self._inner.close()


def web_address(written: str) -> str:
    """Return a URL of a file of settings as it is.

    Raises:
        ValueError: it is none that may be called; the message says what is expected.
    """
    try:
        parts = urlsplit(written)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("expected a URL like https://host/path, without user, password and fragment")
    if any(character.isspace() or ord(character) < 32 for character in written):
        raise ValueError("expected a URL without spaces")
    return written
