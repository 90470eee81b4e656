"""Every transition of work items, made by real commands; and no others are possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core import commands, states
from swarmkeeper.core.errors import IllegalTransition
from swarmkeeper.core.states import FINAL, LIFE, Status, Transition
from swarmkeeper.sim.harness import ADMIN, Harness, HarnessLease, Node

# A story brings an item into the first state of its row and yields (task, key); then it makes the transition.
Story = Callable[[Harness], Iterator[tuple[str, str]]]
STORIES: dict[tuple[Status, Transition], Story] = {}

TWO_IN_A_ROW: list[Node] = ["a", {"key": "b", "depends_on": ["a"]}]


def shows(status: Status, transition: Transition) -> Callable[[Story], Story]:
    def keep(story: Story) -> Story:
        assert (status, transition) not in STORIES, "one story for each row"
        STORIES[status, transition] = story
        return story

    return keep


def leased(swarm: Harness, **options: Any) -> tuple[str, HarnessLease]:
    task = swarm.submit(["a"], **options)
    return task, swarm.take(swarm.bot("worker"))


def in_review(swarm: Harness, **options: Any) -> tuple[str, HarnessLease]:
    """Return a task whose subtask `a` is in review, and the lease of the review."""
    task, lease = leased(swarm, evaluation="each", **options)
    swarm.report(lease)
    return task, swarm.take(swarm.bot("judge", "Evaluator"))


@shows(Status.BLOCKED, Transition.UNBLOCKED)
def its_upstream_ends_well(swarm: Harness) -> Iterator[tuple[str, str]]:
    task = swarm.submit(TWO_IN_A_ROW)
    yield task, "b"
    swarm.report(swarm.take(swarm.bot("worker")))


@shows(Status.BLOCKED, Transition.SKIPPED)
def its_upstream_fails_and_another_takes_care(swarm: Harness) -> Iterator[tuple[str, str]]:
    cleanup: Node = {"key": "c", "depends_on": [{"key": "a", "when": "failure"}]}
    task = swarm.submit([*TWO_IN_A_ROW, cleanup])
    yield task, "b"
    swarm.report(swarm.take(swarm.bot("worker")), error="not_retryable")


@shows(Status.BLOCKED, Transition.CANCELLED)
def it_is_cancelled_while_blocked(swarm: Harness) -> Iterator[tuple[str, str]]:
    task = swarm.submit(TWO_IN_A_ROW)
    yield task, "b"
    swarm.cancel(task)


@shows(Status.READY, Transition.LEASED)
def a_bot_takes_it(swarm: Harness) -> Iterator[tuple[str, str]]:
    task = swarm.submit(["a"])
    yield task, "a"
    swarm.take(swarm.bot("worker"))


@shows(Status.READY, Transition.EXPIRED)
def nobody_takes_it(swarm: Harness) -> Iterator[tuple[str, str]]:
    task = swarm.submit([{"key": "a", "schedule_to_start_seconds": 60}])
    yield task, "a"
    swarm.advance(60)


@shows(Status.READY, Transition.CANCELLED)
def it_is_cancelled_while_ready(swarm: Harness) -> Iterator[tuple[str, str]]:
    task = swarm.submit(["a"])
    yield task, "a"
    swarm.cancel(task)


@shows(Status.LEASED, Transition.SUCCEEDED)
def its_bot_reports_an_output(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    yield task, "a"
    swarm.report(lease)


@shows(Status.LEASED, Transition.SUBMITTED)
def its_output_is_to_be_judged(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm, evaluation="each")
    yield task, "a"
    swarm.report(lease)


@shows(Status.LEASED, Transition.RELEASED)
def its_bot_gives_it_back(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    yield task, "a"
    swarm.release(lease)


@shows(Status.LEASED, Transition.LEASE_UNSEEN)
def its_lease_never_reached_the_bot(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, _ = leased(swarm)
    yield task, "a"
    swarm.advance(30)


@shows(Status.LEASED, Transition.DEFERRED)
def its_bot_puts_it_off(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    yield task, "a"
    swarm.release(lease, delay_seconds=10)


@shows(Status.LEASED, Transition.ATTEMPT_FAILED)
def an_attempt_fails(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    yield task, "a"
    swarm.report(lease, error="retryable")


@shows(Status.LEASED, Transition.TIMED_OUT)
def its_bot_beats_but_does_not_finish(swarm: Harness) -> Iterator[tuple[str, str]]:
    task = swarm.submit([{"key": "a", "timeout_seconds": 20}])
    lease = swarm.take(swarm.bot("worker"))
    yield task, "a"
    swarm.beat(lease)
    swarm.advance(20)


@shows(Status.LEASED, Transition.LEASE_EXPIRED)
def its_bot_goes_silent(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    swarm.beat(lease)
    yield task, "a"
    swarm.advance(30)


@shows(Status.LEASED, Transition.ASKED)
def its_bot_asks_a_person(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    yield task, "a"
    swarm.ask(lease)


@shows(Status.LEASED, Transition.FAILED)
def its_bot_says_that_it_can_never_work(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    yield task, "a"
    swarm.report(lease, error="not_retryable")


@shows(Status.LEASED, Transition.POISONED)
def its_third_bot_goes_silent(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    for _ in range(2):
        swarm.beat(lease)
        swarm.advance(60)
        lease = swarm.take(lease.bot)
    swarm.beat(lease)
    yield task, "a"
    swarm.advance(30)


@shows(Status.LEASED, Transition.CANCELLED)
def it_is_cancelled_while_leased(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, _ = leased(swarm)
    yield task, "a"
    swarm.cancel(task)
    swarm.advance(20)  # the grace period: a third of the TTL and ten seconds


@shows(Status.WAITING, Transition.DUE)
def its_back_off_is_over(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    swarm.report(lease, error="retryable")
    yield task, "a"
    swarm.advance(1)


@shows(Status.WAITING, Transition.ANSWERED)
def its_question_is_answered(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    question = swarm.ask(lease)
    yield task, "a"
    swarm.decide(question, "answer", answer="this one")


@shows(Status.WAITING, Transition.DENIED)
def its_question_is_denied(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    question = swarm.ask(lease)
    yield task, "a"
    swarm.decide(question, "reject", reason="no")


@shows(Status.WAITING, Transition.ANSWER_EXPIRED)
def nobody_answers_its_question(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    swarm.ask(lease, expires_in_seconds=60)
    yield task, "a"
    swarm.advance(60)


@shows(Status.WAITING, Transition.CANCELLED)
def it_is_cancelled_while_it_waits(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, lease = leased(swarm)
    swarm.ask(lease)
    yield task, "a"
    swarm.cancel(task)


@shows(Status.IN_REVIEW, Transition.ACCEPTED)
def its_review_accepts(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, review = in_review(swarm)
    yield task, "a"
    swarm.report(review, verdict="accept")


def out_of_budget(swarm: Harness, at_limit: str) -> Iterator[tuple[str, str]]:
    task = swarm.submit([{"key": "a", "budget": {"attempts": 1, "at_limit": at_limit}}])
    worker = swarm.bot("worker")
    swarm.report(swarm.take(worker), error="retryable")
    swarm.advance(60)
    yield task, "a"
    swarm.lease(worker)


@shows(Status.READY, Transition.ASKED)
def its_budget_is_used_up_and_a_person_may_raise_it(swarm: Harness) -> Iterator[tuple[str, str]]:
    yield from out_of_budget(swarm, "ask")


@shows(Status.READY, Transition.FAILED)
def its_budget_is_used_up_for_good(swarm: Harness) -> Iterator[tuple[str, str]]:
    yield from out_of_budget(swarm, "stop")


@shows(Status.IN_REVIEW, Transition.REWORK)
def its_review_asks_for_rework(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, review = in_review(swarm)
    yield task, "a"
    swarm.report(review, verdict="rework")


@shows(Status.IN_REVIEW, Transition.REJECTED)
def its_review_rejects(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, review = in_review(swarm)
    yield task, "a"
    swarm.report(review, verdict="reject")


@shows(Status.IN_REVIEW, Transition.REVIEW_FAILED)
def its_review_cannot_be_made(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, review = in_review(swarm)
    yield task, "a"
    swarm.report(review, error="not_retryable")


@shows(Status.IN_REVIEW, Transition.ROUNDS_EXHAUSTED)
def its_review_is_not_satisfied_in_all_its_rounds(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, review = in_review(swarm, max_rounds=1)
    swarm.report(review, verdict="rework")
    swarm.report(swarm.take(swarm.bot("worker")))
    review = swarm.take(review.bot)
    yield task, "a"
    swarm.report(review, verdict="rework")


@shows(Status.IN_REVIEW, Transition.CANCELLED)
def it_is_cancelled_while_in_review(swarm: Harness) -> Iterator[tuple[str, str]]:
    task, review = in_review(swarm)
    yield task, "a"
    swarm.release(review)
    swarm.cancel(task)


def test_each_row_of_the_work_item_table_has_a_story() -> None:
    assert set(STORIES) == set(LIFE)


@pytest.mark.parametrize("row", LIFE, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_work_item_makes_each_transition_of_its_table(swarm: Harness, row: tuple[Status, Transition]) -> None:
    story = STORIES[row](swarm)

    task, key = next(story)
    assert swarm.work(task, key).status is row[0]
    swarm.check()

    assert next(story, None) is None
    assert swarm.work(task, key).status is LIFE[row]


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("transition", Transition)
def test_a_transition_outside_the_table_is_refused(status: Status, transition: Transition) -> None:
    if (status, transition) in LIFE:
        assert states.after(status, transition) is LIFE[status, transition]
        return

    with pytest.raises(IllegalTransition):
        states.after(status, transition)


def test_final_states_follow_from_the_table() -> None:
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.SKIPPED} == FINAL


@given(st.lists(st.sampled_from(Transition), max_size=30))
def test_no_transition_leaves_a_final_state(story: list[Transition]) -> None:
    status = Status.BLOCKED
    for transition in story:
        try:
            following = states.after(status, transition)
        except IllegalTransition:
            continue
        assert status not in FINAL
        status = following


def test_every_open_item_can_be_cancelled() -> None:
    assert {status for status, transition in LIFE if transition is Transition.CANCELLED} == set(Status) - FINAL


def test_an_open_item_of_a_closed_task_counts_as_cancelled_before_the_job_reaches_it() -> None:
    for task in states.TaskStatus:
        for status in Status:
            open_in_closed = task in states.TASK_CLOSED and status not in FINAL
            assert states.effective(task, status) is (Status.CANCELLED if open_in_closed else status)


def test_the_items_of_a_deleted_bot_return_to_their_queues(swarm: Harness) -> None:
    task, lease = leased(swarm)

    swarm.do(commands.DeleteBot(by=ADMIN, bot=lease.bot))

    work = swarm.work(task, "a")
    assert (work.status, work.tries, work.crashes) == (Status.READY, 0, 0)
