"""The kinds of rows that a store can load: one `Lookup` each, with the types of its key and its result.

At run time a lookup is only a string (see `Transaction.load`); a pair of lookup and key names one row to load.
The types serve the type checker: `working.get(lookups.TASK, task_id)` is a `TaskRecord | None`.
Comments say which other rows a lookup also loads; those need no lookup of their own.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from swarmkeeper.core.model import (
    ApiKey,
    ApprovalRecord,
    AttemptRecord,
    BackgroundJob,
    BotRecord,
    Cooldown,
    Edge,
    Idempotency,
    KeyLimit,
    LeaseRecord,
    TaskRecord,
    Tenant,
    Work,
    WorkRate,
)
from swarmkeeper.core.retention import LegalHoldRecord, TaskPart
from swarmkeeper.core.tallies.records import AttemptCosts

K = TypeVar("K")
V = TypeVar("V")


class Lookup(str, Generic[K, V]):
    """A kind of rows to load, by a key of type K; the result is a V."""

    __slots__ = ()

    def of(self, key: K) -> tuple[str, K]:
        """Return the need for the row with this key."""
        return self, key


Page = tuple[str, str, int]  # (owning id, id to continue after, limit)

# ---- tasks and work items ------------------------------------------------------------------------------------------

TASK: Lookup[str, TaskRecord | None] = Lookup("task")
WORK: Lookup[str, Work | None] = Lookup("work")
# (task id, key) -> work id
WORK_KEY: Lookup[tuple[str, str], str | None] = Lookup("work_key")
# The execute items of a task, ordered by id, and all edges between them. Also loads the items.
GRAPH: Lookup[str, tuple[list[str], list[Edge]]] = Lookup("graph")
# Edges from a work item, ordered by child, after a child's id. Also loads the children.
CHILDREN: Lookup[Page, list[Edge]] = Lookup("children")
# Edges to a work item, ordered by parent. Also loads the parents.
PARENTS: Lookup[str, list[Edge]] = Lookup("parents")
# Ids of a task's items that are not final, in order. Also loads the items and their leases.
OPEN_WORKS: Lookup[Page, list[str]] = Lookup("open_works")
# Ids of a task's READY items, in order. Also loads the items.
HELD_WORKS: Lookup[Page, list[str]] = Lookup("held_works")
# The jobs of a task, in order of creation.
JOBS: Lookup[str, list[BackgroundJob]] = Lookup("jobs")
# Number of messages on a task.
MESSAGES: Lookup[str, int] = Lookup("messages")
# Ids of a task's execute items, in plan order. Also loads the items.
PLAN_ITEMS: Lookup[str, list[str]] = Lookup("plan_items")
# A payload, as JSON.
PAYLOAD: Lookup[str, bytes | None] = Lookup("payload")
# A payload of at most LIGHT_PAYLOAD_BYTES; None also if it is larger.
LIGHT_PAYLOAD: Lookup[str, bytes | None] = Lookup("light_payload")
LIGHT_PAYLOAD_BYTES = 16 << 10

# ---- leases --------------------------------------------------------------------------------------------------------

# The live lease of a work item.
LEASE: Lookup[str, LeaseRecord | None] = Lookup("lease")
# Lease id -> work id, for a live lease. Also loads the lease, the item and its task.
LEASE_ID: Lookup[str, str | None] = Lookup("lease_id")
# By lease id: the attempt, once the lease has ended.
ATTEMPT: Lookup[str, AttemptRecord | None] = Lookup("attempt")
# (bot id, claim id) -> ids of items with live leases. Also loads the leases.
CLAIM: Lookup[tuple[str, str], list[str]] = Lookup("claim")
# (bot id, task id) -> number of ended attempts, and the ids of items with live leases.
GRANTS: Lookup[tuple[str, str | None], tuple[int, list[str]]] = Lookup("grants")
# Work id -> number of late results, and (lease id, hash of the content) of each.
LATE: Lookup[str, tuple[int, list[tuple[str, str]]]] = Lookup("late")
# Ids of items that a bot has leases on. Also loads the leases, the items and their tasks.
LEASES_OF_BOT: Lookup[str, list[str]] = Lookup("leases_of_bot")
# (tenant, bot name or None, key id, task id) -> ids of items with live leases of bots of that name; without a name, of
# bots of that key. Also loads the items and leases.
SPEAKERS: Lookup[tuple[str, str | None, str, str], list[str]] = Lookup("speakers")

# ---- bots, keys, tenants -------------------------------------------------------------------------------------------

BOT: Lookup[str, BotRecord | None] = Lookup("bot")
# (tenant, name, instance) -> bot id
BOT_NAME: Lookup[tuple[str, str, str], str | None] = Lookup("bot_name")
# (tenant, id or name) -> whether a bot with that id or name exists
BOTS_CALLED: Lookup[tuple[str, str], bool] = Lookup("bots_called")
KEY: Lookup[str, ApiKey | None] = Lookup("key")
# Key id -> ids of the bots that registered with it.
BOTS_OF_KEY: Lookup[str, list[str]] = Lookup("bots_of_key")
# (tenant, bot name) -> ids of the bot's keys that are not revoked
KEYS_OF_BOT: Lookup[tuple[str, str], list[str]] = Lookup("keys_of_bot")
TENANT: Lookup[str, Tenant | None] = Lookup("tenant")
# A key that limits how many items run at once, by the id of tenant and key.
KEY_LIMIT: Lookup[str, KeyLimit | None] = Lookup("key_limit")
# (id of such a key, queue) -> ids of the first items that wait for it, in order. Also loads the items.
KEY_LINE: Lookup[tuple[str, int], list[str]] = Lookup("key_line")
KEY_LINE_READ = 16
WORK_RATE: Lookup[str, WorkRate | None] = Lookup("work_rate")
COOLDOWN: Lookup[str, Cooldown | None] = Lookup("cooldown")

# ---- people, calls, evidence ---------------------------------------------------------------------------------------

APPROVAL: Lookup[str, ApprovalRecord | None] = Lookup("approval")
# Task id -> ids of its open approvals.
APPROVALS: Lookup[str, list[str]] = Lookup("approvals")
# (tenant, idempotency key) -> the call made with it
IDEMPOTENCY: Lookup[tuple[str, str], Idempotency | None] = Lookup("idempotency")

# ---- what leaves ---------------------------------------------------------------------------------------------------

# (tenant, task id or WHOLE_TENANT) -> its legal hold
LEGAL_HOLD: Lookup[tuple[str, str], LegalHoldRecord | None] = Lookup("legal_hold")
# The next items of a task, of any kind, ordered by id.
TASK_PART: Lookup[Page, TaskPart] = Lookup("task_part")
# (task id, index to continue after, limit) -> indexes of the task's audit records that have a body, in order
RECORDS_OF_TASK: Lookup[tuple[str, int, int], list[int]] = Lookup("records_of_task")
# Task id -> when its newest audit record was written; None: something that was committed about it has no number yet
NEWEST_RECORD: Lookup[str, int | None] = Lookup("newest_record")
# (task id, ids of its items, or none for all) -> what their ended attempts used, by day, bot and queue
TASK_COSTS: Lookup[tuple[str, tuple[str, ...]], tuple[AttemptCosts, ...]] = Lookup("task_costs")
# Tenant -> number of audit records that have left, from the first on
AUDIT_BEGIN: Lookup[str, int] = Lookup("audit_begin")
# Tenant -> its rows that belong to no task and are anchored in its log: itself, its keys, bots, rates, hold
ROWS_OF_TENANT: Lookup[str, list[object]] = Lookup("rows_of_tenant")
