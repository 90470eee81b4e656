"""In-memory record of grants that have reached their bots although no call has named their leases yet.

A lease is *unseen* if the reply with its grant was lost, which is no fault of the work. A bot that has since asked for
more under another claim id has received that reply; so has a bot that named another lease of the same grant. If a
record is lost (by a restart, or to limit memory), a seen lease counts as unseen: the item is leased again, and no try
is counted.
"""

from __future__ import annotations

from swarmkeeper.core.model import LeaseRecord

CLAIMS_MAX = 16  # remembered for each bot, which has only a few open at a time
BOTS_MAX = 20_000


class Arrivals:
    def __init__(self) -> None:
        self._bots: dict[str, dict[str, int]] = {}  # bot id -> claim id -> engine time of the last proof, or 0

    def polled(self, bot_id: str, claim_id: str | None, now: int) -> None:
        """Record a poll. A new claim id proves that the bot has received the answers to all its earlier ones."""
        claims = self._of(bot_id)
        if claim_id is None or claim_id in claims:
            return
        for earlier in claims:
            claims[earlier] = now
        self._note(claims, claim_id, 0)

    def named(self, lease: LeaseRecord, now: int) -> None:
        """Record that a bot named this lease, so it has received the others of the same grant, too."""
        if lease.claim_id is not None:
            self._note(self._of(lease.bot), lease.claim_id, now)

    def proves(self, lease: LeaseRecord) -> bool:
        """Whether the bot is known to have received this lease."""
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
