"""Fixtures: an OpenID provider, a clock that the test moves, and what verifies tokens."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.tokens.file import read
from swarmkeeper.tokens.verifying import Tokens
from tests.cli.shell import Shell
from tests.tokens.provider import Provider, SigningKey, toml, write

SECOND = 1_000_000
MakeTokens = Callable[..., Tokens]


class HandClock:
    """Begins at the present, and moves as the test says."""

    def __init__(self) -> None:
        self.at = int(time.time() * SECOND)

    def now(self) -> int:
        return self.at

    def monotonic(self) -> int:
        return self.at

    async def sleep(self, microseconds: int) -> None:
        self.at += microseconds

    def advance(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


@pytest.fixture(scope="session")
def rsa_key() -> SigningKey:
    return SigningKey.made("RS256", "first")


@pytest.fixture(scope="session")
def ec_key() -> SigningKey:
    return SigningKey.made("ES256", "second")


@pytest.fixture
async def provider(rsa_key: SigningKey) -> AsyncIterator[Provider]:
    made = Provider([rsa_key])
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def tokens_of(provider: Provider, clock: HandClock, tmp_path: Path) -> AsyncIterator[MakeTokens]:
    """Make what verifies tokens, from a file with this provider."""
    made: list[Tokens] = []

    def make(*rules: str, **keys: Any) -> Tokens:
        path = write(tmp_path / "identity.toml", toml(provider, *rules, **keys))
        made.append(Tokens(read(path), clock, lambda *_, **__: None))
        return made[-1]

    yield make
    for tokens in made:
        await tokens.close()
