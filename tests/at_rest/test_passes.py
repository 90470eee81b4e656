"""The pass that encrypts a store: killed, begun again, and beside servers that go on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from swarmkeeper.cli.at_rest import encryption
from swarmkeeper.cli.framework.terminal import CliError
from swarmkeeper.storage.at_rest import passes
from tests.acceptance.process import Process
from tests.at_rest.conftest import (
    PLANTED,
    encrypted,
    looked,
    output_of,
    places_of,
    play,
    serving,
    settings,
    times_in_files,
)
from tests.at_rest.test_at_rest import examined

ROOT = Path(__file__).parent.parent.parent
TASKS = 6
SECONDS_MAX = 60


def begin(store: str, key: str, folder: Path) -> Process:
    words = [sys.executable, "-m", "tests.at_rest.encrypting", store, key]
    return Process(words, log=folder / "encrypting.err", environment=os.environ, folder=ROOT)


async def slices(process: Process, number: int) -> None:
    for _ in range(number):
        assert await asyncio.to_thread(process.stdout.readline) == "slice\n"


async def end(process: Process) -> int:
    """Wait for the end of a process; return its exit code."""
    try:
        return await asyncio.to_thread(process.wait, SECONDS_MAX)
    finally:
        process.stop()


@pytest.mark.parametrize("after", [1, 7, 20])
async def test_a_pass_that_is_killed_is_begun_again_and_loses_nothing(
    store: str, key: str, after: int, tmp_path: Path
) -> None:
    async with serving(store) as swarm:
        task = await play(swarm, TASKS)
    process = begin(store, key, tmp_path)
    await slices(process, after)
    process.send_signal(signal.SIGKILL)
    assert await end(process) == -signal.SIGKILL
    found = await looked(store, key)
    assert found.wrong == []
    counts = [(counted.plain, counted.encrypted) for counted in found.tables.values()]
    assert sum(plain for plain, _ in counts) > 0, "it was in the middle"
    assert await examined(store) == ([], {"whole"})

    done = (await encrypted(store, key))["encrypted"]

    assert sum(done.values()) == sum(plain for plain, _ in counts)
    assert await places_of(store, PLANTED) == set()
    assert await times_in_files(store, PLANTED) == 0
    assert await examined(store) == ([], {"whole"})
    async with serving(store, key) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3


async def test_servers_go_on_while_the_pass_runs(store: str, key: str, tmp_path: Path) -> None:
    async with serving(store) as swarm:
        before = await play(swarm, TASKS)
    async with serving(store, key) as swarm:
        process = begin(store, key, tmp_path)
        await slices(process, 1)
        during = []
        if store.startswith("postgres"):  # a second server
            async with serving(store, key) as other:
                during.append(await play(other, 3, name="second"))
        during.append(await play(swarm, 3, name="first"))
        await asyncio.to_thread(process.stdout.read)
        assert await end(process) == 0
        for task in (before, *during):
            assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
        assert (await encrypted(store, key))["cleaned"] is False, "a server is using the store"

    found = await looked(store, key)
    assert sum(counted.plain for counted in found.tables.values()) == 0
    assert found.wrong == []
    assert await places_of(store, PLANTED) == set()
    assert (await encrypted(store, key))["cleaned"]
    assert await times_in_files(store, PLANTED) == 0
    assert await examined(store) == ([], {"whole"})


async def test_the_pass_is_refused_beside_a_server_without_the_key(store: str, key: str) -> None:
    async with serving(store):
        with pytest.raises(CliError, match="started without encryption_key"):
            await encrypted(store, key)


async def test_a_slice_that_fails_leaves_no_key_behind(store: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(store) as swarm:
        await play(swarm)

    async with encryption.raw_of(settings(store, key)) as (raw, bodies, _):
        whole = raw.slice

        async def failing(*given: object) -> object:
            await whole(given[0], given[1], given[2], _fail)  # type: ignore[arg-type]  # before the commit
            return None

        monkeypatch.setattr(raw, "slice", failing)
        with pytest.raises(ZeroDivisionError):
            await passes.encrypt(raw, bodies)
        assert bodies.keys is not None
        assert not bodies.keys.take_new()
        monkeypatch.undo()
        await passes.encrypt(raw, bodies)

    assert (await looked(store, key)).wrong == []


def _fail() -> list[object]:
    raise ZeroDivisionError
