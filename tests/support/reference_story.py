"""The reference story: short, deterministic, and it writes every kind of record. Tests play it on a machine that may
die at any commit; it must end the same.

All calls use an idempotency key, a claim id or a lease, as in the API, so that retries are safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarmkeeper.core import commands
from swarmkeeper.core.answers import Replayed
from swarmkeeper.core.errors import LeaseLost, TaskClosed
from swarmkeeper.core.model import Json, Limits
from swarmkeeper.offline.doctor import examine
from swarmkeeper.sim.harness import ADMIN, CLIENT, HarnessLease
from swarmkeeper.sim.kernel.loop import SECOND
from swarmkeeper.sim.play.engine import rules
from swarmkeeper.storage.sqlite import SqliteStore
from tests.support.machine import Machine

# Leases long enough for twenty disk failures in a row, and short enough to wait for their expiry.
LIMITS = replace(Limits(), lease_ttl=60 * SECOND, slice_rows=3)


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of the story, without ids, so that two results can be compared."""

    tasks: Mapping[str, tuple[str, str | None, Mapping[str, str]]]  # title -> (status, outcome, items by key)
    late: tuple[Json, ...]
    checkpoints: tuple[str, ...]
    counts: Mapping[str, int]  # rows of tables in which retries must not make duplicates


