"""The cache of payloads has those just written, within limits, and is never older than the store."""

from collections.abc import AsyncIterator

import pytest

from swarmkeeper.core.ports import Changes
from swarmkeeper.reads import payload_cache as module
from swarmkeeper.reads.payload_cache import KEPT_BYTES_MAX, PayloadCache
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.testing import records

Payloads = dict[str, tuple[str, bytes] | None]


class Store(SqliteStore):
    """A store that counts the payloads read from it."""

    asked = 0

    async def read(self, name: str, parameters):  # type: ignore[no-untyped-def]  # as in SqliteStore
        self.asked += name == "payloads"
        return await super().read(name, parameters)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = Store(":memory:")
    await store.open()
    async with store.begin() as transaction:
        await transaction.save(Changes(tasks={"tsk_1": records.task()}))
    yield store
    await store.close()


async def write(store: Store, bodies: PayloadCache, payloads: Payloads) -> None:
    async with store.begin() as transaction:
        await transaction.save(Changes(payloads=payloads))
    bodies.committed(payloads)


async def test_a_payload_just_written_is_not_read_from_the_store(store: Store) -> None:
    bodies = PayloadCache(store)
    await write(store, bodies, {"a": ("tsk_1", b"1")})

    assert await bodies.of(["a", None, "a"]) == {"a": b"1"}
    assert store.asked == 0


async def test_large_payloads_and_those_of_another_run_are_read(store: Store) -> None:
    large = b'"' + b"x" * KEPT_BYTES_MAX + b'"'
    await write(store, PayloadCache(store), {"old": ("tsk_1", b"0")})
    bodies = PayloadCache(store)
    await write(store, bodies, {"large": ("tsk_1", large)})

    assert await bodies.of(["old", "large", "none"]) == {"old": b"0", "large": large}
    assert store.asked == 1


async def test_replaced_or_removed_payloads_are_not_returned(store: Store) -> None:
    bodies = PayloadCache(store)
    await write(store, bodies, {"a": ("tsk_1", b"1"), "b": ("tsk_1", b"1"), "c": ("tsk_1", b"1")})
    large = b'"' + b"x" * KEPT_BYTES_MAX + b'"'

    await write(store, bodies, {"a": ("tsk_1", b"2"), "b": None, "c": ("tsk_1", large)})

    assert await bodies.of(["a", "b", "c"]) == {"a": b"2", "c": large}


async def test_the_cache_is_bounded_and_drops_the_oldest_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES_IN_ALL", 10 * 251)
    bodies = PayloadCache(store)
    for number in range(11):
        await write(store, bodies, {str(number): ("tsk_1", b"1")})

    await bodies.of([str(number) for number in range(1, 11)])
    kept = store.asked
    await bodies.of(["0"])

    assert (kept, store.asked) == (0, 1)
