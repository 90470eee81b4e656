"""Keeps the keys of one issuer in memory, and reads them again.

They are read when the first token comes, then again when they are older than `jwks_seconds`, and when a token names a
key that is not among them. Nobody waits for the second kind: the known keys go on serving meanwhile. While the issuer
does not answer, they serve up to `jwks_stale_seconds`; after that, tokens are refused as if the server were overloaded,
because whether they are good is not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from swarmkeeper.core.errors import Overloaded
from swarmkeeper.core.ports import LogWriter
from swarmkeeper.tokens.compact import Compact
from swarmkeeper.tokens.file import IssuerTable
from swarmkeeper.tokens.keys import BadIssuerKeys, KeySet, VerifyKey

SECOND = 1_000_000
# A token with an invented kid costs the issuer a call: at most one in this time, from however many callers.
AGAIN = 10 * SECOND
AGAIN_WITHOUT_KEYS = 2 * SECOND
WAIT_SECONDS = 6.0  # a little longer than one read may take


class IssuerKeys:
    def __init__(
        self,
        table: IssuerTable,
        fetch: Callable[[IssuerTable], Awaitable[KeySet]],
        monotonic: Callable[[], int],
        log: LogWriter,
    ) -> None:
        self.problem = ""  # why the last read failed
        self._table, self._fetch, self._monotonic, self._log = table, fetch, monotonic, log
        self._keys = KeySet(())
        self._read_at: int | None = None
        self._tried_at: int | None = None
        self._reading: asyncio.Task[None] | None = None

    async def key_for(self, token: Compact) -> VerifyKey | None:
        """Return the key that a token names; None if the issuer has no such key.

        Raises:
            Overloaded: the issuer's keys are not known now.
        """
        if self._is_stale():
            await self._wait_for_read()
            self.check()
        self.refresh()
        key = self._keys.key_for(token)
        if key is None:
            await self._wait_for_read()
            key = self._keys.key_for(token)
            if key is None and self.problem:
                raise self._unknown()  # it may be a new key
        return key

    def check(self) -> None:
        """Check that the keys may be used.

        Raises:
            Overloaded: they are too old.
        """
        if self._is_stale():
            raise self._unknown()

    def has(self, thumbprint: str) -> bool:
        """Whether the issuer still had this key when its keys were last read."""
        return self._keys.has(thumbprint)

    def refresh(self) -> None:
        """Read the keys again in the background, if it is time to."""
        if self._read_at is None or self._monotonic() - self._read_at >= self._table.jwks_seconds * SECOND:
            self._begin()

    def _is_stale(self) -> bool:
        return self._read_at is None or self._monotonic() - self._read_at > self._table.jwks_stale_seconds * SECOND

    def _unknown(self) -> Overloaded:
        return Overloaded("the keys of the token's issuer cannot be read now", retry_after=AGAIN_WITHOUT_KEYS / SECOND)

    async def _wait_for_read(self) -> None:
        """Wait for the read in progress, or for a new one if it is not too soon.

        A caller that leaves does not end it for the others.
        """
        reading = self._begin()
        if reading is not None:
            await asyncio.wait({reading}, timeout=WAIT_SECONDS)

    def _begin(self) -> asyncio.Task[None] | None:
        if self._reading is not None and not self._reading.done():
            return self._reading
        pause = AGAIN_WITHOUT_KEYS if self._is_stale() else AGAIN
        if self._tried_at is not None and self._monotonic() - self._tried_at < pause:
            return None
        self._tried_at = self._monotonic()
        self._reading = asyncio.create_task(self._read(self._tried_at), name="swarmkeeper-issuer-keys")
        return self._reading

    async def _read(self, began: int) -> None:
        try:
            self._keys = await self._fetch(self._table)
        except BadIssuerKeys as error:
            if self.problem != str(error):
                self.problem = str(error)
                self._log("issuer_keys_unread", issuer=self._table.issuer, reason=self.problem)
            return
        self._read_at = began
        if self.problem:
            self.problem = ""
            self._log("issuer_keys_read", issuer=self._table.issuer)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
