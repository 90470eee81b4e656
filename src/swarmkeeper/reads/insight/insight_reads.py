"""The named reads for dashboards; see core/named_reads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from swarmkeeper.core.named_reads import ApprovalRow, AuditPositionRow, CountRow, EventRow, JsonText
from swarmkeeper.core.ports import Read


class LaneRow(NamedTuple):
    """An item of a task, with its live lease."""

    seq: int
    id: str
    kind: str
    key: str
    status: str
    attempt: int
    round: int
    created_at: int
    since: int
    wake: int | None
    start_due: int | None
    subject: str | None  # key of the subtask that it judges
    lease_id: str | None
    granted_at: int | None
    expires_at: int | None
    held_attempt: int | None
    holder: str | None  # name of the bot, or its id if it is no longer registered


class BarRow(NamedTuple):
    """An ended attempt."""

    work: str
    attempt: int
    bot: str
    lease_id: str
    started: int
    ended: int
    ending: str
    round: int
    error_class: str | None
    message: str | None
    reason: str | None


class VerdictRow(NamedTuple):
    """A review that came to a verdict."""

    seq: int
    id: str
    key: str
    subject: str | None  # key of the subtask that it judged; None: the whole task
    result: str  # payload id
    bytes: int
    attempt: int | None
    ended: int | None
    evaluator: str | None


class LookedRow(NamedTuple):
    last: int
    number: int


class QueueRow(NamedTuple):
    id: int
    kind: str
    skills: JsonText
    assign_to: str | None  # name of a bot
    depth: int
    since: int | None


class LeasedRow(NamedTuple):
    id: int
    number: int


class AbleBotRow(NamedTuple):
    id: str
    type: str
    name: str
    skills: JsonText
    dedicated: int
    capacity: int
    held: int


class LeaseOfBotRow(NamedTuple):
    work: str
    task: str
    title: str
    lease_id: str
    attempt: int
    granted_at: int
    expires_at: int
    ends_at: int
    cancelled: int
    kind: str
    key: str
    round: int
    priority: int


class OpenApprovalRow(NamedTuple):
    id: str
    expires_at: int
    bytes: int


class NamesRow(NamedTuple):
    id: str
    title: str
    asker: str


class EventKindRow(NamedTuple):
    seq: int
    kind: str


class EventTaskRow(NamedTuple):
    seq: int
    kind: str
    task: str | None


class ChangeRow(NamedTuple):
    seq: int  # of the newest of these events
    tenant: str
    kind: str  # `task` also for those of its items and approvals
    task: str | None
    number: int  # of events


class PartyRow(NamedTuple):
    id: str
    party: str | None


class TaskIdRow(NamedTuple):
    id: str


class RecordPlaceRow(NamedTuple):
    place: int


TIMELINE_LANES = Read("timeline_lanes", LaneRow, "task", "after", "limit")
TIMELINE_BARS = Read("timeline_bars", BarRow, "works", "newest", "head")
VERDICTS_PAGE = Read("verdicts_page", VerdictRow, "task", "after", "subject", "limit")

QUEUES_LOOKED_AT = Read("queues_looked_at", LookedRow, "after", "limit")
QUEUES_PAGE = Read("queues_page", QueueRow, "tenant", "most", "priorities", "after", "last", "busy", "limit")
LEASED_BY_QUEUE = Read("leased_by_queue", LeasedRow, "tenant", "most")
ABLE_BOTS = Read("able_bots", AbleBotRow, "tenant")
LEASES_OF_BOT = Read("leases_of_bot", LeaseOfBotRow, "bot", "after", "limit")
OPEN_APPROVALS_PAGE = Read("open_approvals_page", OpenApprovalRow, "tenant", "after_at", "after_id", "limit")
OPEN_APPROVALS_COUNT = Read("open_approvals_count", CountRow, "tenant", "most")
APPROVALS_BY_ID = Read("approvals_by_id", ApprovalRow, "tenant", "ids")
APPROVAL_NAMES = Read("approval_names", NamesRow, "ids")

CHANGES_AFTER = Read("changes_after", ChangeRow, "after", "limit")
EVENTS_OF_TENANT_TASKS = Read("events_of_tenant_tasks", EventTaskRow, "tenant", "after", "limit")
PARTIES_OF_TASKS = Read("parties_of_tasks", PartyRow, "tenant", "ids")

TASK_OF_RESOURCE = Read("task_of_resource", TaskIdRow, "tenant", "resource")
AUDIT_PLACES_ABOUT = Read("audit_places_about", RecordPlaceRow, "tenant", "places", "said")

_BETWEEN = ("after", "before", "limit")

EVENTS_OF_TENANT_NEWEST = Read("events_of_tenant_newest", EventRow, "tenant", *_BETWEEN)
EVENTS_OF_TASK_NEWEST = Read("events_of_task_newest", EventRow, "task", *_BETWEEN)
EVENTS_OF_NUMBERS = Read("events_of_numbers", EventRow, "numbers")
# By whether they are of one task, and whether the newest come first.
EVENT_KINDS = {
    (False, False): Read("events_of_tenant_kinds", EventKindRow, "tenant", *_BETWEEN),
    (False, True): Read("events_of_tenant_kinds_newest", EventKindRow, "tenant", *_BETWEEN),
    (True, False): Read("events_of_task_kinds", EventKindRow, "task", *_BETWEEN),
    (True, True): Read("events_of_task_kinds_newest", EventKindRow, "task", *_BETWEEN),
}
AUDIT_NEWEST = {
    by: Read(f"audit_positions{name}_newest", AuditPositionRow, "tenant", *_BETWEEN, *((by,) if by else ()))
    for by, name in (("", ""), ("task", "_of_task"), ("actor", "_of_actor"), ("action", "_of_action"))
}

_ALL = [*vars().values(), *EVENT_KINDS.values(), *AUDIT_NEWEST.values()]
READS: Mapping[str, Read[Any]] = {str(read): read for read in _ALL if isinstance(read, Read)}
