"""Fixtures: a shell in its own folder, and one server for all tests of commands that call one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.shell import Server, Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@dataclass(frozen=True)
class Running:
    url: str
    store: str
    key: str


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("serve")
    store = f"sqlite:///{folder / 'store.db'}"
    one_key = {"SWARMKEEPER_FOUR_EYES": "false"}
    server = Server("serve", "--store", store, "--port", "0", "--json", folder=folder, environ=one_key)
    try:
        url = server.first_line()["url"]
        made = Server("key", "create", "--store", store, "--role", "admin", "--json", folder=folder)
        key = made.first_line()["key"]
        assert made.end() == 0
        yield Running(url, store, key)
    finally:
        server.stop()


@pytest.fixture
def at(shell: Shell, running: Running) -> Shell:
    """A shell that knows the running server and its administrator's key."""
    shell.set(SWARMKEEPER_URL=running.url, SWARMKEEPER_API_KEY=running.key)
    return shell
