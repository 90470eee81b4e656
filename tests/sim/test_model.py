"""Breaks each invariant of the shadow model by hand, and checks that it is found: changes the reported commit or the
stored rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from swarmkeeper.core.model import Event, LeaseRecord, QueueEntry, TaskRecord
from swarmkeeper.core.policies.labels import WorkLabels
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import AttemptOutcome, Kind, Status, TaskStatus
from swarmkeeper.engine.loop import Engine
from swarmkeeper.sim.invariants import WORDS
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.play.bots import SECRET
from swarmkeeper.sim.play.core.core_bots import CoreBotProcess
from swarmkeeper.sim.play.scenarios import SCENARIOS, Bounds
from swarmkeeper.sim.run import Case, RunOutcome, run
from tests.support.damage import altered

GOLDEN = SCENARIOS["golden"]
CASE = Case(10, GOLDEN, faults=())

# Changes the reported content of a commit; returns True if it found a suitable record.
Damage = Callable[[Model, Sequence[Changes]], bool]
DAMAGE: dict[str, tuple[str, Damage]] = {}


def breaks(invariant: str) -> Callable[[Damage], Damage]:
    def named(damage: Damage) -> Damage:
        DAMAGE[damage.__name__.replace("_", " ")] = (invariant, damage)
        return damage

    return named


def played(monkeypatch: pytest.MonkeyPatch, damage: Damage) -> RunOutcome:
    done: list[bool] = []
    right = Model.committed

    def committed(self: Model, saved: Sequence[Changes]) -> None:
        altered_copy = [copy(changes) for changes in saved]
        if not done and damage(self, altered_copy):
            done.append(True)
            self._full_every = 1  # until here, nothing is to be found: see test_the_story_itself_breaks_no_invariant
        right(self, altered_copy)

    monkeypatch.setattr(Model, "committed", committed)
    outcome = run(CASE)
    assert done, "the story has a commit to be damaged"
    return outcome


def events(saved: Sequence[Changes], kind: str) -> Iterator[Event]:
    return (event for changes in saved for event in changes.events if event.kind == kind)


def altered_event(saved: Sequence[Changes], which: str, **changed: Any) -> bool:
    """Change the first event of the kind `which`."""
    return altered(saved, "events", lambda event: event.kind == which, **changed)


def with_body(**changed: Any) -> Callable[[Event], Any]:
    """Return a function that changes values of an event's body."""
    return lambda event: replace(event.body, value={**event.body.value, **changed})


def granted(model: Model, saved: Sequence[Changes]) -> Iterator[tuple[Changes, TaskRecord, LeaseRecord]]:
    for changes in saved:
        for lease in changes.leases.values():
            if lease.work not in model.leases and lease.task in changes.tasks:
                yield changes, changes.tasks[lease.task], lease


# ---- events --------------------------------------------------------------------------------------------------------


@breaks("5.sequence")
def an_event_has_the_wrong_number(model: Model, saved: Sequence[Changes]) -> bool:
    return altered_event(saved, "work.succeeded", sequence=99)


@breaks("5.time")
def an_event_has_an_earlier_time(model: Model, saved: Sequence[Changes]) -> bool:
    return altered_event(saved, "work.succeeded", at=1)


@breaks("5.audit")
def an_event_names_no_record(model: Model, saved: Sequence[Changes]) -> bool:
    return altered_event(saved, "work.leased", audit="aud_x")


