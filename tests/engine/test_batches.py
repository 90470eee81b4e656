"""The engine under faults: poisoned commands, a full queue, a failing store, repeated commands, idleness."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core import commands
from swarmkeeper.core.decide import undo_log
from swarmkeeper.core.errors import IdempotencyKeyReused, Internal, Overloaded, SwarmkeeperError
from swarmkeeper.core.ports import Changes, Key, RowsBusy, StaleVersion
from swarmkeeper.core.states import Status
from swarmkeeper.engine.batch import Batch
from swarmkeeper.engine.loop import RERUNS_MAX, Replayed
from swarmkeeper.sim.harness import CLIENT, Harness, HarnessLease
from swarmkeeper.storage.sqlite.transaction import SqliteTransaction
from tests.examples import examples

CHAIN: list[Any] = ["a", {"key": "b", "depends_on": ["a"]}, {"key": "c", "depends_on": ["b"]}]
STEERING: dict[str, Any] = {
    "cancel": commands.Cancel,
    "pause": commands.Pause,
    "resume": commands.Resume,
    "retry": commands.RetryFailedTask,
}


@contextmanager
def refusing(swarm: Harness, what: str, error: type[apsw.Error], *, verb: str = "") -> Iterator[None]:
    """Make the store raise for each statement that begins with `verb` and has this word among its values."""
    connection = swarm.store.connection

    def look(cursor: Any, statement: str, bindings: Any) -> bool:
        values = bindings.values() if isinstance(bindings, dict) else bindings or ()
        if statement.startswith(verb) and any(isinstance(value, str) and what in value for value in values):
            raise error(f"refused: {what}")
        return True

    connection.exec_trace = look
    try:
        yield
    finally:
        connection.exec_trace = None


@pytest.fixture
def statements(swarm: Harness) -> Iterator[list[str]]:
    """Collect the statements that reach the store, without transaction control."""
    seen: list[str] = []

    def look(cursor: Any, statement: str, bindings: Any) -> bool:
        if statement.split()[0] not in ("BEGIN", "COMMIT", "ROLLBACK"):
            seen.append(statement)
        return True

    swarm.store.connection.exec_trace = look
    yield seen
    swarm.store.connection.exec_trace = None


# ---- poison --------------------------------------------------------------------------------------------------------


def test_a_command_that_makes_the_store_raise_fails_alone() -> None:
    swarm = Harness()
    wanted = [swarm.a_submission(["a"], title=title) for title in ("one", "two", "poison", "four")]

    with refusing(swarm, "poison", apsw.SQLError):
        found = swarm.do_all(wanted)

    assert [isinstance(answer, Internal) for answer in found] == [False, False, True, False]
    titles = [row["title"] for row in swarm.rows("SELECT title FROM task ORDER BY created_at, id")]
    assert sorted(titles) == ["four", "one", "two"]
    swarm.check(faults=1)


def test_a_poisoned_command_leaves_nothing_behind_and_can_be_repeated_once_healed() -> None:
    swarm = Harness()
    before = swarm.dump()
    poison = swarm.a_submission(["a"], title="poison", idempotency=("key", "hash"))

    with refusing(swarm, "poison", apsw.SQLError), pytest.raises(Internal):
        swarm.do(poison)
    assert swarm.dump() == before

    assert isinstance(swarm.do(poison), str)
    swarm.check(faults=1)


def test_a_fault_while_deciding_fails_only_its_command() -> None:
    swarm = Harness()
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))

    nonsense: Any = {"tokens": "many"}  # the edge refuses this; adding it up raises
    broken = swarm.a_report(lease, usage=nonsense)
    found = swarm.do_all([commands.Pause(by=CLIENT, task=task), broken])

    assert isinstance(found[1], Internal)
    assert swarm.task(task).hold_reasons == ("paused",)
    assert swarm.work(task, "a").status is Status.LEASED
    swarm.check(faults=1)


def test_a_faulty_timer_is_postponed_and_blocks_no_other() -> None:
    swarm = Harness()
    poison, other = swarm.submit(["poison"], deadline_seconds=60), swarm.submit(["b"], deadline_seconds=60)

    with refusing(swarm, poison, apsw.SQLError, verb="UPDATE task"):
        swarm.advance(61)
        assert swarm.task(other).outcome == "expired"
    assert swarm.task(poison).outcome is None

    swarm.advance(60)
    assert swarm.task(poison).outcome == "expired"


def test_a_failed_hint_does_not_repeat_the_batch() -> None:
    swarm = Harness()

    def fail(changes: object) -> None:
        swarm.loop.now += 5_000  # a second run would create another task
        raise RuntimeError("whoever listens is broken")

    swarm.engine._on_commit = fail
    task = swarm.submit(["a"])

    assert [row["id"] for row in swarm.rows("SELECT id FROM task")] == [task]


@pytest.mark.parametrize("step", ["_committed", "_settle"])
def test_what_fails_after_the_commit_does_not_repeat_the_batch(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Harness()
    whole = getattr(swarm.engine, step)

    def fail(*args: Any, **named: Any) -> None:
        whole(*args, **named)
        swarm.loop.now += 5_000  # a second run would create another task
        raise RuntimeError("what the engine remembers is broken")

    monkeypatch.setattr(swarm.engine, step, fail)
    task = swarm.submit(["a"])

    assert [row["id"] for row in swarm.rows("SELECT id FROM task")] == [task]
    monkeypatch.undo()
    swarm.check(faults=1)


# ---- temporary faults ----------------------------------------------------------------------------------------------


def test_while_the_store_is_unavailable_commands_are_refused_and_nothing_is_done() -> None:
    swarm = Harness()
    swarm.bot("worker")
    before = swarm.dump()

    with refusing(swarm, "a task", apsw.FullError), pytest.raises(Overloaded) as raised:
        swarm.submit(["a"])

    assert (raised.value.retryable, raised.value.retry_after) == (True, 1)
    assert swarm.dump() == before
    swarm.submit(["a"])
    swarm.check()


def test_while_the_store_is_unavailable_parked_polls_stay_parked() -> None:
    swarm = Harness()
    parked = swarm.park(swarm.bot("worker"))

    with refusing(swarm, "a task", apsw.FullError), pytest.raises(Overloaded):
        swarm.submit(["a"])
    assert parked.waits

    swarm.submit(["a"])
    assert [lease.key for lease in parked.leases] == ["a"]
    swarm.check()


def stale(swarm: Harness, monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    """Make saves of tasks with this title fail, as if another process always wrote first."""

    async def save(self: SqliteTransaction, changes: Changes, right: Any = SqliteTransaction.save) -> None:
        if any(task.title == title for task in changes.tasks.values()):
            raise StaleVersion("a task is not at the previous version")
        await right(self, changes)

    monkeypatch.setattr(SqliteTransaction, "save", save)


def test_a_command_whose_rows_others_keep_changing_is_refused_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Harness()
    stale(swarm, monkeypatch, "contended")
    wanted = [swarm.a_submission(["a"], title=title, idempotency=(title, "hash")) for title in ("one", "contended")]

    first, second = swarm.do_all(wanted)

    assert isinstance(first, str)
    assert isinstance(second, Overloaded)
    assert (second.retryable, second.retry_after) == (True, 1)
    assert swarm.engine.stats.reruns == 2 * (1 + RERUNS_MAX)  # with the other command, and alone
    monkeypatch.undo()
    assert isinstance(swarm.do(wanted[1]), str)
    swarm.check()


def busy(monkeypatch: pytest.MonkeyPatch, *, with_first_load: bool = False) -> list[list[Key]]:
    """Have another writer hold all work items, unless they are in a transaction's first load; return the first loads.

    Args:
        with_first_load: the first load does not get them either.
    """
    first: dict[SqliteTransaction, list[Key]] = {}

    async def load(self: SqliteTransaction, needs: Iterable[Key], right: Any = SqliteTransaction.load) -> Any:
        needs = list(needs)
        own = first.setdefault(self, needs)
        others = [need for need in needs if need[0] == "work" and (with_first_load or need not in own)]
        if others:
            raise RowsBusy(others)
        return await right(self, needs)

    monkeypatch.setattr(SqliteTransaction, "load", load)
    firsts: list[list[Key]] = []
    right = SqliteTransaction.end

    def end(self: SqliteTransaction) -> None:
        firsts.append(first.pop(self, []))
        right(self)

    monkeypatch.setattr(SqliteTransaction, "end", end)
    return firsts


def test_rows_that_another_writer_has_are_waited_for_by_the_next_first_load(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Harness()
    task = swarm.submit(["a"])
    firsts = busy(monkeypatch)

    (lease,) = swarm.leases(swarm.bot("worker"))

    assert lease.key == "a"
    assert swarm.engine.stats.reruns == 1
    assert ("work", swarm.work(task, "a").id) in firsts[-1]
    monkeypatch.undo()
    swarm.check()


def test_a_command_whose_rows_another_writer_keeps_is_refused_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Harness()
    swarm.submit(["a"])
    bot = swarm.bot("worker")
    with monkeypatch.context() as patch:
        busy(patch, with_first_load=True)
        with pytest.raises(Overloaded) as refused:
            swarm.claim(bot)

    assert (refused.value.retryable, refused.value.retry_after) == (True, 1)
    assert [lease.key for lease in swarm.leases(bot)] == ["a"]
    swarm.check()


def test_a_timer_whose_rows_others_keep_changing_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Harness()
    contended, other = (swarm.submit(["a"], title=title, deadline_seconds=60) for title in ("contended", "b"))
    with monkeypatch.context() as patch:
        stale(swarm, patch, "contended")
        swarm.advance(61)
        assert swarm.task(other).outcome == "expired"
    assert swarm.task(contended).outcome is None

    swarm.advance(1)

    assert swarm.task(contended).outcome == "expired"
    swarm.check()


def test_an_unavailable_store_is_retried_after_a_pause(swarm: Harness) -> None:
    with refusing(swarm, "alive_at", apsw.FullError):
        steps = swarm.loop.steps
        swarm.advance(20)

    assert swarm.loop.steps - steps < 2_000
    swarm.advance(10)
    swarm.submit(["a"])


def test_a_full_queue_refuses_commands() -> None:
    swarm = Harness(queue_commands=10)

    found = swarm.do_all([swarm.a_submission(["a"]) for _ in range(15)])

    assert sum(isinstance(answer, str) for answer in found) == 10
    assert [type(answer) for answer in found if not isinstance(answer, str)] == [Overloaded] * 5
    swarm.submit(["a"])
    swarm.check()


def test_more_commands_than_fit_in_one_batch_are_all_carried_out(swarm: Harness) -> None:
    found = swarm.do_all([swarm.a_submission(["a"]) for _ in range(1_100)])

    assert len({answer for answer in found if isinstance(answer, str)}) == 1_100
    assert swarm.engine.stats.batch_commands_last <= 128


def test_a_stopping_engine_answers_queued_commands_and_refuses_new_ones() -> None:
    swarm = Harness()
    parked = swarm.park(swarm.bot("worker"))

    swarm.engine.stop()
    swarm.advance(0)

    assert parked.leases == ()
    with pytest.raises(Overloaded):
        swarm.submit(["a"])
    assert not swarm.engine.running


# ---- repeated commands ---------------------------------------------------------------------------------------------


def test_the_same_command_with_the_same_key_is_carried_out_once(swarm: Harness) -> None:
    wanted = swarm.a_submission(["a"], idempotency=("key", "hash"))
    first = swarm.do(wanted)
    swarm.restart()

    again = swarm.do(wanted)

    assert again == Replayed(first)
    assert len(swarm.rows("SELECT id FROM task")) == 1


def test_the_same_command_twice_at_the_same_time_is_carried_out_once(swarm: Harness) -> None:
    wanted = swarm.a_submission(["a"], idempotency=("key", "hash"))

    first, second = swarm.do_all([wanted, wanted])

    assert second == Replayed(first)


def test_another_command_with_the_same_key_is_refused(swarm: Harness) -> None:
    swarm.submit(["a"], idempotency=("key", "hash"))

    with pytest.raises(IdempotencyKeyReused):
        swarm.submit(["a"], idempotency=("key", "another"))


def test_a_refusal_is_not_stored_under_its_idempotency_key(swarm: Harness) -> None:
    with pytest.raises(SwarmkeeperError):
        swarm.submit(["A"], idempotency=("key", "hash"))

    assert isinstance(swarm.do(swarm.a_submission(["a"], idempotency=("key", "hash"))), str)


def test_an_idempotency_key_is_removed_after_a_day(swarm: Harness) -> None:
    first = swarm.submit(["a"], idempotency=("key", "hash"))
    swarm.loop.stall(86_400_000_000)
    swarm.advance(61)

    assert swarm.rows("SELECT key FROM idempotency") == []
    assert swarm.submit(["a"], idempotency=("key", "hash")) != first


# ---- refusals and repeats change nothing ---------------------------------------------------------------------------


def test_a_command_without_effect_changes_nothing(swarm: Harness) -> None:
    task = swarm.submit(["a"], priority=3, labels={"team": "blue"})
    swarm.pause(task)
    before = swarm.dump()

    swarm.pause(task)
    swarm.update(task, priority=3, labels={"team": "blue"})

    assert swarm.dump() == before


def test_commands_on_one_task_in_one_batch_see_each_other(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))

    report = swarm.a_report(lease)
    first, second = swarm.do_all([report, report])

    assert (first.replayed, second.replayed) == (False, True)
    assert swarm.task(task).status == "COMPLETED"


@pytest.mark.parametrize("error", [None, "not_retryable"])
def test_commands_on_many_tasks_in_one_batch_are_not_decided_again_because_of_each_other(
    swarm: Harness, monkeypatch: pytest.MonkeyPatch, error: str | None
) -> None:
    tasks = [swarm.submit(["a", {"key": "b", "depends_on": ["a"]}]) for _ in range(50)]
    leases = swarm.leases(swarm.bot("worker", capacity=50), 50)
    decided: list[object] = []
    decide = Batch._decide

    def count(batch: Batch, queued: Any) -> Any:
        decided.append(queued)
        return decide(batch, queued)

    monkeypatch.setattr(Batch, "_decide", count)
    swarm.do_all([swarm.a_report(lease, error=error) for lease in leases])

    assert len(leases) == 50
    assert len(decided) <= 4 * 50  # at most four times each, however many there are
    assert {swarm.statuses(task)["a"] for task in tasks} == {"SUCCEEDED" if error is None else "FAILED"}
    monkeypatch.undo()
    swarm.check()


@examples(20)
@given(st.integers(0, 2**32), st.integers(2, 8))
def test_the_lists_that_a_batch_keeps_are_those_that_it_would_load(seed: int, size: int) -> None:
    chance, finish = random.Random(seed), Batch._finish

    async def compare(batch: Batch, *, alive: bool) -> None:
        await batch.save()
        kept = [want for want in batch.working._volatile if want[0] in undo_log.LISTS_OF_A_TASK]
        fresh = await batch.transaction.load(kept)
        for want in kept:
            assert batch.working.rows[want] == fresh[want], want
        await finish(batch, alive=alive)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Batch, "_finish", compare)
        swarm = Harness(seed)
        worker, tasks = swarm.bot("worker", capacity=99), [swarm.submit(CHAIN) for _ in range(4)]
        held: list[HarnessLease] = []
        for _ in range(6):
            held += swarm.leases(worker, 3)
            wanted: list[commands.Command[Any]] = []
            for kind in chance.choices(["report", *STEERING], [4, 1, 1, 1, 1], k=size):
                if kind in STEERING:
                    wanted.append(STEERING[kind](by=CLIENT, task=chance.choice(tasks)))
                elif held:
                    lease = held.pop(chance.randrange(len(held)))
                    wanted.append(swarm.a_report(lease, error=chance.choice([None, "retryable", "not_retryable"])))
            swarm.do_all(wanted)
        swarm.check()


# ---- idleness ------------------------------------------------------------------------------------------------------


def test_two_hundred_parked_polls_without_work_cost_the_store_almost_nothing(
    swarm: Harness, statements: list[str]
) -> None:
    polls = [swarm.park(swarm.bot(f"bot-{number}")) for number in range(200)]
    statements.clear()

    swarm.advance(60)

    assert len(statements) <= 2 * 60
    assert all(poll.waits for poll in polls)


def test_work_for_one_bot_does_not_load_all_parked_polls(swarm: Harness, statements: list[str]) -> None:
    for number in range(100):
        swarm.park(swarm.bot(f"bot-{number}", skills=(f"skill-{number}",), dedicated=True))
    one = swarm.park(swarm.bot("one", skills=("rare",), dedicated=True))
    statements.clear()

    swarm.submit([{"key": "a", "required_skills": ["rare"]}])

    assert [lease.key for lease in one.leases] == ["a"]
    assert len(statements) < 60


# ---- on disk -------------------------------------------------------------------------------------------------------


def test_answered_commands_survive_a_restart(tmp_path: Path) -> None:
    swarm = Harness(url=f"sqlite:///{tmp_path / 'store.db'}")
    task = swarm.submit(["a", {"key": "b", "depends_on": ["a"]}])
    lease = swarm.take(swarm.bot("worker"))
    before = swarm.dump()

    swarm.restart()

    assert swarm.dump() == before
    assert swarm.beat(lease) == "continue"
    swarm.report(lease)
    assert swarm.drive(task).outcome == "accepted"
    swarm.check()
    swarm.close()
