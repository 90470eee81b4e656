"""What every bot has to stand, in whatever language it is written: late answers, lost replies, lost leases, garbage.

A bot is tried as it runs: its own process, spoken to over HTTP by a real orchestrator that misbehaves to order. For
`swarmkeeper bot test`, and as a suite for pytest:

class TestMyBot(BotSuite):
    target = "my_bot.py:MyBot"

A bot fails where work is lost or done for nothing (`must`); where it could do better it is advised (`should`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from swarmkeeper.sdk.attempts.stalls import BLOCKED
from swarmkeeper.sdk.errors import ApiError
from swarmkeeper.testing.test_server import LEASE_SECONDS, Call, Fault, Kind, Process, Stage, command_of, soon, stage
from swarmkeeper.wire.answers import Bot, Task

if TYPE_CHECKING:
    from swarmkeeper.core.model import Json

PATIENCE_SECONDS = 20.0  # for the next thing that a bot does; its own back-off is part of it
IDLE_SECONDS = 2.0
SETTLE_SECONDS = 3.0
IDLE_CALLS_MAX = 8
INSISTING_MAX = 3  # times that a report may be sent again which was refused for good
STOP_SECONDS = 30.0  # what a pod is given between SIGTERM and SIGKILL
NAME = "tried"


class Failed(Exception):
    """The bot did not do what the check is about. The message says what was seen."""


class NotSeen(Exception):
    """What the check is about did not come up with this bot."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    says: str
    level: Literal["must", "should"]
    run: Callable[[Trial], Awaitable[None]]
    ends_it: bool = False  # it asks the bot to stop


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check
    result: Literal["passed", "failed", "not_seen"]
    detail: str = ""

    @property
    def broken(self) -> bool:
        """Whether it is a reason not to let this bot near work that matters."""
        return self.result == "failed" and self.check.level == "must"


CHECKS: list[Check] = []
_Run = Callable[["Trial"], Awaitable[None]]


def _check(level: Literal["must", "should"], says: str, *, ends_it: bool = False) -> Callable[[_Run], _Run]:
    def add(run: _Run) -> _Run:
        CHECKS.append(Check(run.__name__, says, level, run, ends_it))
        return run

    return add


