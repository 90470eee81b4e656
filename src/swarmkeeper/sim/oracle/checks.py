"""Checks stored rows: each invariant is one SQL statement that finds the rows that break it.

The numbers are those of the list of invariants in the docs. An invariant holds if its statement finds nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apsw

from swarmkeeper.core.model import AuditLeaf
from swarmkeeper.core.rules import match
from swarmkeeper.core.rules.tree import AuditTree
from swarmkeeper.core.states import (
    FINAL,
    TASK_CLOSED,
    AttemptOutcome,
    Evaluation,
    Kind,
    Outcome,
    Status,
    TaskStatus,
    TaskTransition,
    Transition,
)
from swarmkeeper.govern import audit
from swarmkeeper.storage.sqlite.dialect import read

# Events about one item when its attempt ends. A cancelled attempt has none: one event names all items of the task.
_ENDING_EVENTS = [
    f"work.{transition}"
    for transition in (
        Transition.SUCCEEDED,
        Transition.SUBMITTED,
        Transition.RELEASED,
        Transition.LEASE_UNSEEN,
        Transition.DEFERRED,
        Transition.ATTEMPT_FAILED,
        Transition.TIMED_OUT,
        Transition.LEASE_EXPIRED,
        Transition.ASKED,
        Transition.FAILED,
        Transition.POISONED,
    )
]

_WORDS: dict[str, Any] = {
    **{status.lower(): str(status) for status in Status},
    "created": str(TaskStatus.CREATED),
    "completed": str(TaskStatus.COMPLETED),
    "execute": str(Kind.EXECUTE),
    "ok": str(AttemptOutcome.SUCCEEDED),
    "gone": str(AttemptOutcome.CANCELLED),
    "none": str(Evaluation.NONE),
    "accepted": str(Outcome.ACCEPTED),
    "a_minute": match.SUBTASKS_A_MINUTE,
    "minute": match.MINUTE,
    "final": json.dumps(sorted(FINAL)),
    "closed": json.dumps(sorted(TASK_CLOSED)),
    "moves": json.dumps([f"task.{transition}" for transition in TaskTransition]),
    "endings": json.dumps(_ENDING_EVENTS),
    "erase": "erase",
}

CHECKS_OF_DOCTOR = read("checks.sql", "tally_reads.sql")
SHOWN = 5

_QUIET = "NOT EXISTS (SELECT 1 FROM chore WHERE chore.task = task.id)"
_OPEN = "task.status NOT IN (SELECT value FROM json_each(:closed))"
_ERASED = "IN (SELECT task FROM chore WHERE kind = 'erase')"  # of tasks whose rows leave in slices
_IS_FINAL = "IN (SELECT value FROM json_each(:final))"


def _doctor(name: str) -> str:
    """Return the doctor's statement of this name: these invariants have only one form."""
    return CHECKS_OF_DOCTOR[name].replace(":n", str(SHOWN))


def _timer(kind: str, ref: str) -> str:
    return f"EXISTS (SELECT 1 FROM timer WHERE timer.kind = '{kind}' AND timer.ref = {ref})"


# All timers as (kind, ref, due): rows, and the times of live leases and of items in their queues.
TIMERS = """
    SELECT kind, ref, due FROM timer
     UNION ALL SELECT 'start', work, start_due FROM ready WHERE start_due IS NOT NULL
     UNION ALL SELECT 'lease', work, expires_at FROM lease WHERE NOT cancelled
     UNION ALL SELECT 'ends', work, ends_at FROM lease WHERE NOT cancelled"""


@dataclass(frozen=True, slots=True)
class Invariant:
    number: int
    words: str
    sql: str  # selects the ids of entities that break it


INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        1,
        "at most one accepted result per item and round",
        "SELECT work FROM attempt WHERE ending = :ok GROUP BY work, round HAVING count(*) > 1",
    ),
    Invariant(
        2,
        "the accepted attempt was the newest granted",
        """SELECT older.work FROM attempt AS older JOIN attempt AS newer ON newer.work = older.work
            WHERE older.ending = :ok AND newer.attempt > older.attempt AND newer.started < older.ended""",
    ),
    Invariant(
        2,
        "a finished item has the result of its last attempt",
        """SELECT id FROM work WHERE status IN (:succeeded, :in_review) AND NOT EXISTS (
            SELECT 1 FROM attempt WHERE attempt.work = work.id AND attempt.attempt = work.attempt
               AND attempt.ending = :ok AND attempt.result = work.result)""",
    ),
    Invariant(
        2,
        "attempts are counted without a gap",
        """SELECT id FROM work WHERE attempt <> (SELECT count(*) FROM attempt WHERE attempt.work = work.id)
            + (SELECT count(*) FROM lease WHERE lease.work = work.id)""",
    ),
    Invariant(
        3,
        "a lease exists exactly while its item is LEASED",
        """SELECT work.id FROM work LEFT JOIN lease ON lease.work = work.id
            WHERE (work.status = :leased) <> (lease.work IS NOT NULL)""",
    ),
    Invariant(
        3,
        "a lease is the item's newest attempt",
        "SELECT work.id FROM work JOIN lease ON lease.work = work.id WHERE lease.attempt <> work.attempt",
    ),
    Invariant(
        4,
        "`pending` is the number of unsettled edges",
        f"""SELECT work.id FROM work JOIN task ON task.id = work.task
             WHERE work.status = :blocked AND {_OPEN} AND {_QUIET} AND work.pending <> (
                SELECT count(*) FROM edge JOIN work AS upstream ON upstream.id = edge.parent
                 WHERE edge.child = work.id AND upstream.status NOT {_IS_FINAL})""",
    ),
    Invariant(
        4,
        "a started item has no open upstream item",
        f"""SELECT DISTINCT work.id FROM work JOIN task ON task.id = work.task JOIN edge ON edge.child = work.id
              JOIN work AS upstream ON upstream.id = edge.parent
             WHERE {_OPEN} AND {_QUIET} AND work.status NOT IN (:blocked, :cancelled, :skipped)
               AND upstream.status NOT {_IS_FINAL}""",
    ),
    Invariant(
        4,
        "a task's counts of its subtasks are correct",
        f"""SELECT task.id FROM task WHERE {_QUIET} AND (n_total, n_open, n_failed) <> (
             SELECT count(*), count(*) FILTER (WHERE work.status NOT {_IS_FINAL}),
                    count(*) FILTER (WHERE work.status IN (:failed, :cancelled))
               FROM work WHERE work.task = task.id AND work.kind = :execute)""",
    ),
    Invariant(
        4,
        "a COMPLETED task has no open subtask, and an accepted task has no open item",
        f"""SELECT DISTINCT task.id FROM task JOIN work ON work.task = task.id
             WHERE work.status NOT {_IS_FINAL}
               AND ((task.status = :completed AND work.kind = :execute) OR task.outcome = :accepted)""",
    ),
    Invariant(
        5,
        "a task's events are numbered 1, 2, 3 … without a gap",
        f"""SELECT task.id FROM task WHERE task.id NOT {_ERASED} AND (
               task.sequence <> (SELECT count(*) FROM event WHERE event.task = task.id)
               OR task.sequence <> (SELECT max(sequence) FROM event WHERE event.task = task.id)
               OR 1 <> (SELECT min(sequence) FROM event WHERE event.task = task.id))""",
    ),
    Invariant(
        5,
        "the feed has a task's events in the order of their numbers",
        """SELECT task FROM (SELECT task, sequence, lag(sequence) OVER (PARTITION BY task ORDER BY seq) AS before
             FROM event WHERE task IS NOT NULL) WHERE sequence <= before""",
    ),
    Invariant(
        5,
        "each change of a task's state has exactly one event",
        f"""WITH move AS (
             SELECT task, sequence, json_extract(body, '$.from') AS old, json_extract(body, '$.to') AS new,
                    lag(json_extract(body, '$.to')) OVER (PARTITION BY task ORDER BY sequence) AS before,
                    row_number() OVER (PARTITION BY task ORDER BY sequence DESC) AS from_last
               FROM event WHERE kind IN (SELECT value FROM json_each(:moves)) AND task NOT {_ERASED})
           SELECT task FROM move WHERE old IS NOT before
            UNION ALL
           SELECT task.id FROM task LEFT JOIN move ON move.task = task.id AND move.from_last = 1
            WHERE move.new IS NOT task.status AND task.id NOT {_ERASED}""",
    ),
    Invariant(
        5,
        "each grant has exactly one event",
        """WITH granted AS (SELECT work, count(*) AS n FROM event WHERE kind = 'work.leased' GROUP BY work)
           SELECT id FROM work LEFT JOIN granted ON granted.work = work.id
            WHERE work.attempt <> coalesce(granted.n, 0)""",
    ),
    Invariant(
        5,
        "each end of an attempt has exactly one event",
        f"""WITH endings AS (SELECT work, count(*) AS n FROM event
                             WHERE kind IN (SELECT value FROM json_each(:endings)) AND task NOT {_ERASED}
                             GROUP BY work),
                ended AS (SELECT work, count(*) AS n FROM attempt WHERE ending <> :gone AND task NOT {_ERASED}
                           GROUP BY work)
           SELECT coalesce(endings.work, ended.work) FROM endings FULL JOIN ended ON ended.work = endings.work
            WHERE endings.n IS NOT ended.n""",
    ),
    Invariant(
        5,
        "no audit record exists twice",
        "SELECT id FROM audit_leaf GROUP BY id HAVING count(*) > 1",
    ),
    Invariant(
        8,
        "a lease that is cancelled, and no other, has the timer of its grace time",
        f"""SELECT work.id FROM work JOIN lease ON lease.work = work.id
             WHERE lease.cancelled <> {_timer("grace", "work.id")}""",
    ),
    Invariant(
        8,
        "no timer repeats a time of a lease or of a queue entry",
        "SELECT ref FROM timer WHERE kind IN ('lease', 'ends', 'start')",
    ),
    Invariant(
        8,
        "a ready item that is not held is in its queue, which has the time that ends it if no bot takes it",
        f"""SELECT work.id FROM work JOIN task ON task.id = work.task
             WHERE work.status = :ready AND {_OPEN} AND {_QUIET} AND task.holds = '[]'
               AND (work.line IS NULL OR work.start_due IS NOT NULL) AND NOT EXISTS (
                SELECT 1 FROM ready
                 WHERE ready.work = work.id AND ready.start_due = work.start_due
                   AND (ready.queue, ready.priority, ready.since) = (work.queue, work.priority, work.place)
                   AND ready.place = task.place + work.ordinal + work.ordinal / :a_minute * :minute)""",
    ),
    Invariant(
        8,
        "a held item is not in its queue, and has no time to start",
        f"""SELECT work.id FROM work JOIN task ON task.id = work.task
             WHERE {_QUIET} AND task.holds <> '[]'
               AND (work.start_due IS NOT NULL OR EXISTS (SELECT 1 FROM ready WHERE ready.work = work.id))""",
    ),
    Invariant(
        8,
        "only ready items are in a queue",
        "SELECT work.id FROM work JOIN ready ON ready.work = work.id WHERE work.status <> :ready",
    ),
    Invariant(
        8,
        "a hold is `paused`, `budget`, or an open approval with its timer",
        f"""SELECT task.id FROM task, json_each(task.holds) AS hold
             WHERE hold.value NOT IN ('paused', 'budget') AND NOT EXISTS (
                SELECT 1 FROM approval WHERE approval.id = hold.value AND approval.state = 'open'
                   AND {_timer("answer", "approval.id")})""",
    ),
    Invariant(
        8,
        "a waiting item has a wake-up timer, or waits for an answer",
        f"""SELECT work.id FROM work JOIN task ON task.id = work.task
             WHERE work.status = :waiting AND {_OPEN} AND NOT CASE
                WHEN work.wake IS NOT NULL THEN {_timer("wake", "work.id")}
                ELSE EXISTS (SELECT 1 FROM approval WHERE approval.work = work.id AND approval.state = 'open'
                    AND {_timer("answer", "approval.id")}) END""",
    ),
    Invariant(
        8,
        "a blocked item waits for an upstream item",
        f"""SELECT work.id FROM work JOIN task ON task.id = work.task
             WHERE work.status = :blocked AND {_OPEN} AND {_QUIET} AND work.pending = 0""",
    ),
    Invariant(
        8,
        "an item in review has an open review",
        f"""SELECT work.id FROM work JOIN task ON task.id = work.task
             WHERE work.status = :in_review AND {_OPEN} AND NOT EXISTS (
                SELECT 1 FROM work AS review WHERE review.subject = work.id AND review.status NOT {_IS_FINAL})""",
    ),
    Invariant(
        8,
        "an open task has an open item",
        f"""SELECT task.id FROM task WHERE {_OPEN} AND {_QUIET} AND task.holds = '[]' AND NOT EXISTS (
             SELECT 1 FROM work WHERE work.task = task.id AND work.status NOT {_IS_FINAL})""",
    ),
    Invariant(
        8,
        "an open item of a closed task is in the grace time of its lease",
        f"""SELECT work.id FROM work JOIN task ON task.id = work.task
             WHERE NOT {_OPEN} AND {_QUIET} AND work.status NOT {_IS_FINAL} AND NOT EXISTS (
                SELECT 1 FROM lease WHERE lease.work = work.id AND lease.cancelled)""",
    ),
    Invariant(
        6, "no more of a budget is spent and reserved than its limit and overshoot", _doctor("doctor_budget_limit")
    ),
    Invariant(6, "what a budget has reserved is what live leases may use", _doctor("doctor_budget_reserved")),
    Invariant(6, "a task held for its reserved budget has a lease that has some of it", _doctor("doctor_budget_hold")),
    Invariant(6, "what a budget has spent was settled by attempts, each once", _doctor("doctor_budget_spent")),
    Invariant(4, "tasks are counted by status and outcome", _doctor("doctor_task_counts")),
    Invariant(4, "tasks are counted by label", _doctor("doctor_label_counts")),
    Invariant(4, "a task is listed by its labels, skills and errors", _doctor("doctor_labels")),
    Invariant(4, "the words of a title are found", _doctor("doctor_words")),
    Invariant(6, "sums of costs are what attempts used", _doctor("doctor_costs")),
    Invariant(6, "sums over spans of days are those of their days", _doctor("doctor_cost_spans")),
    Invariant(
        8,
        "a task has a deadline timer exactly if it has a deadline",
        f"""SELECT task.id FROM task WHERE (task.deadline IS NOT NULL) <> {_timer("deadline", "task.id")}
            OR (task.deadline IS NOT NULL AND (NOT {_OPEN} OR task.status = :completed))""",
    ),
    Invariant(
        6,
        "no more items of a key run than it allows",
        """SELECT work.id FROM lease JOIN work ON work.id = lease.work, json_each(work.limits) AS own
            GROUP BY work.tenant, own.value ->> 0 HAVING count(*) > max(own.value ->> 1)""",
    ),
    Invariant(
        6,
        "a key counts what runs and what stands in its lines",
        """SELECT key_limit.id FROM key_limit WHERE running <> (
            SELECT count(*) FROM lease JOIN work ON work.id = lease.work, json_each(work.limits) AS own
             WHERE work.tenant = key_limit.tenant AND own.value ->> 0 = key_limit.key)
           UNION SELECT key_limit.id FROM key_limit, json_each(key_limit.lines) AS own
             WHERE (own.value ->> 0, own.value ->> 1) <> (
                SELECT coalesce(sum(start_due IS NOT NULL), 0), coalesce(sum(start_due IS NULL), 0)
                  FROM work WHERE work.line = key_limit.id AND work.queue = own.key)
           UNION SELECT work.id FROM work WHERE work.line IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM key_limit, json_each(key_limit.lines) AS own
                 WHERE key_limit.id = work.line AND own.key = work.queue)""",
    ),
    Invariant(
        7,
        "nobody waits for a key of which nothing runs and nobody is admitted",
        f"""SELECT key_limit.id FROM key_limit WHERE running = 0 AND EXISTS (
                SELECT 1 FROM json_each(key_limit.lines) AS own WHERE own.value ->> 0 = 0 AND own.value ->> 1 > 0)
              AND NOT {_timer("line", "key_limit.id")}""",
    ),
    Invariant(
        8,
        "only open approvals have reminders",
        """SELECT ref FROM timer WHERE kind IN ('remind', 'escalate')
              AND ref NOT IN (SELECT id FROM approval WHERE state = 'open')""",
    ),
    Invariant(
        8,
        "a cooldown that runs has a timer, and no other has one",
        f"""SELECT id FROM cooldown WHERE (phase <> 'due') <> {_timer("cooldown", "cooldown.id")}
             UNION SELECT ref FROM timer WHERE kind = 'cooldown' AND ref NOT IN (SELECT id FROM cooldown)""",
    ),
    Invariant(
        8,
        "a kill has a timer, and nothing else has one of its kind",
        f"""SELECT id FROM kill WHERE NOT {_timer("kill", "kill.id")}
             UNION SELECT ref FROM timer WHERE kind = 'kill' AND ref NOT IN (SELECT id FROM kill)""",
    ),
    Invariant(
        4,
        "what labels an item has flows into all open items that depend on it",
        f"""SELECT DISTINCT child.id
             FROM edge JOIN work AS parent ON parent.id = edge.parent
             JOIN work AS child ON child.id = edge.child
             JOIN task ON task.id = child.task, json_each(parent.labels) AS part, json_each(part.value) AS flows
            WHERE parent.labels IS NOT NULL AND {_OPEN} AND {_QUIET} AND child.status NOT {_IS_FINAL}
              AND NOT EXISTS (SELECT 1 FROM json_each(child.labels, '$.inflow') AS has
                               WHERE has.value ->> 0 = flows.value ->> 0 AND has.value ->> 1 = flows.value ->> 1)""",
    ),
    Invariant(
        4,
        "a label that has flowed into an item comes from an item of its task that has it itself",
        f"""SELECT DISTINCT work.id FROM work JOIN task ON task.id = work.task,
                  json_each(work.labels, '$.inflow') AS flows
            WHERE work.labels IS NOT NULL AND {_OPEN} AND {_QUIET} AND NOT EXISTS (
                SELECT 1 FROM work AS source, json_each(source.labels, '$.own') AS own
                 WHERE source.task = work.task AND source.key = flows.value ->> 2
                   AND own.value ->> 0 = flows.value ->> 0 AND own.value ->> 1 = flows.value ->> 1)""",
    ),
    Invariant(
        4,
        "nothing is granted to what is killed",
        """SELECT lease.lease_id
             FROM kill
             JOIN lease ON lease.tenant = kill.tenant AND lease.granted_at > kill.placed_at
             JOIN bot ON bot.id = lease.bot
             JOIN work ON work.id = lease.work
             JOIN queue ON queue.id = work.queue
            WHERE (kill.until IS NULL OR lease.granted_at < kill.until)
              AND CASE kill.kind WHEN 'bot' THEN kill.name IN (bot.name, bot.id) WHEN 'owner' THEN kill.name = bot.owner
                                 WHEN 'skill' THEN kill.name IN (SELECT value FROM json_each(queue.skills))
                                 ELSE 1 END""",
    ),
    Invariant(
        4,
        "an operation counts what came of its tasks, and ends when something came of each",
        """SELECT id FROM operation
            WHERE (total, done, refused) <> (
                    SELECT count(*), count(*) FILTER (WHERE item.outcome = 'done'),
                           count(*) FILTER (WHERE item.outcome = 'refused')
                      FROM operation_item AS item WHERE item.operation = operation.id)
               OR (ended_at IS NULL) <> (done + refused < total)""",
    ),
    Invariant(
        1,
        "an operation acts once on a task, and not on one that it refuses",
        # Its commands have its trace, and so have their audit records.
        """SELECT operation.id || '/' || item.place
             FROM operation JOIN operation_item AS item ON item.operation = operation.id
            WHERE (SELECT count(*) FROM audit_leaf AS leaf
                    WHERE leaf.task = item.task AND leaf.action = 'task.' || operation.action
                      AND CAST(leaf.leaf AS TEXT) ->> 'trace' = operation.trace
                      AND CAST(leaf.leaf AS TEXT) ->> 'outcome' = 'accepted')
                  > CASE WHEN operation.dry_run OR item.outcome = 'refused' THEN 0 ELSE 1 END""",
    ),
    Invariant(
        8,
        "no timer refers to a final item",
        f"""SELECT timer.ref FROM timer LEFT JOIN work ON work.id = timer.ref
             WHERE timer.kind NOT IN ('deadline', 'answer', 'cooldown', 'line', 'rate', 'remind', 'escalate', 'kill')
               AND (work.id IS NULL OR work.status {_IS_FINAL})""",
    ),
)


