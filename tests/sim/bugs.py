"""Planted bugs for the simulator to find: each replaces one function of the product by a wrong one, only in a test.
catch_rate.py measures how soon each is found; CI plays one seed for each that is known to find it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from swarmkeeper.access.operations.running import Operations
from swarmkeeper.core import commands, lookups
from swarmkeeper.core.decide import DECISIONS, key_lines, policies
from swarmkeeper.core.decide.decisions import approvals, heartbeats, review, timers
from swarmkeeper.core.decide.decisions import work as decisions
from swarmkeeper.core.decide.effects import closing, deadline, loading, settling
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import (
    ApprovalRecord,
    AttemptFailure,
    BotRecord,
    BudgetAccount,
    Edge,
    Idempotency,
    LeaseRecord,
    QueueEntry,
    TaskRecord,
    Work,
)
from swarmkeeper.core.policies import labels
from swarmkeeper.core.policies.labels import Flow, LabelledNode, LabelSource
from swarmkeeper.core.policies.records import Facts
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.rules import budgets, graph
from swarmkeeper.core.states import AttemptOutcome, ErrorClass, Status, Transition
from swarmkeeper.engine import heartbeat_cache
from swarmkeeper.engine.batch import Batch, Queued
from swarmkeeper.engine.dispatcher import Dispatcher
from swarmkeeper.engine.heartbeat_cache import HeartbeatCache
from swarmkeeper.engine.polls import Poll
from swarmkeeper.reads.queries import Queries
from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.calls import Calls
from swarmkeeper.sim.play.scenarios import SCENARIOS, Bounds, Fleet, People, Scenario
from swarmkeeper.sim.run import Case, RunOutcome
from swarmkeeper.storage.sqlite import loading as loads
from swarmkeeper.storage.sqlite import transaction
from swarmkeeper.storage.sqlite.kept_rows import KeptRows, LeaseTimers

Patch = pytest.MonkeyPatch
Level = Literal["core", "http"]

# A busy quarter of an hour: rounds of reviews and rework, deadlines, holds, cancelled tasks, drained bots.
CATCH = replace(
    SCENARIOS["standard"],
    name="catch",
    tasks_per_hour=70,
    hours=0.25,
    heal_hours=3,
    size=4,
    evaluation={"final": 5, "each": 2, "none": 2},
    quorums={"1/1": 3, "2/3": 3, "1/2": 1, "2/2": 1},
    approvals={"none": 5, "plan": 1, "final": 1, "rounds": 1},
    deadline=0.35,
    deadline_seconds=300,
    verdicts={"accept": 5, "rework": 4, "reject": 0.5},
    planners=Fleet(2, 1, 8, retryable=0.15, unsound=0.08, asks=0.02),
    executors=Fleet(
        3, 2, 25, retryable=0.3, not_retryable=0.03, rate_limited=0.03, released=0.03, deferred=0.03, asks=0.03
    ),
    evaluators=Fleet(3, 2, 12, retryable=0.1, released=0.02, unsound=0.04),
    people=People(cancel=0.2, pause=0.25, patch=0.1, retry=0.8, archive=0.3, drain=0.35, decide_seconds=30),
)
# HTTP runs take longer, and bugs at that level hardly depend on the content of tasks.
CATCH_HTTP = replace(CATCH, name="catch-http", tasks_per_hour=100, hours=0.1, size=2, deadline=0)
# Most tasks have a budget, which is seldom enough.
CATCH_PAID = replace(CATCH, name="catch-paid", budgets=0.8, budget_tokens=2_000)
# Most subtasks have a key of which one runs at a time.
CATCH_KEYED = replace(CATCH, name="catch-keyed", limited=0.6)
# Half of the subtasks have labels, and the policy keeps some of them from all bots.
CATCH_LABELLED = replace(
    CATCH, name="catch-labelled", labelled=0.5, bounds=Bounds(schedule_to_start_seconds=300), deadline=0
)
# An operator begins operations on many tasks all the time.
CATCH_BULK = replace(CATCH_HTTP, name="catch-bulk", hours=0.2, people=replace(CATCH_HTTP.people, bulk=0.9, patch=0.5))
SCENARIO_OF: Mapping[Level, Scenario] = {"core": CATCH, "http": CATCH_HTTP}


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    words: str
    of: str  # class of the bug
    plant: Callable[[Patch], None]
    found_by: frozenset[str]  # ids of invariants, any of which may find it first
    seed: int  # the seed that CI plays
    seeds: int  # bound: it is found within so many seeds, from each first seed of the measurement
    level: Level
    faults: tuple[str, ...] | None  # the seed's faults that CI plays; None: all (if shrinking is quick)
    scenario: Scenario | None = None  # None: that of the level

    def case(self, seed: int) -> Case:
        """Return the case that finds it. The phase without faults is played only for bugs of liveness."""
        scenario = self.scenario or SCENARIO_OF[self.level]
        heals = "7.liveness" in self.found_by
        return Case(seed, scenario if heals else replace(scenario, heal_hours=0), level=self.level)

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the cells of the published table that need no measurement."""
        return (f"`{self.name}`", self.of, self.words, self.level)

    @property
    def played_in_ci(self) -> Case:
        return replace(self.case(self.seed), faults=self.faults)

    def finds(self, outcome: RunOutcome) -> bool:
        return outcome.violation is not None and outcome.violation.invariant in self.found_by


