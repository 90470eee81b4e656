"""Disk faults and power cuts below the real store: acknowledged changes survive, no change is half done, and the
reference story ends as without faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import pytest

from swarmkeeper.storage.sqlite import SqliteStore
from tests.support.disk import Disk, DiskOperation, Left
from tests.support.machine import NAME, Asked, Death, EachInTurn, Lost, Machine, Rows, When, found_after
from tests.support.reference_story import LIMITS, Ended, ReferenceStory, doctor

# The timeout of a test is raised wherever the run is, and then looks like a fault of what is simulated.
pytestmark = pytest.mark.timeout(600)

# Commits of a starting orchestrator: one extends leases by a grace time, one is a sign of life.
OF_A_START = 2
PARTS = 4
DEATHS = 3  # commits of one story at which it dies


@lru_cache(maxsize=1)
def undisturbed() -> tuple[Machine, Ended]:
    """Play the story without faults. Return its machine, with all acts on its disk, and its end."""
    with TemporaryDirectory() as folder:
        machine = Machine(Path(folder), limits=LIMITS, remembers=True)
        ended = played(machine)
        assert not machine.died
        assert not machine.refusals
    return machine, ended


def played(machine: Machine) -> Ended:
    """Play the story to its end, and check all invariants."""
    ended = ReferenceStory(machine).play()
    machine.check()
    machine.close()
    return ended


def commits() -> list[int]:
    """Numbers of the commits; of those that are only signs of life, the first."""
    states: list[Rows] = [{}, *(rows for _, rows in undisturbed()[0].states)]
    telling = []
    for number, (before, after) in enumerate(pairwise(states), start=1):
        if any(before.get(table) != rows for table, rows in after.items() if table != "meta"):
            telling.append(number)
    quiet = next(number for number in range(1, len(states)) if number not in telling)
    return sorted([*telling, quiet])


def sync_as(mode: str) -> Callable[[apsw.Connection], None]:
    def prepare(connection: apsw.Connection) -> None:
        connection.pragma("synchronous", mode)

    return prepare


# Written by tests/engine/test_retention.py, which also kills the process at each of its commits, and by a restore.
OF_RETENTION = {"legal_hold", "feed_start", "audit_start", "audit_cut", "erased_use", "feed_gap"}
OF_THE_STREAM = {"sink"}  # which the story has not
OF_THE_SIGNER = {"audit_hash", "checkpoint"}  # likewise
# Secrets are tried on a file in tests/secrets.
OF_SECRETS = {"secret", "secret_released", "secret_use", "secret_lease", "secret_loan"}
OF_KILLS = {"kill"}  # tests/engine/test_kills.py ends the process between its commits
OF_ENCRYPTION = {"data_key", "erased_key"}  # tests/at_rest kills what writes them
OF_PERSONS = {"person"}  # each command on one is one commit: tests/engine/test_persons.py
OF_SESSIONS = {"session"}  # likewise: tests/http/test_sessions.py
OF_OPERATIONS = {"operation", "operation_item"}  # tests/acceptance/test_bulk_kill.py ends the process in one
OF_REBUILDING = {"rebuild"}  # tests/storage/test_derived.py ends the process after each of its slices
OF_LATER_DAYS = {"cost_span"}  # nobody works on a second day; tests/engine/test_cost_spans.py lets one begin
OF_KEYS = {"key_use"}  # noted by a server; losing a minute of it is no harm

# ---- the story itself ----------------------------------------------------------------------------------------------


def test_the_reference_story_writes_every_kind_of_record() -> None:
    machine, ended = undisturbed()

    never = {table for _, rows in machine.states for table in rows} - {
        table for _, rows in machine.states for table, there in rows.items() if there
    }
    assert never == (
        OF_RETENTION
        | OF_THE_STREAM
        | OF_THE_SIGNER
        | OF_SECRETS
        | OF_KEYS
        | OF_KILLS
        | OF_ENCRYPTION
        | OF_PERSONS
        | OF_SESSIONS
        | OF_OPERATIONS
        | OF_REBUILDING
        | OF_LATER_DAYS
    )
    assert 50 < len(commits()) < 80
    assert {title: (status, outcome) for title, (status, outcome, _) in ended.tasks.items()} == {
        "reviewed": ("ARCHIVED", "accepted"),
        "cancelled": ("FAILED", "cancelled"),
        "retried": ("ARCHIVED", "accepted"),
        "silent": ("ARCHIVED", "accepted"),
        "limited": ("ARCHIVED", "accepted"),
    }


def test_the_same_story_does_the_same_to_its_disk(tmp_path: Path) -> None:
    machine = Machine(tmp_path, limits=LIMITS)

    ended = played(machine)

    first, same = undisturbed()
    assert ended == same
    # The bytes of a log contain a random number of SQLite.
    assert [(act.kind, act.file, act.at, len(act.data)) for act in machine.disk.acts] == [
        (act.kind, act.file, act.at, len(act.data)) for act in first.disk.acts
    ]
    assert doctor(machine.disk.folder / NAME) == []


# ---- process deaths ------------------------------------------------------------------------------------------------


# In parts, so that several workers share them.
@pytest.mark.parametrize("part", range(PARTS))
def test_an_orchestrator_that_dies_before_and_after_any_commit_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, part: int
) -> None:
    """It dies before a commit, starts, and dies again after the commit of the same call; in each story at some commits
    far from each other, each of which is checked when it starts again.
    """
    machine, ended = undisturbed()
    asked = [at for number in commits() if (at := machine.asked_at[number - 1]) is not None][part::PARTS]
    stories = -(-len(asked) // DEATHS)
    others: list[Asked] = []

    for story in range(stories):
        here = asked[story::stories]
        deaths = [
            death
            for at in here
            for death in (Death(at, When.BEFORE), Death(at._replace(commit=at.commit + 1), When.AFTER))
        ]
        again = Machine(tmp_path / f"{story}", limits=LIMITS, deaths=deaths)

        assert played(again) == ended, here
        assert set(again.died) == {at.call for at in here}, here
        # The call was carried out before the death, so the retry commits nothing: this is the other death.
        others += [at for at in here if again.died.count(at.call) < 2]

    for story in range(0, len(others), DEATHS):
        here = others[story : story + DEATHS]
        again = Machine(tmp_path / f"{story}-after", limits=LIMITS, deaths=[Death(at, When.AFTER) for at in here])

        assert played(again) == ended, here
        assert again.died == [at.call for at in here], here


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
def test_a_death_at_a_commit_without_a_waiting_caller_loses_nothing(tmp_path: Path, when: When) -> None:
    machine, ended = undisturbed()

    for commit in (number for number in commits() if not machine.asked_at[number - 1]):
        again = Machine(tmp_path / f"{commit}", limits=LIMITS, deaths=(Death(commit, when),))

        assert played(again) == ended, commit
        assert again.died == [0], commit


def test_a_start_may_itself_be_cut_short(tmp_path: Path) -> None:
    _, ended = undisturbed()
    deaths = (Death(20, When.AFTER), Death(21, When.BEFORE), Death(22, When.WITHIN), Death(23, When.AFTER))

    machine = Machine(tmp_path, limits=LIMITS, deaths=deaths)

    assert played(machine) == ended
    assert len(machine.died) == 4
    assert doctor(machine.disk.folder / NAME) == []


# ---- disk failures -------------------------------------------------------------------------------------------------


# Every other write or sync of each commit fails with the first of these errors, the rest with the second.
@pytest.mark.parametrize(("error", "first", "syncs"), [(apsw.IOError, 1, 100), (apsw.FullError, 2, 30)])
def test_a_failing_write_or_sync_is_a_retryable_error_and_changes_nothing(
    tmp_path: Path, error: type[apsw.Error], first: int, syncs: int
) -> None:
    _, ended = undisturbed()
    turn = EachInTurn(error, first=first, every=2)
    machine = Machine(tmp_path, limits=LIMITS, turn=turn, remembers=True)

    assert played(machine) == ended

    assert turn.struck[DiskOperation.WRITE] > 1200
    assert turn.struck[DiskOperation.SYNC] >= syncs
    assert set(machine.refusals) == {"overloaded"}  # 503, to be tried again
    assert doctor(machine.disk.folder / NAME) == []
    # A failed sync has lost its data. Changes acknowledged after it must be safe nevertheless.
    for number, (acts, rows) in list(enumerate(machine.states, start=1))[::16]:
        found = machine.disk.survivors(Left.ANY, number, acts=acts)
        found_after(tmp_path / f"cut-{number}", found, (rows,), f"the power went after commit {number}")


def test_a_write_ahead_log_survives_a_failed_checkpoint(tmp_path: Path) -> None:
    """Each write and sync of a checkpoint fails in turn, and then the power goes."""
    machine = Machine(tmp_path, limits=LIMITS, remembers=True)
    ReferenceStory(machine).play()
    expected = machine.states[-1][1]
    turn = EachInTurn(apsw.IOError)
    machine.disk.breaks = turn.breaks

    for number in range(1, 1000):
        turn.begin()
        try:
            machine.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except apsw.IOError:
            turn.failed()
        else:
            break
        if number % 3:
            continue
        found = machine.disk.survivors(Left.ANY, number)
        found_after(tmp_path / f"cut-{number}", found, (expected,), f"the power went at act {number} of a checkpoint")
    machine.close()

    assert sum(turn.struck.values()) > 50
    assert turn.struck[DiskOperation.SYNC] >= 2
    assert turn.struck[DiskOperation.TRUNCATE] >= 1


# ---- power cuts ----------------------------------------------------------------------------------------------------


def test_a_power_cut_leaves_each_commit_that_was_acknowledged_and_no_part_of_another(tmp_path: Path) -> None:
    machine, _ = undisturbed()
    places = [acts for acts, _ in machine.states]
    cuts = 0

    def cut(acts: int, left: Left, *expected: Rows) -> None:
        nonlocal cuts
        cuts += 1
        why = f"the power went after act {acts} ({left})"
        found_after(tmp_path / f"{cuts}", machine.disk.survivors(left, acts, acts=acts), expected, why)

    telling = commits()
    for number, (place, rows) in enumerate(machine.states):
        if number + 1 not in telling:
            continue
        cut(place, (Left.NOTHING, Left.ANY, Left.FIRST)[number % 3], rows)
        if number and place > places[number - 1]:  # else there was nothing to write
            before, first = machine.states[number - 1][1], places[number - 1]
            # While it is being written, and as the log is about to be synced with all of it.
            cut(first + (place - first) * (number % 7 + 1) // 8, (Left.ANY, Left.FIRST)[number % 2], before, rows)
            cut(place - 1, Left.ANY, before, rows)
    assert cuts > 150


def test_a_store_can_be_created_again_after_a_power_cut_during_its_creation(tmp_path: Path) -> None:
    machine, _ = undisturbed()

    for acts in range(0, machine.made_at, 7):
        disk = Disk(tmp_path / f"{acts}", machine.disk.survivors(Left.ANY, acts, acts=acts))
        disk.gone()
        store = SqliteStore(str(disk.folder / NAME))
        asyncio.run(store.open())
        asyncio.run(store.close())
        assert doctor(disk.folder / NAME) == [], acts


def test_after_a_power_cut_at_a_commit_the_story_ends_the_same(tmp_path: Path) -> None:
    """The power goes as a commit is written, and again as soon as the call that was sent again is safe."""
    _, ended = undisturbed()

    for commit in commits()[::6]:
        left = (Left.ANY, Left.FIRST, Left.NOTHING)[commit // 6 % 3]
        deaths = (Death(commit, When.WITHIN, commit, left), Death(commit + OF_A_START + 1, When.CUT, commit, left))
        machine = Machine(tmp_path / f"{commit}", limits=LIMITS, deaths=deaths)

        assert played(machine) == ended, commit
        assert len(machine.died) == 2, commit
        assert doctor(machine.disk.folder / NAME) == [], commit


# ---- checks of these tests -----------------------------------------------------------------------------------------


def test_a_store_without_syncs_is_detected(tmp_path: Path) -> None:
    death = Death(30, When.CUT, left=Left.NOTHING)
    hasty = Machine(
        tmp_path,
        limits=LIMITS,
        deaths=(death,),
        prepare=sync_as("OFF"),
    )

    with pytest.raises(Lost, match=r"these acknowledged facts are lost: .*the submission.*the report of plan"):
        ReferenceStory(hasty).play()


def test_a_log_synced_only_at_checkpoints_is_detected(tmp_path: Path) -> None:
    lazy = Machine(
        tmp_path,
        limits=LIMITS,
        remembers=True,
        prepare=sync_as("NORMAL"),
    )
    ReferenceStory(lazy).play()

    number = 40
    acts, rows = lazy.states[number]
    with pytest.raises(Lost, match="lost from"):
        found_after(tmp_path / "cut", lazy.disk.survivors(Left.NOTHING, acts=acts), (rows,), "the power went")
