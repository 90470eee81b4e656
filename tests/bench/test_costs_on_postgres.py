"""Counts what batches cost with a store in PostgreSQL: statements, and the server's Python calls against SQLite."""

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import Register, Submit
from swarmkeeper.core.model import VerdictRecord
from swarmkeeper.core.states import Decision
from swarmkeeper.settings import Settings
from swarmkeeper.storage.postgres import PostgresStore
from tests.bench.test_costs import PLAN, TASKS, url_of, work
from tests.support.postgres import server

BATCH = 64
BEGIN_OR_END = re.compile(r"BEGIN|COMMIT|COMMIT AND CHAIN")


async def life(url: str) -> Counter[str]:
    """Let all tasks live in batches; return calls, statements and commits."""
    seen: Counter[str] = Counter()

    def count_calls(_: object, event: str, __: object) -> None:
        seen["call"] += event == "call"

    def count_statement(query: Any) -> None:
        seen["begin or end" if BEGIN_OR_END.fullmatch(query.query) else "statement"] += 1

    async with Orchestrator(Settings(store=url, log_level="error")) as swarm:
        engine = swarm.engine
        bots = {}
        for kind in ("Planner", "Executor", "Evaluator"):
            register = Register(by=OWN, type=kind, version="1", name=kind, capacity=1000)
            bots[kind], _ = not_replayed(await engine.do(register))
        if isinstance(swarm.store, PostgresStore):
            assert swarm.store._writing is not None
            swarm.store._writing.add_query_logger(count_statement)
        batches = engine.stats.batches
        sys.setprofile(count_calls)
        await engine.do_all([Submit(by=OWN, title="hello", spec=b'{"title":"hello"}') for _ in range(TASKS)])
        await work(engine, bots["Planner"], BATCH, plan=PLAN)
        await work(engine, bots["Executor"], BATCH, output=b'{"hash":"0"}')
        await work(engine, bots["Evaluator"], BATCH, verdict=VerdictRecord(Decision.ACCEPT))
        sys.setprofile(None)
        seen["batch"] = engine.stats.batches - batches
    return seen


@pytest.fixture(scope="module")
def on_postgres() -> Counter[str]:
    return asyncio.run(life(server().new_store()))


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    return asyncio.run(life(url_of(Path(tmp_path_factory.mktemp("sqlite")))))


def test_a_batch_takes_a_bounded_number_of_statements(on_postgres: Counter[str]) -> None:
    assert on_postgres["batch"] > 0
    assert on_postgres["batch"] < on_postgres["begin or end"] <= 2 * on_postgres["batch"]
    assert on_postgres["statement"] / on_postgres["batch"] <= 6


def test_the_server_works_little_more_than_with_sqlite(on_postgres: Counter[str], on_sqlite: Counter[str]) -> None:
    assert on_postgres["call"] <= 1.5 * on_sqlite["call"]
