"""A store in a file: access, crashes, full disks and migrations."""

import asyncio
import itertools
import os
import resource
import signal
import stat
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from swarmkeeper.core.ports import Changes, StoreUnavailable
from swarmkeeper.storage.migration_files import Migration
from swarmkeeper.storage.refusals import SchemaAltered, SchemaNewer, SchemaOlder, StoreHeld, StoreRefused
from swarmkeeper.storage.sqlite import SqliteStore, migrations
from swarmkeeper.storage.sqlite.store import path_of
from swarmkeeper.testing import records
from tests.acceptance.process import Process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "swarm.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(path))
    await store.open()
    yield store
    await store.close()


async def save(store: SqliteStore, changes: Changes) -> None:
    async with store.begin() as transaction:
        await transaction.save(changes)


async def payload(store: SqliteStore, name: str) -> bytes | None:
    async with store.begin() as transaction:
        found = await transaction.load([("payload", name)])
    body: bytes | None = found["payload", name]
    return body


def big(name: str, size: int = 100_000) -> Changes:
    return Changes(payloads={name: ("tsk_1", b'"' + b"x" * size + b'"')})


# ---- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("sqlite:///relative.db", "relative.db"),
        ("sqlite:////absolute/swarm.db", "/absolute/swarm.db"),
        ("sqlite://:memory:", ":memory:"),
        (":memory:", ":memory:"),
        ("plain.db", "plain.db"),
    ],
)
def test_a_store_url_names_a_path(url: str, where: str) -> None:
    assert path_of(url) == where


@pytest.mark.parametrize("url", ["postgresql://host/db", "sqlite://relative.db", "sqlite:///", ""])
def test_an_invalid_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StoreRefused) as refused:
        path_of(url)

    assert "host" not in str(refused.value)
    assert str(refused.value).startswith(("a SQLite store is", "this is not the address"))


async def test_an_impossible_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be taken for one" * 100)
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE theirs (id)")
    other.close()

    for name in ("missing/swarm.db", ".", "text", "other.db"):
        with pytest.raises(StoreRefused):
            await SqliteStore(str(tmp_path / name)).open()
    with pytest.raises(StoreRefused, match="no store"):
        await SqliteStore(str(tmp_path / "new.db")).open(create=False)
    assert not (tmp_path / "new.db").exists()


