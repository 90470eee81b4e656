"""Checks a store: verifies the audit log and the invariants of the rows.

Each check of rows is one statement, so it sees one consistent state even while a server writes to the store.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from swarmkeeper.core.model import AuditLeaf
from swarmkeeper.core.ports import Reader, Rules
from swarmkeeper.core.retention import ERASE, WHOLE_TENANT
from swarmkeeper.core.rules.tree import AuditTree
from swarmkeeper.core.states import FINAL, TASK_CLOSED, AttemptOutcome, Kind, Outcome, Status, TaskStatus
from swarmkeeper.engine.engine_time import APART
from swarmkeeper.govern import audit
from swarmkeeper.govern.audit import AuditVerification, KeptRoot
from swarmkeeper.offline.replay import Replay, replay
from swarmkeeper.reads.audit_queries import first_mismatch, text_of

PAGE = 500
SHOWN = 20  # findings listed for one check; run it again after a repair to see the rest


# ---- the audit log -------------------------------------------------------------------------------------------------


async def verify_audit(
    store: Reader, since: Mapping[str, KeptRoot] = MappingProxyType({})
) -> dict[str, AuditVerification]:
    """Verify the audit log of each tenant. A server may be running: records that it adds meanwhile are not checked.

    Args:
        since: by tenant, what an earlier verification gave as `kept`: each log must begin with the same records.
    """
    tenants = [row["tenant"] for row in await store.read("audit_tenants", {})]
    verdicts = {text_of(tenant): await _verify_one(store, tenant, since.get(text_of(tenant))) for tenant in tenants}
    for tenant in since.keys() - verdicts.keys():
        verdicts[tenant] = AuditVerification("incomplete", 0, reason="the whole log of a kept root is missing")
    lost = await store.read("doctor_event_without_record", WORDS)
    for row in lost:
        # If records are missing together with the head of their log, only the events still refer to them.
        verdict = verdicts.get(row["tenant"], AuditVerification("whole", 0))
        if verdict.status == "whole":
            reason = "an event names a record that is missing"
            verdicts[row["tenant"]] = replace(verdict, status="incomplete", reason=reason)
    return verdicts


async def verify_deep(
    store: Reader, since: Mapping[str, KeptRoot] = MappingProxyType({})
) -> tuple[dict[str, AuditVerification], Replay, list[DoctorFinding]]:
    """Verify the audit log of each tenant, and all rows and events against it. Nothing may be written meanwhile.

    Returns:
        the verdicts by tenant, what the rows have told, and what the events have told that no record lists.
    """
    verdicts = await verify_audit(store, since)
    findings = []
    for check in OF_EVENTS:
        rows = await store.read(check.read, WORDS)
        findings += [DoctorFinding(check, str(row["subject"])) for row in rows]
    return verdicts, await replay(store), findings


async def _verify_one(store: Reader, tenant: bytes, since: KeptRoot | None) -> AuditVerification:
    head = await _head(store, tenant)
    tree = None if head is None else AuditTree(text_of(tenant), head["size"], head["frontier"], head["root"])
    size = 1 << 62 if tree is None else tree.size
    begun = await store.read("audit_log_start", {"tenant": tenant})
    begin, start = (begun[0]["size"], begun[0]["frontier"]) if begun else (0, b"")
    if begun and begin != int.from_bytes(start[:8]):
        return AuditVerification("tampered", 0, index=0, reason="the log's beginning contradicts itself")
    loop = asyncio.get_running_loop()

    def records() -> Iterator[AuditLeaf]:
        # Runs in a thread, because the verifier takes a plain iterator. The store is read on its own loop, a page at a
        # time, so that logs of any size fit into memory.
        place = begin
        while True:
            asked = {"tenant": tenant, "place": place, "size": size, "n": PAGE}
            rows = asyncio.run_coroutine_threadsafe(store.read("audit_records", asked), loop).result()
            for row in rows:
                yield _leaf(tenant, row)
            if len(rows) < PAGE:
                return
            place = rows[-1]["place"] + 1

    verdict = await asyncio.to_thread(lambda: audit.verify(records(), tree, start, since=since))
    if verdict.status != "tampered" and tree is not None:
        # The head, and whether there are records beyond it, read in one statement.
        now = await _head(store, tenant)
        if now is None or now["size"] < tree.size:
            return replace(verdict, status="incomplete", reason="the head of the log moved back while it was read")
        if now["beyond"]:
            reason = f"there are more records than the {now['size']} in the tree"
            return replace(verdict, status="tampered", index=begin + verdict.records, reason=reason)
    if verdict.status != "whole" or tree is None:
        return verdict
    wrong = await first_mismatch(store, tenant, tree.size, begin=begin)
    if wrong is None:
        return verdict
    index, reason, altered = wrong
    return replace(verdict, status="tampered" if altered else "incomplete", index=index, reason=reason)


async def _head(store: Reader, tenant: bytes) -> dict[str, Any] | None:
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
class DoctorCheck:
    """An invariant, and the named read that finds violations of it."""

    invariant: int  # its number in the documentation; 0: the database file
    read: str
    says: str


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """A violation of an invariant."""

    check: DoctorCheck
    subject: str  # the id of a task, work item, event, record or approval


DAMAGE = DoctorCheck(0, "doctor_damage", "the database file is undamaged")
CLOCK = DoctorCheck(0, "doctor_clock", "the store's time agrees with the wall clock (if not: doctor --reset-clock)")
OF_EVENTS = (
    DoctorCheck(5, "doctor_task_changes", "each change of a task's state has exactly one event"),
    DoctorCheck(5, "doctor_sequence", "events of a task are numbered 1, 2, 3… without gaps"),
    DoctorCheck(5, "doctor_event_without_record", "each event names an existing audit record"),
    DoctorCheck(5, "doctor_record_events", "each audit record can be read, and lists the events that name it"),
    DoctorCheck(5, "doctor_erased_events", "no event names a record that was erased with its task"),
    DoctorCheck(5, "doctor_cuts", "only an erased task explains that a record has lost events"),
)
CHECKS: tuple[DoctorCheck, ...] = (
    DAMAGE,
    CLOCK,
    DoctorCheck(1, "doctor_two_results", "an item has at most one accepted result in each round"),
    DoctorCheck(2, "doctor_result_not_newest", "the accepted attempt is the newest one"),
    DoctorCheck(3, "doctor_lease", "each LEASED item has a lease, and no other item has one"),
    DoctorCheck(3, "doctor_attempts", "each granted lease has ended exactly once, or is active"),
    DoctorCheck(4, "doctor_pending", "pending is the number of unsettled edges"),
    DoctorCheck(4, "doctor_counters", "a task's counters match its subtasks"),
    DoctorCheck(4, "doctor_done", "a COMPLETED task has no open subtask, and an accepted one no open item"),
    DoctorCheck(4, "doctor_task_counts", "tasks are counted by status and outcome (if not: store rebuild)"),
    DoctorCheck(4, "doctor_label_counts", "tasks are counted by label (if not: store rebuild)"),
    DoctorCheck(
        4,
        "doctor_labels",
        "each task is listed by its labels, skills and errors, and no others (if not: store rebuild)",
    ),
    DoctorCheck(4, "doctor_words", "the words of each title are found, and no others (if not: store rebuild)"),
    DoctorCheck(4, "doctor_open_tasks", "a tenant's counter of open tasks matches its tasks"),
    DoctorCheck(4, "doctor_open_subtasks", "a tenant's counter of open subtasks matches its tasks"),
    DoctorCheck(5, "doctor_grants", "each granted lease has exactly one event"),
    *OF_EVENTS,
    DoctorCheck(5, "doctor_granted_bot", "each lease is of the bot that its event names"),
    DoctorCheck(6, "doctor_budget_limit", "no more of a budget is spent and reserved than its limit and overshoot"),
    DoctorCheck(6, "doctor_budget_reserved", "what a budget has reserved is what its active leases may use"),
    DoctorCheck(6, "doctor_budget_spent", "what a budget has spent was settled by its attempts, each once"),
    DoctorCheck(6, "doctor_budget_hold", "a task held for its reserved budget has a lease that has some of it"),
    DoctorCheck(6, "doctor_key_limits", "no more items of a key run than it allows, and its row counts them"),
    DoctorCheck(6, "doctor_key_lines", "each key counts those who wait for it, and somebody whose turn it is goes on"),
    DoctorCheck(6, "doctor_costs", "sums of costs are what attempts used (if not: store rebuild)"),
    DoctorCheck(6, "doctor_cost_spans", "sums of costs over days are those of each day (if not: store rebuild)"),
    DoctorCheck(8, "doctor_ready", "each READY item is in its queue, with a time at which its wait ends"),
    DoctorCheck(
        8,
        "doctor_lease_timers",
        "a cancelled lease has a timer, and no timer repeats another row",
    ),
    DoctorCheck(8, "doctor_cooldowns", "each cooldown that runs has a timer that ends it"),
    DoctorCheck(8, "doctor_kills", "each kill has the timer that takes back what the killed holds"),
    DoctorCheck(8, "doctor_waiting", "each WAITING item waits for a time or an answer"),
    DoctorCheck(8, "doctor_in_review", "each IN_REVIEW item has an open review"),
    DoctorCheck(8, "doctor_idle_task", "each open task has something that moves it on, and a closed task has nothing"),
    DoctorCheck(12, "doctor_leftovers", "a task that was erased leaves nothing behind"),
    DoctorCheck(12, "doctor_erased_under_hold", "a task under a legal hold is not erased"),
)
EVIDENCE = (
    DoctorCheck(10, "doctor_events", "no event holds a secret that the rules know"),
    DoctorCheck(10, "doctor_records", "no audit record holds a secret that the rules know"),
)
AT_REST = DoctorCheck(0, "at_rest", "each encrypted body can be opened where it is")
AUDIT = DoctorCheck(11, "audit_records", "the audit log verifies")
ROWS = DoctorCheck(11, "replay", "each row is as the audit log says")


def _json(words: Any) -> str:
    return json.dumps(sorted(str(word) for word in words))


# Parameters of the statements; see core/states.py.
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
    "timer_wake": "wake",
    "timer_answer": "answer",
    "timer_deadline": "deadline",
    "timer_grace": "grace",
    "timer_cooldown": "cooldown",
    "timer_line": "line",
    "timer_kill": "kill",
    "due": "due",
    "timers_without_rows": _json({"lease", "ends", "start"}),
    "erase": ERASE,
    "task_erase": audit.TASK_ERASE,
    "whole_tenant": WHOLE_TENANT,
}


async def examine(store: Reader, rules: Rules, *, deep: bool, wall: int) -> list[DoctorFinding]:
    """Return the violations found in the store.

    Args:
        rules: redaction rules for the evidence. A rule newer than the store may match text that was not a secret when
            it was written.
        deep: also check every row and every audit record, not only the file.
        wall: the wall clock, in microseconds.
    """
    findings = []
    for check in CHECKS if deep else (DAMAGE, CLOCK):
        rows = await store.read(check.read, {**WORDS, "latest": wall + APART})
        findings += [DoctorFinding(check, str(row["subject"])) for row in rows]
    if deep:
        for check in EVIDENCE:
            findings += [DoctorFinding(check, subject) async for subject in _secrets(store, rules, check)]
        for tenant, verdict in (await verify_audit(store)).items():
            if verdict.status != "whole":
                place = "" if verdict.index is None else f" at index {verdict.index}"
                findings.append(DoctorFinding(AUDIT, f"tenant {tenant}: {verdict.status}{place}: {verdict.reason}"))
        findings += [DoctorFinding(ROWS, str(mismatch)) for mismatch in (await replay(store)).mismatches]
    return findings


async def _secrets(store: Reader, rules: Rules, check: DoctorCheck) -> AsyncIterator[str]:
    """Yield the subjects of rows that contain text that redaction would hide, at most SHOWN."""
    place = shown = 0
    clean: set[bytes] = set()  # shapes of rows in which there was none
    while rows := await store.read(check.read, {"place": place, "n": PAGE}):
        for row in rows:
            place = row["place"]
            if shown >= SHOWN or (shape := _shape(row["head"], row["body"])) in clean:
                continue
            if _is_secret(rules, _said(row["head"]), _without_hashes(_read(row["body"]))):
                shown += 1
                yield str(row["subject"])
            elif len(clean) < SHAPES_MAX:
                clean.add(shape)


def _shape(head: bytes | None, body: str | bytes | None) -> bytes:
    """Return a hash of what a row says, but for ids and hashes that the engine made, and a head's numbers.

    Most rows differ in nothing else, and these tell no secret. So only one of them is searched.
    """
    said = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body or b""
    text = b"%b\0%b" % (_HEAD_NUMBERS.sub(b"", head or b""), said)
    for pattern, less in _ALIKE:
        text = pattern.sub(less, text)
    return blake2b(text, digest_size=16).digest()


SHAPES_MAX = 50_000
_HEAD_NUMBERS = re.compile(rb'"at":[0-9]+|"trace":"[0-9a-f-]*"')
_ALIKE = (
    (re.compile(rb"\b(?:aud|bot|evt|key|req|sub|tsk)_[0-9A-V]{26}\b|\blse_[0-9A-V]{32}\b"), b"~"),
    (re.compile(rb'\["(?:task|work|payload|attempt) ~(?:/[a-z]+(?:/[0-9]+)*)?","[0-9a-f]{64}"\],?'), b""),
    (re.compile(rb'("(?:commitment|events_hash|rules|sha256)":)"[0-9a-f]{64}"'), rb"\1"),
    (re.compile(rb'"~",'), b""),
)


def _is_secret(rules: Rules, *parts: Any) -> bool:
    return any(rules.redact(part, tenant=None).fields for part in parts)


# The text that redaction writes in place of a secret, whole or truncated. After `password=` it would match a rule.
_HIDDEN = re.compile(r"\[redacted:[a-z0-9-]+(?::[0-9A-Za-z_-]{1,32}){0,2}\]|(?:\[[a-z0-9:_-]*)?…")


def _said(head: bytes | None) -> Any:
    """Return a record's head without its numbers: one trace id in 70,000 has the digits of a payment card."""
    leaf = _read(head)
    return {name: part for name, part in leaf.items() if name not in _NUMBERS} if isinstance(leaf, dict) else leaf


