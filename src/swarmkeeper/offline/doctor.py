"""Looks whether a store still holds what must always hold: the audit log as written, and the invariants of the rows.

Each check of rows is one statement, so it sees one moment even of a store that a server is writing to.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from swarmkeeper.core.model import AuditLeaf, AuditTree
from swarmkeeper.core.ports import Rules, Store
from swarmkeeper.core.states import FINAL, TASK_CLOSED, AttemptOutcome, Kind, Outcome, Status, TaskStatus
from swarmkeeper.engine.engine_time import APART
from swarmkeeper.govern import audit
from swarmkeeper.govern.audit import Verdict
from swarmkeeper.reads.audit_queries import text_of, untold

PAGE = 500
SHOWN = 20  # findings of one check; the rest is counted by looking again after mending


# ---- the audit log -------------------------------------------------------------------------------------------------


async def verify_audit(store: Store) -> dict[str, Verdict]:
    """What verifying each tenant's log came to. A server may be writing meanwhile: what it adds is not looked at."""
    tenants = [row["tenant"] for row in await store.read("audit_tenants", {})]
    verdicts = {text_of(tenant): await _verify_one(store, tenant) for tenant in tenants}
    lost = await store.read("doctor_event_without_record", WORDS)
    for row in lost:
        # Records that are gone together with the head of their log leave no other trace.
        verdict = verdicts.get(row["tenant"], Verdict("whole", 0))
        if verdict.status == "whole":
            reason = "an event names a record that is not there"
            verdicts[row["tenant"]] = replace(verdict, status="incomplete", reason=reason)
    return verdicts


async def _verify_one(store: Store, tenant: bytes) -> Verdict:
    head = await _head(store, tenant)
    tree = None if head is None else AuditTree(text_of(tenant), head["size"], head["frontier"], head["root"])
    size = 1 << 62 if tree is None else tree.size
    loop = asyncio.get_running_loop()

    def records() -> Iterator[AuditLeaf]:
        # In a thread of its own, because the verifier asks for one record after the other; the store is asked where
        # it lives, a page at a time, so that no log is too large.
        place = 0
        while True:
            asked = {"tenant": tenant, "place": place, "size": size, "n": PAGE}
            rows = asyncio.run_coroutine_threadsafe(store.read("audit_records", asked), loop).result()
            for row in rows:
                yield _leaf(tenant, row)
            if len(rows) < PAGE:
                return
            place = rows[-1]["place"] + 1

    verdict = await asyncio.to_thread(lambda: audit.verify(records(), tree))
    if verdict.status != "tampered" and tree is not None:
        # The head and what lies beyond it, seen at one moment.
        now = await _head(store, tenant)
        if now is None or now["size"] < tree.size:
            return replace(verdict, status="incomplete", reason="the head of the log went back while it was read")
        if now["beyond"]:
            reason = f"there are more records than the {now['size']} that the tree was made of"
            return replace(verdict, status="tampered", index=verdict.records, reason=reason)
    if verdict.status != "whole" or tree is None or (wrong := await untold(store, tenant, tree.size)) is None:
        return verdict
    index, reason, altered = wrong
    return replace(verdict, status="tampered" if altered else "incomplete", index=index, reason=reason)


async def _head(store: Store, tenant: bytes) -> dict[str, Any] | None:
    rows = await store.read("audit_head", {"tenant": tenant})
    return rows[0] if rows else None


def _leaf(tenant: bytes, row: Mapping[str, Any]) -> AuditLeaf:
    return AuditLeaf(
        tenant=text_of(tenant),
        index=row["place"],
        id=text_of(row["id"]),
        task=None if row["task"] is None else text_of(row["task"]),
        actor=text_of(row["actor"]),
        action=text_of(row["action"]),
        at=row["at"],
        leaf=row["leaf"],
        salt=row["salt"],
        body=row["body"],
        hash=row["hash"],
    )


