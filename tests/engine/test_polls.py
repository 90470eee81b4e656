"""The states of a poll: which moves are allowed, and what its caller is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from swarmkeeper.core.commands import ClaimWork
from swarmkeeper.core.errors import Overloaded
from swarmkeeper.engine.polls import MOVES, Claimed, Poll, PollState, Scheduler
from swarmkeeper.sim.harness import CLIENT

LEASES: Any = (object(),)  # a poll does not look at its leases
FOUND, NOTHING = Claimed(LEASES, None), Claimed((), "at_capacity")
DUE, WAITING, GRANTED, ANSWERED, ABANDONED = PollState

Method = Callable[[Poll], None]
REACH: dict[PollState, Method] = {
    DUE: lambda poll: None,
    WAITING: Poll.begin_try,
    GRANTED: lambda poll: poll.end_try(FOUND),
    ANSWERED: Poll.deliver,
    ABANDONED: Poll.abandon,
}


@pytest.fixture
def poll() -> Iterator[Poll]:
    loop = asyncio.new_event_loop()
    claim = ClaimWork(by=CLIENT, bot="bot_1")
    yield Poll(claim, b"", 1, loop.create_future(), parks=True)
    loop.close()


@pytest.mark.parametrize(
    ("method", "after"),
    [
        (Poll.retry, (DUE, DUE, GRANTED, ANSWERED, ABANDONED)),
        (Poll.begin_try, (WAITING, WAITING, WAITING, ANSWERED, ABANDONED)),
        (lambda poll: poll.end_try(FOUND), (GRANTED, GRANTED, GRANTED, ANSWERED, ABANDONED)),
        (lambda poll: poll.end_try(NOTHING), (DUE, WAITING, GRANTED, ANSWERED, ABANDONED)),
        (Poll.undo, (DUE, WAITING, WAITING, ANSWERED, ABANDONED)),
        (Poll.deliver, (ANSWERED, ANSWERED, ANSWERED, ANSWERED, ABANDONED)),
        (Poll.end, (ANSWERED, ANSWERED, ANSWERED, ANSWERED, ABANDONED)),
        (lambda poll: poll.refuse(Overloaded("later")), (ANSWERED, ANSWERED, ANSWERED, ANSWERED, ABANDONED)),
        (Poll.abandon, (ABANDONED,) * 5),
    ],
)
def test_each_method_makes_only_allowed_moves(poll: Poll, method: Method, after: tuple[PollState, ...]) -> None:
    for before, expected in zip(PollState, after, strict=True):
        poll = Poll(poll.claim, b"", 1, poll.answer.get_loop().create_future(), parks=True)
        REACH[before](poll)
        assert poll.state is before

        method(poll)

        assert poll.state is expected
        assert expected is before or expected in MOVES[before]
        if poll.answer.done():
            poll.answer.exception()  # marks it as retrieved


def test_nothing_reopens_an_ended_poll() -> None:
    assert set(MOVES) == set(PollState)
    assert MOVES[ANSWERED] | MOVES[ABANDONED] == {ABANDONED}


def test_a_committed_try_answers_with_its_leases(poll: Poll) -> None:
    poll.begin_try()
    poll.end_try(FOUND)
    open_before = poll.open

    poll.deliver()

    assert (open_before, poll.open) == (True, False)
    assert poll.answer.result() == FOUND
    assert poll.found == FOUND, "they are taken back if the caller is gone"


def test_leases_of_a_batch_that_was_rolled_back_are_dropped(poll: Poll) -> None:
    poll.begin_try()
    poll.end_try(FOUND)

    poll.undo()
    poll.end()

    assert poll.answer.result() == Claimed((), "nothing_ready")


def test_a_poll_that_ends_without_leases_says_why_the_last_try_found_none(poll: Poll) -> None:
    poll.begin_try()
    poll.end_try(NOTHING)

    poll.end()

    assert poll.answer.result() == NOTHING


def test_a_second_answer_is_ignored(poll: Poll) -> None:
    poll.refuse(Overloaded("later"))
    poll.deliver()
    poll.end()

    assert isinstance(poll.answer.exception(), Overloaded)


def test_a_poll_whose_caller_cancelled_its_answer_is_closed(poll: Poll) -> None:
    poll.answer.cancel()

    assert not poll.open
    poll.refuse(Overloaded("later"))
    assert poll.answer.cancelled()


def test_a_retry_asked_for_during_a_commit_survives_its_rollback(poll: Poll) -> None:
    scheduler = Scheduler({})
    scheduler.park(poll)
    scheduler.begin_batch()
    poll.begin_try()
    poll.end_try(FOUND)

    scheduler.retry_all()
    assert poll.state is GRANTED
    scheduler.undo([])

    assert (scheduler.due(), scheduler.has_due) == ([poll], True)


def test_a_rollback_alone_does_not_try_a_poll_again(poll: Poll) -> None:
    scheduler = Scheduler({})
    scheduler.park(poll)
    scheduler.begin_batch()
    poll.begin_try()
    poll.end_try(FOUND)

    scheduler.undo([])

    assert (scheduler.due(), scheduler.has_due) == ([], False)


def test_a_retry_that_need_not_come_soon_waits_for_the_next_batch(poll: Poll) -> None:
    scheduler = Scheduler({})
    poll.begin_try()
    scheduler.park(poll)
    scheduler.begin_batch()

    scheduler.retry(poll, soon=False)

    assert (scheduler.due(), scheduler.has_due) == ([poll], False)
