"""Decisions on bots and API keys."""

from __future__ import annotations

from collections.abc import Collection

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import (
    CheckBot,
    CreateKey,
    DeleteBot,
    Drain,
    Enable,
    NoteKeyUses,
    NoteReads,
    NoteRefusals,
    Register,
    RevokeKey,
    RotateKey,
)
from swarmkeeper.core.decide import policies
from swarmkeeper.core.decide.decisions import work as work_decisions
from swarmkeeper.core.decide.effects import accounts
from swarmkeeper.core.decide.effects.owners import check_may
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import BotTypeFixed, IllegalTransition, Invalid, PermissionDenied, ResourceNotFound
from swarmkeeper.core.events import OfBot
from swarmkeeper.core.model import ApiKey, BotRecord, Principal, Work
from swarmkeeper.core.persons.lookups import PERSON
from swarmkeeper.core.states import TASK_CLOSED, AttemptOutcome, BotType, Transition


def register(working: WorkingSet, command: Register) -> tuple[str, bool]:
    """Register a bot, or update its version, skills and so on; return (its id, whether it is new).

    Live leases continue; changes apply from the next grant.
    """
    by = command.by
    check_may(working, by, "bot.register")
    type_ = BotType(command.type)
    if by.role.startswith("bot:") and by.role != f"bot:{type_.lower()}":
        raise PermissionDenied(
            "this key is for bots of another type", details=(("/type", "forbidden", "not allowed by the key"),)
        )
    name = command.own_name
    if by.bot is not None and name != by.bot:
        raise PermissionDenied(
            "this key belongs to another bot", details=(("/name", "forbidden", "not the key's bot"),)
        )
    skills = command.skills
    if by.skills is not None:
        if not by.skills.issuperset(skills):
            details = tuple(
                (f"/skills/{number}", "forbidden", "not among the key's skills")
                for number, skill in enumerate(skills)
                if skill not in by.skills
            )
            raise PermissionDenied("a bot cannot give itself skills that its key does not have", details=details)
        skills = skills or tuple(by.skills)
    skills = tuple(sorted(set(skills)))
    bot_id = None if name is None else working.get(lookups.BOT_NAME, (by.tenant, name, command.instance))
    if bot_id is not None:
        return _register_again(working, command, working.bot(bot_id, by.tenant), type_, skills), False
    bot_id = working.new_id("bot")
    bot = BotRecord(
        id=bot_id,
        tenant=by.tenant,
        type=type_,
        name=name or bot_id,
        instance=command.instance,
        version=command.version,
        owner=_owner(working, by, name, bot_id),
        key_id=by.key_id,
        created_at=working.now,
        skills=skills,
        capacity=command.capacity,
        dedicated=command.dedicated,
        endpoint=command.endpoint,
        labels=command.labels,
        last_seen=working.now,
        person=by.person,
    )
    working.add_bot(bot)
    _registered(working, bot)
    return bot.id, True


def _register_again(
    working: WorkingSet, command: Register, bot: BotRecord, type_: BotType, skills: tuple[str, ...]
) -> str:
    if bot.type is not type_:
        raise BotTypeFixed("a bot of this name is registered with another type")
    if command.by.role != "admin" and command.by.bot is None and bot.key_id != command.by.key_id:
        raise PermissionDenied("a bot of this name was registered with another key")
    working.edit_bot(bot)
    bot.version, bot.skills, bot.capacity = command.version, skills, command.capacity
    bot.dedicated, bot.endpoint, bot.labels = command.dedicated, command.endpoint, command.labels
    bot.scope = ""  # this process may use another model
    bot.owner = _owner(working, command.by, bot.name, bot.id)
    bot.key_id, bot.person, bot.last_seen = command.by.key_id, command.by.person, working.now
    _registered(working, bot)
    return bot.id


def _registered(working: WorkingSet, bot: BotRecord) -> None:
    skills = list(bot.skills)
    body = {"name": bot.name, "type": str(bot.type), "version": bot.version, "skills": skills}
    working.record("bot.register", bot.id, body=body)
    working.emit(events.BotRegistered(bot=bot.id, name=bot.name, type=bot.type, version=bot.version, skills=skills))


