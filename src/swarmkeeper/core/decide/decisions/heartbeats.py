"""Heartbeats: they extend leases, and carry progress, usage and checkpoints. They have no audit record."""

from __future__ import annotations

from swarmkeeper.core.answers import Directive, HeartbeatResult
from swarmkeeper.core.commands import LeaseHeartbeat, SendHeartbeat
from swarmkeeper.core.decide.effects.owners import own_bot
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BotRecord, LeaseRecord
from swarmkeeper.core.rules.heartbeat_log import joined
from swarmkeeper.core.states import TASK_CLOSED


def beat(working: WorkingSet, command: SendHeartbeat) -> HeartbeatResult:
    """Extend the bot's leases and store their progress."""
    bot = own_bot(working, command.by, command.bot, "work.beat")
    directives = tuple(_beat_one(working, bot, pulse) for pulse in command.heartbeats)
    return HeartbeatResult(directives, drain=bot.status != "active")


def is_quiet(lease: LeaseRecord, pulse: LeaseHeartbeat, now: int) -> bool:
    """Whether nothing need be written: the heartbeat reports nothing new, and half of the lease's TTL is left."""
    return (
        lease.seen
        and lease.expires_at - now >= lease.ttl // 2
        and pulse.checkpoint is None
        and (pulse.progress is None or joined(lease.progress, pulse.progress) == lease.progress)
        and (pulse.usage is None or pulse.usage == lease.usage)
    )


def _beat_one(working: WorkingSet, bot: BotRecord, pulse: LeaseHeartbeat) -> Directive:
    lease = working.lease(pulse.lease_id)
    if lease is None or lease.bot != bot.id:
        return Directive(pulse.lease_id, "lost", None)
    task = working.task(lease.task)
    if lease.cancelled or task.status in TASK_CLOSED:
        return Directive(pulse.lease_id, "cancel", lease.expires_at)
    if not is_quiet(lease, pulse, working.now):
        working.mark_seen(lease)
        working.edit_lease(lease)
        lease.expires_at = max(lease.expires_at, working.now + lease.ttl)
        working.set_timer("lease", lease.work, lease.expires_at)
        if pulse.progress is not None:
            lease.progress = joined(lease.progress, pulse.progress)
        if pulse.usage is not None:
            lease.usage = pulse.usage
        if pulse.checkpoint is not None:
            lease.checkpoint = working.write_payload(task, f"{lease.work}/checkpoint", pulse.checkpoint, kept=False)
    return Directive(pulse.lease_id, "continue", lease.expires_at, task.id)
