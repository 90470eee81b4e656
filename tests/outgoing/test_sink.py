"""The cursor of a sink in both stores, and which events are missing before it."""

import asyncio

import pytest

from swarmkeeper.core import named_reads
from swarmkeeper.core.named_reads import FeedGapRow, fetch
from swarmkeeper.outgoing.publisher import missing
from swarmkeeper.storage.opening import store_at
from tests.support.postgres import server as postgres


async def test_a_cursor_moves_forward_and_never_back_and_outlives_the_store(store_url: str) -> None:
    store = store_at(store_url)
    await store.open()
    cursors = [await store.keep_sink("a", "me", seq, seconds=9) for seq in (0, 5, 5, 3, 7, 0)]
    other = await store.keep_sink("b", "me", 2, seconds=9)
    await store.close()
    await store.open()
    after = await store.keep_sink("a", "me", 0, seconds=9)
    (row,) = await fetch(store, named_reads.SINK, name="a")
    (unknown,) = await fetch(store, named_reads.SINK, name="c")
    await store.close()

    assert cursors == [0, 5, 5, 5, 7, 7]
    assert (other, after, row.seq, unknown.seq) == (2, 7, 7, 0)


async def test_one_of_several_servers_owns_a_sink_until_its_time_is_over_or_it_lets_go() -> None:
    store = store_at(await asyncio.to_thread(postgres().new_store))
    await store.open()
    try:
        assert await store.keep_sink("a", "one", 4, seconds=30) == 4
        assert await store.keep_sink("a", "two", 9, seconds=30) is None
        assert await store.keep_sink("a", "one", 6, seconds=30) == 6
        assert await store.keep_sink("a", "one", 7, seconds=0) == 7
        assert await store.keep_sink("a", "two", 0, seconds=0.2) == 7
        assert await store.keep_sink("a", "one", 9, seconds=30) is None
        await asyncio.sleep(0.3)
        assert await store.keep_sink("a", "one", 0, seconds=30) == 7
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("after", "numbers", "gaps", "found"),
    [
        (0, [1, 2, 3], [], []),
        (0, [4, 5], [], [(1, 3, 3)]),
        (3, [4, 6, 7, 10], [], [(5, 5, 1), (8, 9, 2)]),
        (9, [8, 9, 10, 12], [], [(11, 11, 1)]),
        (3, [1001], [(3, 1000)], []),
        (1, [1003], [(3, 1000)], [(2, 1002, 4)]),
        (5, [2001], [(5, 1000), (1000, 2000)], []),
    ],
)
def test_missing_numbers_are_counted_but_not_those_that_no_event_ever_had(
    after: int, numbers: list[int], gaps: list[tuple[int, int]], found: list[tuple[int, int, int]]
) -> None:
    assert missing(after, numbers, [FeedGapRow(*gap) for gap in gaps]) == found