def _owner(working: WorkingSet, by: Principal, name: str | None, bot_id: str) -> str:
    """Return who is responsible for a bot. All processes of one name have the same owner."""
    if by.owner or by.person:
        return by.owner or by.person or ""
    if working.limits.four_eyes:
        return by.key_id  # so bots of one key do not judge each other's work
    return bot_id if name is None or name == bot_id else f"bot:{name}"


def drain(working: WorkingSet, command: Drain) -> str:
    return _set_status(working, command.by, command.bot, "bot.drain", "draining", events.BotDraining)


def enable(working: WorkingSet, command: Enable) -> str:
    return _set_status(working, command.by, command.bot, "bot.enable", "active", events.BotEnabled)


def _set_status(working: WorkingSet, by: Principal, bot_id: str, action: str, status: str, event: type[OfBot]) -> str:
    check_may(working, by, action)
    bot = working.bot(bot_id, by.tenant)
    if bot.status != status:
        working.record(action, bot.id, body={"name": bot.name})
        working.edit_bot(bot).status = status
        working.emit(event(bot=bot.id, name=bot.name))
    return bot.id


def delete(working: WorkingSet, command: DeleteBot) -> str:
    """Remove a bot; its items return to their queues, and no crash is counted."""
    check_may(working, command.by, "bot.delete")
    bot = working.bot(command.bot, command.by.tenant)
    working.record("bot.delete", bot.id, body={"name": bot.name})
    _release_all(working, bot)
    working.remove_bot(bot)
    working.emit(events.BotDeleted(bot=bot.id, name=bot.name))
    return bot.id


def check(working: WorkingSet, command: CheckBot) -> None:
    """Record when a bot was last seen; remove it if it has been away too long and holds no lease.

    A removed bot may register again. A drained bot stays, because it would get work after registering again.
    """
    bot: BotRecord | None = working.get(lookups.BOT, command.bot)
    if bot is None:
        return
    if command.last_seen > bot.last_seen:
        working.edit_bot(bot).last_seen = command.last_seen
    gone_after = working.limits.forget_bots
    if not gone_after or working.now - bot.last_seen < gone_after or bot.status != "active":
        return
    if working.get(lookups.LEASES_OF_BOT, bot.id):
        return
    working.record("bot.forget", bot.id, body={"name": bot.name})
    working.remove_bot(bot)
    working.emit(events.BotDeleted(bot=bot.id, name=bot.name, reason="not_seen"))


def _release_all(working: WorkingSet, bot: BotRecord) -> None:
    for work_id in working.get(lookups.LEASES_OF_BOT, bot.id):
        work = working.work(work_id)
        working.task(work.task)
        lease = working.lease_of(work)
        if lease is not None and lease.bot == bot.id:
            take_back(working, work)


def take_back(working: WorkingSet, work: Work) -> None:
    """End the lease on an item, without counting a crash: it returns to its queue, or ends with its task."""
    task, lease = working.task(work.task), working.lease_of(work)
    assert lease is not None, "only a leased item can be taken back"
    if task.status in TASK_CLOSED:
        accounts.end_attempt(working, task, work, lease, AttemptOutcome.CANCELLED)
        working.move_work(task, work, Transition.CANCELLED)
        working.emit(events.WorkCancelled.of([work]), task=task, work=work)
    else:
        work_decisions.give_back(working, task, work, lease, AttemptOutcome.RELEASED, Transition.RELEASED)


