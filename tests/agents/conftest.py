"""The suite's asserts explain themselves, as those of test files do."""

import pytest

from tests.support.async_forks import fork_programs

pytest.register_assert_rewrite("tests.agents.suite")


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bots that a test starts as processes be forks."""
    fork_programs(monkeypatch)