BUGS: dict[str, Bug] = {}


def bug(
    of: str,
    words: str,
    *,
    found_by: tuple[str, ...],
    seed: int,
    seeds: int,
    level: Level = "core",
    faults: tuple[str, ...] | None = None,
    scenario: Scenario | None = None,
) -> Callable[[Callable[[Patch], None]], Bug]:
    def made(plant: Callable[[Patch], None]) -> Bug:
        name = plant.__name__.replace("_", "-")
        found = BUGS[name] = Bug(name, words, of, plant, frozenset(found_by), seed, seeds, level, faults, scenario)
        return found

    return made


def _decides(patch: Patch, command: type[commands.Command[Any]], function: Callable[[WorkingSet, Any], Any]) -> None:
    assert isinstance(DECISIONS, dict)
    patch.setitem(DECISIONS, command, function)


# ---- leases --------------------------------------------------------------------------------------------------------


@bug(
    "a missing fence",
    "a report under an ended lease is accepted under the current lease of its item",
    found_by=("2.fence",),
    seed=4,
    seeds=10,
    faults=("bot.freeze@executor-2:t12/s1#1",),
)
def missing_fence(patch: Patch) -> None:
    def report(working: WorkingSet, command: commands.ReportResult) -> Any:
        attempt = None if command.lease_id is None else working.get(lookups.ATTEMPT, command.lease_id)
        if attempt is not None and attempt.result_hash is None:
            current = working.get(lookups.LEASE, attempt.work)
            if current is not None:
                current.bot = command.bot  # skips the check of the lease's bot
                command = replace(command, lease_id=current.lease_id)
        return decisions.report(working, command)

    _decides(patch, commands.ReportResult, report)


@bug(
    "check, then act",
    "the owners excluded from an item are read from its queue entry, before the batch hands out items",
    found_by=("1.vote",),
    seed=3,
    seeds=2,
)
def closed_to_its_owner_too_late(patch: Patch) -> None:
    def take(
        working: WorkingSet, claim: commands.ClaimWork, bot: BotRecord, ready: QueueEntry, ttl: int
    ) -> LeaseRecord | None:
        work = working.work(ready.work)
        now, work.excluded = work.excluded, ready.excluded
        lease = right(working, claim, bot, ready, ttl)
        work.excluded = now
        return lease

    right = decisions.take
    patch.setattr(decisions, "take", take)


@bug(
    "leases forgotten at restart",
    "after a restart, leases never expire",
    found_by=("7.kept", "7.liveness", "8.due", "8.timer"),
    seed=5,
    seeds=4,
)
def lease_timers_forgotten(patch: Patch) -> None:
    def load(self: LeaseTimers, leases: Any, right: Any = LeaseTimers.load) -> None:
        right(self, ())

    patch.setattr(LeaseTimers, "load", load)


