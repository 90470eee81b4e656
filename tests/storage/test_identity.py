"""A store is identified by its file, not by its name: locking, and replacement of the file."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from swarmkeeper.core.ports import Changes, StoreLost
from swarmkeeper.storage.refusals import StoreHeld, StoreRefused
from swarmkeeper.storage.sqlite import SqliteStore

HOLDER = """
import asyncio, sys
from swarmkeeper.storage.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    print("open", flush=True)
    sys.stdin.readline()
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Return a folder with another store."""
    folder = tmp_path / "data"
    folder.mkdir()
    other = SqliteStore(str(folder / "other.db"))
    await other.open()
    await other.close()
    return folder


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "swarm.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path))
    await store.open()
    await save(store, "before")
    yield store
    await store.close()


async def save(store: SqliteStore, name: str) -> None:
    async with store.begin() as transaction:
        await transaction.save(Changes(payloads={name: ("tsk_1", b'"kept"')}))


def names(path: Path) -> set[str]:
    """Return the contents of a closed store."""
    looking = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = {str(name) for (name,) in looking.execute("SELECT id FROM payload")}
    looking.close()
    return found


def side(path: Path, name: str) -> Path:
    return path.with_name(path.name + name)


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Keep the store open in another process; yield its process id."""
    program = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        try:
            yield holder.pid
        finally:
            holder.communicate("end\n")


def is_in_use(path: Path) -> bool:
    """Return whether another process could see from a lock on these bytes that the file is open."""
    look = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)"
    return subprocess.run([sys.executable, "-c", look, str(path)], capture_output=True, check=False).returncode != 0


# ---- the lock --------------------------------------------------------------------------------------------------------


