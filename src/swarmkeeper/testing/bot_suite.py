"""Conformance checks for bots in any language: late answers, lost replies, lost leases, garbage.

The bot runs as its own process against a real orchestrator that injects faults. Used by `swarmkeeper bot test`, and as
a suite for pytest:

class TestMyBot(BotSuite):
    target = "my_bot.py:MyBot"

A failed `must` check means that work is lost or wasted. A failed `should` check is advice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from swarmkeeper.sdk.attempts.stalls import BLOCKED
from swarmkeeper.sdk.errors import ApiError
from swarmkeeper.testing.test_server import (
    LEASE_SECONDS,
    InjectedFault,
    Kind,
    Process,
    RecordedCall,
    TestServer,
    command_of,
    running_test_server,
    soon,
)
from swarmkeeper.wire.answers import Bot, Task

if TYPE_CHECKING:
    from swarmkeeper.core.model import Json

PATIENCE_SECONDS = 20.0  # for the bot's next action, including its back-off
IDLE_SECONDS = 2.0
SETTLE_SECONDS = 3.0
IDLE_CALLS_MAX = 8
INSISTING_MAX = 3  # times that a bot may repeat a report that was refused permanently
STOP_SECONDS = 30.0  # Kubernetes' default time between SIGTERM and SIGKILL
NAME = "tried"


class CheckFailed(Exception):
    """The bot failed the check. The message says what it did."""


class NotSeen(Exception):
    """The situation of the check did not occur with this bot."""


@dataclass(frozen=True, slots=True)
class ConformanceCheck:
    name: str
    says: str
    level: Literal["must", "should"]
    run: Callable[[BotUnderTest], Awaitable[None]]
    ends_it: bool = False  # the check stops the bot


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    check: ConformanceCheck
    result: Literal["passed", "failed", "not_seen"]
    detail: str = ""

    @property
    def broken(self) -> bool:
        """Whether a `must` check failed."""
        return self.result == "failed" and self.check.level == "must"


CHECKS: list[ConformanceCheck] = []
_Run = Callable[["BotUnderTest"], Awaitable[None]]


def _check(level: Literal["must", "should"], says: str, *, ends_it: bool = False) -> Callable[[_Run], _Run]:
    def add(run: _Run) -> _Run:
        CHECKS.append(ConformanceCheck(run.__name__, says, level, run, ends_it))
        return run

    return add


async def try_bot(
    target: str | Sequence[str],
    *,
    work: Mapping[str, Json] | None = None,
    patience: float = PATIENCE_SECONDS,
    stop_seconds: float = STOP_SECONDS,
    only: Sequence[str] | None = None,
    on_outcome: Callable[[CheckOutcome], None] = lambda outcome: None,
) -> list[CheckOutcome]:
    """Start a bot, run the checks, and stop it.

    Args:
        target: as for `swarmkeeper bot run`, or a command as a list of words. The bot gets SWARMKEEPER_URL and
            SWARMKEEPER_API_KEY in its environment.
        work: the task to submit for each check, as a body of `POST /tasks`. An executor gets its first subtask. Without
            `work` the input is empty; a bot may then report a failure, which also counts as an answer.
        patience: seconds to wait for each action of the bot.
        stop_seconds: time limit for the bot to end after SIGTERM.
        only: names of the checks to run; the first one, `registers`, always runs.
        on_outcome: called with each outcome.
    """
    outcomes: list[CheckOutcome] = []
    async with running_test_server() as server:
        key = await server.swarm.make_key("admin")
        environment = {"SWARMKEEPER_URL": server.url, "SWARMKEEPER_API_KEY": key}
        process = await Process.start(command_of(target), environment)
        trial = BotUnderTest(server, process, work or {}, patience, stop_seconds)
        try:
            for check in CHECKS:
                if only is not None and check.name not in only and check is not CHECKS[0]:
                    continue
                outcome = await _run_check(check, trial)
                outcomes.append(outcome)
                on_outcome(outcome)
                if check is CHECKS[0] and outcome.result != "passed":
                    break
        finally:
            await process.kill()
    return outcomes


async def _run_check(check: ConformanceCheck, trial: BotUnderTest) -> CheckOutcome:
    try:
        await check.run(trial)
        if not check.ends_it and not trial.process.alive:
            raise CheckFailed(f"its process has ended. Its output:\n{trial.process.said}")
    except CheckFailed as failed:
        return CheckOutcome(check, "failed", str(failed))
    except NotSeen as not_seen:
        return CheckOutcome(check, "not_seen", str(not_seen))
    finally:
        trial.server.calm()
        await trial.clear()
        # Wait for the bot's leases to end, so that they do not disturb the next check.
        await soon(trial.is_idle, SETTLE_SECONDS)
    return CheckOutcome(check, "passed")


class BotUnderTest:
    """A bot under test and its server."""

    def __init__(
        self, server: TestServer, process: Process, work: Mapping[str, Json], patience: float, stop_seconds: float
    ) -> None:
        self.server, self.process, self.work = server, process, work
        self.patience, self.stop_seconds = patience, stop_seconds
        self.bot: Bot | None = None
        self._tasks: list[str] = []

    # ---- giving work

    async def give(self, **more: Json) -> Task:
        """Submit a task with one work item for this bot. `more` overrides fields of the task."""
        assert self.bot is not None, "the bot has registered"
        definition: dict[str, Any] = {"title": NAME, **self.work, "approval": "none", **more}
        subtasks = definition.get("subtasks") or [{"description": NAME, "required_skills": list(self.bot.skills)}]
        # One attempt, only for this bot.
        subtask = {"max_attempts": 1, **subtasks[0], "depends_on": [], "assign_to": self.bot.name}
        match str(self.bot.type):
            case "Planner":
                definition.pop("subtasks", None)
                definition["planner_skills"] = list(self.bot.skills)
            case "Evaluator":
                definition |= {"subtasks": [subtask | {"assign_to": None, "required_skills": [NAME]}]}
                definition |= {"evaluation": "final", "evaluator_skills": list(self.bot.skills)}
            case _:
                definition |= {"subtasks": [subtask], "evaluation": "none"}
        task = await self.server.client.submit(definition)
        self._tasks.append(task.id)
        if self.bot.type == "Evaluator":
            await self._do_subtask(task)
        return task

    async def _do_subtask(self, task: Task) -> None:
        """Execute the subtask as the kit's own bot, so that the evaluator has a result to review."""
        maker = {"type": "Executor", "version": "1", "name": "maker", "skills": [NAME], "dedicated": True}
        bot_id = (await self.server.client.call("POST", "/bots/register", maker)).body["id"]
        got = await self.server.client.call("POST", "/leases", {"bot_id": bot_id, "wait_seconds": 5})
        for lease in got.body["leases"]:
            body = {"bot_id": bot_id, "lease_id": lease["lease_id"], "status": "succeeded", "output": {"made": True}}
            await self.server.client.call("POST", f"/tasks/{lease['task_id']}/results", body)

    async def clear(self) -> None:
        """Cancel open tasks, so that each check starts with an idle bot."""
        for task_id in self._tasks:
            try:
                await self.server.client.cancel(task_id)
            except ApiError:
                continue  # it is final
        self._tasks.clear()

    # ---- observing the bot

    @property
    def mark(self) -> int:
        """The number of calls so far; use it as `since`."""
        return len(self.server.calls)

    def reports(self, since: int, task: Task | None = None) -> list[RecordedCall]:
        """Return its reports since a mark, optionally only of one task. A batch counts as one report."""
        return [
            call for call in self.server.of("report", since) if task is None or task.id in _about(call, self.server)
        ]

    async def must(
        self, what: Callable[[], bool | Awaitable[bool]], otherwise: str, seconds: float | None = None
    ) -> None:
        """Wait until `what` is true.

        Raises:
            CheckFailed: it did not become true in time; with the message `otherwise`.
        """
        if not await soon(what, seconds or self.patience):
            raise CheckFailed(otherwise)

    async def must_meet(self, fault: InjectedFault, otherwise: str = "it sent no report") -> None:
        """Wait until the fault has been applied to a call."""
        await self.must(fault.met.is_set, otherwise)

    async def must_report(
        self, since: int, otherwise: str, task: Task | None = None, seconds: float | None = None
    ) -> RecordedCall:
        """Wait for an accepted report, optionally only of one task."""

        def accepted() -> list[RecordedCall]:
            return [call for call in self.reports(since, task) if call.status == 200]

        await self.must(lambda: bool(accepted()), otherwise, seconds)
        return accepted()[0]

    async def must_drop(self, since: int, task: Task) -> None:
        """Wait until a report of the task is answered. Fail if the bot then repeats a permanently refused report."""
        await self.must(lambda: any(call.status for call in self.reports(since, task)), "its report got no answer")
        await self.must_not_insist(since, task)

    async def must_not_insist(self, since: int, task: Task) -> None:
        await asyncio.sleep(IDLE_SECONDS)
        refused = [call for call in self.reports(since, task) if call.status in (404, 409)]
        if len(refused) > INSISTING_MAX:
            raise CheckFailed(f"it repeated a permanently refused report {len(refused)} times")

    async def must_go_on(self, after: str) -> None:
        """Wait until the bot takes and reports new work."""
        self.server.calm()
        since = self.mark
        await self.give()
        await self.must_report(since, f"it took no more work {after}")

    async def is_idle(self) -> bool:
        """Whether no lease is held."""
        return not await self.server.swarm.store.read("metrics_leases", {})