# These hold while the shipped policy no-lethal-trifecta is in force.
POLICED: tuple[Invariant, ...] = (
    Invariant(
        4,
        "no work with a way out is handed out if private data and untrusted text have flowed into it",
        """SELECT work.id FROM lease JOIN work ON work.id = lease.work JOIN task ON task.id = work.task
            WHERE 'egress' IN (SELECT value ->> 0 FROM json_each(work.labels, '$.own')
                               UNION SELECT key FROM json_each(task.labels))
              AND 2 = (SELECT count(DISTINCT name) FROM (
                        SELECT value ->> 0 AS name FROM json_each(work.labels, '$.own')
                         UNION ALL SELECT value ->> 0 FROM json_each(work.labels, '$.inflow')
                         UNION ALL SELECT key FROM json_each(task.labels)) WHERE name IN ('private', 'untrusted'))""",
    ),
)


def broken(connection: apsw.Connection, *, audit: bool = True, policed: bool = False) -> Iterator[str]:
    """Yield a message for each broken invariant, with the ids of entities that break it.

    Args:
        audit: whether the audit log is verified, too, which takes long.
        policed: whether the policy no-lethal-trifecta is in force.
    """
    yield from _broken_rows(connection, (*INVARIANTS, *(POLICED if policed else ())))
    if audit:
        yield from _broken_audit(connection)


