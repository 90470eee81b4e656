"""Fencing: which reports are accepted, late results, and leases that never reached their bot."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from swarmkeeper.core.commands import ClaimWork
from swarmkeeper.core.errors import (
    AlreadyReported,
    LeaseLost,
    LeaseRequired,
    PermissionDenied,
    ResourceNotFound,
    TaskClosed,
)
from swarmkeeper.core.states import Status
from swarmkeeper.engine.polls import Poll
from swarmkeeper.sim.harness import Harness, HarnessLease, Parked

HALF_MINUTE = 30
MICROSECOND = 0.000_001


def taken(swarm: Harness, name: str = "slow") -> tuple[str, HarnessLease]:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot(name))
    swarm.beat(lease)
    return task, lease


def test_a_bot_that_lost_its_lease_cannot_report(swarm: Harness) -> None:
    task, slow = taken(swarm)
    swarm.advance(HALF_MINUTE + 1)
    quick = swarm.take(swarm.bot("quick"))

    with pytest.raises(LeaseLost):
        swarm.report(slow, output={"from": "slow"})

    assert quick.attempt == 2
    assert swarm.work(task, "a").status is Status.LEASED
    assert swarm.late_results(slow.work) == [{"from": "slow"}]


def test_a_late_report_does_not_affect_the_new_lease(swarm: Harness) -> None:
    task, slow = taken(swarm)
    swarm.advance(HALF_MINUTE + 1)
    quick = swarm.take(swarm.bot("quick"))
    with pytest.raises(LeaseLost):
        swarm.report(slow, output={"from": "slow"})

    swarm.report(quick, output={"from": "quick"})

    result = swarm.work(task, "a").result
    assert result is not None
    assert swarm.payload(result) == {"from": "quick"}


def test_a_report_after_the_expiry_time_counts_until_the_lease_is_taken_back(swarm: Harness) -> None:
    task, lease = taken(swarm)
    swarm.loop.stall(HALF_MINUTE * 1_000_000 + 5_000_000)  # past the end of the lease, before its timer was handled

    assert swarm.report(lease).task_status == "COMPLETED"
    assert swarm.work(task, "a").status is Status.SUCCEEDED


def test_a_lease_lives_until_its_last_microsecond(swarm: Harness) -> None:
    task, _ = taken(swarm)

    swarm.advance(HALF_MINUTE - MICROSECOND)
    assert swarm.work(task, "a").status is Status.LEASED

    swarm.advance(MICROSECOND)
    assert swarm.work(task, "a").status is Status.WAITING


def test_a_late_result_is_kept_once_for_each_content(swarm: Harness) -> None:
    _, slow = taken(swarm)
    swarm.advance(HALF_MINUTE)

    for number in (1, 1, 2, 1):
        with pytest.raises(LeaseLost):
            swarm.report(slow, output={"n": number})

    assert sorted(late["n"] for late in swarm.late_results(slow.work)) == [1, 2]


def test_late_results_of_an_item_are_capped(swarm: Harness) -> None:
    _, slow = taken(swarm)
    swarm.advance(HALF_MINUTE)

    for number in range(swarm.limits.late_results_max + 5):
        with pytest.raises(LeaseLost):
            swarm.report(slow, output={"n": number})

    assert len(swarm.late_results(slow.work)) == swarm.limits.late_results_max


def test_a_result_for_an_item_never_leased_to_the_bot_is_not_kept(swarm: Harness) -> None:
    _, lease = taken(swarm)
    stranger = swarm.bot("stranger")

    with pytest.raises(LeaseLost):
        swarm.report(lease, output={"n": 1}, by=swarm.principal(stranger), bot=stranger)
    with pytest.raises(LeaseLost):
        swarm.report(lease, output={"n": 1}, lease_id="lse_MADEUP")

    assert swarm.late_results(lease.work) == []


def test_the_same_result_twice_gives_the_same_answer(swarm: Harness) -> None:
    _, lease = taken(swarm)
    first = swarm.report(lease, output={"n": 1}, usage={"tokens": 1})

    again = swarm.report(lease, output={"n": 1}, usage={"tokens": 2})

    assert (first.replayed, again.replayed) == (False, True)
    assert again.task_status == first.task_status


def test_the_same_result_twice_is_known_after_a_restart_and_after_the_task_was_archived(swarm: Harness) -> None:
    task, lease = taken(swarm)
    swarm.report(lease, output={"n": 1})
    swarm.report(swarm.take(swarm.bot("judge", "Evaluator")))
    swarm.restart()

    again = swarm.report(lease, output={"n": 1})

    assert (again.replayed, again.task_status) == (True, "ARCHIVED")
    assert swarm.task(task).status == "ARCHIVED"


@pytest.mark.parametrize("closed", [False, True])
def test_another_result_under_the_same_lease_is_refused(swarm: Harness, closed: bool) -> None:
    task, lease = taken(swarm)
    swarm.report(lease, output={"n": 1})
    if closed:
        swarm.cancel(task)

    with pytest.raises(AlreadyReported):
        swarm.report(lease, output={"n": 2})

    assert swarm.late_results(lease.work) == []


def test_a_failure_reported_twice_is_counted_once(swarm: Harness) -> None:
    task, lease = taken(swarm)
    swarm.report(lease, error="retryable", message="no")

    assert swarm.report(lease, error="retryable", message="no").replayed
    assert swarm.work(task, "a").tries == 1


def test_results_for_a_closed_task_are_kept_as_late_results(swarm: Harness) -> None:
    task, lease = taken(swarm)
    swarm.cancel(task)

    for _ in range(2):
        with pytest.raises(TaskClosed):
            swarm.report(lease, output={"n": 1}, usage={"tokens": 7})

    assert swarm.late_results(lease.work) == [{"n": 1}]
    assert swarm.task(task).usage == {"tokens": 7}  # usage of a late report counts
    assert swarm.work(task, "a").status is Status.CANCELLED


def test_a_report_on_a_task_of_another_tenant_is_not_found(swarm: Harness) -> None:
    _, lease = taken(swarm)

    with pytest.raises(ResourceNotFound):
        swarm.report(lease, task="tsk_OTHER")


def test_a_report_may_omit_the_only_lease_of_its_bot(swarm: Harness) -> None:
    _, lease = taken(swarm)

    assert swarm.report(lease, lease_id=None).task_status == "COMPLETED"


def test_a_report_must_name_its_lease_if_there_were_several(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker", capacity=2)
    first, second = swarm.leases(bot, 2)

    with pytest.raises(LeaseRequired):
        swarm.report(first, lease_id=None)

    swarm.report(first)
    with pytest.raises(LeaseRequired):
        swarm.report(second, lease_id=None)  # the second of two leases


def test_a_report_without_a_lease_of_the_task_must_name_one(swarm: Harness) -> None:
    _, lease = taken(swarm)
    other = swarm.bot("other")

    with pytest.raises(LeaseRequired):
        swarm.report(lease, lease_id=None, by=swarm.principal(other), bot=other)


# ---- unseen leases -------------------------------------------------------------------------------------------------


def test_an_item_with_an_unseen_lease_returns_to_its_position_without_using_a_try(swarm: Harness) -> None:
    task = swarm.submit(["a", "b"])
    bot = swarm.bot("worker")
    lost = swarm.take(bot)
    position = swarm.work(task, lost.key).position

    swarm.advance(HALF_MINUTE)

    work = swarm.work(task, lost.key)
    assert (work.status, work.tries, work.crashes, work.position) == (Status.READY, 0, 0, position)
    assert swarm.take(bot).key == lost.key  # before the items behind it
    assert swarm.attempts(lost.work)[0]["ending"] == "unseen"


@pytest.mark.parametrize("sign", ["beat", "release", "report", "ask"])
def test_any_call_that_names_a_lease_marks_it_as_seen(swarm: Harness, sign: str) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")
    for _ in range(4):
        swarm.take(bot)
        swarm.advance(HALF_MINUTE)
    assert swarm.work(task, "a").unseen == 4
    lease = swarm.take(bot)

    if sign == "beat":
        swarm.beat(lease)
        swarm.advance(HALF_MINUTE)
    elif sign == "report":
        swarm.report(lease, error="retryable")
    else:
        getattr(swarm, sign)(lease)

    assert swarm.work(task, "a").unseen == 0


def test_the_fifth_unseen_lease_in_a_row_counts_as_a_crash(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")

    for _ in range(4):
        swarm.take(bot)
        swarm.advance(HALF_MINUTE)
    assert swarm.work(task, "a").crashes == 0

    swarm.take(bot)
    swarm.advance(HALF_MINUTE)
    assert (swarm.work(task, "a").crashes, swarm.work(task, "a").status) == (1, Status.WAITING)


def test_an_item_that_kills_every_bot_at_once_is_poisoned(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")

    for _ in range(7):  # four that do not count, then three crashes
        swarm.take(bot, wait=600)
        swarm.advance(HALF_MINUTE)

    failure = swarm.task(task).failure
    assert swarm.work(task, "a").status is Status.FAILED
    assert failure is not None
    assert failure["code"] == "poisoned"


# ---- repeated claims -----------------------------------------------------------------------------------------------


def test_a_repeated_claim_returns_the_same_leases(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    bot = swarm.bot("worker", capacity=3)

    first = swarm.leases(bot, 2, claim_id="c1")
    again = swarm.leases(bot, 2, claim_id="c1")

    assert first == again
    assert len(first) == 2


def test_leases_that_a_repeated_claim_returned_stay_although_the_first_call_turns_out_to_be_cut(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")
    first = swarm.park(bot, claim_id="c1")

    (again,) = swarm.leases(bot, claim_id="c1")  # its reply was lost, which the server does not know yet
    swarm.engine.abandon(first.poll)  # now it does
    swarm.advance(0)

    assert swarm.report(again).leases == ()
    assert [attempt["ending"] for attempt in swarm.attempts(again.work)] == ["succeeded"]
    assert swarm.work(task, "a").status is Status.SUCCEEDED


def both(swarm: Harness, bot: str) -> list[Parked]:
    """Let a call and its repetition come to the same batch."""
    claim = ClaimWork(by=swarm.principal(bot), bot=bot, claim_id="c1")

    async def ask() -> list[Poll]:
        return [swarm.engine.claim(claim, parks=True) for _ in range(2)]

    polls = [Parked(swarm, bot, poll) for poll in swarm.run(ask())]
    swarm.advance(0)
    assert polls[0].leases == polls[1].leases != ()
    return polls


def test_leases_stay_if_a_call_that_came_with_its_repetition_turns_out_to_be_cut(swarm: Harness) -> None:
    task, bot = swarm.submit(["a"]), swarm.bot("worker")
    first, again = both(swarm, bot)

    first.hang_up()

    assert swarm.report(again.leases[0]).leases == ()
    assert swarm.work(task, "a").status is Status.SUCCEEDED


def test_leases_return_to_their_queue_if_neither_a_call_nor_its_repetition_received_them(swarm: Harness) -> None:
    task, bot = swarm.submit(["a"]), swarm.bot("worker")

    for poll in both(swarm, bot):
        assert swarm.work(task, "a").status is Status.LEASED
        poll.hang_up()

    assert swarm.work(task, "a").status is Status.READY


def test_leases_that_no_call_of_a_claim_received_return_to_their_queue(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")
    polls = [swarm.park(bot, claim_id="c1") for _ in range(3)]

    for parked in polls:
        assert swarm.work(task, "a").status is Status.LEASED
        swarm.engine.abandon(parked.poll)
        swarm.advance(0)

    assert swarm.work(task, "a").status is Status.READY


def test_a_repeated_claim_prolongs_no_lease(swarm: Harness) -> None:
    swarm.submit(["a"])
    bot = swarm.bot("worker")
    (first,) = swarm.leases(bot, claim_id="c1")

    swarm.advance(10)

    assert swarm.leases(bot, claim_id="c1") == (first,)


def test_a_repeated_claim_returns_its_leases_that_are_still_live(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    bot = swarm.bot("worker", capacity=3)
    first, second = swarm.leases(bot, 2, claim_id="c1")

    swarm.report(first)

    assert swarm.leases(bot, 2, claim_id="c1") == (second,)


def test_a_repeated_claim_without_live_leases_is_a_new_claim(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker")
    (first,) = swarm.leases(bot, claim_id="c1")
    swarm.report(first)

    (second,) = swarm.leases(bot, claim_id="c1")

    assert second.key != first.key


def test_claim_ids_of_different_bots_are_independent(swarm: Harness) -> None:
    swarm.submit(["a", "b"])

    first = swarm.leases(swarm.bot("one"), claim_id="c1")
    second = swarm.leases(swarm.bot("two"), claim_id="c1")

    assert {lease.key for lease in first + second} == {"a", "b"}


def test_the_same_claim_twice_at_the_same_time_gives_one_set_of_leases(swarm: Harness) -> None:
    bot = swarm.bot("worker", capacity=2)
    soon = swarm.host.spawn(_submit_soon(swarm))
    first = swarm.park(bot, claim_id="c1")
    second = swarm.park(bot, claim_id="c1")
    assert not first.waits  # the second poll ended the first

    swarm.advance(1)

    assert soon.done()
    assert first.leases == ()
    assert len(second.leases) == 1


async def _submit_soon(swarm: Harness) -> None:
    await swarm.clock.sleep(500_000)
    await swarm.engine.do(swarm.a_submission(["a", "b"]))


def test_report_with_claim_grants_in_the_same_commit_and_repeats_its_answer(swarm: Harness) -> None:
    swarm.submit(["a", {"key": "b", "depends_on": ["a"]}])
    lease = swarm.take(swarm.bot("worker"))
    swarm.commits.clear()

    answer = swarm.report(lease, claim=1)
    assert [lease.key for lease in answer.leases] == ["b"]
    audits = [entry for changes in swarm.commits for entry in changes.leaves]
    assert [leaf.action for leaf in audits] == ["work.report", "work.lease"]

    again = swarm.report(lease, claim=1)
    assert (again.replayed, again.leases) == (True, answer.leases)


def test_a_refused_report_claims_nothing(swarm: Harness) -> None:
    task, lease = taken(swarm)
    swarm.submit(["b"])
    swarm.cancel(task)

    with pytest.raises(TaskClosed):
        swarm.report(lease, claim=1)

    assert [row["bot"] for row in swarm.rows("SELECT bot FROM lease")] == []


# ---- ownership of leases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("says_the_task", [True, False])
@pytest.mark.parametrize("state", ["live", "reported", "closed"])
def test_a_bot_cannot_use_the_lease_of_another(swarm: Harness, state: str, *, says_the_task: bool) -> None:
    task, lease = taken(swarm)
    if state == "reported":
        swarm.report(lease, output={"n": 1})
    elif state == "closed":
        swarm.cancel(task)
    stranger = swarm.bot("stranger")
    named: dict[str, Any] = {} if says_the_task else {"task": None}
    refusal = TaskClosed if says_the_task and state == "closed" else LeaseLost

    with pytest.raises(refusal):
        swarm.report(lease, output={"n": 1}, by=swarm.principal(stranger), bot=stranger, **named)

    assert swarm.late_results(lease.work) == []


def test_a_report_counts_only_for_the_task_of_its_lease(swarm: Harness) -> None:
    _, lease = taken(swarm)
    other = swarm.submit(["a"])

    with pytest.raises(LeaseLost):
        swarm.report(lease, output={"n": 1}, task=other)
    swarm.report(lease, output={"n": 1})
    with pytest.raises(LeaseLost):
        swarm.report(lease, output={"n": 1}, task=other)


def test_a_heartbeat_for_another_bot_is_refused(swarm: Harness) -> None:
    _, lease = taken(swarm)
    stranger = swarm.bot("stranger")
    swarm.advance(HALF_MINUTE - 1)

    assert swarm.beat(dataclasses.replace(lease, bot=stranger)) == "lost"

    swarm.advance(1)
    with pytest.raises(LeaseLost):
        swarm.report(lease)


def test_a_bot_cannot_release_the_lease_of_another(swarm: Harness) -> None:
    task, lease = taken(swarm)
    stranger = swarm.bot("stranger")

    with pytest.raises(PermissionDenied):
        swarm.release(dataclasses.replace(lease, bot=stranger))
    with pytest.raises(PermissionDenied):
        swarm.ask(dataclasses.replace(lease, bot=stranger))

    assert swarm.work(task, "a").status is Status.LEASED


def test_a_key_of_another_type_cannot_speak_for_a_bot_of_the_same_name(swarm: Harness) -> None:
    _, lease = taken(swarm)
    planner = dataclasses.replace(swarm.principal(lease.bot), role="bot:planner")

    with pytest.raises(PermissionDenied):
        swarm.report(lease, by=planner)


def test_a_late_result_emits_one_event_for_each_content(swarm: Harness) -> None:
    task, slow = taken(swarm)
    swarm.advance(HALF_MINUTE)

    for _ in range(3):
        with pytest.raises(LeaseLost):
            swarm.report(slow, output={"n": 1})

    assert swarm.kinds(task).count("work.late_result") == 1


def test_an_owner_of_several_results_is_listed_once_as_contributor(swarm: Harness) -> None:
    bot = swarm.bot("busy", owner="one")
    task = swarm.submit(["a", "b", "c"])

    for _ in range(3):
        swarm.report(swarm.take(bot))

    assert swarm.task(task).contributors == ("one",)


@pytest.mark.parametrize("ended", ["reported", "asked"])
def test_only_a_released_lease_can_be_released_again(swarm: Harness, ended: str) -> None:
    _, lease = taken(swarm)
    if ended == "reported":
        swarm.report(lease)
    else:
        swarm.ask(lease)

    with pytest.raises(LeaseLost):
        swarm.release(lease)


# ---- proof that a grant arrived ------------------------------------------------------------------------------------


def gone_silent(swarm: Harness, lease: HarnessLease) -> tuple[int, int]:
    """Let the lease expire; return the number of crashes and of unseen leases."""
    swarm.advance(HALF_MINUTE)
    work = swarm.work(lease.task, lease.key)
    return work.crashes, work.unseen


def test_a_new_claim_id_proves_that_earlier_leases_arrived(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker", capacity=2)
    [first] = swarm.leases(bot, 1, claim_id="c1")
    swarm.advance(1)

    swarm.leases(bot, 1, claim_id="c2")

    assert gone_silent(swarm, first) == (1, 0)


def test_a_repeated_claim_proves_that_its_answer_was_lost(swarm: Harness) -> None:
    swarm.submit(["a"])
    bot = swarm.bot("worker", capacity=2)
    [first] = swarm.leases(bot, 1, claim_id="c1")
    swarm.advance(1)

    swarm.leases(bot, 1, claim_id="c1")

    assert gone_silent(swarm, first) == (0, 1)


def test_a_claim_sent_before_the_grant_proves_nothing(swarm: Harness) -> None:
    bot = swarm.bot("worker", capacity=2)
    swarm.park(bot, claim_id="c1")
    swarm.park(bot, claim_id="c2")
    task = swarm.submit(["a"])  # for the first poll
    swarm.advance(1)
    swarm.submit(["b"])  # and now the second poll is tried again

    swarm.advance(HALF_MINUTE)

    assert (swarm.work(task, "a").crashes, swarm.work(task, "a").unseen) == (0, 1)


@pytest.mark.parametrize("sign", ["beat", "report", "release"])
def test_a_call_for_one_lease_proves_that_the_leases_granted_with_it_arrived(swarm: Harness, sign: str) -> None:
    swarm.submit(["a", "b"])
    bot = swarm.bot("worker", capacity=2)
    one, other = swarm.leases(bot, 2, claim_id="c1")
    swarm.advance(1)

    getattr(swarm, sign)(one)

    assert gone_silent(swarm, other) == (1, 0)


def test_a_claim_of_another_bot_proves_nothing(swarm: Harness) -> None:
    swarm.submit(["a", "b"])
    one, other = swarm.bot("one"), swarm.bot("other")
    [first] = swarm.leases(one, 1, claim_id="c1")
    swarm.advance(1)

    swarm.leases(other, 1, claim_id="c2")

    assert gone_silent(swarm, first) == (0, 1)


def test_an_item_that_kills_its_bot_is_poisoned_even_if_the_bot_restarts(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    bot = swarm.bot("worker")

    for n in range(7):  # each time a new process, under the same name
        if swarm.work(task, "a").status is Status.FAILED:
            break
        swarm.leases(bot, 1, claim_id=f"c{n}", wait=600)
        swarm.advance(HALF_MINUTE)

    failure = swarm.task(task).failure
    assert failure is not None
    assert failure["code"] == "poisoned"
