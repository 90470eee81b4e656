"""Check what a caller may do, and which callers may act as a bot."""

from __future__ import annotations

from typing import Any, Protocol

from swarmkeeper.core import ids, lookups
from swarmkeeper.core.commands import (
    AskQuestion,
    ClaimWork,
    Command,
    EraseTask,
    NoteReads,
    NoteRefusals,
    OnTask,
    Register,
    ReleaseLease,
    ReportResult,
    SendHeartbeat,
)
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import LeaseLost, PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import ApiKey, AttemptRecord, BotRecord, LeaseRecord, Principal, TaskRecord
from swarmkeeper.core.secrets.commands import CheckLease, ReleaseSecrets
from swarmkeeper.core.states import BotType

OF_ONE_TASK = "this token is for one task alone, and this call is not"
_OF_BOT_OR_LEASE = (
    *(AskQuestion, CheckLease, ClaimWork, Register, ReleaseLease, ReleaseSecrets, ReportResult, SendHeartbeat),
    *(NoteReads, NoteRefusals),  # what is recorded of calls
)


def check_may(working: WorkingSet, by: Principal, action: str) -> None:
    """Raise Forbidden if the caller's role does not allow the action."""
    if not working.rules.may(by, action):
        raise PermissionDenied(working.rules.why_not(by, action))


def own_bot(working: WorkingSet, by: Principal, bot_id: str, action: str) -> BotRecord:
    """Return the bot with this id, if the caller may act as it.

    Raises:
        ResourceNotFound: the caller's tenant has no such bot.
        PermissionDenied: the role does not allow the action, or the key may not act as this bot.
    """
    check_may(working, by, action)
    bot = working.bot(bot_id, by.tenant)
    if (why_not := why_not_own(by, bot)) is not None:
        raise PermissionDenied(why_not)
    return bot


def within(working: WorkingSet, by: Principal, task_id: str, work_id: str) -> bool:
    """Whether an item is there for the caller: a token may be for one task, or for some skills."""
    token = by.token
    if token is None or (token.task is None and token.skills is None):
        return True
    if token.task is not None and token.task != task_id:
        return False
    return token.skills is None or token.skills.issuperset(working.queues.by_id[working.work(work_id).queue].skills)


def asked_skills(claim: ClaimWork) -> tuple[str, ...] | None:
    """Return the skills that a claim names, as far as the caller's token allows them; None: all of the bot's."""
    allowed = None if claim.by.token is None else claim.by.token.skills
    if allowed is None:
        return claim.skills
    return tuple(sorted(allowed if claim.skills is None else allowed.intersection(claim.skills)))


def check_bounds(command: Command[Any]) -> None:
    """Check that a command is one that the caller's token is for; which lease it is about is checked with `within`.

    Raises:
        ResourceNotFound: the token is for another task.
        PermissionDenied: it is for one task, and the command is about no task.
    """
    only = None if command.by.token is None else command.by.token.task
    if only is None or isinstance(command, _OF_BOT_OR_LEASE):
        return
    if not isinstance(command, OnTask | EraseTask):
        raise PermissionDenied(OF_ONE_TASK)
    if command.task != only:
        raise ResourceNotFound("no such task")


def seen_task(working: WorkingSet, by: Principal, task_id: str) -> TaskRecord:
    """Return the task, if the caller may know of it.

    Raises:
        ResourceNotFound: there is none, or it is of another tenant or of another party.
    """
    task = working.task(task_id, by.tenant)
    if not by.sees(task.party):
        raise ResourceNotFound("no such task")
    return task


def is_own_key(working: WorkingSet, by: Principal, key_id: str) -> bool:
    """Whether a key or token belongs to the caller: it is the caller's, or of the same person.

    Owners are compared only if one of the two has no person.

    Args:
        key_id: of any key or token; a bot's name is nobody's key.
    """
    if key_id == by.key_id or ids.is_same_person(key_id, by.key_id, by.owner, by.person):
        return True
    if ids.is_token(key_id):
        return False
    key: ApiKey | None = working.get(lookups.KEY, key_id)
    if key is None:
        return key_id in (by.bot, by.owner)
    if key.person is not None and by.person is not None:
        return key.person == by.person
    return not {by.key_id, by.bot, by.owner, None}.isdisjoint({key_id, key.owner} - {None})


def held_lease(
    working: WorkingSet, by: Principal, lease_id: str, action: str
) -> tuple[LeaseRecord | None, AttemptRecord | None]:
    """Return the caller's live lease with this id, and the ended attempt; either may be None.

    Raises:
        PermissionDenied: the caller may not do this with any lease, or the lease is another bot's.
        LeaseLost: the caller's tenant has and had no lease with this id.
    """
    check_may(working, by, action)
    lease = working.lease(lease_id)
    attempt: AttemptRecord | None = working.get(lookups.ATTEMPT, lease_id)
    bot_id = lease.bot if lease is not None else attempt.bot if attempt is not None else None
    try:
        if bot_id is None:
            raise ResourceNotFound("no such lease")
        own_bot(working, by, bot_id, action)
        found = lease or attempt
        if found is not None and not within(working, by, found.task, found.work):
            raise ResourceNotFound("no such lease")
    except ResourceNotFound:
        raise LeaseLost("no live lease of this bot has that id") from None
    return lease, attempt


class Owned(Protocol):
    """The fields of a bot that decide who may act as it."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> str: ...

    @property
    def type(self) -> BotType: ...


def why_not_own(by: Principal, bot: Owned) -> str | None:
    """Return why a key of the bot's tenant may not act as the bot; None if it may."""
    if by.role == "admin":
        return None
    if by.bot is not None and by.bot != bot.name:
        return "this key belongs to another bot"
    if by.bot is None and by.key_id != bot.key_id:
        return "this bot was registered with another key"
    if by.role != f"bot:{bot.type.lower()}":
        return "this key is for bots of another type"
    return None
