"""Test harness: the real engine on the real store and rules, under virtual time, with synchronous calls.

Nothing is mocked: calls of a test take the same path as any command. Time moves when `advance` or a waiting `lease`
moves it, or when an answer needs it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.decide.decisions import review
from swarmkeeper.core.errors import Detail, SwarmkeeperError
from swarmkeeper.core.model import AttemptFailure, Json, Limits, Principal, SubtaskSpec, TaskRecord, VerdictRecord, Work
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.rules import graph
from swarmkeeper.core.states import TASK_CLOSED, ErrorClass
from swarmkeeper.engine.loop import Claimed, Granted, Poll
from swarmkeeper.offline.replay import replay
from swarmkeeper.sim.kernel.chance import SeededChance
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.loop import SECOND, Host, virtual_loop
from swarmkeeper.sim.oracle import checks
from swarmkeeper.sim.play.engine import TRIFECTA, new_engine
from swarmkeeper.sim.play.host import canonical
from swarmkeeper.storage import rows
from swarmkeeper.storage.sqlite import SqliteStore
from swarmkeeper.storage.sqlite.store import MEMORY

TENANT = "default"
CLIENT = Principal(TENANT, "key_client", "client")
OPERATOR = Principal(TENANT, "key_operator", "operator")
APPROVER = Principal(TENANT, "key_approver", "approver")
ADMIN = Principal(TENANT, "key_admin", "admin")

Node = str | Mapping[str, Json]  # only a key, or a subtask as in the API


@dataclass(frozen=True, slots=True)
class HarnessLease:
    """A lease as its bot sees it."""

    lease_id: str
    work: str
    key: str
    kind: str
    attempt: int
    task: str
    bot: str
    granted_at: int
    expires_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class ReportReply:
    """Answer to a report."""

    task_status: str
    replayed: bool
    leases: tuple[HarnessLease, ...]


class Parked:
    """A parked request for work."""

    def __init__(self, harness: Harness, bot: str, poll: Poll) -> None:
        self._harness, self._bot, self.poll = harness, bot, poll

    @property
    def waits(self) -> bool:
        return not self.poll.answer.done()

    @property
    def leases(self) -> tuple[HarnessLease, ...]:
        """The leases that it was answered with. Read it only once `waits` is false."""
        return self._harness.held(self._bot, self.poll.answer.result().leases)

    def hang_up(self) -> None:
        """Close the connection."""
        self._harness.engine.abandon(self.poll)
        self._harness.advance(0)


def specs(nodes: Iterable[Node]) -> tuple[SubtaskSpec, ...]:
    return tuple(graph.from_json({"key": node} if isinstance(node, str) else node) for node in nodes)


class Harness:
    """One orchestrator with direct access to its engine, store, clock and log."""

    def __init__(
        self, seed: int = 1, *, url: str = MEMORY, limits: Limits | None = None, queue_commands: int = 10_000
    ) -> None:
        self.loop = virtual_loop()
        self.clock = VirtualClock(self.loop)
        self.chance = SeededChance(seed)
        self.limits = limits if limits is not None else Limits()
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.commits: list[Changes] = []  # of the current engine; a test may clear it
        self._url = url
        self.store = self._new_store()
        self._queue_commands = queue_commands
        self._bots: dict[str, Principal] = {}
        self._engines = 0
        self.run(self.store.open())
        self._boot()

    def _new_store(self) -> SqliteStore:
        return SqliteStore(self._url, inline=True, entropy=self.chance.stream("store"))

    def _boot(self) -> None:
        self.host = Host(self.loop)
        self._engines += 1
        self.engine = new_engine(
            self.store,
            self.clock,
            self.chance.stream(f"engine/{self._engines}"),
            self.limits,
            lambda event, **fields: self.log.append((event, fields)),
            on_commit=self.commits.append,
            queue_commands=self._queue_commands,
        )
        self.run(self.host.spawn(self.engine.start()))
        self._life = self.host.spawn(self.engine.run())
        self.advance(0)

    # ---- time ------------------------------------------------------------------------------------------------------

    def run(self, work: Any) -> Any:
        """Run an awaitable to its end and return its value."""
        return self.loop.run_until_complete(work)

    def advance(self, seconds: float) -> None:
        """Let this much time pass and run everything that becomes due."""
        self.loop.run_for(round(seconds * SECOND))

    @property
    def now(self) -> int:
        """Engine time, in microseconds."""
        return self.engine.now()

    def restart(self) -> None:
        """Kill the orchestrator and start another one on its store."""
        self.host.die()
        if self._url != MEMORY:
            self.run(self.store.close())
            self.store = self._new_store()
            self.run(self.store.open())
        self.commits = []
        self._boot()

    def close(self) -> None:
        self.engine.stop()
        self.advance(1)
        self.run(self.store.close())
        self.loop.close()

    # ---- clients ---------------------------------------------------------------------------------------------------

    def do(self, command: commands.Command[Any]) -> Any:
        return self.run(self.engine.do(command))

    def do_all(self, wanted: Sequence[commands.Command[Any]]) -> list[Any]:
        """Carry out commands that arrive at the same time. Return an answer or an error for each."""
        found: list[Any] = self.run(self.engine.do_all(wanted))
        return found

    def a_submission(
        self,
        subtasks: Iterable[Node] | None = None,
        *,
        title: str = "a task",
        deadline_seconds: float | None = None,
        plan_timeout_seconds: float | None = None,
        review_timeout_seconds: float | None = None,
        by: Principal = CLIENT,
        **options: Any,
    ) -> commands.Submit:
        return commands.Submit(
            by=by,
            title=title,
            spec=canonical({"title": title}),
            subtasks=None if subtasks is None else specs(subtasks),
            deadline=_micro(deadline_seconds),
            plan_timeout=_micro(plan_timeout_seconds),
            review_timeout=_micro(review_timeout_seconds),
            **options,
        )

    def submit(self, subtasks: Iterable[Node] | None = None, **options: Any) -> str:
        """Submit a task and return its id. `options` are those of `a_submission` and of `commands.Submit`."""
        task: str = self.do(self.a_submission(subtasks, **options))
        return task

    def update(self, task: str, *, deadline_seconds: float | None = None, **options: Any) -> None:
        self.do(commands.Update(by=CLIENT, task=task, deadline=_micro(deadline_seconds), **options))

    def cancel(self, task: str) -> None:
        self.do(commands.Cancel(by=CLIENT, task=task))

    def pause(self, task: str) -> None:
        self.do(commands.Pause(by=CLIENT, task=task))

    def resume(self, task: str) -> None:
        self.do(commands.Resume(by=CLIENT, task=task))

    def retry(self, task: str, *, deadline_seconds: float | None = None, **options: Any) -> None:
        self.do(commands.RetryFailedTask(by=CLIENT, task=task, deadline=_micro(deadline_seconds), **options))

    def archive(self, task: str) -> None:
        self.do(commands.Archive(by=CLIENT, task=task))

    def decide(self, approval: str, verb: str, *, by: Principal = APPROVER, **options: Any) -> None:
        """Decide an approval as a person who has just read it: `approve` sends its current subject hash."""
        if verb == "approve":
            read = self.row("SELECT subject_hash FROM approval WHERE id = ?", approval)
            options.setdefault("subject_hash", read["subject_hash"])
        self.do(commands.Decide(by=by, approval=approval, verb=verb, **options))

    # ---- bots ------------------------------------------------------------------------------------------------------

    def bot(self, name: str, type_: str = "Executor", *, owner: str | None = None, **options: Any) -> str:
        """Register a bot with its own key and return its id. `options` are those of `commands.Register`."""
        role = f"bot:{type_.lower()}"
        by = Principal(TENANT, f"key_{name}", role, bot=name, owner=owner)
        bot_id: str = self.do(commands.Register(by=by, type=type_, version="1", name=name, **options))[0]
        self._bots[bot_id] = by
        return bot_id

    def principal(self, bot: str) -> Principal:
        return self._bots[bot]

    def park(self, bot: str, *, max_leases: int = 1, ttl_seconds: float | None = None, **options: Any) -> Parked:
        """Claim work and wait without a limit. Available work is handed out at once."""
        claim = commands.ClaimWork(by=self._bots[bot], bot=bot, most=max_leases, ttl=_micro(ttl_seconds), **options)
        parked = Parked(self, bot, self._ask(claim, parks=True))
        self.advance(0)
        return parked

    def _ask(self, claim: commands.ClaimWork, *, parks: bool) -> Poll:
        async def ask() -> Poll:
            return self.engine.claim(claim, parks=parks)

        poll: Poll = self.run(ask())
        return poll

    def claim(self, bot: str, *, wait: float = 0, ttl_seconds: float | None = None, **options: Any) -> Claimed:
        """Claim work as over HTTP: the answer comes after `wait` seconds at the latest."""
        claim = commands.ClaimWork(by=self._bots[bot], bot=bot, ttl=_micro(ttl_seconds), **options)
        poll = self._ask(claim, parks=wait > 0)

        async def answer() -> Claimed:
            try:
                async with asyncio.timeout(wait if wait > 0 else None):
                    return await asyncio.shield(poll.answer)
            except TimeoutError:
                self.engine.end(poll)
                return await poll.answer

        claimed: Claimed = self.run(answer())
        return claimed

    def leases(self, bot: str, max_leases: int = 1, **options: Any) -> tuple[HarnessLease, ...]:
        return self.held(bot, self.claim(bot, most=max_leases, **options).leases)

    def lease(self, bot: str, **options: Any) -> HarnessLease | None:
        """Return one lease, or None if there is no work for this bot."""
        found = self.leases(bot, **options)
        return found[0] if found else None

    def take(self, bot: str, **options: Any) -> HarnessLease:
        """Return one lease; fail if there is no work for this bot."""
        lease = self.lease(bot, **options)
        assert lease is not None, "there is no work for this bot"
        return lease

    def held(self, bot: str, granted: Iterable[Granted]) -> tuple[HarnessLease, ...]:
        found = []
        for grant in granted:
            row = self.row(
                "SELECT lease.*, work.key, work.kind FROM lease JOIN work ON work.id = lease.work WHERE lease_id = ?",
                grant.lease_id,
            )
            found.append(HarnessLease(**{name: row[name] for name in HarnessLease.__slots__ if name != "bot"}, bot=bot))
        return tuple(found)

    def a_report(
        self,
        lease: HarnessLease,
        *,
        output: Json = None,
        plan: Iterable[Node] | None = None,
        verdict: str | Mapping[str, Json] | None = None,
        error: str | None = None,
        message: str = "",
        retry_after_seconds: float | None = None,
        scope: str | None = None,
        errors: tuple[Detail, ...] = (),
        errors_in: str | None = None,
        usage: Mapping[str, int] | None = None,
        **changed: Any,
    ) -> commands.ReportResult:
        """Make a report as the HTTP routes do. `error` is an error class. Without content, it reports a success."""
        nodes: list[Node] | None = None if plan is None else list(plan)
        if output is None and nodes is None and verdict is None and error is None and not errors:
            if lease.kind == "execute":
                output = {"by": lease.bot, "attempt": lease.attempt}
            elif lease.kind == "plan":
                nodes = ["a"]
            else:
                verdict = "accept"
        verdict_record: VerdictRecord | None = None
        if verdict is not None:
            verdict_record = review.from_json({"decision": verdict} if isinstance(verdict, str) else verdict)
        failure = (
            None if error is None else AttemptFailure(ErrorClass(error), message, _micro(retry_after_seconds), scope)
        )
        content = canonical(
            {"output": output, "plan": nodes, "verdict": verdict, "error": [error, message], "e": errors}
        )
        given: dict[str, Any] = {
            "by": self._bots[lease.bot],
            "bot": lease.bot,
            "task": lease.task,
            "lease_id": lease.lease_id,
            "content": canonical(output) if output is not None else content,
            "content_hash": hashlib.sha256(content).hexdigest(),
            "output": None if output is None else canonical(output),
            "plan": None if nodes is None else specs(nodes),
            "verdict": verdict_record,
            "failure": failure,
            "errors": errors,
            "errors_in": errors_in,
            "usage": usage,
        }
        return commands.ReportResult(**{**given, **changed})

    def report(self, lease: HarnessLease, *, claim: int = 0, **content: Any) -> ReportReply:
        """Report, and claim up to `claim` further leases in the same commit. For `content` see `a_report`."""
        wanted = self.a_report(lease, **content)
        after = None
        if claim:
            after = commands.ClaimWork(by=wanted.by, bot=wanted.bot, most=claim, claim_id=lease.lease_id)
        answers, claimed = self.run(self.engine.report([wanted], after))
        answer = answers[0]
        if isinstance(answer, SwarmkeeperError):
            raise answer
        return ReportReply(answer.task_status, answer.replayed, self.held(lease.bot, claimed.leases))

    def beat(self, lease: HarnessLease, *, checkpoint: Json = None, **news: Any) -> str:
        """Send a heartbeat for the lease and return the directive for the bot."""
        saved = None if checkpoint is None else canonical(checkpoint)
        pulse = commands.LeaseHeartbeat(lease_id=lease.lease_id, checkpoint=saved, **news)
        beaten = self.do(commands.SendHeartbeat(by=self._bots[lease.bot], bot=lease.bot, heartbeats=(pulse,)))
        directive: str = beaten.directives[0].directive
        return directive

    def release(self, lease: HarnessLease, *, delay_seconds: float = 0, reason: str = "") -> None:
        by, delay = self._bots[lease.bot], round(delay_seconds * SECOND)
        self.do(commands.ReleaseLease(by=by, lease_id=lease.lease_id, delay=delay, reason=reason))

    def ask(
        self, lease: HarnessLease, question: str = "which?", *, expires_in_seconds: float | None = None, **options: Any
    ) -> str:
        """Ask a person and return the id of the approval."""
        by = self._bots[lease.bot]
        asked = commands.AskQuestion(
            by=by, lease_id=lease.lease_id, question=question, expires=_micro(expires_in_seconds), **options
        )
        approval: str = self.do(asked)
        return approval

    # ---- reads -----------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        cursor = self.store.connection.execute(sql, parameters)
        names: list[str] = []
        found = []
        for row in cursor:
            names = names or [column[0] for column in cursor.get_description()]
            found.append(dict(zip(names, row, strict=True)))
        return found

    def row(self, sql: str, *parameters: Any) -> dict[str, Any]:
        (found,) = self.rows(sql, *parameters)
        return found

    def task(self, task: str) -> TaskRecord:
        columns = ", ".join(rows.TASK.table.columns)
        return rows.TASK.from_row(
            self.store.connection.execute(f"SELECT {columns} FROM task WHERE id = ?", (task,)).get
        )

    def works(self, task: str) -> dict[str, Work]:
        """Return the items of a task by key, in order of creation."""
        columns = ", ".join(rows.WORK.table.columns)
        found = self.store.connection.execute(f"SELECT {columns} FROM work WHERE task = ? ORDER BY seq", (task,))
        return {work.key: work for work in map(rows.WORK.from_row, found)}

    def work(self, task: str, key: str) -> Work:
        return self.works(task)[key]

    def statuses(self, task: str) -> dict[str, str]:
        return {key: str(work.status) for key, work in self.works(task).items()}

    def events(self, task: str) -> list[dict[str, Any]]:
        found = self.rows("SELECT * FROM event WHERE task = ? ORDER BY sequence", task)
        return [{**row, "body": json.loads(row["body"])} for row in found]

    def kinds(self, task: str) -> list[str]:
        """Return the kinds of the task's events, in order."""
        return [event["kind"] for event in self.events(task)]

    def attempts(self, work: str) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM attempt WHERE work = ? ORDER BY attempt", work)

    def late_results(self, work: str) -> list[Json]:
        found = self.rows(
            "SELECT payload.id, body FROM late_result JOIN payload ON payload.id = late_result.payload"
            " WHERE late_result.work = ? ORDER BY late_result.at, lease_id, content_hash",
            work,
        )
        return [json.loads(self.store.bodies.open("payload", row["id"], row["body"])) for row in found]

    def approvals(self, task: str, state: str = "open") -> list[str]:
        found = self.rows("SELECT id FROM approval WHERE task = ? AND state = ? ORDER BY id", task, state)
        return [row["id"] for row in found]

    def timers(self) -> list[dict[str, Any]]:
        """Return kind, ref and due of all timers, earliest first."""
        return self.rows(f"SELECT kind, ref, due FROM ({checks.TIMERS}) ORDER BY due, kind, ref")

    def feedback(self, work: str) -> list[str]:
        return [row["text"] for row in self.rows("SELECT text FROM feedback WHERE work = ? ORDER BY seq", work)]

    def payload(self, name: str) -> Json:
        return json.loads(self.row("SELECT body FROM payload WHERE id = ?", name)["body"])

    def dump(self) -> str:
        """Return a digest of all stored rows: equal for equal stores."""
        digest = hashlib.sha256()
        tables = self.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
        for table in tables:
            name = table["name"]
            if name == "meta":  # it holds the time of the last sign of life
                continue
            order = ", ".join(str(number + 1) for number in range(len(self.rows(f"PRAGMA table_info({name})"))))
            for row in self.store.connection.execute(f"SELECT * FROM {name} ORDER BY {order}"):
                digest.update(repr((name, row)).encode())
        return digest.hexdigest()

    # ---- checks ----------------------------------------------------------------------------------------------------

    def check(self, *, faults: int = 0) -> None:
        """Assert that the invariants on rows hold, and that the engine had exactly `faults` faults."""
        policies = self.engine._rules.policies
        policed = policies is not None and TRIFECTA in getattr(policies, "names", ())
        found = [*checks.broken(self.store.connection, policed=policed), *self.store.wrong_kept()]
        found += [
            f"invariant 11: the audit log says otherwise: {row}" for row in self.run(replay(self.store)).mismatches
        ]
        overdue = [row for row in self.timers() if row["due"] < self.now]
        found += [f"invariant 8: every timer is processed when it is due: broken by {row}" for row in overdue[:5]]
        if self.engine.stats.faults != faults:
            found.append(f"the engine has no faults: {[entry for entry in self.log if entry[0] == 'fault']}")
        found += [f"no exception is lost: {trouble}" for trouble in self.loop.troubles]
        assert not found, "\n".join(found)

    def drive(self, task: str, *, seconds: float = 3600 * 24 * 30) -> TaskRecord:
        """Let capable bots finish the task: they complete every item with success and answer every question.

        Return the closed task; fail if it is still open after `seconds`.
        """
        bots = [
            self.bot(f"{name}-of-{task}", type_, capacity=64, skills=self._all_skills())
            for name, type_ in (("plan", "Planner"), ("work", "Executor"), ("judge-1", "Evaluator"))
        ]
        judges = self.task(task).quorum[1]
        bots += [
            self.bot(f"judge-{number}-of-{task}", "Evaluator", capacity=64, skills=self._all_skills())
            for number in range(2, judges + 1)
        ]
        end = self.now + round(seconds * SECOND)
        while self.task(task).status not in TASK_CLOSED:
            assert self.now < end, f"the task did not end: {self.statuses(task)}, {self.task(task)}"
            if "paused" in self.task(task).hold_reasons:
                self.resume(task)
            for approval in self.approvals(task):
                self._agree(approval)
            leases = [lease for bot in bots for lease in self.leases(bot, max_leases=64)]
            for lease in leases:
                if self.rows("SELECT 1 FROM lease WHERE lease_id = ?", lease.lease_id):
                    self.report(lease)
            if not leases:
                self.advance(30)
        return self.task(task)

    def _agree(self, approval: str) -> None:
        row = self.row("SELECT kind, choices FROM approval WHERE id = ?", approval)
        if row["kind"] in ("plan", "final", "budget"):
            self.decide(approval, "approve")
        else:
            self.decide(approval, "answer", answer=next(iter(json.loads(row["choices"])), "yes"))

    def _all_skills(self) -> tuple[str, ...]:
        queues = self.rows("SELECT skills FROM queue")
        return tuple(sorted({skill for row in queues for skill in json.loads(row["skills"])}))


def _micro(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)
