"""Heartbeats: they extend leases, and carry progress, usage and checkpoints. They have no audit record, unless
one ends an attempt that is over its budget.
"""

from __future__ import annotations

from swarmkeeper.core.answers import Directive, HeartbeatResult
from swarmkeeper.core.commands import LeaseHeartbeat, SendHeartbeat
from swarmkeeper.core.decide.decisions import budgets as budget_decisions
from swarmkeeper.core.decide.decisions import work as work_decisions
from swarmkeeper.core.decide.effects import accounts
from swarmkeeper.core.decide.effects.owners import own_bot, within
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BotRecord, LeaseRecord, Principal, TaskRecord, Work
from swarmkeeper.core.rules import budgets
from swarmkeeper.core.rules.heartbeat_log import joined
from swarmkeeper.core.states import TASK_CLOSED, AttemptOutcome, Transition


def beat(working: WorkingSet, command: SendHeartbeat) -> HeartbeatResult:
    """Extend the bot's leases and store their progress."""
    bot = own_bot(working, command.by, command.bot, "work.beat")
    directives = tuple(_beat_one(working, command.by, bot, pulse) for pulse in command.heartbeats)
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


def _beat_one(working: WorkingSet, by: Principal, bot: BotRecord, pulse: LeaseHeartbeat) -> Directive:
    lease = working.lease(pulse.lease_id)
    if lease is None or lease.bot != bot.id or not within(working, by, lease.task, lease.work):
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
            lease.usage = pulse.usage if lease.reserved is None else budgets.larger(lease.usage, pulse.usage)
        if pulse.checkpoint is not None:
            _keep_checkpoint(working, task, lease, pulse.checkpoint)
        if lease.reserved is not None and pulse.usage is not None:
            work = working.work(lease.work)
            if not accounts.meter(working, task, work, lease):
                _over_budget(working, task, work, lease)
                return Directive(pulse.lease_id, "cancel", None, over_budget=True)
    return Directive(pulse.lease_id, "continue", lease.expires_at, task.id)


def _keep_checkpoint(working: WorkingSet, task: TaskRecord, lease: LeaseRecord, checkpoint: bytes) -> None:
    """Write a checkpoint under an id of its own, and remove the attempt's last one: what an id names never changes."""
    former, own = lease.checkpoint, f"{lease.work}/checkpoint/{lease.attempt}/"
    lease.checkpoint = working.write_payload(task, f"{own}{lease.version}", checkpoint, kept=False)
    if former is not None and former != lease.checkpoint and former.startswith(own):
        working.write_payload(task, former, None)


def _over_budget(working: WorkingSet, task: TaskRecord, work: Work, lease: LeaseRecord) -> None:
    """End an attempt that has used more than there is; what it has told so far is settled."""
    assert lease.reserved is not None, "only an attempt under a budget can be over it"
    used, most = lease.usage or {}, lease.reserved.amounts
    over = ", ".join(f"{used[name]} {name} of {most[name]}" for name in most if used.get(name, 0) > most[name])
    error = {"class": "retryable", "message": f"over budget: {over}"}
    working.record("work.over_budget", work.id, task=task, body={"key": work.key, "bot": lease.bot, "used": over})
    ending = AttemptOutcome.RELEASED
    work_decisions.give_back(working, task, work, lease, ending, Transition.RELEASED, over_budget=error)
    budget_decisions.check(working, task, work)
    if working.is_held(task) and (work.start_due is not None or work.line is not None):
        working.stop_start_clock(work)  # the hold takes out only what was ready before this command
    if work.error is not None:  # it stopped at its own budget's limit
        work_decisions.failed(working, task, work)
