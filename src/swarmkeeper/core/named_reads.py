"""The named reads that every store must offer: each has a name, a row class and parameters.

A row holds its columns as stored: times in microseconds, JSON as text, enums of core/states.py as strings. Columns
that the row class does not have are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from swarmkeeper.core.model import ApiKey, Tenant, WorkRate
from swarmkeeper.core.ports import Read, Reader
from swarmkeeper.core.rules.explain import OpenApproval

R = TypeVar("R")
JsonText = str


async def fetch(reader: Reader, read: Read[R], **parameters: Any) -> list[R]:
    """Run a named read and return its rows. The keyword arguments must be exactly the read's parameters."""
    assert parameters.keys() == read.parameters, f"{read} takes {sorted(read.parameters)}"
    found: list[R] = await reader.read(read, parameters)
    return found


# ---- tasks ----------------------------------------------------------------------------------------------------------


class TaskRow(NamedTuple):
    id: str
    tenant: str
    party: str | None
    title: str
    status: str
    outcome: str | None
    failure: JsonText | None
    holds: JsonText
    priority: int
    version: int
    spec: str  # payload id
    verdict: str | None  # payload id
    n_total: int
    n_open: int
    n_failed: int
    loading: int
    round: int
    labels: JsonText
    submitted_by: str
    planner_skills: JsonText
    evaluator_skills: JsonText
    evaluation: str
    quorum_accept: int
    quorum_of: int
    max_rounds: int
    approval: str
    plan_timeout: int
    review_timeout: int
    defaults: JsonText
    deadline: int | None
    usage: JsonText
    created_at: int
    updated_at: int
    budget: JsonText | None
    spec_bytes: int | None = None  # only in pages


class PayloadRow(NamedTuple):
    id: str
    body: bytes


class SubtaskRow(NamedTuple):
    """An item with its live lease and its last ended attempt."""

    seq: int
    id: str
    task: str
    kind: str
    key: str
    status: str
    priority: int
    attempt: int
    round: int
    since: int
    wake: int | None
    result: str | None  # payload id
    error: JsonText | None
    spec: bytes | None  # the planned subtask as JSON
    labels: JsonText | None
    held: int  # whether it has a live lease
    holder: str | None  # name of the bot that holds the lease
    said: JsonText | None  # progress under the lease
    started: int | None
    ended: int | None
    last_attempt: int | None
    last_round: int | None
    last_error: JsonText | None
    ending: str | None
    reason: str | None
    tried_by: str | None
    budget: JsonText | None


class WorkIdRow(NamedTuple):
    work: str


class CountRow(NamedTuple):
    number: int


class OutputRow(NamedTuple):
    """The position of an output, and its size."""

    task: str
    key: str
    result: str  # payload id
    result_hash: str
    bytes: int


class NodeRow(NamedTuple):
    key: str
    status: str
    attempt: int


class EdgeRow(NamedTuple):
    parent: str  # key
    child: str  # key
    condition: str
    status: str  # of the parent


class AttemptRow(NamedTuple):
    attempt: int
    bot: str
    bot_name: str | None
    lease_id: str
    started: int
    ended: int
    ending: str
    error: JsonText | None
    reason: str | None
    progress: JsonText | None
    usage: JsonText | None
    result: str | None  # payload id


class LateResultRow(NamedTuple):
    lease_id: str
    bot: str
    at: int
    body: bytes | None


class BodyRow(NamedTuple):
    body: bytes


_PAGE = ("tenant", "statuses", "outcomes", "labels", "created_after", "created_before", "after_at", "after_id", "limit")

