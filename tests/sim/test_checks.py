"""Breaks each invariant on rows by hand, and checks that it is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from swarmkeeper.sim.harness import Harness
from swarmkeeper.sim.oracle import checks
from swarmkeeper.sim.play.engine import policed_rules

# A statement that breaks a valid store, and words of the expected finding.
ANOTHER_ATTEMPT = (
    "INSERT INTO attempt SELECT 'lse_2', work, task, tenant, 99, bot, {started}, {ended}, {ending}, round, error,"
    " result, result_hash, usage, answer, reason, progress, NULL FROM attempt WHERE ending = 'succeeded' LIMIT 1"
)
A_BLOCKED_ONE_READY = (
    "UPDATE ready SET work = (SELECT id FROM work WHERE status = 'BLOCKED' LIMIT 1)"
    " WHERE work = (SELECT max(work) FROM ready)"
)
LABELLED = """UPDATE work SET labels = '{{"own":[{own}],"inflow":[{inflow}]}}' WHERE {which}"""
A_KILL = "INSERT INTO kill SELECT 'kil_x', tenant, '{kind}', {name}, 'r', 'key_x', 0, NULL FROM lease LIMIT 1"
AN_OPERATION = (
    "INSERT INTO operation (id, tenant, party, caller, action, args, dry_run, total, trace, created_at, ended_at, done,"
    " refused) SELECT 'opr_1', 'default', '', '{{}}', 'submit', '{{}}', 0, 1, CAST(leaf AS TEXT) ->> 'trace', 1,"
    " {ended}, {done}, {refused} FROM audit_leaf WHERE action = 'task.submit' LIMIT 1;"
    " INSERT INTO operation_item (operation, place, task, outcome) SELECT 'opr_1', 0, task, {outcome}"
    " FROM audit_leaf WHERE action = 'task.submit' LIMIT 1"
)
DAMAGE = {
    "an operation that ended too early": (
        AN_OPERATION.format(ended=1, done=0, refused=0, outcome="NULL"),
        "ends when something came of each",
    ),
    "an operation that counts wrongly": (
        AN_OPERATION.format(ended=1, done=1, refused=0, outcome="'refused'"),
        "counts what came of its tasks",
    ),
    "an operation that acted and refused": (
        AN_OPERATION.format(ended=1, done=0, refused=1, outcome="'refused'"),
        "acts once on a task",
    ),
    "two results": (
        ANOTHER_ATTEMPT.format(started="started", ended="ended", ending="ending"),
        "at most one accepted result",
    ),
    "not the newest": (
        ANOTHER_ATTEMPT.format(started="started - 1", ended="ended + 1", ending="'failed'"),
        "the newest granted",
    ),
    "result gone": ("UPDATE work SET result = 'x' WHERE status = 'SUCCEEDED'", "result of its last attempt"),
    "attempt uncounted": ("UPDATE work SET attempt = attempt + 1 WHERE key = 'a'", "counted without a gap"),
    "lease gone": ("DELETE FROM lease", "a lease exists exactly"),
    "lease of another attempt": ("UPDATE lease SET attempt = attempt + 1", "the item's newest attempt"),
    "pending": ("UPDATE work SET pending = 7 WHERE status = 'BLOCKED'", "unsettled edges"),
    "begun too early": ("UPDATE work SET status = 'WAITING' WHERE status = 'BLOCKED'", "no open upstream item"),
    "counters": ("UPDATE task SET n_open = n_open - 1 WHERE n_open > 1", "counts of its subtasks"),
    "done too early": ("UPDATE task SET status = 'COMPLETED' WHERE status = 'IN_PROGRESS'", "no open subtask"),
    "event gone": ("DELETE FROM event WHERE sequence = 2", "without a gap"),
    "events out of order": ("UPDATE event SET seq = -seq WHERE task IS NOT NULL", "in the order of their numbers"),
    "status by hand": ("UPDATE task SET status = 'CREATED' WHERE status = 'IN_PROGRESS'", "exactly one event"),
    "grant untold": ("UPDATE event SET kind = 'x' WHERE kind = 'work.leased'", "each grant has"),
    "end untold": ("UPDATE event SET kind = 'x' WHERE kind = 'work.succeeded'", "each end of an attempt"),
    "record twice": ("UPDATE audit_leaf SET id = (SELECT min(id) FROM audit_leaf)", "exists twice"),
    "grace time gone": ("DELETE FROM timer WHERE kind = 'grace'", "the timer of its grace time"),
    "grace time of a live lease": (
        "INSERT INTO timer SELECT 'grace', work, 1 FROM lease WHERE NOT cancelled",
        "the timer of its grace time",
    ),
    "timer beside a lease": ("INSERT INTO timer SELECT 'ends', work, ends_at FROM lease", "repeats a time"),
    "timer of a ready item gone": ("UPDATE ready SET start_due = NULL", "a ready item"),
    "timer of a ready item late": ("UPDATE ready SET start_due = start_due + 1", "a ready item"),
    "not in its queue": ("DELETE FROM ready", "a ready item"),
    "held and handed out": ("UPDATE task SET holds = '[\"paused\"]'", "a held item"),
    "in a queue, not ready": (A_BLOCKED_ONE_READY, "only ready items"),
    "held for nothing": ("UPDATE task SET holds = '[\"apr_1\"]'", "an open approval"),
    "question gone": ("UPDATE approval SET state = 'decided'", "waits for an answer"),
    "wake-up gone": ("DELETE FROM timer WHERE kind = 'wake'", "a wake-up timer"),
    "blocked by nothing": ("UPDATE work SET pending = 0 WHERE status = 'BLOCKED'", "waits for an upstream"),
    "review gone": ("UPDATE work SET subject = NULL", "has an open review"),
    "nothing goes on": ("UPDATE work SET status = 'SUCCEEDED'", "an open task has an open item"),
    "left over": ("UPDATE lease SET cancelled = 0", "the grace time of its lease"),
    "limit below what is spent": (
        "UPDATE task SET budget = json_set(budget, '$.limit.tokens', 5)",
        "no more of a budget is spent",
    ),
    "reservation lost": ("UPDATE lease SET reserved = NULL", "what a budget has reserved is"),
    "held although nothing is reserved": (
        """UPDATE task SET holds = '["budget"]' WHERE budget IS NULL AND status = 'IN_PROGRESS'""",
        "held for its reserved budget",
    ),
    "a task counted twice": ("UPDATE task_count SET number = number + 1", "tasks are counted by status"),
    "a label of no task counted": (
        "INSERT INTO label_count VALUES ('default', 'team', 'a', '', 0, 1)",
        "tasks are counted by label",
    ),
    "a label of no task": (
        "INSERT INTO task_label SELECT tenant, 'team:a', created_at, id FROM task",
        "listed by its labels, skills and errors",
    ),
    "a skill that no item needs": (
        "INSERT INTO task_label SELECT tenant, char(31) || 'skill:fly', created_at, id FROM task",
        "listed by its labels, skills and errors",
    ),
    "a skill that is not listed": (
        """UPDATE queue SET skills = '["fly"]'""",
        "listed by its labels, skills and errors",
    ),
    "a title without words": ("DELETE FROM task_number WHERE n = 1", "the words of a title"),
    "used twice": ("UPDATE cost SET tokens = 2 * tokens", "sums of costs"),
    "a span of no days": (
        "INSERT INTO cost_span VALUES ('default', 'label', 1, 20000, 'team:a', 1, 1, 0, 1)",
        "sums over spans of days",
    ),
    "settled twice": ("UPDATE attempt SET settled = NULL", "what a budget has spent"),
    "a key too many": ("""UPDATE work SET limits = '[["k", 0]]' WHERE status = 'LEASED'""", "than it allows"),
    "key of nothing": ("INSERT INTO key_limit VALUES ('lim_x', 'default', 'k', 1, '{}', 1)", "a key counts what runs"),
    "a line that does not move": (
        """INSERT INTO key_limit VALUES ('lim_x', 'default', 'k', 0, '{"1": [0, 1]}', 1)""",
        "nobody waits for a key",
    ),
    "reminder of nothing": ("INSERT INTO timer VALUES ('remind', 'apr_x', 1)", "only open approvals"),
    "cooldown without an end": (
        "INSERT INTO cooldown VALUES ('cdn_x', 'default', 'provider', 'cooling', 1)",
        "a cooldown that runs has a timer",
    ),
    "a kill without a timer": (A_KILL.format(kind="skill", name="'nothing'"), "a kill has a timer"),
    "a grant to what is killed": (A_KILL.format(kind="tenant", name="tenant"), "nothing is granted to what is killed"),
    "a label that does not flow": (
        LABELLED.format(own="", inflow="", which="key = 'out'"),
        "flows into all open items",
    ),
    "a label of nobody": (
        LABELLED.format(own="", inflow='["secret","","read"]', which="key = 'b'"),
        "comes from an item of its task that has it",
    ),
    "a way out for what was read": (
        LABELLED.format(own='["egress",""]', inflow='["private","","c"],["untrusted","","c"]', which="key = 'a'"),
        "no work with a way out is handed out",
    ),
    "deadline gone": ("DELETE FROM timer WHERE kind = 'deadline'", "has a deadline timer"),
    "timer of what is over": (
        "INSERT INTO timer SELECT 'wake', id, 1 FROM work WHERE status = 'SUCCEEDED' LIMIT 1",
        "a final item",
    ),
    "audit leaf changed": ("UPDATE audit_leaf SET actor = 'nobody' WHERE place = 1", "the audit log verifies"),
    "event of another record": ("UPDATE event SET audit = 'aud_x' WHERE sequence = 1", "record that it names"),
}


@pytest.fixture(scope="module")
def busy_swarm() -> Harness:
    """Items of all kinds: leased, blocked, ready, waiting for time and for an answer, in review, in grace."""
    swarm = Harness()
    swarm.engine._rules = policed_rules()
    worker = swarm.bot("worker", capacity=64)
    swarm.submit(["a", "b", "c", {"key": "d", "depends_on": ["a"]}], deadline_seconds=3600)
    first, second, third = swarm.leases(worker, 3)
    swarm.release(second, delay_seconds=60)
    swarm.ask(third)
    swarm.submit(["e"], evaluation="each")
    swarm.report(swarm.take(worker))
    swarm.submit(["f", {"key": "g", "depends_on": ["f"]}])
    swarm.report(swarm.take(worker))
    swarm.submit(["paid", "more"], priority=9, budget={"tokens": 90_000})
    swarm.report(swarm.take(worker), usage={"tokens": 10})
    swarm.take(worker)
    stopped = swarm.submit(["h"], priority=9)
    swarm.take(worker)
    swarm.cancel(stopped)
    read = {"key": "read", "labels": {"private": "", "untrusted": ""}}
    swarm.submit([read, {"key": "out", "labels": {"egress": ""}, "depends_on": ["read"]}])
    assert first.key == "a"
    swarm.check()
    swarm.store.connection.execute("PRAGMA foreign_keys = OFF")
    return swarm


@pytest.fixture
def swarm(busy_swarm: Harness) -> Iterator[Harness]:
    """What a test changes is rolled back."""
    busy_swarm.store.connection.execute("BEGIN")
    yield busy_swarm
    busy_swarm.store.connection.execute("ROLLBACK")


@pytest.mark.parametrize(("sql", "words"), DAMAGE.values(), ids=DAMAGE)
def test_a_broken_invariant_is_found(sql: str, words: str, swarm: Harness) -> None:
    swarm.check()

    swarm.store.connection.execute(sql)

    assert any(words in found for found in checks.broken(swarm.store.connection, policed=True)), "found"
    with pytest.raises(AssertionError, match="invariant"):
        swarm.check()


def test_each_invariant_is_broken_once() -> None:
    words = [damage[1] for damage in DAMAGE.values()]

    assert all(any(word in invariant.words for word in words) for invariant in (*checks.INVARIANTS, *checks.POLICED))


def test_a_valid_store_breaks_no_invariant(swarm: Harness) -> None:
    assert list(checks.broken(swarm.store.connection, policed=True)) == []
