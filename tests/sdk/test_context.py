"""What a bot's code reports about its attempt."""

import pytest

from swarmkeeper import Context
from swarmkeeper.sdk.attempts.heartbeat_groups import heartbeat_groups
from swarmkeeper.sdk.context import CHECKPOINT_BYTES_MAX, Outbox


def test_the_first_heartbeat_of_an_attempt_holds_only_its_lease(context: Context) -> None:
    assert Outbox(context).heartbeat() == {"lease_id": "lse_1"}


def test_lines_logged_during_a_heartbeat_are_sent_with_the_next(context: Context) -> None:
    outbox = Outbox(context)
    context.log("one")
    part = outbox.heartbeat()
    context.log("two")

    outbox.arrived(part)

    assert outbox.heartbeat()["progress"] == {"log": ["two"]}


def test_a_failed_heartbeat_loses_no_line(context: Context) -> None:
    outbox = Outbox(context)
    context.log("one")
    outbox.heartbeat()

    assert outbox.heartbeat()["progress"] == {"log": ["one"]}


def test_at_most_the_lines_of_one_heartbeat_are_kept(context: Context) -> None:
    for number in range(150):
        context.log(str(number))

    assert Outbox(context).heartbeat()["progress"]["log"] == [str(number) for number in range(50, 150)]


def test_a_checkpoint_waits_until_it_has_arrived(context: Context) -> None:
    outbox = Outbox(context)
    assert not outbox.checkpoint_waits()

    state = {"page": 1}
    context.checkpoint(state)
    assert outbox.checkpoint_waits()
    outbox.arrived(outbox.heartbeat())
    assert not outbox.checkpoint_waits()

    state["page"] = 2
    context.checkpoint(state)
    assert outbox.checkpoint_waits()
    assert outbox.heartbeat()["checkpoint"] == {"page": 2}


def test_a_later_change_of_the_value_does_not_change_its_checkpoint(context: Context) -> None:
    state = {"page": 1}
    context.checkpoint(state)

    state["page"] = 2

    assert Outbox(context).heartbeat()["checkpoint"] == {"page": 1}


def test_a_value_that_cannot_be_sent_is_refused_at_the_call(context: Context) -> None:
    context.checkpoint("x" * (CHECKPOINT_BYTES_MAX - 2))
    with pytest.raises(ValueError, match="at most"):
        context.checkpoint("x" * (CHECKPOINT_BYTES_MAX - 1))
    with pytest.raises(ValueError, match="between 0 and 1"):
        context.progress(40)
    with pytest.raises(ValueError, match="must not be negative"):
        context.use(tokens=-1)
    with pytest.raises(ValueError, match="/payload/x: is a object, which JSON has no form for"):
        context.tell("other", {"x": object()})


def test_fractional_usage_is_rounded_up(context: Context) -> None:
    context.use(tokens=3, cost_micro_usd=0.2)
    context.use(cost_micro_usd=1.5)

    assert Outbox(context).usage() == {"tokens": 3, "cost_micro_usd": 3}


def test_a_message_wakes_its_sender_loop() -> None:
    woken: list[bool] = []
    context = Context(task_id="t", work_id="w", lease_id="l", attempt=1, wake=lambda: woken.append(True))

    context.tell("other", {"hello": 1})

    assert woken == [True]
    assert [(message.to_bot, message.payload) for message in Outbox(context).messages()] == [("other", {"hello": 1})]
    assert Outbox(context).messages() == []


def test_a_checkpoint_that_arrived_is_not_sent_again(context: Context) -> None:
    outbox = Outbox(context)
    context.checkpoint({"page": 1})
    lost, part = outbox.heartbeat(), outbox.heartbeat()
    outbox.arrived(part)

    assert lost["checkpoint"] == part["checkpoint"] == {"page": 1}, "sent again as long as no answer came"
    assert "checkpoint" not in outbox.heartbeat()


def test_checkpoints_that_are_too_long_for_one_heartbeat_are_sent_with_several() -> None:
    leases = [Holding(Outbox(attempt(number))) for number in range(5)]
    for number, size in [(0, 10), (2, CHECKPOINT_BYTES_MAX - 2), (3, CHECKPOINT_BYTES_MAX - 2)]:
        leases[number].context.checkpoint("x" * size)
    groups = heartbeat_groups(leases)

    assert [[lease.context.lease_id for lease in group] for group in groups] == [["0", "1"], ["2"], ["3", "4"]]
    assert heartbeat_groups([]) == [{}]


def attempt(number: int) -> Context:
    return Context(task_id="tsk_1", work_id="sub_1", lease_id=str(number), attempt=1)


class Holding:
    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.context = outbox._context
