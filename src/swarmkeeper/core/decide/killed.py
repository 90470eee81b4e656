"""What a kill refuses: leases and submissions. decide/kills.py places and lifts kills."""

from __future__ import annotations

from swarmkeeper.core.decide.working_set import WorkingSet
from swarmkeeper.core.errors import Killed
from swarmkeeper.core.kills import lookups as own
from swarmkeeper.core.kills import records
from swarmkeeper.core.kills.records import KillKind, KillRecord
from swarmkeeper.core.model import BotRecord


def in_force(working: WorkingSet, tenant: str) -> list[KillRecord]:
    """Return the tenant's kills that are in force."""
    if not working.kills.may_have(tenant):
        return []
    kills: list[KillRecord] = working.get(own.KILLS, tenant)
    return records.in_force(kills, working.now)


def of_bot(working: WorkingSet, bot: BotRecord) -> KillRecord | None:
    return records.of_bot(in_force(working, bot.tenant), bot)


def alive(working: WorkingSet, tenant: str, queues: frozenset[int]) -> frozenset[int]:
    """Return those of the queues of which no skill is killed."""
    kills = [kill for kill in in_force(working, tenant) if kill.kind == KillKind.SKILL]
    if not kills:
        return queues
    skills_of = working.queues.by_id
    return frozenset(queue for queue in queues if records.of_skills(kills, skills_of[queue].skills) is None)


def check_submission(working: WorkingSet, tenant: str) -> None:
    """Check that the tenant may submit tasks.

    Raises:
        Killed: the whole tenant is stopped.
    """
    kill = records.of_tenant(in_force(working, tenant))
    if kill is not None:
        raise Killed(f"the tenant is killed by {kill.id}: {kill.reason}")
