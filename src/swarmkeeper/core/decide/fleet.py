"""Bots and keys: who takes part, and with what powers."""

from __future__ import annotations

from swarmkeeper.core import events, lookups
from swarmkeeper.core.commands import (
    CheckBot,
    CreateKey,
    DeleteBot,
    Drain,
    Enable,
    NoteRefusals,
    Register,
    RevokeKey,
    RotateKey,
)
from swarmkeeper.core.decide import work as work_decisions
from swarmkeeper.core.errors import BotTypeFixed, Forbidden, IllegalTransition, NotFound
from swarmkeeper.core.events import OfBot
from swarmkeeper.core.model import ApiKey, Bot, Principal
from swarmkeeper.core.states import TASK_CLOSED, BotType, Ending, Happening
from swarmkeeper.core.world import World


def _may(world: World, by: Principal, action: str) -> None:
    if not world.rules.may(by, action):
        raise Forbidden(world.rules.why_not(by, action))


def register(world: World, command: Register) -> tuple[str, bool]:
    """Take a bot into the fleet, or its new version and skills; (its id, whether it is new).

    Leases held go on; what changes counts from the next grant.
    """
    by = command.by
    _may(world, by, "bot.register")
    type_ = BotType(command.type)
    if by.role.startswith("bot:") and by.role != f"bot:{type_.lower()}":
        raise Forbidden(
            "this key is for bots of another type", details=(("/type", "forbidden", "not allowed by the key"),)
        )
    name = command.own_name
    if by.bot is not None and name != by.bot:
        raise Forbidden("this key belongs to another bot", details=(("/name", "forbidden", "not the key's bot"),))
    skills = command.skills
    if by.skills is not None:
        if not by.skills.issuperset(skills):
            details = tuple(
                (f"/skills/{number}", "forbidden", "not among the key's skills")
                for number, skill in enumerate(skills)
                if skill not in by.skills
            )
            raise Forbidden("a bot cannot give itself skills that its key does not have", details=details)
        skills = skills or tuple(by.skills)
    skills = tuple(sorted(set(skills)))
    bot_id = None if name is None else world.get(lookups.BOT_NAME, (by.tenant, name, command.instance))
    if bot_id is not None:
        return _register_again(world, command, world.bot(bot_id, by.tenant), type_, skills), False
    bot_id = world.new_id("bot")
    bot = Bot(
        id=bot_id,
        tenant=by.tenant,
        type=type_,
        name=name or bot_id,
        instance=command.instance,
        version=command.version,
        owner=by.owner or _own_owner(name, bot_id),
        key_id=by.key_id,
        created_at=world.now,
        skills=skills,
        capacity=command.capacity,
        dedicated=command.dedicated,
        endpoint=command.endpoint,
        labels=command.labels,
        last_seen=world.now,
    )
    world.add_bot(bot)
    _registered(world, bot)
    return bot.id, True


def _register_again(world: World, command: Register, bot: Bot, type_: BotType, skills: tuple[str, ...]) -> str:
    if bot.type is not type_:
        raise BotTypeFixed("a bot of this name is registered with another type")
    if command.by.role != "admin" and command.by.bot is None and bot.key_id != command.by.key_id:
        raise Forbidden("a bot of this name was registered with another key")
    world.edit_bot(bot)
    bot.version, bot.skills, bot.capacity = command.version, skills, command.capacity
    bot.dedicated, bot.endpoint, bot.labels = command.dedicated, command.endpoint, command.labels
    bot.owner = command.by.owner or _own_owner(bot.name, bot.id)
    bot.key_id, bot.last_seen = command.by.key_id, world.now
    _registered(world, bot)
    return bot.id


def _registered(world: World, bot: Bot) -> None:
    skills = list(bot.skills)
    body = {"name": bot.name, "type": str(bot.type), "version": bot.version, "skills": skills}
    world.record("bot.register", bot.id, body=body)
    world.emit(events.BotRegistered(bot=bot.id, name=bot.name, type=bot.type, version=bot.version, skills=skills))


def _own_owner(name: str | None, bot_id: str) -> str:
    """Who answers for a bot whose key names nobody: the bot itself. All processes of one name are one judge."""
    return bot_id if name is None or name == bot_id else f"bot:{name}"


def drain(world: World, command: Drain) -> str:
    return _set_status(world, command.by, command.bot, "bot.drain", "draining", events.BotDraining)


def enable(world: World, command: Enable) -> str:
    return _set_status(world, command.by, command.bot, "bot.enable", "active", events.BotEnabled)


def _set_status(world: World, by: Principal, bot_id: str, action: str, status: str, event: type[OfBot]) -> str:
    _may(world, by, action)
    bot = world.bot(bot_id, by.tenant)
    if bot.status != status:
        world.record(action, bot.id, body={"name": bot.name})
        world.edit_bot(bot).status = status
        world.emit(event(bot=bot.id, name=bot.name))
    return bot.id