TASK_ROW = Read("task_row", TaskRow, "tenant", "task")
TASKS_OF_PARTY_BY_PRIORITY = Read("tasks_of_party_by_priority", TaskRow, *_PAGE, "after_priority", "party")
PAYLOADS = Read("payloads", PayloadRow, "ids")
SUBTASKS_PAGE = Read("subtasks_page", SubtaskRow, "task", "kind", "after", "limit")
SUBTASK_ROW = Read("subtask_row", SubtaskRow, "task", "kind", "ref")
RESULTS_OF_TASK = Read("results_of_task", OutputRow, "task", "kind", "status")
LAST_RESULTS_OF_TASK = Read("last_results_of_task", OutputRow, "task", "kind", "status", "condition")
GRAPH_NODES = Read("graph_nodes", NodeRow, "task", "kind")
GRAPH_EDGES = Read("graph_edges", EdgeRow, "task")
ATTEMPTS_OF_WORK = Read("attempts_of_work", AttemptRow, "work")
LAST_FAILURE_OF_TASK = Read("last_failure_of_task", WorkIdRow, "task", "endings", "well")
FAILED_COUNT = Read("failed_count", CountRow, "task", "kind", "status")
LATE_OF_WORK = Read("late_of_work", LateResultRow, "work")
VERDICT_ON_SUBTASK = Read("verdict_on_subtask", BodyRow, "task", "from_key", "to_key", "status")
LEASE_ON_TASK = Read("lease_on_task", WorkIdRow, "tenant", "bot", "key", "task")
ATTEMPT_ON_TASK = Read("attempt_on_task", WorkIdRow, "tenant", "bot", "key", "task")

# ---- reports and leases ---------------------------------------------------------------------------------------------


class ReportStateRow(NamedTuple):
    """The stored state that decides about one report of a bot."""

    place: int
    named_task: str | None
    lease_id: str | None
    task_status: str | None
    live: int  # live leases that it may belong to; for a named lease 0 or 1
    ended: int
    again: int  # whether its attempt has a result already
    late: int  # late results of its item


class BotOwnerRow(NamedTuple):
    name: str
    key_id: str
    type: str


class JudgedRow(NamedTuple):
    """A subtask under review, with its output."""

    id: str
    task: str
    key: str
    spec: bytes | None
    result: str | None  # payload id
    result_hash: str | None
    result_bytes: int | None


class UpstreamRow(NamedTuple):
    """An `OutputRow`, and the item that depends on it."""

    child: str
    task: str
    key: str
    result: str
    result_hash: str
    bytes: int


class FeedbackRow(NamedTuple):
    work: str
    round: int
    text: str


class AnswerRow(NamedTuple):
    work: str
    question: str
    answer: JsonText


class LastAttemptRow(NamedTuple):
    work: str
    attempt: int
    ending: str
    error: JsonText | None
    reason: str | None
    result: str | None  # payload id
    bot_name: str


REPORT_STATES = Read("report_states", ReportStateRow, "tenant", "bot", "asked")
BOT_OWNER = Read("bot_owner", BotOwnerRow, "tenant", "bot")
WORKS_BY_ID = Read("works_by_id", JudgedRow, "works")
UPSTREAM_OF_WORKS = Read("upstream_of_works", UpstreamRow, "works", "status")
FEEDBACK_OF_WORKS = Read("feedback_of_works", FeedbackRow, "works")
ANSWERS_OF_WORKS = Read("answers_of_works", AnswerRow, "works")
LAST_ATTEMPTS_OF_WORKS = Read("last_attempts_of_works", LastAttemptRow, "works")

# ---- messages and approvals -----------------------------------------------------------------------------------------


class NewestMessageRow(NamedTuple):
    task: str
    id: str


class MessageRow(NamedTuple):
    id: str
    from_bot: str  # the sender's name if it is a bot
    to_bot: str | None
    task: str
    at: int
    payload: str  # payload id
    bytes: int


class ApprovalRow(NamedTuple):
    id: str
    task: str
    kind: str
    opened_at: int
    work: str | None
    asked_by: str
    question: str
    choices: JsonText
    schema: JsonText | None
    expires_at: int
    subject_hash: str
    subject: JsonText | None
    at_expiry: JsonText | None
    state: str
    decision: JsonText | None
    decided_by: str | None
    decided_at: int | None
    decided_person: str | None
    decided_name: str | None
    step_up: int | None


class SizeRow(NamedTuple):
    id: str
    bytes: int


_APPROVALS = ("tenant", "state", "after", "limit")

NEWEST_MESSAGES = Read("newest_messages", NewestMessageRow, "over")
MESSAGE_ROW = Read("message_row", MessageRow, "task", "message")
MESSAGES_PAGE = Read("messages_page", MessageRow, "task", "after", "limit")
MESSAGES_FOR_BOT = Read("messages_for_bot", MessageRow, "task", "bot", "after", "limit")
APPROVAL_ROW = Read("approval_row", ApprovalRow, "tenant", "approval")
APPROVALS_BYTES = Read("approvals_bytes", SizeRow, *_APPROVALS)
APPROVALS_BYTES_OF_TASK = Read("approvals_bytes_of_task", SizeRow, *_APPROVALS, "task")
APPROVALS_PAGE = Read("approvals_page", ApprovalRow, *_APPROVALS)
APPROVALS_PAGE_OF_TASK = Read("approvals_page_of_task", ApprovalRow, *_APPROVALS, "task")

