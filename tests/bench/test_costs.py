"""Counts the engine's cost of a complete subtask: statements, rows written, commits, audit leaves, pages, calls.

Seven leases in every five subtasks, straight into the engine; counts are the same on every machine. Each bound leaves a
tenth of room, so that costs cannot creep back.
"""

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import ClaimWork, Register, ReportResult, Submit
from swarmkeeper.core.model import SubtaskSpec, VerdictRecord
from swarmkeeper.core.states import Condition, Decision
from swarmkeeper.settings import Settings

NEEDS = {"a": "", "b": "", "c": "", "d": "abc", "e": "d"}
PLAN = tuple(
    SubtaskSpec(key, "", depends_on=tuple((need, Condition.SUCCESS) for need in needs)) for key, needs in NEEDS.items()
)
TASKS = 50


@dataclass(frozen=True, slots=True)
class Costs:
    """Counts per subtask."""

    reads: float  # statements that read
    writes: float  # rows written or deleted, each by a statement of its own
    commits: float
    leaves: float
    pages: float  # written to the write-ahead log
    calls: float  # of Python functions


async def costs(batch: int, url: str) -> Costs:
    async with Orchestrator(Settings(store=url, log_level="error")) as swarm:
        engine, store = swarm.engine, swarm.engine._store.connection  # type: ignore[attr-defined]  # the SQLite one
        bots = {}
        for kind in ("Planner", "Executor", "Evaluator"):
            register = Register(by=OWN, type=kind, version="1", name=kind, capacity=1000)
            bots[kind], _ = not_replayed(await engine.do(register))
        seen: Counter[str] = Counter()

        def look(_: apsw.Cursor, sql: str, __: object) -> bool:
            word = sql.split(maxsplit=1)[0]
            seen["read" if word in ("SELECT", "WITH") else word] += 1
            return True

        def count_calls(_: object, event: str, __: object) -> None:
            seen["call"] += event == "call"

        store.exec_trace = look
        store.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)
        sys.setprofile(count_calls)
        await engine.do_all([Submit(by=OWN, title="hello", spec=b'{"title":"hello"}') for _ in range(TASKS)])
        await work(engine, bots["Planner"], batch, plan=PLAN)
        await work(engine, bots["Executor"], batch, output=b'{"hash":"0"}')
        await work(engine, bots["Evaluator"], batch, verdict=VerdictRecord(Decision.ACCEPT))
        sys.setprofile(None)
        pages, _ = store.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)
        store.exec_trace = None
        done = TASKS * len(PLAN)
        leaves = store.execute("SELECT count(*) FROM audit_leaf").get
        written = sum(seen[word] for word in ("INSERT", "UPDATE", "DELETE"))
        return Costs(
            reads=seen["read"] / done,
            writes=written / done,
            commits=seen["COMMIT"] / done,
            leaves=leaves / done,
            pages=pages / done,
            calls=seen["call"] / done,
        )


async def work(engine, bot: str, batch: int, **result) -> int:  # type: ignore[no-untyped-def]  # a report's fields
    """Do whatever is ready for this bot; return how many leases that were."""
    done = 0
    leases = (await engine.claim(ClaimWork(by=OWN, bot=bot, most=batch), parks=False).answer).leases
    while leases:
        reports = [
            ReportResult(
                by=OWN,
                bot=bot,
                task=None,
                lease_id=lease.lease_id,
                content=b"{}",
                content_hash=lease.lease_id,
                **result,
            )
            for lease in leases
        ]
        claim = ClaimWork(by=OWN, bot=bot, most=batch, claim_id=leases[0].lease_id)
        answers, claimed = await engine.report(reports, claim)
        assert not any(isinstance(answer, BaseException) for answer in answers)
        done += len(leases)
        leases = claimed.leases
    return done


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'swarm.db'}"


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Costs:
    return asyncio.run(costs(1, url_of(tmp_path_factory.mktemp("single"))))


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Costs:
    """Return the costs in batches of 16, as bots that have several results in hand send them."""
    return asyncio.run(costs(16, url_of(tmp_path_factory.mktemp("some"))))


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Costs:
    return asyncio.run(costs(50, url_of(tmp_path_factory.mktemp("batched"))))


def test_one_report_with_a_claim_reads_a_bounded_number_of_rows(single: Costs) -> None:
    # A lease with its item and task, the bot, who waits for it, the claim, how many leases the bot has, what is ready …
    assert single.reads <= 5.7
    assert single.commits <= 1.45


def test_a_batch_reads_with_as_many_statements_as_one_report(batched: Costs) -> None:
    assert batched.reads <= 0.19
    # Of 250 subtasks, a batch of 50 each: what was begun is finished first, so that the last batches are not full.
    assert batched.commits <= 13 / 250


def test_a_batch_writes_no_more_rows_than_its_items_ask_for(single: Costs, batched: Costs) -> None:
    # Leases and waiting items have times, but no rows for their timers.
    assert single.writes <= 31.3
    assert batched.writes <= 24.4
    assert batched.writes <= single.writes


def test_each_command_leaves_one_record_of_audit(single: Costs, batched: Costs) -> None:
    # By subtask: seven fifths of a report, as much of a claim, a fifth of a submission; and three registrations.
    assert single.leaves <= (7 + 7 + 1) / 5 + 0.05
    # Claims of a batch are one command.
    assert batched.leaves <= (7 + 1) / 5 + 0.1


def test_results_that_come_together_share_pages_and_rows(single: Costs, some: Costs) -> None:
    assert some.writes <= 24.8
    assert some.pages <= 9.6
    assert single.pages <= 57.5


def test_a_subtask_takes_a_bounded_number_of_python_calls(single: Costs, some: Costs) -> None:
    assert single.calls <= 1_660  # about a hundred of them for the hashes of written rows in the audit log
    assert some.calls <= 830
