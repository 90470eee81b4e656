"""What the secrets broker does in the background: it revokes credentials whose lease has ended, seals values again
under a new master key, and forgets what was not released for very long.

The list of what is to be revoked is in the store: a row is written with the release, and removed after the back end
has revoked. So a crash in between leaves nothing; revoking twice does no harm, and several servers may do it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from swarmkeeper.core.commands import ENGINE
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.ports import Clock, LogWriter, Store, StoreDamaged, StoreUnavailable
from swarmkeeper.core.secrets import reads
from swarmkeeper.core.secrets.commands import KeepSecretRows
from swarmkeeper.core.secrets.reads import LoanRow
from swarmkeeper.core.secrets.records import Forgotten, RowKey, Sealed, SealedAgain, SecretRecord
from swarmkeeper.govern.known_values import TooManyValues
from swarmkeeper.secrets.broker import Do, SecretBroker, bound_of
from swarmkeeper.secrets.sealing import BadKeys
from swarmkeeper.secrets.sources import SourceDown

SECOND = 1_000_000
DAY = 86_400 * SECOND
LOOK_EVERY = 2 * SECOND
FORGET_EVERY = 3_600 * SECOND
AT_ONCE = 50
DYNAMIC_DAYS = 1  # for how long values made for one lease stay known: by then they are revoked
OVERDUE = DAY  # a loan whose back end cannot be asked is dropped so long after its own end

Written = list[tuple[str, RowKey, SecretRecord | None]]  # with the tenant


class SecretUpkeep:
    def __init__(self, broker: SecretBroker, store: Store, *, do: Do, clock: Clock, log: LogWriter) -> None:
        self._broker, self._store, self._do, self._clock, self._log = broker, store, do, clock, log
        self._troubled: set[str] = set()  # back ends whose trouble is logged

    async def run(self) -> None:
        """Look again and again, for ever; return at once if there is no broker."""
        forgotten_at: int | None = None
        sealed = False
        while self._broker.config is not None:
            try:
                if not sealed:
                    await self.seal_again()
                    sealed = True
                await self.revoke()
                if forgotten_at is None or self._clock.monotonic() - forgotten_at >= FORGET_EVERY:
                    await self.forget()
                    forgotten_at = self._clock.monotonic()
            except (SwarmkeeperError, StoreUnavailable, StoreDamaged, BadKeys, TooManyValues) as error:
                self._log("secrets_upkeep_failed", error=str(error))
            await self._clock.sleep(LOOK_EVERY)

    async def revoke(self) -> int:
        """Revoke the credentials of leases that have ended; return how many."""
        after, n = "", 0
        while loans := await fetch(self._store, reads.ENDED_LOANS, after=after, limit=AT_ONCE):
            ended = await asyncio.gather(*(self._revoke(loan) for loan in loans))
            gone = [loan for loan, done in zip(loans, ended, strict=True) if done]
            await self._write([(loan.tenant, ("secret_loan", loan.id), None) for loan in gone], "loans")
            after, n = loans[-1].id, n + len(gone)
        leases = await fetch(self._store, reads.ENDED_SECRET_LEASES, limit=10 * AT_ONCE)
        await self._write([(row.tenant, ("secret_lease", row.id), None) for row in leases], "leases")
        return n

    async def _revoke(self, loan: LoanRow) -> bool:
        """Revoke credentials; return whether their row can go."""
        source = self._broker.sources.get(loan.source)
        problem = "the file of secrets has no such back end any more"
        if source is not None and self._broker.ring is not None:
            try:
                name = self._broker.ring.open(Sealed(loan.key_id, loan.nonce, loan.sealed), "secret_loan", loan.id)
                await source.revoke(name)
            except (SourceDown, BadKeys) as error:
                problem = str(error)
            else:
                self._troubled.discard(loan.source)
                return True
        if loan.source not in self._troubled:
            self._troubled.add(loan.source)
            self._log("secret_not_revoked", reason=f"{loan.source}: {problem}")
        return self._clock.now() > loan.expires_at + OVERDUE

    async def seal_again(self) -> int:
        """Seal all values under the current master key; return how many had another one."""
        broker = self._broker
        assert broker.ring is not None, "a broker that is configured has a master key"
        written: Written = []
        for rows in (broker.kept(), broker.released()):
            async for row in rows:
                if row.key_id != broker.ring.current:
                    before, bound = Sealed(row.key_id, row.nonce, row.sealed), bound_of(row)
                    again = SealedAgain(broker.ring.seal(broker.opened(row), *bound), before)
                    written.append((row.tenant, bound, again))
        after = ""
        while loans := await fetch(self._store, reads.ALL_LOANS, after=after, limit=AT_ONCE):
            for loan in loans:
                if loan.key_id != broker.ring.current:
                    before, bound = Sealed(loan.key_id, loan.nonce, loan.sealed), ("secret_loan", loan.id)
                    value = broker.ring.open(before, *bound)
                    written.append((loan.tenant, bound, SealedAgain(broker.ring.seal(value, *bound), before)))
            after = loans[-1].id
        await self._write(written, "sealed")
        n = len(written)
        if n:
            self._log("secrets_sealed_again", count=n, reason=f"the master key is {broker.ring.current} now")
        return n

    async def forget(self) -> None:
        """Know values no more that were not released for so many days; those made for one lease end much sooner."""
        assert self._broker.config is not None, "only a broker that is configured forgets"
        config, now = self._broker.config, self._clock.now()
        dynamic = {name for name, backend in config.backends.items() if backend.kind == "dynamic"}
        old: Written = []
        async for row in self._broker.released():
            before = now - (DYNAMIC_DAYS if row.source in dynamic else config.known_days) * DAY
            if row.last_at < before:
                old.append((row.tenant, ("secret_released", row.tenant, row.name, row.tag), Forgotten(before)))
        await self._write(old, "forgotten")
        await self._broker.forget_removed()

    async def _write(self, rows: Written, what: str) -> None:
        """Write rows, each tenant's by commands of their own."""
        of_tenant: dict[str, list[tuple[RowKey, SecretRecord | None]]] = {}
        for tenant, key, row in rows:
            of_tenant.setdefault(tenant, []).append((key, row))
        for tenant, own in of_tenant.items():
            for begin in range(0, len(own), AT_ONCE):
                part = tuple(own[begin : begin + AT_ONCE])
                await self._do(KeepSecretRows(by=replace(ENGINE, tenant=tenant), written=part, what=what))
