"""The decision that erases a tenant by its data keys.

Theory. Bodies are encrypted under data keys of their tenant (storage/at_rest). Destroying these keys erases all of them
in one commit, however many there are. The same commit leaves a row for each key that is gone, and an audit record that
names them: so what cannot be read any more is told from what was tampered with. It also begins a new key, under which
this record, and all that the tenant does from then on, is encrypted: the tenant itself is not gone.

What is not encrypted, such as titles and labels, leaves with the rows of its tasks. Retention erases them in the
background (access/retention.py), as it does with tasks that were kept long enough.

The tenant must be killed first, so nothing of it is under way, and whoever killed it is not the one who erases it.
"""

from __future__ import annotations

from dataclasses import replace

from swarmkeeper.core import lookups
from swarmkeeper.core.decide import anchors
from swarmkeeper.core.decide.effects.owners import check_may, is_own_key
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.erasure import events
from swarmkeeper.core.erasure.commands import EraseTenant
from swarmkeeper.core.erasure.lookups import AT_REST
from swarmkeeper.core.erasure.records import AtRest, ErasedKeyRecord
from swarmkeeper.core.errors import IllegalTransition, PermissionDenied, ResourceNotFound, StillStopping
from swarmkeeper.core.kills import lookups as of_kills
from swarmkeeper.core.kills import records as kills


def erase_tenant(working: WorkingSet, command: EraseTenant) -> str:
    """Destroy the tenant's data keys. One that was erased, and had no task since, stays as it is.

    Raises:
        ResourceNotFound: it is not the caller's tenant.
        IllegalTransition: not all of its bodies are encrypted, a legal hold keeps them, or it still works.
        PermissionDenied: the caller has killed it.
        StillStopping: its last events have not reached everybody yet.
    """
    check_may(working, command.by, "tenant.erase")
    tenant = command.by.tenant
    if command.tenant != tenant or working.get(lookups.TENANT, tenant) is None:
        raise ResourceNotFound("no such tenant: a key can only erase the tenant that it belongs to")
    found = working.get(AT_REST, tenant)
    if found.erased_at and not found.used and not _opens_task(working, tenant):
        return tenant
    _check(working, command, found)
    for key in found.keys:
        record = ErasedKeyRecord(key, tenant, working.now, command.by.key_id)
        working.put(working.changes.erased_keys, key, record)
        anchors.put(working.anchored, record)
    # The bodies that are erased have the hashes of these rows. Rows of tasks need none: they leave.
    for row in (*working.get(lookups.ROWS_OF_TENANT, tenant), *working.queues.by_id.values()):
        anchors.put(working.anchored, row)
    working.put_row(AT_REST, tenant, replace(found, keys=(), erased_at=working.now, used=False))
    # Verifying relies on the names of the keys: they are in the part of the record that is never encrypted.
    own = {"keys": len(found.keys), "rows": "anchored"}
    working.record("tenant.erase", ",".join(found.keys), body={"reason": command.reason}, own=own)
    working.emit(events.TenantErased(keys=len(found.keys)))
    return tenant


def _check(working: WorkingSet, command: EraseTenant, found: AtRest) -> None:
    tenant = command.by.tenant
    if not found.keys or not found.whole:
        raise IllegalTransition(
            "not all bodies in this store are encrypted: run `swarmkeeper store encrypt`, or erase tasks one by one"
        )
    if found.held:
        raise IllegalTransition("a legal hold keeps data of this tenant: release the hold first")
    placed: list[kills.KillRecord] = working.get(of_kills.KILLS, tenant)
    kill = kills.of_tenant(kills.in_force(placed, working.now))
    if kill is None:
        raise IllegalTransition("the tenant still works: kill it first, as another person than the one who erases it")
    if working.limits.four_eyes and is_own_key(working, command.by, kill.placed_by):
        raise PermissionDenied("whoever killed the tenant may not erase it: ask somebody else (four_eyes)")
    if found.busy or _opens_task(working, tenant):
        raise IllegalTransition("a task that has not ended is not erased: cancel the tenant's tasks first")
    if found.changed_at > command.until:
        raise StillStopping("the feed, or a sink of the audit log, lacks events of this tenant", retry_after=1)


def _opens_task(working: WorkingSet, tenant: str) -> bool:
    """Whether a command of this same batch has opened a task."""
    return any(task.tenant == tenant and task.outcome is None for task in working.changes.tasks.values())