def _about(call: RecordedCall, server: TestServer) -> set[str]:
    """Return the ids of the tasks in a report."""
    body = call.body if isinstance(call.body, dict) else {}
    several = body.get("results")
    items = several if isinstance(several, list) else [body]
    named = {str(item.get("task_id")) for item in items if isinstance(item, dict) and item.get("task_id")}
    leases = {str(item.get("lease_id")) for item in items if isinstance(item, dict)}
    for answer in (earlier.answer for earlier in server.calls if isinstance(earlier.answer, dict)):
        for lease in answer.get("leases") or []:
            if isinstance(lease, dict) and lease.get("lease_id") in leases:
                named.add(str(lease.get("task_id")))
    return named


# ---- the checks, in the order in which they run --------------------------------------------------------------------


@_check("must", "registers with a type and a version")
async def registers(trial: BotUnderTest) -> None:
    await trial.must(
        lambda: any(call.status in (200, 201) for call in trial.server.of("register")) or not trial.process.alive,
        f"it did not register within {trial.patience:.0f} s. Its output:\n{trial.process.said}",
    )
    found = [call for call in trial.server.of("register") if call.status in (200, 201)]
    if not found:
        raise CheckFailed(f"its process ended before it registered. Its output:\n{trial.process.said}")
    trial.bot = Bot.model_validate(found[0].answer)