@bug(
    "a heartbeat that does not renew",
    "a heartbeat is not written while its lease lives, instead of only in the first half of the TTL",
    found_by=("2.early",),
    seed=1,
    seeds=2,
)
def beats_not_written(patch: Patch) -> None:
    def is_quiet(
        lease: LeaseRecord, pulse: commands.LeaseHeartbeat, now: int, right: Any = heartbeats.is_quiet
    ) -> bool:
        lives = lease.expires_at > now
        return lives and bool(right(replace(lease, expires_at=now + lease.ttl), pulse, now))

    patch.setattr(heartbeats, "is_quiet", is_quiet)
    patch.setattr(heartbeat_cache, "is_quiet", is_quiet)


@bug(
    "a heartbeat under an ended lease accepted",
    "heartbeats are answered from a cache that drops changed leases and keeps ended ones",
    found_by=("2.fence",),
    seed=4,
    seeds=6,
)
def beats_for_the_dead(patch: Patch) -> None:
    def committed(self: HeartbeatCache, changes: Changes, right: Any = HeartbeatCache.committed) -> None:
        right(self, replace(changes, leases_gone={}))

    patch.setattr(HeartbeatCache, "committed", committed)


@bug(
    "a late result accepted",
    "a result during the grace time of its lease is accepted, after its task was cancelled or failed",
    found_by=("2.closed",),
    seed=5,
    seeds=14,
)
def accepted_in_its_grace(patch: Patch) -> None:
    def report(working: WorkingSet, command: commands.ReportResult) -> Any:
        lease = None if command.lease_id is None else working.lease(command.lease_id)
        if lease is None or not lease.cancelled or lease.bot != command.bot or command.output is None:
            return decisions.report(working, command)
        task, work, bot = working.task(lease.task), working.work(lease.work), working.bot(command.bot, lease.tenant)
        working.record("work.report", work.id, task=task, body={"key": work.key})
        return decisions._report_success(working, task, work, lease, bot, command)

    _decides(patch, commands.ReportResult, report)


@bug(
    "draining forgotten",
    "items claimed with a report are handed out even if the bot is draining",
    found_by=("6.drain",),
    seed=5,
    seeds=36,
    faults=(),
)
def drained_with_a_report(patch: Patch) -> None:
    async def decide(self: Dispatcher, poll: Poll, save: Any, right: Any = Dispatcher._decide) -> Any:
        if poll.bot is not None and not poll.parks:
            poll.bot = replace(poll.bot, status="active")
        return await right(self, poll, save)

    patch.setattr(Dispatcher, "_decide", decide)


@bug(
    "an unfair queue",
    "the newest item of a queue is handed out first",
    found_by=("9.order",),
    seed=4,
    seeds=6,
)
def unfair_queue(patch: Patch) -> None:
    right = loads.QUERIES["ready_heads"]
    wrong = right.replace("ORDER BY place, work", "ORDER BY place DESC, work")
    assert wrong != right
    patch.setattr(transaction, "QUERIES", {**loads.QUERIES, "ready_heads": wrong})


# ---- labels --------------------------------------------------------------------------------------------------------


@bug(
    "a rule that is not kept",
    "labels flow into the items that depend on one at once, and not into those behind them",
    found_by=("2.policy", "rows"),
    seed=1,
    seeds=10,
    faults=(),
    scenario=CATCH_LABELLED,
)
def labels_flow_one_step(patch: Patch) -> None:
    def flow(nodes: Sequence[LabelledNode], outside: Mapping[str, Flow], base: Flow = ()) -> dict[str, Flow]:
        own: dict[str, Iterable[LabelSource]] = {
            node.key: [(name, value, node.key) for name, value in node.own.items()] for node in nodes
        }
        into = {
            node.key: labels.merged(base, *(outside.get(key, own.get(key, ())) for key in node.parents))
            for node in nodes
        }
        return {key: found for key, found in into.items() if found}

    patch.setattr(labels, "inflows", flow)


