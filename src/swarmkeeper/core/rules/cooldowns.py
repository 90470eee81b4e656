"""Cooldowns: a provider that limits one bot limits every bot of the same scope.

A scope is a short name of what the provider limits, such as `anthropic:claude-sonnet`. While it cools, its bots get no
work. When the time is over, one bot gets one item as a probe; the others follow a second later, unless the provider
limits the probe too.

    (none) ── rate_limited ──▸ cooling ── time is over ──▸ due ── one lease ──▸ probing ── a second later ──▸ (none)

From every phase, another `rate_limited` leads back to `cooling`.
"""

from __future__ import annotations

from hashlib import sha256

from swarmkeeper.core.model import BotRecord, Cooldown

SECOND = 1_000_000

# A provider that limits calls says so at once. The probe's answer is not awaited for longer: a call may take minutes.
PROBE = 1 * SECOND
LEAST = 1 * SECOND
# A longer wait than this is asked of the item alone; its scope tries one item each hour. So a mistake in a report
# cannot stop all bots of a scope for days.
MOST = 3_600 * SECOND

SCOPE_LABELS = ("scope", "model")  # of a bot, the first that it has


def scope_of(bot: BotRecord) -> str:
    """Return the scope that a bot's last rate limit named, or that it declares by a label; empty if none is known."""
    if bot.scope or not bot.labels:
        return bot.scope
    return next((declared for name in SCOPE_LABELS if (declared := bot.labels.get(name))), "")


def cooldown_id(tenant: str, scope: str) -> str:
    """Return an id that timers may name: a scope is a text of a bot."""
    return f"cdn_{sha256(f'{tenant} {scope}'.encode()).hexdigest()[:32]}"  # ids of tenants have no blank


def is_closed(cooldown: Cooldown | None) -> bool:
    """Whether bots of the scope get no work now."""
    return cooldown is not None and cooldown.phase != "due"


def extended(known: Cooldown | None, until: int) -> int:
    """Return when a cooldown ends that is told anew: the later of both times while it cools."""
    return max(until, known.until) if known is not None and known.phase == "cooling" else until
