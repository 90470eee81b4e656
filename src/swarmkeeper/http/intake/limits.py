"""How much a caller may send and how long they may wait; reading a body within that; where a call came from.

How much all calls of a key, and of a tenant, may hold at a time is in access/quotas.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Receive, Scope

from swarmkeeper.core.errors import Malformed, TooLarge, UnsupportedMediaType
from swarmkeeper.wire.shapes import BODY_BYTES_MAX, LONG_BODY_BYTES_MAX

PAGE_SIZE = 50
PAGE_SIZE_MAX = 500
WAIT_SECONDS_MAX = 60  # proxies cut at 60
BODY_SILENCE_SECONDS_MAX = 30.0  # for which the next piece of a body is awaited
# What a body must bring on average once that long has passed. A slow mobile line brings four times as much; a body that
# comes by the drop, and holds its connection and its room for hours, does not.
BODY_BYTES_A_SECOND_MIN = 8 * 1024
HELD_AT_ONCE = 64 * 1024  # of a body whose length is not told beforehand
JSON_TYPE = "application/json"

Network = IPv4Network | IPv6Network


class ClientGone(Exception):
    """The caller hung up: nobody is there to be answered."""


@dataclass(frozen=True)
class HttpLimits:
    """What an operator may set about the edge. Times in seconds."""

    public_url: str = ""  # as callers see it; empty: the links in answers are paths
    root_path: str = ""  # what a proxy in front takes off the path
    trusted_proxies: tuple[str, ...] = ()  # CIDRs whose X-Forwarded-For is believed
    metrics_open: bool = False  # /metrics without a key, for callers on this machine
    wait_max: float = WAIT_SECONDS_MAX
    body_bytes_max: int = BODY_BYTES_MAX
    long_body_bytes_max: int = LONG_BODY_BYTES_MAX
    alive_every: float = 15.0  # between the comments of an idle stream
    key_check_every: float = 1.0  # between looks at the key of whoever waits

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        return tuple(ip_network(cidr, strict=False) for cidr in self.trusted_proxies)


def media_type_ok(content_type: str | None) -> bool:
    """A body without a type is taken for what it must be; one in another charset than UTF-8 is no JSON."""
    if content_type is None:
        return True
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            return False
    return media_type == JSON_TYPE


async def read_body(
    headers: Mapping[str, str],
    receive: Receive,
    limit: int,
    *,
    hold: Callable[[int], None] = lambda number: None,
    silence: float = BODY_SILENCE_SECONDS_MAX,
) -> bytes:
    """Read the whole body, and give up as soon as it is known to be too long or too slow.

    Args:
        hold: called with how many bytes more are about to be read. What it raises ends the reading.

    Raises:
        TooLarge, UnsupportedMediaType: it is refused unread, or unread from there on.
        Malformed: nothing of it came for `silence` seconds, or too little for longer than that.
        ClientGone: the caller hung up before its end.
    """
    length = headers.get("content-length", "")
    told = int(length) if length.isdecimal() and len(length) < 20 else None
    if told is not None and told > limit:
        raise TooLarge(f"the body is longer than {limit} bytes")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        # A small compressed body may hide a huge one.
        raise UnsupportedMediaType("the body must not be compressed")
    held = told or 0
    if held:
        hold(held)
    loop = asyncio.get_running_loop()
    began = loop.time()
    pieces: list[bytes] = []
    size = 0
    while True:
        in_time = began + silence + size / BODY_BYTES_A_SECOND_MIN
        try:
            async with asyncio.timeout(min(silence, max(0.0, in_time - loop.time()))):
                message = await receive()
        except TimeoutError:
            raise Malformed(
                f"the body did not come in time: each piece within {silence:g} seconds, "
                f"and after that {BODY_BYTES_A_SECOND_MIN} bytes a second on average"
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise TooLarge(f"the body is longer than {limit} bytes")
        if size > held:
            more = max(size - held, min(HELD_AT_ONCE, limit - held))
            hold(more)
            held += more
        pieces.append(piece)
        if not message.get("more_body", False):
            break
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if body and not media_type_ok(headers.get("content-type")):
        raise UnsupportedMediaType(f"the body must be {JSON_TYPE} in UTF-8")
    return body


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def source_of(scope: Scope, headers: Mapping[str, str], limits: HttpLimits) -> str:
    """The address that a call comes from: the nearest one that is no proxy of ours."""
    client = scope.get("client")
    peer = client[0] if client else ""
    if not limits.proxies:
        return str(peer)
    hops = [*headers.get("x-forwarded-for", "").split(","), peer]
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            break
        peer = str(address)
        if not any(address in network for network in limits.proxies):
            break
    return str(peer)


def is_loopback(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether the caller sits on this very machine, and no proxy stands between."""
    client = scope.get("client")
    address = _address(client[0]) if client else None
    return address is not None and address.is_loopback and "x-forwarded-for" not in headers