def delete(world: World, command: DeleteBot) -> str:
    """Take a bot out of the fleet; its leases go back to their queues, no crash counted."""
    _may(world, command.by, "bot.delete")
    bot = world.bot(command.bot, command.by.tenant)
    world.record("bot.delete", bot.id, body={"name": bot.name})
    _release_all(world, bot)
    world.remove_bot(bot)
    world.emit(events.BotDeleted(bot=bot.id, name=bot.name))
    return bot.id


def check(world: World, command: CheckBot) -> None:
    """Take a bot out of the fleet that was not heard of for long and holds nothing; it may register again.

    One that a person drained stays: registered again, it would be given work.
    """
    bot: Bot | None = world.get(lookups.BOT, command.bot)
    if bot is None:
        return
    if command.heard > bot.last_seen:
        world.edit_bot(bot).last_seen = command.heard
    gone_after = world.limits.forget_bots
    if not gone_after or world.now - bot.last_seen < gone_after or bot.status != "active":
        return
    if world.get(lookups.LEASES_OF_BOT, bot.id):
        return
    world.record("bot.forget", bot.id, body={"name": bot.name})
    world.remove_bot(bot)
    world.emit(events.BotDeleted(bot=bot.id, name=bot.name, reason="not_seen"))


def _release_all(world: World, bot: Bot) -> None:
    for work_id in world.get(lookups.LEASES_OF_BOT, bot.id):
        work = world.work(work_id)
        task = world.task(work.task)
        lease = world.lease_of(work)
        if lease is None or lease.bot != bot.id:
            continue
        if task.status in TASK_CLOSED:
            world.end_lease(task, work, lease, Ending.CANCELLED)
            world.happened(task, work, Happening.CANCELLED)
            world.emit(events.WorkCancelled.of([work]), task=task, work=work)
        else:
            work_decisions.give_back(world, task, work, lease, Ending.RELEASED, Happening.RELEASED)


def create_key(world: World, command: CreateKey) -> str:
    _may(world, command.by, "key.manage")
    key = ApiKey(
        id=world.new_id("key"),
        public_id=command.public_id,
        tenant=command.by.tenant,
        role=command.role,
        digest=command.digest,
        created_at=world.now,
        bot=command.bot,
        owner=command.owner,
        skills=None if command.skills is None else tuple(sorted(set(command.skills))),
        expires_at=None if command.expires is None else world.wall + command.expires,
    )
    world.add_key(key)
    world.record("key.create", key.id, body={"role": key.role, "bot": key.bot, "owner": key.owner})
    world.emit(events.KeyCreated(key=key.id, role=key.role))
    return key.id


def _key(world: World, by: Principal, key_id: str) -> ApiKey:
    _may(world, by, "key.manage")
    key: ApiKey | None = world.get(lookups.KEY, key_id)
    if key is None or key.tenant != by.tenant:
        raise NotFound("no such key")
    return key


def rotate_key(world: World, command: RotateKey) -> tuple[str, str]:
    """Give a key a new secret; the old one stays good for the overlap. Its id, and the part of it that stays."""
    key = _key(world, command.by, command.key)
    if key.revoked_at is not None:
        raise IllegalTransition("a revoked key cannot be rotated")
    world.record("key.rotate", key.id, body={"overlap_seconds": command.overlap // 1_000_000})
    world.edit_key(key)
    key.previous_digest, key.previous_until = key.digest, world.wall + command.overlap
    key.digest = command.digest
    world.emit(events.KeyRotated(key=key.id))
    return key.id, key.public_id


def revoke_key(world: World, command: RevokeKey) -> str:
    """End a key. Bots that have no other lose their leases in the same commit, no crash counted."""
    key = _key(world, command.by, command.key)
    if key.revoked_at is not None:
        return key.id
    registered = world.get(lookups.BOTS_OF_KEY, key.id)
    bots = [bot for bot in world.get_many(lookups.BOT, registered) if bot is not None]
    keys = world.get_many(lookups.KEYS_OF_BOT, [(key.tenant, bot.name) for bot in bots])
    others = {bot.id: known for bot, known in zip(bots, keys, strict=True)}
    world.get_many(lookups.LEASES_OF_BOT, [bot.id for bot in bots])
    world.record("key.revoke", key.id, body={"role": key.role, "bot": key.bot})
    world.edit_key(key).revoked_at = world.now
    for bot in bots:
        if not [other for other in others[bot.id] if other != key.id]:
            _release_all(world, bot)
    world.emit(events.KeyRevoked(key=key.id))
    return key.id


def note_refusals(world: World, command: NoteRefusals) -> None:
    """Write down calls that were refused with a valid credential."""
    world.record("access.refused", command.by.key_id, body={"code": command.code, "count": command.count})
    world.refused(command.code)
    scope = world.scope
    assert scope is not None
    scope.effect, scope.reasons = "deny", (command.code, command.action)
