"""The broker within one process passes the suite."""

import pytest

from swarmkeeper.broker.local import LocalBroker
from tests.broker.suite import BrokerSuite


class TestLocal(BrokerSuite):
    @pytest.fixture
    def broker(self) -> LocalBroker:
        return LocalBroker()


async def test_an_ended_subscription_leaves_nothing_behind() -> None:
    broker = LocalBroker()
    async with broker.subscribe("a"), broker.subscribe("a"):
        pass

    assert broker._subscribers == {}
