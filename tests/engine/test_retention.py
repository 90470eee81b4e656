"""What was kept long enough leaves, whole and with a record of it; what is under a legal hold stays."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarmkeeper.access.retention import AT_ONCE, TRIM_MIN, Retention, RetentionPeriods
from swarmkeeper.core import commands
from swarmkeeper.core.erasure.commands import EraseNow
from swarmkeeper.core.errors import IllegalTransition, PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Limits
from swarmkeeper.core.retention import WHOLE_TENANT
from swarmkeeper.core.rules.tree import Frontier
from swarmkeeper.sim.harness import ADMIN, CLIENT, OPERATOR, TENANT, Harness
from swarmkeeper.sim.kernel.loop import SECOND
from tests.support.machine import Death, Machine, When
from tests.support.reference_story import LIMITS, ReferenceStory, doctor

LONG = 600  # seconds
OF_TASKS = ("task", "work", "edge", "payload", "attempt", "late_result", "feedback", "answered", "approval", "message")


@pytest.fixture
def swarm() -> Iterator[Harness]:
    harness = Harness(seed=1)
    yield harness
    harness.check()
    harness.close()


def sleep(swarm: Harness) -> None:
    """Let a long time pass in one step, as when a machine sleeps: each second would be simulated."""
    swarm.loop.stall(LONG * SECOND)
    swarm.advance(5)


def look(swarm: Harness, *, tasks: float = 0, audit: float = 0) -> None:
    """Look once for what was kept this long, in seconds, and let the jobs end."""
    retention = Retention(
        swarm.store,
        RetentionPeriods(tasks=round(tasks * SECOND), audit=round(audit * SECOND)),
        now=swarm.engine.now,
        clock=swarm.clock,
        do_all=swarm.engine.do_all,
        log=lambda event, **fields: None,
    )
    swarm.run(retention.look())
    swarm.advance(5)


def left(swarm: Harness, task: str | None = None) -> dict[str, int]:
    """Return how many rows of tasks there are, by table; without those that have none."""
    which = "" if task is None else f" WHERE {{}} = '{task}'"
    counts = {
        table: swarm.row(f"SELECT count(*) AS n FROM {table}{which.format('id' if table == 'task' else 'task')}")["n"]
        for table in OF_TASKS
    }
    counts["event"] = swarm.row("SELECT count(*) AS n FROM event WHERE task IS NOT NULL")["n"]
    return {table: count for table, count in counts.items() if count}


def hold(task: str = WHOLE_TENANT, **more: Any) -> commands.PlaceLegalHold:
    return commands.PlaceLegalHold(**{"by": OPERATOR, "task": task, "reason": "case 12", **more})


def erase_of(swarm: Harness, task: str) -> commands.EraseTask:
    by = replace(commands.ENGINE, tenant=TENANT)
    return commands.EraseTask(by=by, task=task, after=SECOND, until=swarm.engine.now())


def test_a_finished_task_leaves_after_its_time_and_not_before(swarm: Harness) -> None:
    task = swarm.submit(["a", {"key": "b", "depends_on": ["a"]}], evaluation="none")
    swarm.drive(task)
    opened = swarm.submit(["a"])
    swarm.advance(LONG - 1)

    look(swarm, tasks=LONG)
    assert swarm.rows("SELECT 1 FROM task WHERE id = ?", task)
    swarm.advance(1)
    look(swarm, tasks=LONG)

    assert not left(swarm, task) or list(left(swarm, task)) == ["event"]
    assert not swarm.rows("SELECT 1 FROM event WHERE task = ?", task)
    assert swarm.task(opened).outcome is None
    assert [row["body"] for row in swarm.rows("SELECT body FROM event WHERE kind = 'task.erased'")] == [
        f'{{"task":"{task}"}}'
    ]
    with pytest.raises(ResourceNotFound):
        swarm.retry(task)


def test_nothing_is_left_of_the_reference_story_but_its_evidence(tmp_path: Path) -> None:
    machine = Machine(tmp_path, limits=LIMITS)
    ReferenceStory(machine).play()
    sleep(machine)
    stored = machine.row("SELECT stored_bytes FROM tenant WHERE id = ?", TENANT)["stored_bytes"]
    records = machine.row("SELECT count(*) AS n FROM audit_leaf")["n"]

    look(machine, tasks=LONG / 2)
    machine.until(lambda: not machine.rows("SELECT 1 FROM chore"))

    assert left(machine) == {}
    assert stored > 0
    assert machine.row("SELECT stored_bytes FROM tenant WHERE id = ?", TENANT)["stored_bytes"] == 0
    assert machine.row("SELECT count(*) AS n FROM audit_leaf")["n"] > records, "the log keeps its records"
    assert machine.row("SELECT count(*) AS n FROM audit_leaf WHERE task IS NOT NULL AND body IS NULL")["n"] > 40
    machine.check()
    machine.close()
    assert doctor(machine.disk.folder / "store.db") == []


def test_who_asks_for_an_erasure_that_is_under_way_changes_nothing() -> None:
    swarm = Harness(seed=1, limits=replace(Limits(), slice_rows=3))
    task = swarm.submit([{"key": f"k{n}"} for n in range(9)], evaluation="none")
    swarm.drive(task)
    swarm.advance(60)
    asked = EraseNow(by=ADMIN, task=task, reason="request 17", until=swarm.engine.now())

    assert swarm.do_all([asked, replace(asked, reason="again")]) == [task, task]
    swarm.advance(60)

    assert left(swarm, task) in ({}, {"event": 1})
    assert len(swarm.rows("SELECT 1 FROM audit_leaf WHERE action = 'task.erase'")) == 1
    swarm.check()
    swarm.close()


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
def test_whenever_the_process_dies_the_task_leaves_whole_and_once(tmp_path: Path, when: When) -> None:
    def story(folder: Path, *deaths: Death) -> tuple[Machine, int]:
        machine = Machine(folder, deaths=deaths, limits=replace(Limits(), slice_rows=3))
        task = machine.submit([{"key": key, "depends_on": []} for key in "ab"], evaluation="none")
        machine.drive(task)
        sleep(machine)
        begun = machine.commit
        machine.insist(lambda: look(machine, tasks=LONG / 2))
        machine.until(lambda: not machine.rows("SELECT 1 FROM chore"), seconds=60)
        return machine, begun

    whole, begun = story(tmp_path / "whole")
    ended = whole.commit
    whole.close()
    assert ended - begun > 8, "it is erased in slices"

    for commit in range(begun + 1, ended + 1):
        machine, _ = story(tmp_path / f"{when}-{commit}", Death(commit, when))
        assert machine.died, f"nothing died at commit {commit}"
        assert left(machine) == {}
        assert machine.row("SELECT count(*) AS n FROM event WHERE kind = 'task.erased'")["n"] == 1
        machine.check()
        machine.close()


def test_what_is_asked_twice_is_erased_once(swarm: Harness) -> None:
    task = swarm.submit(["a"], evaluation="none")
    swarm.drive(task)
    swarm.advance(LONG)
    erase = erase_of(swarm, task)

    assert swarm.do_all([erase, erase]) == [True, False]
    assert swarm.do(erase) is False
    assert swarm.row("SELECT count(*) AS n FROM audit_leaf WHERE action = 'task.erase'")["n"] == 1


def test_commands_go_on_while_a_large_task_is_erased(swarm: Harness) -> None:
    large = swarm.submit([f"s{number}" for number in range(600)], evaluation="none")
    swarm.cancel(large)
    swarm.advance(LONG)
    look_at = swarm.store.connection.total_changes()

    swarm.do(erase_of(swarm, large))
    rows_at_once = swarm.store.connection.total_changes() - look_at
    other = swarm.submit(["a"])

    assert rows_at_once < 1_000
    assert swarm.rows("SELECT 1 FROM chore"), "it is not done yet"
    assert swarm.task(other).status == "PLANNED"
    swarm.advance(5)
    assert not left(swarm, large).keys() - {"event"}


def test_what_is_under_a_legal_hold_stays_whole_until_it_is_released(swarm: Harness) -> None:
    kept, gone = (swarm.submit(["a"], evaluation="none") for _ in range(2))
    for task in (kept, gone):
        swarm.drive(task)
    before = left(swarm, kept)
    swarm.do(hold(kept))
    swarm.do(hold(kept))
    swarm.advance(LONG)

    look(swarm, tasks=LONG / 2)
    erase = erase_of(swarm, kept)
    assert swarm.do(erase) is False
    assert {**left(swarm, kept), "event": 0} == {**before, "event": 0}
    assert not swarm.rows("SELECT 1 FROM audit_leaf WHERE task = ? AND body IS NULL", kept)
    assert not swarm.rows("SELECT 1 FROM task WHERE id = ?", gone)

    swarm.do(commands.ReleaseLegalHold(by=OPERATOR, task=kept, reason="the case is closed"))
    swarm.advance(LONG)  # before its record has a number, nothing is erased
    look(swarm, tasks=LONG / 2)
    assert not swarm.rows("SELECT 1 FROM task WHERE id = ?", kept)
    told = swarm.rows("SELECT action, task FROM audit_leaf WHERE action LIKE 'legal_hold.%' ORDER BY place")
    assert [(row["action"], row["task"]) for row in told] == [("legal_hold.place", kept), ("legal_hold.release", kept)]


def test_a_legal_hold_on_the_tenant_keeps_everything_of_it(swarm: Harness) -> None:
    task = swarm.submit(["a"], evaluation="none")
    swarm.drive(task)
    swarm.do(hold())
    swarm.advance(LONG)
    records = swarm.row("SELECT count(*) AS n FROM audit_leaf")["n"]

    look(swarm, tasks=1, audit=1)

    assert swarm.rows("SELECT 1 FROM task WHERE id = ?", task)
    assert swarm.row("SELECT count(*) AS n FROM audit_leaf")["n"] == records


def test_a_task_that_is_being_erased_cannot_be_held_any_more(swarm: Harness) -> None:
    task = swarm.submit([f"s{number}" for number in range(600)], evaluation="none")
    swarm.cancel(task)
    swarm.advance(LONG)
    swarm.do(erase_of(swarm, task))

    with pytest.raises(IllegalTransition, match="being erased"):
        swarm.do(hold(task))
    swarm.advance(5)


def test_only_operators_and_administrators_hold_and_release(swarm: Harness) -> None:
    for command in (hold(by=CLIENT), commands.ReleaseLegalHold(by=CLIENT, reason="no")):
        with pytest.raises(PermissionDenied, match="operator, admin"):
            swarm.do(command)
    with pytest.raises(ResourceNotFound):
        swarm.do(hold("tsk_other"))


def test_the_oldest_audit_records_leave_and_the_rest_still_verifies(swarm: Harness) -> None:
    tasks = [swarm.submit(["a"], evaluation="none") for _ in range(TRIM_MIN)]
    for task in tasks:
        swarm.cancel(task)
    swarm.advance(LONG)
    look(swarm, audit=LONG / 2)
    assert not swarm.rows("SELECT 1 FROM audit_start"), "the tasks exist, so their records stay"

    look(swarm, tasks=LONG / 2)
    look(swarm, audit=LONG / 2)

    (start,) = swarm.rows("SELECT size, tenant FROM audit_start")
    assert start["size"] >= 2 * TRIM_MIN
    assert swarm.row("SELECT min(place) AS n FROM audit_leaf")["n"] == start["size"]
    swarm.advance(LONG)
    look(swarm, audit=LONG / 2)
    swarm.submit(["a"])
    swarm.check()


def test_more_tasks_than_are_erased_at_once_all_leave(swarm: Harness) -> None:
    for _ in range(2 * AT_ONCE + 1):
        swarm.cancel(swarm.submit(["a"], evaluation="none"))
    swarm.advance(LONG)

    look(swarm, tasks=LONG / 2)

    assert left(swarm) == {}


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (
            "UPDATE audit_leaf SET body = NULL, salt = x'' WHERE action = 'tenant.set'",
            "the body is missing, and no later record says that it was erased",
        ),
        (
            "UPDATE audit_leaf SET body = NULL, salt = x'' WHERE task = (SELECT id FROM task)",
            "the body is missing, and no later record says that it was erased",
        ),
        ("DELETE FROM audit_leaf WHERE action = 'task.erase'", "record 4 is missing"),
        ("DELETE FROM audit_leaf WHERE place = 0", "record 0 is missing"),
        ("DELETE FROM event WHERE kind = 'tenant.set'", "an event of the record is missing"),
        ("DELETE FROM task", "a task that was erased leaves nothing behind"),
        (
            "INSERT INTO payload VALUES ('tsk_gone/spec', 'tsk_gone', x'7b7d', 0)",
            "a task that was erased leaves nothing behind",
        ),
        ("INSERT INTO legal_hold VALUES ('default', 'tsk_gone', '', '', 0)", "a task under a legal hold is not erased"),
    ],
)
def test_an_erasure_without_its_record_is_found(tmp_path: Path, fault: str, found: str) -> None:
    machine = Machine(tmp_path)
    gone = machine.submit(["a"], evaluation="none")
    machine.cancel(gone)
    machine.do(commands.SetTenant(by=ADMIN, weight=3))
    sleep(machine)
    look(machine, tasks=LONG / 2)
    machine.submit(["a"])
    file = machine.disk.folder / "store.db"
    machine.close()
    assert doctor(file) == []

    connection = apsw.Connection(str(file))
    connection.execute(fault)
    assert connection.changes() >= 1
    connection.close()

    assert any(found in finding for finding in doctor(file)), doctor(file)


def test_a_log_that_begins_late_without_a_record_of_it_was_tampered_with(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for _ in range(TRIM_MIN):
        machine.cancel(machine.submit(["a"], evaluation="none"))
    sleep(machine)
    look(machine, tasks=LONG / 2)
    look(machine, audit=LONG / 2)
    file = machine.disk.folder / "store.db"
    machine.close()
    assert doctor(file) == []

    connection = apsw.Connection(str(file))
    later = Frontier.from_bytes(connection.execute("SELECT frontier FROM audit_start").get)
    for row in connection.execute("SELECT hash FROM audit_leaf ORDER BY place LIMIT 5").fetchall():
        hashed: Any = row[0]
        later.append(hashed)
    connection.execute("UPDATE audit_start SET size = ?, frontier = ?", (later.size, later.to_bytes()))
    connection.execute("DELETE FROM audit_leaf WHERE place < ?", (later.size,))
    connection.close()

    assert any("no record says that those before it were removed" in finding for finding in doctor(file))


def test_under_a_constant_load_the_store_stops_growing() -> None:
    def pages_after_each_round(swarm: Harness, *, erases: bool) -> list[int]:
        counted = []
        for _ in range(8):
            for _ in range(30):
                swarm.cancel(swarm.submit(["a", {"key": "b", "depends_on": ["a"]}], evaluation="none"))
            sleep(swarm)
            if erases:
                look(swarm, tasks=LONG / 2, audit=LONG / 2)
            counted.append(swarm.store.connection.pragma("page_count"))
        return counted

    keeping, erasing = Harness(seed=1), Harness(seed=1)
    grown = pages_after_each_round(keeping, erases=False)
    steady = pages_after_each_round(erasing, erases=True)

    assert grown[-1] > 1.5 * grown[3], grown
    assert max(steady[4:]) <= 1.02 * max(steady[:4]), steady
    for swarm in (keeping, erasing):
        swarm.check()
        swarm.close()