@bug(
    "a rule that is not kept",
    "the policies are asked about an item by its own labels, without those that flowed in",
    found_by=("2.policy",),
    seed=1,
    seeds=10,
    faults=(),
    scenario=CATCH_LABELLED,
)
def inflow_not_asked_about(patch: Patch) -> None:
    right = policies.of_work

    def facts(working: WorkingSet, task: TaskRecord, work: Work) -> Facts:
        own = None if work.labels is None else replace(work.labels, inflow=())
        return right(working, task, replace(work, labels=own))

    patch.setattr(policies, "of_work", facts)


# ---- limits --------------------------------------------------------------------------------------------------------


@bug(
    "check, then act",
    "who goes into a queue is decided by what runs, but not looked at again when it is leased",
    found_by=("6.concurrency",),
    seed=1,
    seeds=2,
    scenario=CATCH_KEYED,
)
def key_not_looked_at_again(patch: Patch) -> None:
    patch.setattr(key_lines, "may_start", lambda working, work: True)


@bug(
    "a timer lost",
    "the end of a lease gives its key free, and tells nobody who waits for it",
    found_by=("8.timer",),
    seed=6,
    seeds=2,
    scenario=CATCH_KEYED,
)
def key_given_free_in_silence(patch: Patch) -> None:
    patch.setattr(key_lines, "_admit", lambda working, limit: None)


# ---- graphs, rounds, counters --------------------------------------------------------------------------------------


@bug(
    "double release of a dependent",
    "the end of an item is counted twice for its dependents",
    found_by=("4.pending", "4.upstream", "8.timer", "5.cause", "rows"),
    seed=1,
    seeds=4,
)
def double_release(patch: Patch) -> None:
    def settle(working: WorkingSet, task: Any, work: Any, once: Any = settling.settle) -> None:
        once(working, task, work)
        once(working, task, work)

    patch.setattr(settling, "settle", settle)


@bug(
    "rework that forgets a dependent",
    "only direct dependents of rework targets are reopened, not indirect ones",
    found_by=("4.upstream",),
    seed=4,
    seeds=12,
)
def rework_stops_short(patch: Patch) -> None:
    def downstream(roots: Iterable[str], edges: Iterable[Edge], right: Any = graph.downstream) -> list[str]:
        known = set(roots)
        near = known | {edge.child for edge in edges if edge.parent in known}
        return [work for work in right(known, edges) if work in near]

    patch.setattr(graph, "downstream", downstream)


@bug(
    "a compound change checked halfway",
    "rework checks whether the task is done after reopening targets, before adding new subtasks",
    found_by=("4.done",),
    seed=2,
    seeds=8,
)
def asked_too_early(patch: Patch) -> None:
    def reopen(working: WorkingSet, *args: Any, right: Any = loading.reopen, **named: Any) -> None:
        right(working, *args, **named)
        closing.finish_completed_tasks(working)

    patch.setattr(loading, "reopen", reopen)


@bug(
    "counter drift",
    "a failed or cancelled item that is reopened is still counted as failed",
    found_by=("4.counters",),
    seed=4,
    seeds=2,
)
def failed_for_ever(patch: Patch) -> None:
    def become(self: WorkingSet, task: TaskRecord, work: Work, status: Status, right: Any = WorkingSet._become) -> None:
        failed = task.n_failed
        right(self, task, work, status)
        task.n_failed = max(failed, task.n_failed)

    patch.setattr(WorkingSet, "_become", become)


@bug(
    "quorum counted twice",
    "votes of earlier rounds are counted again",
    found_by=("1.quorum", "0.fault"),
    seed=6,
    seeds=10,
)
def votes_of_other_rounds(patch: Patch) -> None:
    def items(working: WorkingSet, task: TaskRecord) -> list[Work]:
        rounds = [replace(task, round=number) for number in range(1, task.round + 1)]
        keys = [(task.id, key) for of_round in rounds for key in closing.review_keys(of_round)]
        return working.works(work_id for work_id in working.get_many(lookups.WORK_KEY, keys) if work_id is not None)

    patch.setattr(review, "_round_items", items)


