"""Fixtures: a server that takes the stream, and a store, of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import BrokerServer, NatsServer, ValkeyServer
from tests.support.postgres import server as postgres


@pytest.fixture(params=[NatsServer, ValkeyServer])
def outside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BrokerServer]:
    folder = tmp_path / "outside"
    folder.mkdir()
    with request.param(folder) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/swarm.db" if request.param == "sqlite" else postgres().new_store()
