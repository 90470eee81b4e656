"""Encrypted bodies in backups, restores and moves: they are copied as they are, with their wrapped keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarmkeeper.cli.admin import backup, database_backup, move
from swarmkeeper.cli.framework import running as commands
from swarmkeeper.storage.opening import store_at
from swarmkeeper.storage.refusals import WrongMasterKey
from tests.at_rest.conftest import PLANTED, output_of, places_of, play, refused, serving
from tests.support.at_rest import MASTER, bodies


async def test_a_backup_has_wrapped_keys_and_a_restored_store_needs_the_master_key(
    store: str, key: str, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(store, key) as swarm:
        task = await play(swarm)
    monkeypatch.setenv("SWARMKEEPER_ENCRYPTION_KEY", key)
    copy = tmp_path / "copy"
    if store.startswith("sqlite"):
        await backup._copy(commands.settings_of(store=store), copy)
        restored = f"sqlite:///{tmp_path}/restored.db"
        await asyncio.to_thread(backup._restore, copy, tmp_path / "restored.db")
    else:
        copy.touch()
        await database_backup.write(store, copy)
        restored = database
        assert await database_backup.restore(copy, restored) == []
    raw = copy.read_bytes()

    assert PLANTED.encode() not in raw
    assert MASTER not in raw
    assert await places_of(restored, PLANTED) == set()
    with refused(WrongMasterKey, "set `encryption_key`"):
        async with serving(restored):
            pass
    async with serving(restored, key) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3


async def test_a_moved_store_has_the_same_bodies_under_the_same_keys(
    tmp_path: Path, key: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = f"sqlite:///{tmp_path}/s.db", database
    async with serving(source, key) as swarm:
        task = await play(swarm)
    monkeypatch.setenv("SWARMKEEPER_ENCRYPTION_KEY", key)
    _, findings = await move._move(source, target)

    assert findings == []
    assert await places_of(target, PLANTED) == set()
    opened = store_at(target, bodies=bodies())
    await opened.open_to_read()
    await opened.close()
    async with serving(target, key) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