class ReferenceStory:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._claims = 0

    # ---- asking ----------------------------------------------------------------------------------------------------

    def _do(self, command: commands.Command[Any], key: str | None = None) -> str:
        """Carry out a command under an idempotency key. Return the id of the created record."""
        if key is not None:
            command = replace(command, idempotency=(key, f"hash of {key}"))
        answer = self.machine.insist(lambda: self.machine.do(command))
        return answer.resource if isinstance(answer, Replayed) else _id(answer)

    def _submit(self, title: str, subtasks: Any = None, **options: Any) -> str:
        return self._do(self.machine.a_submission(subtasks, title=title, **options), f"submit {title}")

    def _bot(self, name: str, type_: str) -> str:
        bot = self.machine.insist(lambda: self.machine.bot(name, type_, owner=name, capacity=4))
        self.machine.noted(f"the bot {name}", "SELECT 1 FROM bot WHERE id = ?", bot)
        return bot

    def _take(self, bot: str) -> HarnessLease:
        self._claims += 1
        claim_id = f"claim-{self._claims}"
        lease = self.machine.insist(lambda: self.machine.take(bot, claim_id=claim_id))
        granted = "SELECT 1 FROM lease WHERE lease_id = ?1 UNION ALL SELECT 1 FROM attempt WHERE lease_id = ?1"
        self.machine.noted(f"the lease of {lease.key}", granted, lease.lease_id)
        return lease

    def _report(self, lease: HarnessLease, **content: Any) -> tuple[HarnessLease, ...]:
        answer = self.machine.insist(lambda: self.machine.report(lease, **content))
        self.machine.noted(f"the report of {lease.key}", "SELECT 1 FROM attempt WHERE lease_id = ?", lease.lease_id)
        return answer.leases

    # ---- the story -------------------------------------------------------------------------------------------------

    def play(self) -> Ended:
        self._found()
        planner, worker = self._bot("planner", "Planner"), self._bot("worker", "Executor")
        judge = self._bot("judge", "Evaluator")
        self._reviewed(planner, worker, judge)
        self._cancelled(worker)
        self._retried(worker)
        self._silent(worker)
        self._limited(worker)
        self._do(commands.Drain(by=ADMIN, bot=planner))
        self._do(commands.Enable(by=ADMIN, bot=planner))
        gone = self._bot("guest", "Executor")
        self.machine.forget("the bot guest")
        self._do(commands.DeleteBot(by=ADMIN, bot=gone), "delete guest")
        return self._ended()

    def _found(self) -> None:
        """Set up keys and settings."""
        key = commands.CreateKey(by=ADMIN, role="client", public_id="golden", digest=b"1" * 32)
        made = self._do(key, "create key")
        self._do(commands.SetTenant(by=ADMIN, weight=3, max_backlog=50))
        self.machine.noted("the key", "SELECT 1 FROM api_key WHERE id = ? AND revoked_at IS NULL", made)
        self._do(commands.RotateKey(by=ADMIN, key=made, digest=b"2" * 32, overlap=SECOND), "rotate key")
        self.machine.forget("the key")
        self._do(commands.RevokeKey(by=ADMIN, key=made), "revoke key")
        self.machine.noted("the end of the key", "SELECT 1 FROM api_key WHERE id = ? AND revoked_at NOT NULL", made)
        self._do(commands.ChangeRules(by=replace(commands.ENGINE, tenant="default"), before="a", after="b"))

    def _reviewed(self, planner: str, worker: str, judge: str) -> None:
        """A task with an approved plan, a question, a failed try, rework, and acceptance."""
        m = self.machine
        task = self._submit("reviewed", approval="plan", labels={"story": "golden"}, max_rounds=3)
        m.noted("the submission", "SELECT 1 FROM task WHERE id = ?", task)
        m.insist(lambda: m.update(task, priority=7, deadline_seconds=7 * 86_400))
        plan = self._take(planner)
        self._report(plan, plan=["a", {"key": "b", "depends_on": ["a"]}, {"key": "c", "depends_on": ["a"]}])
        self._decide(task, "approve")

        first = self._take(worker)
        m.insist(lambda: m.beat(first, checkpoint={"done": 1}, progress={"percent": 10}, usage={"tokens": 5}))
        m.noted("the checkpoint", "SELECT 1 FROM payload WHERE task = ? AND body = CAST(? AS BLOB)", task, '{"done":1}')
        question = m.insist(lambda: m.ask(first, "which?", choices=("x", "y")))
        m.noted("the question", "SELECT 1 FROM approval WHERE id = ?", question)
        self._decide(task, "answer", answer="x")
        message = commands.SendMessage(by=CLIENT, task=task, to_bot=None, payload=b'{"hint":"be quick"}')
        m.noted("the message", "SELECT 1 FROM message WHERE id = ?", self._do(message, "tell"))
        again = self._take(worker)
        (second,) = self._report(again, output={"is": "a"}, claim=1)
        m.insist(lambda: self._give_back(second))
        second = self._take(worker)
        self._report(second, error="retryable", message="not yet")
        # First the released item, then the failed one; or the other way round, if the back-off ended on a slow disk.
        for _ in range(2):
            m.until(lambda: any(m.work(task, key).status == "READY" for key in ("b", "c")))
            either = self._take(worker)
            self._report(either, output={"is": either.key})

        rework = {"decision": "rework", "targets": [{"subtask": "b", "feedback": "once more"}], "reasons": ["thin"]}
        self._report(self._take(judge), verdict=rework)
        self._report(self._take(worker), output={"is": "better"})
        self._report(self._take(judge), verdict="accept")

    def _cancelled(self, worker: str) -> None:
        """A task that is cancelled while a bot works on it: its late result is stored separately."""
        m = self.machine
        task = self._submit("cancelled", ["a", "b", "c", "d", "e"], evaluation="none")
        m.insist(lambda: m.pause(task))
        m.insist(lambda: m.resume(task))
        m.until(lambda: not m.rows("SELECT 1 FROM chore"))
        lease = self._take(worker)
        self._do(commands.Cancel(by=CLIENT, task=task), "cancel")
        m.insist(lambda: self._too_late(lease))
        m.noted("the late result", "SELECT 1 FROM late_result WHERE lease_id = ?", lease.lease_id)
        m.until(lambda: not m.rows("SELECT 1 FROM chore"))

    def _retried(self, worker: str) -> None:
        m = self.machine
        task = self._submit("retried", ["a"], evaluation="none")
        self._report(self._take(worker), error="not_retryable", message="it cannot be")
        self._do(commands.RetryFailedTask(by=CLIENT, task=task), "retry")
        self._report(self._take(worker), output={"at": "last"})
        m.noted("the end of `retried`", "SELECT 1 FROM task WHERE id = ? AND status = 'ARCHIVED'", task)

    def _silent(self, worker: str) -> None:
        """A bot falls silent, and another continues from its checkpoint."""
        m = self.machine
        task = self._submit("silent", ["a"], evaluation="none")
        lease = self._take(worker)
        m.insist(lambda: m.beat(lease, checkpoint={"half": True}))
        m.until(lambda: m.work(task, "a").status == "READY")
        self._report(self._take(worker), output={"at": "last"})

    def _limited(self, worker: str) -> None:
        """Items with a key, of which one runs at a time, under a rate; a provider limits the bot."""
        m = self.machine
        self._do(commands.SetRate(by=ADMIN, key="tenant", per_minute=6_000))
        m.noted("the rate", "SELECT 1 FROM work_rate WHERE key = 'tenant'")
        one = {"concurrency": [{"key": "repo", "max": 1}]}
        self._submit("limited", [{"key": "a", **one}, {"key": "b", **one}], evaluation="none")
        first = self._take(worker)
        self._report(first, error="rate_limited", message="slowly", retry_after_seconds=2, scope="provider")
        m.until(lambda: not m.rows("SELECT 1 FROM cooldown WHERE phase = 'cooling'"))
        for _ in range(2):
            m.until(lambda: bool(m.rows("SELECT 1 FROM ready")))
            m.until(lambda: not m.rows("SELECT 1 FROM cooldown WHERE phase <> 'due'"))
            self._report(self._take(worker), output={"at": "last"})

    def _decide(self, task: str, verb: str, **options: Any) -> None:
        """Decide as a person who reads once and may click twice."""
        m = self.machine
        (approval,) = m.approvals(task)
        read = m.row("SELECT subject_hash FROM approval WHERE id = ?", approval)
        m.insist(lambda: m.decide(approval, verb, subject_hash=read["subject_hash"], **options))
        m.noted(f"the decision to {verb}", "SELECT 1 FROM approval WHERE id = ? AND state = 'decided'", approval)

    def _give_back(self, lease: HarnessLease) -> None:
        try:
            self.machine.release(lease)
        except LeaseLost:
            assert self.machine.attempts(lease.work), "the lease was lost, but not by this release"

    def _too_late(self, lease: HarnessLease) -> None:
        try:
            self.machine.report(lease, output={"too": "late"})
        except TaskClosed:
            return
        raise AssertionError("a report on a task that is over is refused")

    def _ended(self) -> Ended:
        m = self.machine
        tasks = {}
        for row in m.rows("SELECT id, title, status, outcome FROM task ORDER BY title"):
            tasks[row["title"]] = (row["status"], row["outcome"], m.statuses(row["id"]))
        works = m.rows("SELECT work.id FROM work JOIN task ON task.id = work.task ORDER BY task.title, work.seq")
        once = ("task", "work", "api_key", "bot", "approval", "message", "late_result")
        return Ended(
            tasks,
            tuple(result for row in works for result in m.late_results(row["id"])),
            tuple(
                sorted(
                    _opened(m, row["id"], row["body"])
                    for row in m.rows("SELECT id, body FROM payload WHERE id LIKE '%checkpoint%'")
                )
            ),
            {table: m.row(f"SELECT count(*) AS n FROM {table}")["n"] for table in once},
        )


def _opened(machine: Any, payload: str, body: str | bytes) -> str:
    raw = body.encode() if isinstance(body, str) else body
    opened: bytes = machine.store.bodies.open("payload", payload, raw)
    return opened.decode()


def _id(answer: Any) -> str:
    return answer if isinstance(answer, str) else "" if answer is None else str(answer[0])


def doctor(path: Path) -> list[str]:
    """Return the findings of `swarmkeeper doctor --deep` for a store."""

    async def look() -> list[str]:
        store = SqliteStore(str(path))
        await store.open(exclusive=False, create=False)
        try:
            # The store has virtual times, so do not compare them with the real clock.
            found = await examine(store, rules(), deep=True, wall=1 << 62)
            return [str(finding) for finding in found]
        finally:
            await store.close()

    return asyncio.run(look())