async def test_an_emptied_store_is_not_created_again(tmp_path: Path) -> None:
    (tmp_path / "bytes.db").write_bytes(b"")
    bare = apsw.Connection(str(tmp_path / "tables.db"))
    bare.pragma("journal_mode", "wal")
    bare.close()

    for name in ("bytes.db", "tables.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(StoreRefused, match="there is no swarmkeeper store in"):
            await SqliteStore(str(tmp_path / name)).open(exclusive=False, create=False)
        assert (tmp_path / name).read_bytes() == before


async def test_a_commit_waits_until_the_disk_has_it(store: SqliteStore) -> None:
    """Killing a process cannot show this, because the machine's page cache survives."""
    assert store._writing is not None

    assert store._writing.pragma("journal_mode") == "wal"
    assert store._writing.pragma("synchronous") == 2


async def test_only_its_owner_may_read_a_store(store: SqliteStore, path: Path) -> None:
    await save(store, big("p"))

    files = [file for file in path.parent.iterdir() if file.name.startswith("swarm.db")]
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


# ---- locking ---------------------------------------------------------------------------------------------------------


async def test_a_second_orchestrator_is_refused_with_the_process_that_holds_the_store(
    store: SqliteStore, path: Path
) -> None:
    with pytest.raises(StoreHeld, match=str(os.getpid())):
        await SqliteStore(str(path)).open()


async def test_the_next_orchestrator_can_open_what_the_last_one_closed(store: SqliteStore, path: Path) -> None:
    await store.close()

    following = SqliteStore(str(path))
    await following.open()
    await following.close()


async def test_the_orchestrator_notices_the_write_of_a_tool(store: SqliteStore, path: Path) -> None:
    await save(store, big("own"))
    assert not await store.changed_outside()

    tool = SqliteStore(str(path))
    await tool.open(exclusive=False)
    await save(tool, Changes(keys={"key_1": records.key("key_1")}))
    await tool.close()

    assert await store.changed_outside()
    assert not await store.changed_outside()
    async with store.begin() as transaction:
        assert (await transaction.load([("key", "key_1")]))["key", "key_1"] == records.key("key_1")


async def test_a_store_locked_by_another_process_is_unavailable_for_now(store: SqliteStore, path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable):
        await save(store, big("p"))

    other.execute("ROLLBACK")
    await save(store, big("p"))
    other.close()


async def test_a_short_lock_is_waited_for(store: SqliteStore, path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    saving = asyncio.create_task(save(store, big("p")))
    await asyncio.sleep(0.01)
    other.execute("COMMIT")
    await saving

    assert await payload(store, "p") is not None
    other.close()


# ---- errors ----------------------------------------------------------------------------------------------------------


async def test_a_store_that_may_not_grow_refuses_writes_until_it_may(store: SqliteStore) -> None:
    assert store._writing is not None
    await save(store, big("before"))
    pages = store._writing.pragma("page_count")
    store._writing.pragma("max_page_count", pages + 2)

    with pytest.raises(StoreUnavailable):
        await save(store, Changes(payloads={**big("small", 10).payloads, **big("large").payloads}))

    assert [await payload(store, name) is None for name in ("before", "small", "large")] == [False, True, True]
    store._writing.pragma("max_page_count", pages + 10_000)
    await save(store, big("large"))
    assert await payload(store, "large") is not None


async def test_a_store_recovers_from_a_full_disk(store: SqliteStore, path: Path) -> None:
    """A file size limit simulates a full disk: writes beyond it fail in the same places."""
    await save(store, big("before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    largest = max(file.stat().st_size for file in path.parent.iterdir())
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 4096, hard))
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await save(store, big("large", 1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)

    assert await payload(store, "before") is not None
    assert await payload(store, "large") is None
    await save(store, big("large", 1_000_000))
    assert await payload(store, "large") is not None


async def test_a_disk_that_old_versions_of_pages_fill_makes_room_by_itself(store: SqliteStore) -> None:
    """The write-ahead log fills the disk: it holds every version of a row until a checkpoint."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    refused = []
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        for number in range(60):
            try:
                await save(store, Changes(payloads={"p": ("tsk_1", os.urandom(100_000))}))
            except StoreUnavailable:
                refused.append(number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)

    assert refused
    assert all(after - before > 1 for before, after in itertools.pairwise(refused))
    assert refused[-1] < 59


async def test_a_commit_completes_although_nobody_waits_for_it(path: Path) -> None:
    store: SqliteStore
    saving: asyncio.Task[None]

    def crash(point: str) -> None:
        if point == "before_commit":
            saving.cancel()

    store = SqliteStore(str(path), crash=crash)
    await store.open()
    saving = asyncio.create_task(save(store, big("p")))

    with pytest.raises(asyncio.CancelledError):
        await saving

    store._crash = None
    await save(store, big("q"))
    assert await payload(store, "p") is not None
    await store.close()


async def test_there_is_a_crash_point_before_and_after_the_commit(path: Path) -> None:
    points: list[str] = []
    store = SqliteStore(str(path), crash=points.append, inline=True)
    await store.open()
    await save(store, big("p"))
    assert points == ["before_commit", "after_commit"]

    def crash(point: str) -> None:
        if point == here:
            raise KeyboardInterrupt

    store._crash = crash
    for here, kept in (("before_commit", False), ("after_commit", True)):
        with pytest.raises(KeyboardInterrupt):
            await save(store, big(here))
        assert (await store.read("payloads", {"ids": f'["{here}"]'}) != []) is kept
    store._crash = None
    await store.close()


async def test_an_inline_store_has_no_thread(path: Path) -> None:
    store = SqliteStore(str(path), inline=True)
    await store.open()
    await save(store, big("p"))

    assert store._committer is None
    await store.close()


WRITER = """
    import asyncio, sys
    from swarmkeeper.core.ports import Changes
    from swarmkeeper.storage.sqlite import SqliteStore

    async def main():
        store = SqliteStore(sys.argv[1])
        await store.open()
        for number in range(1_000_000):
            async with store.begin() as unit:
                await unit.save(Changes(payloads={f"p{number}": ("tsk_1", b"%d" % number)}))
            print(number, flush=True)

    asyncio.run(main())
"""


def test_what_was_acknowledged_survives_a_kill(path: Path, tmp_path: Path) -> None:
    """Run ten processes in turn, each killed at some moment of its work."""
    before: set[int] = set()
    program = tmp_path / "writer.py"
    program.write_text(textwrap.dedent(WRITER))
    for turn in range(10):
        command = [sys.executable, str(program), str(path)]
        process = Process(command, log=tmp_path / "writer.err", environment=os.environ)
        acknowledged = [int(process.stdout.readline()) for _ in range(20 + turn)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().splitlines() if line]
        assert process.wait(60) == -signal.SIGKILL
        process.stdout.close()

        kept = asyncio.run(_payloads(path))

        assert before | set(acknowledged) <= kept
        # One more may have been committed without being acknowledged before the kill.
        assert len(kept - before - set(acknowledged)) <= 1
        before = kept


async def _payloads(path: Path) -> set[int]:
    store = SqliteStore(str(path))
    await store.open()
    assert store._reading is not None
    found = {int(body) for (body,) in store._reading.execute("SELECT body FROM payload")}
    assert store._reading.execute("PRAGMA integrity_check").get == "ok"
    await store.close()
    return found


# ---- one connection in memory ----------------------------------------------------------------------------------------


async def test_in_memory_a_read_waits_for_the_end_of_an_open_transaction() -> None:
    store = SqliteStore(":memory:")
    await store.open()
    async with store.begin() as transaction:
        await transaction.save(big("p"))
        reading = asyncio.create_task(store.read("payloads", {"ids": '["p"]'}))
        await asyncio.sleep(0.01)
        assert not reading.done()
        with pytest.raises(AssertionError, match="within a transaction"):
            await store.read("tenants", {})

    assert len(await reading) == 1
    await store.close()


async def test_transactions_take_turns(store: SqliteStore) -> None:
    async def count(step: int) -> None:
        async with store.begin() as transaction:
            found = (await transaction.load([("payload", "n")]))["payload", "n"]
            await asyncio.sleep(0)
            await transaction.save(Changes(payloads={"n": ("tsk_1", b"%d" % (int(found or b"0") + step))}))

    await asyncio.gather(*(count(1) for _ in range(20)))

    assert await payload(store, "n") == b"20"


async def test_an_ended_transaction_cannot_be_used(store: SqliteStore) -> None:
    async with store.begin() as transaction:
        pass

    with pytest.raises(AssertionError, match="has ended"):
        await transaction.save(big("p"))


# ---- schema ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> list[Migration]:
    """A version with one more migration."""
    known = [*migrations.known(), one_more("more", "CREATE TABLE more (id TEXT PRIMARY KEY) STRICT;")]
    monkeypatch.setattr(migrations, "known", lambda: known)
    return known


def one_more(name: str, sql: str) -> Migration:
    number = migrations.known()[-1].number + 1
    return Migration(number, f"{number:04}_{name}", sql)


async def make(path: Path) -> None:
    store = SqliteStore(str(path))
    await store.open()
    await save(store, big("kept"))
    await store.close()


async def test_an_older_store_is_refused_with_advice_and_copied_before_it_is_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path)
    more = one_more("more", "CREATE TABLE more (id TEXT PRIMARY KEY) STRICT;")
    with_more = [*migrations.known(), more]
    monkeypatch.setattr(migrations, "known", lambda: with_more)

    with pytest.raises(SchemaOlder, match="swarmkeeper migrate"):
        await SqliteStore(str(path)).open()

    store = SqliteStore(str(path))
    await store.open(migrate=True)
    assert await payload(store, "kept") is not None
    await store.close()
    copy = path.with_name(f"swarm.db.before-{more.name}")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert apsw.Connection(str(copy)).execute("SELECT count(*) FROM migration").get == len(with_more) - 1
    await store.open()
    await store.close()


async def test_the_copy_before_a_migration_is_private_and_gets_its_name_when_complete(
    path: Path,
) -> None:
    await make(path)
    connection = apsw.Connection(str(path))
    seen: set[tuple[str, int]] = set()

    def look() -> bool:
        names = {file for file in path.parent.iterdir() if ".before-" in file.name}
        seen.update((file.name, stat.S_IMODE(file.stat().st_mode)) for file in names)
        return False

    connection.set_progress_handler(look, 10)
    umask = os.umask(0)
    try:
        copy = migrations.copy_beside(connection, path, one_more("more", ""))
    finally:
        os.umask(umask)

    assert {mode for _, mode in seen} == {0o600}
    assert copy.name not in {name for name, _ in seen}
    assert apsw.Connection(str(copy)).execute("SELECT count(*) FROM payload").get == 1


async def test_nothing_is_migrated_under_a_running_orchestrator(
    store: SqliteStore, path: Path, newer: list[Migration]
) -> None:
    with pytest.raises(StoreHeld):
        await SqliteStore(str(path)).open(exclusive=False, migrate=True)


async def test_a_migration_that_fails_leaves_the_store_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(path)
    broken = one_more("broken", "CREATE TABLE half (id); SELECT no_such_function();")
    with_broken = [*migrations.known(), broken]
    monkeypatch.setattr(migrations, "known", lambda: with_broken)

    with pytest.raises(apsw.SQLError):
        await SqliteStore(str(path)).open(migrate=True)

    connection = apsw.Connection(str(path))
    assert not connection.table_exists(None, "half")
    assert connection.execute("SELECT count(*) FROM migration").get == len(with_broken) - 1


async def test_a_newer_store_is_refused(path: Path, newer: list[Migration], monkeypatch: pytest.MonkeyPatch) -> None:
    await make(path)
    monkeypatch.setattr(migrations, "known", lambda: newer[:1])

    for migrate in (False, True):
        with pytest.raises(SchemaNewer):
            await SqliteStore(str(path)).open(migrate=migrate)


async def test_a_newer_store_that_says_so_is_used_by_this_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(path)
    known = migrations.known()
    adds = f"-- runs from: schema {known[-1].number}\nALTER TABLE task ADD COLUMN mood TEXT;"
    later = one_more("adds", adds)
    again = Migration(later.number + 1, "again", f"-- runs from: schema {later.number}\nDROP INDEX work_of_task;")

    monkeypatch.setattr(migrations, "known", lambda: [*known, later])
    store = SqliteStore(str(path))
    await store.open(migrate=True)
    await store.close()
    monkeypatch.setattr(migrations, "known", lambda: known)
    store = SqliteStore(str(path))
    await store.open()
    await save(store, big("more"))
    assert await payload(store, "kept") is not None
    await store.close()

    monkeypatch.setattr(migrations, "known", lambda: [*known, later, again])
    store = SqliteStore(str(path))
    await store.open(migrate=True)
    await store.close()
    monkeypatch.setattr(migrations, "known", lambda: known)
    with pytest.raises(SchemaNewer):  # the second one does not say so of this version
        await SqliteStore(str(path)).open()


async def test_a_store_that_does_not_record_who_can_use_it_is_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(path)
    connection = apsw.Connection(str(path))
    connection.execute("ALTER TABLE migration DROP COLUMN runs_from")
    connection.close()
    known = [*migrations.known(), one_more("adds", "-- runs from: schema 3\nSELECT 1;")]
    await (store := SqliteStore(str(path))).open()
    await store.close()
    monkeypatch.setattr(migrations, "known", lambda: known)

    await (store := SqliteStore(str(path))).open(migrate=True)

    found = store.connection.execute("SELECT runs_from FROM migration ORDER BY number").fetchall()
    assert found == [(None,)] * (len(known) - 1) + [(3,)]
    await store.close()


async def test_a_store_with_another_history_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await make(path)
    first, *later = migrations.known()
    altered = [Migration(1, first.name, first.sql + "\n-- changed"), *later]
    monkeypatch.setattr(migrations, "known", lambda: altered)

    with pytest.raises(SchemaAltered, match=first.name):
        await SqliteStore(str(path)).open(migrate=True)


async def test_several_processes_can_create_the_same_store_at_once(path: Path) -> None:
    stores = [SqliteStore(str(path)) for _ in range(3)]
    for store in stores:
        await store.open(exclusive=False)

    assert len({(await store.start()).pepper for store in stores}) == 1
    for store in stores:
        await store.close()
