"""Limits of the HTTP edge, reading a body within them, and finding the client's address.

The limits for all calls of a key or a tenant together are in access/quotas.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import coroutine
from typing import Any, cast

from starlette.types import Message, Receive, Scope

from swarmkeeper.core.errors import Malformed, TooLarge, UnsupportedMediaType
from swarmkeeper.wire.shapes import BODY_BYTES_MAX, LONG_BODY_BYTES_MAX

PAGE_SIZE = 50
PAGE_SIZE_MAX = 500
WAIT_SECONDS_MAX = 60  # many proxies close a request after 60 seconds
BODY_SILENCE_SECONDS_MAX = 30.0  # the longest wait for the next piece of a body
# The minimum average rate of a body after that time. A slow mobile connection sends four times as much. The bound stops
# bodies that trickle in and hold their connection and memory for hours.
BODY_BYTES_A_SECOND_MIN = 8 * 1024
HELD_AT_ONCE = 64 * 1024  # charged at a time for a body without Content-Length
JSON_TYPE = "application/json"

Network = IPv4Network | IPv6Network


class ClientDisconnected(Exception):
    """The caller disconnected, so there is no one to answer."""


@dataclass(frozen=True)
class HttpLimits:
    """The operator's settings for the HTTP edge. Times in seconds."""

    public_url: str = ""  # the API's URL as callers see it; empty: links in answers are paths
    root_path: str = ""  # the path prefix that a proxy removes
    trusted_proxies: tuple[str, ...] = ()  # CIDRs whose X-Forwarded-For is trusted
    metrics_open: bool = False  # /metrics without a key, for callers on this machine
    operator_tenant: str = "default"  # whose operators see figures of all tenants; empty: nobody's do
    wait_max: float = WAIT_SECONDS_MAX
    body_bytes_max: int = BODY_BYTES_MAX
    long_body_bytes_max: int = LONG_BODY_BYTES_MAX
    alive_every: float = 15.0  # between the comments of an idle stream
    key_check_every: float = 1.0  # between checks of the keys of waiting callers

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        return tuple(ip_network(cidr, strict=False) for cidr in self.trusted_proxies)


def media_type_ok(content_type: str | None) -> bool:
    """Whether the content type is JSON in UTF-8. A missing content type counts as JSON."""
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
    """Read the whole body; stop as soon as it is too long or too slow.

    Args:
        limit: the maximum length in bytes.
        hold: called with the number of bytes about to be read. An exception from it stops the reading.
        silence: the longest wait for the next piece, in seconds.

    Raises:
        TooLarge: the body is longer than `limit`; the rest is not read.
        UnsupportedMediaType: the body is compressed, or not JSON in UTF-8.
        Malformed: no piece came for `silence` seconds, or the average rate was too low after that time.
        ClientDisconnected: the caller disconnected before the end of the body.
    """
    length = headers.get("content-length", "")
    declared = int(length) if length.isdecimal() and len(length) < 20 else None
    if declared is not None and declared > limit:
        raise TooLarge(f"the body is longer than {limit} bytes")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        # A small compressed body may expand to a huge one.
        raise UnsupportedMediaType("the body must not be compressed")
    held = declared or 0
    if held:
        hold(held)
    began = asyncio.get_running_loop().time()
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await _next_piece(receive, silence, began + silence + size / BODY_BYTES_A_SECOND_MIN)
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


async def _next_piece(receive: Receive, silence: float, due: float) -> Message:
    """Receive a piece of a body within `silence` seconds and before the loop's time is `due`; raises as `read_body`."""
    receiving = cast(Coroutine[Any, Any, Message], receive())
    try:
        pause = receiving.send(None)
    except StopIteration as done:
        message: Message = done.value  # it had arrived already: a timer would cost as much as parsing a short body
    else:
        try:
            async with asyncio.timeout(min(silence, max(0.0, due - asyncio.get_running_loop().time()))):
                message = await _rest(receiving, pause)
        except TimeoutError:
            raise Malformed(
                f"the body did not come in time: each piece within {silence:g} seconds, "
                f"and after that {BODY_BYTES_A_SECOND_MIN} bytes a second on average"
            ) from None
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return message


@coroutine
def _rest(begun: Coroutine[Any, Any, Message], pause: Any) -> Generator[Any, Any, Message]:
    """Await the rest of a coroutine that has run up to its first pause."""
    while True:
        try:
            sent = yield pause
        except BaseException as error:
            step = partial(begun.throw, error)
        else:
            step = partial(begun.send, sent)
        try:
            pause = step()
        except StopIteration as done:
            return cast(Message, done.value)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def source_of(scope: Scope, headers: Mapping[str, str], limits: HttpLimits) -> str:
    """Return the client's address: the nearest hop that is not a trusted proxy."""
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


# What proxies add, and a program on this machine that calls by itself does not.
_OF_PROXIES = frozenset(
    {
        *("forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip"),
        *("fastly-client-ip", "x-original-forwarded-for", "x-envoy-external-address", "x-azure-clientip"),
    }
)


def is_loopback(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether the caller is on this machine, and no proxy says that it is in between."""
    client = scope.get("client")
    address = _address(client[0]) if client else None
    if address is None or not address.is_loopback:
        return False
    return not any(name in _OF_PROXIES or name.startswith("x-forwarded") for name in headers)
