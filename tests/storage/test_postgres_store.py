"""Two replicas on one PostgreSQL: locks between them, lost connections, and who numbers events."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from swarmkeeper.cli.admin.store import _examine as examine
from swarmkeeper.cli.framework.terminal import CliError
from swarmkeeper.core.ports import Changes, RowsBusy, StaleVersion, StoreUnavailable
from swarmkeeper.settings import Settings
from swarmkeeper.storage.opening import shown, store_at
from swarmkeeper.storage.postgres import PostgresStore, connections
from swarmkeeper.storage.postgres import sequencer as sequencer_module
from swarmkeeper.storage.postgres import store as store_module
from swarmkeeper.storage.postgres.loading import BulkLoading
from swarmkeeper.storage.postgres.transaction import PostgresTransaction
from swarmkeeper.storage.refusals import StoreHeld, StoreRefused
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import load, of_one_task, save
from tests.support.postgres import PostgresServer


@pytest_asyncio.fixture
async def first(database: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(database)
    await store.open()
    yield store
    await store.close()


@pytest_asyncio.fixture
async def second(first: PostgresStore, database: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(database)
    await store.open()
    yield store
    await store.close()


@pytest_asyncio.fixture
async def admin(database: str) -> "AsyncIterator[asyncpg.Connection]":
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def sequences(store: PostgresStore) -> list[tuple[int, int]]:
    """Return the events' numbers, and their order within the task."""
    await store._wait_for_sequencer()
    rows = await store.read("events_after", {"after": 0, "limit": 10_000})
    return [(row["seq"], row["sequence"]) for row in rows]


async def eventually(what: Any, is_so: Any) -> None:
    async with asyncio.timeout(20):
        found = await what()
        while not is_so(found):
            await asyncio.sleep(0.02)
            found = await what()


# ---- locks -----------------------------------------------------------------------------------------------------------


async def test_the_first_load_waits_for_another_replica_and_sees_what_it_has_done(
    first: PostgresStore, second: PostgresStore
) -> None:
    await save(first, of_one_task(records.work()))
    loaded = asyncio.Event()

    async def read_by_the_second() -> Any:
        async with second.begin() as transaction:
            loaded.set()
            return (await transaction.load([("work", "sub_1")]))["work", "sub_1"]

    async with first.begin() as transaction:
        await transaction.load([("task", "tsk_1")])
        reading = asyncio.create_task(read_by_the_second())
        await loaded.wait()
        await transaction.save(Changes(works={"sub_1": records.work(version=2, attempt=7)}))
        await asyncio.sleep(0.1)
        assert not reading.done()

    assert (await reading).attempt == 7


@pytest.mark.parametrize(
    "need",
    [
        ("task", "tsk_1"),
        ("work", "sub_1"),
        ("lease_id", "lse_1"),
        ("leases_of_bot", "bot_1"),
        ("attempt", "lse_old_1"),
        ("approval", "apr_1"),
        ("children", ("sub_1", "", 9)),
        ("open_works", ("tsk_1", "", 9)),
        ("claim", ("bot_1", "c")),
        ("idempotency", ("acme", "k")),
    ],
    ids=lambda need: need[0],
)
async def test_a_later_load_never_waits_for_what_another_replica_has(
    first: PostgresStore, second: PostgresStore, need: tuple[str, Any]
) -> None:
    await save(
        first,
        of_one_task(
            records.work(),
            leases={"sub_1": records.lease()},
            attempts=[records.attempt(attempt=9)],
            approvals={"apr_1": records.approval()},
        ),
    )

    async with first.begin() as transaction:
        await transaction.load([need])
        async with second.begin() as other, asyncio.timeout(5):
            await other.load([("task", "tsk_2")])
            with pytest.raises(RowsBusy) as busy:
                await other.load([need])

    async with second.begin() as again:
        await again.load(busy.value.needs)


