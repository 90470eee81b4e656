"""Fixtures for tests of code that starts processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmkeeper.sdk.processes import subprocesses
from tests.sdk.alive import Alive


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[Alive]:
    alive = Alive(tmp_path)
    yield alive
    alive.close()


@pytest.fixture
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that are to end have less time for it, so that tests of those that do not are quick."""
    monkeypatch.setattr(subprocesses, "GRACE_SECONDS", 0.1)