@_check("must", "takes work and reports the result")
async def reports(trial: BotUnderTest) -> None:
    since = trial.mark
    task = await trial.give()
    call = await trial.must_report(since, "it was given work, but no report of it was accepted")
    if task.id not in _about(call, trial.server):
        raise CheckFailed("it reported other work than it was given")


@_check("should", "waits for work in long polls, without calling repeatedly")
async def idles(trial: BotUnderTest) -> None:
    since = trial.mark
    await asyncio.sleep(IDLE_SECONDS)
    calls = trial.mark - since
    if calls > IDLE_CALLS_MAX:
        raise CheckFailed(f"it made {calls} calls in {IDLE_SECONDS:.0f} s without work: use wait_seconds")


@_check("must", "sends a report again, unchanged, when its answer was lost")
async def repeats_a_report(trial: BotUnderTest) -> None:
    since = trial.mark
    lost = trial.server.arrange(InjectedFault("report", "lose"))
    task = await trial.give()
    await trial.must_meet(lost)
    await trial.must(lambda: len(trial.reports(since, task)) > 1, "it did not send the report again")
    again = trial.reports(since, task)[1]
    await trial.must(lambda: bool(again.status), "its second report got no answer")
    if again.status == 409:
        raise CheckFailed("it sent a different result under the same lease: keep the report, and repeat it unchanged")


