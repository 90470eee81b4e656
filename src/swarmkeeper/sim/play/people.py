"""The people of a run: clients who submit tasks and watch them, operators, and approvers.

A client's later changes to a task (cancel, pause, change, retry) are drawn from the task's title at submission.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Protocol

from swarmkeeper.core import commands
from swarmkeeper.core.commands import Command
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import TASK_CLOSED, TaskStatus
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.kernel.network import IncomingRequest
from swarmkeeper.sim.oracle.seen import ApprovalSeen, TaskSeen
from swarmkeeper.sim.oracle.tenant_isolation import named, tenant_id
from swarmkeeper.sim.play.bots import SimBot
from swarmkeeper.sim.play.host import Environment, Party, canonical
from swarmkeeper.sim.play.scenarios import Submission, submission_of

WATCH_SECONDS = 60.0
LOOK_SECONDS = 20.0
RETRIES_MAX = 2


class PeopleEdge(Protocol):
    """Requests of people to the orchestrator: `CoreEdge` calls the engine, `SdkEdge` calls the SDK."""

    async def do(self, call: IncomingRequest, command: Command[Any]) -> Any:
        """Carry out a command and return the engine's answer."""

    async def task(self, call: IncomingRequest, by: Principal, task: str) -> TaskSeen:
        """Read a task.

        Raises:
            ResourceNotFound: there is no such task.
        """

    async def approvals(self, call: IncomingRequest, by: Principal) -> list[ApprovalSeen]:
        """List the open approvals."""


def _person(role: str, tenant: int) -> tuple[str, Principal]:
    """Return a person's name in the run, and their principal."""
    name = named(tenant_id(tenant), role)
    return name, Principal(tenant_id(tenant), f"key_{name}", role)


class TaskClient(Party[PeopleEdge]):
    """Submits tasks as they arrive, and watches each to its end."""

    watch_seconds = WATCH_SECONDS

    def __init__(self, env: Environment, tenant: int = 1) -> None:
        super().__init__(env, *_person("client", tenant))
        self.submitted = 0
        self.under_way = 0  # tasks that the client still watches

    async def run(self) -> None:
        scenario, env = self.env.scenario, self.env
        while scenario.tasks_max is None or self.submitted < scenario.tasks_max:
            number = self.submitted + 1
            await asyncio.sleep(env.choice.waiting(3600 / scenario.tasks_per_hour, "arrival", self._qualified(number)))
            if env.ended.is_set():
                return
            self.submitted = number
            self.under_way += 1
            self.host.start(self._handle_task(submission_of(scenario, env.choice, self._qualified(f"t{number}"))))

    def _qualified(self, what: object) -> str:
        return named(self.by.tenant, str(what))

    async def _handle_task(self, wanted: Submission) -> None:
        task = await self._submit(wanted)
        if task is not None:
            self._schedule_changes(wanted.title, task)
            await self._watch(wanted.title, task)
        self.under_way -= 1

    async def _submit(self, wanted: Submission) -> str | None:
        specs = None if wanted.subtasks is None else tuple(map(graph.from_json, wanted.subtasks))
        deadline = wanted.deadline_seconds
        key = wanted.title.removeprefix(self._qualified(""))  # clients of all tenants use the same keys
        submit = commands.Submit(
            by=self.by,
            idempotency=(key, key),
            title=wanted.title,
            spec=canonical({"title": wanted.title}),
            priority=wanted.priority,
            evaluation=wanted.evaluation,
            quorum=wanted.quorum,
            approval=wanted.approval,
            max_rounds=wanted.max_rounds,
            budget=wanted.budget,
            deadline=None if deadline is None else round(deadline * SECOND),
            subtasks=specs,
        )
        try:
            task: str = await self.ask(f"submit.{wanted.title}", lambda edge, call: edge.do(call, submit))
        except SwarmkeeperError as error:
            reached(f"a submission was refused: {error.code}")
            return None
        return task

    # ---- changes to a task -----------------------------------------------------------------------------------------

    def _schedule_changes(self, title: str, task: str) -> None:
        people, choice = self.env.scenario.people, self.env.choice
        if choice.hit(people.cancel, "cancel", title):
            self._at(choice.waiting(240, "when", "cancel", title), title, commands.Cancel(by=self.by, task=task))
        if choice.hit(people.pause, "pause", title):
            when = choice.waiting(120, "when", "pause", title)
            self._at(when, title, commands.Pause(by=self.by, task=task))
            when += choice.waiting(300, "when", "resume", title)
            self._at(when, title, commands.Resume(by=self.by, task=task), stubborn=True)
        if choice.hit(people.patch, "patch", title):
            priority = choice.below(10, "patch", "to", title)
            patch = commands.Update(by=self.by, task=task, priority=priority, labels={"patched": "yes"})
            self._at(choice.waiting(120, "when", "patch", title), title, patch)
        if choice.hit(people.tell, "tell", title):
            message = commands.SendMessage(by=self.by, task=task, to_bot=None, payload=canonical({"note": title}))
            self._at(choice.waiting(120, "when", "tell", title), title, message)

    def _at(self, seconds: float, title: str, command: Command[Any], *, stubborn: bool = False) -> None:
        self.host.start(self._do_later(seconds, title, command, stubborn=stubborn))

    async def _do_later(self, seconds: float, title: str, command: Command[Any], *, stubborn: bool) -> None:
        await asyncio.sleep(seconds)
        while True:
            await self._do(title, command)
            if not stubborn:
                return
            # A resume that overtook its pause would leave the task held for ever.
            await asyncio.sleep(self.watch_seconds)
            task = await self._look(title, getattr(command, "task", ""))
            if task is None or "paused" not in task.holds or task.status in TASK_CLOSED:
                return

    async def _do(self, title: str, command: Command[Any]) -> None:
        # Seeds find their choices by this name, so it stays as it is.
        verb = (
            "tell"
            if isinstance(command, commands.SendMessage)
            else type(command).__name__.lower().removesuffix("failedtask")
        )
        try:
            await self.ask(f"{verb}.{title}", lambda edge, call: edge.do(call, command))
            reached(f"a client's {verb} was carried out")
        except SwarmkeeperError as error:
            reached(f"a client's {verb} was refused: {error.code}")

    async def _look(self, title: str, task: str) -> TaskSeen | None:
        try:
            return await self.ask(f"look.{title}", lambda edge, call: edge.task(call, self.by, task))
        except SwarmkeeperError:
            self.env.model.broken("7.acknowledged", title, "an acknowledged task is not found")
            return None

    async def _watch(self, title: str, task: str) -> None:
        people, choice = self.env.scenario.people, self.env.choice
        retries = 0
        while True:
            await asyncio.sleep(self.watch_seconds)
            seen = await self._look(title, task)
            if seen is None or seen.status == TaskStatus.ARCHIVED:
                return
            if "paused" in seen.holds and self.env.faults.healed:
                await self._do(title, commands.Resume(by=self.by, task=task))
            if seen.status != TaskStatus.FAILED:
                continue
            if retries < RETRIES_MAX and choice.hit(people.retry, "retry", title, retries):
                retries += 1
                await self._do(title, commands.RetryFailedTask(by=self.by, task=task))
                continue
            if choice.hit(people.archive, "archive", title):
                await self._do(title, commands.Archive(by=self.by, task=task))
            return


