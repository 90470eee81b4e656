"""Decisions of the kill switch: place it, lift it, take back what the killed holds.

Theory. A kill is a row. From the commit that writes it, no server grants a lease to what it stops: each grant reads the
tenant's kills from the store, unless the server knows that there are none. Another server learns of the first kill from
the feed, so it may grant a lease for a moment longer, and a transaction may be under way. So leases are taken back not
only with the commit of the kill: its timer comes again until no server can be so late, and then now and then as long as
the kill is in force.

A slice takes back a bounded number of leases and sets the timer in the same commit. If a process dies between two
slices, any server goes on.
"""

from __future__ import annotations

from typing import Any

from swarmkeeper.core import lookups
from swarmkeeper.core.decide.anchors import AnchoredRow
from swarmkeeper.core.decide.decisions import bots
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Invalid, ResourceNotFound
from swarmkeeper.core.kills import events, records
from swarmkeeper.core.kills import lookups as own
from swarmkeeper.core.kills.commands import LiftKill, PlaceKill
from swarmkeeper.core.kills.records import KILLS_MAX, KillKind, KillRecord
from swarmkeeper.core.model import BotRecord

SECOND = 1_000_000
TIMER = "kill"
ROWS_OF_LEASE = 8  # that are written to take one back, more or less
# A server grants by what it knew at most a second ago, plus the length of a transaction.
SETTLED_AFTER = 5 * SECOND
SWEEP_EVERY = SECOND // 5  # until then
LOOK_EVERY = 30 * SECOND  # afterwards: finds what a server that stood still has granted


# ---- commands ------------------------------------------------------------------------------------------------------


def place(working: WorkingSet, command: PlaceKill) -> str:
    """Stop what has this name, and take back the first of its leases. A kill of the same name is replaced.

    Raises:
        Invalid: there are too many kills, or the time is over already.
        ResourceNotFound: it is a tenant, and not the caller's.
    """
    check_may(working, command.by, "kill.tenant" if command.kind is KillKind.TENANT else "kill.manage")
    tenant = command.by.tenant
    if working.get(lookups.TENANT, tenant) is None or (command.kind is KillKind.TENANT and command.name != tenant):
        raise ResourceNotFound("no such tenant: a key can only kill the tenant that it belongs to")
    if command.until is not None and command.until <= working.now:
        raise Invalid("the time is over", details=(("/until", "range", "must be later than now"),))
    kills: list[KillRecord] = working.get(own.KILLS, tenant)
    name = records.kill_id(tenant, command.kind, command.name)
    others = [kill for kill in kills if kill.id != name]
    if len(others) >= KILLS_MAX:
        detail = f"a tenant may have {KILLS_MAX}: lift some, or kill an owner or a skill"
        raise Invalid("too many kills", details=(("/kills", "limit", detail),))
    reason = working.rules.text(command.reason, tenant=tenant)
    kill = KillRecord(
        name, tenant, str(command.kind), command.name, reason, command.by.key_id, working.now, command.until
    )
    _put(working, kill, [*others, kill])
    working.put(working.kills.tenants, tenant, None)
    body = {"name": command.name, "reason": command.reason}
    ended = _sweep(working, kill)
    working.record("kill.place", kill.id, body=body, own={"kind": kill.kind, "until": kill.until, "leases": ended})
    working.emit(
        events.KillPlaced(kill=kill.id, kind=kill.kind, until=kill.until, name=command.name, reason=command.reason)
    )
    return kill.id


def lift(working: WorkingSet, command: LiftKill) -> str:
    """End a kill.

    Raises:
        ResourceNotFound: the tenant has no such kill.
    """
    check_may(working, command.by, "kill.manage")
    kills: list[KillRecord] = working.get(own.KILLS, command.by.tenant)
    kill = next((kill for kill in kills if kill.id == command.kill), None)
    if kill is None:
        raise ResourceNotFound("no such kill")
    if kill.kind == KillKind.TENANT:
        check_may(working, command.by, "kill.tenant")
    _end(working, kill, "hand")
    return kill.id


def moment_came(working: WorkingSet, name: str) -> None:
    """Take back the next leases of what is killed, or end the kill if its time is over."""
    kill = working.get(own.KILL, name)
    working.set_timer(TIMER, name, None)
    if kill is None:
        return
    context = working.context
    assert context is not None
    context.tenant = kill.tenant
    if kill.until is not None and kill.until <= working.now:
        working.get(own.KILLS, kill.tenant)  # loaded before anything is changed
        _end(working, kill, "until")
        return
    ended = _sweep(working, kill)
    if ended:
        working.record("kill.sweep", kill.id, body={"name": kill.name}, own={"kind": kill.kind, "leases": ended})


def _sweep(working: WorkingSet, kill: KillRecord) -> int:
    """Take back at most a slice of leases, and set the timer for the next; return how many were taken back."""
    most = max(1, working.limits.slice_rows // ROWS_OF_LEASE)
    held = working.get(own.KILLED_LEASES, (kill.tenant, kill.kind, kill.name, most))
    ended = 0
    works = working.works(held)
    working.get_many(lookups.TASK, dict.fromkeys(work.task for work in works))
    leases = working.get_many(lookups.LEASE, held)
    found = {lease.bot: None for lease in leases if lease is not None}
    known = dict(zip(found, working.get_many(lookups.BOT, found), strict=True))
    for work, lease in zip(works, leases, strict=True):
        bot = None if lease is None else known[lease.bot]
        # The list was read before: another command of the batch may have ended the lease.
        if bot is not None and _stops(working, kill, bot, work.queue):
            bots.take_back(working, work)
            ended += 1
    if len(held) == most:
        due = working.now
    else:
        due = working.now + (SWEEP_EVERY if working.now < kill.placed_at + SETTLED_AFTER else LOOK_EVERY)
    working.set_timer(TIMER, kill.id, due if kill.until is None else min(due, kill.until))
    return ended


def _stops(working: WorkingSet, kill: KillRecord, bot: BotRecord, queue: int) -> bool:
    skills = working.queues.by_id[queue].skills
    return records.of_bot((kill,), bot) is not None or records.of_skills((kill,), skills) is not None


def _end(working: WorkingSet, kill: KillRecord, how: str) -> None:
    kills: list[KillRecord] = working.get(own.KILLS, kill.tenant)
    _put(working, kill, [other for other in kills if other.id != kill.id], gone=True)
    working.set_timer(TIMER, kill.id, None)
    working.record("kill.lift", kill.id, body={"name": kill.name}, own={"kind": kill.kind, "how": how})
    working.emit(events.KillLifted(kill=kill.id, kind=kill.kind, how=how, name=kill.name))


def _put(working: WorkingSet, kill: KillRecord, kills: list[KillRecord], *, gone: bool = False) -> None:
    kept: Any = None if gone else kill
    working.put_row(own.KILLS, kill.tenant, sorted(kills, key=lambda each: each.id))
    working.put_row(own.KILL, kill.id, kept)
    working.put(working.changes.kills, kill.id, kept)
    working.put(working.anchored, ("kill", kill.id), AnchoredRow(kill.tenant, "", kept))
