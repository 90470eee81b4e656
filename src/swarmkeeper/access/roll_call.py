"""Has bots leave the fleet that were not heard of for long: each process of a bot has a row of its own, and most never
come back.

When a bot was heard of last is kept in memory, and written to its row from time to time, so that a restart of the
server does not make everybody look gone. Rows are looked at by slices, so that a large fleet holds nobody up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from swarmkeeper.access.identity import Presence
from swarmkeeper.core.commands import ENGINE, CheckBot, Command
from swarmkeeper.core.named_reads import BOTS_SEEN_BEFORE, fetch
from swarmkeeper.core.ports import Store

SECOND = 1_000_000
DAY = 86_400 * SECOND
# After a start, or after this process stood still, every bot that is alive asks for work within a minute or two.
HEARD_AGAIN = 300 * SECOND
LOOK_EVERY = 60 * SECOND
SLICE = 200
WRITTEN_PARTS = 24  # of the time after which a bot is gone: so old its row may be


class RollCall:
    """Looks over the bots of all tenants, again and again. `forget` is in microseconds; 0 is never."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        forget: int,
        *,
        now: Callable[[], int],
        do_all: Callable[[Sequence[Command[Any]]], Awaitable[Sequence[Any]]],
    ) -> None:
        self._store, self._presence, self._forget = store, presence, forget
        self._now, self._do_all = now, do_all
        self._looked_at = now()
        self._due = self._looked_at + HEARD_AGAIN
        self._after = ""

    async def look(self) -> None:
        """Look at the next slice, where it is time to. To be called each second.

        Raises:
            SwarmkeeperError: of the engine; what was not done is due again.
        """
        now = self._now()
        if now - self._looked_at > LOOK_EVERY:
            self._due = now + HEARD_AGAIN
        self._looked_at = now
        if now < self._due:
            return
        before = now - (self._forget or DAY) // WRITTEN_PARTS
        rows = await fetch(self._store, BOTS_SEEN_BEFORE, after=self._after, before=before, limit=SLICE)
        checks: list[Command[Any]] = []
        for row in rows:
            heard = self._presence.last_seen(row.id)
            is_gone = self._forget and now - max(row.last_seen, heard or 0) >= self._forget
            if is_gone or (heard is not None and heard > row.last_seen):
                by = replace(ENGINE, tenant=row.tenant)
                checks.append(CheckBot(by=by, bot=row.id, heard=heard or 0))
        for outcome in await self._do_all(checks) if checks else ():
            if isinstance(outcome, Exception):
                raise outcome
        is_last = len(rows) < SLICE
        self._after = "" if is_last else rows[-1].id
        self._due = now + LOOK_EVERY if is_last else now
