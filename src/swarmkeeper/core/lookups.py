"""What a store can be asked for: one `Lookup` for each kind, with the type of its keys and of what it finds.

At run time a lookup is the kind's word (see `Transaction.load`), so that it costs nothing: a pair of lookup and key
names one row to load. The types are for the type checker: `working.get(lookups.TASK, task_id)` is a `Task | None`.
Comments say which rows come along with others: those need no lookup of their own.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from swarmkeeper.core.model import (
    ApiKey,
    Approval,
    Attempt,
    AuditTree,
    BackgroundJob,
    Bot,
    Edge,
    Idempotency,
    Lease,
    Task,
    Tenant,
    Work,
)

K = TypeVar("K")
V = TypeVar("V")


class Lookup(str, Generic[K, V]):
    """A kind of things that can be loaded, by keys of type K; what is found is a V."""

    __slots__ = ()

    def of(self, key: K) -> tuple[str, K]:
        """One thing to be loaded."""
        return self, key


Page = tuple[str, str, int]  # (of what, after which id, how many at most)

# ---- tasks and work items ------------------------------------------------------------------------------------------

TASK: Lookup[str, Task | None] = Lookup("task")
WORK: Lookup[str, Work | None] = Lookup("work")
# (task id, key) -> work id
WORK_KEY: Lookup[tuple[str, str], str | None] = Lookup("work_key")
# The execute items of a task, ordered by id, and all edges between them. Brings the items.
GRAPH: Lookup[str, tuple[list[str], list[Edge]]] = Lookup("graph")
# Edges that leave a work item, by child; after a child's id. Brings the children.
CHILDREN: Lookup[Page, list[Edge]] = Lookup("children")
# Edges that enter a work item, by parent. Brings the parents.
PARENTS: Lookup[str, list[Edge]] = Lookup("parents")
# Ids of items of a task that are not final, in order. Brings the items and their leases.
OPEN_WORKS: Lookup[Page, list[str]] = Lookup("open_works")
# Ids of items of a task that are READY, in order. Brings the items.
HELD_WORKS: Lookup[Page, list[str]] = Lookup("held_works")
# In the order in which they were made.
JOBS: Lookup[str, list[BackgroundJob]] = Lookup("jobs")
# How many messages a task has.
MESSAGES: Lookup[str, int] = Lookup("messages")
# A body, as JSON.
PAYLOAD: Lookup[str, bytes | None] = Lookup("payload")

# ---- leases --------------------------------------------------------------------------------------------------------

# The live lease of a work item.
LEASE: Lookup[str, Lease | None] = Lookup("lease")
# Lease id -> work id, while the lease lives. Brings the lease, the item and its task.
LEASE_ID: Lookup[str, str | None] = Lookup("lease_id")
# By lease id: a lease that has ended.
ATTEMPT: Lookup[str, Attempt | None] = Lookup("attempt")
# (bot id, claim id) -> ids of items with live leases. Brings the leases.
CLAIM: Lookup[tuple[str, str], list[str]] = Lookup("claim")
# (bot id, task id) -> how many attempts have ended, and the ids of items with live leases.
GRANTS: Lookup[tuple[str, str | None], tuple[int, list[str]]] = Lookup("grants")
# Of a work item: how many late results there are, and (lease id, hash of the content) of each.
LATE: Lookup[str, tuple[int, list[tuple[str, str]]]] = Lookup("late")
# Ids of items that a bot has leases on. Brings the leases, the items and their tasks.
LEASES_OF_BOT: Lookup[str, list[str]] = Lookup("leases_of_bot")
# (tenant, bot name or None, key id, task id) -> ids of items on which bots of that name, or of that key where it has
# no name, have live leases. Brings the items and leases.
SPEAKERS: Lookup[tuple[str, str | None, str, str], list[str]] = Lookup("speakers")

# ---- bots, keys, tenants -------------------------------------------------------------------------------------------

BOT: Lookup[str, Bot | None] = Lookup("bot")
# (tenant, name, instance) -> bot id
BOT_NAME: Lookup[tuple[str, str, str], str | None] = Lookup("bot_name")
# (tenant, id or name) -> whether there is a bot of that id or name
BOTS_CALLED: Lookup[tuple[str, str], bool] = Lookup("bots_called")
KEY: Lookup[str, ApiKey | None] = Lookup("key")
# Key id -> ids of the bots that registered with it.
BOTS_OF_KEY: Lookup[str, list[str]] = Lookup("bots_of_key")
# (tenant, bot name) -> ids of its keys that are not revoked
KEYS_OF_BOT: Lookup[tuple[str, str], list[str]] = Lookup("keys_of_bot")
TENANT: Lookup[str, Tenant | None] = Lookup("tenant")

# ---- people, calls, evidence ---------------------------------------------------------------------------------------

APPROVAL: Lookup[str, Approval | None] = Lookup("approval")
# Task id -> ids of its open approvals.
APPROVALS: Lookup[str, list[str]] = Lookup("approvals")
# (tenant, idempotency key) -> the call that was made under it
IDEMPOTENCY: Lookup[tuple[str, str], Idempotency | None] = Lookup("idempotency")
# The audit tree of a tenant.
TREE: Lookup[str, AuditTree | None] = Lookup("tree")
