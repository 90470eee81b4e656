"""Removes bots that have not called for a long time. Each process of a bot has its own row, and most never return.

The time of a bot's last call is kept in memory and written to its row from time to time, so that bots do not appear
gone after a restart of the server. Rows are checked in slices, so that a large fleet does not delay other work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from swarmkeeper.access.identity import Presence
from swarmkeeper.core.commands import ENGINE, CheckBot
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.named_reads import BOTS_SEEN_BEFORE, fetch
from swarmkeeper.core.ports import Store

SECOND = 1_000_000
DAY = 86_400 * SECOND
# After a start, or after this process was suspended, every live bot asks for work within a minute or two.
SEEN_AGAIN = 300 * SECOND
CHECK_EVERY = 60 * SECOND
SLICE = 200
WRITTEN_PARTS = 24  # a row may be out of date by this fraction of the time after which a bot is removed


class RollCall:
    """Checks the bots of all tenants repeatedly.

    Args:
        forget: microseconds without a call after which a bot is removed; 0 means never.
    """

    def __init__(
        self,
        store: Store,
        presence: Presence,
        forget: int,
        *,
        now: Callable[[], int],
        do_all: Callable[[Sequence[CheckBot]], Awaitable[Sequence[object]]],
    ) -> None:
        self._store, self._presence, self._forget = store, presence, forget
        self._now, self._do_all = now, do_all
        self._looked_at = now()
        self._due = self._looked_at + SEEN_AGAIN
        self._after = ""

    async def look(self) -> None:
        """Check the next slice if it is due. Call it each second.

        Raises:
            SwarmkeeperError: from the engine; the slice stays due.
        """
        now = self._now()
        if now - self._looked_at > CHECK_EVERY:
            self._due = now + SEEN_AGAIN
        self._looked_at = now
        if now < self._due:
            return
        before = now - (self._forget or DAY) // WRITTEN_PARTS
        rows = await fetch(self._store, BOTS_SEEN_BEFORE, after=self._after, before=before, limit=SLICE)
        checks: list[CheckBot] = []
        for row in rows:
            seen_at = self._presence.last_seen(row.id)
            is_gone = self._forget and now - max(row.last_seen, seen_at or 0) >= self._forget
            if is_gone or (seen_at is not None and seen_at > row.last_seen):
                by = replace(ENGINE, tenant=row.tenant)
                checks.append(CheckBot(by=by, bot=row.id, last_seen=seen_at or 0))
        for outcome in await self._do_all(checks) if checks else ():
            if isinstance(outcome, SwarmkeeperError):
                raise outcome
        is_last = len(rows) < SLICE
        self._after = "" if is_last else rows[-1].id
        self._due = now + CHECK_EVERY if is_last else now