class Operator(Party[PeopleEdge]):
    """Drains bots at times, and enables them again."""

    def __init__(self, env: Environment, bots: Sequence[SimBot], tenant: int = 1) -> None:
        super().__init__(env, *_person("operator", tenant))
        self._bots = bots

    async def run(self) -> None:
        choice, people = self.env.choice, self.env.scenario.people
        round_ = 0
        while not self.env.ended.is_set():
            await asyncio.sleep(600)
            round_ += 1
            for bot in self._bots:
                if bot.id and choice.hit(people.drain, "drain", bot.name, round_):
                    await self._do(f"drain.{bot.name}", commands.Drain(by=self.by, bot=bot.id))
                    await asyncio.sleep(choice.waiting(120, "drained", bot.name, round_))
                    await self._do(f"enable.{bot.name}", commands.Enable(by=self.by, bot=bot.id))

    async def _do(self, what: str, command: Command[Any]) -> None:
        await self.ask(what, lambda edge, call: edge.do(call, command))


class Approver(Party[PeopleEdge]):
    look_seconds = LOOK_SECONDS

    def __init__(self, env: Environment, tenant: int = 1) -> None:
        super().__init__(env, *_person("approver", tenant))
        self._seen: set[str] = set()
        self._of_task: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.look_seconds)
            for approval in await self.ask("approvals", lambda edge, call: edge.approvals(call, self.by)):
                if approval.id not in self._seen:
                    self._seen.add(approval.id)
                    self._of_task[approval.task] = n = self._of_task.get(approval.task, 0) + 1
                    self.host.start(self._decide(approval, f"{self.env.model.title(approval.task)}/approval-{n}"))

    async def _decide(self, approval: ApprovalSeen, name: str) -> None:
        env = self.env
        place = f"approver:{name}"
        seconds = env.choice.waiting(env.scenario.people.decide_seconds, "decides", name)
        if fault := env.faults.strike("human.late", place):
            seconds += fault.amount(env.scenario.bounds.answer_seconds)
        if fault := env.faults.strike("human.after_expiry", place):
            seconds = env.scenario.bounds.answer_seconds + fault.amount(60)
        await asyncio.sleep(seconds)
        agrees = env.choice.hit(env.scenario.people.approve, "agrees", name)
        await self._send_decision(approval, name, agrees=agrees)
        if fault := env.faults.strike("human.twice", place):
            await asyncio.sleep(fault.amount(60))
            await self._send_decision(approval, name, agrees=agrees if fault.unit("same") < 0.5 else not agrees)

    async def _send_decision(self, approval: ApprovalSeen, name: str, *, agrees: bool) -> None:
        decide = self._decision(approval, name, agrees=agrees)
        try:
            await self.ask(f"decide.{name}", lambda edge, call: edge.do(call, decide))
            reached(f"a person decided: {decide.verb}")
        except SwarmkeeperError as error:
            reached(f"a person decided in vain: {error.code}")

    def _decision(self, approval: ApprovalSeen, name: str, *, agrees: bool) -> commands.Decide:
        arguments: dict[str, Any] = {"by": self.by, "approval": approval.id}
        if not agrees:
            return commands.Decide(verb="reject", **arguments)
        if approval.kind in ("plan", "final", "budget"):
            return commands.Decide(verb="approve", subject_hash=approval.subject_hash, **arguments)
        choices = json.loads(approval.choices) or ["yes"]
        return commands.Decide(verb="answer", answer=self.env.choice.pick(choices, "answer", name), **arguments)