@_check("must", "does work that was handed out in an answer that was lost")
async def repeats_a_claim(trial: BotUnderTest) -> None:
    since = trial.mark
    lost = trial.server.arrange(InjectedFault("claim", "lose", only_leases=True))
    task = await trial.give()
    await trial.must_meet(lost, "it did not ask for work")
    otherwise = "the answer with its lease was lost, and it never did the work"
    await trial.must_report(since, otherwise, task, trial.patience + 2 * LEASE_SECONDS)


@_check("should", "repeats a claim under its claim_id, so that no lease has to expire")
async def names_its_claims(trial: BotUnderTest) -> None:
    since = trial.mark
    lost = trial.server.arrange(InjectedFault("claim", "lose", only_leases=True))
    task = await trial.give()
    await trial.must_meet(lost, "it did not ask for work")
    first = lost.calls[0]

    def later() -> list[RecordedCall]:
        return [call for call in trial.server.of("claim", since) if call.at > first.at]

    await trial.must(lambda: bool(later()), "it did not ask again")
    if not first.body.get("claim_id") or first.body.get("claim_id") != later()[0].body.get("claim_id"):
        raise CheckFailed("its retry was a new claim: send a claim_id, and repeat it with each retry")
    await soon(lambda: bool(trial.reports(since, task)), trial.patience)


@_check("should", "sends heartbeats while it holds a lease, so that long work is not considered lost")
async def beats(trial: BotUnderTest) -> None:
    since = trial.mark
    held = trial.server.arrange(InjectedFault("report", "hold"))
    await trial.give()
    await trial.must_meet(held)
    await asyncio.sleep(2 * LEASE_SECONDS)
    beats = len(trial.server.of("beat", since))
    held.release.set()
    report = held.calls[0]
    await trial.must(lambda: report.status != 0, "its report got no answer")
    if report.status != 200:
        raise CheckFailed(
            f"it sent {beats} heartbeats in {2 * LEASE_SECONDS:.0f} s with a lease of {LEASE_SECONDS:.0f} s:"
            " its lease expired before its report arrived"
        )


@_check("should", "does not block its event loop while it works (bots of the Python SDK say where they block)")
async def keeps_its_loop_free(trial: BotUnderTest) -> None:
    since = trial.mark
    task = await trial.give()

    def blocked() -> str | None:
        return next((line for line in trial.process.said.splitlines() if BLOCKED in line), None)

    await soon(lambda: bool(trial.reports(since, task)) or blocked() is not None, trial.patience)
    if (line := blocked()) is not None:
        raise CheckFailed(line)


@_check("must", "drops work whose lease it lost, and continues")
async def drops_lost_work(trial: BotUnderTest) -> None:
    since = trial.mark
    trial.server.arrange(InjectedFault("beat", "refuse", times=1000))
    held = trial.server.arrange(InjectedFault("report", "hold"))
    task = await trial.give()
    await trial.must_meet(held)
    await trial.must(trial.is_idle, "its lease did not expire", trial.patience + 2 * LEASE_SECONDS)
    held.release.set()
    await trial.must_drop(since, task)
    await trial.must_go_on("after its lease was lost")


@_check("must", "drops work of a cancelled task, and continues")
async def drops_cancelled_work(trial: BotUnderTest) -> None:
    since = trial.mark
    held = trial.server.arrange(InjectedFault("report", "hold"))
    task = await trial.give()
    await trial.must_meet(held)
    await trial.server.client.cancel(task.id)
    held.release.set()
    await trial.must_drop(since, task)
    await trial.must_go_on("after its work was cancelled")


@_check("must", "tries again, but not at once, when the server is overloaded")
async def is_patient(trial: BotUnderTest) -> None:
    since = trial.mark
    refused = trial.server.arrange(InjectedFault("report", "refuse", times=3))
    task = await trial.give()
    await trial.must_meet(refused)
    otherwise = "the server refused its report three times as overloaded, and the report never arrived"
    await trial.must_report(since, otherwise, task)
    times = [call.at for call in trial.reports(since, task)][:4]
    if len(times) > 3 and times[3] - times[0] < 0.2:
        raise CheckFailed("it sent four reports within 0.2 s: wait as long as Retry-After says, or back off")


