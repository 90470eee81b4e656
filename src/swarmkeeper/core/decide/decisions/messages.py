"""Messages that bots and clients leave on a task. reads/message_queries.py delivers them."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import SendMessage
from swarmkeeper.core.decide.effects.owners import own_bot, seen_task
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Invalid, LeaseLost, LeaseRequired, PermissionDenied, ResourceNotFound, TaskClosed
from swarmkeeper.core.model import BotRecord, MessageRecord
from swarmkeeper.core.states import TASK_CLOSED

_HELD = "task.message_held"


def send_message(working: WorkingSet, command: SendMessage) -> str:
    """Leave a message on a task, for one bot or for all that work on it; return its id.

    Raises:
        Invalid: no such bot is registered, or the task has reached its limit of messages.
        TaskClosed: no bot will work on the task any more.
    """
    bot = _sender(working, command)
    task = seen_task(working, command.by, command.task)
    if task.status in TASK_CLOSED:
        raise TaskClosed("the task is closed: no bot works on it")
    # A name that was never registered is a typing error, and its message would wait for ever.
    if command.to_bot is not None and not working.get(lookups.BOTS_CALLED, (command.by.tenant, command.to_bot)):
        where = ("/to_bot", "unknown_bot", "no bot of this id or name is registered")
        raise Invalid("the message is for an unknown bot", details=(where,))
    count = working.get(lookups.MESSAGES, task.id)
    if count >= working.limits.messages_max:
        raise Invalid(f"a task has at most {working.limits.messages_max} messages; this task has reached the limit")
    message_id = working.new_id("msg")
    # The id distinguishes bots of one name; readers see the name.
    sender, name = (command.by.key_id, command.by.key_id) if bot is None else (bot.id, bot.name)
    body = working.write_payload(task, f"{task.id}/message/{message_id[4:]}", command.payload)
    event = events.TaskMessage(message=message_id, from_bot=name, to_bot=command.to_bot, bytes=len(command.payload))
    working.record("task.message", task.id, task=task, body=event.scanned())
    working.changes.messages.append(
        MessageRecord(message_id, task.tenant, task.id, sender, command.to_bot, body, working.now)
    )
    working.put_row(lookups.MESSAGES, task.id, count + 1)
    working.emit(event, task=task)
    return message_id


def _sender(working: WorkingSet, command: SendMessage) -> BotRecord | None:
    """Return the sending bot, which must hold a lease of the task; None for a client.

    Raises:
        LeaseLost: the named lease is not a live lease of the caller's bot on this task.
        LeaseRequired: several bots of this key work on the task.
        PermissionDenied: the role may not send messages, or the bot has no lease of the task.
    """
    by = command.by
    if command.lease_id is not None:
        lease = working.lease(command.lease_id)
        try:
            if lease is None or lease.task != command.task:
                raise ResourceNotFound("no such lease")
            return own_bot(working, by, lease.bot, _HELD)
        except ResourceNotFound:
            raise LeaseLost("no live lease of this bot on the task has that id") from None
    if working.rules.may(by, "task.message"):
        return None
    if not working.rules.may(by, _HELD):
        raise PermissionDenied(working.rules.why_not(by, "task.message"))
    works = working.get(lookups.SPEAKERS, (by.tenant, by.bot, by.key_id, command.task))
    leases = working.get_many(lookups.LEASE, works)
    speakers = {lease.bot for lease in leases if lease is not None and lease.task == command.task}
    if len(speakers) > 1:
        raise LeaseRequired("name the lease: several bots of this key work on the task")
    if not speakers:
        raise PermissionDenied("a bot may send messages only about tasks that it holds a lease of")
    return own_bot(working, by, speakers.pop(), _HELD)
