"""Which grants are known to have arrived at their bots, though no call has named their leases yet. In memory.

A lease is *unseen* when its grant's reply was lost: no fault of the work. A bot that has asked for more since, under
another claim id, has that reply; so has one that named another lease of the same grant. What is forgotten, with a
restart or for room, leaves a lease unseen that was not: it costs one free repetition, and no try.
"""

from __future__ import annotations

from swarmkeeper.core.model import Lease

CLAIMS_MAX = 16  # remembered of a bot; it has a few of them under way at a time
BOTS_MAX = 20_000


class Arrivals:
    def __init__(self) -> None:
        self._bots: dict[str, dict[str, int]] = {}  # bot id -> claim id -> engine time of the last proof, or 0

    def polled(self, bot_id: str, claim_id: str | None, now: int) -> None:
        """A bot asks under this claim id. The first time, it has the answers to all that it asked before."""
        claims = self._of(bot_id)
        if claim_id is None or claim_id in claims:
            return
        for earlier in claims:
            claims[earlier] = now
        self._note(claims, claim_id, 0)

    def named(self, lease: Lease, now: int) -> None:
        """A bot named this lease, so that it has the others of the same grant, too."""
        if lease.claim_id is not None:
            self._note(self._of(lease.bot), lease.claim_id, now)

    def proves(self, lease: Lease) -> bool:
        """Whether the bot is known to have this lease."""
        if lease.claim_id is None:
            return False
        return self._bots.get(lease.bot, {}).get(lease.claim_id, 0) > lease.granted_at

    def _of(self, bot_id: str) -> dict[str, int]:
        if bot_id not in self._bots and len(self._bots) >= BOTS_MAX:
            del self._bots[next(iter(self._bots))]
        return self._bots.setdefault(bot_id, {})

    def _note(self, claims: dict[str, int], claim_id: str, proof: int) -> None:
        claims.pop(claim_id, None)
        claims[claim_id] = proof
        if len(claims) > CLAIMS_MAX:
            del claims[next(iter(claims))]
