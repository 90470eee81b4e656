"""The swarm under test: the real engine in memory; all invariants are checked at the end of each test."""

from collections.abc import Iterator

import pytest

from swarmkeeper.sim.harness import Harness


@pytest.fixture
def swarm() -> Iterator[Harness]:
    harness = Harness(seed=1)
    yield harness
    harness.check()
    harness.close()
