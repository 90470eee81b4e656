"""Which bot gets which item: order, skills, capacity, and waiting polls."""

from __future__ import annotations

import pytest

from swarmkeeper.core import commands
from swarmkeeper.core.errors import PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.states import Status
from swarmkeeper.sim.harness import ADMIN, CLIENT, OPERATOR, Harness


def reason(swarm: Harness, bot: str) -> str | None:
    claimed = swarm.claim(bot)
    assert claimed.leases == ()
    return claimed.reason


# ---- order ---------------------------------------------------------------------------------------------------------


def test_higher_priorities_come_first_and_then_older_tasks(swarm: Harness) -> None:
    for key, priority in (("low", 2), ("first", 5), ("second", 5), ("high", 9)):
        swarm.submit([key], priority=priority)

    leases = swarm.leases(swarm.bot("worker", capacity=4), 4)

    assert [lease.key for lease in leases] == ["high", "first", "second", "low"]


def test_subtasks_come_in_the_order_of_their_plan(swarm: Harness) -> None:
    keys = [f"k{number}" for number in (3, 1, 2, 0)]
    swarm.submit(keys)

    assert [lease.key for lease in swarm.leases(swarm.bot("worker", capacity=4), 4)] == keys


def test_a_subtask_may_have_a_priority_of_its_own(swarm: Harness) -> None:
    swarm.submit(["a", {"key": "b", "priority": 9}])

    assert swarm.take(swarm.bot("worker")).key == "b"


