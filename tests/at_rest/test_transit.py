"""A server whose master key is wrapped by the transit of Vault or OpenBao."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmkeeper.settings import BadSetting
from tests.acceptance.process import Process
from tests.at_rest.conftest import PLANTED, looked, output_of, places_of, play, serving
from tests.secrets.conftest import Files
from tests.secrets.fake_vault import FakeVault, fake_vault
from tests.support.at_rest import MASTER


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
async def vault() -> AsyncIterator[FakeVault]:
    async with fake_vault() as started:
        yield started


def config(files: Files, vault: FakeVault) -> str:
    token = files.private("token", "root\n")
    return files.config(
        'key_transit = {backend = "bao", key = "swarmkeeper"}\n'
        f'[backend.bao]\nkind = "vault"\naddress = "{vault.url}"\ntimeout_seconds = 5\n'
        f'[backend.bao.auth]\nmethod = "token"\ntoken_file = "{token}"\n'
    )


def wrapped(files: Files) -> str:
    return f"vault:{files.private('wrapped', FakeVault.wrapped(MASTER) + chr(10))}"


def broker(files: Files, vault: FakeVault) -> dict[str, str]:
    """Return the settings of a broker, which has a master key of its own, wrapped likewise."""
    own = files.private("own", FakeVault.wrapped(bytes([1]) * 32))
    return {"secrets": config(files, vault), "secrets_key_file": own}


async def test_a_server_encrypts_under_a_master_key_that_transit_unwraps(
    store: str, files: Files, vault: FakeVault, key: str
) -> None:
    async with serving(store, wrapped(files), **broker(files, vault)) as swarm:
        task = await play(swarm)

    assert "POST /v1/transit/decrypt/swarmkeeper" in vault.calls
    assert await places_of(store, PLANTED) == set()
    assert (await looked(store, key)).wrong == [], "the key itself opens the same store"
    async with serving(store, wrapped(files), **broker(files, vault)) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3


async def test_a_server_whose_transit_is_sealed_does_not_start(store: str, files: Files, vault: FakeVault) -> None:
    vault.sealed = True

    with pytest.raises(BadSetting, match="bao is sealed"):
        async with serving(store, wrapped(files), **broker(files, vault)):
            pass


async def test_commands_on_the_store_ask_transit_too(
    store: str, files: Files, vault: FakeVault, key: str, tmp_path: Path
) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
    environ = {
        **os.environ,
        "SWARMKEEPER_ENCRYPTION_KEY": wrapped(files),
        "SWARMKEEPER_SECRETS": config(files, vault),
    }
    command = [sys.executable, "-m", "swarmkeeper", "doctor", "--deep", "--store", store]
    log = tmp_path / "doctor.err"
    process = Process(command, log=log, environment=environ)
    try:
        said = await asyncio.to_thread(process.stdout.read)
        assert await asyncio.to_thread(process.wait, 60) == 0, said + log.read_text()
    finally:
        process.stop()

    assert "bodies are encrypted, 0 are plain" in said
