"""Keys of subtasks limit how many run at once, and hold nothing else back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core.states import Status, TaskStatus
from swarmkeeper.sim.harness import Harness, HarnessLease
from tests.examples import examples

REPO = ({"key": "repo:main", "max": 1},)


def limited(key: str, *limits: tuple[str, int], **more: Any) -> dict[str, Any]:
    concurrency = [{"key": name, "max": most} for name, most in limits or (("repo:main", 1),)]
    return {"key": key, "concurrency": concurrency, **more}


def running(swarm: Harness) -> set[str]:
    return {row["key"] for row in swarm.rows("SELECT work.key FROM lease JOIN work ON work.id = lease.work")}


def test_one_at_a_time_for_a_key_with_one(swarm: Harness) -> None:
    swarm.submit([limited("a"), limited("b"), limited("c")])
    one, other = swarm.bot("one"), swarm.bot("other")

    first = swarm.take(one)
    assert swarm.lease(other) is None
    swarm.report(first)

    assert swarm.take(other).key == "b"
    assert swarm.lease(one) is None


def test_a_parked_poll_gets_the_next_one_as_soon_as_the_key_has_room(swarm: Harness) -> None:
    swarm.submit([limited("a"), limited("b")])
    first, parked = swarm.take(swarm.bot("one")), swarm.park(swarm.bot("other"))
    assert parked.waits

    swarm.report(first)

    assert [lease.key for lease in parked.leases] == ["b"]


def test_a_claim_for_many_gets_as_many_as_the_key_allows(swarm: Harness) -> None:
    swarm.submit([limited(f"k{n}", ("repo", 3)) for n in range(6)])

    assert len(swarm.leases(swarm.bot("one", capacity=9), 9)) == 3
    assert swarm.lease(swarm.bot("other")) is None


def test_a_report_with_a_claim_gets_the_next_of_the_key(swarm: Harness) -> None:
    swarm.submit([limited("a"), limited("b")])
    lease = swarm.take(swarm.bot("one"))

    assert [found.key for found in swarm.report(lease, claim=1).leases] == ["b"]


def test_keys_count_over_all_tasks_of_the_tenant(swarm: Harness) -> None:
    for _ in range(3):
        swarm.submit([limited("a")])
    bots = [swarm.bot(f"n{n}") for n in range(3)]

    assert sum(swarm.lease(bot) is not None for bot in bots) == 1


@pytest.mark.parametrize("end", ["fails", "is released", "is given up", "crashes", "asks"])
def test_however_an_attempt_ends_the_next_of_the_key_may_start(swarm: Harness, end: str) -> None:
    task = swarm.submit([limited("a", on_failure="continue"), limited("b")])
    one, other = swarm.bot("one"), swarm.bot("other")
    lease = swarm.take(one)
    swarm.beat(lease)
    match end:
        case "fails":
            swarm.report(lease, error="not_retryable")
        case "is released":
            swarm.release(lease, delay_seconds=600)
        case "is given up":
            swarm.report(lease, error="rate_limited", retry_after_seconds=600)
        case "asks":
            swarm.ask(lease)
        case "crashes":
            swarm.advance(31)

    found = swarm.lease(other)

    assert found is not None
    assert running(swarm) == {found.key}
    assert swarm.work(task, found.key).status is Status.LEASED


def test_released_work_is_first_in_line_for_its_own_place(swarm: Harness) -> None:
    swarm.submit([limited("a"), limited("b"), limited("c")])
    bot = swarm.bot("one")
    lease = swarm.take(bot)

    swarm.release(lease)

    assert {swarm.take(bot).key} <= {"a", "b"}  # `b` was admitted in the same commit
    assert len(running(swarm)) == 1


def test_other_work_of_the_queue_goes_on(swarm: Harness) -> None:
    swarm.submit([*(limited(f"k{n}") for n in range(5)), "free", limited("other", ("repo:other", 1))])
    bot = swarm.bot("one", capacity=9)

    assert {lease.key for lease in swarm.leases(bot, 9)} == {"k0", "free", "other"}


def test_an_item_with_two_keys_waits_for_both(swarm: Harness) -> None:
    swarm.submit([limited("a", ("x", 1)), limited("b", ("y", 1)), limited("both", ("x", 1), ("y", 1))])
    bot = swarm.bot("one", capacity=9)
    leases = {lease.key: lease for lease in swarm.leases(bot, 9)}
    assert set(leases) == {"a", "b"}

    swarm.report(leases["a"])
    assert swarm.lease(bot) is None
    swarm.report(leases["b"])

    assert swarm.take(bot).key == "both"


def test_cancelling_a_task_whose_items_wait_lets_those_of_others_go_on(swarm: Harness) -> None:
    first, second = swarm.submit([limited("a"), limited("b")]), swarm.submit([limited("c")])
    one = swarm.bot("one", capacity=3)
    lease = swarm.take(one)
    swarm.beat(lease)

    swarm.cancel(first)
    assert swarm.lease(one) is None, "the cancelled lease may still have its effect"
    swarm.advance(60)

    assert swarm.take(one).task == second


def test_a_hold_takes_items_out_of_the_line_and_puts_them_back(swarm: Harness) -> None:
    first, second = swarm.submit([limited("a"), limited("b")]), swarm.submit([limited("c"), limited("d")])
    bot = swarm.bot("one")
    lease = swarm.take(bot)
    swarm.pause(first)

    swarm.report(lease)
    assert swarm.take(bot).task == second
    swarm.resume(first)

    assert swarm.lease(swarm.bot("other")) is None
    swarm.drive(second)
    swarm.drive(first)


def test_a_key_has_no_row_once_nothing_runs_or_waits(swarm: Harness) -> None:
    task = swarm.submit([limited("a"), limited("b")], evaluation="none")

    swarm.drive(task)

    assert swarm.rows("SELECT * FROM key_limit") == []


def test_waiting_for_a_key_does_not_count_as_waiting_for_a_bot(swarm: Harness) -> None:
    task = swarm.submit([limited("a", timeout_seconds=7200), limited("b", schedule_to_start_seconds=60)])
    lease = swarm.take(swarm.bot("one"), ttl_seconds=3600)
    swarm.advance(600)

    assert swarm.work(task, "b").status is Status.READY
    swarm.report(lease)
    swarm.advance(61)

    assert swarm.work(task, "b").status is not Status.READY, "with room, its time to start runs"


def test_a_queue_that_nobody_serves_does_not_block_the_key(swarm: Harness) -> None:
    swarm.submit([limited("rare", required_skills=["nobody"]), limited("a"), limited("b")])
    bot = swarm.bot("one")

    lease = swarm.take(bot)
    assert lease.key == "a"
    swarm.report(lease)

    assert swarm.take(bot).key == "b"


def test_items_with_a_smaller_limit_wait_until_fewer_run(swarm: Harness) -> None:
    swarm.submit([limited("a", ("x", 3)), limited("b", ("x", 3)), limited("alone", ("x", 1))])
    bot = swarm.bot("one", capacity=9)
    leases = swarm.leases(bot, 9)
    assert {lease.key for lease in leases} == {"a", "b"}

    swarm.report(leases[0])
    assert swarm.lease(bot) is None
    swarm.report(leases[1])

    assert swarm.take(bot).key == "alone"


def test_lines_outlive_a_restart(swarm: Harness) -> None:
    swarm.submit([limited("a"), limited("b")])
    lease = swarm.take(swarm.bot("one"))
    swarm.restart()
    other = swarm.bot("other")
    assert swarm.lease(other) is None

    swarm.report(lease)

    assert swarm.take(other).key == "b"


def test_a_long_line_whose_first_items_wait_for_another_key_moves_on(swarm: Harness) -> None:
    """The first forty need `y`, too, which is taken: they change lines, and the one behind them starts."""
    swarm.submit(
        [limited("x", ("x", 1)), limited("y", ("y", 1))]
        + [limited(f"k{n:02}", ("x", 1), ("y", 1)) for n in range(40)]
        + [limited("last", ("x", 1))]
    )
    bot = swarm.bot("one", capacity=9)
    leases = {lease.key: lease for lease in swarm.leases(bot, 9)}
    assert set(leases) == {"x", "y"}

    swarm.report(leases["x"])
    swarm.advance(1)

    assert swarm.take(bot).key == "last"


def test_a_claim_costs_the_same_however_many_wait_for_keys() -> None:
    """Counts statements of a claim behind 20 and behind 2,000 waiting items of 1 and of 100 keys."""

    def cost(items: int, keys: int) -> int:
        swarm = Harness(seed=1)
        try:
            swarm.submit([limited(f"k{n}", (f"key{n % keys}", 1)) for n in range(items)])
            swarm.advance(1)
            first = swarm.bot("first", capacity=200)
            while swarm.leases(first, 64):
                pass
            swarm.submit(["free"])
            bot = swarm.bot("second")
            statements = 0

            def look(*_: object) -> bool:
                nonlocal statements
                statements += 1
                return True

            swarm.store.connection.exec_trace = look
            assert swarm.take(bot).key == "free"
            swarm.store.connection.exec_trace = None
            return statements
        finally:
            swarm.close()

    few = cost(20, 1)
    assert cost(2_000, 1) <= few
    assert cost(2_000, 100) <= few


LIMITS = st.lists(
    st.tuples(st.sampled_from("xyz"), st.integers(1, 2)), min_size=0, max_size=2, unique_by=lambda limit: limit[0]
)


@examples(40)
@given(
    items=st.lists(LIMITS, min_size=1, max_size=10),
    steps=st.lists(st.sampled_from(["take", "take", "done", "fail", "later", "wait", "pause", "resume"]), max_size=30),
)
def test_whatever_happens_no_key_has_too_many_and_all_ends(items: list[Any], steps: list[str]) -> None:
    swarm = Harness(seed=1)
    try:
        task = swarm.submit(
            [{"key": f"k{n}", "on_failure": "continue", "concurrency": [{"key": key, "max": most} for key, most in own]}
             for n, own in enumerate(items)],
            evaluation="none",
        )  # fmt: skip
        bots, held = [swarm.bot(f"b{n}", capacity=2) for n in range(3)], list[HarnessLease]()
        for number, step in enumerate(steps):
            _step(swarm, task, bots[number % 3], held, step)
            swarm.check()
        if "paused" in swarm.task(task).hold_reasons:
            swarm.resume(task)
        for lease in held:
            if swarm.rows("SELECT 1 FROM lease WHERE lease_id = ?", lease.lease_id):
                swarm.report(lease)
        assert swarm.drive(task).status is TaskStatus.ARCHIVED
        assert swarm.rows("SELECT * FROM key_limit") == []
        swarm.check()
    finally:
        swarm.close()


def _step(swarm: Harness, task: str, bot: str, held: list[HarnessLease], step: str) -> None:
    held[:] = [lease for lease in held if swarm.rows("SELECT 1 FROM lease WHERE lease_id = ?", lease.lease_id)]
    closed = swarm.task(task).status is TaskStatus.ARCHIVED
    match step:
        case "take":
            held += swarm.leases(bot, 2)
        case "done" if held:
            swarm.report(held.pop())
        case "fail" if held:
            swarm.report(held.pop(), error="retryable")
        case "later" if held:
            swarm.release(held.pop(), delay_seconds=len(held))
        case "wait":
            swarm.advance(20)
        case "pause" if not closed:
            swarm.pause(task)
        case "resume" if not closed:
            swarm.resume(task)
        case _:
            pass
