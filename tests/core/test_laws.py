"""Small laws: ids and their order, backoff, ranks, and complete undo."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core import events, ids, lookups
from swarmkeeper.core.decide.loaded_rows import NotLoaded
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BotRecord, Limits, Principal, Queue, QueueEntry, TaskRecord, Work
from swarmkeeper.core.rules import match, retry
from swarmkeeper.core.rules.match import QueueBook
from swarmkeeper.core.states import BotType, Kind, Status, TaskStatus, TaskTransition, Transition
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from tests.examples import examples

MILLISECOND = 1_000
MINUTE = 60_000_000
moments = st.integers(0, 1 << 47)
seeds = st.binary(min_size=16, max_size=16)
RULES = Rulebook(Redactor.default())


@given(moments, moments, seeds, seeds)
def test_ids_sort_by_creation_time(first: int, second: int, one: bytes, other: bytes) -> None:
    earlier, later = sorted((first, second))
    if later - earlier >= MILLISECOND:
        assert ids.timed("tsk", earlier, one, "x") < ids.timed("tsk", later, other, "x")


@given(moments, seeds)
def test_ids_depend_only_on_time_seed_and_purpose(at: int, seed: bytes) -> None:
    assert ids.timed("tsk", at, seed, "x") == ids.timed("tsk", at, seed, "x")
    assert ids.timed("tsk", at, seed, "x") != ids.timed("tsk", at, seed, "y")
    assert ids.secret("lse", seed, "x") != ids.secret("lse", seed, "y")


@given(moments, seeds)
def test_ids_have_the_shape_that_the_api_promises(at: int, seed: bytes) -> None:
    for made, length in ((ids.timed("tsk", at, seed, "x"), 26), (ids.secret("lse", seed, "x"), 32)):
        prefix, _, rest = made.partition("_")
        assert len(prefix) == 3
        assert len(rest) == length
        assert rest.isalnum()
        assert rest.isascii()


@given(seeds, st.text(max_size=10))
def test_a_fraction_is_at_least_zero_and_less_than_one(seed: bytes, purpose: str) -> None:
    assert 0 <= ids.fraction(seed, purpose) < 1


@given(st.integers(1, 1_000), seeds)
def test_backoff_has_full_jitter_and_is_at_most_five_minutes(failures: int, seed: bytes) -> None:
    wait = retry.backoff(failures, seed, "backoff")

    assert 0 <= wait < min(300, 2 ** min(failures - 1, 20)) * 1_000_000
    assert wait == retry.backoff(failures, seed, "backoff")


def test_backoff_grows_with_the_number_of_failures() -> None:
    spread = [seed.to_bytes(16) for seed in range(200)]
    means = [sum(retry.backoff(n, seed, "b") for seed in spread) / len(spread) for n in range(1, 9)]

    assert all(later > 1.5 * earlier for earlier, later in itertools.pairwise(means))


def ready(priority: int, position: int, name: str = "w", *, since: int | None = None) -> QueueEntry:
    return QueueEntry(name, 1, "t", priority, position, position if since is None else since, "task")


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 20 * MINUTE))
def test_a_priority_rises_by_one_each_minute_up_to_the_highest(low: int, high: int, waited: int) -> None:
    now = 100 * MINUTE
    old, new = ready(low, now - waited, "old"), ready(high, now, "new")

    risen = min(9, low + waited // MINUTE)

    comes_first = match.choose([new, old], now)[0]
    assert (comes_first is old) == (risen > high or (risen == high and waited > 0))


@given(st.integers(0, 9), st.integers(0, 20 * MINUTE), st.integers(0, 20 * MINUTE))
def test_within_a_priority_the_task_started_first_comes_first(priority: int, waited: int, other_waited: int) -> None:
    now = 100 * MINUTE
    first = ready(priority, 1, "first", since=now - waited)
    other = ready(priority, 2, "other", since=now - other_waited)

    assert match.choose([other, first], now) == [first, other]


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_later_subtasks_of_a_task_never_come_before_earlier_ones(one: int, other: int) -> None:
    task = TaskRecord("tsk_1", "t", TaskStatus.PLANNED, 5, 0, 0, "spec", "a task", "key", position=7)
    positions = [
        match.position_of(task, Work(f"sub_{n}", "tsk_1", "t", Kind.EXECUTE, "k", 1, Status.READY, 5, 0, ordinal=n))
        for n in sorted((one, other))
    ]

    assert task.position <= positions[0] <= positions[1] <= task.position + 101 * MINUTE


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=8), st.randoms())
def test_the_order_of_candidates_does_not_matter(found: list[tuple[int, int]], chance: Any) -> None:
    items = [ready(priority, position, f"w{number}") for number, (priority, position) in enumerate(found)]
    shuffled = list(items)
    chance.shuffle(shuffled)

    assert match.choose(shuffled, 10) == match.choose(items, 10)


def a_bot(**changed: Any) -> BotRecord:
    bot = BotRecord("bot_1", "t", BotType.EXECUTOR, "bob", "", "1", "owner", "key", 0, skills=("x", "y"))
    return dataclasses.replace(bot, **changed)


@pytest.mark.parametrize(
    ("bot", "queue", "serves"),
    [
        (a_bot(), Queue(1, Kind.EXECUTE, ()), True),
        (a_bot(), Queue(1, Kind.EXECUTE, ("x",)), True),
        (a_bot(), Queue(1, Kind.EXECUTE, ("x", "z")), False),
        (a_bot(), Queue(1, Kind.PLAN, ()), False),
        (a_bot(type=BotType.PLANNER), Queue(1, Kind.PLAN, ()), True),
        (a_bot(type=BotType.EVALUATOR), Queue(1, Kind.REVIEW, ()), True),
        (a_bot(), Queue(1, Kind.EXECUTE, (), "bob"), True),
        (a_bot(), Queue(1, Kind.EXECUTE, (), "eve"), False),
        (a_bot(), Queue(1, Kind.EXECUTE, ("z",), "bob"), False),
        (a_bot(dedicated=True), Queue(1, Kind.EXECUTE, ()), False),
        (a_bot(dedicated=True), Queue(1, Kind.EXECUTE, ("y",)), True),
    ],
)
def test_a_bot_serves_queues_whose_skills_it_has(bot: BotRecord, queue: Queue, serves: bool) -> None:
    assert match.serves(bot, queue) is serves


def test_two_servers_give_one_queue_the_same_id() -> None:
    first, second = QueueBook(), QueueBook((Queue(1, Kind.PLAN, ()),))

    queue = first.new(Kind.EXECUTE, ("x", "y"), "bob")

    assert second.new(Kind.EXECUTE, ("x", "y"), "bob") == queue
    assert queue.id == 7885824858677722  # stored: it never changes
    others = [("x",), None], [("x", "y"), None], [("x,y",), "bob"], [("x", "y", "bob"), None], [(), "x"]
    ids = {first.new(Kind.EXECUTE, *other).id for other in others}
    assert len(ids | {queue.id}) == 1 + len(others)
    assert all(0 < id_ < 1 << 53 for id_ in ids)


def test_a_queue_of_an_earlier_release_keeps_its_id() -> None:
    book = QueueBook((Queue(1, Kind.EXECUTE, ("x",)),))

    assert book.find(Kind.EXECUTE, ("x",), None) == Queue(1, Kind.EXECUTE, ("x",))


def test_one_id_never_means_two_queues() -> None:
    book = QueueBook((Queue(match.queue_id(Kind.EXECUTE, (), None), Kind.PLAN, ("y",)),))

    with pytest.raises(match.QueueIdTaken, match="cannot also mean"):
        book.new(Kind.EXECUTE, (), None)
    with pytest.raises(match.QueueIdTaken):
        book.add(Queue(match.queue_id(Kind.EXECUTE, (), None), Kind.EXECUTE, ()))


def test_a_claim_may_narrow_the_bots_skills_but_not_widen_them() -> None:
    assert match.serves(a_bot(), Queue(1, Kind.EXECUTE, ("x",)), ("x",))
    assert not match.serves(a_bot(), Queue(1, Kind.EXECUTE, ("y",)), ("x",))
    assert not match.serves(a_bot(), Queue(1, Kind.EXECUTE, ("z",)), ("z",))


# ---- undoing -------------------------------------------------------------------------------------------------------


def a_working_set() -> tuple[WorkingSet, TaskRecord, Work]:
    queues = QueueBook((Queue(1, Kind.EXECUTE, ()),))  # an item is made with its queue, and no queue is ever removed
    working = WorkingSet(now=1_000_000, rules=RULES, limits=Limits(), queues=queues)
    task = TaskRecord("tsk_1", "t", TaskStatus.PLANNED, 5, 0, 0, "spec", "a task", "key")
    work = Work("sub_1", "tsk_1", "t", Kind.EXECUTE, "a", 1, Status.BLOCKED, 5, 0, start=10, start_left=10)
    rows: dict[tuple[str, Any], Any] = {("task", task.id): task, ("work", work.id): work, ("lease", work.id): None}
    working.put_loaded({**rows, ("jobs", task.id): [], ("children", (work.id, "", 500)): []})
    return working, task, work


def begin(working: WorkingSet) -> None:
    working.begin(actor_type="key", actor="k", by=Principal("t", "k", "client"), seed=b"0" * 16)


def snapshot(working: WorkingSet) -> Any:
    rows = {
        want: dataclasses.asdict(row) if dataclasses.is_dataclass(row) and not isinstance(row, type) else row
        for want, row in working.rows.items()
    }
    return (
        rows,
        dataclasses.asdict(working.changes),
        dict(working.held),
        dict(working.touched),
        dict(working.queues.by_id),
    )


@pytest.mark.parametrize("saved", [False, True])
def test_a_queue_entry_is_removed_only_from_a_store_that_has_it(saved: bool) -> None:
    working, task, work = a_working_set()
    begin(working)
    working.move_work(task, work, Transition.UNBLOCKED)
    working.record("task.test", task.id)
    working.finish()
    assert working.changes.ready[work.id] is not None
    if saved:
        working.take_changes()

    begin(working)
    working.grant(task, work, a_bot(), ttl=30, claim_id=None)
    working.undo()
    begin(working)
    working.grant(task, work, a_bot(), ttl=30, claim_id=None)

    assert working.changes.ready == ({work.id: None} if saved else {})
    assert (("start", work.id) in working.changes.timers) == saved


def test_an_entry_that_is_renewed_before_a_save_is_removed_from_the_store() -> None:
    working, task, work = a_working_set()
    begin(working)
    working.move_work(task, work, Transition.UNBLOCKED)
    working.record("task.test", task.id)
    working.finish()
    working.take_changes()  # the store has the entry

    begin(working)
    working.stop_start_clock(work)
    working.make_ready(task, work)
    working.grant(task, work, a_bot(), ttl=30, claim_id=None)

    assert working.changes.ready == {work.id: None}
    assert working.changes.timers["start", work.id] is None


STEPS: list[Any] = [
    lambda working, task, work: working.move_task(task, TaskTransition.STARTED, events.TaskStarted),
    lambda working, task, work: working.move_work(task, work, Transition.UNBLOCKED),
    lambda working, task, work: working.grant(task, work, a_bot(), ttl=30, claim_id=None),
    lambda working, task, work: working.write_payload(task, "p", b"{}"),
    lambda working, task, work: working.add_job(task, "hold", {}),
    lambda working, task, work: working.give_feedback(work, 1, "so"),
    lambda working, task, work: working.queue(Kind.EXECUTE, ("new",), None),
    lambda working, task, work: working.emit(events.WorkDue(key="a"), task=task),
    lambda working, task, work: working.set_timer("wake", work.id, 5),
]


@examples(50)
@given(st.integers(0, len(STEPS)), st.integers(0, len(STEPS)))
def test_undo_leaves_no_trace(kept: int, undone: int) -> None:
    """Keep the steps of one command, then undo those of a refused one."""
    working, task, work = a_working_set()
    begin(working)
    working.record("task.test", task.id, task=task)
    for step in STEPS[:kept]:
        step(working, task, work)
    working.finish()
    before = snapshot(working)

    begin(working)
    for step in STEPS[kept : kept + undone]:
        step(working, task, work)
    working.undo()

    assert snapshot(working) == before


def test_a_row_that_is_not_loaded_raises_not_loaded() -> None:
    working, _, _ = a_working_set()
    begin(working)

    with pytest.raises(NotLoaded) as missing:
        working.get_many(lookups.WORK, ["sub_1", "sub_2", "sub_3"])

    assert missing.value.needs == (("work", "sub_2"), ("work", "sub_3"))


def test_each_change_raises_the_version_once_however_often_it_was_made() -> None:
    working, task, work = a_working_set()
    for transition in (Transition.UNBLOCKED, Transition.CANCELLED):
        begin(working)
        working.record("task.test", task.id, task=task)
        working.move_work(task, work, transition)
        working.finish()

    working.take_changes()

    assert (work.version, task.version) == (1, 1)
