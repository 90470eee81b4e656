"""Whose a bot is: who may act as it."""

from __future__ import annotations

from typing import Protocol

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Forbidden
from swarmkeeper.core.model import Bot, Principal
from swarmkeeper.core.states import BotType


def own_bot(working: WorkingSet, by: Principal, bot_id: str, action: str) -> Bot:
    """The bot that the caller may act as.

    Raises:
        NotFound: there is none of that id in the caller's tenant.
        Forbidden: the key belongs to another bot, or to none.
    """
    if not working.rules.may(by, action):
        raise Forbidden(working.rules.why_not(by, action))
    bot = working.bot(bot_id, by.tenant)
    if (why_not := why_not_own(by, bot)) is not None:
        raise Forbidden(why_not)
    return bot


class Owned(Protocol):
    """What tells whose a bot is."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> str: ...

    @property
    def type(self) -> BotType: ...


def why_not_own(by: Principal, bot: Owned) -> str | None:
    """Why a key of the bot's tenant may not act as that bot; None where it may."""
    if by.role == "admin":
        return None
    if by.bot is not None and by.bot != bot.name:
        return "this key belongs to another bot"
    if by.bot is None and by.key_id != bot.key_id:
        return "this bot was registered with another key"
    if by.role != f"bot:{bot.type.lower()}":
        return "this key is for bots of another type"
    return None