_NUMBERS = ("at", "trace")


def _without_hashes(body: Any) -> Any:
    """Return an audit record's body without the ids and hashes of rows, which can be thousands and tell no secret.

    Whatever does not have exactly their form stays.
    """
    if not isinstance(body, dict) or not isinstance(rows := body.get("rows"), dict):
        return body
    left = {
        task: [pair for pair in own if not _is_hash_of_row(pair)] if isinstance(own, list) else own
        for task, own in rows.items()
    }
    return {**body, "rows": left}


def _is_hash_of_row(pair: Any) -> bool:
    match pair:
        case [str(name), str(hashed)]:
            return _ROW.fullmatch(name) is not None and _HASH.fullmatch(hashed) is not None
        case _:
            return False


# Of what there is most: other names are few, and people choose some of them.
_ROW = re.compile(r"(?:task|work|payload|attempt) [a-z]{3}_[0-9A-V]{26,32}(?:/[a-z]+(?:/[0-9]+)*)?")
_HASH = re.compile(r"[0-9a-f]{64}")


def _read(kept: str | bytes | None) -> Any:
    if kept is None:
        return None
    text = kept if isinstance(kept, str) else kept.decode("utf-8", "replace")
    if "…" in text or "[redacted:" in text:  # looking for these two takes a hundredth of the time
        text = _HIDDEN.sub("<>", text)  # no rule matches across this
    try:
        return json.loads(text)
    except ValueError:  # altered after it was written; verifying the audit log reports that
        return text