async def test_items_timers_and_jobs_of_tasks_that_another_replica_has_are_left_out(
    first: PostgresStore, second: PostgresStore
) -> None:
    for number in (1, 2):
        work = records.work(id=f"sub_{number}", task=f"tsk_{number}", key="a")
        await save(
            first,
            of_one_task(
                work,
                ready={work.id: records.ready(work.id, task=work.task, position=number)},
                timers={("start", work.id): 5, ("wake", work.id): 6, ("deadline", work.task): 7, ("line", "k"): 8},
                jobs={f"chr_{number}": records.job(f"chr_{number}", task=work.task)},
            ),
        )

    async with first.begin() as transaction:
        await transaction.load([("task", "tsk_1")])
        async with second.begin() as other:
            assert [entry.work for entry in await other.queue_entries("acme", "", 1, 5, 9)] == ["sub_2"]
            assert [entry.work for entry in await other.queue_entries("acme", "", 1, 5, 1)] == ["sub_2"]
            timers = [(timer.kind, timer.ref) for timer in await other.due(99, 9)]
            assert timers == [("start", "sub_2"), ("wake", "sub_2"), ("deadline", "tsk_2"), ("line", "k")]
            assert [timer.ref for timer in await other.due(99, 1)] == ["sub_2"]
            assert [job.task for job in await other.next_jobs(9, "", "acme")] == ["tsk_2"]
            assert [job.task for job in await other.next_jobs(1, "", "acme")] == ["tsk_2"]
            # What it could get, it has: the other way round, nothing is left.
            assert await transaction.queue_entries("acme", "", 1, 5, 9) == [
                records.ready("sub_1", task="tsk_1", position=1)
            ]


def interrupt(transaction: PostgresTransaction, monkeypatch: pytest.MonkeyPatch, *doing: Awaitable[None]) -> None:
    """Do this between the next read of the transaction and the lock that it takes then."""
    take, left = transaction._locks.take_free, list(doing)

    async def take_after_that(names: Any) -> set[str]:
        while left:
            await left.pop()
        return await take(names)

    monkeypatch.setattr(transaction._locks, "take_free", take_after_that)


