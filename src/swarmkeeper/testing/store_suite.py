"""Contract tests for stores: derive from `StoreSuite` or `DurableStoreSuite` and add a fixture `store`.

class TestMyStore(DurableStoreSuite):
    @pytest.fixture
    def store(self) -> MyStore: ...
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from swarmkeeper.clock import SystemClock
from swarmkeeper.core.model import (
    AnswerRecord,
    ApiKey,
    BudgetAccount,
    Edge,
    FeedbackRecord,
    Idempotency,
    LateResultRecord,
    LeaseRecord,
    MessageRecord,
    Queue,
    QueueEntry,
    Tenant,
)
from swarmkeeper.core.named_reads import (
    BOTS_OF_TENANT,
    EVENTS_WAIT,
    KEY_BY_PUBLIC_ID,
    READS,
    SINK,
    TENANT_ROW,
    BotRow,
    fetch,
)
from swarmkeeper.core.ports import Changes, Key, StaleVersion, Store
from swarmkeeper.core.rules.match import QueueIdTaken
from swarmkeeper.core.rules.tree import Frontier
from swarmkeeper.core.states import FINAL, AttemptOutcome, Condition, Kind, Status
from swarmkeeper.testing import records
from swarmkeeper.testing.saving import load, of_one_task, save, save_and_raise
from swarmkeeper.testing.times_suite import TimesSuite


@pytest.mark.asyncio
class StoreSuite(TimesSuite):
    """Tests of `core.ports.Store` and `Transaction`. Those about time are in times_suite.py."""

    @pytest_asyncio.fixture
    async def opened(self, store: Store) -> AsyncIterator[Store]:
        await store.open()
        yield store
        await store.close()

    # ---- records -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("record", records.LOADED, ids=lambda record: record.__name__)
    async def test_a_record_comes_back_as_it_was_saved(self, opened: Store, record: type[Any]) -> None:
        for kept in (records.filled(record, id="x_1"), records.bare(record, id="x_2")):
            await save(opened, records.changes_of(kept))

            assert await load(opened, records.want_of(kept)) == [records.loaded(kept)]

    @pytest.mark.parametrize("record", records.VERSIONED, ids=lambda record: record.__name__)
    async def test_every_field_that_may_change_is_kept_changed(self, opened: Store, record: type[Any]) -> None:
        first = records.bare(record, id="x_1")
        await save(opened, records.changes_of(first))
        second = records.changed(first)
        await save(opened, records.changes_of(second))

        assert await load(opened, records.want_of(second)) == [records.loaded(second)]

    async def test_a_missing_record_loads_as_none(self, opened: Store) -> None:
        single = ["task", "work", "lease", "lease_id", "attempt", "bot", "key", "approval", "payload"]
        needs: list[Key] = [(kind, "nothing") for kind in single]
        needs += [("work_key", ("t", "k")), ("bot_name", ("a", "b", "")), ("idempotency", ("a", "k"))]

        assert await load(opened, *needs) == [None] * len(needs)

    async def test_relations_of_a_missing_record_are_empty_lists(self, opened: Store) -> None:
        needs: list[Key] = [("claim", ("b", "c")), ("children", ("w", "", 5)), ("parents", "w")]
        needs += [("open_works", ("t", "", 5)), ("held_works", ("t", "", 5)), ("leases_of_bot", "b")]
        needs += [("bots_of_key", "k"), ("keys_of_bot", ("a", "b")), ("approvals", "t"), ("jobs", "t")]

        assert await load(opened, *needs) == [[]] * len(needs)
        assert await load(opened, ("grants", ("b", "t")), ("late", "w"), ("graph", "t")) == [(0, []), (0, []), ([], [])]

    async def test_messages_are_counted_and_their_senders_found(self, opened: Store) -> None:
        speakers = ("speakers", ("acme", "b", "k", "t"))
        empty = await load(opened, ("messages", "t"), ("bots_called", ("acme", "b")), speakers)
        bot = records.bot("bot_1")
        sent = [MessageRecord(f"msg_{number}", "acme", "tsk_1", "bot_1", None, "p", number) for number in (2, 1)]
        await save(opened, Changes(bots={"bot_1": bot}, messages=sent))
        asked = (("acme", "bot_1"), ("acme", bot.name), ("other", bot.name))
        called = [("bots_called", key) for key in asked]

        assert empty == [0, False, []]
        assert await load(opened, ("messages", "tsk_1"), *called) == [2, True, True, False]

    async def test_payloads_are_replaced_and_removed(self, opened: Store) -> None:
        await save(opened, Changes(payloads={"p": ("tsk_1", b'{"a":1}'), "q": ("tsk_1", b"2")}))
        await save(opened, Changes(payloads={"p": ("tsk_1", b'{"a":2}'), "q": None, "never": None}))

        assert await load(opened, ("payload", "p"), ("payload", "q")) == [b'{"a":2}', None]

    # ---- all or nothing ----------------------------------------------------------------------------------------------

    async def test_a_transaction_that_raises_leaves_nothing_behind(self, opened: Store) -> None:
        with pytest.raises(ZeroDivisionError):
            await save_and_raise(opened, of_one_task(records.work(), ready={"sub_1": records.ready()}))

        assert await load(opened, ("task", "tsk_1"), ("work", "sub_1")) == [None, None]
        await save(opened, of_one_task(records.work()))

    async def test_a_transaction_sees_what_it_has_saved_itself(self, opened: Store) -> None:
        async with opened.begin() as transaction:
            await transaction.save(of_one_task(records.work()))
            await transaction.save(Changes(works={"sub_1": records.work(status=Status.SKIPPED, version=2)}))
            found = await transaction.load([("work", "sub_1")])

        assert found["work", "sub_1"].status is Status.SKIPPED

    @pytest.mark.parametrize("record", records.VERSIONED, ids=lambda record: record.__name__)
    async def test_only_the_next_version_is_taken(self, opened: Store, record: type[Any]) -> None:
        first = records.bare(record, id="x_1")
        await save(opened, records.changes_of(first))

        for version in (1, 3):
            with pytest.raises(StaleVersion):
                await save(opened, records.changes_of(records.at_version(first, version)))

        assert await load(opened, records.want_of(first)) == [records.loaded(first)]

    async def test_a_stale_lease_does_not_overwrite_the_next_one(self, opened: Store) -> None:
        lease = records.bare(LeaseRecord, id="x_1")
        await save(opened, records.changes_of(lease))
        of_before = dataclasses.replace(records.at_version(lease, 2), lease_id="lse_before")

        with pytest.raises(StaleVersion):
            await save(opened, records.changes_of(of_before))

        assert await load(opened, records.want_of(lease)) == [records.loaded(lease)]

    async def test_a_stale_record_takes_the_whole_batch_with_it(self, opened: Store) -> None:
        await save(opened, of_one_task(records.work()))
        stale = Changes(payloads={"p": ("tsk_1", b"1")}, works={"sub_1": records.work(version=7)})

        with pytest.raises(StaleVersion):
            await save(opened, stale)

        assert await load(opened, ("payload", "p")) == [None]

    async def test_a_queue_that_another_writer_has_added_is_the_same_queue(self, opened: Store) -> None:
        queue = Queue(7, Kind.EXECUTE, ("a",))

        for _ in range(2):
            await save(opened, Changes(queues=[queue]))

        assert (await opened.start()).queues == (queue,)

    async def test_one_id_or_one_meaning_never_gets_a_second_queue(self, opened: Store) -> None:
        queue = Queue(7, Kind.EXECUTE, ("a",))
        await save(opened, Changes(queues=[queue]))

        with pytest.raises(QueueIdTaken):
            await save(opened, Changes(queues=[Queue(7, Kind.EXECUTE, ("b",))]))
        with pytest.raises(StaleVersion):
            await save(opened, Changes(queues=[Queue(8, Kind.EXECUTE, ("a",))]))

        assert (await opened.start()).queues == (queue,)

    async def test_an_attempt_that_another_writer_has_ended_is_stale(self, opened: Store) -> None:
        attempt = records.attempt("sub_1")
        await save(opened, of_one_task(records.work(), attempts=[attempt]))

        with pytest.raises(StaleVersion):
            await save(opened, Changes(attempts=[attempt]))

    # ---- leases ------------------------------------------------------------------------------------------------------

    async def test_leases_are_counted_by_bot_with_what_the_transaction_has_saved(self, opened: Store) -> None:
        works = [records.work(id=f"sub_{n}", key=f"k{n}") for n in (1, 2, 3)]
        leases = {work.id: records.lease(work.id, cancelled=work.id == "sub_2") for work in works}
        leases["sub_3"] = dataclasses.replace(leases["sub_3"], bot="bot_2")
        await save(opened, of_one_task(*works, leases=leases))

        async with opened.begin() as transaction:
            assert await transaction.leases_held(["bot_1", "bot_2", "bot_3"]) == {"bot_1": 2, "bot_2": 1}
            await transaction.save(Changes(leases_gone={"sub_1": None}))
            assert await transaction.leases_held(["bot_1"]) == {"bot_1": 1}

    async def test_a_transaction_decides_at_the_engines_time_or_the_stores(self, opened: Store) -> None:
        engine = SystemClock().now()

        async with opened.begin() as transaction:
            await transaction.load([("task", "tsk_1")])
            assert abs(await transaction.now(engine) - engine) < 60_000_000

    async def test_a_lease_id_leads_to_its_item_and_task(self, opened: Store) -> None:
        work, lease = records.work(), records.lease()
        await save(opened, of_one_task(work, leases={work.id: lease}))

        async with opened.begin() as transaction:
            found = await transaction.load([("lease_id", lease.lease_id)])

        assert found["lease_id", lease.lease_id] == work.id
        assert (found["lease", work.id], found["work", work.id]) == (lease, work)
        assert found["task", work.task].id == work.task

    async def test_an_item_released_and_leased_in_one_batch_has_the_new_lease(self, opened: Store) -> None:
        work = records.work()
        await save(opened, of_one_task(work, leases={work.id: records.lease()}))
        new = records.lease(lease_id="lse_new", attempt=2)
        await save(opened, Changes(leases_gone={work.id: None}, leases={work.id: new}))

        assert await load(opened, ("lease", work.id), ("lease_id", "lse_1")) == [new, None]

    async def test_a_lease_granted_and_ended_within_a_batch_leaves_no_trace(self, opened: Store) -> None:
        await save(opened, of_one_task(records.work(), leases_gone={"sub_1": None}))

        assert await load(opened, ("lease", "sub_1")) == [None]

    async def test_leases_are_found_by_claim_and_by_bot(self, opened: Store) -> None:
        works = [records.work(id=f"sub_{n}", key=f"k{n}") for n in (1, 2, 3)]
        leases = {
            "sub_1": records.lease("sub_1", claim_id="c"),
            "sub_2": records.lease("sub_2", claim_id="other"),
            "sub_3": records.lease("sub_3", bot="bot_2", claim_id="c"),
        }
        await save(opened, of_one_task(*works, leases=leases, attempts=[records.attempt(), records.attempt("sub_2")]))

        async with opened.begin() as transaction:
            found = await transaction.load(
                [("claim", ("bot_1", "c")), ("leases_of_bot", "bot_1"), ("grants", ("bot_1", "tsk_1"))]
            )

        assert found["claim", ("bot_1", "c")] == ["sub_1"]
        assert found["leases_of_bot", "bot_1"] == ["sub_1", "sub_2"]
        assert found["lease", "sub_2"] == leases["sub_2"]
        assert found["work", "sub_2"] == works[1]
        assert found["task", "tsk_1"].id == "tsk_1"
        assert found["grants", ("bot_1", "tsk_1")] == (2, ["sub_1", "sub_2"])

    # ---- graphs ------------------------------------------------------------------------------------------------------

    async def test_edges_are_found_from_both_ends_with_their_items(self, opened: Store) -> None:
        works = [records.work(id=f"sub_{n}", key=f"k{n}") for n in range(4)]
        edges = [Edge("tsk_1", "sub_0", f"sub_{n}", Condition.DONE) for n in (3, 1, 2)]
        edges.append(Edge("tsk_1", "sub_1", "sub_3", Condition.FAILURE))
        plan = records.work(id="wrk_1", key="plan", kind=Kind.PLAN)
        await save(opened, of_one_task(*works, plan, edges=edges))

        async with opened.begin() as transaction:
            found = await transaction.load(
                [("children", ("sub_0", "", 2)), ("children", ("sub_0", "sub_2", 2)), ("parents", "sub_3")]
            )
            graph = (await transaction.load([("graph", "tsk_1")]))["graph", "tsk_1"]

        assert [edge.child for edge in found["children", ("sub_0", "", 2)]] == ["sub_1", "sub_2"]
        assert found["children", ("sub_0", "sub_2", 2)] == [edges[0]]
        assert found["parents", "sub_3"] == [edges[0], edges[3]]
        assert found["work", "sub_1"] == works[1]
        assert graph[0] == [work.id for work in works]
        assert sorted(edge.child for edge in graph[1]) == ["sub_1", "sub_2", "sub_3", "sub_3"]

    async def test_open_and_held_items_come_in_pages(self, opened: Store) -> None:
        works = [records.work(id=f"sub_{n:02}", key=f"k{n}", status=status) for n, status in enumerate(Status)]
        await save(opened, of_one_task(*works, leases={"sub_02": records.lease("sub_02")}))
        expected = [work.id for work in works if work.status not in FINAL]

        async with opened.begin() as transaction:
            found = await transaction.load([("open_works", ("tsk_1", "", 3)), ("held_works", ("tsk_1", "", 9))])
            rest = (await transaction.load([("open_works", ("tsk_1", expected[2], 9))]))[
                "open_works", ("tsk_1", expected[2], 9)
            ]

        assert found["open_works", ("tsk_1", "", 3)] + rest == expected
        assert found["lease", "sub_02"] is not None
        assert [found["work", work_id].status for work_id in found["held_works", ("tsk_1", "", 9)]] == [Status.READY]

    async def test_an_item_is_found_by_its_key_within_its_task(self, opened: Store) -> None:
        await save(opened, of_one_task(records.work(key="plan")))

        assert await load(opened, ("work_key", ("tsk_1", "plan")), ("work_key", ("tsk_2", "plan"))) == ["sub_1", None]

    # ---- pending work ------------------------------------------------------------------------------------------------

    async def ready(self, opened: Store, *items: QueueEntry) -> None:
        works = {item.work: records.work(id=item.work, key=item.work) for item in items}
        await save(opened, of_one_task(*works.values(), ready={item.work: item for item in items}))

    async def queue_entries(self, opened: Store, owner: str = "me", limit: int = 2, tenant: str = "acme") -> list[str]:
        async with opened.begin() as transaction:
            return [
                entry.work
                for queue, priority, _ in await transaction.levels(tenant, [1, 2])
                for entry in await transaction.queue_entries(tenant, owner, queue, priority, limit)
            ]

    async def test_the_heads_of_each_queue_and_priority_come_by_position(self, opened: Store) -> None:
        await self.ready(
            opened,
            *(records.ready(f"low{n}", priority=1, position=9 - n) for n in range(4)),
            *(records.ready(f"high{n}", priority=9, position=n) for n in range(4)),
            records.ready("second", queue=2, position=5),
            records.ready("elsewhere", queue=3),
            records.ready("foreign", tenant="other"),
        )

        found = await self.queue_entries(opened)

        assert found == ["low3", "low2", "high0", "high1", "second"]

    async def test_reading_heads_continues_after_the_last_one(self, opened: Store) -> None:
        placed = (("a", 1), ("b", 2), ("c", 2), ("d", 3), ("e", 4))
        await self.ready(opened, *(records.ready(work, position=position) for work, position in placed))

        async with opened.begin() as transaction:
            first = await transaction.queue_entries("acme", "", 1, 5, 2)
            rest = await transaction.queue_entries("acme", "", 1, 5, 9, (first[-1].position, first[-1].work))

        assert [entry.work for entry in first + rest] == ["a", "b", "c", "d", "e"]
        assert len(first) == 2

    async def test_a_queue_can_be_read_by_age_and_its_oldest_item_is_known(self, opened: Store) -> None:
        waiting = (("a", 1, 30), ("b", 2, 10), ("c", 3, 20), ("d", 4, 10))
        await self.ready(
            opened, *(records.ready(work, position=position, since=since) for work, position, since in waiting)
        )

        async with opened.begin() as transaction:
            levels = await transaction.levels("acme", [1, 2])
            first = await transaction.queue_entries("acme", "", 1, 5, 2, by_age=True)
            rest = await transaction.queue_entries("acme", "", 1, 5, 9, (first[-1].since, first[-1].work), by_age=True)

        assert levels == [(1, 5, 10)]
        assert [entry.work for entry in first] == ["b", "d"]
        assert [entry.work for entry in rest] == ["c", "a"]

    async def test_items_of_one_position_come_in_the_order_of_their_ids(self, opened: Store) -> None:
        await self.ready(opened, *(records.ready(work) for work in ("c", "a", "b")))

        assert await self.queue_entries(opened, limit=3) == ["a", "b", "c"]

    async def test_an_owner_is_not_offered_items_that_exclude_it(self, opened: Store) -> None:
        await self.ready(
            opened,
            records.ready("mine", position=1, excluded=("me", "you")),
            records.ready("yours", position=2, excluded=("you",)),
            records.ready("free", position=3),
        )

        assert await self.queue_entries(opened, "me") == ["yours", "free"]
        assert await self.queue_entries(opened, "you") == ["free"]
        assert await self.queue_entries(opened, "") == ["mine", "yours"]

    async def test_a_leased_or_moved_item_is_not_offered_at_its_old_position(self, opened: Store) -> None:
        await self.ready(opened, records.ready("a", position=1), records.ready("b", position=2))
        await save(opened, Changes(ready={"a": None, "b": records.ready("b", priority=9, position=2), "never": None}))

        async with opened.begin() as transaction:
            assert await transaction.levels("acme", [1]) == [(1, 9, 1)]
            assert await transaction.queue_entries("acme", "me", 1, 9, 5) == [
                records.ready("b", priority=9, position=2)
            ]

    async def test_jobs_rotate_over_tasks_the_oldest_of_each_first(self, opened: Store) -> None:
        jobs = [records.job(f"chr_{n}", task=f"tsk_{n % 3}") for n in range(6)]
        await save(opened, Changes(jobs={job.id: job for job in jobs}))

        async with opened.begin() as transaction:
            assert [job.id for job in await transaction.next_jobs(2, "", "acme")] == ["chr_0", "chr_1"]
            assert [job.id for job in await transaction.next_jobs(2, "tsk_1", "acme")] == ["chr_2", "chr_0"]
            assert [job.id for job in await transaction.next_jobs(9, "tsk_0", "acme")] == ["chr_1", "chr_2", "chr_0"]
            await transaction.save(Changes(jobs={"chr_0": None}))
            assert [job.id for job in await transaction.next_jobs(1, "", "acme")] == ["chr_3"]
            assert (await transaction.load([("jobs", "tsk_1")]))["jobs", "tsk_1"] == [jobs[1], jobs[4]]
        assert (await opened.start()).jobs

    async def test_jobs_are_found_by_tenant(self, opened: Store) -> None:
        jobs = [records.job(f"chr_{n}", task=f"tsk_{n}", tenant=("a", "b")[n % 2]) for n in range(4)]
        async with opened.begin() as transaction:
            assert await transaction.job_tenants() == []
        await save(opened, Changes(jobs={job.id: job for job in jobs}))

        async with opened.begin() as transaction:
            assert await transaction.job_tenants() == ["a", "b"]
            assert [job.id for job in await transaction.next_jobs(9, "tsk_1", "b")] == ["chr_3", "chr_1"]

    async def test_a_tenants_limits_are_set_and_its_usage_is_counted_separately(self, opened: Store) -> None:
        await save(opened, Changes(opened={"acme": 3, "other": -1}))  # an unknown tenant is not counted
        await save(opened, Changes(tenants={"acme": Tenant("acme", weight=4, max_backlog=7, open_tasks=99)}))
        await save(opened, Changes(opened={"acme": -1}, opened_subtasks={"acme": 5}, stored={"acme": 900}))
        await save(opened, Changes(opened_subtasks={"acme": -2, "other": -1}, stored={"acme": 100}))

        async with opened.begin() as transaction:
            found = await transaction.load([("tenant", "acme"), ("tenant", "nobody")])

        assert found == {("tenant", "acme"): Tenant("acme", 4, 7, 2, 3, 1000), ("tenant", "nobody"): None}
        rows = await opened.read("tenant_shares", {})
        assert [tuple(row.values()) for row in rows] == [("acme", 4, 7, 2, 3, 1000), ("other", 1, None, 0, 0, 0)]
        assert await opened.read("tenant_row", {"tenant": "acme"}) == [rows[0]]

    async def test_a_tenants_budget_is_kept_beside_its_limits(self, opened: Store) -> None:
        budget = BudgetAccount({"tokens": 9}, reserved={"tokens": 2}, spent={"tokens": 3}, told={"tokens": 50})
        await save(opened, Changes(opened={"acme": 1, "other": 1}))
        await save(opened, Changes(tenant_budgets={"acme": budget}))
        await save(opened, Changes(tenants={"acme": Tenant("acme", weight=4)}))

        async with opened.begin() as transaction:
            found = await transaction.load([("tenant", "acme"), ("tenant", "other")])

        assert found["tenant", "acme"] == Tenant("acme", 4, None, 1, budget=budget)
        assert found["tenant", "other"].budget is None
        (row,) = await opened.read("tenant_budgets", {})
        assert (row["id"], json.loads(row["budget"])["spent"]) == ("acme", {"tokens": 3})

    async def test_ended_idempotency_keys_are_purged_the_oldest_first(self, opened: Store) -> None:
        keys = [Idempotency("acme", f"k{n}", "hash", 201, "tsk_1", expires=n) for n in range(5)]
        await save(opened, Changes(idempotency=keys))

        async with opened.begin() as transaction:
            assert await transaction.purge(3, 2) == 2
            assert await transaction.purge(3, 2) == 1
            assert await transaction.purge(3, 2) == 0
        assert await load(opened, *(("idempotency", ("acme", f"k{n}")) for n in (2, 3, 4))) == [None, keys[3], keys[4]]

    async def test_an_idempotency_key_that_has_ended_can_be_used_again(self, opened: Store) -> None:
        again = Idempotency("acme", "k", "other", 200, "tsk_2", expires=9)
        await save(opened, Changes(idempotency=[Idempotency("acme", "k", "hash", 201, "tsk_1", expires=1)]))
        await save(opened, Changes(idempotency=[again]))

        assert await load(opened, ("idempotency", ("acme", "k"))) == [again]

    # ---- people, bots, keys ------------------------------------------------------------------------------------------

    async def test_bots_are_found_by_name_and_by_key_and_can_be_removed(self, opened: Store) -> None:
        bots = [records.bot(f"bot_{n}", instance=f"pod-{n}") for n in (1, 2)]
        await save(opened, Changes(bots={bot.id: bot for bot in bots}))
        needs: list[Key] = [("bot_name", ("acme", "worker", "pod-2")), ("bots_of_key", "key_1"), ("bot", "bot_1")]

        assert await load(opened, *needs) == ["bot_2", ["bot_1", "bot_2"], bots[0]]
        await save(opened, Changes(bots={"bot_2": None, "never": None}))
        assert await load(opened, *needs) == [None, ["bot_1"], bots[0]]

    async def test_revoked_keys_are_not_among_a_bots_keys(self, opened: Store) -> None:
        live = records.key("key_1", bot="worker")
        revoked = records.key("key_2", public_id="other", bot="worker", revoked_at=5)
        await save(opened, Changes(keys={key.id: key for key in (live, revoked)}))

        assert await load(opened, ("keys_of_bot", ("acme", "worker")), ("key", "key_2")) == [["key_1"], revoked]
        assert [row["id"] for row in await opened.read("tenants", {})] == ["acme"]

    async def test_only_open_approvals_are_listed(self, opened: Store) -> None:
        approvals = [records.approval(f"apr_{n}", state=state) for n, state in enumerate(["open", "decided", "open"])]
        await save(opened, Changes(approvals={approval.id: approval for approval in approvals}))

        assert await load(opened, ("approvals", "tsk_1")) == [["apr_0", "apr_2"]]

    async def test_late_results_are_kept_once_for_each_content(self, opened: Store) -> None:
        late = LateResultRecord("lse_1", "hash", "sub_1", "tsk_1", "acme", "bot_1", 5, "p")
        other = dataclasses.replace(late, content_hash="other", at=6)
        await save(opened, Changes(late_results=[late, other]))
        await save(opened, Changes(late_results=[late]))

        assert await load(opened, ("late", "sub_1")) == [(2, [("lse_1", "hash"), ("lse_1", "other")])]

    # ---- evidence ----------------------------------------------------------------------------------------------------

    async def test_events_have_cursors_that_only_grow(self, opened: Store) -> None:
        await save(opened, Changes(events=[records.event(n) for n in (1, 2)]))
        await save(opened, Changes(events=[records.event(3)]))

        rows = await opened.read("events_of_tenant", {"tenant": "acme", "after": 0, "limit": 9})
        assert [row["sequence"] for row in rows] == [1, 2, 3]
        assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
        assert rows[0]["seq"] > 0

    async def test_audit_records_get_their_places_in_the_tree_of_their_tenant(self, opened: Store) -> None:
        first, second, third = (records.leaf(number) for number in range(3))
        other = records.leaf(9, tenant="other")
        await save(opened, Changes(leaves=[first, other, second]))
        await save(opened, Changes(leaves=[third]))

        for tenant, leaves in (("acme", (first, second, third)), ("other", (other,))):
            rows = await opened.read("audit_records", {"tenant": tenant, "place": 0, "size": 9, "n": 9})
            assert [(row["place"], row["leaf"]) for row in rows] == [(n, leaf.leaf) for n, leaf in enumerate(leaves)]
            (head,) = await opened.read("audit_head", {"tenant": tenant})
            grown = Frontier()
            for leaf in leaves:
                grown.append(leaf.hash)
            assert (head["size"], head["frontier"], head["root"]) == (len(leaves), grown.to_bytes(), grown.root())
            assert not head["beyond"]

    async def test_a_batch_that_is_rolled_back_leaves_no_place_in_a_tree(self, opened: Store) -> None:
        await save(opened, Changes(leaves=[records.leaf(0)]))
        with pytest.raises(ZeroDivisionError):
            await save_and_raise(opened, Changes(leaves=[records.leaf(1)]))
        await save(opened, Changes(leaves=[records.leaf(2)]))

        rows = await opened.read("audit_records", {"tenant": "acme", "place": 0, "size": 9, "n": 9})
        assert [(row["place"], row["leaf"]) for row in rows] == [(0, b"leaf 0"), (1, b"leaf 2")]

    # ---- reading -----------------------------------------------------------------------------------------------------

    async def test_every_named_read_is_there(self, opened: Store) -> None:
        # The two that are left out say how much there is: nothing, in a row.
        names = READS.keys() - {str(EVENTS_WAIT), str(SINK)}
        found = {}
        for name in sorted(names):
            parameters = {parameter: 1 if parameter == "limit" else None for parameter in READS[name].parameters}
            found[name] = await opened.read(name, parameters)

        assert found == {name: [] for name in names}

    async def test_events_that_can_be_read_wait_no_more(self, opened: Store) -> None:
        await save(opened, Changes(events=[records.event(1)]))
        await opened.read("events_of_tenant", {"tenant": "acme", "after": 0, "limit": 9})

        assert [row.microseconds for row in await opened.read(EVENTS_WAIT, {})] == [0]

    async def test_a_named_read_answers_with_rows_of_its_class(self, opened: Store) -> None:
        await save(opened, Changes(keys={"key_1": records.key("key_1")}, bots={"bot_1": records.bot()}))

        async with opened.snapshot() as seen:
            (key,) = await fetch(seen, KEY_BY_PUBLIC_ID, public_id="abcdefghij")
        (bot,) = await fetch(opened, BOTS_OF_TENANT, tenant="acme")
        (tenant,) = await fetch(opened, TENANT_ROW, tenant="acme")

        assert (type(key), key.id, key.digest, key.skills) == (ApiKey, "key_1", b"digest", None)
        assert (type(bot), bot.id, bot.skills, bot.held) == (BotRow, "bot_1", "[]", 0)
        assert tenant == Tenant("acme")

    async def test_a_snapshot_answers_as_the_store_does_and_ends_with_its_block(self, opened: Store) -> None:
        await save(opened, Changes(keys={"key_1": records.key("key_1")}))

        async with opened.snapshot() as seen:
            within = await seen.read("tenants", {})

        assert within == await opened.read("tenants", {})
        await save(opened, Changes(keys={"key_2": records.key("key_2", public_id="other", tenant="umbrella")}))
        async with opened.snapshot() as later:
            assert [row["id"] for row in await later.read("tenants", {})] == ["acme", "umbrella"]

    async def test_reads_see_what_is_committed_and_nothing_else(self, opened: Store) -> None:
        await save(opened, Changes(keys={"key_1": records.key("key_1")}))
        with pytest.raises(ZeroDivisionError):
            await save_and_raise(
                opened, Changes(keys={"key_2": records.key("key_2", public_id="other", tenant="umbrella")})
            )

        assert [row["id"] for row in await opened.read("tenants", {})] == ["acme"]

    async def test_feedback_and_answers_come_in_the_order_in_which_they_were_given(self, opened: Store) -> None:
        texts = ["first", "second", "third"]
        await save(
            opened,
            Changes(
                feedback=[
                    FeedbackRecord("sub_1", "tsk_1", 1, text, at, n)
                    for text, at, n in zip(texts, (1, 1, 2), (0, 1, 0), strict=True)
                ],
                answered=[AnswerRecord("sub_1", "tsk_1", text, {"n": n}, 7) for n, text in enumerate(texts)],
            ),
        )

        works = {"works": '["sub_1"]'}
        assert [row["text"] for row in await opened.read("feedback_of_works", works)] == texts
        assert [row["question"] for row in await opened.read("answers_of_works", works)] == texts


class DurableStoreSuite(StoreSuite):
    """For stores that outlive their process: `store` can be closed and opened again."""

    async def test_what_was_committed_is_there_after_opening_again(self, opened: Store) -> None:
        work = records.work(status=Status.LEASED)
        lease, attempt = records.lease(), records.attempt(ending=AttemptOutcome.UNSEEN)
        await save(opened, of_one_task(work, leases={work.id: lease}, attempts=[attempt], events=[records.event(1)]))
        pepper = (await opened.start()).pepper
        await opened.close()
        await opened.open()

        needs: list[Key] = [("work", work.id), ("lease", work.id), ("attempt", attempt.lease_id)]
        assert await load(opened, *needs) == [work, lease, attempt]
        assert (await opened.start()).pepper == pepper
        await save(opened, Changes(events=[records.event(2)], leaves=[records.leaf(0)]))
        rows = await opened.read("events_of_tenant", {"tenant": "acme", "after": 0, "limit": 9})
        assert [row["sequence"] for row in rows] == [1, 2]

    async def test_nobody_else_has_written(self, opened: Store) -> None:
        await save(opened, of_one_task(records.work()))

        assert not await opened.changed_outside()
