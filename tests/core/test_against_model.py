"""Compare the rules with a naive model, which derives everything from a few facts per task after each step.

The model imports nothing of the product: it was written only from the description of the life cycles.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from swarmkeeper.core import commands
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Limits
from swarmkeeper.sim.harness import CLIENT, Harness, HarnessLease
from tests.examples import examples

KEYS = [f"k{number}" for number in range(5)]
YEAR = 365 * 86_400_000_000
LEASE_SECONDS = 3600
CRASHES_MAX = 3

Facts = dict[str, str]
pick = st.integers(0, 1_000)
chances = st.integers(0, 10**9).map(random.Random)
# Mostly successes: a task that fails early tests little.
ENDS = [*["well"] * 12, "retryable", "not_retryable", "rate_limited", "released", "not yet"]

# ---- the model -----------------------------------------------------------------------------------------------------

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELLED")
MET_BY = {
    "success": {"SUCCEEDED"},
    "done": {"SUCCEEDED", "FAILED", "SKIPPED"},
    "failure": {"FAILED"},
}
BROKEN_BY = {
    "success": {"FAILED", "SKIPPED"},
    "done": set[str](),
    "failure": {"SUCCEEDED", "SKIPPED"},
}


@dataclass
class Item:
    """The history of an item since it was last reset."""

    kind: str
    max_attempts: int
    needs: list[tuple[str, str]] = field(default_factory=list)  # (key, when)
    continue_on_failure: bool = False
    end: str | None = None  # SUCCEEDED or FAILED, by its own report
    lease: str | None = None
    waits: bool = False
    tries: int = 0
    crashes: int = 0
    put_off: int = 0  # times in a row

    def start_over(self) -> None:
        self.end, self.lease, self.waits, self.tries, self.crashes, self.put_off = None, None, False, 0, 0, 0


@dataclass
class Expected:
    """The facts about one task."""

    evaluated: bool
    max_rounds: int
    items: dict[str, Item] = field(default_factory=dict)
    planned: bool = False
    started: bool = False
    paused: bool = False
    over: str | None = None  # the outcome
    archived: bool = False
    round: int = 1
    reworks: int = 0
    swept: set[str] = field(default_factory=set)  # keys of items that were open when the task failed

    def status_of(self, key: str) -> str:
        """Return the state of an item, derived from the ends of all items upstream."""
        item = self.items[key]
        if item.end is not None:
            return item.end
        if key in self.swept:
            return "CANCELLED"
        before = [(self.status_of(parent), when) for parent, when in item.needs]
        if any(status in BROKEN_BY[when] for status, when in before):
            return "SKIPPED"
        if any(status not in MET_BY[when] for status, when in before):
            return "BLOCKED"
        return "LEASED" if item.lease else "WAITING" if item.waits else "READY"

    def statuses(self) -> Facts:
        return {key: self.status_of(key) for key in self.items}

    def subtasks(self) -> Facts:
        return {key: self.status_of(key) for key, item in self.items.items() if item.kind == "execute"}

    def failure_handled(self, key: str) -> bool:
        after = [when for item in self.items.values() for parent, when in item.needs if parent == key]
        return self.items[key].continue_on_failure or "done" in after or "failure" in after

    def all_done(self) -> bool:
        return self.planned and all(status in ENDED for status in self.subtasks().values())

    @property
    def status(self) -> str:
        if self.archived:
            return "ARCHIVED"
        if self.over is not None:
            return "FAILED"
        if not self.planned:
            return "CREATED"
        if self.all_done():
            return "COMPLETED"
        return "IN_PROGRESS" if self.started else "PLANNED"

    @property
    def closed(self) -> bool:
        return self.over is not None

    # ---- transitions -----------------------------------------------------------------------------------------------

    def apply_plan(self, nodes: list[dict[str, Any]]) -> None:
        self.planned = True
        self.add(nodes)

    def add(self, nodes: list[dict[str, Any]]) -> None:
        for node in nodes:
            needs = [(edge["key"], edge["when"]) for edge in node["depends_on"]]
            self.items[node["key"]] = Item("execute", node["max_attempts"], needs, node["on_failure"] == "continue")

    def succeed(self, key: str) -> None:
        self.items[key].end, self.items[key].lease = "SUCCEEDED", None
        self.finish_if_done()

    def fail_try(self, key: str, *, for_good: bool = False) -> None:
        item = self.items[key]
        item.lease, item.tries, item.waits, item.put_off = None, item.tries + 1, True, 0
        if for_good or item.tries >= item.max_attempts:
            self.fail_item(key)

    def crash(self, key: str) -> None:
        item = self.items[key]
        item.lease, item.crashes, item.waits, item.put_off = None, item.crashes + 1, True, 0
        if item.crashes >= CRASHES_MAX:
            self.fail_item(key)

    def fail_item(self, key: str) -> None:
        """Items that are open when the task fails are cancelled; none of them is skipped afterwards."""
        item = self.items[key]
        fatal = item.kind != "execute" or not self.failure_handled(key)
        if fatal:
            self.close("failed")
            self.swept.discard(key)
        item.end, item.waits = "FAILED", False
        self.finish_if_done()

    def close(self, outcome: str) -> None:
        self.swept |= {key for key, status in self.statuses().items() if status not in ENDED}
        self.over, self.paused = outcome, False
        for item in self.items.values():
            item.lease, item.waits = None, False

    def finish_if_done(self) -> None:
        """Start the review, or accept the task, once every subtask has ended."""
        if self.closed or not self.all_done():
            return
        if not self.evaluated:
            self.over, self.archived = "accepted", True
        else:
            self.items.setdefault(f"review/{self.round}/1", Item("review", 3))

    def start_over_from(self, roots: set[str]) -> None:
        """Reset the roots and everything downstream."""
        behind = set(roots)
        while more := {
            key for key, item in self.items.items() if key not in behind and any(one in behind for one, _ in item.needs)
        }:
            behind |= more
        self.swept -= behind
        for key in behind:
            self.items[key].start_over()

    def judge(self, verdict: dict[str, Any]) -> None:
        self.items[f"review/{self.round}/1"].end = "SUCCEEDED"
        self.items[f"review/{self.round}/1"].lease = None
        if verdict["decision"] == "accept":
            self.over, self.archived = "accepted", True
        elif verdict["decision"] == "reject":
            self.close("rejected")
        elif self.reworks == self.max_rounds:
            self.close("failed")
        else:
            self.rework({target["subtask"] for target in verdict["targets"]}, verdict["subtasks"])

    def rework(self, targets: set[str], added: list[dict[str, Any]]) -> None:
        if not targets and not added:
            needed = {parent for item in self.items.values() for parent, when in item.needs if when == "success"}
            targets = {key for key, status in self.subtasks().items() if status == "SUCCEEDED" and key not in needed}
        self.round, self.reworks, self.started = self.round + 1, self.reworks + 1, True
        self.add(added)
        self.start_over_from(targets)
        self.finish_if_done()

    def retry(self) -> None:
        statuses = self.statuses()
        roots = {
            key
            for key, item in self.items.items()
            if item.kind != "review"
            and (statuses[key] == "CANCELLED" or (statuses[key] == "FAILED" and not self.failure_handled(key)))
        }
        self.over, self.round, self.reworks = None, self.round + 1, 0
        self.start_over_from(roots)
        self.finish_if_done()

    def may(self, verb: str) -> bool:
        """Whether a client's command is accepted; a command without effect is accepted, too."""
        return {
            "cancel": not self.closed or self.over == "cancelled",
            "pause": not self.closed,
            "resume": not self.closed,
            "retry": not self.archived,
            "archive": self.over is not None,
        }[verb]

    def do(self, verb: str) -> None:
        match verb:
            case "cancel" if not self.closed:
                self.close("cancelled")
            case "retry" if self.closed:
                self.retry()
            case "archive":
                self.archived = True
            case "pause" | "resume":
                self.paused = verb == "pause"
            case _:
                pass  # no effect

    def claimable(self, kind: str) -> set[str]:
        if self.paused or self.closed:
            return set()
        return {key for key, item in self.items.items() if item.kind == kind and self.status_of(key) == "READY"}


