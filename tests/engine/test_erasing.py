"""An erasure leaves no body of the task's records behind, whatever is recorded before it, meanwhile or after it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from swarmkeeper.access.retention import Retention, RetentionPeriods
from swarmkeeper.core import commands
from swarmkeeper.core.erasure.commands import EraseNow
from swarmkeeper.core.errors import IllegalTransition, StillStopping, TaskClosed
from swarmkeeper.core.model import Limits
from swarmkeeper.core.retention import ERASING_ACTIONS
from swarmkeeper.sim.harness import ADMIN, CLIENT, OPERATOR, TENANT, Harness
from swarmkeeper.storage.postgres import sequencer
from tests.support.postgres_harness import PostgresHarness, harness

LIMITS = replace(Limits(), slice_rows=3)  # an erasure takes many batches


@pytest.fixture(params=["sqlite", "postgres"])
def swarm(request: pytest.FixtureRequest) -> Iterator[Harness]:
    if request.param == "postgres":
        yield from harness(LIMITS)
        return
    made = Harness(seed=1, limits=LIMITS)
    yield made
    made.check()
    made.close()


@pytest.fixture
def lagging() -> Iterator[PostgresHarness]:
    yield from harness(LIMITS)


@contextmanager
def numbering_stands_still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a failover: what is committed meanwhile has no number before the end."""
    right, over = sequencer.place_turn, False

    async def waits(*given: Any, **options: Any) -> int:
        while not over:  # noqa: ASYNC110  # another thread sets it
            await asyncio.sleep(0.01)
        return await right(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sequencer, "place_turn", waits)
        try:
            yield
        finally:
            over = True


def hold_and_release(task: str) -> list[commands.Command[Any]]:
    return [
        commands.PlaceLegalHold(by=OPERATOR, task=task, reason="the case of somebody"),
        commands.ReleaseLegalHold(by=OPERATOR, task=task, reason="it is over"),
    ]


def erase(swarm: Harness, task: str, *, until: int | None = None) -> commands.EraseTask:
    by = replace(commands.ENGINE, tenant=TENANT)
    return commands.EraseTask(by=by, task=task, after=0, until=swarm.engine.now() if until is None else until)


def retention(swarm: Harness, unread: Callable[[], Awaitable[Callable[[str], int | None]]] | None = None) -> Retention:
    return Retention(
        swarm.store,
        RetentionPeriods(tasks=1_000_000),
        now=swarm.engine.now,
        clock=swarm.clock,
        do_all=swarm.engine.do_all,
        log=lambda event, **fields: None,
        unread=unread,
    )


def ended(swarm: Harness, *, subtasks: int = 1) -> str:
    task = swarm.submit([f"s{number}" for number in range(subtasks)], evaluation="none")
    swarm.cancel(task)
    come_to_rest(swarm)
    return task


def come_to_rest(swarm: Harness) -> None:
    """Let what is under way end, and get its numbers."""
    swarm.advance(60)
    swarm.advance(1)


def is_there(swarm: Harness, task: str) -> bool:
    return bool(swarm.rows("SELECT 1 FROM task WHERE id = ?", task))


def check_nothing_is_left(swarm: Harness, task: str) -> None:
    swarm.advance(60)
    assert not is_there(swarm, task)
    with_body = swarm.rows("SELECT DISTINCT action FROM audit_leaf WHERE task = ? AND body IS NOT NULL", task)
    assert {row["action"] for row in with_body} <= {*ERASING_ACTIONS}
    assert not swarm.rows("SELECT 1 FROM event WHERE task = ?", task)
    unproved = "SELECT kind FROM event WHERE audit IN (SELECT id FROM audit_leaf WHERE task = ? AND body IS NULL)"
    assert not swarm.rows(unproved, task)


@pytest.mark.parametrize("how", ["on request", "after its time"])
def test_a_hold_that_was_placed_and_released_while_numbering_stood_still_leaves_no_body(
    lagging: PostgresHarness, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    task = ended(lagging)
    with numbering_stands_still(monkeypatch):
        for command in hold_and_release(task):
            lagging.do(command)
        if how == "after its time":
            lagging.run(retention(lagging).look())
        else:
            until = lagging.run(retention(lagging).erasable(TENANT))
            with pytest.raises(StillStopping):
                lagging.do(EraseNow(by=ADMIN, task=task, reason="request 17", until=until))
        Harness.advance(lagging, 5)
        assert is_there(lagging, task)

    come_to_rest(lagging)
    lagging.run(retention(lagging).look())
    check_nothing_is_left(lagging, task)


@pytest.mark.parametrize("what", ["the last report", "a cancellation", "a count of reads", "an archive"])
def test_nothing_is_erased_before_every_record_of_it_has_its_number(
    lagging: PostgresHarness, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    worker = lagging.bot("worker")
    task = lagging.submit(["a"], evaluation="none")
    lease = lagging.take(worker)
    if what == "an archive":
        lagging.cancel(task)
        lagging.advance(60)
    lagging.wait_for_numbers()
    with numbering_stands_still(monkeypatch):
        if what == "the last report":
            lagging.report(lease, output={"words": "of somebody"})
        elif what == "a cancellation":
            lagging.cancel(task)
            Harness.advance(lagging, 60)  # the lease ends
        elif what == "an archive":
            lagging.archive(task)
        else:
            lagging.report(lease, output={})
            lagging.do(commands.NoteReads(by=CLIENT, action="outputs.read", task=task, count=3))
        assert lagging.do(erase(lagging, task)) is False

    come_to_rest(lagging)
    assert lagging.do(erase(lagging, task)) is True
    check_nothing_is_left(lagging, task)


def test_what_was_recorded_in_the_batch_of_an_erasure_is_not_left_behind(swarm: Harness) -> None:
    task = ended(swarm)

    *_, begun = swarm.do_all([*hold_and_release(task), erase(swarm, task)])

    assert begun is False
    come_to_rest(swarm)
    assert swarm.do(erase(swarm, task)) is True
    check_nothing_is_left(swarm, task)


def test_a_late_result_for_a_task_that_is_being_erased_is_not_kept(swarm: Harness) -> None:
    worker = swarm.bot("worker")
    task = swarm.submit([f"s{number}" for number in range(30)], evaluation="none")
    swarm.advance(5)
    lease = swarm.take(worker)
    swarm.cancel(task)
    come_to_rest(swarm)

    assert swarm.do(erase(swarm, task)) is True
    with pytest.raises(TaskClosed, match="is being erased"):
        swarm.report(lease, output={"words": "of somebody"})

    check_nothing_is_left(swarm, task)


def test_a_task_that_is_being_erased_is_not_archived_any_more(swarm: Harness) -> None:
    task = ended(swarm, subtasks=30)

    assert swarm.do(erase(swarm, task)) is True
    with pytest.raises(IllegalTransition, match="is being erased"):
        swarm.do(commands.Archive(by=CLIENT, task=task, reason="of somebody"))

    check_nothing_is_left(swarm, task)


def test_a_task_stays_until_the_sinks_have_got_its_last_record_even_one_that_does_not_change_the_task(
    swarm: Harness,
) -> None:
    task = ended(swarm)
    swarm.advance(600)
    until = swarm.engine.now()
    swarm.advance(60)
    for command in hold_and_release(task):
        swarm.do(command)
    swarm.advance(60)

    async def unread() -> Callable[[str], int | None]:
        return lambda tenant: until

    swarm.run(retention(swarm, unread).look())
    swarm.advance(5)
    assert is_there(swarm, task)

    until = swarm.engine.now()
    swarm.run(retention(swarm, unread).look())
    check_nothing_is_left(swarm, task)