async def test_an_item_that_another_replica_has_handed_out_meanwhile_is_not_offered(
    first: PostgresStore, second: PostgresStore, admin: "asyncpg.Connection"
) -> None:
    await save(first, of_one_task(records.work(), ready={"sub_1": records.ready()}))

    async with second.begin() as transaction:
        await admin.execute("BEGIN")
        await admin.execute("DELETE FROM ready")
        reading = asyncio.create_task(transaction.queue_entries("acme", "", 1, 5, 9))  # it still sees the item
        await eventually(lambda: admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"), bool)
        await admin.execute("COMMIT")
        assert await reading == []


async def test_a_timer_or_job_that_another_replica_has_processed_meanwhile_is_left_out(
    first: PostgresStore, second: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = records.job()
    await save(first, of_one_task(records.work(), timers={("wake", "sub_1"): 5}, jobs={job.id: job}))

    async with second.begin() as transaction:
        interrupt(transaction, monkeypatch, save(first, Changes(timers={("wake", "sub_1"): None})))
        assert await transaction.due(9, 9) == []
    async with second.begin() as transaction:
        interrupt(transaction, monkeypatch, save(first, Changes(jobs={job.id: None})))
        assert await transaction.next_jobs(9, "", "acme") == []


async def test_what_a_load_finds_is_as_it_is_once_it_is_locked(
    first: PostgresStore, second: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save(first, of_one_task(records.work()))
    granted = Changes(leases={"sub_1": records.lease()})
    changed = Changes(works={"sub_1": records.work(version=2, attempt=1)})

    async with second.begin() as transaction:
        load, waited = BulkLoading.load, transaction._locks.waited

        async def load_and_be_late(self: BulkLoading, needs: Any, locks: Any) -> Any:
            found = await load(self, needs, locks)
            if locks is not None:
                await save(first, granted)
            return found

        monkeypatch.setattr(BulkLoading, "load", load_and_be_late)
        monkeypatch.setattr(transaction._locks, "waited", lambda found: waited(found) and False)
        interrupt(transaction, monkeypatch, save(first, changed))
        found = await transaction.load([("leases_of_bot", "bot_1")])

    assert found["leases_of_bot", "bot_1"] == ["sub_1"]
    assert found["work", "sub_1"].attempt == 1


async def test_two_replicas_that_make_one_record_do_not_both_succeed(
    first: PostgresStore, second: PostgresStore
) -> None:
    bot = records.bot()
    await save(first, Changes(bots={bot.id: bot}))

    with pytest.raises(StaleVersion):
        await save(second, Changes(bots={"bot_9": dataclasses.replace(bot, id="bot_9")}))


async def test_all_replicas_decide_at_the_servers_time(first: PostgresStore, second: PostgresStore) -> None:
    times = []
    for store in (first, second, first):
        async with store.begin() as transaction:
            await transaction.load([("task", "tsk_1")])
            times.append(await transaction.now(0))

    assert times == sorted(times)
    assert times[-1] - times[0] < 60_000_000


async def test_the_stores_time_is_not_set_back_while_another_orchestrator_runs(
    first: PostgresStore, second: PostgresStore
) -> None:
    await save(first, Changes(alive_at=1_000))
    with pytest.raises(StoreHeld):
        await first.set_back(10, 500)
    assert (await first.start()).alive_at == 1_000

    await second.close()
    await first.set_back(10, 500)

    assert (await first.start()).alive_at == 990
    await second.open()


# ---- lost connections ------------------------------------------------------------------------------------------------

TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


TERMINATE_SEQUENCER = f"{TERMINATE} AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"


async def test_a_store_recovers_by_itself_after_all_its_connections_were_lost(
    first: PostgresStore, admin: "asyncpg.Connection"
) -> None:
    await save(first, Changes(events=[records.event(1)]))
    assert len(await sequences(first)) == 1

    await admin.execute(TERMINATE)

    await save(first, Changes(events=[records.event(2)]))
    await eventually(lambda: sequences(first), lambda found: len(found) == 2)


async def test_a_transaction_whose_connection_is_lost_did_nothing(
    first: PostgresStore, admin: "asyncpg.Connection"
) -> None:
    async def write() -> None:
        async with first.begin() as transaction:
            await transaction.save(of_one_task(records.work()))
            await admin.execute(TERMINATE)

    with pytest.raises(StoreUnavailable):
        await write()

    assert await load(first, ("work", "sub_1")) == [None]


class Cutting:
    """A door to the server that closes after the server has got a commit, before the client gets the answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.armed = False

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        return f"postgresql://postgres@127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(
            self._forward(reader, to_server[1], cuts=writer), self._forward(to_server[0], writer, cuts=None)
        )

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cuts: asyncio.StreamWriter | None
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if cuts is not None and self.armed and b"COMMIT" in data:
                    self.armed = False
                    cuts.transport.abort()
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_a_commit_whose_answer_was_lost_counts_as_what_it_was(postgres: PostgresServer, database: str) -> None:
    cutting = Cutting(postgres.port)
    async with cutting as address:
        store = PostgresStore(f"{address}/{database.rpartition('/')[2]}")
        await store.open(exclusive=False)
        cutting.armed = True

        await save(store, of_one_task(records.work(), events=[records.event(1)]))

        assert not cutting.armed
        assert await load(store, ("work", "sub_1")) == [records.work()]
        await store.close()


@pytest.mark.parametrize(("chosen", "kept"), [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")])
async def test_a_commit_waits_for_the_disk_whatever_is_set_for_the_database(
    database: str, chosen: str, kept: str
) -> None:
    admin = await asyncpg.connect(database)
    await admin.execute(f"ALTER DATABASE {database.rpartition('/')[2]} SET synchronous_commit = {chosen}")
    store = PostgresStore(database)
    try:
        await store.open()
        async with store.begin() as transaction:
            assert await transaction._execution.connection.fetchval("SHOW synchronous_commit") == kept
        assert await (await store._connect_sequencer()).fetchval("SHOW synchronous_commit") == kept
    finally:
        await store.close()
        await admin.execute(f"ALTER DATABASE {database.rpartition('/')[2]} RESET synchronous_commit")
        await admin.close()


async def test_a_server_that_cannot_be_reached_is_unavailable(database: str) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await PostgresStore("postgresql://postgres@127.0.0.1:1/none").open()


# ---- events ----------------------------------------------------------------------------------------------------------


async def test_one_of_two_replicas_numbers_the_events_of_both_and_the_other_follows_it(
    first: PostgresStore, second: PostgresStore, admin: "asyncpg.Connection"
) -> None:
    for number, store in enumerate((first, second, first, second), 1):
        await save(store, Changes(events=[records.event(number)], leaves=[records.leaf(number)]))
    assert await sequences(second) == [(each, each) for each in (1, 2, 3, 4)]

    await first.close()  # it was the first to own the lock
    await save(second, Changes(events=[records.event(5)], leaves=[records.leaf(5)]))

    await eventually(lambda: sequences(second), lambda found: found == [(each, each) for each in (1, 2, 3, 4, 5)])
    (head,) = await second.read("audit_head", {"tenant": "acme"})
    assert head["size"] == 5
    await first.open()


async def test_events_get_their_numbers_also_if_their_sequencer_is_killed(
    first: PostgresStore, admin: "asyncpg.Connection"
) -> None:
    async def write() -> None:
        number = 1
        while number < 60:  # what also loses its connection is saved again: a task's events have no gaps
            with suppress(StoreUnavailable):
                await save(first, Changes(events=[records.event(number)], stored={"acme": 1}))
                number += 1

    writing = asyncio.create_task(write())
    for _ in range(5):
        await asyncio.sleep(0.05)
        await admin.execute(TERMINATE_SEQUENCER)
    await writing

    async def none_waits() -> bool:
        return not await admin.fetchval("SELECT count(*) FROM outbox")

    await eventually(none_waits, bool)
    found = await sequences(first)
    assert [seq for seq, _ in found] == list(range(1, len(found) + 1))
    assert [sequence for _, sequence in found] == sorted({sequence for _, sequence in found})
    stored = await admin.fetchval("SELECT stored_bytes FROM tenant")
    assert stored == len(found)


async def test_nothing_more_is_written_while_too_many_events_wait_for_their_numbers(
    first: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "OUTBOX_MAX", 3)
    sequencer = first._sequencer
    assert sequencer is not None
    await sequencer.stop()
    for number in range(1, 5):
        await save(first, Changes(events=[records.event(number)]))

    await first.look()
    with pytest.raises(StoreUnavailable, match="4 transactions wait until their events are numbered"):
        await save(first, Changes(events=[records.event(5)]))
    sequencer.start()

    async def written() -> bool:
        await first.look()
        with suppress(StoreUnavailable):
            await save(first, Changes(events=[records.event(5)]))
            return True
        return False

    await eventually(written, bool)
    assert await sequences(first) == [(number, number) for number in range(1, 6)]


async def test_a_sequencer_that_stands_still_loses_its_place(
    first: PostgresStore, second: PostgresStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer_module, "_FROZEN", 300_000)
    for store in (first, second):
        assert store._sequencer is not None
        await store._sequencer.stop()
    frozen = await asyncpg.connect(database)  # as of a process that was stopped: it has the lock, and does nothing
    assert await frozen.fetchval(sequencer_module._OWN)
    await save(first, Changes(events=[records.event(1)]))
    assert second._sequencer is not None
    second._sequencer.start()

    await eventually(lambda: sequences(second), bool)

    assert await sequences(second) == [(1, 1)]
    assert frozen.is_closed()
    assert second._sequencer.owns


async def test_the_doctor_examines_no_moment_in_which_events_have_no_numbers(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = PostgresStore(database)
    await tool.open(exclusive=False)
    frozen = await asyncpg.connect(database)
    assert await frozen.fetchval(sequencer_module._OWN)
    await save(tool, of_one_task(records.work(), events=[records.event(1)]))

    with monkeypatch.context() as hurried:
        hurried.setattr(store_module, "_SECONDS_FOR_QUIET", 0.1)
        with pytest.raises(CliError, match="there is no moment in which all events have their numbers"):
            await examine(Settings(store=database), deep=True)
    await frozen.close()
    await examine(Settings(store=database), deep=True)
    await tool.close()


async def test_the_events_of_a_tool_are_read_although_no_orchestrator_runs(database: str) -> None:
    tool = PostgresStore(database)
    await tool.open(exclusive=False)

    await save(tool, Changes(events=[records.event(1)]))

    assert await sequences(tool) == [(1, 1)]
    await tool.close()


async def test_a_tenants_usage_is_loaded_with_what_the_sequencer_has_not_added_yet(database: str) -> None:
    tool = PostgresStore(database)
    await tool.open(exclusive=False)
    await save(tool, Changes(opened={"acme": 3}, stored={"acme": 5}))
    await save(tool, Changes(opened={"acme": -1}, opened_subtasks={"acme": 2}))

    (before,) = await load(tool, ("tenant", "acme"))
    (row,) = await tool.read("tenant_row", {"tenant": "acme"})  # waits, and so has them added
    (after,) = await load(tool, ("tenant", "acme"))

    assert (before.open_tasks, before.open_subtasks, before.stored_bytes) == (2, 2, 5)
    assert (row["open_tasks"], row["open_subtasks"], row["stored_bytes"]) == (2, 2, 5)
    assert after == before
    await tool.close()


async def test_a_sequencer_that_fails_says_why_and_goes_on(
    first: PostgresStore, admin: "asyncpg.Connection", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SECONDS_TO_PLACE", 0.01)
    await save(first, Changes(events=[records.event(2)]))
    await eventually(lambda: sequences(first), lambda found: len(found) == 1)
    await save(first, Changes(events=[records.event(2)]))  # a second event with one number: a bug, if it happens

    async def damage() -> str:
        return first.damage

    await eventually(damage, lambda said: "events cannot be numbered" in said)
    await admin.execute("DELETE FROM event")
    await eventually(damage, lambda said: said == "")


async def test_writes_of_others_are_noticed(first: PostgresStore, second: PostgresStore) -> None:
    assert not await first.changed_outside()

    await save(first, Changes(events=[records.event(1)]))
    assert not await first.changed_outside()
    await save(second, Changes(events=[records.event(2)]))
    assert await first.changed_outside()
    assert not await first.changed_outside()


# ---- opening ---------------------------------------------------------------------------------------------------------


async def refused(opening: Awaitable[None]) -> str:
    with pytest.raises(StoreRefused) as error:
        await opening
    return str(error.value)


async def test_a_database_that_cannot_be_the_store_is_refused(
    postgres: PostgresServer, database: str, admin: "asyncpg.Connection"
) -> None:
    assert "does not exist" in await refused(PostgresStore(postgres.url("none")).open())
    assert "it is empty" in await refused(PostgresStore(database).open(create=False))
    await admin.execute("CREATE TABLE other (x int)")
    assert "another program" in await refused(PostgresStore(database).open())


async def test_two_replicas_that_create_the_schema_at_once_create_it_once(database: str) -> None:
    stores = [PostgresStore(database) for _ in range(3)]

    await asyncio.gather(*(store.open() for store in stores))

    peppers = {(await store.start()).pepper for store in stores}
    assert len(peppers) == 1
    for store in stores:
        await store.close()


def test_a_store_is_made_of_its_address() -> None:
    assert isinstance(store_at("postgresql://ann@db/swarm"), PostgresStore)
    assert isinstance(store_at("postgres://ann@db/swarm"), PostgresStore)
    assert not isinstance(store_at("swarm.db"), PostgresStore)
    with pytest.raises(StoreRefused):
        store_at("mysql://db/swarm")


def test_nobody_sees_the_password_of_an_address() -> None:
    assert shown("postgresql://ann:secret@db:5432/swarm?password=secret&sslmode=require") == (
        "postgresql://ann@db:5432/swarm?sslmode=require"
    )
    assert shown("postgresql://ann:secret@db-1,[::1]:5433/swarm?sslpassword=secret") == (
        "postgresql://ann@db-1,[::1]:5433/swarm"
    )
    assert shown("sqlite:///swarm.db") == "sqlite:///swarm.db"
    assert shown("swarm.db") == "swarm.db"
    assert shown("C:/swarm.db") == "C:/swarm.db"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:se/cret@db/swarm",
        "postgresql://ann:se?cret@db/swarm",
        "postgresql://ann:se#cret@db/swarm",
        "postgresql://ann:5/cret@db/swarm",
        "postgresql://ann:5?a=cret@db/swarm",
        "postgresql://ann:5#cret@db/swarm",
        "postgresql://ann@db:cret/swarm",
        "postgresql://ann:cret@[::1/swarm",
    ],
)
async def test_an_address_with_a_password_that_is_not_escaped_is_refused_and_no_part_of_it_is_told(
    address: str,
) -> None:
    for attempt in (lambda: _opened(address), lambda: connections.connect(address, writing=True)):
        with pytest.raises(StoreRefused) as refused:
            await attempt()
        assert "cret" not in str(refused.value)
        assert "%2F" in str(refused.value)
    assert shown(address) == "postgresql:…"


async def _opened(address: str) -> None:
    await store_at(address).open(create=False)


@pytest.mark.parametrize("address", ["postgresql:ann:cret@db", "POSTGRESQL://ann:cret@db", "postgres+x://ann:cret@db"])
def test_what_looks_like_the_address_of_a_database_names_no_file(address: str) -> None:
    with pytest.raises(StoreRefused) as refused:
        store_at(address)

    assert "postgresql://" in str(refused.value)
    assert "cret" not in str(refused.value) + shown(address)
