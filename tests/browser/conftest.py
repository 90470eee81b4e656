"""A furnished server for the tests of a file."""

from collections.abc import Iterator

import pytest

from tests.browser.place import RealTown, furnish, real_town


@pytest.fixture
def town() -> Iterator[RealTown]:
    with real_town() as place:
        yield place


@pytest.fixture
def made(town: RealTown) -> dict[str, str]:
    return furnish(town)