# ---- bots, keys and tenants -----------------------------------------------------------------------------------------


class BotRow(NamedTuple):
    id: str
    tenant: str
    created_at: int
    type: str
    name: str
    instance: str
    version: str
    owner: str
    key_id: str
    skills: JsonText
    capacity: int
    dedicated: int
    endpoint: str | None
    labels: JsonText
    status: str
    scope: str
    last_seen: int
    row_version: int
    held: int  # leases


class BotSkillsRow(NamedTuple):
    id: str
    skills: JsonText
    capacity: int
    held: int


class WaitingRow(NamedTuple):
    id: int
    skills: JsonText
    waiting: int
    since: int


class KeyRow(NamedTuple):
    """A key without its secret parts."""

    id: str
    role: str
    bot: str | None
    owner: str | None
    skills: JsonText | None
    networks: JsonText | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    person: str | None
    person_name: str | None
    scope: str | None
    used_at: int | None


class TenantBudgetRow(NamedTuple):
    id: str
    budget: JsonText


class TenantNameRow(NamedTuple):
    id: str
    name: str


class BotSeenRow(NamedTuple):
    id: str
    tenant: str
    last_seen: int


BOTS_PAGE = Read("bots_page", BotRow, "tenant", "after", "limit")
BOT_ROW = Read("bot_row", BotRow, "tenant", "bot")
BOTS_OF_TENANT = Read("bots_of_tenant", BotRow, "tenant")
SKILLS_OF_BOTS = Read("skills_of_bots", BotSkillsRow, "tenant", "status")
WAITING_BY_QUEUE = Read("waiting_by_queue", WaitingRow, "tenant")
KEYS_PAGE = Read("keys_page", KeyRow, "tenant", "after", "limit")
KEY_ROW = Read("key_row", KeyRow, "tenant", "key")
KEY_BY_PUBLIC_ID = Read("key_by_public_id", ApiKey, "public_id")  # with the digests that verify it
TENANT_SHARES = Read("tenant_shares", Tenant)
TENANT_ROW = Read("tenant_row", Tenant, "tenant")
TENANTS = Read("tenants", TenantNameRow)
TENANT_BUDGETS = Read("tenant_budgets", TenantBudgetRow)
BOTS_SEEN_BEFORE = Read("bots_seen_before", BotSeenRow, "after", "before", "limit")

# ---- why things wait ------------------------------------------------------------------------------------------------


class OpenCountRow(NamedTuple):
    """Items of a task that wait for the same reason."""

    kind: str
    status: str
    queue: int
    excluded: JsonText
    key: str
    number: int
    pending: int
    wake: int | None
    start_due: int | None
    skills: JsonText
    assign_to: str | None
    line_key: str | None  # the key that it waits for
    line_running: int | None
    line_waiting: int | None
    labels: JsonText | None


class OpenItemRow(NamedTuple):
    id: str
    kind: str
    key: str
    status: str
    queue: int
    excluded: JsonText
    since: int
    attempt: int
    round: int
    pending: int
    wake: int | None
    start_due: int | None
    skills: JsonText
    assign_to: str | None
    ends_at: int | None
    bot: str | None
    line_key: str | None
    line_running: int | None
    line_waiting: int | None
    labels: JsonText | None


class OpenUpstreamRow(NamedTuple):
    child: str
    keys: JsonText


class TenantRateRow(NamedTuple):
    tenant: str
    key: str
    most: int | None
    per_minute: int | None
    tokens_per_minute: int | None
    calls_at: int
    tokens_at: int


class CooldownRow(NamedTuple):
    scope: str
    phase: str  # cooling | due | probing
    until: int


