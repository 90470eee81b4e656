"""Begin and end cooldowns of scopes; core/rules/cooldowns.py has the phases and their times."""

from __future__ import annotations

from dataclasses import replace

from swarmkeeper.core import lookups
from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.model import BotRecord, Cooldown
from swarmkeeper.core.rules import cooldowns

TIMER = "cooldown"


def begin(working: WorkingSet, bot: BotRecord, scope: str, wait: int) -> None:
    """Let no bot of the scope have work for `wait` microseconds. The reporting bot belongs to the scope from now on."""
    name = cooldowns.cooldown_id(bot.tenant, scope)
    known = working.get(lookups.COOLDOWN, name)
    until = working.now + min(max(wait, cooldowns.LEAST), cooldowns.MOST)
    until = cooldowns.extended(known, until)
    _put(working, Cooldown(name, bot.tenant, scope, "cooling", until))
    working.set_timer(TIMER, name, until)
    if cooldowns.scope_of(bot) != scope:
        working.edit_bot(bot).scope = scope


def moment_came(working: WorkingSet, name: str) -> None:
    """A phase is over: the next lease is a probe, or, after a probe, the cooldown ends."""
    known = working.get(lookups.COOLDOWN, name)
    if known is None or known.phase == "due":
        working.set_timer(TIMER, name, None)
    elif working.now < known.until:
        working.set_timer(TIMER, name, known.until)
    else:
        working.set_timer(TIMER, name, None)
        _put(working, replace(known, phase="due") if known.phase == "cooling" else None, name)
        working.put(working.opened, name, None)


def probe(working: WorkingSet, known: Cooldown) -> None:
    """A bot of a scope that is due got an item: the others wait for a moment."""
    until = working.now + cooldowns.PROBE
    _put(working, replace(known, phase="probing", until=until))
    working.set_timer(TIMER, known.id, until)


def of(working: WorkingSet, bot: BotRecord) -> Cooldown | None:
    """Return the cooldown of the bot's scope, if it is loaded and there is one."""
    scope = cooldowns.scope_of(bot)
    return working.known(lookups.COOLDOWN, cooldowns.cooldown_id(bot.tenant, scope)) if scope else None


def _put(working: WorkingSet, cooldown: Cooldown | None, name: str = "") -> None:
    name = cooldown.id if cooldown is not None else name
    working.put_row(lookups.COOLDOWN, name, cooldown)
    working.put(working.changes.cooldowns, name, cooldown)