async def try_bot(
    target: str | Sequence[str],
    *,
    work: Mapping[str, Json] | None = None,
    patience: float = PATIENCE_SECONDS,
    stop_seconds: float = STOP_SECONDS,
    only: Sequence[str] | None = None,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Start a bot, try it, and stop it.

    Args:
        target: what `swarmkeeper bot run` takes, or the words of a command. It finds SWARMKEEPER_URL and
            SWARMKEEPER_API_KEY in its environment, as any bot does.
        work: the task it is given again and again, as `POST /tasks` takes it. For an executor that is its first
            subtask; without one it gets an empty input, and may well report that it failed: that is an answer, too.
        patience: seconds for each next thing that it is to do.
        stop_seconds: within which it is to end, once it is asked to.
        only: names of checks; the first, that it registers, is always made.
        told: hears each outcome as it is known.
    """
    outcomes: list[Outcome] = []
    async with stage() as on:
        key = await on.swarm.make_key("admin")
        environment = {"SWARMKEEPER_URL": on.url, "SWARMKEEPER_API_KEY": key}
        process = await Process.start(command_of(target), environment)
        trial = Trial(on, process, work or {}, patience, stop_seconds)
        try:
            for check in CHECKS:
                if only is not None and check.name not in only and check is not CHECKS[0]:
                    continue
                outcome = await _make(check, trial)
                outcomes.append(outcome)
                told(outcome)
                if check is CHECKS[0] and outcome.result != "passed":
                    break
        finally:
            await process.kill()
    return outcomes


async def _make(check: Check, trial: Trial) -> Outcome:
    try:
        await check.run(trial)
        if not check.ends_it and not trial.process.alive:
            raise Failed(f"its process has ended. It said:\n{trial.process.said}")
    except Failed as failed:
        return Outcome(check, "failed", str(failed))
    except NotSeen as not_seen:
        return Outcome(check, "not_seen", str(not_seen))
    finally:
        trial.stage.calm()
        await trial.clear()
        # What it still has in hand is not to be taken for what the next check is about.
        await soon(trial.take_back, SETTLE_SECONDS)
    return Outcome(check, "passed")


class Trial:
    """One bot on its stage."""

    def __init__(
        self, on: Stage, process: Process, work: Mapping[str, Json], patience: float, stop_seconds: float
    ) -> None:
        self.stage, self.process, self.work = on, process, work
        self.patience, self.stop_seconds = patience, stop_seconds
        self.bot: Bot | None = None
        self._tasks: list[str] = []

    # ---- giving it work

    async def give(self, **more: Json) -> Task:
        """One piece of work that this bot can take."""
        assert self.bot is not None, "the first check finds it"
        definition: dict[str, Any] = {"title": NAME, **self.work, "approval": "none", **more}
        subtasks = definition.get("subtasks") or [{"description": NAME, "required_skills": list(self.bot.skills)}]
        # Tried once, and nobody else's business: what is looked at is how the bot goes about it.
        one = {"max_attempts": 1, **subtasks[0], "depends_on": [], "assign_to": self.bot.name}
        match str(self.bot.type):
            case "Planner":
                definition.pop("subtasks", None)
                definition["planner_skills"] = list(self.bot.skills)
            case "Evaluator":
                definition |= {"subtasks": [one | {"assign_to": None, "required_skills": [NAME]}]}
                definition |= {"evaluation": "final", "evaluator_skills": list(self.bot.skills)}
            case _:
                definition |= {"subtasks": [one], "evaluation": "none"}
        task = await self.stage.client.submit(definition)
        self._tasks.append(task.id)
        if self.bot.type == "Evaluator":
            await self._do_subtask(task)
        return task

    async def _do_subtask(self, task: Task) -> None:
        """What an evaluator judges is made by the kit itself."""
        maker = {"type": "Executor", "version": "1", "name": "maker", "skills": [NAME], "dedicated": True}
        bot_id = (await self.stage.client.call("POST", "/bots/register", maker)).body["id"]
        got = await self.stage.client.call("POST", "/leases", {"bot_id": bot_id, "wait_seconds": 5})
        for lease in got.body["leases"]:
            body = {"bot_id": bot_id, "lease_id": lease["lease_id"], "status": "succeeded", "output": {"made": True}}
            await self.stage.client.call("POST", f"/tasks/{lease['task_id']}/results", body)

    async def clear(self) -> None:
        """Take back what is still open, so that each check begins with a bot that has nothing to do."""
        for task_id in self._tasks:
            try:
                await self.stage.client.cancel(task_id)
            except ApiError:
                continue  # it is over
        self._tasks.clear()

    # ---- what it does

    @property
    def mark(self) -> int:
        """A place in the record of its calls."""
        return len(self.stage.calls)

    def reports(self, since: int, task: Task | None = None) -> list[Call]:
        """Its reports, of one task; those of a batch count as the batch."""
        return [call for call in self.stage.of("report", since) if task is None or task.id in _about(call, self.stage)]

    async def must(self, what: Callable[[], bool], otherwise: str, seconds: float | None = None) -> None:
        if not await soon(what, seconds or self.patience):
            raise Failed(otherwise)

    async def must_report(self, since: int, otherwise: str) -> Call:
        await self.must(lambda: bool(self._accepted(since)), otherwise)
        return self._accepted(since)[0]

    def _accepted(self, since: int) -> list[Call]:
        return [call for call in self.stage.of("report", since) if call.status == 200]

    async def must_go_on(self, after: str) -> None:
        """It takes the next work and reports it."""
        self.stage.calm()
        since = self.mark
        await self.give()
        await self.must_report(since, f"it did nothing more {after}")

    def take_back(self) -> bool:
        """Whether nothing is leased any more."""
        return not self.stage.swarm.engine.scheduler.held


def _about(call: Call, on: Stage) -> set[str]:
    """Which tasks a report speaks of."""
    body = call.body if isinstance(call.body, dict) else {}
    several = body.get("results")
    items = several if isinstance(several, list) else [body]
    named = {str(item.get("task_id")) for item in items if isinstance(item, dict) and item.get("task_id")}
    leases = {str(item.get("lease_id")) for item in items if isinstance(item, dict)}
    for answer in (one.answer for one in on.calls if isinstance(one.answer, dict)):
        for lease in answer.get("leases") or []:
            if isinstance(lease, dict) and lease.get("lease_id") in leases:
                named.add(str(lease.get("task_id")))
    return named


# ---- the checks, in the order in which they are made ---------------------------------------------------------------


@_check("must", "registers with a type and a version")
async def registers(trial: Trial) -> None:
    await trial.must(
        lambda: any(call.status in (200, 201) for call in trial.stage.of("register")) or not trial.process.alive,
        f"it did not register within {trial.patience:.0f} s. It said:\n{trial.process.said}",
    )
    found = [call for call in trial.stage.of("register") if call.status in (200, 201)]
    if not found:
        raise Failed(f"its process ended before it had registered. It said:\n{trial.process.said}")
    trial.bot = Bot.model_validate(found[0].answer)


@_check("must", "takes work and reports the result")
async def reports(trial: Trial) -> None:
    since = trial.mark
    task = await trial.give()
    call = await trial.must_report(since, "it was given work, and no report of it was accepted")
    if task.id not in _about(call, trial.stage):
        raise Failed("it reported something else than what it was given")


@_check("should", "waits for work in long polls, without calling repeatedly")
async def idles(trial: Trial) -> None:
    since = trial.mark
    await asyncio.sleep(IDLE_SECONDS)
    calls = trial.mark - since
    if calls > IDLE_CALLS_MAX:
        raise Failed(f"{calls} calls in {IDLE_SECONDS:.0f} s without work: ask with wait_seconds")


@_check("must", "sends a report again, unchanged, when its answer was lost")
async def repeats_a_report(trial: Trial) -> None:
    since = trial.mark
    lost = trial.stage.arrange(Fault("report", "lose"))
    task = await trial.give()
    await trial.must(lost.met.is_set, "it reported nothing")
    await trial.must(lambda: len(trial.reports(since, task)) > 1, "it did not send the report again")
    again = trial.reports(since, task)[1]
    await trial.must(lambda: bool(again.status), "its second report was never answered")
    if again.status == 409:
        raise Failed("it sent another result under the same lease: keep what was sent, and send just that again")


@_check("must", "does work that was handed out in an answer that was lost")
async def repeats_a_claim(trial: Trial) -> None:
    since = trial.mark
    lost = trial.stage.arrange(Fault("claim", "lose", only_leases=True))
    task = await trial.give()
    await trial.must(lost.met.is_set, "it asked for no work")
    await trial.must(
        lambda: any(call.status == 200 for call in trial.reports(since, task)),
        "work was leased to it in an answer that got lost, and it never came back for it",
        trial.patience + 2 * LEASE_SECONDS,
    )


@_check("should", "repeats a claim under its claim_id, so that no lease has to expire")
async def names_its_claims(trial: Trial) -> None:
    since = trial.mark
    lost = trial.stage.arrange(Fault("claim", "lose", only_leases=True))
    task = await trial.give()
    await trial.must(lost.met.is_set, "it asked for no work")
    first = lost.calls[0]

    def later() -> list[Call]:
        return [call for call in trial.stage.of("claim", since) if call.at > first.at]

    await trial.must(lambda: bool(later()), "it did not ask again")
    if not first.body.get("claim_id") or first.body.get("claim_id") != later()[0].body.get("claim_id"):
        raise Failed("it asked again as if for something else: send a claim_id, and the same one with each retry")
    await soon(lambda: bool(trial.reports(since, task)), trial.patience)


@_check("should", "sends heartbeats while it holds a lease, so that long work is not considered lost")
async def beats(trial: Trial) -> None:
    since = trial.mark
    held = trial.stage.arrange(Fault("report", "hold"))
    await trial.give()
    await trial.must(held.met.is_set, "it reported nothing")
    await asyncio.sleep(2 * LEASE_SECONDS)
    beats = len(trial.stage.of("beat", since))
    held.release.set()
    report = held.calls[0]
    await trial.must(lambda: report.status != 0, "its report was never answered")
    if report.status != 200:
        raise Failed(
            f"{beats} heartbeats in {2 * LEASE_SECONDS:.0f} s with a lease of {LEASE_SECONDS:.0f} s: its work was given"
            " to another before its report arrived"
        )


@_check("should", "does not block its event loop while it works (bots of the Python SDK say where they block)")
async def keeps_its_loop_free(trial: Trial) -> None:
    since = trial.mark
    task = await trial.give()

    def blocked() -> str | None:
        return next((line for line in trial.process.said.splitlines() if BLOCKED in line), None)

    await soon(lambda: bool(trial.reports(since, task)) or blocked() is not None, trial.patience)
    if (line := blocked()) is not None:
        raise Failed(line)


@_check("must", "drops work whose lease it lost, and continues")
async def drops_lost_work(trial: Trial) -> None:
    since = trial.mark
    trial.stage.arrange(Fault("beat", "refuse", times=1000))
    held = trial.stage.arrange(Fault("report", "hold"))
    task = await trial.give()
    await trial.must(held.met.is_set, "it reported nothing")
    await trial.must(trial.take_back, "its lease did not run out", trial.patience + 2 * LEASE_SECONDS)
    held.release.set()
    await trial.must(lambda: any(call.status for call in trial.reports(since, task)), "its report was never answered")
    await _insists_not(trial, since, task)
    await trial.must_go_on("after its lease was lost")


@_check("must", "drops work of a cancelled task, and continues")
async def drops_cancelled_work(trial: Trial) -> None:
    since = trial.mark
    held = trial.stage.arrange(Fault("report", "hold"))
    task = await trial.give()
    await trial.must(held.met.is_set, "it reported nothing")
    await trial.stage.client.cancel(task.id)
    held.release.set()
    await trial.must(lambda: any(call.status for call in trial.reports(since, task)), "its report was never answered")
    await _insists_not(trial, since, task)
    await trial.must_go_on("after its work was cancelled")


async def _insists_not(trial: Trial, since: int, task: Task) -> None:
    await asyncio.sleep(IDLE_SECONDS)
    refused = [call for call in trial.reports(since, task) if call.status in (404, 409)]
    if len(refused) > INSISTING_MAX:
        raise Failed(f"it sent a report that was refused for good {len(refused)} times")


@_check("must", "tries again, but not at once, when the server is overloaded")
async def is_patient(trial: Trial) -> None:
    since = trial.mark
    refused = trial.stage.arrange(Fault("report", "refuse", times=3))
    task = await trial.give()
    await trial.must(refused.met.is_set, "it reported nothing")
    await trial.must(
        lambda: any(call.status == 200 for call in trial.reports(since, task)),
        "the server was overloaded for three calls, and its report never arrived",
    )
    times = [call.at for call in trial.reports(since, task)][:4]
    if len(times) > 3 and times[3] - times[0] < 0.2:
        raise Failed("four reports within a fifth of a second: wait as long as Retry-After says, or back off")


@_check("must", "survives an answer that makes no sense")
async def survives_garbage(trial: Trial) -> None:
    since = trial.mark
    trial.stage.arrange(Fault("claim", "garble"))
    garbled = trial.stage.arrange(Fault("report", "garble"))
    task = await trial.give()
    await trial.must(garbled.met.is_set, "it reported nothing after a proxy had answered its claim with an error page")
    await trial.must(
        lambda: any(call.status == 200 for call in trial.reports(since, task)),
        "a proxy answered its report with an error page, and it did not send it again",
    )


@_check("must", "ignores fields it does not know: later releases may add fields to answers")
async def forgives_new_fields(trial: Trial) -> None:
    kinds: tuple[Kind, ...] = ("claim", "report", "beat")
    for kind in kinds:
        trial.stage.arrange(Fault(kind, "extend", times=1000))
    since = trial.mark
    await trial.give()
    await trial.must_report(since, "every record had a field more than today, and it reported nothing")
    await trial.must_go_on("after answers with fields it does not know")


@_check("must", "does no harm when the same lease is delivered twice")
async def takes_a_lease_once(trial: Trial) -> None:
    since = trial.mark
    repeated = trial.stage.arrange(Fault("claim", "repeat"))
    task = await trial.give()
    await trial.must_report(since, "a lease stood twice in one answer, and it reported nothing")
    if not repeated.met.is_set():
        raise NotSeen("it got its work with the answer to a report")
    await _insists_not(trial, since, task)
    await trial.must_go_on("after a lease was delivered twice")


@_check("must", "answers for work that it does not understand")
async def reports_what_it_cannot_do(trial: Trial) -> None:
    for odd in ({"": None}, {"text": ["\U0001f600\u202e", -0.0, 2**53 - 1, {"a": {"b": [[]]}}], "n": "5"}):
        since = trial.mark
        task = await trial.give(**_with_input(trial, odd))
        call = await trial.must_report(since, "it was given an odd input, and reported nothing: say that it failed")
        if task.id not in _about(call, trial.stage):
            raise Failed("it reported something else than what it was given")


def _with_input(trial: Trial, odd: Mapping[str, Json]) -> dict[str, Json]:
    assert trial.bot is not None
    subtask = {"description": "", "required_skills": list(trial.bot.skills), "input": odd}
    return {"input": odd, "subtasks": [subtask]}


@_check("should", "leaves no lease behind when it is asked to stop", ends_it=True)
async def stops_clean(trial: Trial) -> None:
    refused = trial.stage.arrange(Fault("report", "refuse", times=1000))
    await trial.give()
    await trial.must(refused.met.is_set, "it reported nothing")
    trial.process.ask_to_stop()
    await asyncio.sleep(0.2)
    trial.stage.calm()
    await trial.process.ended(trial.stop_seconds)
    if not await soon(trial.take_back, 1.0):
        raise Failed("it ended with a lease in hand: others wait until it runs out")


@_check("must", f"exits when it is asked to, within {STOP_SECONDS:.0f} s of SIGTERM", ends_it=True)
async def stops(trial: Trial) -> None:
    trial.process.ask_to_stop()
    if not await trial.process.ended(trial.stop_seconds):
        raise Failed("it goes on")


# ---- as a suite ----------------------------------------------------------------------------------------------------


class BotSuite:
    """The checks as tests. Name the bot in `target`: what `swarmkeeper bot run` takes, or the words of a command."""

    target: ClassVar[str | Sequence[str]]
    work: ClassVar[Mapping[str, Json] | None] = None
    patience: ClassVar[float] = PATIENCE_SECONDS

    def test_it_stands_whatever_may_happen_to_a_bot(self) -> None:
        outcomes = asyncio.run(try_bot(self.target, work=self.work, patience=self.patience))

        failed = [f"{one.check.name}: {one.detail}" for one in outcomes if one.result == "failed"]
        assert not failed, "\n".join(failed)