ALL_RATES = Read("all_rates", TenantRateRow)
RATES_OF_TENANT = Read("rates_of_tenant", WorkRate, "tenant")
OPEN_COUNTS = Read("open_counts", OpenCountRow, "task", "statuses", "kind")
OPEN_ITEMS = Read("open_items", OpenItemRow, "task", "statuses", "limit")
COOLDOWNS_OF_TENANT = Read("cooldowns_of_tenant", CooldownRow, "tenant")
OPEN_UPSTREAM = Read("open_upstream", OpenUpstreamRow, "works", "statuses", "limit")
OPEN_APPROVALS = Read("open_approvals", OpenApproval, "task", "state", "limit")

# ---- evidence -------------------------------------------------------------------------------------------------------


class EventRow(NamedTuple):
    seq: int
    id: str
    at: int
    tenant: str
    task: str | None
    sequence: int
    work: str | None
    kind: str
    actor: str
    audit: str
    body: JsonText
    redacted: JsonText  # [[pointer, rule, action, within], …]


class EventsWaitRow(NamedTuple):
    microseconds: int  # since the oldest committed event that has no number yet; 0 without any


class AuditPositionRow(NamedTuple):
    place: int
    actor: str
    action: str


class AuditRecordRow(NamedTuple):
    place: int
    leaf: bytes
    body: bytes | None


class RecordBodyRow(NamedTuple):
    id: str
    leaf: bytes
    salt: bytes
    body: bytes | None


class CursorRow(NamedTuple):
    seq: int


class FeedGapRow(NamedTuple):
    """No event of this store has a number in between: the store before it was lost."""

    after: int
    upto: int


class SinkRow(NamedTuple):
    seq: int
    behind: int  # how many events come after it


_AUDIT_PAGE = ("tenant", "after", "limit")

EVENTS_WAIT = Read("events_wait", EventsWaitRow)
EVENTS_AFTER = Read("events_after", EventRow, "after", "limit")
EVENTS_OF_TENANT = Read("events_of_tenant", EventRow, "tenant", "after", "limit")
EVENTS_OF_TASK = Read("events_of_task", EventRow, "task", "after", "limit")
AUDIT_POSITIONS = Read("audit_positions", AuditPositionRow, *_AUDIT_PAGE)
AUDIT_POSITIONS_OF_TASK = Read("audit_positions_of_task", AuditPositionRow, *_AUDIT_PAGE, "task")
AUDIT_POSITIONS_OF_ACTOR = Read("audit_positions_of_actor", AuditPositionRow, *_AUDIT_PAGE, "actor")
AUDIT_POSITIONS_OF_ACTION = Read("audit_positions_of_action", AuditPositionRow, *_AUDIT_PAGE, "action")
AUDIT_RECORDS_AT = Read("audit_records_at", AuditRecordRow, "tenant", "places")
BODY_OF_RECORD = Read("body_of_record", RecordBodyRow, "tenant", "place")
FEED_START = Read("feed_start", CursorRow, "tenant")
FEED_GAP = Read("feed_gap", CursorRow, "tenant", "cursor")
FEED_GAPS = Read("feed_gaps", FeedGapRow)
NEWEST_EVENT = Read("newest_event", CursorRow)
SINK = Read("sink", SinkRow, "name")


# ---- what leaves ----------------------------------------------------------------------------------------------------


class OldTaskRow(NamedTuple):
    id: str
    created_at: int
    updated_at: int
    outcome: str | None


class LegalHoldRow(NamedTuple):
    id: str  # of the task, or WHOLE_TENANT
    reason: str
    placed_by: str
    placed_at: int


class AuditStartRow(NamedTuple):
    """The records that have left a tenant's log: how many, and the frontier of their tree."""

    size: int
    frontier: bytes


class AuditFrontRow(NamedTuple):
    place: int
    at: int
    hash: bytes
    needed: int  # whether the record's task still exists


OLD_TASKS = Read("old_tasks", OldTaskRow, "tenant", "before", "after_at", "after_id", "limit")
LEGAL_HOLD = Read("legal_hold_row", LegalHoldRow, "tenant", "task")
LEGAL_HOLDS_PAGE = Read("legal_holds_page", LegalHoldRow, "tenant", "after", "limit")
AUDIT_START = Read("audit_start_row", AuditStartRow, "tenant")
AUDIT_FRONT = Read("audit_front", AuditFrontRow, "tenant", "begin", "limit")

# ---- all of them ----------------------------------------------------------------------------------------------------

READS: Mapping[str, Read[Any]] = {str(read): read for read in list(vars().values()) if isinstance(read, Read)}
