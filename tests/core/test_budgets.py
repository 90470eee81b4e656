"""Budgets bind: the laws of their accounts, and what happens to work at a limit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.core import commands
from swarmkeeper.core.errors import Invalid, InvalidPlan, LeaseLost, SwarmkeeperError, TaskClosed
from swarmkeeper.core.model import BudgetAccount, Limits, Reservation
from swarmkeeper.core.rules import budgets
from swarmkeeper.core.rules.budgets import ATTEMPTS, COST, COUNTED, TOKENS, Shortfall
from swarmkeeper.core.states import AttemptOutcome, Outcome
from swarmkeeper.sim.harness import ADMIN, Harness, HarnessLease
from swarmkeeper.sim.kernel.loop import SECOND
from tests.examples import examples

WANTED = {COST: 100, TOKENS: 1_000, ATTEMPTS: 1}
LIMITS = Limits(reserve_cost=100, reserve_tokens=1_000)

amounts = st.integers(0, 5_000)
usages = st.fixed_dictionaries({}, optional={COST: amounts, TOKENS: amounts})
limits = st.fixed_dictionaries(
    {COST: st.integers(1, 3_000)}, optional={TOKENS: st.integers(1, 20_000), ATTEMPTS: st.integers(1, 12)}
)
ACTS = ["lease", "beat", "report", "fail", "release", "drop", "cancel", "wait"]
endings = st.sampled_from(list(AttemptOutcome))


@pytest.fixture
def swarm() -> Any:
    harness = Harness(seed=1, limits=LIMITS)
    yield harness
    harness.check()
    harness.close()


# ---- the laws ------------------------------------------------------------------------------------------------------


class Till:
    """Accounts of a task and a subtask, and the attempts in progress: what the engine does, and no more."""

    def __init__(self, task: dict[str, int], subtask: dict[str, int]) -> None:
        self.accounts = {budgets.TASK: BudgetAccount(task), budgets.SUBTASK: BudgetAccount(subtask)}
        self.running: list[tuple[Reservation, dict[str, int] | None]] = []
        self.settled = dict.fromkeys(COUNTED, 0)

    def lease(self) -> bool:
        found = budgets.allowance(self.accounts, WANTED)
        if isinstance(found, Shortfall):
            return False
        self._reserve(found.amounts)
        self.running.append((found, None))
        return True

    def beat(self, index: int, usage: dict[str, int]) -> None:
        reserved, metered = self.running[index]
        total = dict(budgets.larger(metered, usage))
        more = budgets.more_allowance(self.accounts, reserved, total, WANTED)
        self.running[index] = (reserved, total)
        if more is None:
            self.end(index, AttemptOutcome.CANCELLED, None)
        elif more:
            self._reserve(more)
            held = {name: most + more.get(name, 0) for name, most in reserved.amounts.items()}
            self.running[index] = (Reservation(reserved.levels, held), total)

    def end(self, index: int, ending: AttemptOutcome, usage: dict[str, int] | None) -> None:
        reserved, metered = self.running.pop(index)
        spent = budgets.used(reserved, ending, metered, usage, seen=True)
        self.settled = {name: self.settled[name] + spent.get(name, 0) for name in COUNTED}
        self.accounts = {
            level: budgets.settle(account, reserved.amounts, spent) for level, account in self.accounts.items()
        }

    def _reserve(self, what: Any) -> None:
        self.accounts = {level: budgets.reserve(account, what) for level, account in self.accounts.items()}

    def check(self) -> None:
        for account in self.accounts.values():
            assert budgets.is_sound(account)
            for name in COUNTED:
                held = sum(reserved.amounts.get(name, 0) for reserved, _ in self.running)
                assert account.reserved.get(name, 0) == held
                assert account.spent.get(name, 0) == self.settled[name]


@given(limits, limits, st.lists(st.tuples(st.integers(0, 5), usages, endings, st.booleans()), max_size=40))
@examples(200)
def test_what_is_spent_and_reserved_never_exceeds_a_limit_but_by_the_recorded_overshoot(
    task: dict[str, int], subtask: dict[str, int], steps: list[tuple[int, dict[str, int], AttemptOutcome, bool]]
) -> None:
    till = Till(task, subtask)
    for number, usage, ending, beats in steps:
        if number >= len(till.running):
            till.lease()
        elif beats:
            till.beat(number, usage)
        else:
            till.end(number, ending, usage or None)
        till.check()


@given(limits, st.lists(st.tuples(usages, endings), max_size=20))
def test_attempts_that_keep_their_allowance_cause_no_overshoot(
    limit: dict[str, int], ends: list[tuple[dict[str, int], AttemptOutcome]]
) -> None:
    till = Till(limit, limit)
    for usage, ending in ends:
        if till.lease():
            allowed = till.running[-1][0].amounts
            till.end(-1, ending, {name: min(used, allowed[name]) for name, used in usage.items() if name in allowed})
    assert not till.accounts[budgets.TASK].overshoot


@given(st.lists(usages.filter(bool), min_size=1, max_size=30))
def test_a_limit_is_told_at_each_threshold_at_most_once(spent: list[dict[str, int]]) -> None:
    account = BudgetAccount({COST: 4_000})
    told: list[int] = []
    for each in spent:
        account, news = budgets.passed(budgets.settle(account, {}, each))
        told += [percent for _, percent in news]
    assert told == sorted(set(told))
    assert all(account.spent.get(COST, 0) * 100 >= percent * 4_000 for percent in told)


@given(st.lists(amounts, max_size=20))
def test_a_lease_reserves_what_nine_of_ten_recent_attempts_needed_or_the_default(used: list[int]) -> None:
    book = budgets.BudgetBook()
    for amount in used:
        book.recent[7] = book.after(7, {COST: amount})
    wanted = book.wanted(7, LIMITS)
    assert wanted[COST] >= LIMITS.reserve_cost
    assert sum(amount <= wanted[COST] for amount in used) * 10 >= 9 * len(used)
    assert wanted[COST] in {LIMITS.reserve_cost, *used}


def test_only_the_last_twenty_attempts_count() -> None:
    book = budgets.BudgetBook()
    for amount in [9_000] * 20 + [200] * 20:
        book.recent[7] = book.after(7, {COST: amount})
    assert book.wanted(7, LIMITS)[COST] == 200


@pytest.mark.parametrize(
    ("ending", "metered", "reported", "seen", "spent"),
    [
        ("succeeded", None, {TOKENS: 5, COST: 7}, True, {ATTEMPTS: 1, TOKENS: 5, COST: 7}),
        ("succeeded", {TOKENS: 9, COST: 2}, {TOKENS: 5, COST: 7}, True, {ATTEMPTS: 1, TOKENS: 9, COST: 7}),
        ("succeeded", None, None, True, {ATTEMPTS: 1}),
        ("failed", None, {TOKENS: 5}, True, {ATTEMPTS: 1, TOKENS: 5, "unpriced_tokens": 5}),
        ("failed", None, {TOKENS: 5, "unpriced_tokens": 0}, True, {ATTEMPTS: 1, TOKENS: 5}),
        ("expired", None, None, True, {ATTEMPTS: 1, TOKENS: 1_000, COST: 100}),
        ("expired", {COST: 3}, None, True, {ATTEMPTS: 1, COST: 3}),
        ("expired", None, None, False, {}),
        ("unseen", None, None, False, {}),
        ("released", {COST: 3}, None, True, {COST: 3}),
        ("deferred", None, None, True, {}),
    ],
)
def test_an_attempt_settles_what_it_told_and_a_silent_one_all_that_it_was_allowed(
    ending: str, metered: Any, reported: Any, seen: bool, spent: dict[str, int]
) -> None:
    reserved = Reservation((budgets.TASK,), WANTED)
    assert budgets.used(reserved, AttemptOutcome(ending), metered, reported, seen=seen) == spent


# ---- the engine ----------------------------------------------------------------------------------------------------


def account(swarm: Harness, task: str) -> BudgetAccount:
    found = swarm.task(task).budget
    assert found is not None
    return found


def code(swarm: Harness, task: str) -> Any:
    return (swarm.task(task).failure or {}).get("code")


def told(swarm: Harness, task: str) -> list[int]:
    return [body["percent"] for event in swarm.events(task) if "percent" in (body := event["body"])]


def test_a_task_without_a_budget_has_no_account_and_its_leases_reserve_nothing(swarm: Harness) -> None:
    task = swarm.submit(["a"])
    lease = swarm.take(swarm.bot("worker"))

    swarm.report(lease, usage={COST: 1 << 40})

    assert swarm.task(task).budget is None
    assert swarm.rows("SELECT 1 FROM attempt WHERE settled IS NOT NULL") == []


def test_a_lease_reserves_its_allowance_and_the_report_settles_it_once(swarm: Harness) -> None:
    task = swarm.submit(["a"], budget={COST: 250})
    lease = swarm.take(swarm.bot("worker"))
    assert account(swarm, task).reserved == {COST: 100}

    swarm.report(lease, usage={COST: 40, TOKENS: 9})
    again = swarm.report(lease, usage={COST: 40, TOKENS: 9})

    assert again.replayed
    assert account(swarm, task).reserved == {}
    assert account(swarm, task).spent == {COST: 40, TOKENS: 9, ATTEMPTS: 1}


def test_leases_of_one_batch_do_not_share_the_same_rest(swarm: Harness) -> None:
    task = swarm.submit(["a", "b", "c"], budget={COST: 250})
    leases = swarm.leases(swarm.bot("worker", capacity=8), max_leases=8)

    assert len(leases) == 2
    assert account(swarm, task).reserved == {COST: 200}
    assert swarm.task(task).hold_reasons == ("budget",)

    swarm.report(leases[0], usage={COST: 10})
    swarm.report(leases[1], usage={COST: 10})

    assert swarm.task(task).hold_reasons == ()
    assert swarm.lease(leases[0].bot) is not None


def test_at_its_limit_a_task_stops_with_a_clear_reason(swarm: Harness) -> None:
    task = swarm.submit(["a", "b"], budget={COST: 100, "at_limit": "stop"})
    worker = swarm.bot("worker")
    swarm.report(swarm.take(worker), usage={COST: 100})

    assert swarm.lease(worker) is None

    failed = swarm.task(task)
    assert failed.failure is not None
    assert failed.failure["code"] == "budget"
    assert failed.failure["detail"] == "the task's budget is used up: 100 of 100 cost_micro_usd"
    assert failed.outcome is Outcome.FAILED
    assert told(swarm, task) == [100]


def test_at_its_limit_a_task_asks_and_goes_on_when_a_person_raises_it(swarm: Harness) -> None:
    task = swarm.submit(["a", "b"], evaluation="none", budget={COST: 100})
    worker = swarm.bot("worker")
    swarm.report(swarm.take(worker), usage={COST: 120})
    assert account(swarm, task).overshoot == {COST: 20}
    assert swarm.lease(worker) is None
    (approval,) = swarm.approvals(task)
    row = swarm.row("SELECT kind, question, subject FROM approval WHERE id = ?", approval)
    assert row["kind"] == "budget"
    assert row["question"] == "This task has used up its budget. Raise cost_micro_usd from 100 to 240?"
    assert json.loads(row["subject"])["raise_by"] == {COST: 140}

    swarm.decide(approval, "approve")

    assert account(swarm, task).limit == {COST: 240}
    swarm.report(swarm.take(worker), usage={COST: 5})
    assert swarm.task(task).outcome is Outcome.ACCEPTED


@pytest.fixture
def hasty_swarm() -> Any:
    """A swarm whose approvals stay open for an hour, not for a week, and whose work may wait ten minutes, not a day."""
    harness = Harness(seed=1, limits=replace(LIMITS, start=600 * SECOND, answer=3_600 * SECOND))
    yield harness
    harness.check()
    harness.close()


@pytest.mark.parametrize("waits", [False, True])
def test_a_task_whose_budget_is_not_raised_fails(hasty_swarm: Harness, waits: bool) -> None:
    swarm = hasty_swarm
    task = swarm.submit(["a", "b"], budget={COST: 100})
    worker = swarm.bot("worker")
    swarm.report(swarm.take(worker), usage={COST: 100})
    swarm.lease(worker)
    (approval,) = swarm.approvals(task)

    if waits:
        swarm.advance(3_540)
        assert code(swarm, task) is None
        swarm.advance(120)
    else:
        swarm.decide(approval, "reject")

    assert code(swarm, task) == "budget"


def test_an_attempt_gets_more_allowance_while_there_is_room_and_ends_when_there_is_none(swarm: Harness) -> None:
    task = swarm.submit(["a"], budget={COST: 300, "at_limit": "stop"})
    lease = swarm.take(swarm.bot("worker"))

    assert swarm.beat(lease, usage={COST: 150}) == "continue"
    assert account(swarm, task).reserved[COST] > 150
    assert swarm.beat(lease, usage={COST: 310}) == "cancel"

    assert account(swarm, task).spent == {COST: 310, ATTEMPTS: 1}
    assert account(swarm, task).overshoot == {COST: 10}
    assert code(swarm, task) == "budget"
    assert swarm.beat(lease, usage={COST: 310}) == "lost"


def test_a_heartbeat_cannot_take_back_what_it_told(swarm: Harness) -> None:
    task = swarm.submit(["a"], budget={COST: 300})
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease, usage={COST: 90})
    swarm.beat(lease, usage={COST: 1})

    swarm.report(lease, usage={COST: 1})

    assert account(swarm, task).spent[COST] == 90


def test_a_bot_that_dies_silently_costs_its_allowance_and_its_late_report_only_what_is_beyond(swarm: Harness) -> None:
    task = swarm.submit(["a"], budget={COST: 1_000})
    lease = swarm.take(swarm.bot("worker"))
    swarm.beat(lease)
    swarm.advance(60)
    assert account(swarm, task).spent[COST] == 100

    for output in ("x", "x", "y"):
        with pytest.raises(LeaseLost):
            swarm.report(lease, output=output, usage={COST: 130})

    assert account(swarm, task).spent == {COST: 130, ATTEMPTS: 1}


def test_a_lease_that_never_arrived_costs_nothing(swarm: Harness) -> None:
    task = swarm.submit(["a"], budget={COST: 100})
    swarm.take(swarm.bot("worker"))
    swarm.advance(60)

    assert account(swarm, task).reserved == {}
    assert account(swarm, task).spent == {}


def test_a_task_cancelled_while_an_attempt_runs_settles_it_when_the_bot_reports_or_falls_silent(
    swarm: Harness,
) -> None:
    workers = [swarm.bot(name) for name in ("speaks", "silent")]
    tasks, leases = [], []
    for worker in workers:
        tasks.append(swarm.submit(["a"], budget={COST: 500}))
        leases.append(swarm.take(worker))
        swarm.beat(leases[-1], usage={COST: 20})
        swarm.cancel(tasks[-1])
    with pytest.raises(TaskClosed):
        swarm.report(leases[0], usage={COST: 70})
    swarm.advance(120)

    assert [account(swarm, task).spent[COST] for task in tasks] == [70, 20]
    assert [account(swarm, task).reserved for task in tasks] == [{}, {}]


def test_rework_is_paid_from_the_same_budget(swarm: Harness) -> None:
    task = swarm.submit(["a"], budget={COST: 1_000})
    worker, judge = swarm.bot("worker"), swarm.bot("judge", "Evaluator")
    for verdict in ("rework", "accept"):
        swarm.report(swarm.take(worker), usage={COST: 30})
        swarm.report(swarm.take(judge), verdict=verdict, usage={COST: 5})

    assert account(swarm, task).spent == {COST: 70, ATTEMPTS: 4}


def test_a_subtask_at_its_own_limit_waits_for_a_person_and_the_others_go_on(swarm: Harness) -> None:
    task = swarm.submit([{"key": "a", "budget": {COST: 50}}, "b"])
    worker = swarm.bot("worker")
    first = swarm.take(worker)
    swarm.report(first, error="retryable", usage={COST: 50})
    swarm.advance(10)
    second = swarm.take(worker)
    assert second.key == "b"
    assert swarm.lease(worker) is None
    assert swarm.statuses(task) == {"a": "WAITING", "b": "LEASED"}
    swarm.report(second)
    (approval,) = swarm.approvals(task)

    swarm.decide(approval, "approve")

    assert swarm.take(worker).key == "a"


def test_a_subtask_that_stops_at_its_own_limit_fails_like_any_other(swarm: Harness) -> None:
    stops = {"key": "a", "budget": {ATTEMPTS: 1, "at_limit": "stop"}, "on_failure": "continue"}
    task = swarm.submit([stops], evaluation="none")
    worker = swarm.bot("worker")
    swarm.report(swarm.take(worker), error="retryable")
    swarm.advance(60)

    assert swarm.lease(worker) is None

    assert swarm.work(task, "a").error == {
        "code": "budget",
        "detail": "its budget is used up: 1 of 1 attempts",
        "work_id": swarm.work(task, "a").id,
    }
    assert swarm.task(task).outcome is Outcome.ACCEPTED


def test_a_plan_or_submission_with_more_subtasks_than_the_budget_allows_is_refused(swarm: Harness) -> None:
    with pytest.raises(InvalidPlan):
        swarm.submit(["a", "b"], budget={"subtasks": 1})
    swarm.submit(budget={"subtasks": 1})
    lease = swarm.take(swarm.bot("planner", "Planner"))

    with pytest.raises(InvalidPlan) as refused:
        swarm.report(lease, plan=["a", "b"])
    assert refused.value.details[0][:2] == ("/plan/subtasks", "budget")
    swarm.report(lease, plan=["a"])


def test_a_task_is_limited_in_attempts(swarm: Harness) -> None:
    task = swarm.submit(["a", "b", "c"], budget={ATTEMPTS: 2, "at_limit": "stop"})
    worker = swarm.bot("worker")
    for _ in range(2):
        swarm.report(swarm.take(worker))

    assert swarm.lease(worker) is None
    assert code(swarm, task) == "budget"


def test_a_stopped_task_is_retried_with_a_larger_budget(swarm: Harness) -> None:
    task = swarm.submit(["a", "b"], evaluation="none", budget={COST: 100, "at_limit": "stop"})
    worker = swarm.bot("worker")
    swarm.report(swarm.take(worker), usage={COST: 100})
    swarm.lease(worker)

    with pytest.raises(Invalid):
        swarm.retry(task, budget={COST: 90})
    swarm.retry(task, budget={COST: 400})
    swarm.report(swarm.take(worker), usage={COST: 1})

    assert swarm.task(task).outcome is Outcome.ACCEPTED


def test_a_tenants_budget_holds_all_its_tasks_until_it_is_raised(swarm: Harness) -> None:
    swarm.submit(["a"])
    swarm.do(commands.SetTenant(by=ADMIN, budget={COST: 100}))
    tasks = [swarm.submit(["a"]) for _ in range(2)]
    workers = [swarm.bot(f"worker-{number}") for number in range(3)]
    swarm.report(swarm.take(workers[0]), usage={COST: 100})
    parked = swarm.park(workers[1])
    assert parked.waits
    assert all(swarm.task(task).hold_reasons == () for task in tasks)

    swarm.do(commands.SetTenant(by=ADMIN, budget={COST: 300}))
    swarm.advance(1)

    assert not parked.waits


def test_a_tenants_reserved_rest_is_handed_out_when_it_comes_back(swarm: Harness) -> None:
    swarm.submit(["a", "b", "c"])
    swarm.do(commands.SetTenant(by=ADMIN, budget={COST: 150}))
    first, second = swarm.bot("first"), swarm.bot("second")
    lease = swarm.take(first)
    parked = swarm.park(second)
    assert parked.waits

    swarm.report(lease, usage={COST: 10})
    swarm.advance(1)

    assert not parked.waits


def test_events_tell_what_part_of_a_budget_is_spent(swarm: Harness) -> None:
    task = swarm.submit([*"abcdefghij"], budget={COST: 1_000, "at_limit": "stop"})
    worker = swarm.bot("worker")
    for _ in range(10):
        swarm.report(swarm.take(worker), usage={COST: 97})

    assert told(swarm, task) == [50, 80, 95]


def test_a_deadline_set_while_a_task_waits_for_its_reserved_budget_still_counts(swarm: Harness) -> None:
    task = swarm.submit(["a", "b", "c"], budget={COST: 150})
    swarm.leases(swarm.bot("worker", capacity=8), max_leases=8)
    assert swarm.task(task).hold_reasons == ("budget",)

    swarm.update(task, deadline_seconds=600)
    swarm.advance(601)

    assert swarm.task(task).outcome is Outcome.EXPIRED


def test_budgets_survive_a_restart(swarm: Harness) -> None:
    swarm.submit()
    swarm.do(commands.SetTenant(by=ADMIN, budget={COST: 1_000}))
    task = swarm.submit([{"key": "a", "budget": {TOKENS: 5_000}}], budget={COST: 500})
    lease = swarm.take(swarm.bot("worker"))

    swarm.restart()
    swarm.report(lease, usage={COST: 60, TOKENS: 600})

    assert account(swarm, task).spent[COST] == 60
    assert json.loads(swarm.row("SELECT budget FROM tenant")["budget"])["spent"][COST] == 60


@given(
    st.lists(
        st.tuples(st.sampled_from(ACTS), amounts),
        max_size=30,
    )
)
@examples(30)
def test_whatever_bots_do_the_accounts_add_up(steps: list[tuple[str, int]]) -> None:
    swarm = Harness(seed=2, limits=LIMITS)
    swarm.submit()  # the first task of a tenant makes its row
    swarm.do(commands.SetTenant(by=ADMIN, budget={COST: 6_000}))
    nodes = [{"key": key, "budget": {COST: 700}} if key in "ab" else key for key in "abcd"]
    task = swarm.submit(nodes, budget={COST: 1_500, TOKENS: 100_000})
    worker = swarm.bot("worker", capacity=8)
    held: list[HarnessLease] = []
    for step, amount in steps:
        try:
            if step == "lease":
                held += swarm.leases(worker)
            elif step == "wait":
                swarm.advance(amount / 20)
            elif step == "cancel" and amount < 500:
                swarm.cancel(task)
            elif not held or step == "cancel":
                pass
            elif step == "beat":
                swarm.beat(held[amount % len(held)], usage={COST: amount, TOKENS: amount})
            elif step == "report":
                swarm.report(held.pop(), usage={COST: amount})
            elif step == "fail":
                swarm.report(held.pop(), error="retryable", usage={TOKENS: amount})
            elif step == "release":
                swarm.release(held.pop())
            else:
                held.pop()
        except SwarmkeeperError:
            pass
        swarm.check()
    swarm.close()
