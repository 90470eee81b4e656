"""Fairness between tenants, tasks and priorities: engine turns, job slices, limits of open tasks."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.errors import BacklogFull, Overloaded
from swarmkeeper.core.model import AttemptFailure, Principal
from swarmkeeper.core.states import ErrorClass
from swarmkeeper.engine.fairness import RECENT_TURNS
from swarmkeeper.sim.harness import ADMIN, Harness

OTHER = Principal("other", "key_other", "admin")
LONG = [f"k{number:04}" for number in range(3_000)]


def of_other(swarm: Harness, *given: Any, **named: Any) -> commands.Submit:
    return dataclasses.replace(swarm.a_submission(*given, **named), by=OTHER)


def titles(swarm: Harness) -> list[str]:
    """Return the titles of the tasks in order of submission."""
    return [row["title"] for row in swarm.rows("SELECT title FROM task ORDER BY rowid")]


# ---- the queue of commands -----------------------------------------------------------------------------------------


def test_a_flood_from_one_tenant_delays_others_only_by_its_share(swarm: Harness) -> None:
    flood = [swarm.a_submission(["a"], title=f"flood {number}") for number in range(600)]

    swarm.do_all([*flood, *(of_other(swarm, ["a"], title="other") for _ in range(20))])

    order = titles(swarm)
    assert len(order) == 620
    assert max(position for position, title in enumerate(order) if title == "other") <= 41
    assert [title for title in order if title != "other"] == [f"flood {number}" for number in range(600)]


def test_a_tenant_of_weight_three_gets_three_turns_where_another_gets_one(swarm: Harness) -> None:
    swarm.do_all([swarm.a_submission(["a"], title="first"), of_other(swarm, ["a"], title="first")])
    swarm.do(commands.SetTenant(by=OTHER, weight=3))

    swarm.do_all(
        [
            *(swarm.a_submission(["a"], title="one") for _ in range(100)),
            *(of_other(swarm, ["a"], title="three") for _ in range(100)),
        ]
    )

    assert 28 <= titles(swarm)[2:42].count("three") <= 32


def test_a_full_queue_accepts_a_command_of_a_tenant_with_none_in_it() -> None:
    swarm = Harness(queue_commands=8)

    found = swarm.do_all([*(swarm.a_submission(["a"]) for _ in range(12)), of_other(swarm, ["a"])])

    assert [isinstance(answer, Overloaded) for answer in found] == [False] * 8 + [True] * 4 + [False]
    swarm.check()


def test_tenants_take_turns_with_job_slices_for_any_number_of_tasks(swarm: Harness) -> None:
    swarm.do_all([*(swarm.a_submission(LONG) for _ in range(4)), of_other(swarm, LONG)])
    swarm.advance(0)

    order = [leaf.tenant for changes in swarm.commits for leaf in changes.leaves if leaf.action == "chore.plan"]
    until_done = order[: len(order) - order[::-1].index("other")]
    slices = until_done.count("other")
    assert 30 <= slices <= 33  # a hundred rows each, or fewer in a batch with commands
    assert until_done.count("default") <= slices + 1


def test_answers_of_a_batch_leave_before_the_next_job_slice(swarm: Harness) -> None:
    swarm.do_all([swarm.a_submission(LONG)])
    swarm.commits.clear()
    seen = []

    async def ask() -> None:
        await swarm.engine.do(swarm.a_submission(["a"]))
        await asyncio.sleep(0)  # the answer of a poll takes one more turn of the loop to leave
        seen.append(len(swarm.commits))

    swarm.run(swarm.host.spawn(ask()))

    (own,) = (
        number
        for number, changes in enumerate(swarm.commits, start=1)
        if any(leaf.action == "task.submit" for leaf in changes.leaves)
    )
    assert seen == [own]


def test_batches_take_fewer_commands_while_a_job_runs(swarm: Harness) -> None:
    swarm.do_all([swarm.a_submission(LONG)])
    swarm.commits.clear()

    swarm.do_all([swarm.a_submission(["a"]) for _ in range(200)])

    for changes in swarm.commits:
        actions = [leaf.action for leaf in changes.leaves]
        assert not ("chore.plan" in actions and actions.count("task.submit") > 64), actions
        assert len(changes.works) <= (64 + 250 if "task.submit" in actions else 500)


def test_batches_are_smaller_while_several_tenants_are_active(swarm: Harness) -> None:
    def largest(*also: commands.Submit) -> int:
        swarm.commits.clear()
        swarm.do_all([*(swarm.a_submission(["a"]) for _ in range(300)), *also])
        return max(len(changes.tasks) for changes in swarm.commits)

    assert largest() == 128
    assert largest(of_other(swarm, ["a"])) == 16
    assert largest() == 16  # the other tenant was active recently
    for _ in range(RECENT_TURNS):
        swarm.submit(["a"])
    assert largest() == 128


def test_grants_in_one_batch_are_bounded_and_all_parked_polls_are_served(swarm: Harness) -> None:
    polls = [swarm.park(swarm.bot(f"bot-{number}", capacity=40), max_leases=40) for number in range(6)]
    swarm.commits.clear()

    swarm.submit([f"k{number:03}" for number in range(240)])
    swarm.advance(0)

    assert [len(poll.leases) for poll in polls] == [40] * 6
    assert max(len(changes.leases) for changes in swarm.commits) == 80


# ---- priorities ----------------------------------------------------------------------------------------------------


def test_a_low_priority_gets_its_turn_beyond_the_read_limit(swarm: Harness) -> None:
    worker = swarm.bot("worker", capacity=64)
    swarm.submit(["low"], priority=0, defaults={"start": 86_400_000_000})

    served: list[str] = []
    for minute in range(12):
        swarm.submit([f"high-{minute}-{number:03}" for number in range(200)], priority=9)
        leases = swarm.leases(worker, 64)
        served += [lease.key for lease in leases]
        for lease in leases:
            swarm.report(lease)
        if "low" in served:
            break
        swarm.advance(60)

    # By then it has the same priority as items of its ninth minute, and is older.
    assert "low" in served
    assert minute >= 9


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_claim_takes_the_best_items_of_all_queues_and_priorities(swarm: Harness, most: int) -> None:
    for number in range(12):
        skills = [["x"], ["y"], []][number % 3]
        swarm.submit([{"key": f"k{number:02}", "required_skills": skills}], priority=(7 * number) % 10)
    bot = swarm.bot("worker", skills=("x", "y"), capacity=12)

    got: list[str] = []
    while leases := swarm.leases(bot, most):
        got += [lease.key for lease in leases]

    assert got == [f"k{number:02}" for number in sorted(range(12), key=lambda number: (-((7 * number) % 10), number))]


def test_items_made_ready_in_this_batch_are_ranked_with_stored_ones(swarm: Harness) -> None:
    swarm.submit([{"key": "high", "priority": 9}, "a", {"key": "b", "priority": 6, "depends_on": ["high"]}])
    swarm.submit(["old", {"key": "low", "priority": 4}])
    bot = swarm.bot("worker", capacity=4)
    lease = swarm.take(bot)

    following = swarm.report(lease, claim=4)

    assert [lease.key for lease in following.leases] == ["b", "a", "old", "low"]


def test_items_moved_in_this_batch_count_at_their_new_position(swarm: Harness) -> None:
    swarm.submit([{"key": "first", "priority": 9}])
    lowered = swarm.submit(["lowered"], priority=8)
    swarm.submit(["plain"])
    bot = swarm.bot("worker")
    lease = swarm.take(bot)
    report = swarm.a_report(lease)
    claim = commands.ClaimWork(by=report.by, bot=bot, most=1)

    async def at_once() -> Any:
        update = commands.Update(by=ADMIN, task=lowered, priority=1)
        return await asyncio.gather(swarm.engine.do(update), swarm.engine.report([report], claim))

    _, (_, claimed) = swarm.run(at_once())

    assert [lease.key for lease in swarm.held(bot, claimed.leases)] == ["plain"]


# ---- started tasks are finished first ------------------------------------------------------------------------------


def work_off(swarm: Harness, bot: str, *, seconds: float = 0) -> list[tuple[str, str]]:
    """Lease all items one at a time; return (task, key) of each in order."""
    served = []
    while (lease := swarm.lease(bot, ttl_seconds=600)) is not None:
        swarm.advance(seconds)
        swarm.report(lease)
        served.append((lease.task, lease.key))
    return served


def chain(*skills: str) -> list[dict[str, Any]]:
    """Return a chain of subtasks, one for each skill."""
    return [
        {
            "key": f"step{number}",
            "depends_on": [f"step{number - 1}"] if number else [],
            "required_skills": [skills[number % len(skills)]] if skills else [],
        }
        for number in range(4)
    ]


@pytest.mark.parametrize("skills", [(), ("draw", "cut")], ids=["one queue", "two queues"])
@pytest.mark.parametrize("seconds", [0, 60], ids=["at once", "a minute each"])
def test_tasks_started_first_are_finished_first(swarm: Harness, skills: tuple[str, ...], seconds: float) -> None:
    # Submitted together, so that only their order differs.
    given = swarm.do_all([swarm.a_submission(chain(*skills), evaluation="none") for _ in range(60)])
    bot = swarm.bot("worker", skills=skills)

    served = work_off(swarm, bot, seconds=seconds)

    assert [task for task, _ in served] == [task for task in given for _ in range(4)]
    assert [key for _, key in served[:4]] == ["step0", "step1", "step2", "step3"]


def test_released_and_reopened_items_keep_the_position_of_their_task(swarm: Harness) -> None:
    first, second = (swarm.submit(chain(), evaluation="none") for _ in range(2))
    bot, other = swarm.bot("worker"), swarm.bot("other")

    swarm.release(swarm.take(bot))
    assert swarm.take(bot).task == first
    swarm.report(swarm.take(other), error="not_retryable")
    swarm.retry(second)
    third = swarm.submit(["a"])
    assert swarm.take(other).task == second

    assert swarm.take(swarm.bot("last")).task == third


def test_reviews_and_plans_follow_the_order_of_their_tasks(swarm: Harness) -> None:
    planner, judge, worker = swarm.bot("planner", "Planner"), swarm.bot("judge", "Evaluator"), swarm.bot("worker")
    first, second = swarm.submit(title="first"), swarm.submit(title="second")

    swarm.report(swarm.take(planner), error="retryable")
    swarm.advance(10)
    lease = swarm.take(planner)
    assert lease.task == first, "its plan waits again, and goes first all the same"
    for _ in range(2):
        swarm.report(lease, plan=["a"])
        lease = swarm.lease(planner) or lease
    one, other = swarm.take(worker), swarm.take(swarm.bot("another"))
    assert (one.task, other.task) == (first, second)
    swarm.report(other)
    swarm.report(one)

    assert swarm.take(judge).task == first


def test_a_small_later_task_does_not_wait_for_all_of_a_huge_one(swarm: Harness) -> None:
    swarm.submit([f"k{number:04}" for number in range(1_000)], evaluation="none")
    swarm.advance(0)
    swarm.advance(150)  # two and a half minutes later
    small = swarm.submit(["a", {"key": "b", "depends_on": ["a"]}], evaluation="none")
    bot = swarm.bot("worker", capacity=64)

    before: list[str] = []
    while swarm.task(small).outcome is None:
        for lease in swarm.leases(bot, 50):
            swarm.report(lease)
            before += [lease.key] * (lease.task != small)

    assert 300 <= len(before) <= 400, "a hundred for each minute"
    assert before == sorted(before)


def test_a_long_task_of_low_priority_does_not_become_urgent_by_being_old(swarm: Harness) -> None:
    low = swarm.submit(chain(), priority=0, evaluation="none")
    bot = swarm.bot("worker")
    swarm.report(swarm.take(bot))
    lease = swarm.take(bot, ttl_seconds=3600)
    swarm.advance(800)
    urgent = swarm.submit(["a"], priority=9)
    swarm.report(lease)  # its downstream becomes ready now, in an old task

    assert swarm.take(bot).task == urgent
    assert swarm.take(swarm.bot("other")).task == low


def test_urgent_items_wait_at_most_for_items_that_came_before_them(swarm: Harness) -> None:
    """An old item raises its own priority, not that of other items of its level."""
    bot = swarm.bot("worker")
    for _ in range(10):
        swarm.submit(chain(), priority=5, evaluation="none")
    swarm.advance(600)  # all ready items have risen to the highest priority
    urgent = swarm.submit(["a"], priority=9)

    served: list[tuple[str, str]] = []
    while not served or served[-1][0] != urgent:
        lease = swarm.take(bot)
        swarm.report(lease)
        served.append((lease.task, lease.key))

    assert [key for _, key in served] == ["step0"] * 10 + ["a"]


# ---- limit of open tasks -------------------------------------------------------------------------------------------


def bound(swarm: Harness, most: int) -> None:
    swarm.do(commands.CreateKey(by=ADMIN, role="client", public_id="pub", digest=b"d"))
    swarm.do(commands.SetTenant(by=ADMIN, max_backlog=most))


def open_tasks(swarm: Harness) -> int:
    count: int = swarm.row("SELECT open_tasks FROM tenant WHERE id = 'default'")["open_tasks"]
    assert count == swarm.row("SELECT count(*) AS n FROM task WHERE outcome IS NULL")["n"]
    return count


def accepted(found: Sequence[Any]) -> int:
    assert all(isinstance(answer, str | BacklogFull) for answer in found)
    return sum(isinstance(answer, str) for answer in found)


def test_exactly_ten_of_fifty_submissions_are_accepted_with_room_for_ten(swarm: Harness) -> None:
    bound(swarm, 12)
    swarm.submit(["a"])
    swarm.submit(["b"])

    found = swarm.do_all([swarm.a_submission(["a"]) for _ in range(50)])

    assert accepted(found) == 10
    assert open_tasks(swarm) == 12
    refusal = found[-1]
    assert refusal.retryable
    assert refusal.retry_after > 0


def test_the_limit_holds_over_several_batches(swarm: Harness) -> None:
    bound(swarm, 150)

    assert accepted(swarm.do_all([swarm.a_submission(["a"]) for _ in range(400)])) == 150


def test_every_end_of_a_task_makes_room_and_a_retry_uses_it(swarm: Harness) -> None:
    bound(swarm, 3)
    done, cancelled, failed = (swarm.submit([key], evaluation="none") for key in ("a", "b", "c"))
    assert accepted(swarm.do_all([swarm.a_submission()])) == 0
    bot = swarm.bot("worker", capacity=3)
    first, _, third = swarm.leases(bot, 3)

    swarm.report(first)
    assert open_tasks(swarm) == 2
    swarm.cancel(cancelled)
    assert open_tasks(swarm) == 1
    swarm.report(third, failure=AttemptFailure(ErrorClass.NOT_RETRYABLE, "broken"))
    assert open_tasks(swarm) == 0
    swarm.advance(60)
    swarm.retry(failed)
    assert open_tasks(swarm) == 1
    assert accepted(swarm.do_all([swarm.a_submission(), swarm.a_submission(), swarm.a_submission()])) == 2
    assert swarm.task(done).outcome == "accepted"


def test_a_limit_set_later_counts_tasks_accepted_before(swarm: Harness) -> None:
    for _ in range(5):
        swarm.submit(["a"])
    assert open_tasks(swarm) == 5

    bound(swarm, 5)

    assert accepted(swarm.do_all([swarm.a_submission()])) == 0
    swarm.do(commands.SetTenant(by=ADMIN, unbounded=True))
    assert accepted(swarm.do_all([swarm.a_submission()])) == 1


def test_a_repeated_submission_is_answered_even_without_room(swarm: Harness) -> None:
    bound(swarm, 1)
    once = dataclasses.replace(swarm.a_submission(), idempotency=("key", "hash"))
    task = swarm.do(once)

    assert swarm.do(once).resource == task


def test_the_count_survives_a_restart(swarm: Harness) -> None:
    bound(swarm, 2)
    swarm.submit(["a"])

    swarm.restart()

    assert accepted(swarm.do_all([swarm.a_submission(), swarm.a_submission()])) == 1
