"""Several tenants on one orchestrator: they are isolated from each other, and get their shares of the engine. Planted
bugs that break this must be found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from swarmkeeper.core import lookups
from swarmkeeper.core.commands import Command
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BotRecord, LateResultRecord, MessageRecord, TaskRecord
from swarmkeeper.core.ports import Changes, Transaction
from swarmkeeper.engine.fairness import StrideScheduler
from swarmkeeper.engine.upkeep import JobTurns
from swarmkeeper.http.app import ROUTES
from swarmkeeper.sim.oracle.records import Records
from swarmkeeper.sim.oracle.shares import CONTENDED, Race
from swarmkeeper.sim.oracle.tenant_isolation import TenantIsolation
from swarmkeeper.sim.play.http import http_intruder
from swarmkeeper.sim.play.intruder import TRIED
from swarmkeeper.sim.play.scenarios import SCENARIOS, Bounds, Fleet, People
from swarmkeeper.sim.process.run import run_processes
from swarmkeeper.sim.run import Case, RunOutcome, run
from swarmkeeper.storage.sqlite import loading, reading, transaction
from tests.support.damage import altered

GOLDEN = SCENARIOS["golden"]
# Short, with many interactions that could cross tenants.
STORY = replace(GOLDEN, tenants=2, hours=0.1, tasks_max=2, tasks_per_hour=120, deadline=0.2)
# All tasks arrive at once and are written in slices, so all tenants wait for the engine.
RUSH = replace(
    STORY,
    hours=0.01,
    tasks_per_hour=100_000,
    planned_by_client=1,
    sizes={"16": 1},
    shapes={"flat": 1},
    deadline=0,
    evaluation={"none": 1},
    executors=Fleet(2, 8, 2),
    bounds=Bounds(slice_rows=3),
    people=People(cancel=0.5, pause=0.3),
)
SEEDS = 20
MET = (
    "the orchestrator died before a commit",
    "a report was refused: lease_lost",
    "work.lease_expired",
    CONTENDED + "commands",
    *(f"{TRIED}: {one}" for one in ("look", "cancel", "claim", "report", "beat lease", "drain", "decide", "tell")),
)


# ---- runs with several tenants -------------------------------------------------------------------------------------


def test_twenty_seeds_with_two_tenants_hold_and_cover_the_listed_situations() -> None:
    found: Counter[str] = Counter()
    for seed in range(1, 1 + SEEDS):
        outcome = run(Case(seed, STORY))

        assert outcome.violation is None, (seed, outcome.violation, outcome.faults)
        assert {"t1", "tenant-2-t1"} <= outcome.statuses.keys()
        found += outcome.reached

    assert [what for what in MET if not found[what]] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_tenants_are_isolated_over_http(seed: int) -> None:
    outcome = run(Case(seed, STORY, level="http"))

    assert outcome.violation is None, (outcome.violation, outcome.faults)
    assert len(outcome.statuses) == 4
    assert any(what.startswith(TRIED) for what in outcome.reached)


def test_tenants_take_turns_for_commands_and_for_slices_of_long_work() -> None:
    found: Counter[str] = Counter()
    for seed in range(1, 3):
        outcome = run(Case(seed, RUSH, faults=()))

        assert outcome.violation is None, (seed, outcome.violation)
        found += outcome.reached

    assert {CONTENDED + "commands", CONTENDED + "slices"} <= found.keys()


def test_three_tenants_are_played_too() -> None:
    outcome = run(Case(1, replace(STORY, tenants=3, tasks_max=1)))

    assert outcome.violation is None
    assert set(outcome.statuses) == {"t1", "tenant-2-t1", "tenant-3-t1"}


def test_one_seed_with_two_tenants_gives_one_trace() -> None:
    assert run(Case(3, STORY)).trace_hash == run(Case(3, STORY, file=True)).trace_hash


def test_real_processes_are_refused_more_than_one_tenant() -> None:
    with pytest.raises(ValueError, match="one tenant"):
        run_processes(Case(1, STORY, level="process"))


def test_intruders_try_every_call_that_takes_an_id_over_http() -> None:
    tried = {(call.method, _shape(call.path)) for call in http_intruder.TRIES.values()}
    missing = {
        f"{route.method} {route.path_format}"
        for route in ROUTES
        if "{" in route.path_format and (route.method, _shape(route.path_format)) not in tried
    }

    # No participant of a run is an administrator; and paths of the published log are those of the caller's tenant.
    of_log = {"GET /audit/tile/{path}", "GET /audit/{index}/proof", "GET /audit/{index}/body"}
    of_administrators = {"DELETE /bots/{bot_id}", "POST /keys/{key_id}:rotate", "POST /keys/{key_id}:revoke"}
    of_administrators |= {"POST /tasks/{task_id}:erase"}
    of_administrators |= {"GET /persons/{person_id}"}
    of_administrators |= {f"POST /persons/{{person_id}}:{verb}" for verb in ("rename", "disable", "enable")}
    of_administrators |= {"GET /kills/{kill_id}", "DELETE /kills/{kill_id}"}
    # No secrets broker runs in a simulation: tests/secrets try the leases and secrets of others.
    of_secrets = {"PUT /secrets/{name}", "DELETE /secrets/{name}", "POST /leases/{lease_id}/secrets:resolve"}
    # Nobody signs in with a browser there: tests/http/test_sessions.py tries the sessions of others.
    of_browsers = {"DELETE /sessions/{session_id}"}
    # tests/http/test_bulk.py tries the operations of others.
    assert missing == of_administrators | of_log | of_secrets | of_browsers | {"GET /operations/{operation_id}"}


def _shape(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    return "/".join("*" + part.partition(":")[2] if part[:1] in ("{", "$") else part for part in parts)


# ---- commits that mix tenants, by hand -----------------------------------------------------------------------------

# Changes the reported content of a commit; returns True if it found a suitable record.
Damage = Callable[[Records, Changes], bool]
DAMAGE: dict[str, Damage] = {}


def breaks(damage: Damage) -> Damage:
    DAMAGE[damage.__name__.replace("_", " ")] = damage
    return damage


def of_another(records: Mapping[str, Any], tenant: str) -> Any:
    """Return a record of another tenant, or None."""
    return next((record for record in records.values() if record is not None and record.tenant != tenant), None)


def mixed(
    field: str, place: str, known: str, value: Callable[[Any, Any], Any] | None = None, *, needs: str = ""
) -> Damage:
    """Put another tenant's id into the first record of a kind: the id of a record in `known`, or what `value` makes of
    the changed record and that one. `needs` is a field that the record must have; default: the changed one."""

    def damage(model: Records, changes: Changes) -> bool:
        others = getattr(model, known)

        def new(record: Any) -> Any:
            other = of_another(others, record.tenant)
            return other.id if value is None else value(record, other)

        def suits(record: Any) -> bool:
            return of_another(others, record.tenant) is not None and getattr(record, needs or place) is not None

        return altered([changes], field, suits, **{place: new})

    return damage


def named_bot(event: Any, bot: BotRecord) -> Any:
    return replace(event.body, value={**event.body.value, "bot": bot.id})


DAMAGE |= {
    "a lease of another tenant's bot": mixed("leases", "bot", "bots"),
    "an approval of another tenant's task": mixed("approvals", "task", "tasks"),
    "a bot with another tenant's key": mixed("bots", "key_id", "bots"),
    "an item of another tenant's task": mixed("works", "tenant", "works"),
    "an attempt of another tenant's bot": mixed("attempts", "bot", "bots"),
    "an event sent to another tenant": mixed(
        "events", "tenant", "tasks", lambda event, task: task.tenant, needs="task"
    ),
    "an event that names another tenant's bot": mixed("events", "body", "bots", named_bot),
    "an audit record of another tenant's act": mixed("leaves", "actor", "bots"),
}


@breaks
def an_approval_that_another_tenant_decides(model: Records, changes: Changes) -> bool:
    for key, approval in changes.approvals.items():
        bot: BotRecord | None = of_another(model.bots, approval.tenant)
        if bot is not None:
            changes.approvals = {**changes.approvals, key: replace(approval, decided_by=bot.id)}
            return True
    return False


def task_and_foreign_bot(model: Records, changes: Changes) -> tuple[TaskRecord, BotRecord] | None:
    task: TaskRecord | None = next(iter(changes.tasks.values()), None)
    bot: BotRecord | None = None if task is None else of_another(model.bots, task.tenant)
    return None if task is None or bot is None else (task, bot)


@breaks
def a_message_to_another_tenants_bot(model: Records, changes: Changes) -> bool:
    if (found := task_and_foreign_bot(model, changes)) is None:
        return False
    task, bot = found
    changes.messages = [MessageRecord("msg_x", task.tenant, task.id, "bot_x", bot.id, "pay_x", 1)]
    return True


@breaks
def a_late_result_of_another_tenants_bot(model: Records, changes: Changes) -> bool:
    if (found := task_and_foreign_bot(model, changes)) is None:
        return False
    task, bot = found
    changes.late_results = [LateResultRecord("lse_x", "", "sub_x", task.id, task.tenant, bot.id, 1, "pay_x")]
    return True


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_commit_that_mixes_tenants_is_found(damage: Damage, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[bool] = []
    right = TenantIsolation.committed

    def committed(self: TenantIsolation, saved: Sequence[Changes]) -> None:
        altered_copy = [copy(changes) for changes in saved]
        if not done and any(damage(self._records, changes) for changes in altered_copy):
            done.append(True)
        right(self, altered_copy)

    monkeypatch.setattr(TenantIsolation, "committed", committed)

    outcome = run(Case(10, STORY, faults=()))

    assert done, "the story has a commit to be damaged"
    assert outcome.violation is not None
    assert outcome.violation.invariant == "2.tenant", outcome.violation


# ---- bugs that break isolation -------------------------------------------------------------------------------------


def found(scenario: Any = STORY, seeds: int = 3, **more: Any) -> str | None:
    """Return the invariant that breaks first, within so many seeds."""
    for seed in range(1, 1 + seeds):
        outcome: RunOutcome = run(Case(seed, scenario, faults=(), **more))
        if outcome.violation is not None:
            return outcome.violation.invariant
    return None


def without(patch: pytest.MonkeyPatch, where: Any, table: str, name: str, words: str, instead: str = "") -> None:
    """Remove a condition from a statement."""
    statements = getattr(where, table)
    wrong = statements[name].replace(words, instead)
    assert wrong != statements[name]
    patch.setattr(where, table, {**statements, name: wrong})


def test_a_task_open_to_all_tenants_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = WorkingSet.task
    monkeypatch.setattr(WorkingSet, "task", lambda self, task_id, tenant=None: right(self, task_id))

    assert found() == "2.tenant"


def test_a_bot_open_to_all_tenants_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def bot(self: WorkingSet, bot_id: str, tenant: str, right: Any = WorkingSet.bot) -> Any:
        known = self.get(lookups.BOT, bot_id)
        return right(self, bot_id, tenant if known is None else known.tenant)

    monkeypatch.setattr(WorkingSet, "bot", bot)

    assert found() == "2.tenant"


def test_an_idempotency_key_that_all_tenants_share_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(self: Command[Any]) -> tuple[str, ...]:
        return () if self.idempotency is None else (self.idempotency[0], self.idempotency[0])

    # The name also begins with the API key's id, which alone separates tenants.
    monkeypatch.setattr(Command, "remembered_as", property(bare))
    without(monkeypatch, loading, "QUERIES", "load_idempotency", "tenant = :tenant AND", "(:tenant <> '') AND")

    assert found() == "2.tenant"


def test_a_queue_that_all_tenants_share_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ready_heads", "ready_heads_for"):
        without(monkeypatch, transaction, "QUERIES", name, "AND tenant = :tenant", "AND :tenant <> ''")

    assert found(RUSH) == "2.tenant"


def test_mixed_up_bots_of_the_same_name_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, loading, "QUERIES", "bot_by_name", "tenant = :tenant AND", "(:tenant <> '') AND")
    right = WorkingSet.bot

    def bot(self: WorkingSet, bot_id: str, tenant: str) -> BotRecord:
        return right(self, bot_id, getattr(self.get(lookups.BOT, bot_id), "tenant", ""))

    monkeypatch.setattr(WorkingSet, "bot", bot)

    assert found() == "2.tenant"


@pytest.mark.parametrize(
    ("name", "words"),
    [("task_row", " AND tenant = :tenant"), ("events_of_tenant", "tenant = :tenant AND")],
    ids=["a task that anybody may read", "a feed of all tenants"],
)
def test_a_read_that_ignores_the_tenant_is_found_over_http(
    name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, reading, "READS", name, words, words.replace("tenant = :tenant", ":tenant <> ''"))

    assert found(level="http", seeds=2) == "2.tenant"


# ---- shares --------------------------------------------------------------------------------------------------------


def test_an_engine_that_serves_tenants_by_their_ids_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StrideScheduler, "due", lambda self, tenant: (0, tenant))

    assert found(RUSH) == "9.share"


def test_long_work_of_one_tenant_that_blocks_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def next_job(self: JobTurns, transaction: Transaction) -> Any:
        tenants = await transaction.job_tenants()
        return (await transaction.next_jobs(1, "", tenants[0]))[0] if tenants else None

    monkeypatch.setattr(JobTurns, "next", next_job)

    assert found(RUSH) == "9.share"


def race(weights: Mapping[str, int], order: str) -> list[str]:
    """Serve the tenants in `order` while `a` and `b` wait. Return the violations."""
    wrong: list[str] = []
    shares = Race("commands", weights, wrong.append)
    for tenant in order:
        shares.served(tenant, 2, {"a", "b"})
    return wrong


def test_shares_depend_on_weight() -> None:
    assert race({}, "abababab") == race({}, "abaabbaabb") == []
    assert race({}, "abaaa")
    assert race({"a": 3}, "abaaabaaab") == []
    assert race({"a": 3}, "abababab")


def test_an_idle_tenant_earns_no_credit() -> None:
    wrong: list[str] = []
    shares = Race("commands", {}, wrong.append)
    for _ in range(9):
        shares.served("a", 1, {"a"})
    shares.served("b", 1, {"a", "b"})
    shares.wait({"a"})
    for _ in range(9):
        shares.served("a", 1, {"a"})
    shares.served("b", 1, {"a", "b"})

    assert wrong == []
