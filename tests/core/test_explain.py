"""Why items wait: each has exactly one reason, equal items have the same, and the next claim confirms it."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis.stateful import precondition, rule

from swarmkeeper.core.model import BotRecord, Limits, Queue
from swarmkeeper.core.rules.explain import (
    BotFacts,
    BotIndex,
    Item,
    KeyWait,
    OpenApproval,
    ShowApproval,
    TaskFacts,
    WaitingReason,
    Why,
    why,
)
from swarmkeeper.core.rules.stuck import Stuck
from swarmkeeper.core.states import TASK_CLOSED, BotType, Kind, Status, TaskStatus
from swarmkeeper.govern.cursors import Cursors
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.reads import wording
from swarmkeeper.reads.explain import OPEN, Explainer, Now
from swarmkeeper.reads.queries import Queries
from swarmkeeper.sim.harness import CLIENT, Harness
from tests.core.test_story import Story
from tests.examples import examples

TASK = TaskFacts(task="tsk_1", tenant="default", status=TaskStatus.IN_PROGRESS, since=0)
QUEUE = Queue(1, Kind.EXECUTE, ("count", "read"))
READY = Item(id="sub_1", kind=Kind.EXECUTE, key="a", status=Status.READY, queue=QUEUE, since=0, attempt=0, start_due=9)


def bot(name: str, *skills: str, here: bool = True, held: int = 0, asks: bool = True, **more: Any) -> BotFacts:
    plain = {"owner": name, "skills": tuple(sorted(skills)), **more}
    record = BotRecord(f"bot_{name}", "default", more.pop("type", BotType.EXECUTOR), name, "", "1",
                       key_id="", created_at=0,
                       **{key: value for key, value in plain.items() if key not in ("type", "stuck")})  # fmt: skip
    stuck = (Stuck("sub_9", 0, more["stuck"]),) if "stuck" in more else ()
    return BotFacts(record, here, held, asks, stuck=stuck)


def why_of(item: Item, *bots: BotFacts, task: TaskFacts = TASK) -> Why:
    return why(item, task, BotIndex(bots))


def command(found: Why) -> str | None:
    return None if found.fix is None else wording.command(found.fix)


ABLE = ("count", "read")


@pytest.mark.parametrize(
    ("bots", "reason", "says", "fix"),
    [
        ([], "no_bot_registered", "no executor is registered with skill count and read", "--skill count --skill read"),
        ([bot("p", *ABLE, type=BotType.PLANNER)], "no_bot_registered", "no executor", "bot run FILE"),
        ([bot("n", "read")], "no_capable_bot", "no executor has skill count", "--skill count --skill read"),
        (
            [bot("n", "read"), bot("m", "count")],
            "no_capable_bot",
            "no single executor has skills count and read",
            "FILE",
        ),
        ([bot("n", *ABLE, here=False)], "no_capable_bot", "away: n", "bot run FILE"),
        ([bot("n", *ABLE, status="draining")], "draining", "n could take it", "swarmkeeper bot enable bot_n"),
        ([bot("n", *ABLE, status="disabled", here=False)], "no_capable_bot", "away: n", "bot run FILE"),
        ([bot("n", *ABLE, held=1)], "bots_at_capacity", "is at capacity", "--name n-2"),
        ([bot("n", *ABLE, stuck="b.py:3 in do")], "bots_at_capacity", "n is stuck in b.py:3 in do since", "n-2"),
        ([bot("n", *ABLE, held=1), bot("n-2", *ABLE, held=1)], "bots_at_capacity", "n, n-2", "--name n-3"),
        ([bot("n", *ABLE, held=1), bot("m", *ABLE, held=1, capacity=2)], "queued", "m can take it", None),
        ([bot("n", *ABLE, dedicated=True)], "queued", "n can take it", None),
        ([bot("n", *ABLE, asks=False)], "bot_not_asking", "not asked for work since 00:00:00Z: restart", "--name n-2"),
        ([bot("n", *ABLE, asks=False), bot("m", *ABLE)], "queued", "m can take it", None),
        (
            [bot("n", *ABLE, asks=False, held=1)],
            "bots_at_capacity",
            "n could take it, but is at capacity",
            "--name n-2",
        ),
        ([bot("n", *ABLE, asks=False), bot("m", *ABLE, held=1)], "bots_at_capacity", "n is alive", "FILE"),
    ],
)
def test_a_ready_subtask_names_the_missing_bot(bots: list[BotFacts], reason: str, says: str, fix: str | None) -> None:
    found = why_of(READY, *bots)

    assert found.reason == reason
    assert says in found.detail
    assert command(found) is None if fix is None else fix in (command(found) or "")
    assert found.until == 9


def test_assigned_work_waits_for_its_bot() -> None:
    assigned = replace(READY, queue=replace(QUEUE, assign_to="counter"))

    missing = why_of(assigned, bot("other", *ABLE))
    assert (missing.reason, command(missing)) == (
        "assigned_bot_away",
        "swarmkeeper bot run FILE --name counter --skill count --skill read",
    )
    assert why_of(assigned, bot("counter", *ABLE, here=False)).detail == "it is assigned to counter, which is away"
    assert why_of(assigned, bot("counter", "read"), bot("other", *ABLE)).reason == "no_capable_bot"
    assert why_of(assigned, bot("counter", *ABLE)).reason == "queued"


def test_work_that_needs_no_skill_is_not_for_dedicated_bots() -> None:
    anybodys = replace(READY, queue=replace(QUEUE, skills=()))

    assert "dedicated to its own skills" in why_of(anybodys, bot("n", "count", dedicated=True)).detail


def test_a_review_needs_an_owner_without_results_or_other_reviews_of_the_task() -> None:
    review = replace(READY, kind=Kind.REVIEW, key="review/1/2", queue=Queue(2, Kind.REVIEW, ()), excluded=("maker",))

    def judge(name: str, owner: str) -> BotFacts:
        return bot(name, type=BotType.EVALUATOR, owner=owner)

    assert why_of(review, judge("j", "maker")).reason == "no_independent_evaluator"
    assert why_of(review, judge("j", "other")).reason == "queued"
    # another review of the round comes first, and takes the only other owner
    assert (
        why_of(replace(review, ahead=1), judge("j", "other"), judge("k", "other")).reason == "no_independent_evaluator"
    )
    assert why_of(replace(review, ahead=1), judge("j", "other"), judge("k", "third")).reason == "queued"
    fix = why_of(
        replace(review, excluded=("someone-else",)), judge("j", "someone-else"), task=replace(TASK, tenant="b")
    )
    assert command(fix) == "swarmkeeper key create --role bot:evaluator --owner someone-else-else --tenant b"


def test_a_hold_comes_before_what_is_missing_and_pausing_before_approvals() -> None:
    asked = OpenApproval("apr_1", "plan", None, "key_1", "Carry out this plan?", 77)
    held = replace(TASK, hold_reasons=("apr_1",), approvals=(asked,))

    assert why_of(READY, task=held) == Why(
        WaitingReason.APPROVAL,
        "a person has to decide (approval of kind plan): Carry out this plan?",
        ShowApproval("apr_1"),
        until=77,
    )
    paused = why_of(READY, task=replace(held, hold_reasons=("apr_1", "paused")))
    assert (paused.reason, command(paused)) == ("paused", "swarmkeeper task resume tsk_1")


def test_waiting_work_names_its_time_person_or_dependency() -> None:
    put_off = why_of(replace(READY, status=Status.WAITING, wake=1_000_000, ending="timed_out"))
    assert (put_off.reason, put_off.until, put_off.fix) == ("backoff", 1_000_000, None)
    assert put_off.detail == "it is deferred until 00:00:01Z after an attempt that ended as timed_out"

    asked = OpenApproval("apr_2", "question", "sub_1", "reader", "Which " + "x" * 300 + "?", 5)
    question = why_of(replace(READY, status=Status.WAITING), task=replace(TASK, approvals=(asked,)))
    assert (question.reason, command(question)) == ("question", "swarmkeeper approval show apr_2")
    assert question.detail.startswith("reader asked a person: Which xxx")
    assert len(question.detail) < 250

    blocked = why_of(replace(READY, status=Status.BLOCKED, pending=5, upstream=("a", "b", "c")))
    assert (blocked.reason, blocked.detail) == ("dependency", "it waits for a, b, c and 2 more")
    assert why_of(replace(READY, status=Status.IN_REVIEW)).detail.endswith("review review-of/a/1")
    leased = why_of(replace(READY, status=Status.LEASED, attempt=2, bot="reader", ends_at=8))
    assert (leased.reason, leased.bot, leased.until) == ("leased", "reader", 8)


def test_a_budget_comes_before_a_key_and_a_key_before_a_rate() -> None:
    task = replace(TASK, tenant_budget="its budget is used up", rates={"tenant": 7})
    waits = replace(READY, start_due=None, keyed=KeyWait("repo:main", 1, 2))

    assert why_of(waits, task=task).reason == "budget"
    assert why_of(waits, task=replace(task, tenant_budget="")).reason == "concurrency"
    assert why_of(READY, task=replace(task, tenant_budget="")).reason == "rate_limited"


def test_work_delayed_by_the_server_says_so() -> None:
    able = bot("n", *ABLE)

    assert why_of(READY, able, task=replace(TASK, overloaded=True)).reason == "overloaded"
    assert why_of(READY, task=replace(TASK, overloaded=True)).reason == "no_bot_registered"
    assert "still being written" in why_of(READY, able, task=replace(TASK, loading=True)).detail
    assert "added to its queue" in why_of(replace(READY, start_due=None), able).detail


def test_foreign_names_are_quoted_in_suggested_commands() -> None:
    assigned = replace(READY, queue=Queue(1, Kind.EXECUTE, ("a b",), "x; rm -rf /"))

    fix = why_of(assigned, bot("n", *ABLE))

    assert shlex.split(command(fix) or "")[4:] == ["--name", "x; rm -rf /", "--skill", "a b"]


# ---- laws ----------------------------------------------------------------------------------------------------------

# Reasons of items that no claim gets now.
NOT_GRANTED = {
    *("paused", "approval", "no_bot_registered", "no_capable_bot", "assigned_bot_away"),
    *("no_independent_evaluator", "draining", "bots_at_capacity"),
}
BY_STATUS = {
    "LEASED": {"leased"},
    "WAITING": {"backoff", "question"},
    "IN_REVIEW": {"dependency"},
    "BLOCKED": {"dependency", "paused", "approval", "queued"},
    "READY": NOT_GRANTED | {"queued"},
}


def explainer_of(swarm: Harness) -> Explainer:
    """Return an explainer for which all bots are present: the harness records no calls."""
    rules = Rulebook(Redactor.default())
    limits = Limits(away=2**62)
    now = Now(time=lambda: swarm.now)
    return Explainer(
        Queries(swarm.store, rules, limits, cursors=Cursors(bytes(32)), now=lambda: swarm.now), limits, now
    )


class ExplainedStory(Story):
    def explained(self) -> dict[str, Any]:
        """Return explanations of one unchanged state: jobs run between the calls."""
        explainer = explainer_of(self.swarm)
        while True:
            before = self.rows_now()
            shown = {task: self.swarm.run(explainer.explain(CLIENT, task)) for task in self.tasks}
            if self.rows_now() == before:
                return shown

    def rows_now(self) -> list[Any]:
        return [self.swarm.rows(f"SELECT * FROM {table}") for table in ("task", "work", "chore")]

    def all_invariants_hold(self) -> None:
        """Skip the invariants of the engine, which the plain story checks."""

    @rule()
    def every_waiting_item_has_one_reason(self) -> None:
        for task, shown in self.explained().items():
            open_items = {
                row["id"]: row["status"]
                for row in self.swarm.rows("SELECT id, status FROM work WHERE task = ?", task)
                if Status(row["status"]) in OPEN
            }
            closed = self.swarm.task(task).status in TASK_CLOSED
            listed = [item for item in shown["waiting"] if item["work_id"] is not None]
            assert sorted(item["work_id"] for item in listed) == ([] if closed else sorted(open_items))
            assert all(item["reason"] in BY_STATUS[item["status"]] for item in listed), listed
            assert shown["waiting_total"] == len(shown["waiting"])
            assert dict(Counter(item["reason"] for item in shown["waiting"])) == shown["reasons"], (
                "counts match the listed items"
            )
            busy = self.swarm.rows("SELECT 1 FROM chore WHERE task = ?", task)
            assert closed or busy or shown["waiting"], "an open task has a reason to wait"
            assert shown["summary"]

    @precondition(lambda self: not self.swarm.rows("SELECT 1 FROM chore LIMIT 1"))
    @rule()
    def the_next_claim_confirms_the_reasons(self) -> None:
        explanations = self.explained().values()
        reasons = {item["work_id"]: item["reason"] for shown in explanations for item in shown["waiting"]}
        got = []
        for bot_id in (self.planner, *self.executors, *self.evaluators):
            leases = self.swarm.leases(bot_id, max_leases=8)
            self.leases += leases
            got += [lease.work for lease in leases]

        assert [work for work in got if reasons[work] in NOT_GRANTED] == []
        assert got or "queued" not in reasons.values()


ExplainedStory.TestCase.settings = examples(20, stateful_step_count=30)
test_every_story_can_be_explained_at_every_step = ExplainedStory.TestCase


def test_each_review_of_a_round_waits_for_another_owner() -> None:
    swarm = Harness()
    executor = swarm.bot("maker")
    for name in ("j", "k"):
        swarm.bot(name, "Evaluator", owner="us")
    task = swarm.submit(["a"], quorum=(2, 3))
    swarm.report(swarm.take(executor))

    shown = swarm.run(explainer_of(swarm).explain(CLIENT, task))

    assert {item["key"]: item["reason"] for item in shown["waiting"]} == {
        "review/1/1": "queued",
        "review/1/2": "no_independent_evaluator",
        "review/1/3": "no_independent_evaluator",
    }
    assert shown["reasons"] == {"no_independent_evaluator": 2, "queued": 1}
    assert shown["summary"].startswith("review/1/2 waits [no_independent_evaluator]: every evaluator")
    swarm.close()


def test_a_task_without_open_items_has_its_own_reason() -> None:
    swarm = Harness()
    executor = swarm.bot("maker")
    task = swarm.submit(["a"], evaluation="none", approval="final")
    swarm.report(swarm.take(executor))
    approval = swarm.row("SELECT id FROM approval")["id"]

    shown = swarm.run(explainer_of(swarm).explain(CLIENT, task))

    [waiting] = shown["waiting"]
    assert (waiting["work_id"], waiting["kind"], waiting["status"]) == (None, "task", "COMPLETED")
    assert (waiting["reason"], waiting["fix"]) == ("approval", f"swarmkeeper approval show {approval}")
    assert shown["summary"].startswith("The task waits [approval]: a person has to decide")
    assert (shown["waiting_total"], shown["reasons"]) == (1, {"approval": 1})
    swarm.close()


def test_ten_thousand_subtasks_cost_no_more_statements_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Harness(limits=Limits(slice_rows=10_000))
    asked: list[str] = []
    read = swarm.store.read

    async def counted(name: str, parameters: Any) -> Any:
        asked.append(name)
        return await read(name, parameters)

    few = swarm.submit(["a"])
    many = swarm.submit(["first", *({"key": f"k{n}", "depends_on": ["first"]} for n in range(9_999))])
    swarm.advance(5)
    monkeypatch.setattr(swarm.store, "read", counted)
    swarm.run(explainer_of(swarm).explain(CLIENT, few))
    for_one, asked[:] = list(asked), []
    shown = swarm.run(explainer_of(swarm).explain(CLIENT, many))

    assert asked == for_one
    assert (len(shown["waiting"]), shown["waiting_total"]) == (200, 10_000)
    assert shown["reasons"] == {"no_bot_registered": 1, "dependency": 9_999}
    assert shown["summary"].startswith("first waits [no_bot_registered]: no executor is registered")
    swarm.close()