@breaks("5.audit")
def a_record_exists_twice(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        if changes.leaves:
            changes.leaves = [*changes.leaves, changes.leaves[0]]
            return True
    return False


@breaks("5.cause")
def a_leased_item_falls_due(model: Model, saved: Sequence[Changes]) -> bool:
    return altered_event(saved, "work.succeeded", kind="work.due")


@breaks("5.cause")
def a_task_is_planned_twice(model: Model, saved: Sequence[Changes]) -> bool:
    return altered_event(saved, "task.started", kind="task.planned")


@breaks("5.told")
def an_item_has_a_status_without_events(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "works", lambda work: work.status is Status.SUCCEEDED, status=Status.SKIPPED)


@breaks("5.told")
def a_task_has_a_status_without_events(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "tasks", status=TaskStatus.ARCHIVED)


@breaks("10.secret")
def an_event_has_a_secret(model: Model, saved: Sequence[Changes]) -> bool:
    return altered_event(saved, "work.succeeded", body=with_body(said=SECRET))


@breaks("10.secret")
def an_audit_record_has_a_secret(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "leaves", body=SECRET.encode())


@breaks("10.secret")
def a_failure_has_a_secret(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "tasks", failure={"detail": SECRET})


# ---- leases and results --------------------------------------------------------------------------------------------


@breaks("2.newest")
def an_attempt_is_left_out(model: Model, saved: Sequence[Changes]) -> bool:
    return altered_event(saved, "work.leased", body=with_body(attempt=7))


@breaks("2.fence")
def a_result_comes_from_another_bot(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "attempts", lambda attempt: attempt.ending is AttemptOutcome.SUCCEEDED, bot="bot_other")


@breaks("1.one-result")
def a_second_result_is_accepted(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        for attempt in changes.attempts:
            if attempt.ending is AttemptOutcome.SUCCEEDED:
                model._transition_checks._accepted[attempt.work, attempt.round] = "lse_other"
                return True
    return False


@breaks("2.closed")
def a_result_of_a_closed_task_is_accepted(model: Model, saved: Sequence[Changes]) -> bool:
    for event in events(saved, "work.succeeded"):
        assert event.task is not None
        model._transition_checks._task_is[event.task] = TaskStatus.FAILED
        return True
    return False


@breaks("2.closed")
def an_item_of_a_held_task_is_handed_out(model: Model, saved: Sequence[Changes]) -> bool:
    for changes, task, _ in granted(model, saved):
        changes.tasks = {**changes.tasks, task.id: replace(task, hold_reasons=("paused",))}
        return True
    return False


@breaks("2.early")
def a_lease_ends_before_its_time(model: Model, saved: Sequence[Changes]) -> bool:
    leases = model.leases
    return altered(
        saved,
        "attempts",
        lambda attempt: attempt.work in leases and leases[attempt.work].seen,
        ending=AttemptOutcome.EXPIRED,
        ended=lambda attempt: leases[attempt.work].expires_at - 1,
    )


@breaks("6.capacity")
def a_bot_has_more_than_it_can(model: Model, saved: Sequence[Changes]) -> bool:
    return any(bot_is(model, lease, capacity=0) for _, _, lease in granted(model, saved))


@breaks("6.concurrency")
def more_of_a_key_run_than_may(model: Model, saved: Sequence[Changes]) -> bool:
    leased = {lease.work for _, _, lease in granted(model, saved)}
    return altered(saved, "works", lambda work: work.id in leased, limits='[["repo", 0]]')


@breaks("6.drain")
def a_draining_bot_gets_more(model: Model, saved: Sequence[Changes]) -> bool:
    return any(bot_is(model, lease, status="draining") for _, _, lease in granted(model, saved))


def bot_is(model: Model, lease: LeaseRecord, **otherwise: Any) -> bool:
    bot = model.bots[lease.bot]
    assert bot is not None
    model.bots[bot.id] = replace(bot, **otherwise)
    return True


@breaks("1.one-task")
def a_submission_makes_a_second_task(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        for task in changes.tasks.values():
            if task.id not in model.tasks:
                model.by_title[task.title] = "tsk_other"
                return True
    return False


@breaks("3.lease")
def a_lease_is_not_written(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        if changes.leases and any(work.status is Status.LEASED for work in changes.works.values()):
            changes.leases = {}
            return True
    return False


@breaks("7.acknowledged")
def a_lease_is_handed_out_to_another_bot(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        for lease in changes.leases.values():
            model.bots.setdefault("bot_other", model.bots[lease.bot])
    return altered(saved, "leases", lambda lease: lease.work not in model.leases, bot="bot_other")


# ---- decisions -----------------------------------------------------------------------------------------------------


@breaks("1.one-decision")
def an_ended_approval_is_decided(model: Model, saved: Sequence[Changes]) -> bool:
    for event in events(saved, "approval.decided"):
        model._transition_checks._answered[event.body.value["approval"]] = "evt_other"
        return True
    return False


@breaks("1.quorum")
def a_round_is_decided_against_its_votes(model: Model, saved: Sequence[Changes]) -> bool:
    def other(event: Event) -> Any:
        decision = "reject" if event.body.value["decision"] == "accept" else "accept"
        return with_body(decision=decision)(event)

    return altered_event(saved, "task.judged", body=other)


@breaks("1.vote")
def an_owner_reviews_its_own_work(model: Model, saved: Sequence[Changes]) -> bool:
    for changes, task, lease in granted(model, saved):
        work = changes.works[lease.work]
        if work.kind is Kind.REVIEW and work.subject is None:
            changes.tasks = {**changes.tasks, task.id: replace(task, contributors=(model.owners[lease.bot],))}
            return True
    return False


# ---- counters, timers, order ---------------------------------------------------------------------------------------


@breaks("4.pending")
def an_edge_is_counted_twice(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "works", lambda work: work.status is Status.BLOCKED, pending=lambda work: work.pending + 1)


@breaks("4.upstream")
def an_item_begins_before_its_upstream_item_ends(model: Model, saved: Sequence[Changes]) -> bool:
    for _, _, lease in granted(model, saved):
        for parent in model.parents.get(lease.work, ()):
            if not any(parent in changes.works for changes in saved):
                model.works[parent] = replace(model.works[parent], status=Status.READY)
                return True
    return False


@breaks("4.upstream")
def an_item_is_skipped_without_a_reason(model: Model, saved: Sequence[Changes]) -> bool:
    for _, _, lease in granted(model, saved):
        for child in model.children.get(lease.work, ()):
            model.works[child] = replace(model.works[child], status=Status.SKIPPED)
            return True
    return False


@breaks("4.counters")
def a_counter_drifts(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "tasks", lambda task: bool(task.n_open), n_open=lambda task: task.n_open - 1)


@breaks("4.done")
def a_task_is_done_too_early(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        for task in changes.tasks.values():
            of_task = [event for event in changes.events if event.task == task.id]
            if not task.n_open or task.status is not TaskStatus.IN_PROGRESS or not of_task:
                continue
            # Events and rows agree: only the open subtasks contradict it.
            number = of_task[-1].sequence + 1
            finished = replace(of_task[-1], kind="task.finished", work=None, sequence=number)
            changes.events = [*changes.events, finished]
            changes.tasks = {**changes.tasks, task.id: replace(task, status=TaskStatus.COMPLETED, sequence=number)}
            return True
    return False


@breaks("8.timer")
def a_timer_is_not_set(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        kept = {name: due for name, due in changes.timers.items() if name[0] != "ends" or due is None}
        if len(kept) < len(changes.timers):
            changes.timers = kept
            return True
    return False


@breaks("8.timer")
def a_deadline_differs_from_its_timer(model: Model, saved: Sequence[Changes]) -> bool:
    return altered(saved, "tasks", deadline=1)


@breaks("9.order")
def an_older_item_is_passed_over(model: Model, saved: Sequence[Changes]) -> bool:
    for changes in saved:
        for work_id in changes.leases:
            work = model.works.get(work_id)
            if work is None or work.status is Status.LEASED:
                continue
            for other in model.works.values():
                task = model.tasks[other.task]
                written = any(other.id in each.works for each in saved)
                if written or task.outcome or task.hold_reasons or model.jobs.get(task.id):
                    continue
                taken = QueueEntry(work.id, work.queue, work.tenant, work.priority, 2, 2, work.task)
                older = replace(taken, work=other.id, task=other.task, position=1)
                model.ready[work.id] = taken
                model.queues[taken.queue, taken.tenant, taken.priority] = {work.id: taken, other.id: older}
                changes.ready = {**changes.ready, work.id: None}
                return True
    return False


@breaks("2.policy")
def work_with_a_way_out_is_handed_out_behind_what_was_read(model: Model, saved: Sequence[Changes]) -> bool:
    for changes, _, lease in granted(model, saved):
        if lease.work in changes.works:
            read = (("private", "", "a"), ("untrusted", "", "a"))
            labelled = replace(changes.works[lease.work], labels=WorkLabels((("egress", ""),), read))
            model.policed, changes.works = True, {**changes.works, lease.work: labelled}
            return True
    return False


# ---- stored rows ---------------------------------------------------------------------------------------------------


def in_the_store(model: Model, statement: str) -> bool:
    assert model.connection is not None
    connection = model.connection()
    connection.execute(statement)
    return connection.changes() > 0


@breaks("7.durable")
def a_stored_row_is_older_than_the_committed_one(model: Model, saved: Sequence[Changes]) -> bool:
    return in_the_store(model, "UPDATE task SET version = version - 1 WHERE version > 2")


@breaks("7.durable")
def a_lease_is_gone(model: Model, saved: Sequence[Changes]) -> bool:
    return in_the_store(
        model, "UPDATE lease SET lease_id = 'lse_x' WHERE work IN (SELECT id FROM work WHERE status = 'LEASED')"
    )


@breaks("rows")
def a_deadline_has_no_timer(model: Model, saved: Sequence[Changes]) -> bool:
    return in_the_store(model, "UPDATE task SET deadline = 1 WHERE status = 'ARCHIVED'")


@breaks("8.due")
def a_timer_is_processed_too_late(model: Model, saved: Sequence[Changes]) -> bool:
    return in_the_store(model, "UPDATE lease SET ends_at = 1 WHERE cancelled = 0")


@breaks("0.lost-exception")
def an_exception_is_lost(model: Model, saved: Sequence[Changes]) -> bool:
    def fails() -> None:
        raise ZeroDivisionError

    model._loop.call_soon(fails)
    return True


def test_the_story_itself_breaks_no_invariant() -> None:
    assert run(CASE, full_every=1).violation is None


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_a_broken_invariant_of_the_model_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    invariant, damage = DAMAGE[name]

    outcome = played(monkeypatch, damage)

    assert outcome.violation is not None
    assert outcome.violation.invariant == invariant, outcome.violation


# ---- whole runs ----------------------------------------------------------------------------------------------------


def violated(scenario: Any = GOLDEN) -> str:
    outcome = run(Case(10, scenario, faults=()))
    assert outcome.violation is not None
    assert outcome.violation.words
    return outcome.violation.invariant


def test_tasks_that_do_not_end_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def idle(self: CoreBotProcess) -> None:
        return None

    monkeypatch.setattr(CoreBotProcess, "_claim_while_current", idle)

    bounds = Bounds(schedule_to_start_seconds=1e6)
    assert violated(replace(GOLDEN, bounds=bounds, heal_hours=0.2)) == "7.liveness"


def test_an_engine_that_ends_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(self: Engine) -> None:
        return None

    monkeypatch.setattr(Engine, "run", ends)

    assert violated() == "0.engine"


def test_each_invariant_of_the_model_is_broken_somewhere() -> None:
    elsewhere = {"0.engine", "7.liveness", "0.fault", "0.real-world", "5.feed"}
    elsewhere |= {"2.tenant", "9.share"}  # see test_tenants.py
    elsewhere |= {"7.kept"}  # see bugs.py
    elsewhere |= {"7.operation"}  # see test_bulk.py

    assert {invariant for invariant, _ in DAMAGE.values()} | elsewhere == set(WORDS)
