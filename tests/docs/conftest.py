"""Commands that start at once, for all tests of a worker: loading what they import takes two seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.warm import warm_commands


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with warm_commands(tmp_path_factory.mktemp("warm")) as folder:
        yield folder
