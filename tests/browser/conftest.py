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


@pytest.fixture(scope="module")
def shown() -> Iterator[RealTown]:
    """A town for the tests of a file that change nothing in it."""
    with real_town() as place:
        yield place


@pytest.fixture(scope="module")
def shown_made(shown: RealTown) -> dict[str, str]:
    return furnish(shown)