async def test_a_store_is_locked_by_its_file_whatever_name_it_is_opened_by(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(path)
    (path.parent / "near.db").symlink_to("swarm.db")
    with held(path) as holder:
        for other in (path, tmp_path / "link.db", path.parent / "near.db"):
            with pytest.raises(StoreHeld, match=str(holder)):
                await SqliteStore(str(other)).open()

        side(path, ".lock").unlink()
        with pytest.raises(StoreHeld):
            await SqliteStore(str(path)).open()

        os.link(path, tmp_path / "second.db")
        for other in (path, tmp_path / "second.db"):
            with pytest.raises(StoreRefused, match="second name"):
                await SqliteStore(str(other)).open()
        (tmp_path / "second.db").unlink()

    following = SqliteStore(str(tmp_path / "link.db"))
    await following.open()
    await following.close()


async def test_a_refused_second_store_of_one_process_leaves_the_first_ones_locks_alone(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    """A process that closes any descriptor of a file loses its record locks on it. SQLite uses these locks to see
    whether others have the file open: the last one to close it removes the write-ahead log."""
    for _ in range(2):
        side(path, ".lock").unlink()  # so that only the lock on the file itself is left
        with pytest.raises(StoreHeld):
            await SqliteStore(str(path)).open()
        assert is_in_use(path)
    tool = SqliteStore(str(path))
    await tool.open(exclusive=False)
    await tool.close()

    assert is_in_use(path)
    await save(store, "after")
    assert not store.is_lost
    await store.close()
    assert not is_in_use(path)


# ---- the files -------------------------------------------------------------------------------------------------------


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.with_name("other.db").replace(path)


def move_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def remove_the_log(path: Path) -> None:
    side(path, "-wal").unlink()


def remove_the_index(path: Path) -> None:
    side(path, "-shm").unlink()


def write_over(path: Path) -> None:
    path.write_bytes(b"something else")


def copy_over(path: Path) -> None:
    shutil.copyfile(path.with_name("other.db"), path)


GONE = [remove, replace, move_the_folder, remove_the_log, remove_the_index, write_over, copy_over]


@pytest.mark.parametrize("happens", GONE)
async def test_nothing_is_acknowledged_after_the_files_were_replaced(
    path: Path, happens: Callable[[Path], None]
) -> None:
    at = "never"

    def crash(point: str) -> None:
        if point == at:
            happens(path)

    store = SqliteStore(str(path), crash=crash)
    await store.open()
    await save(store, "first")
    for number in range(30):  # so that the log has pages to write back
        await save(store, f"more-{number}")
    store.connection.wal_checkpoint()
    await save(store, "last")

    at = "before_commit"  # the commit itself succeeds, on files that nobody will open again
    with pytest.raises(StoreLost):
        await save(store, "not acknowledged")
    at = "never"
    with pytest.raises(StoreLost):
        await save(store, "after")
    with pytest.raises(StoreLost):
        await store.read("any_key", {})
    with pytest.raises(StoreLost):
        await store.changed_outside()

    assert store.is_lost
    await store.close()


@pytest.mark.parametrize("happens", [remove, replace])
async def test_acknowledged_data_is_saved_beside_a_removed_file(
    store: SqliteStore, path: Path, happens: Callable[[Path], None]
) -> None:
    happens(path)
    assert store.is_lost

    done = await store.rescue()
    await store.close()

    copy = path.with_name("swarm.db.lost")
    assert str(copy) in done
    assert names(copy) == {"before"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not side(path, "-wal").exists()  # it would be applied to the new file
    again = SqliteStore(str(copy))
    await again.open()
    await again.close()


async def test_acknowledged_data_is_saved_elsewhere_when_the_folder_was_removed(
    store: SqliteStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shutil.rmtree(path.parent)
    assert store.is_lost

    done = await store.rescue()
    await store.close()

    copy = Path(done.rpartition(" ")[2])
    assert copy.parent.parent == tmp_path
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert names(copy) == {"before"}


async def test_a_folder_that_was_moved_keeps_all_of_its_store(store: SqliteStore, path: Path) -> None:
    move_the_folder(path)
    assert store.is_lost

    assert "was moved" in await store.rescue()
    await store.close()

    moved = path.parent.with_name("moved")
    assert names(moved / path.name) == {"before"}
    assert not path.parent.exists()


async def test_the_old_log_is_moved_even_without_room_for_a_copy(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(path)
    assert store.is_lost

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("swarmkeeper.storage.sqlite.rescue.copy_to", full)
    done = await store.rescue()
    await store.close()

    assert "could not be saved" in done
    assert side(path, "-wal.lost").exists()
    assert not side(path, "-wal").exists()
    assert names(path) == set()


@pytest.mark.parametrize("happens", [remove_the_log, remove_the_index])
async def test_a_log_that_lost_its_name_is_written_into_the_database(
    store: SqliteStore, path: Path, happens: Callable[[Path], None]
) -> None:
    happens(path)
    assert store.is_lost

    assert "is in the database file" in await store.rescue()
    await store.close()

    assert names(path) == {"before"}


async def test_the_old_log_is_not_applied_to_a_file_copied_over_the_store(store: SqliteStore, path: Path) -> None:
    for number in range(30):
        await save(store, f"more-{number}")
    store.connection.wal_checkpoint()
    await save(store, "in the log")

    copy_over(path)
    assert store.is_lost
    done = await store.rescue()
    await store.close()

    assert "swarm.db-wal.lost" in done
    assert names(path) == set()


async def test_the_files_that_have_the_names_now_are_not_touched(store: SqliteStore, path: Path) -> None:
    for name in ("", "-wal", "-shm", ".lock"):
        side(path, name).rename(path.with_name(f"away{name}"))
    following = SqliteStore(str(path))
    await following.open()
    await save(following, "theirs")

    assert store.is_lost
    await store.rescue()
    await store.close()

    await save(following, "theirs too")
    assert not following.is_lost
    await following.close()
    assert names(path) == {"theirs", "theirs too"}


async def test_sqlites_own_writes_are_not_mistaken_for_an_overwrite(store: SqliteStore, path: Path) -> None:
    tool = SqliteStore(str(path))
    await tool.open(exclusive=False)
    other = apsw.Connection(str(path))
    for number in range(40):
        await save(store, f"own-{number}")
        await save(tool, f"theirs-{number}")
        if number % 10 == 9:
            other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    other.execute("VACUUM")
    other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    other.close()
    await tool.close()
    os.utime(path)

    await save(store, "last")

    assert not store.is_lost