def test_a_low_priority_gets_its_turn_in_an_endless_stream_of_high_ones(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    swarm.submit(["low"], priority=0, defaults={"start": 86_400_000_000})

    served = []
    for minute in range(12):
        for number in range(3):
            swarm.submit([f"high-{minute}-{number}"], priority=8)
        for _ in range(2):
            lease = swarm.take(worker)
            served.append(lease.key)
            swarm.report(lease)
        swarm.advance(60)

    assert "low" in served
    assert served.index("low") >= 12  # only once its priority has risen above theirs


def test_a_changed_priority_applies_to_waiting_items(swarm: Harness) -> None:
    swarm.submit(["a"])
    late = swarm.submit(["b"])

    swarm.update(late, priority=9)

    assert swarm.take(swarm.bot("worker")).key == "b"
    assert swarm.task(late).priority == 9


def test_a_long_queue_of_other_work_does_not_delay_a_bot_with_a_rare_skill() -> None:
    swarm = Harness()
    for number in range(20):
        swarm.park(swarm.bot(f"common-{number}", capacity=64), max_leases=64, skills=())
    rare = swarm.park(swarm.bot("rare", skills=("rare",), dedicated=True))

    swarm.run(_submit_both(swarm))
    swarm.advance(0)

    assert [lease.key for lease in rare.leases] == ["rare"]
    swarm.check()


async def _submit_both(swarm: Harness) -> None:
    many = [f"k{number:03}" for number in range(400)]
    rare = swarm.a_submission([{"key": "rare", "required_skills": ["rare"]}], priority=0)
    await swarm.engine.do_all([*(swarm.a_submission(many, priority=priority) for priority in (9, 8, 7, 6)), rare])


# ---- eligibility ---------------------------------------------------------------------------------------------------


def test_a_bot_gets_only_items_whose_skills_it_has(swarm: Harness) -> None:
    swarm.submit([{"key": "a", "required_skills": ["x", "y"]}])

    assert swarm.lease(swarm.bot("half", skills=("x",))) is None
    assert swarm.lease(swarm.bot("whole", skills=("x", "y", "z"))) is not None


@pytest.mark.parametrize(("skills", "type_"), [("planner_skills", "Planner"), ("evaluator_skills", "Evaluator")])
def test_planning_and_review_may_require_skills_too(swarm: Harness, skills: str, type_: str) -> None:
    swarm.submit(None if type_ == "Planner" else ["a"], **{skills: ("x",)})
    if type_ == "Evaluator":
        swarm.report(swarm.take(swarm.bot("worker")))

    assert swarm.lease(swarm.bot("without", type_)) is None
    assert swarm.lease(swarm.bot("with", type_, skills=("x",))) is not None


def test_a_bot_may_ask_for_some_of_its_skills(swarm: Harness) -> None:
    swarm.submit([{"key": "a", "required_skills": ["x"]}])
    bot = swarm.bot("worker", skills=("x", "y"))

    assert swarm.lease(bot, skills=("y",)) is None
    assert swarm.lease(bot, skills=("x",)) is not None


def test_a_dedicated_bot_never_takes_items_that_require_none_of_its_skills(swarm: Harness) -> None:
    swarm.submit(["anyones"])
    bot = swarm.bot("dedicated", skills=("x",), dedicated=True)
    assert swarm.lease(bot) is None

    swarm.submit([{"key": "its", "required_skills": ["x"]}])

    assert swarm.take(bot).key == "its"


def test_only_the_assigned_bot_gets_an_item(swarm: Harness) -> None:
    swarm.submit([{"key": "a", "assign_to": "bob"}])

    assert swarm.lease(swarm.bot("eve")) is None
    assert swarm.take(swarm.bot("bob")).key == "a"


def test_bots_get_only_work_of_their_type(swarm: Harness) -> None:
    swarm.submit()
    swarm.submit(["a"])

    assert swarm.lease(swarm.bot("judge", "Evaluator")) is None
    assert swarm.take(swarm.bot("planner", "Planner")).kind == "plan"
    assert swarm.take(swarm.bot("worker")).kind == "execute"


def test_no_key_takes_work_for_a_bot_of_another_key(swarm: Harness) -> None:
    bot, other = swarm.bot("worker"), swarm.bot("other")

    for by, error in ((swarm.principal(other), PermissionDenied), (CLIENT, PermissionDenied)):
        with pytest.raises(error):
            swarm.run(_claim(swarm, commands.ClaimWork(by=by, bot=bot)))
    with pytest.raises(ResourceNotFound):
        swarm.run(_claim(swarm, commands.ClaimWork(by=swarm.principal(bot), bot="bot_NONE")))


async def _claim(swarm: Harness, claim: commands.ClaimWork) -> object:
    return await swarm.engine.claim(claim, parks=True).answer


# ---- capacity ------------------------------------------------------------------------------------------------------


def test_a_bot_never_holds_more_than_its_capacity(swarm: Harness) -> None:
    swarm.submit([f"k{number}" for number in range(5)])
    bot = swarm.bot("worker", capacity=2)

    first = swarm.leases(bot, 5)

    assert len(first) == 2
    assert reason(swarm, bot) == "at_capacity"
    swarm.report(first[0])
    assert len(swarm.leases(bot, 5)) == 1


def test_capacity_is_known_again_after_a_restart(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker")
    swarm.take(bot)

    swarm.restart()

    assert reason(swarm, bot) == "at_capacity"


def test_a_bot_at_capacity_gets_work_as_soon_as_it_has_room(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker")
    lease = swarm.take(bot)
    parked = swarm.park(bot)
    assert parked.waits

    swarm.report(lease)
    swarm.advance(0)

    assert [lease.key for lease in parked.leases] == ["b"]


def test_a_poll_that_ends_when_its_bot_gets_room_does_not_keep_the_engine_busy(swarm: Harness) -> None:
    swarm.submit(["a"])
    bot = swarm.bot("worker")
    lease = swarm.take(bot)
    parked = swarm.park(bot)

    swarm.report(lease)
    swarm.engine.abandon(parked.poll)
    steps = swarm.loop.steps
    swarm.advance(10)

    assert swarm.loop.steps - steps < 200


def test_a_draining_bot_gets_no_new_leases_and_keeps_its_own(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker", capacity=2)
    lease = swarm.take(bot)

    swarm.do(commands.Drain(by=OPERATOR, bot=bot))

    assert reason(swarm, bot) == "draining"
    assert swarm.beat(lease) == "continue"
    assert swarm.report(lease, claim=1).leases == ()


def test_a_waiting_bot_gets_work_as_soon_as_it_is_enabled_or_has_the_skill(swarm: Harness) -> None:
    swarm.submit(["a", {"key": "b", "required_skills": ["x"]}])
    drained, unskilled = swarm.bot("drained"), swarm.bot("unskilled", dedicated=True, skills=("other",))
    swarm.do(commands.Drain(by=OPERATOR, bot=drained))
    polls = [swarm.park(drained), swarm.park(unskilled)]
    assert [poll.waits for poll in polls] == [True, True]

    swarm.do(commands.Enable(by=OPERATOR, bot=drained))
    swarm.bot("unskilled", dedicated=True, skills=("x",))
    swarm.advance(0)

    assert [lease.key for poll in polls for lease in poll.leases] == ["a", "b"]


# ---- waiting polls -------------------------------------------------------------------------------------------------


def test_a_waiting_bot_gets_the_work_in_the_commit_that_made_it_ready(swarm: Harness) -> None:
    swarm.submit(["a", {"key": "b", "depends_on": ["a"]}])
    lease = swarm.take(swarm.bot("first"))
    parked = swarm.park(swarm.bot("second"))
    swarm.commits.clear()

    swarm.report(lease)

    assert [lease.key for lease in parked.leases] == ["b"]
    moments = {changes.alive_at for changes in swarm.commits if changes.alive_at is not None}
    assert len(moments) == 1, "one batch, one commit"


def test_an_item_leased_in_the_commit_that_made_it_ready_never_enters_a_queue(swarm: Harness) -> None:
    swarm.submit(["a", {"key": "b", "depends_on": ["a"]}])
    lease = swarm.take(swarm.bot("first"))
    parked = swarm.park(swarm.bot("second"))
    swarm.commits.clear()

    swarm.report(lease)

    (item,) = [lease.work for lease in parked.leases]
    assert not any(item in changes.ready or ("start", item) in changes.timers for changes in swarm.commits)


def test_an_item_that_was_queued_leaves_its_queue_when_it_is_leased(swarm: Harness) -> None:
    swarm.submit(["a"])
    swarm.commits.clear()

    lease = swarm.take(swarm.bot("first"))

    assert [changes.ready for changes in swarm.commits if changes.ready] == [{lease.work: None}]
    assert swarm.row("SELECT count(*) AS n FROM ready")["n"] == 0


def test_waiting_polls_are_served_in_order_of_arrival(swarm: Harness) -> None:
    polls = [swarm.park(swarm.bot(name)) for name in ("one", "two", "three")]

    swarm.submit(["a", "b"])

    assert [poll.waits for poll in polls] == [False, False, True]
    assert [lease.key for poll in polls[:2] for lease in poll.leases] == ["a", "b"]


def test_an_item_that_the_first_poll_may_not_have_goes_to_a_later_poll(swarm: Harness) -> None:
    worker = swarm.bot("worker", owner="ann")
    own = [swarm.park(swarm.bot(f"own-{number}", "Evaluator", owner="ann")) for number in range(9)]
    other = swarm.park(swarm.bot("other", "Evaluator", owner="ben"))
    last = swarm.park(swarm.bot("last", "Evaluator", owner="ben"))
    swarm.submit(["a"])

    swarm.report(swarm.take(worker))

    assert len(other.leases) == 1
    assert all(parked.waits for parked in (*own, last))


def test_an_empty_answer_comes_when_the_time_is_up(swarm: Harness) -> None:
    swarm.submit(["a"])
    swarm.take(swarm.bot("other"))
    bot = swarm.bot("worker")
    before = swarm.now

    claimed = swarm.claim(bot, wait=25)

    assert (claimed.leases, claimed.reason) == ((), "nothing_ready")
    assert swarm.now - before == 25_000_000


def test_a_poll_without_connection_gets_nothing_and_the_next_poll_gets_the_item(swarm: Harness) -> None:
    gone, there = swarm.park(swarm.bot("gone")), swarm.park(swarm.bot("there"))
    gone.hang_up()

    task = swarm.submit(["a"])

    assert [lease.key for lease in there.leases] == ["a"]
    assert swarm.work(task, "a").attempt == 1


def test_a_lease_that_could_not_be_delivered_is_granted_again_without_using_a_try(swarm: Harness) -> None:
    gone, there = swarm.park(swarm.bot("gone")), swarm.park(swarm.bot("there"))
    task = swarm.submit(["a"])
    assert not gone.waits

    gone.hang_up()

    work = swarm.work(task, "a")
    assert [lease.key for lease in there.leases] == ["a"]
    assert (work.attempt, work.tries, work.crashes) == (2, 0, 0)


def test_the_work_of_a_deleted_bot_is_granted_again_at_once(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")
    swarm.take(bot)
    parked = swarm.park(swarm.bot("other"))

    swarm.do(commands.DeleteBot(by=ADMIN, bot=bot))

    assert [lease.key for lease in parked.leases] == ["a"]
    assert swarm.work(task, "a").status is Status.LEASED


def test_revoking_a_key_ends_its_leases_in_the_same_commit_without_using_a_try(swarm: Harness) -> None:
    key = swarm.do(commands.CreateKey(by=ADMIN, role="bot:executor", public_id="pub", digest=b"d"))
    by = Principal("default", key, "bot:executor")
    bots = [
        swarm.do(commands.Register(by=by, type="Executor", version="1", name=f"bot-{number}"))[0]
        for number in range(100)
    ]
    task = swarm.submit([f"k{number:03}" for number in range(100)])
    for bot in bots:
        swarm.run(_claim(swarm, commands.ClaimWork(by=by, bot=bot)))
    assert len(swarm.rows("SELECT 1 FROM lease")) == 100

    swarm.do(commands.RevokeKey(by=ADMIN, key=key))

    assert swarm.rows("SELECT 1 FROM lease") == []
    assert {(work.status, work.tries, work.crashes) for work in swarm.works(task).values()} == {(Status.READY, 0, 0)}


def test_a_bot_that_serves_no_queue_is_answered_no_match(swarm: Harness) -> None:
    swarm.submit([{"key": "a", "required_skills": ["x"]}])

    assert reason(swarm, swarm.bot("worker")) == "no_match"


def test_a_poll_looks_past_a_held_task_whose_rows_are_being_removed(swarm: Harness) -> None:
    held = swarm.submit([f"s{number}" for number in range(3_000)])
    swarm.advance(1)
    other = swarm.submit(["only"])
    bot = swarm.bot("bot")

    swarm.pause(held)
    poll = swarm.park(bot)
    swarm.advance(1)

    assert [lease.task for lease in poll.leases] == [other]
