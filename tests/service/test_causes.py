"""Every end of an attempt without result has a cause, in new rows and in old ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from swarmkeeper.core.model import Limits, Principal, TaskRecord
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.states import AttemptOutcome, Outcome, Status, TaskStatus
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.reads.queries import Queries
from swarmkeeper.storage.sqlite.store import SqliteStore
from swarmkeeper.testing import records

CLIENT = Principal("acme", "key_1", "client")


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    store = SqliteStore("sqlite://:memory:")
    await store.open()
    yield store
    await store.close()


async def shown(store: SqliteStore, work: dict[str, Any], *attempts: dict[str, Any], **task: Any) -> Any:
    """Return a client's view of the task with one subtask."""
    row: TaskRecord = records.task(**{"n_total": 1, "n_open": 1, "status": TaskStatus.IN_PROGRESS, **task})
    item = records.work(id="sub_1", key="a", **work)
    tried = [records.attempt("sub_1", lease_id=f"lse_{n}", attempt=n, **one) for n, one in enumerate(attempts, 1)]
    async with store.begin() as transaction:
        changes = Changes(tasks={row.id: row}, works={item.id: item}, attempts=tried, bots={"bot_1": records.bot()})
        await transaction.save(changes)
    queries = Queries(store, Rulebook(Redactor.default()), Limits(), cursors=Cursors(bytes(32)), now=lambda: 0)
    return (await queries.task(CLIENT, row.id))[0]


@pytest.mark.parametrize(
    ("ending", "more", "says"),
    [
        (AttemptOutcome.FAILED, {"error": {"message": "KeyError"}}, "KeyError"),
        (AttemptOutcome.FAILED, {"error": {}}, "it failed, and its bot gave no reason"),
        (AttemptOutcome.EXPIRED, {}, "the lease expired: its bot sent no heartbeat in time"),
        (AttemptOutcome.TIMED_OUT, {"error": {"message": "timed out after 9 s"}}, "timed out after 9 s"),
        (AttemptOutcome.TIMED_OUT, {}, "it timed out"),
        (AttemptOutcome.UNSEEN, {}, "the lease expired: its bot sent nothing after it was leased"),
        (AttemptOutcome.DEFERRED, {"reason": "not there yet"}, "not there yet"),
        (AttemptOutcome.DEFERRED, {"error": {"message": "429"}}, "429"),
        (AttemptOutcome.RELEASED, {"reason": "the bot is stopping"}, "the bot is stopping"),
        (AttemptOutcome.RELEASED, {}, None),
        (AttemptOutcome.ASKED, {}, None),
        (AttemptOutcome.CANCELLED, {}, None),
        (AttemptOutcome.SUCCEEDED, {}, None),
    ],
)
async def test_each_ending_has_its_words(
    store: SqliteStore, ending: AttemptOutcome, more: dict[str, Any], says: str | None
) -> None:
    task = await shown(store, {"status": Status.READY, "attempt": 1}, {"ending": ending, "error": None, **more})

    (a,) = task["subtasks"]
    assert (a["cause"] and a["cause"]["message"]) == says


async def test_of_several_attempts_the_last_counts_and_of_an_earlier_round_none(store: SqliteStore) -> None:
    tried = [{"ending": AttemptOutcome.FAILED, "error": {"message": word}} for word in ("first", "second")]

    task = await shown(store, {"status": Status.WAITING, "wake": 7, "attempt": 2}, *tried)
    assert task["subtasks"][0]["cause"]["message"] == "second"
    assert task["subtasks"][0]["cause"]["retry_at"] == "1970-01-01T00:00:00.000007Z"


async def test_what_failed_before_it_was_reopened_is_no_cause_now(store: SqliteStore) -> None:
    failed = {"ending": AttemptOutcome.FAILED, "error": {"message": "before the rework"}, "round": 1}

    task = await shown(store, {"status": Status.READY, "attempt": 1, "round": 2}, failed)

    assert task["subtasks"][0]["cause"] is None


async def test_what_failed_without_any_attempt_says_why(store: SqliteStore) -> None:
    error = {"code": "no_taker", "detail": "no bot took it in time"}

    task = await shown(
        store,
        {"status": Status.FAILED, "error": error},
        status=TaskStatus.FAILED,
        outcome=Outcome.EXPIRED,
        failure={"code": "no_taker", "detail": "subtask a failed", "work_id": "sub_1"},
    )

    assert task["failure"]["cause"]["message"] == "no bot took it in time"
    assert (task["failure"]["cause"]["bot"], task["failure"]["cause"]["attempt"]) == (None, None)


async def test_a_deadline_that_passed_over_a_failing_subtask_says_what_failed(store: SqliteStore) -> None:
    tried = {"ending": AttemptOutcome.FAILED, "error": {"message": "the page is not there"}}

    task = await shown(
        store,
        {"status": Status.CANCELLED, "attempt": 1},
        tried,
        status=TaskStatus.FAILED,
        outcome=Outcome.EXPIRED,
        failure={"code": "deadline", "detail": "the deadline passed before the work was done"},
    )

    assert task["failure"]["cause"]["message"] == "the page is not there"
    assert task["failure"]["cause"]["key"] == "a"
