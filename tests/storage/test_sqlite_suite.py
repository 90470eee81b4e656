"""SQLite passes the store suite: in memory, without keeping rows, in a file, without threads, and encrypted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.testing.store_suite import DurableStoreSuite, StoreSuite
from tests.support.at_rest import WITH_BODIES, WatchedCodec, bodies, leave_out_what_has_no_body


class TestSqliteWithoutKeptRows(StoreSuite):
    @pytest.fixture
    def store(self) -> SqliteStore:
        return SqliteStore(":memory:", keep_bytes=0)


class TestSqliteInMemory(StoreSuite):
    @pytest.fixture
    def store(self) -> SqliteStore:
        return SqliteStore(":memory:")


class TestSqliteInAFile(DurableStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SqliteStore]:
        codec = WatchedCodec()
        yield SqliteStore(f"sqlite:///{tmp_path}/swarm.db", bodies=codec)
        assert not codec.wrote or request.function.__name__ in WITH_BODIES, "run it on encrypted stores, too"


class TestSqliteInAFileWithoutThreads(DurableStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(f"sqlite:///{tmp_path}/swarm.db", inline=True)


class TestSqliteEncrypted(DurableStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(f"sqlite:///{tmp_path}/swarm.db", keep_bytes=0, bodies=bodies())


leave_out_what_has_no_body(TestSqliteEncrypted)
