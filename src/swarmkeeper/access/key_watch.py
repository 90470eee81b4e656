"""Checks whether the keys of waiting calls (polls, streams, waits for tasks) are still valid.

One check a second for each key, for any number of calls that wait with it. The same pass records that bots with parked
polls are present.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from swarmkeeper.access.identity import Identity
from swarmkeeper.core.model import Principal
from swarmkeeper.core.ports import StoreUnavailable


class KeyWatch:
    def __init__(self, identity: Identity, parked_bots: Callable[[], Iterable[str]]) -> None:
        self.checks = 0  # keys checked so far
        self._identity, self._parked_bots = identity, parked_bots
        self._waiting: dict[object, tuple[Principal, dict[int, asyncio.Future[None]]]] = {}  # by credential

    @contextmanager
    def of(self, principal: Principal) -> Iterator[asyncio.Future[None]]:
        """Watch a key or token until the block ends; yield a future that is done within a second of its end."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Two tokens of one subject have one key id, and end at two times; so do two secrets of a key that is rotated.
        token = principal.token and principal.token.id
        credential = (principal.key_id, principal.secret_digest, token, principal.session)
        _, of_key = self._waiting.setdefault(credential, (principal, {}))
        of_key[id(ended)] = ended
        try:
            yield ended
        finally:
            del of_key[id(ended)]
            if not of_key and self._waiting.get(credential, (None, None))[1] is of_key:
                del self._waiting[credential]

    async def run(self, pause: Callable[[], float]) -> None:
        """Check for ever, with `pause()` seconds in between."""
        while True:
            await asyncio.sleep(pause())
            try:
                await self.check()
            except StoreUnavailable:
                continue  # the next pass tries again

    async def check(self) -> None:
        """Check each key of a waiting call once.

        Raises:
            StoreUnavailable: a key has changed and cannot be read now.
        """
        for bot in self._parked_bots():
            self._identity.presence.seen(bot)
        for principal, of_key in list(self._waiting.values()):
            self.checks += 1
            if not await self._identity.still_good(principal):
                for ended in of_key.values():
                    if not ended.done():
                        ended.set_result(None)