@bug(
    "quorum counted twice",
    "a review excludes owners who have voted, but not owners who hold another review of the round",
    found_by=("1.vote",),
    seed=3,
    seeds=2,
)
def two_votes_at_once(patch: Patch) -> None:
    def exclude_reviewer_owners(
        working: WorkingSet, task: TaskRecord, item: Work, right: Any = review.exclude_reviewer_owners
    ) -> None:
        if item.status is not Status.LEASED:
            right(working, task, item)

    patch.setattr(review, "exclude_reviewer_owners", exclude_reviewer_owners)


# ---- time ----------------------------------------------------------------------------------------------------------


@bug(
    "a timer lost",
    "a deadline that was on hold continues without its timer",
    found_by=("8.timer",),
    seed=2,
    seeds=4,
)
def deadline_without_timer(patch: Patch) -> None:
    def start(working: WorkingSet, task: TaskRecord) -> None:
        if task.deadline_left is not None:
            working.edit_task(task)
            task.deadline, task.deadline_left = working.now + task.deadline_left, None

    patch.setattr(deadline, "start", start)


@bug(
    "a deadline ignored",
    "a deadline that passes while its task is on hold is postponed, a minute at a time",
    found_by=("8.timer", "8.due"),
    seed=6,
    seeds=10,
)
def deadline_put_off(patch: Patch) -> None:
    def passes(working: WorkingSet, task_id: str, right: Any = timers._deadline) -> None:
        task = working.get(lookups.TASK, task_id)
        if task is not None and task.hold_reasons:
            working.set_timer("deadline", task_id, working.now + 60_000_000)
        else:
            right(working, task_id)

    patch.setattr(timers, "_deadline", passes)


# ---- payloads, events and answers ----------------------------------------------------------------------------------


@bug(
    "a secret persisted",
    "a failure message is redacted in the event, but not in the stored attempt",
    found_by=("10.secret",),
    seed=21,
    seeds=28,
    faults=("bot.secret@executor-2:t4/s3#1",),
)
def reason_with_its_secret(patch: Patch) -> None:
    def report_failure(
        working: WorkingSet,
        task: TaskRecord,
        work: Work,
        lease: LeaseRecord,
        command: commands.ReportResult,
        cause: AttemptFailure,
    ) -> None:
        if cause.error_class is ErrorClass.RATE_LIMITED:
            right(working, task, work, lease, command, cause)
            return
        error = {"class": str(cause.error_class), "message": cause.message}
        more: dict[str, Any] = {
            "retryable": cause.error_class is ErrorClass.RETRYABLE,
            "result_hash": command.content_hash,
        }
        failed, ending = Transition.ATTEMPT_FAILED, AttemptOutcome.FAILED
        decisions.try_failed(
            working, task, work, lease, failed, ending=ending, error=error, usage=command.usage, **more
        )

    right = decisions._report_failure
    patch.setattr(decisions, "_report_failure", report_failure)