# ---- rows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """One fact that must hold, and the named read that finds what breaks it."""

    invariant: int  # its number in the documentation; 0: the file itself
    read: str
    says: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that breaks an invariant."""

    check: Check
    subject: str  # the id of a task, work item, event, record or approval


DAMAGE = Check(0, "doctor_damage", "the database file is sound")
CLOCK = Check(0, "doctor_clock", "the store's time is that of the wall clock (if not: doctor --reset-clock)")
CHECKS: tuple[Check, ...] = (
    DAMAGE,
    CLOCK,
    Check(1, "doctor_two_results", "an item has at most one accepted result in each round"),
    Check(2, "doctor_result_not_newest", "the accepted attempt was the newest granted"),
    Check(3, "doctor_lease", "there is a lease exactly for what is LEASED"),
    Check(3, "doctor_attempts", "each lease granted has ended once, or lives"),
    Check(4, "doctor_pending", "pending is the number of edges not settled"),
    Check(4, "doctor_counters", "a task's counters are the counts of its subtasks"),
    Check(4, "doctor_done", "of a task that is COMPLETED no subtask is open, and of one that was accepted nothing is"),
    Check(4, "doctor_open_tasks", "a tenant counts its tasks that are not final"),
    Check(4, "doctor_open_subtasks", "a tenant counts the subtasks of its tasks that are not final"),
    Check(5, "doctor_sequence", "events of a task are numbered 1, 2, 3… without gap"),
    Check(5, "doctor_task_changes", "each change of a task's state has exactly one event"),
    Check(5, "doctor_grants", "each lease granted has exactly one event"),
    Check(5, "doctor_event_without_record", "each event names an audit record that is there"),
    Check(5, "doctor_record_events", "each audit record is one, and lists the events that name it"),
    Check(8, "doctor_ready", "what is READY stands in its queue, and its waiting ends"),
    Check(8, "doctor_lease_timers", "each lease has its end"),
    Check(8, "doctor_waiting", "what is WAITING waits for a moment or an answer"),
    Check(8, "doctor_in_review", "what is IN_REVIEW has an open review"),
    Check(8, "doctor_idle_task", "each open task has something that moves it on, a closed one nothing"),
)
EVIDENCE = (
    Check(10, "doctor_events", "no event holds a secret that the rules know"),
    Check(10, "doctor_records", "no audit record holds a secret that the rules know"),
)
AUDIT = Check(11, "audit_records", "the audit log verifies")


def _json(words: Any) -> str:
    return json.dumps(sorted(str(word) for word in words))


# The words that the statements are given; see core/states.py.
WORDS: Mapping[str, Any] = {
    "n": SHOWN,
    "ended_well": str(AttemptOutcome.SUCCEEDED),
    "succeeded": str(Status.SUCCEEDED),
    "in_review": str(Status.IN_REVIEW),
    "leased": str(Status.LEASED),
    "blocked": str(Status.BLOCKED),
    "ready": str(Status.READY),
    "waiting": str(Status.WAITING),
    "final": _json(FINAL),
    "lost": _json({Status.FAILED, Status.CANCELLED}),
    "closed": _json(TASK_CLOSED),
    "completed": str(TaskStatus.COMPLETED),
    "accepted": str(Outcome.ACCEPTED),
    "task_statuses": _json(TaskStatus),
    "execute": str(Kind.EXECUTE),
    "review": str(Kind.REVIEW),
    "open": "open",
    "event_leased": "work.leased",
    "timer_start": "start",
    "timer_wake": "wake",
    "timer_answer": "answer",
    "timer_deadline": "deadline",
    "timers_live": _json({"lease", "ends"}),
    "timers_cancelled": _json({"grace"}),
}


async def examine(store: Store, rules: Rules, *, deep: bool, wall: int) -> list[Finding]:
    """What is wrong with the store; `deep` looks at every row and every audit record, else at the file alone.

    Args:
        rules: what must not be found in the evidence. A rule that is younger than the store may find what was no
            secret when it was written down.
        wall: the wall clock, in microseconds.
    """
    findings = []
    for check in CHECKS if deep else (DAMAGE, CLOCK):
        rows = await store.read(check.read, {**WORDS, "latest": wall + APART})
        findings += [Finding(check, str(row["subject"])) for row in rows]
    if deep:
        for check in EVIDENCE:
            findings += [Finding(check, subject) async for subject in _secrets(store, rules, check)]
        for tenant, verdict in (await verify_audit(store)).items():
            if verdict.status != "whole":
                place = "" if verdict.index is None else f" at index {verdict.index}"
                findings.append(Finding(AUDIT, f"tenant {tenant}: {verdict.status}{place}: {verdict.reason}"))
    return findings


async def _secrets(store: Store, rules: Rules, check: Check) -> AsyncIterator[str]:
    """Where something stands that redaction would not have let through, up to SHOWN places."""
    place = shown = 0
    while rows := await store.read(check.read, {"place": place, "n": PAGE}):
        for row in rows:
            place = row["place"]
            if shown < SHOWN and any(rules.redact(part).fields for part in (_said(row["head"]), _read(row["body"]))):
                shown += 1
                yield str(row["subject"])


# What redaction writes in a secret's place, whole or cut short; beside `password=` it would look like one itself.
_HIDDEN = re.compile(r"\[redacted:[a-z0-9-]+(?::[0-9A-Za-z_-]{1,32}){0,2}\]|(?:\[[a-z0-9:_-]*)?…")


def _said(head: bytes | None) -> Any:
    """A record's head without its numbers: one trace in 70,000 has the digits of a payment card."""
    leaf = _read(head)
    return {name: part for name, part in leaf.items() if name not in _NUMBERS} if isinstance(leaf, dict) else leaf


_NUMBERS = ("at", "trace")


def _read(kept: str | bytes | None) -> Any:
    if kept is None:
        return None
    text = kept if isinstance(kept, str) else kept.decode("utf-8", "replace")
    text = _HIDDEN.sub("<>", text)  # no rule reads across these
    try:
        return json.loads(text)
    except ValueError:  # not as it was written; the audit log tells of that
        return text