def create_key(working: WorkingSet, command: CreateKey) -> str:
    check_may(working, command.by, "key.manage")
    policies.key(working, command.by, role=command.role, bot=command.bot, owner=command.owner)
    if command.person is not None:
        person = working.get(PERSON, command.person)
        if person is None or person.tenant != command.by.tenant:
            raise Invalid("no such person", details=(("/person", "unknown", "must be the id of a person"),))
    if command.scope is not None and command.role != "client":
        where = ("/scope", "clients_only", "only keys of role client have a scope")
        raise Invalid("this role sees all tasks of its tenant, or those that its bot holds", details=(where,))
    expires = working.limits.key_expires if command.expires is None else command.expires
    key = ApiKey(
        id=working.new_id("key"),
        public_id=command.public_id,
        tenant=command.by.tenant,
        role=command.role,
        digest=command.digest,
        created_at=working.now,
        bot=command.bot,
        owner=command.owner,
        skills=None if command.skills is None else tuple(sorted(set(command.skills))),
        networks=command.networks,
        expires_at=working.wall + expires if expires else None,
        person=command.person,
        scope="own" if command.role == "client" and command.scope != "tenant" else None,
    )
    working.add_key(key)
    until = None if key.expires_at is None else key.expires_at // 1_000_000
    own = {"expires_at": until, "networks": list(key.networks or ()), "person": key.person, "scope": key.scope}
    working.record("key.create", key.id, body={"role": key.role, "bot": key.bot, "owner": key.owner}, own=own)
    working.emit(events.KeyCreated(key=key.id, role=key.role))
    return key.id


def _key(working: WorkingSet, by: Principal, key_id: str) -> ApiKey:
    check_may(working, by, "key.manage")
    key: ApiKey | None = working.get(lookups.KEY, key_id)
    if key is None or key.tenant != by.tenant:
        raise ResourceNotFound("no such key")
    policies.key(working, by, role=key.role, bot=key.bot, owner=key.owner)
    return key


def rotate_key(working: WorkingSet, command: RotateKey) -> tuple[str, str]:
    """Give a key a new secret; the old one stays valid for the overlap. Return the key's id and public id."""
    key = _key(working, command.by, command.key)
    if key.revoked_at is not None:
        raise IllegalTransition("a revoked key cannot be rotated")
    working.record("key.rotate", key.id, body={"overlap_seconds": command.overlap // 1_000_000})
    working.edit_key(key)
    key.previous_digest, key.previous_until = key.digest, working.wall + command.overlap
    key.digest = command.digest
    working.emit(events.KeyRotated(key=key.id))
    return key.id, key.public_id


def revoke_key(working: WorkingSet, command: RevokeKey) -> str:
    """Revoke a key; return its id. Bots without another key lose their leases at once; no crash is counted."""
    key = _key(working, command.by, command.key)
    if key.revoked_at is not None:
        return key.id
    working.record("key.revoke", key.id, body={"role": key.role, "bot": key.bot})
    working.edit_key(key).revoked_at = working.now
    lose_keys(working, key.tenant, [key.id])
    working.emit(events.KeyRevoked(key=key.id))
    return key.id


def lose_keys(working: WorkingSet, tenant: str, lost: Collection[str]) -> None:
    """Take back the leases of bots that registered with one of these keys and have no other."""
    registered = [bot_id for found in working.get_many(lookups.BOTS_OF_KEY, lost) for bot_id in found]
    bots = [bot for bot in working.get_many(lookups.BOT, registered) if bot is not None]
    keys = working.get_many(lookups.KEYS_OF_BOT, [(tenant, bot.name) for bot in bots])
    working.get_many(lookups.LEASES_OF_BOT, [bot.id for bot in bots])
    for bot, known in zip(bots, keys, strict=True):
        if not [other for other in known if other not in lost]:
            _release_all(working, bot)


def note_refusals(working: WorkingSet, command: NoteRefusals) -> None:
    """Record refused calls."""
    body = {"code": command.code, "count": command.count}
    if command.source:
        body["source"] = command.source
    working.record("access.refused", command.source or command.by.key_id, body=body)
    working.refused(command.code)
    context = working.context
    assert context is not None
    context.effect, context.reasons = "deny", (command.code, command.action)


def note_key_uses(working: WorkingSet, command: NoteKeyUses) -> None:
    """Keep when keys were last used. That is no record of the audit log: what they were used for is."""
    working.changes.key_uses.update(command.uses)


def note_reads(working: WorkingSet, command: NoteReads) -> None:
    """Record reads. The task is not loaded, so that nobody waits for it; it may be gone."""
    working.record(command.action, command.task or command.by.key_id, own={"count": command.count})
    context = working.context
    assert context is not None
    context.task = command.task
