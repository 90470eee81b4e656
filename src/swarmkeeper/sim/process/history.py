"""Compares the history of a run of real processes with its store: all answers given and events received must be stored.
It does so each time the orchestrator is dead, and at the end.

The rules are those of the other levels: `AnswerChecks` (answers), `TransitionChecks` (events), checks.py (rows). This
module reads the store for them, and compares it with the previous read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeVar, cast

import apsw

from swarmkeeper.core.model import Event
from swarmkeeper.core.states import TASK_CLOSED, AttemptOutcome, Kind, Status
from swarmkeeper.govern.redaction.redactor import read_back
from swarmkeeper.sdk.connection.transport import Response
from swarmkeeper.sim.kernel.loop import VirtualLoop
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle import checks
from swarmkeeper.sim.oracle.http_answers import AnswerChecks, EventSeen, HttpModel, HttpRequest, kind_of
from swarmkeeper.sim.oracle.records import Commit
from swarmkeeper.sim.oracle.transition_checks import TransitionChecks
from swarmkeeper.sim.play.bots import SECRET
from swarmkeeper.sim.process.runtime import ObservedCall
from swarmkeeper.storage import rows

R = TypeVar("R")

NEVER = 1 << 62  # commits between checks of all rows: here they are checked when the orchestrator is dead


class Stored(HttpModel):
    """The model, read from the store instead of built from commits. It remembers the previous read."""

    def __init__(self, loop: VirtualLoop, trace: Trace) -> None:
        super().__init__(loop, trace, secret=SECRET, full_every=NEVER)
        self._stored_events: list[Event] = []
        # From the previous read.
        self._versions: dict[str, int] = {}
        self._events: list[str] = []
        self._titles: dict[str, str] = {}  # of acknowledged tasks

    def acknowledge(self, title: str, task: str) -> None:
        """Learn an acknowledged task before the store is read."""
        self.acknowledged[title] = task
        self._titles[task] = title

    def title(self, task_id: str | None) -> str:
        return self._titles.get(task_id or "") or super().title(task_id)

    # ---- reads -----------------------------------------------------------------------------------------------------

    def read(self, store: apsw.Connection) -> None:
        """Read the store. The caller holds a transaction open."""
        self._versions = {task.id: task.version for task in self.tasks.values()}
        self._events = [event.id for event in self._stored_events]
        self._load(store)
        self._stored_events = _events(store)
        self.feed = [(event.kind, event.audit, event.task) for event in self._stored_events]

    def check(self, store: apsw.Connection, *, audit: bool) -> None:
        """Check the invariants that do not depend on answers. `audit` also verifies the audit log."""
        for task, version in self._versions.items():
            if task not in self.tasks:
                self.broken("7.durable", task, "it was stored, and is missing now")
            elif (now := self.tasks[task].version) < version:
                self.broken("7.durable", task, f"version {version} was stored, and now it is version {now}")
        ids = [event.id for event in self._stored_events]
        if ids[: len(self._events)] != self._events:
            gone = next(old for old, new in zip_longest(self._events, ids) if old != new)
            self.broken("7.durable", "-", f"the event {gone} was stored, and is missing now, or at another place")
        if self.violation is None:
            transition_checks = TransitionChecks(self, SECRET)
            for work in self.works.values():
                transition_checks.created(work)
            transition_checks.events(self._as_one_commit(store))
        if self.violation is None:
            for found in checks.broken(store, audit=audit):
                self.broken("rows", "-", found)

    def _load(self, store: apsw.Connection) -> None:
        def all_of(records: rows.RecordTable[R]) -> list[R]:
            columns = ", ".join(records.table.columns)
            found = store.execute(f"SELECT {columns} FROM {records.table.name} ORDER BY 1")  # names of our own
            return list(map(records.from_row, found))

        self.tasks = {task.id: task for task in all_of(rows.TASK)}
        self.by_title = {}
        for task in self.tasks.values():
            if self.by_title.setdefault(task.title, task.id) != task.id:
                self.broken("1.one-task", task.title, f"it has two tasks; {task.id} is the second")
        self.works = {work.id: work for work in all_of(rows.WORK)}
        self.works_of = {task: {} for task in self.tasks}
        for work in self.works.values():
            self.works_of[work.task][work.key] = work.id
        self.attempts = {attempt.lease_id: attempt for attempt in all_of(rows.ATTEMPT)}
        self.leases = {lease.work: lease for lease in all_of(rows.LEASE)}
        self.holders = {attempt.lease_id: attempt.bot for attempt in self.attempts.values()}
        self.holders |= {lease.lease_id: lease.bot for lease in self.leases.values()}
        self.names = {bot.id: bot.name for bot in all_of(rows.BOT)}
        verdicts = store.execute(
            "SELECT work.id, payload.body FROM work JOIN payload ON payload.id = work.result"
            " WHERE work.kind = ? AND work.subject IS NULL AND work.status = ?",
            (Kind.REVIEW, Status.SUCCEEDED),
        )
        self.votes = {str(work): json.loads(cast(bytes, body))["decision"] for work, body in verdicts}

    def _as_one_commit(self, store: apsw.Connection) -> Commit:
        """Return all events and records as one commit. It is checked like any commit, though less strictly."""
        commit = Commit(
            events=self._stored_events,
            tasks=dict(self.tasks),
            works=dict(self.works),
            attempts=list(self.attempts.values()),
        )
        for leaf, body in store.execute("SELECT id, body FROM audit_leaf ORDER BY tenant, place"):
            commit.leaves[str(leaf)] = commit.leaves.get(str(leaf), 0) + 1
            commit.bodies.append(body if isinstance(body, bytes) else b"")
        return commit


def _events(store: apsw.Connection) -> list[Event]:
    columns = ("id", "at", "tenant", "task", "sequence", "work", "kind", "actor", "audit", "body")
    found = store.execute(f"SELECT {', '.join(columns)} FROM event ORDER BY seq")
    return [_event(**dict(zip(columns, row, strict=True))) for row in found]


def _event(body: str, **cells: Any) -> Event:
    return Event(**cells, body=read_back(json.loads(body)))


class History:
    """Answers and events that participants received."""

    def __init__(self, model: Stored) -> None:
        self._model, self._oracle = model, AnswerChecks(model)
        self.answers: list[ObservedCall] = []
        self.received: list[EventSeen] = []  # by the follower of the feed

    def note(self, answered: ObservedCall) -> None:
        self.answers.append(answered)
        request = _request_of(answered)
        if answered.status == 201 and kind_of(request) == "submit":
            feed: Any = answered.answer
            self._model.acknowledge(feed["title"], feed["id"])

    def check(self) -> None:
        """Check that the content of all answers and all received events are stored."""
        for answered in self.answers:
            request = _request_of(answered)
            headers = {"etag": answered.etag}
            self._oracle.answered(
                request, Response(answered.status, headers, json.dumps(answered.answer).encode()), answered.before
            )
            if answered.status == 200:
                self._check_reports(kind_of(request), answered)
        self._check_feed()

    def _check_reports(self, kind: str, answered: ObservedCall) -> None:
        """A result that was accepted must be stored as a success."""
        sent: Any = answered.body
        feed: Any = answered.answer
        reports: Sequence[Any] = ()
        if kind == "report":
            reports = [sent]
        elif kind == "reports":
            results = zip(sent["results"], feed["results"], strict=True)
            reports = [report for report, result in results if result["accepted"]]
        for report in reports:
            attempt = self._model.attempts.get(report["lease_id"])
            if (
                report["status"] == "succeeded"
                and attempt is not None
                and attempt.ending is not AttemptOutcome.SUCCEEDED
            ):
                why = f"its result was accepted, but the attempt is stored as {attempt.ending}"
                self._model.broken("7.acknowledged", attempt.work, why)

    def _check_feed(self) -> None:
        """The follower must have received each event once, in order."""
        feed = self._model.feed
        for number, received in enumerate(self.received, start=1):
            stored = feed[number - 1] if number <= len(feed) else None
            if received != stored:
                why = f"{received} was received as number {number}; {stored} is stored"
                self._model.broken("5.feed", received[2], why)
                return


def _request_of(answered: ObservedCall) -> HttpRequest:
    return HttpRequest(answered.method, answered.path, {}, json.dumps(answered.body).encode())


def open_tasks_and_leases(store: apsw.Connection) -> tuple[list[str], int]:
    """Return the titles of open tasks, and the number of leases."""
    closed = json.dumps(sorted(TASK_CLOSED))
    found = store.execute(
        "SELECT title FROM task WHERE status NOT IN (SELECT value FROM json_each(?)) ORDER BY id", (closed,)
    )
    titles = [str(row[0]) for row in found]
    (leases,) = next(store.execute("SELECT count(*) FROM lease"))
    return titles, int(str(leases))