@_check("must", "survives an answer that makes no sense")
async def survives_garbage(trial: BotUnderTest) -> None:
    since = trial.mark
    trial.server.arrange(InjectedFault("claim", "garble"))
    garbled = trial.server.arrange(InjectedFault("report", "garble"))
    task = await trial.give()
    await trial.must_meet(garbled, "it sent no report after its claim was answered with a proxy's error page")
    otherwise = "its report was answered with a proxy's error page, and it did not send the report again"
    await trial.must_report(since, otherwise, task)


@_check("must", "ignores fields it does not know: later releases may add fields to answers")
async def forgives_new_fields(trial: BotUnderTest) -> None:
    kinds: tuple[Kind, ...] = ("claim", "report", "beat")
    for kind in kinds:
        trial.server.arrange(InjectedFault(kind, "extend", times=1000))
    since = trial.mark
    await trial.give()
    await trial.must_report(since, "answers had unknown fields, and it sent no report")
    await trial.must_go_on("after answers with unknown fields")


@_check("must", "does no harm when the same lease is delivered twice")
async def takes_a_lease_once(trial: BotUnderTest) -> None:
    since = trial.mark
    repeated = trial.server.arrange(InjectedFault("claim", "repeat"))
    task = await trial.give()
    await trial.must_report(since, "an answer had a lease twice, and it sent no report")
    if not repeated.met.is_set():
        raise NotSeen("it got its work in the answer to a report")
    await trial.must_not_insist(since, task)
    await trial.must_go_on("after a lease was delivered twice")


@_check("must", "answers for work that it does not understand")
async def reports_what_it_cannot_do(trial: BotUnderTest) -> None:
    for odd in ({"": None}, {"text": ["\U0001f600\u202e", -0.0, 2**53 - 1, {"a": {"b": [[]]}}], "n": "5"}):
        since = trial.mark
        task = await trial.give(**_with_input(trial, odd))
        call = await trial.must_report(since, "it was given an unusual input, and sent no report: report a failure")
        if task.id not in _about(call, trial.server):
            raise CheckFailed("it reported other work than it was given")


def _with_input(trial: BotUnderTest, odd: Mapping[str, Json]) -> dict[str, Json]:
    assert trial.bot is not None
    subtask = {"description": "", "required_skills": list(trial.bot.skills), "input": odd}
    return {"input": odd, "subtasks": [subtask]}


@_check("should", "leaves no lease behind when it is asked to stop", ends_it=True)
async def stops_clean(trial: BotUnderTest) -> None:
    refused = trial.server.arrange(InjectedFault("report", "refuse", times=1000))
    await trial.give()
    await trial.must_meet(refused)
    trial.process.ask_to_stop()
    await asyncio.sleep(0.2)
    trial.server.calm()
    await trial.process.ended(trial.stop_seconds)
    if not await soon(trial.is_idle, 1.0):
        raise CheckFailed("it ended while it held a lease: the work waits until the lease expires")


@_check("must", f"exits when it is asked to, within {STOP_SECONDS:.0f} s of SIGTERM", ends_it=True)
async def stops(trial: BotUnderTest) -> None:
    trial.process.ask_to_stop()
    if not await trial.process.ended(trial.stop_seconds):
        raise CheckFailed(f"it was still running {trial.stop_seconds:.0f} s after SIGTERM")


# ---- as a suite ----------------------------------------------------------------------------------------------------


class BotSuite:
    """The checks as tests. Set `target` as for `swarmkeeper bot run`, or to a command as a list of words."""

    target: ClassVar[str | Sequence[str]]
    work: ClassVar[Mapping[str, Json] | None] = None
    patience: ClassVar[float] = PATIENCE_SECONDS

    def test_the_bot_passes_the_conformance_checks(self) -> None:
        outcomes = asyncio.run(try_bot(self.target, work=self.work, patience=self.patience))

        failed = [f"{outcome.check.name}: {outcome.detail}" for outcome in outcomes if outcome.result == "failed"]
        assert not failed, "\n".join(failed)
