"""Servers and bots of measurements are forks, where how they are started is not what is measured."""

import pytest

from tests.support.async_forks import fork_programs


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, each program is started afresh: so by `test_a_batch_size_can_be_chosen…` of test_scenarios.py."""
    fork_programs(monkeypatch)
