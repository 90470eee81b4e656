"""The brokers in NATS and Valkey pass the suite."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmkeeper.broker import remote
from swarmkeeper.broker.nats import NatsBroker
from swarmkeeper.broker.remote import RemoteBroker
from swarmkeeper.broker.valkey import ValkeyBroker
from tests.broker.suite import Place, SharedBrokerSuite, heard, running, until, until_connected
from tests.support.brokers import BrokerServer, NatsServer, ValkeyServer


class Server(Place):
    def __init__(self, server: BrokerServer) -> None:
        super().__init__()
        self.server = server
        self._made = 0

    def broker(self, name: str = "store") -> RemoteBroker:
        self._made += 1
        if isinstance(self.server, NatsServer):
            return NatsBroker(self.server.url, name, self.log)
        return ValkeyBroker(self.server.url, name, f"server {self._made}".replace(" ", "-"), self.log)

    def stop(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server.start()


class TestNats(SharedBrokerSuite):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        with NatsServer(tmp_path) as server:
            yield Server(server)


class TestValkey(SharedBrokerSuite):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        with ValkeyServer(tmp_path) as server:
            yield Server(server)


@pytest.mark.parametrize("kind", [NatsServer, ValkeyServer])
async def test_a_server_that_answers_nothing_is_noticed_and_holds_up_nobody(
    kind: type[BrokerServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("remote", "nats", "valkey"):
        monkeypatch.setattr(f"swarmkeeper.broker.{module}.SECONDS_SILENT", 1.0)
    monkeypatch.setattr(remote, "SECONDS_BETWEEN_TRIES", 0.1)
    with kind(tmp_path) as server:
        place = Server(server)
        a, b = place.broker(), place.broker()
        async with running(a, b), b.subscribe("look") as hints:
            server.freeze()
            async with asyncio.timeout(1):
                for number in range(5_000):
                    await a.publish("look", b"%d" % number)
            await until(lambda: not a.is_connected and not b.is_connected)
            server.thaw()
            await until_connected(a)
            await until_connected(b)
            await a.publish("look", b"back")

            while await heard(hints) != b"back":
                pass