@bug(
    "idempotency lost",
    "the lifetime of idempotency keys is read in the wrong unit: a day lasts 86 milliseconds",
    found_by=("1.one-task",),
    seed=9,
    seeds=16,
)
def key_kept_too_short(patch: Patch) -> None:
    def remember(self: Batch, command: commands.Command[Any], value: Any, right: Any = Batch._remember) -> None:
        right(self, command, value)
        if self.working.changes.idempotency and command.idempotency is not None:
            row = self.working.changes.idempotency[-1]
            short: Idempotency = replace(row, expires=self.working.now + self.working.limits.idempotency // 1_000_000)
            self.working.changes.idempotency[-1] = short

    patch.setattr(Batch, "_remember", remember)


@bug(
    "an event without audit",
    "a refused command leaves no audit record, although it may have stored a late result",
    found_by=("5.audit",),
    seed=1,
    seeds=8,
)
def refused_without_record(patch: Patch) -> None:
    def finish(self: WorkingSet, right: Any = WorkingSet.finish) -> None:
        known, context = len(self.entries), self.context
        right(self)
        if context is not None and context.outcome != "accepted":
            del self.entries[known:]

    patch.setattr(WorkingSet, "finish", finish)


@bug(
    "a question decided twice",
    "a second decision on an approval is accepted as if it were still open",
    found_by=("1.one-decision", "5.cause"),
    seed=2,
    seeds=30,
)
def second_thoughts(patch: Patch) -> None:
    def decide(working: WorkingSet, command: commands.Decide) -> str:
        approval: ApprovalRecord | None = working.get(lookups.APPROVAL, command.approval)
        known = {} if approval is None else approval.decision or {}
        if approval is not None and approval.state == "decided" and known.get("verb") != command.verb:
            working.edit_approval(approval).state = "open"
        return approvals.decide(working, command)

    _decides(patch, commands.Decide, decide)


@bug(
    "answered before it is durable",
    "commands are answered after their decision, before the commit",
    found_by=("7.acknowledged", "2.fence", "7.durable", "0.lost-exception"),
    seed=3,
    seeds=2,
)
def answered_before_the_commit(patch: Patch) -> None:
    async def run(self: Batch, queued: list[Queued], polls: Any, *, right: Any = Batch.run, **named: Any) -> None:
        await right(self, queued, polls, **named)
        for command in queued:
            if command.accepted and command.answer is not None and not command.answer.done():
                command.answer.set_result(command.value)
        await asyncio.sleep(0)

    patch.setattr(Batch, "run", run)


@bug(
    "a row in memory that is not stored",
    "a row that a rolled back transaction has changed stays in memory",
    found_by=("7.kept",),
    seed=5,
    seeds=8,
)
def kept_after_a_rollback(patch: Patch) -> None:
    patch.setattr(KeptRows, "clear", lambda self: None)


# ---- HTTP and the SDK ----------------------------------------------------------------------------------------------


@bug(
    "a gap in the feed",
    "a follower that reconnects to the feed skips one event",
    found_by=("5.feed",),
    seed=2,
    seeds=6,
    level="http",
)
def feed_off_by_one(patch: Patch) -> None:
    async def number_after(self: Queries, *args: Any, right: Any = Queries.number_after) -> int:
        found: int = await right(self, *args)
        return found + 1 if found else found

    patch.setattr(Queries, "number_after", number_after)


@bug(
    "idempotency lost",
    "the SDK draws an idempotency key for each try instead of each call",
    found_by=("1.one-task",),
    seed=9,
    seeds=36,
    level="http",
)
def key_of_each_try(patch: Patch) -> None:
    async def once(
        self: Calls, method: str, path: str, body: Any, headers: Mapping[str, str], *args: Any, **named: Any
    ) -> Any:
        if "idempotency-key" in headers:
            headers = {**headers, "idempotency-key": chances.token(self.chance)}
        return await right(self, method, path, body, headers, *args, **named)

    right = Calls._once
    patch.setattr(Calls, "_once", once)


@bug(
    "an outcome of another",
    "what came of a task of an operation is noted for the task after it",
    found_by=("rows",),
    seed=2,
    seeds=8,
    level="http",
    faults=("store.crash_before@commit:quiet.second-385#3",),
    scenario=CATCH_BULK,
)
def outcomes_shifted(patch: Patch) -> None:
    async def shifted(self: Operations, *args: Any) -> Any:
        noted = await carried_out(self, *args)
        outcomes = [outcome for _, *outcome in noted]
        places = [place for place, *_ in noted]
        return [(place, *outcome) for place, outcome in zip(places, outcomes[-1:] + outcomes[:-1], strict=True)]

    carried_out = Operations._carried_out
    patch.setattr(Operations, "_carried_out", shifted)


# ---- budgets -------------------------------------------------------------------------------------------------------


@bug(
    "a budget settled wrongly",
    "the reservation of an attempt that its bot gives back is kept",
    found_by=("rows",),
    seed=5,
    seeds=8,
    scenario=CATCH_PAID,
)
def released_reservations_kept(patch: Patch) -> None:
    def settle(account: BudgetAccount, reserved: Mapping[str, int], spent: Mapping[str, int]) -> BudgetAccount:
        return right(account, reserved if spent else {}, spent)

    right = budgets.settle
    patch.setattr(budgets, "settle", settle)
