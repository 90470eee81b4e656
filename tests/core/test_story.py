"""Random sequences of calls: all invariants hold after each step, and every task can be ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from swarmkeeper.core import commands
from swarmkeeper.core.errors import Internal, Overloaded, SwarmkeeperError
from swarmkeeper.core.model import Limits
from swarmkeeper.core.states import TASK_CLOSED
from swarmkeeper.sim.harness import ADMIN, CLIENT, Harness, HarnessLease, ReportReply
from tests.examples import examples

# More than a timeout of work or a deadline takes. An engine looks at its timers each five seconds, so hours would cost.
LONG = 1_200_000_000
# CI runs the same stories each time, so that a failure is caused by the change; elsewhere they are new.
KEYS = [f"k{number}" for number in range(6)]
# A refused report keeps these on purpose: a late result, or the count of refused plans and verdicts.
LEAVES_A_RECORD = {"task_closed", "lease_lost", "invalid", "invalid_plan"}

pick = st.integers(0, 1_000)


@st.composite
def graphs(draw: st.DrawFn, *, prefix: str = "", outside: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    nodes = []
    for number in range(draw(st.integers(1, len(KEYS)))):
        before = [prefix + key for key in KEYS[:number]] + list(outside)
        parents = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        nodes.append(
            {
                "key": prefix + KEYS[number],
                "depends_on": [
                    {"key": key, "when": draw(st.sampled_from(["success", "success", "done", "failure"]))}
                    for key in parents
                ],
                "required_skills": draw(st.sampled_from([[], [], ["x"]])),
                "on_failure": draw(st.sampled_from(["fail", "continue"])),
                "max_attempts": draw(st.integers(1, 2)),
            }
        )
    return draw(st.permutations(nodes))


options = st.fixed_dictionaries(
    {
        "evaluation": st.sampled_from(["final", "each", "none"]),
        "quorum": st.sampled_from([(1, 1), (1, 2), (2, 3)]),
        "max_rounds": st.integers(1, 2),
        "approval": st.sampled_from(["none", "none", "plan", "final", "rounds"]),
        "deadline_seconds": st.sampled_from([None, None, 500.0]),
    }
)


class Story(RuleBasedStateMachine):
    @initialize(slice_rows=st.sampled_from([2, 3, 500]))
    def begin(self, slice_rows: int) -> None:
        limits = Limits(slice_rows=slice_rows, start=LONG, answer=2 * LONG, give_up=2_000_000)
        self.swarm = Harness(limits=limits)
        self.planner = self.swarm.bot("planner", "Planner", capacity=3)
        self.executors = [
            self.swarm.bot("plain", capacity=2),
            self.swarm.bot("skilled", capacity=3, skills=("x",)),
        ]
        self.evaluators = [self.swarm.bot(f"judge-{n}", "Evaluator", capacity=2) for n in range(3)]
        self.tasks: list[str] = []
        self.leases: list[HarnessLease] = []  # all leases ever granted
        self.accepted: list[tuple[HarnessLease, dict[str, Any], ReportReply]] = []
        self.added = 0

    def attempt(self, act: Callable[[], Any]) -> Any:
        """Run a command. A refused one must change nothing."""
        calm = not self.swarm.rows("SELECT 1 FROM chore")
        before = self.swarm.dump() if calm else ""
        try:
            return act()
        except SwarmkeeperError as error:
            refusal = error
        assert not isinstance(refusal, Internal | Overloaded), repr(refusal)
        if calm and refusal.code not in LEAVES_A_RECORD:
            assert self.swarm.dump() == before, f"{refusal.code} left something behind"
        return None

    def task(self, number: int) -> str:
        return self.tasks[number % len(self.tasks)]

    def lease(self, number: int, *kinds: str) -> HarnessLease:
        """Return a live lease if there is one, or sometimes any lease ever granted."""
        live = {row["lease_id"] for row in self.swarm.rows("SELECT lease_id FROM lease")}
        among = [lease for lease in self.leases if not kinds or lease.kind in kinds]
        alive = [lease for lease in among if lease.lease_id in live]
        among = alive if alive and number % 5 else among
        return among[-1 - number % len(among)]

    # ---- clients ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.tasks) < 3)
    @rule(nodes=graphs(), planned=st.booleans(), chosen=options, priority=st.integers(0, 9))
    def submit(self, nodes: list[dict[str, Any]], planned: bool, chosen: dict[str, Any], priority: int) -> None:
        task = self.swarm.submit(nodes if planned else None, priority=priority, **chosen)
        self.tasks.append(task)

    @precondition(lambda self: self.tasks)
    @rule(
        number=pick,
        verb=st.sampled_from([commands.Pause, commands.Resume, commands.RetryFailedTask, commands.RetryFailedTask]),
    )
    def change(self, number: int, verb: Any) -> None:
        self.attempt(lambda: self.swarm.do(verb(by=CLIENT, task=self.task(number))))

    @precondition(lambda self: self.tasks)
    @rule(number=pick, verb=st.sampled_from([commands.Cancel, commands.Archive]), really=st.integers(0, 3))
    def end(self, number: int, verb: Any, really: int) -> None:
        if not really:
            self.attempt(lambda: self.swarm.do(verb(by=CLIENT, task=self.task(number))))

    @precondition(lambda self: self.tasks)
    @rule(number=pick, priority=st.integers(0, 9), deadline=st.sampled_from([None, 100.0, 1000.0]))
    def update(self, number: int, priority: int, deadline: float | None) -> None:
        self.attempt(lambda: self.swarm.update(self.task(number), priority=priority, deadline_seconds=deadline))

    # ---- bots ------------------------------------------------------------------------------------------------------

    @rule(number=pick, most=st.integers(1, 3))
    def claim(self, number: int, most: int) -> None:
        bots = [self.planner, *self.executors, *self.executors, *self.evaluators]
        self.leases += self.swarm.leases(bots[number % len(bots)], max_leases=most)

    @precondition(lambda self: self.tasks)
    @rule(reviews=st.sampled_from(["accept", "accept", "rework", "leave"]), rounds=st.integers(1, 4), nodes=graphs())
    def all_goes_well_for_a_while(self, reviews: str, rounds: int, nodes: list[dict[str, Any]]) -> None:
        for _ in range(rounds):
            for bot in (self.planner, *self.executors, *self.evaluators):
                for lease in self.swarm.leases(bot, max_leases=2):
                    self.leases.append(lease)
                    if lease.kind == "plan":
                        self.tell(lease, {"plan": nodes}, 0)
                    elif lease.kind == "execute":
                        self.tell(lease, {}, 0)
                    elif reviews != "leave":
                        self.tell(lease, {"verdict": reviews}, 0)

    def tell(self, lease: HarnessLease, content: dict[str, Any], claim: int) -> None:
        answer = self.attempt(lambda: self.swarm.report(lease, claim=claim, **content))
        if answer is not None:
            self.leases += [lease for lease in answer.leases if lease not in self.leases]
            if not answer.replayed:
                self.accepted.append((lease, content, answer))

    @precondition(lambda self: self.leases)
    @rule(number=pick, nodes=graphs(), claim=st.integers(0, 2), use=st.sampled_from([None, {"tokens": 3}]))
    def report_well(self, number: int, nodes: list[dict[str, Any]], claim: int, use: dict[str, int] | None) -> None:
        lease = self.lease(number)
        content: dict[str, Any] = {"usage": use}
        if lease.kind == "plan":
            content["plan"] = nodes
        self.tell(lease, content, claim)

    @precondition(lambda self: self.leases)
    @rule(number=pick, error=st.sampled_from(["retryable", "not_retryable", "rate_limited"]), claim=st.integers(0, 1))
    def report_failure(self, number: int, error: str, claim: int) -> None:
        self.tell(self.lease(number), {"error": error, "message": "no"}, claim)

    @precondition(lambda self: any(lease.kind != "execute" for lease in self.leases))
    @rule(number=pick, decision=st.sampled_from(["rework", "rework", "reject"]), data=st.data())
    def report_badly(self, number: int, decision: str, data: st.DataObject) -> None:
        lease = self.lease(number, "plan", "review")
        if lease.kind == "plan":
            self.tell(lease, {"plan": ["a", f"Not A Key {number % 5}"]}, 0)
            return
        verdict: dict[str, Any] = {"decision": decision, "reasons": ["not good"]}
        works = self.swarm.works(lease.task)
        there = tuple(key for key, work in works.items() if work.kind == "execute")
        if decision == "rework" and works[lease.key].subject is None:
            targets = data.draw(st.lists(st.sampled_from(there), unique=True, max_size=2))
            verdict["targets"] = [{"subtask": key, "feedback": f"mend {key}"} for key in targets]
            if data.draw(st.booleans()):
                self.added += 1
                verdict["subtasks"] = data.draw(graphs(prefix=f"r{self.added}-", outside=there[:4]))
        self.tell(lease, {"verdict": verdict}, 0)

    @precondition(lambda self: self.accepted)
    @rule(number=pick)
    def report_again(self, number: int) -> None:
        lease, content, _ = self.accepted[number % len(self.accepted)]
        assert self.swarm.report(lease, **content).replayed

    @precondition(lambda self: self.leases)
    @rule(number=pick, what=st.sampled_from(["beat", "checkpoint", "release", "put off", "ask"]))
    def say(self, number: int, what: str) -> None:
        lease = self.lease(number)
        if what == "beat":
            assert self.swarm.beat(lease) in ("continue", "cancel", "lost")
        elif what == "checkpoint":
            assert self.swarm.beat(lease, checkpoint={"page": number}) in ("continue", "cancel", "lost")
        elif what == "ask":
            self.attempt(lambda: self.swarm.ask(lease))
        else:
            self.attempt(lambda: self.swarm.release(lease, delay_seconds=5 if what == "put off" else 0))

    @precondition(lambda self: self.swarm.rows("SELECT 1 FROM approval LIMIT 1"))
    @rule(number=pick, verb=st.sampled_from(["approve", "approve", "answer", "answer", "reject"]))
    def decide(self, number: int, verb: str) -> None:
        approvals = self.swarm.rows("SELECT id, choices FROM approval ORDER BY state = 'open' DESC, id")
        approval = approvals[number % min(len(approvals), 3)]
        given = ["accept", "round"][number % 2] if "round" in approval["choices"] else "yes"
        self.attempt(lambda: self.swarm.decide(approval["id"], verb, answer=given if verb == "answer" else None))

    @rule(number=pick, verb=st.sampled_from([commands.Drain, commands.Enable, commands.Enable]))
    def drain(self, number: int, verb: Any) -> None:
        bots = [*self.executors, *self.evaluators]
        self.swarm.do(verb(by=ADMIN, bot=bots[number % len(bots)]))

    # ---- the world -------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.000001, 1.0, 10.0, 31.0, 31.0, 301.0, 1000.0, 1300.0]))
    def time_passes(self, seconds: float) -> None:
        self.swarm.advance(seconds)

    @rule()
    def the_orchestrator_dies(self) -> None:
        self.swarm.restart()

    @precondition(lambda self: self.tasks and self.leases)
    @rule(
        number=pick, verb=st.sampled_from([commands.Cancel, commands.Pause, commands.Resume, commands.RetryFailedTask])
    )
    def at_the_same_time(self, number: int, verb: Any) -> None:
        """Send a report, a client's command and the same report again, in one batch."""
        lease = self.lease(number)
        if lease.kind == "plan":
            return
        report = self.swarm.a_report(lease)
        found = self.swarm.do_all([report, verb(by=CLIENT, task=lease.task), report])
        for error in found:
            if isinstance(error, BaseException):
                assert isinstance(error, SwarmkeeperError), repr(error)
                assert not isinstance(error, Internal | Overloaded), repr(error)

    @invariant()
    def all_invariants_hold(self) -> None:
        if hasattr(self, "swarm"):
            self.swarm.check()

    def teardown(self) -> None:
        if not hasattr(self, "swarm"):
            return
        for task in self.tasks:
            if self.swarm.task(task).status not in TASK_CLOSED:
                assert self.swarm.drive(task).outcome is not None
        self.swarm.advance(60)
        self.swarm.check()
        left = self.swarm.timers() + self.swarm.rows("SELECT id FROM chore")
        assert left == [], "an ended task has no open work"
        self.swarm.close()


Story.TestCase.settings = examples(40, stateful_step_count=30)
test_all_invariants_hold_after_every_step_of_every_story = Story.TestCase
