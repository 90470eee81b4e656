"""Apply rates to leases: core/rules/work_rates.py has their arithmetic.

Which rates a tenant has is known in memory, so that a tenant without any pays nothing. What they allow is in their
rows, which change in the commit that grants or ends a lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, Protocol

from swarmkeeper.core import lookups
from swarmkeeper.core.lookups import K, Lookup, V
from swarmkeeper.core.model import BotRecord, WorkRate
from swarmkeeper.core.ports import Changes
from swarmkeeper.core.rules import work_rates
from swarmkeeper.core.rules.cooldowns import scope_of

TIMER = "rate"  # a rate that was used up allows leases again

Rates = Mapping[str, Mapping[str, int | None]]  # by tenant and key: how many leases may run at once, for a skill


class RateHolder(Protocol):
    """What this needs of the working set."""

    now: int
    changes: Changes
    rates: Rates
    opened: dict[str, None]

    def get(self, lookup: Lookup[K, V], key: K) -> V: ...
    def put(self, mapping: MutableMapping[Any, Any], key: Any, value: Any) -> None: ...
    def put_row(self, lookup: Lookup[K, V], key: K, value: V) -> None: ...
    def set_timer(self, kind: str, ref: str, due: int | None) -> None: ...


def by_tenant(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int | None]]:
    """Return the rates of the rows of the query `all_rates`."""
    rates: dict[str, dict[str, int | None]] = {}
    for row in rows:
        rates.setdefault(row["tenant"], {})[row["key"]] = row["most"]
    return rates


def rate_id(tenant: str, key: str) -> str:
    """Return the id of a rate. Timers name it, and the key has texts of callers."""
    return f"rat_{sha256(f'{tenant} {key}'.encode()).hexdigest()[:32]}"  # ids of tenants have no blank


def ids_of(rates: Rates, tenant: str) -> list[str]:
    return [rate_id(tenant, key) for key in rates.get(tenant, ())]


def skill_limits(rates: Rates, tenant: str, skills: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return the keys of skills that limit how many items run at once, as a subtask's own keys."""
    known = rates.get(tenant, {})
    found = [(key, known.get(key)) for key in map(work_rates.of_skill, skills)]
    return [(key, most) for key, most in found if most is not None]


def allowed_to(working: RateHolder, bot: BotRecord) -> int:
    """Return how many leases the rates of the bot's tenant and scope allow now."""
    keys = (work_rates.TENANT, work_rates.of_scope(scope_of(bot)))
    return min((work_rates.allowed(rate, working.now) for rate in _rates(working, bot.tenant, keys)), default=1 << 30)


def allowed_of(working: RateHolder, tenant: str, skills: tuple[str, ...]) -> int:
    """Return how many leases the rates of these skills allow now."""
    keys = tuple(map(work_rates.of_skill, skills))
    return min((work_rates.allowed(rate, working.now) for rate in _rates(working, tenant, keys)), default=1 << 30)


def leased(working: RateHolder, bot: BotRecord, skills: tuple[str, ...]) -> None:
    """Count a lease for all rates that it falls under."""
    for rate in _rates(working, bot.tenant, _keys(bot, skills)):
        _put(working, work_rates.leased(rate, working.now))


def used(working: RateHolder, bot: BotRecord, skills: tuple[str, ...], tokens: int) -> None:
    """Count what an attempt has used for all rates that it falls under."""
    for rate in _rates(working, bot.tenant, _keys(bot, skills)):
        _put(working, work_rates.used(rate, working.now, tokens))


def moment_came(working: RateHolder, name: str) -> None:
    """A rate allows leases again: polls of the tenant are tried."""
    working.set_timer(TIMER, name, None)
    rate = working.get(lookups.WORK_RATE, name)
    if rate is not None:
        working.put(working.opened, opened_name(rate.tenant), None)


def opened_name(tenant: str) -> str:
    """Return the name in `opened` that has the polls of a tenant tried again."""
    return f"rates of {tenant}"


def _keys(bot: BotRecord, skills: tuple[str, ...]) -> tuple[str, ...]:
    return (work_rates.TENANT, work_rates.of_scope(scope_of(bot)), *map(work_rates.of_skill, skills))


def _rates(working: RateHolder, tenant: str, keys: tuple[str, ...]) -> list[WorkRate]:
    known = working.rates.get(tenant, {})
    found = [working.get(lookups.WORK_RATE, rate_id(tenant, key)) for key in keys if key in known]
    return [rate for rate in found if rate is not None]


def _put(working: RateHolder, rate: WorkRate) -> None:
    working.put_row(lookups.WORK_RATE, rate.id, rate)
    working.put(working.changes.rates, rate.id, rate)
    opens = work_rates.opens_at(rate)
    if opens > working.now:
        working.set_timer(TIMER, rate.id, opens)


def renewed(known: WorkRate | None, wanted: WorkRate) -> WorkRate:
    """Return a rate with new numbers; what was used already stays."""
    if known is None:
        return wanted
    return replace(wanted, calls_at=known.calls_at, tokens_at=known.tokens_at)
