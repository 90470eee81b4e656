"""Outgoing HTTP calls go to public addresses only, unless the file permits private ones; never to metadata services."""

import ipaddress
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.sinks.file import Entry, OtlpTable
from swarmkeeper.sinks.targets.addresses import AddressRefused, CheckedResolver, check
from swarmkeeper.sinks.targets.target import RecordRefused
from swarmkeeper.sinks.targets.web import Web

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::8a"]
PRIVATE = [
    *("10.0.0.1", "127.0.0.1", "127.8.9.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "203.0.113.9"),
    *("::1", "fc00::1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "64:ff9b::808:808"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "64:ff9b:1::1", "::ffff:8.8.8.8", "::8.8.8.8"),
]
NEVER = [
    *("0.0.0.0", "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.1", "255.255.255.255"),
    *("::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
    *("2002:a9fe:a9fe::1", "::169.254.169.254"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    check("h", address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_translated_addresses_need_a_permission(address: str) -> None:
    with pytest.raises(AddressRefused, match="allow_private"):
        check("h", address, allow_private=False)
    check("h", address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [False, True])
def test_metadata_services_and_the_like_are_never_allowed(address: str, allow_private: bool) -> None:
    with pytest.raises(AddressRefused):
        check("h", address, allow_private=allow_private)


@given(st.ip_addresses())
def test_whatever_python_calls_private_is_not_allowed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    try:
        check("h", str(address), allow_private=False)
    except AddressRefused:
        return
    assert address.is_global
    assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    def is_never(text: str) -> bool:
        try:
            check("h", text, allow_private=True)
        except AddressRefused:
            return True
        return False

    if is_never(str(address)):
        number = int(address)
        for high in (0xFFFF << 32, 0x64FF9B << 96):
            assert is_never(str(ipaddress.IPv6Address(high | number)))
        assert is_never(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))))


async def test_every_address_of_a_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*addresses: str) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

        async def getaddrinfo(*_: object, **__: object) -> object:
            return found

        monkeypatch.setattr(resolver._inner, "_loop", type("Loop", (), {"getaddrinfo": staticmethod(getaddrinfo)})())

    resolver = CheckedResolver(allow_private=False)
    answers("8.8.8.8", "1.1.1.1")
    assert [each["host"] for each in await resolver.resolve("h", 443)] == ["8.8.8.8", "1.1.1.1"]
    answers("8.8.8.8", "10.0.0.1")
    with pytest.raises(AddressRefused):
        await resolver.resolve("h", 443)


async def opened_and_posted(web: Web) -> None:
    await web.open()
    await web.post(b"{}", {})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "[::ffff:127.0.0.1]"])
async def test_a_sink_calls_no_private_address(host: str, tmp_path: Path) -> None:
    """Also if the host is written as a number, or as an IPv6 address that stands for it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        port = listening.getsockname()[1]
        table = OtlpTable(kind="otlp", url=f"http://{host}:{port}", insecure=True)
        web = Web(Entry("a", table, tmp_path, {}), table, table.url)
        try:
            with pytest.raises(RecordRefused, match=r"not public|not a canonical"):
                await opened_and_posted(web)
        finally:
            await web.close()
        with pytest.raises(TimeoutError):
            listening.accept()