def _broken_rows(connection: apsw.Connection, invariants: Iterable[Invariant]) -> Iterator[str]:
    for invariant in invariants:
        named = {name: _WORDS[name] for name in _WORDS if f":{name}" in invariant.sql}
        found = [row[0] for row in connection.execute(invariant.sql, named)]
        if found:
            yield f"invariant {invariant.number}: {invariant.words}: broken by {', '.join(map(str, found[:5]))}"


def _broken_audit(connection: apsw.Connection) -> Iterable[str]:
    """11: the audit log verifies. 5: an event is in exactly one audit record, the one that it names."""
    recorded: dict[str, str] = {}  # event id -> id of its audit record
    erased: set[str] = set()  # ids of records without a body
    cuts: Iterable[Any] = connection.execute("SELECT audit, sum(events) FROM audit_cut GROUP BY audit").fetchall()
    cut = Counter(dict(cuts))
    for (tenant,) in connection.execute("SELECT DISTINCT tenant FROM audit_leaf ORDER BY tenant").fetchall():
        head = connection.execute("SELECT tenant, size, frontier, root FROM audit_tree WHERE tenant = ?", (tenant,))
        row: Any = head.fetchone()
        leaves = [
            AuditLeaf(*leaf)
            for leaf in connection.execute(
                "SELECT tenant, place, id, task, actor, action, at, leaf, salt, body, hash"
                " FROM audit_leaf WHERE tenant = ? ORDER BY place",
                (tenant,),
            )
        ]
        begin = connection.execute("SELECT frontier FROM audit_start WHERE tenant = ?", (tenant,)).get or b""
        verdict = audit.verify(leaves, None if row is None else AuditTree(*row), begin)
        if verdict.status != "whole":
            yield f"invariant 11: the audit log verifies: {verdict.reason}"
        for leaf in leaves:
            if leaf.body is None:
                erased.add(leaf.id)
                continue
            for event in audit.decode_body(leaf.body)[0]:
                if event in recorded:
                    yield f"invariant 5: an event is in one audit record: {event} is in two"
                recorded[event] = leaf.id
    found: list[Any] = connection.execute("SELECT id, audit FROM event").fetchall()
    named: dict[str, str] = {event: record for event, record in found if record not in erased}
    lost = Counter(record for event, record in recorded.items() if event not in named)
    if lost != cut or any(recorded.get(event) != record for event, record in named.items()):
        wrong = sorted(set(named.items()) ^ set(recorded.items()))[:5]
        yield f"invariant 5: an event is in the audit record that it names: broken by {wrong}"
