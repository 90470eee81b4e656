"""Check what a caller may do, and which callers may act as a bot."""

from __future__ import annotations

from typing import Protocol

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import PermissionDenied
from swarmkeeper.core.model import BotRecord, Principal
from swarmkeeper.core.states import BotType


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
