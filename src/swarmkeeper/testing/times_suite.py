"""The part of `StoreSuite` about time: starts, the grace period after a stop, clock changes, and timers."""

from __future__ import annotations

import dataclasses

import pytest

from swarmkeeper.core.model import LeaseRecord, Queue, Timer, Work
from swarmkeeper.core.ports import Changes, Store
from swarmkeeper.core.states import Kind
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import load, of_one_task, save, save_and_raise

TIMES_OF = {work: [("lease", work), ("ends", work)] for work in "abc"}
ENDS = [("ends", work, 9) for work in "abc"]


async def due(store: Store) -> list[tuple[str, str, int]]:
    async with store.begin() as transaction:
        return [(timer.kind, timer.ref, timer.due) for timer in await transaction.due(1 << 60, 99)]


@pytest.mark.asyncio
class TimesSuite:
    """Uses the fixtures of StoreSuite."""

    # ---- starting ----------------------------------------------------------------------------------------------------

    async def test_a_new_store_starts_with_nothing_but_its_keys(self, opened: Store) -> None:
        started = await opened.start()

        assert len(started.pepper) == len(started.cursor_key) == 32
        assert started.pepper != started.cursor_key
        assert dataclasses.replace(started, pepper=b"", cursor_key=b"") == records.NOTHING_STARTED

    async def test_a_start_returns_what_the_engine_keeps_in_memory(self, opened: Store) -> None:
        queues = [Queue(1, Kind.PLAN, ()), Queue(2, Kind.EXECUTE, ("a", "b"), "worker")]
        works = [records.work(id=f"sub_{n}", key=f"k{n}") for n in (1, 2)]
        leases = {work.id: records.lease(work.id, cancelled=work.id == "sub_2") for work in works}
        await save(opened, of_one_task(*works, leases=leases, queues=queues, alive_at=77))

        started = await opened.start()

        assert started.queues == tuple(queues)
        assert started.alive_at == 77

    async def test_grace_raises_what_silence_causes_and_never_adds_up(self, opened: Store) -> None:
        early, late = (
            records.lease("sub_1", ttl=100, expires_at=10, ends_at=999),
            records.lease("sub_2", ttl=100, expires_at=999),
        )
        works = [
            records.work(id="sub_1", key="a"),
            records.work(id="sub_2", key="b"),
            records.work(id="sub_3", key="c", start_due=30),
            records.work(id="sub_4", key="d", start_due=5000),
        ]
        timers: dict[tuple[str, str], int | None] = {
            ("lease", "sub_1"): 10,
            ("ends", "sub_1"): 999,
            ("lease", "sub_2"): 999,
            ("ends", "sub_2"): late.ends_at,
            ("start", "sub_3"): 30,
            ("start", "sub_4"): 5000,
            ("wake", "sub_5"): 20,
            ("deadline", "tsk_1"): 25,
        }
        ready = {work: records.ready(work) for work in ("sub_3", "sub_4")}
        await save(opened, of_one_task(*works, leases={"sub_1": early, "sub_2": late}, ready=ready, timers=timers))

        for _ in range(2):
            await opened.grace(now=500, start_floor=700)

        found: list[LeaseRecord] = list(await load(opened, ("lease", "sub_1"), ("lease", "sub_2")))
        assert [(lease.expires_at, lease.ends_at) for lease in found] == [(550, 999), (999, late.ends_at)]
        items: list[Work] = list(await load(opened, ("work", "sub_3"), ("work", "sub_4")))
        assert [item.start_due for item in items] == [700, 5000]
        async with opened.begin() as transaction:
            due = {(timer.kind, timer.ref): timer.due for timer in await transaction.due(1 << 60, 99)}
        assert due == timers | {("lease", "sub_1"): 550, ("start", "sub_3"): 700}

    async def test_leases_keep_their_remaining_time_when_the_clock_moves_forward(self, opened: Store) -> None:
        lease = records.lease("sub_1", ttl=100, expires_at=580, ends_at=999)
        timers: dict[tuple[str, str], int | None] = {
            ("lease", "sub_1"): 580,
            ("ends", "sub_1"): 999,
            ("deadline", "tsk_1"): 600,
        }
        await save(opened, of_one_task(records.work(), leases={"sub_1": lease}, timers=timers))

        await opened.grace(now=10_500, start_floor=10_700, moved=10_000)

        (found,) = await load(opened, ("lease", "sub_1"))
        assert (found.expires_at, found.ends_at) == (10_580, 10_999)
        async with opened.begin() as transaction:
            due = {(timer.kind, timer.ref): timer.due for timer in await transaction.due(1 << 60, 99)}
        assert due == {("lease", "sub_1"): 10_580, ("ends", "sub_1"): 10_999, ("deadline", "tsk_1"): 600}

    async def test_setting_a_store_back_moves_all_future_times(self, opened: Store) -> None:
        now, by = 1_000, 50_000
        works = [
            records.work(id="sub_1", key="a", position=now + by, start_due=now + by + 30, created_at=now + by - 1),
            records.work(id="sub_2", key="b", position=7, created_at=7, wake=now + by + 5),
        ]
        lease = records.lease("sub_2", granted_at=now + by, expires_at=now + by + 9, ends_at=now + by + 99)
        await save(
            opened,
            of_one_task(
                *works,
                leases={"sub_2": lease},
                ready={"sub_1": records.ready("sub_1", position=now + by, since=now + by)},
                timers={
                    ("start", "sub_1"): now + by + 30,
                    ("lease", "sub_2"): now + by + 9,
                    ("ends", "sub_2"): now + by + 99,
                    ("wake", "sub_3"): now + by + 5,
                },
                approvals={"apr_1": records.approval("apr_1", opened_at=now + by - 2, expires_at=now + by + 60)},
                alive_at=now + by,
            ),
        )

        await opened.set_back(by, now)

        first, second = await load(opened, ("work", "sub_1"), ("work", "sub_2"))
        assert (first.position, first.start_due, first.created_at) == (now, now + 30, now - 1)
        assert (second.position, second.wake, second.created_at) == (7 - by, now + 5, 7)
        (lease,) = await load(opened, ("lease", "sub_2"))
        assert (lease.granted_at, lease.expires_at, lease.ends_at) == (now, now + 9, now + 99)
        (approval,) = await load(opened, ("approval", "apr_1"))
        assert (approval.opened_at, approval.expires_at) == (now - 2, now + 60)
        async with opened.begin() as transaction:
            assert await transaction.due(1 << 60, 9) == [
                Timer("wake", "sub_3", now + 5),
                Timer("lease", "sub_2", now + 9),
                Timer("start", "sub_1", now + 30),
                Timer("ends", "sub_2", now + 99),
            ]
            assert [entry.since for entry in await transaction.queue_entries("acme", "", 1, 5, 9)] == [now]
        assert (await opened.start()).alive_at == now

    # ---- timers ------------------------------------------------------------------------------------------------------

    async def test_due_timers_come_earliest_first_and_not_before_their_time(self, opened: Store) -> None:
        works = [records.work(id=name, key=name) for name in "abde"]
        leases = {name: records.lease(name, lease_id=f"lse_{name}", expires_at=7, ends_at=40) for name in "ab"}
        leases["d"] = records.lease("d", lease_id="lse_d", expires_at=50, ends_at=8)
        timers: dict[tuple[str, str], int | None] = {("wake", "c"): 3, ("start", "e"): 7, ("wake", "z"): 7}
        for lease in leases.values():
            timers |= {("lease", lease.work): lease.expires_at, ("ends", lease.work): lease.ends_at}
        await save(opened, of_one_task(*works, leases=leases, ready={"e": records.ready("e")}, timers=timers))
        await save(opened, Changes(timers={("wake", "c"): 5, ("ends", "gone"): None}))

        async with opened.begin() as transaction:
            assert await transaction.due(4, 9) == []
            assert await transaction.due(7, 9) == [
                Timer("wake", "c", 5),
                Timer("lease", "a", 7),
                Timer("lease", "b", 7),
                Timer("start", "e", 7),
                Timer("wake", "z", 7),
            ]
            assert await transaction.due(7, 1) == [Timer("wake", "c", 5)]
            await transaction.save(Changes(timers={("wake", "c"): None}))
            assert [timer.ref for timer in await transaction.due(8, 9)] == ["a", "b", "e", "z", "d"]
        assert (await opened.start()).next_due == 7

    async def test_the_timers_of_a_lease_follow_the_lease(self, opened: Store) -> None:
        works = [records.work(id=name, key=name) for name in "abc"]
        leases = {name: records.lease(name, lease_id=f"lse_{name}", expires_at=7, ends_at=9) for name in "abc"}
        timers: dict[tuple[str, str], int | None] = {}
        for name in leases:
            timers |= {("lease", name): 7, ("ends", name): 9}
        await save(opened, of_one_task(*works, leases=leases, timers=timers))

        renewed = dataclasses.replace(leases["a"], expires_at=8, version=2)
        cancelled = dataclasses.replace(leases["b"], cancelled=True, version=2)
        changes = Changes(leases={"a": renewed, "b": cancelled}, leases_gone={"c": None})
        changes.timers |= {("lease", "a"): 8, ("grace", "b"): 5, **dict.fromkeys((*TIMES_OF["b"], *TIMES_OF["c"]))}
        with pytest.raises(ZeroDivisionError):
            await save_and_raise(opened, changes)
        assert await due(opened) == [("lease", "a", 7), ("lease", "b", 7), ("lease", "c", 7), *ENDS]
        await save(opened, changes)

        assert await due(opened) == [("grace", "b", 5), ("lease", "a", 8), ("ends", "a", 9)]
        assert (await opened.start()).next_due == 5

    async def test_a_timer_that_is_put_off_stays_so(self, opened: Store) -> None:
        lease = records.lease("a", expires_at=7, ends_at=9)
        timers: dict[tuple[str, str], int | None] = {("lease", "a"): 7, ("ends", "a"): 9, ("start", "b"): 6}
        works = [records.work(id=name, key=name) for name in "ab"]
        await save(opened, of_one_task(*works, leases={"a": lease}, ready={"b": records.ready("b")}, timers=timers))

        later = Changes(timers={("lease", "a"): 37, ("start", "b"): 36, ("ends", "a"): None})
        with pytest.raises(ZeroDivisionError):
            await save_and_raise(opened, later)
        assert await due(opened) == [("start", "b", 6), ("lease", "a", 7), ("ends", "a", 9)]
        await save(opened, later)
        with pytest.raises(ZeroDivisionError):
            await save_and_raise(opened, Changes(timers={("lease", "a"): 99}))
        assert await due(opened) == [("start", "b", 36), ("lease", "a", 37)]

        renewed = dataclasses.replace(lease, expires_at=20, ends_at=22, version=2)
        await save(opened, Changes(leases={"a": renewed}, timers={("lease", "a"): 20, ("ends", "a"): 22}))
        assert await due(opened) == [("lease", "a", 20), ("ends", "a", 22), ("start", "b", 36)]
