"""Encrypted bodies in backups, restores and moves: they are copied as they are, with their wrapped keys."""

from __future__ import annotations

from pathlib import Path

from swarmkeeper.cli.admin import backup, database_backup, move
from swarmkeeper.cli.framework import running as commands
from swarmkeeper.storage.opening import store_at
from swarmkeeper.storage.refusals import WrongMasterKey
from tests.at_rest.conftest import PLANTED, output_of, places_of, play, refused, serving
from tests.support.at_rest import MASTER, bodies
from tests.support.postgres import server


async def test_a_backup_has_wrapped_keys_and_a_restored_store_needs_the_master_key(
    store: str, key: str, tmp_path: Path, monkeypatch: object
) -> None:
    import os

    async with serving(store, key) as swarm:
        task = await play(swarm)
    os.environ["SWARMKEEPER_ENCRYPTION_KEY"] = key
    try:
        copy = tmp_path / "copy"
        if store.startswith("sqlite"):
            await backup._copy(commands.settings_of(store=store), copy)
            restored = f"sqlite:///{tmp_path}/restored.db"
            await backup._make(copy, tmp_path / "restored.db")
        else:
            copy.touch()
            await database_backup.write(store, copy)
            restored = server().new_database()
            assert await database_backup.restore(copy, restored) == []
    finally:
        del os.environ["SWARMKEEPER_ENCRYPTION_KEY"]
    raw = copy.read_bytes()

    assert PLANTED.encode() not in raw
    assert MASTER not in raw
    assert await places_of(restored, PLANTED) == set()
    with refused(WrongMasterKey, "set `encryption_key`"):
        async with serving(restored):
            pass
    async with serving(restored, key) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3


async def test_a_moved_store_has_the_same_bodies_under_the_same_keys(tmp_path: Path, key: str) -> None:
    import os

    source, target = f"sqlite:///{tmp_path}/s.db", server().new_database()
    async with serving(source, key) as swarm:
        task = await play(swarm)
    os.environ["SWARMKEEPER_ENCRYPTION_KEY"] = key
    try:
        _, findings = await move._move(source, target)
    finally:
        del os.environ["SWARMKEEPER_ENCRYPTION_KEY"]

    assert findings == []
    assert await places_of(target, PLANTED) == set()
    opened = store_at(target, bodies=bodies())
    await opened.open_to_read()
    await opened.close()
    async with serving(target, key) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
