"""The virtual loop: asyncio works on it as usual, its time is virtual, and nothing depends on the machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.loop import Deadlock, Host, VirtualLoop, virtual_loop

SECOND = 1_000_000


@pytest.fixture
def loop() -> VirtualLoop:
    return virtual_loop()


def test_time_moves_only_when_nothing_is_ready(loop: VirtualLoop) -> None:
    async def many_steps() -> int:
        for _ in range(1_000):
            await asyncio.sleep(0)
        return loop.now

    assert loop.run_until_complete(many_steps()) == 0


def test_timers_fire_in_the_order_of_time_and_then_of_creation(loop: VirtualLoop) -> None:
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, loop.now))

    async def all_of_them() -> None:
        await asyncio.gather(sleeper("c", 2), sleeper("a", 1), sleeper("d", 2), sleeper("b", 1.5))

    loop.run_until_complete(all_of_them())

    assert woken == [("a", SECOND), ("b", 1_500_000), ("c", 2 * SECOND), ("d", 2 * SECOND)]


def test_timeouts_events_groups_and_waits_work_as_usual(loop: VirtualLoop) -> None:
    async def story() -> list[Any]:
        found: list[Any] = []
        event = asyncio.Event()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await event.wait()
        found.append(loop.now)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event.wait(), 1)
        async with asyncio.TaskGroup() as group:
            waiter = group.create_task(event.wait())
            group.create_task(asyncio.sleep(2)).add_done_callback(lambda done: event.set())
        found += [waiter.result(), loop.now]
        done, left = await asyncio.wait({asyncio.ensure_future(asyncio.sleep(n)) for n in (1, 3)}, timeout=2)
        found += [len(done), len(left), loop.now]
        queue: asyncio.Queue[int] = asyncio.Queue()
        loop.call_later(4, queue.put_nowait, 7)
        found += [await queue.get(), loop.now]
        return found

    assert loop.run_until_complete(story()) == [
        5 * SECOND,
        True,
        8 * SECOND,
        1,
        1,
        10 * SECOND,
        7,
        14 * SECOND,
    ]


def test_run_for_ends_exactly_on_time_after_all_due_callbacks(loop: VirtualLoop) -> None:
    seen: list[int] = []
    for moment in (1.0, 2.0, 2.000_001):
        loop.call_later(moment, lambda: seen.append(loop.now))

    loop.run_for(2 * SECOND)

    assert (seen, loop.now) == ([SECOND, 2 * SECOND], 2 * SECOND)
    loop.run_for(1)
    assert seen[-1] == 2_000_001


def test_a_cancelled_timer_does_not_move_the_time(loop: VirtualLoop) -> None:
    loop.call_later(10, lambda: None).cancel()

    loop.run_for(0)

    with pytest.raises(Deadlock):
        loop.run_until_complete(asyncio.Event().wait())
    assert loop.now == 0


def test_an_error_is_raised_where_its_task_is_awaited(loop: VirtualLoop) -> None:
    async def fail() -> None:
        raise ValueError("so")

    with pytest.raises(ValueError, match="so"):
        loop.run_until_complete(fail())


def test_a_function_for_an_executor_runs_at_once_in_the_same_thread(loop: VirtualLoop) -> None:
    import threading

    async def story() -> tuple[int, int]:
        return await asyncio.to_thread(threading.get_ident), threading.get_ident()

    there, here = loop.run_until_complete(story())
    assert there == here


def test_call_soon_threadsafe_wakes_the_loop(loop: VirtualLoop) -> None:
    woken = asyncio.Event()

    async def waits() -> None:
        await loop.run_in_executor(None, loop.call_soon_threadsafe, woken.set)
        await woken.wait()

    loop.run_until_complete(waits())


def test_an_error_in_an_executor_is_raised_to_the_caller(loop: VirtualLoop) -> None:
    async def story() -> None:
        await loop.run_in_executor(None, int, "x")

    with pytest.raises(ValueError):
        loop.run_until_complete(story())


def test_a_stall_lets_time_pass_without_anything_running(loop: VirtualLoop) -> None:
    seen: list[int] = []
    for moment in (1, 2):
        loop.call_later(moment, lambda: seen.append(loop.now))

    loop.stall(5 * SECOND)
    assert seen == []
    loop.run_for(0)

    assert seen == [5 * SECOND, 5 * SECOND]


def test_a_dead_host_runs_no_more_code_not_even_cleanup(loop: VirtualLoop) -> None:
    seen: list[str] = []
    host = Host(loop)

    async def child() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            seen.append("child cleaned up")

    async def life() -> None:
        below = asyncio.ensure_future(child())
        try:
            await below
        finally:
            seen.append("cleaned up")

    task = host.spawn(life())
    loop.run_for(SECOND // 2)
    host.die()
    loop.run_for(10 * SECOND)

    assert (seen, task.done()) == ([], False)


def test_the_death_of_one_host_does_not_affect_another(loop: VirtualLoop) -> None:
    first, other = Host(loop), Host(loop)
    tasks = [host.spawn(asyncio.sleep(1, "woke")) for host in (first, other)]
    loop.run_for(0)

    first.die()
    loop.run_for(2 * SECOND)

    assert [task.done() for task in tasks] == [False, True]


def test_a_jump_of_the_wall_clock_does_not_move_the_monotonic_one(loop: VirtualLoop) -> None:
    clock = VirtualClock(loop)
    wall = clock.now()

    clock.jump(-3600 * SECOND)
    loop.run_until_complete(clock.sleep(5 * SECOND))

    assert (clock.now() - wall, clock.monotonic()) == (-3595 * SECOND, 5 * SECOND)


def test_a_clock_may_run_too_fast_for_a_time_and_never_runs_back(loop: VirtualLoop) -> None:
    clock = VirtualClock(loop)
    shown = [clock.monotonic()]

    for parts in (200_000, -200_000, 0):
        clock.skew(parts)
        shown.append(clock.monotonic())
        loop.run_for(10 * SECOND)
        shown.append(clock.monotonic())

    assert [moment // SECOND for moment in shown] == [0, 0, 12, 12, 20, 20, 30]
