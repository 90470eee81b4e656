"""What each end of an attempt counts as: try, crash or deferral; and how long the item then waits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarmkeeper.core.model import Limits
from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import Harness, HarnessLease

SECOND = 1_000_000


def leased(swarm: Harness, **options: object) -> tuple[str, HarnessLease]:
    task = swarm.submit([{"key": "a", **options}])
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)
    return task, lease


def failure_code(swarm: Harness, task: str) -> str | None:
    failure = swarm.task(task).failure
    return None if failure is None else failure["code"]


def test_a_task_fails_when_a_subtask_has_no_tries_left(swarm: Harness) -> None:
    task, lease = leased(swarm)

    for attempt in (1, 2):
        swarm.report(lease, error="retryable", message=f"no {attempt}")
        assert swarm.work(task, "a").status is Status.WAITING
        lease = swarm.take(lease.bot, wait=60)
    swarm.report(lease, error="retryable", message="no 3")

    assert swarm.work(task, "a").status is Status.FAILED
    assert failure_code(swarm, task) == "subtask_failed"
    assert [attempt["ending"] for attempt in swarm.attempts(lease.work)] == ["failed"] * 3


@pytest.mark.parametrize("most", [1, 2])
def test_a_subtask_may_have_its_own_number_of_tries(swarm: Harness, most: int) -> None:
    task, lease = leased(swarm, max_attempts=most)

    for _ in range(most - 1):
        swarm.report(lease, error="retryable")
        lease = swarm.take(lease.bot, wait=60)
    swarm.report(lease, error="retryable")

    assert failure_code(swarm, task) == "subtask_failed"


def test_a_failure_that_is_not_retryable_is_final_at_once(swarm: Harness) -> None:
    task, lease = leased(swarm)

    swarm.report(lease, error="not_retryable", message="no such file")

    assert swarm.work(task, "a").status is Status.FAILED
    assert swarm.work(task, "a").error == {"code": "subtask_failed", "detail": "no such file"}


@pytest.mark.parametrize("kind", ["plan", "review"])
def test_plans_and_reviews_have_three_tries_too(swarm: Harness, kind: str) -> None:
    task = swarm.submit(None if kind == "plan" else ["a"])
    if kind == "review":
        swarm.report(swarm.take(swarm.bot("worker")))
    bot = swarm.bot("other", "Planner" if kind == "plan" else "Evaluator")

    for _ in range(3):
        swarm.report(swarm.take(bot, wait=60), error="retryable")

    assert failure_code(swarm, task) == ("planning_failed" if kind == "plan" else "review_exhausted")


def test_the_wait_after_a_failure_grows_up_to_five_minutes(swarm: Harness) -> None:
    task, lease = leased(swarm, max_attempts=14)

    for failures in range(1, 14):
        swarm.report(lease, error="retryable")
        work = swarm.work(task, "a")
        assert work.wake is not None
        assert 0 <= work.wake - swarm.now < min(300, 2 ** (failures - 1)) * SECOND
        lease = swarm.take(lease.bot, wait=301)
        assert swarm.now >= work.wake


def test_items_that_failed_together_are_retried_at_different_times(swarm: Harness) -> None:
    task = swarm.submit([f"k{number}" for number in range(20)])
    for lease in swarm.leases(swarm.bot("worker", capacity=20), 20):
        swarm.report(lease, error="retryable")

    assert len({work.wake for work in swarm.works(task).values()}) == 20


def test_three_silent_bots_in_a_row_poison_an_item(swarm: Harness) -> None:
    task, lease = leased(swarm)

    for crashes in (1, 2):
        swarm.advance(30)
        assert (swarm.work(task, "a").crashes, swarm.work(task, "a").tries) == (crashes, 0)
        lease = swarm.take(lease.bot, wait=60)
        swarm.beat(lease)
    swarm.advance(30)

    assert swarm.work(task, "a").status is Status.FAILED
    assert failure_code(swarm, task) == "poisoned"
    assert swarm.kinds(task).count("work.lease_expired") == 2
    assert swarm.kinds(task).count("work.poisoned") == 1


def test_a_bot_that_hangs_but_sends_heartbeats_times_out_and_uses_a_try(swarm: Harness) -> None:
    task, lease = leased(swarm, timeout_seconds=60)

    for _ in range(12):
        swarm.advance(4.999)
        assert swarm.beat(lease) == "continue"
    swarm.advance(0.012)

    work = swarm.work(task, "a")
    assert (work.status, work.tries, work.crashes) == (Status.WAITING, 1, 0)
    assert swarm.attempts(lease.work)[0]["ending"] == "timed_out"
    assert swarm.beat(lease) == "lost"


@pytest.mark.parametrize("kind", ["plan", "review"])
def test_planning_and_review_have_a_timeout_for_each_task(swarm: Harness, kind: str) -> None:
    task = swarm.submit(
        None if kind == "plan" else ["a"],
        **{f"{kind}_timeout_seconds": 5},  # shorter than the lease, so that it comes first
    )
    if kind == "review":
        swarm.report(swarm.take(swarm.bot("worker")))
    lease = swarm.take(swarm.bot("other", "Planner" if kind == "plan" else "Evaluator"))
    assert lease.ends_at - lease.granted_at == 5 * SECOND

    swarm.advance(5)

    assert swarm.works(task)[lease.key].tries == 1


def put_off_until_it_is_over(
    swarm: Harness, task: str, lease: HarnessLease, again: Callable[[HarnessLease], object]
) -> list[float]:
    """Defer an item again and again; return the seconds that it waited each time."""
    waits: list[float] = []
    while True:
        began = swarm.now
        again(lease)
        work = swarm.work(task, "a")
        if work.status is Status.FAILED:
            return waits
        assert work.tries == 0
        assert len(waits) < 200
        lease = swarm.take(lease.bot, wait=400)
        waits.append((swarm.now - began) / SECOND)


@pytest.mark.parametrize("asked", [None, 0.001, 1, 45])
def test_rate_limits_use_no_try_their_delays_grow_and_the_item_fails_after_an_hour(
    swarm: Harness, asked: float | None
) -> None:
    task, lease = leased(swarm, max_attempts=1)

    waits = put_off_until_it_is_over(
        swarm, task, lease, lambda it: swarm.report(it, error="rate_limited", message="429", retry_after_seconds=asked)
    )

    assert 3600 <= sum(waits) < 3600 + 376
    if asked is None or asked <= 1:  # the delays grow, however little was asked for
        assert len([1 for n in range(len(waits)) if sum(waits[: n + 1]) <= 22]) <= 5
        assert len(waits) < 30
        assert max(waits) <= 375
    assert failure_code(swarm, task) == "subtask_failed"
    error = swarm.work(task, "a").error
    assert error is not None
    assert error["detail"].startswith("given up: put off for 36")
    assert error["detail"].endswith("s in a row; at last: 429")


def test_a_subtask_can_set_its_own_deferral_limit(swarm: Harness) -> None:
    task, lease = leased(swarm, give_up_after_seconds=60)

    waits = put_off_until_it_is_over(swarm, task, lease, lambda it: swarm.report(it, error="rate_limited"))

    assert 60 <= sum(waits) < 80


def test_a_deferral_that_begins_before_the_limit_is_granted_in_full(swarm: Harness) -> None:
    task, lease = leased(swarm, give_up_after_seconds=60)

    swarm.report(lease, error="rate_limited", retry_after_seconds=7200)

    work = swarm.work(task, "a")
    assert work.wake is not None
    assert 7200 * SECOND <= work.wake - swarm.now <= 9000 * SECOND
    swarm.report(swarm.take(lease.bot, wait=9001))
    assert swarm.work(task, "a").status is Status.SUCCEEDED


@pytest.mark.parametrize("kind", ["plan", "review"])
def test_the_task_defaults_set_the_deferral_limit_of_planning_and_review(swarm: Harness, kind: str) -> None:
    task = swarm.submit(None if kind == "plan" else ["a"], defaults={"give_up": 10 * SECOND})
    if kind == "review":
        swarm.report(swarm.take(swarm.bot("worker")))
    bot = swarm.bot("other", "Planner" if kind == "plan" else "Evaluator")

    for _ in range(9):
        if swarm.task(task).failure is None:
            swarm.report(swarm.take(bot, wait=60), error="rate_limited")

    assert failure_code(swarm, task) == ("planning_failed" if kind == "plan" else "review_exhausted")


@pytest.mark.parametrize("delay", [0, 1, 5])
def test_releases_use_no_try_for_an_hour_and_their_delays_grow(swarm: Harness, delay: int) -> None:
    task, lease = leased(swarm, max_attempts=1)

    waits = put_off_until_it_is_over(
        swarm, task, lease, lambda it: swarm.release(it, delay_seconds=delay, reason="not there yet")
    )

    assert waits[:2] == [delay, delay]
    assert 3600 <= sum(waits) < 3900
    assert len([1 for n in range(len(waits)) if sum(waits[: n + 1]) <= 22]) <= 14
    # A polling client learns of it at most a quarter later than possible.
    assert all(wait <= max(delay, 1, sum(waits[:n]) / 4) for n, wait in enumerate(waits))
    error = swarm.work(task, "a").error
    assert error is not None
    assert error["detail"].endswith("at last: not there yet")


def test_waiting_for_a_bot_or_a_person_is_not_a_deferral(swarm: Harness) -> None:
    task, lease = leased(swarm, give_up_after_seconds=60)
    swarm.report(lease, error="rate_limited", retry_after_seconds=30)
    swarm.advance(600)  # ten times what it may be put off, and no bot takes it
    lease = swarm.take(lease.bot)

    swarm.report(lease, error="rate_limited", retry_after_seconds=30)
    lease = swarm.take(lease.bot, wait=60)
    assert swarm.work(task, "a").tries == 0
    question = swarm.ask(lease)
    swarm.decide(question, "answer", answer="yes")
    lease = swarm.take(lease.bot)
    swarm.report(lease, error="rate_limited", retry_after_seconds=30)

    assert (swarm.work(task, "a").status, swarm.work(task, "a").deferrals) == (Status.WAITING, 1)
    swarm.check()


def test_a_crash_ends_a_row_of_deferrals() -> None:
    swarm = Harness(limits=Limits(give_up=2 * SECOND))
    task, lease = leased(swarm)
    for _ in range(2):
        swarm.release(lease, delay_seconds=1)
        lease = swarm.take(lease.bot, wait=2)

    swarm.beat(lease)
    swarm.advance(30)
    lease = swarm.take(lease.bot, wait=60)
    swarm.release(lease)

    work = swarm.work(task, "a")
    assert (work.status, work.tries, work.deferrals, work.put_off) == (Status.READY, 0, 1, 0)
    swarm.check()


def test_a_released_item_is_ready_at_once_or_after_its_delay(swarm: Harness) -> None:
    task, lease = leased(swarm)
    swarm.release(lease)
    lease = swarm.take(lease.bot)

    swarm.release(lease, delay_seconds=10)

    assert swarm.lease(lease.bot) is None
    swarm.advance(9.999_999)
    assert swarm.lease(lease.bot) is None
    swarm.advance(0.000_001)
    assert swarm.take(lease.bot).attempt == 3
    assert swarm.work(task, "a").attempt == 3


def test_releasing_twice_gives_the_same_answer_and_changes_nothing(swarm: Harness) -> None:
    task, lease = leased(swarm)
    swarm.release(lease)
    before = swarm.dump()

    swarm.release(lease)

    assert swarm.dump() == before
    assert swarm.work(task, "a").deferrals == 1


def test_asking_twice_gives_the_first_question_again(swarm: Harness) -> None:
    task, lease = leased(swarm)

    assert swarm.ask(lease) == swarm.ask(lease)
    assert len(swarm.approvals(task)) == 1


def test_the_answer_to_a_question_comes_with_the_next_lease(swarm: Harness) -> None:
    task, lease = leased(swarm)
    question = swarm.ask(lease, "left or right?", choices=("left", "right"))

    swarm.decide(question, "answer", answer="left")

    again = swarm.take(lease.bot)
    assert again.attempt == 2
    assert swarm.work(task, "a").tries == 0
    answered = swarm.rows("SELECT question, answer FROM answered WHERE work = ?", lease.work)
    assert answered == [{"question": "left or right?", "answer": '"left"'}]


def test_the_next_attempt_gets_the_checkpoint_even_after_a_crash(swarm: Harness) -> None:
    task, lease = leased(swarm)
    swarm.beat(lease, checkpoint={"page": 7})

    swarm.advance(40)

    kept = swarm.work(task, "a").checkpoint
    assert kept is not None
    assert swarm.payload(kept) == {"page": 7}


def checkpoints(swarm: Harness) -> dict[str, str]:
    """Return all stored checkpoints, by id."""
    found = swarm.rows("SELECT id, body FROM payload WHERE id LIKE '%/checkpoint/%'")
    return {row["id"]: bytes(row["body"]).decode() for row in found}


def test_each_checkpoint_has_an_id_of_its_own_and_only_the_last_is_kept(swarm: Harness) -> None:
    swarm.submit(["a"])
    bot, seen = swarm.bot("worker"), dict[str, str]()
    for page in range(1, 7):
        if page in (1, 4):  # the second attempt continues from the last checkpoint of the first
            (lease,) = swarm.leases(bot)
        swarm.beat(lease, checkpoint={"page": page})
        if page == 3:
            swarm.release(lease)
            swarm.advance(3600)

        now = checkpoints(swarm)
        assert f'{{"page":{page}}}' in now.values()
        assert len(now) == (1 if page <= 3 else 2)
        assert all(seen.get(id_, body) == body for id_, body in now.items()), "an id names one checkpoint for ever"
        seen |= now

    swarm.release(lease)
    assert list(checkpoints(swarm).values()) == ['{"page":6}']


def test_a_retry_drops_checkpoints_and_rework_keeps_them(swarm: Harness) -> None:
    task, lease = leased(swarm)
    swarm.beat(lease, checkpoint={"page": 7})
    swarm.report(lease)
    judge = swarm.bot("judge", "Evaluator")
    swarm.report(swarm.take(judge), verdict="rework")
    assert swarm.work(task, "a").checkpoint is not None

    swarm.cancel(task)
    swarm.retry(task)

    assert swarm.work(task, "a").checkpoint is None


def test_usage_is_a_total_per_attempt_and_is_summed_over_attempts(swarm: Harness) -> None:
    task, lease = leased(swarm)
    swarm.beat(lease, usage={"tokens": 5})
    swarm.beat(lease, usage={"tokens": 9})
    swarm.advance(40)  # it crashes: the last usage that was sent counts
    assert swarm.task(task).usage == {"tokens": 9}

    swarm.report(swarm.take(lease.bot), usage={"tokens": 3, "cost_micro_usd": 2})

    assert swarm.task(task).usage == {"tokens": 12, "cost_micro_usd": 2}


def test_only_heartbeats_extend_a_lease(swarm: Harness) -> None:
    _, lease = leased(swarm)
    for _ in range(10):
        swarm.advance(20)
        assert swarm.beat(lease) == "continue"

    swarm.advance(30)

    assert swarm.beat(lease) == "lost"


def test_a_bot_may_choose_the_ttl_of_its_lease(swarm: Harness) -> None:
    swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"), ttl_seconds=300)

    assert lease.expires_at - lease.granted_at == 300 * SECOND