# ---- both, step by step --------------------------------------------------------------------------------------------


def a_plan(chance: random.Random, *, prefix: str = "", outside: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Draw everything from a random generator: strategies would mostly draw small values."""
    nodes: list[dict[str, Any]] = []
    for key in KEYS[: chance.randint(2, len(KEYS))]:
        before = [*(node["key"] for node in nodes), *outside]
        parents = chance.sample(before, min(len(before), chance.choice([0, 1, 1, 1, 2, 3])))
        whens = ["success", "success", "done", "failure"]
        nodes.append(
            {
                "key": prefix + key,
                "depends_on": [{"key": parent, "when": chance.choice(whens)} for parent in parents],
                "on_failure": chance.choice(["fail", "continue"]),
                "max_attempts": chance.randint(1, 2),
            }
        )
    return nodes


class Side(RuleBasedStateMachine):
    """The product and the model side by side: each step is done to both."""

    # With small slices, one commit of the product becomes several.
    @initialize(chance=chances, rounds=st.integers(2, 6), slice_rows=st.sampled_from([3, 5, 500]))
    def begin(self, chance: random.Random, rounds: int, slice_rows: int) -> None:
        self.swarm = Harness(limits=Limits(timeout=YEAR, start=YEAR, give_up=YEAR, slice_rows=slice_rows))
        self.bots = {
            "plan": self.swarm.bot("planner", "Planner", capacity=9),
            "execute": self.swarm.bot("worker", capacity=9),
            "review": self.swarm.bot("judge", "Evaluator", capacity=9),
        }
        self.tasks: dict[str, Expected] = {}
        self.live: dict[str, HarnessLease] = {}  # leases that count, by id
        self.gone: list[HarnessLease] = []  # leases that were lost
        self.added = 0
        self.submit(chance, planned=True, evaluated=True, max_rounds=2)
        for _ in range(rounds):
            self.work_for_a_while(chance)

    def expected(self, lease: HarnessLease) -> Expected:
        return self.tasks[lease.task]

    def lease(self, number: int) -> HarnessLease:
        return list(self.live.values())[number % len(self.live)]

    def forget_dead(self) -> None:
        for lease in list(self.live.values()):
            if self.expected(lease).items[lease.key].lease != lease.lease_id:
                self.gone.append(self.live.pop(lease.lease_id))

    @rule(chance=chances, planned=st.booleans(), evaluated=st.booleans(), max_rounds=st.integers(1, 2))
    @precondition(lambda self: len(self.tasks) < 3)
    def submit(self, chance: random.Random, planned: bool, evaluated: bool, max_rounds: int) -> None:
        nodes = a_plan(chance)
        evaluation = "final" if evaluated else "none"
        task = self.swarm.submit(nodes if planned else None, evaluation=evaluation, max_rounds=max_rounds)
        model = self.tasks[task] = Expected(evaluated, max_rounds)
        if planned:
            model.apply_plan(nodes)
        else:
            model.items["plan"] = Item("plan", 3)
        self.compare()

    @rule(kind=st.sampled_from(["execute", "review"]), most=st.integers(1, 4))
    @precondition(lambda self: self.tasks)
    def claim(self, kind: str, most: int) -> None:
        could = {(task, key) for task, model in self.tasks.items() for key in model.claimable(kind)}
        room = 9 - sum(lease.kind == kind for lease in self.live.values())
        leases = self.swarm.leases(self.bots[kind], max_leases=most, ttl_seconds=LEASE_SECONDS)
        got = {(lease.task, lease.key) for lease in leases}
        assert got <= could, f"{got - could} is handed out, and is not READY"
        assert len(got) == min(most, room, len(could)), f"{got} is handed out of {could}"
        for lease in leases:
            model = self.expected(lease)
            model.items[lease.key].lease = lease.lease_id
            model.items[lease.key].waits = False
            model.started |= kind == "execute"
            self.live[lease.lease_id] = lease
            self.swarm.beat(lease)  # marks the lease as seen, so that its expiry counts as a crash
        self.compare()

    @rule(chance=chances)
    @precondition(lambda self: self.tasks)
    def work_for_a_while(self, chance: random.Random) -> None:
        """Let all bots work for a while, mostly with success."""
        for kind in chance.choice(
            [("plan", "execute"), ("execute", "review"), ("plan", "execute", "execute", "review")]
        ):
            self.claim(kind, 4)
            for lease_id in list(self.live):
                if lease_id in self.live:
                    self.end_attempt(self.live[lease_id], chance.choice(ENDS), chance)

    def end_attempt(self, lease: HarnessLease, end: str, chance: random.Random) -> None:
        if end == "well":
            self.report_well(lease, chance)
        elif end != "not yet":
            self.fail_attempt(lease, end)

    def report_well(self, lease: HarnessLease, chance: random.Random) -> None:
        model = self.expected(lease)
        if lease.kind == "execute":
            self.swarm.report(lease)
            model.succeed(lease.key)
        elif lease.kind == "plan":
            nodes = a_plan(chance)
            self.swarm.report(lease, plan=nodes)
            model.apply_plan(nodes)
            model.succeed("plan")
        else:
            verdict = self.verdict(model, chance)
            self.swarm.report(lease, verdict=verdict)
            model.judge(verdict)
        self.compare()

    def verdict(self, model: Expected, chance: random.Random) -> dict[str, Any]:
        decision = chance.choice(["rework", "rework", "rework", "accept", "reject"])
        verdict: dict[str, Any] = {"decision": decision, "reasons": ["so"], "targets": [], "subtasks": []}
        if decision == "rework":
            there = sorted(model.subtasks())
            targets = chance.sample(there, min(len(there), chance.randint(0, 2)))
            verdict["targets"] = [{"subtask": key, "feedback": "again"} for key in targets]
            if chance.random() < 0.4:
                self.added += 1
                verdict["subtasks"] = a_plan(chance, prefix=f"r{self.added}-", outside=tuple(there[:4]))
        return verdict

    def fail_attempt(self, lease: HarnessLease, error: str) -> None:
        model = self.expected(lease)
        item = model.items[lease.key]
        if error == "released":
            self.swarm.release(lease)
            # An item released again and again is delayed; otherwise this would loop for ever.
            item.lease, item.waits = None, item.put_off >= 2
            item.put_off += 1
        else:
            self.swarm.report(lease, error=error, message="no")
            if error == "rate_limited":
                item.lease, item.waits = None, True
                item.put_off += 1
            else:
                model.fail_try(lease.key, for_good=error == "not_retryable")
        self.compare()

    @rule(number=pick)
    @precondition(lambda self: self.live)
    def a_bot_dies(self, number: int) -> None:
        """Let one lease expire; keep the others alive."""
        lease = self.lease(number)
        for _ in range(3):  # a lease is renewed when less than half of it is left
            for other in self.live.values():
                if other is not lease:
                    assert self.swarm.beat(other) == "continue"
            self.swarm.advance(LEASE_SECONDS / 3 + 1)
        self.expected(lease).crash(lease.key)
        self.forget_dead()
        self.time_passes()

    @rule()
    @precondition(lambda self: self.tasks)
    def time_passes(self) -> None:
        """Wait longer than any backoff."""
        for lease in self.live.values():
            assert self.swarm.beat(lease) == "continue"
        self.swarm.advance(400)
        for model in self.tasks.values():
            for item in model.items.values():
                item.waits = False
        self.compare()

    @rule(
        number=pick,
        verb=st.sampled_from(["cancel", "pause", "resume", "retry", "retry", "archive"]),
        no=st.integers(0, 3),
    )
    @precondition(lambda self: self.tasks)
    def change(self, number: int, verb: str, no: int) -> None:
        task = list(self.tasks)[number % len(self.tasks)]
        model = self.tasks[task]
        if no and verb in ("cancel", "archive"):
            return  # otherwise too little of the story is left
        command = commands.RetryFailedTask if verb == "retry" else getattr(commands, verb.capitalize())
        taken = self.attempt(command(by=CLIENT, task=task))
        assert taken == model.may(verb), f"{verb} of a task that is {model.status}: taken is {taken}"
        if taken:
            model.do(verb)
        self.compare()

    def attempt(self, command: commands.Command[Any]) -> bool:
        try:
            self.swarm.do(command)
        except SwarmkeeperError:
            return False
        return True

    @rule(number=pick)
    @precondition(lambda self: self.gone)
    def report_too_late(self, number: int) -> None:
        lease = self.gone[number % len(self.gone)]
        if lease.kind != "execute":
            return
        try:
            answer = self.swarm.report(lease, output={"late": True})
        except SwarmkeeperError:
            self.compare()
            return
        raise AssertionError(f"a lease that was lost is good for a result: {answer}")

    # ---- comparing -------------------------------------------------------------------------------------------------

    def compare(self) -> None:
        self.swarm.advance(0)  # finishes all jobs
        self.forget_dead()
        for task, model in self.tasks.items():
            row, works = self.swarm.task(task), self.swarm.works(task)
            found = {key: str(work.status) for key, work in works.items()}
            if model.closed:
                # A heartbeat reports the cancellation before the item's row changes: a leased item counts as cancelled.
                found = {key: "CANCELLED" if status == "LEASED" else status for key, status in found.items()}
            assert found == model.statuses()
            actual = (str(row.status), None if row.outcome is None else str(row.outcome), row.round, row.reworks)
            assert actual == (model.status, model.over, model.round, model.reworks)
            assert ("paused" in row.hold_reasons) == model.paused
            if "LEASED" in (str(work.status) for work in works.values()) and model.closed:
                continue  # not counted yet
            subtasks = list(model.subtasks().values())
            counted = (len(subtasks), sum(subtask not in ENDED for subtask in subtasks))
            assert (row.n_total, row.n_open) == counted
            assert row.n_failed == sum(subtask in ("FAILED", "CANCELLED") for subtask in subtasks)
        live = {row["lease_id"] for row in self.swarm.rows("SELECT lease_id FROM lease WHERE NOT cancelled")}
        assert live == set(self.live)

    def teardown(self) -> None:
        if hasattr(self, "swarm"):
            self.swarm.check()
            self.swarm.close()


Side.TestCase.settings = examples(50, stateful_step_count=12)
test_all_is_as_a_naive_telling_of_the_rules_has_it_after_every_step = Side.TestCase
