"""`SecretBroker`: releases secrets to bots under a live lease, and keeps the ones that the server has itself.

Order of a release. (1) The engine says for which work the lease is. (2) Only references in that work's own inputs are
served, and only if the rule of the secret lets this bot have it; every other name gets the same answer. (3) The value
is fetched. (4) Redaction of this server knows it from here on. (5) The engine checks the lease again, counts, and
commits the audit record, the event, and the encrypted value. (6) Servers that share the store read the event, and make
the value known; the answer waits until all of them have. (7) The answer leaves.

So whoever dies when: a value that has left is known to every server, and after a restart (`load`). A value that was
known too early does no harm. In step 6, a server that has not been heard of for 25 s counts as ended.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from swarmkeeper.core.commands import Command
from swarmkeeper.core.errors import Invalid, NotSupported, Overloaded, SecretNotFound, SecretsUnavailable
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import PAYLOADS, fetch
from swarmkeeper.core.ports import Entropy, LogWriter, Store, StoreDamaged, StoreUnavailable
from swarmkeeper.core.secrets import reads
from swarmkeeper.core.secrets.commands import CheckLease, DeleteSecret, PutSecret, ReleaseSecrets, RetireSecret
from swarmkeeper.core.secrets.reads import KnownSecretRow, SealedRow
from swarmkeeper.core.secrets.records import LeaseUse, Loan, ReleasedValue, Sealed
from swarmkeeper.core.secrets.references import SCHEME, SecretReference, held, is_name, parse
from swarmkeeper.govern.known_values import VALUE_MAX, VALUE_MIN, TooManyValues
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.secrets.config import BUILTIN, BadSecrets, SecretRule, SecretsConfig
from swarmkeeper.secrets.sealing import BadKeys, KeyRing
from swarmkeeper.secrets.sources import Fetched, Field, SecretSource, SourceDown, fields_of

SECOND = 1_000_000
PAGE = 500
RETRY_AFTER = 5  # seconds, for a back end that is down
TOLD_SECONDS_MAX = 5.0  # how long an answer waits for the other servers
TOLD_LOOK_SECONDS = 0.05
SMALL_BYTES = 64 << 10  # inputs up to this size are parsed on the loop
PUT_TRIES = 3


class TellsOthers(Protocol):
    """The other servers of a shared store."""

    async def all_know(self, seq: int) -> bool:
        """Whether every server has read the feed up to this event, and knows the values that it tells of."""


class Do(Protocol):
    """The engine: carries out a command."""

    def __call__(self, command: Command[Any], /) -> Awaitable[Any]: ...


@dataclass(slots=True)
class _Taken:
    """Secrets of one name and version that were fetched for a call."""

    rule: SecretRule
    fetched: Fetched


class SecretBroker:
    """See above. Without a configuration, it refuses every call, and the store must have no encrypted value."""

    def __init__(
        self,
        store: Store,
        *,
        do: Do,
        rules: Rulebook,
        config: SecretsConfig | None,
        ring: KeyRing | None,
        sources: Mapping[str, SecretSource],
        entropy: Entropy,
        now: Callable[[], int],
        log: LogWriter,
    ) -> None:
        self.config, self.ring, self.sources = config, ring, sources
        self._store, self._do, self._rules, self._log = store, do, rules, log
        self._entropy, self._now = entropy, now
        self.others: TellsOthers | None = None
        self._seq: dict[tuple[str, str], int] = {}  # (tenant, tag) -> an event that tells of the value
        self._here: set[tuple[str, str]] = set()  # values that this server knows
        self._turn = asyncio.Lock()  # for changes of what is known
        self._unwritten: Counter[tuple[str, str]] = Counter()  # (tenant, value), whose row is not committed yet
        self._recent: set[tuple[str, str]] = set()  # (tenant, value) made known since `forget_removed` began last
        self._everywhere: set[tuple[str, str]] = set()  # and all others, too

    # ---- start -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make every value that was ever released known to redaction, and check that all values can be decrypted.

        Raises:
            BadSecrets: the store has values, and the configuration or a master key is missing.
        """
        if self.ring is None:
            (rows,) = await fetch(self._store, reads.SECRET_ROWS)
            if rows.found:
                raise BadSecrets(
                    f"the store has {rows.found} encrypted values of secrets: give the settings `secrets` and"
                    " `secrets_key_file`, or values that bots have would not be redacted any more"
                )
            return
        try:
            await self.load()
            async for row in self.kept():
                self.opened(row)
            after = ""
            while loans := await fetch(self._store, reads.ALL_LOANS, after=after, limit=PAGE):
                for loan in loans:
                    self.ring.open(Sealed(loan.key_id, loan.nonce, loan.sealed), "secret_loan", loan.id)
                after = loans[-1].id
        except BadKeys as error:
            raise BadSecrets(f"wrong master key: {error}") from None
        except TooManyValues as error:
            raise BadSecrets(f"more values were released than redaction can know ({error})") from None

    async def load(self) -> None:
        """Make every value that was released known; call it again after the end of the feed is noted."""
        if self.ring is not None:
            values: dict[str, list[str]] = {}
            tags: list[tuple[str, str]] = []
            async for row in self.released():
                values.setdefault(row.tenant, []).append(self.opened(row))
                tags.append((row.tenant, row.tag))
            for tenant, own in values.items():
                for begin in range(0, len(own), PAGE):
                    async with self._turn:
                        self._rules.known.add(tenant, own[begin : begin + PAGE])
                    await asyncio.sleep(0)
            self._here.update(tags)

    async def forget_removed(self) -> None:
        """Know no more what has no row any more; values of releases in progress have none yet."""
        self._recent = set()
        known = self._rules.known
        before = {(tenant, value) for tenant in known.tenants() for value in known.values(tenant)}
        before -= self._unwritten.keys()
        rows: set[tuple[str, str]] = set()
        tags: set[tuple[str, str]] = set()
        async for row in self.released():
            rows.add((row.tenant, self.opened(row)))
            tags.add((row.tenant, row.tag))
        async with self._turn:
            if removed := before - rows - self._recent:
                gone: dict[str, list[str]] = {}
                for tenant, value in removed:
                    gone.setdefault(tenant, []).append(value)
                for tenant, values in gone.items():
                    await asyncio.to_thread(known.forget, tenant, values)
                # A tag that is asked for again is read again.
                self._here &= tags
                self._everywhere &= tags

    async def released(self) -> Any:
        """Yield all rows of released values."""
        tenant = name = tag = ""
        while rows := await fetch(self._store, reads.ALL_RELEASED, tenant=tenant, name=name, tag=tag, limit=PAGE):
            for row in rows:
                yield row
            tenant, name, tag = rows[-1].tenant, rows[-1].name, rows[-1].tag

    async def kept(self) -> Any:
        """Yield all rows of secrets that the server keeps."""
        tenant, name, version = "", "", 0
        given: dict[str, Any] = {"limit": PAGE}
        while rows := await fetch(self._store, reads.ALL_SECRETS, tenant=tenant, name=name, version=version, **given):
            for row in rows:
                yield row
            tenant, name, version = rows[-1].tenant, rows[-1].name, int(rows[-1].version)

    def opened(self, row: SealedRow) -> str:
        """Return the value of a row. Raises BadKeys."""
        return self._ring().open(Sealed(row.key_id, row.nonce, row.sealed), *bound_of(row))

    # ---- other servers ---------------------------------------------------------------------------------------------

    async def learn(self, released: Iterable[tuple[str, str, int]]) -> bool:
        """Make values known that a server has released, given as (tenant, tag, number of the event).

        Returns:
            False if one could not be read: then this server must not say that it knows it.
        """
        for tenant, tag, seq in released:
            self._seq[tenant, tag] = seq
            if (tenant, tag) in self._here:
                continue
            if self.ring is None:
                self._log("secrets_unknown", reason="another server has released a secret, and this one has no broker")
                return False
            try:
                for row in await fetch(self._store, reads.RELEASED_TAG, tenant=tenant, tag=tag):
                    async with self._turn:
                        value = self.opened(row)
                        self._recent.add((tenant, value))
                        self._rules.known.add(tenant, [value])
            except (BadKeys, TooManyValues) as error:
                self._log("secrets_unknown", reason=str(error))
                return False
            self._here.add((tenant, tag))
        return True

    async def _all_know(self, values: Sequence[ReleasedValue]) -> None:
        """Wait until every server knows these values.

        Raises:
            SecretsUnavailable: one of them does not, after some seconds.
        """
        new = {(value.tenant, value.tag) for value in values}
        if self.others is None or new <= self._everywhere:
            return
        try:
            async with asyncio.timeout(TOLD_SECONDS_MAX):
                while True:
                    seqs = [self._seq.get(each) for each in new]
                    if None not in seqs and await self.others.all_know(max(seq for seq in seqs if seq is not None)):
                        break
                    await asyncio.sleep(TOLD_LOOK_SECONDS)
        except (TimeoutError, StoreUnavailable, StoreDamaged):
            self._log("secrets_untold", reason="not every server knows a value in time: its answer was kept back")
            raise SecretsUnavailable("another server does not answer: ask again", retry_after=RETRY_AFTER) from None
        self._everywhere |= new
        for each in new:
            self._seq.pop(each, None)

    # ---- releases --------------------------------------------------------------------------------------------------

    async def resolve(self, by: Principal, lease_id: str, names: Sequence[str], trace: str = "") -> list[str]:
        """Release secrets to the bot that holds the lease; return the values in the order of the names.

        Raises:
            SecretNotFound: a name is none that this work may have.
            LeaseLost, PermissionDenied: from the engine, about the lease.
            RateLimited: the lease or a secret has had too many releases.
            SecretsUnavailable: a back end or another server does not answer.
        """
        self._ring()
        use: LeaseUse = await self._do(CheckLease(by=by, lease_id=lease_id, trace=trace))
        asked = await self._asked(use, names)
        taken = await self._taken(use, asked)
        try:
            values = self._values(asked, taken)
            plain = [(use.tenant, value) for value, _, _ in values]
            self._unwritten.update(plain)
            try:
                await self._make_known(use.tenant, [value for value, _, _ in values])
                records = self._records(use, asked, values)
                await self._do(self._release(by, lease_id, use, records, taken, asked, trace))
            finally:
                self._unwritten -= Counter(plain)
        except BaseException:
            await self._give_back(taken.values())
            raise
        self._here.update((record.tenant, record.tag) for record in records)
        await self._all_know(records)
        return [value for value, _, _ in values]

    async def _asked(self, use: LeaseUse, names: Sequence[str]) -> list[tuple[SecretReference, SecretRule]]:
        """Return the references that are asked for, with their rules."""
        written = await self._references(use.payload)
        # A bot may pass on what the submitter refers to. What it invents needs a rule that somebody has written.
        passed_on = None if use.submission is None else await self._references(use.submission)
        submitted = None if passed_on is None else {each.name for each in map(parse, passed_on) if each is not None}
        asked: list[tuple[SecretReference, SecretRule]] = []
        missing: list[int] = []
        for place, name in enumerate(names):
            text = name.removeprefix(SCHEME)
            reference = parse(text) if text in written else None
            rule = None if reference is None else self._config().rule_of(reference.name, use.tenant)
            if reference is None or rule is None or not rule.allow.lets(use, rule.tenant):
                missing.append(place)
                continue
            needs_rule = submitted is not None and reference.name not in submitted
            if needs_rule and not rule.is_written:
                missing.append(place)
            else:
                asked.append((reference, rule))
        _refuse(missing)
        return asked

    async def _references(self, payload: str) -> set[str]:
        rows = await fetch(self._store, PAYLOADS, ids=json.dumps([payload]))
        if not rows:
            return set()
        body = rows[0].body
        if SCHEME.encode() not in body and b"secret:" not in body:
            return set()

        def read() -> set[str]:
            return held(json.loads(body).get("input"))

        return read() if len(body) <= SMALL_BYTES else await asyncio.to_thread(read)

    async def _taken(
        self, use: LeaseUse, asked: Sequence[tuple[SecretReference, SecretRule]]
    ) -> dict[tuple[str, str | None], _Taken]:
        """Fetch each secret once, with all fields that are asked for: they belong together."""
        fields: dict[tuple[str, str | None], list[Field]] = {}
        rule_of: dict[tuple[str, str | None], SecretRule] = {}
        for reference, rule in asked:
            secret = reference.name, reference.version
            rule_of[secret] = rule
            if reference.field not in fields.setdefault(secret, []):
                fields[secret].append(reference.field)
        found = await asyncio.gather(
            *(self._fetch(rule_of[secret], *secret, fields[secret]) for secret in fields), return_exceptions=True
        )
        taken = {
            secret: _Taken(rule_of[secret], got)
            for secret, got in zip(fields, found, strict=True)
            if isinstance(got, Fetched)
        }
        problems = [got for got in found if isinstance(got, BaseException)]
        absent = [n for n, (reference, _) in enumerate(asked) if (reference.name, reference.version) not in taken]
        if problems or absent:
            await self._give_back(taken.values())
        for problem in problems:
            if not isinstance(problem, SourceDown):
                raise problem
            self._log("secret_source_down", task=use.task, reason=str(problem))
        if problems:
            raise SecretsUnavailable("the back end of a secret does not answer", retry_after=RETRY_AFTER)
        _refuse(absent)
        return taken

    async def _fetch(self, rule: SecretRule, name: str, version: str | None, fields: Sequence[Field]) -> Fetched | None:
        if rule.backend != BUILTIN:
            return await self.sources[rule.backend].fetch(rule.key.replace("{name}", name), version, fields)
        rows = await fetch(self._store, reads.SECRET_VERSIONS, tenant=rule.tenant, name=name)
        for row in rows:
            if version in (None, row.version):
                try:
                    return fields_of(self.opened(row), fields, row.version)
                except BadKeys as error:
                    raise SourceDown(str(error)) from None
        return None

    def _values(
        self, asked: Sequence[tuple[SecretReference, SecretRule]], taken: Mapping[tuple[str, str | None], _Taken]
    ) -> list[tuple[str, str, SecretRule]]:
        """Return (value, version, rule) for each that is asked for."""
        found = []
        for reference, rule in asked:
            fetched = taken[reference.name, reference.version].fetched
            found.append((fetched.values[reference.field], fetched.version, rule))
        bad = [n for n, (value, _, _) in enumerate(found) if not VALUE_MIN <= len(value) <= VALUE_MAX]
        if bad:
            rule_of_size = (
                f"a secret has {VALUE_MIN} to {VALUE_MAX} characters: a shorter one would hide ordinary words"
            )
            raise Invalid(
                "a secret has an unfit value", details=tuple((f"/names/{n}", "size", rule_of_size) for n in bad)
            )
        return found

    async def _make_known(self, tenant: str, values: Sequence[str]) -> None:
        try:
            async with self._turn:
                self._recent.update((tenant, value) for value in values)
                self._rules.known.add(tenant, values)
        except TooManyValues as error:
            self._log("secrets_full", tenant=tenant, reason=str(error))
            raise SecretsUnavailable("redaction cannot know more values", retry_after=60) from None

    def _records(
        self,
        use: LeaseUse,
        asked: Sequence[tuple[SecretReference, SecretRule]],
        values: Sequence[tuple[str, str, SecretRule]],
    ) -> tuple[ReleasedValue, ...]:
        tags = self._rules.tags
        assert tags is not None, "a server has tags"
        ring, records = self._ring(), []
        for (reference, rule), (value, version, _) in zip(asked, values, strict=True):
            tag = tags.of(use.tenant).mark(value)
            sealed = ring.seal(value, "secret_released", use.tenant, reference.name, tag)
            records.append(ReleasedValue(use.tenant, reference.name, tag, version, rule.backend, sealed))
        return tuple(records)

    def _release(
        self,
        by: Principal,
        lease_id: str,
        use: LeaseUse,
        records: tuple[ReleasedValue, ...],
        taken: Mapping[tuple[str, str | None], _Taken],
        asked: Sequence[tuple[SecretReference, SecretRule]],
        trace: str,
    ) -> ReleaseSecrets:
        return ReleaseSecrets(
            by=by,
            trace=trace,
            lease_id=lease_id,
            payload=use.payload,
            values=records,
            loans=tuple(self._loan(use, lease_id, each) for each in taken.values() if each.fetched.loan),
            lease_max=self._config().per_lease,
            minute_max=tuple(rule.per_minute for _, rule in asked),
        )

    def _loan(self, use: LeaseUse, lease_id: str, taken: _Taken) -> Loan:
        id_ = f"sln_{self._entropy.secret(16).hex()}"
        sealed = self._ring().seal(taken.fetched.loan, "secret_loan", id_)
        until = self._now() + taken.fetched.seconds * SECOND
        return Loan(id_, use.tenant, lease_id, taken.rule.backend, sealed, until)

    async def _give_back(self, taken: Iterable[_Taken]) -> None:
        """Revoke credentials that were made for a call that failed."""
        for each in taken:
            if each.fetched.loan:
                try:
                    await self.sources[each.rule.backend].revoke(each.fetched.loan)
                except SourceDown as error:
                    # They end by themselves after their time.
                    self._log("secret_not_revoked", reason=str(error))

    # ---- what the server keeps -------------------------------------------------------------------------------------

    async def put(self, by: Principal, name: str, value: str, trace: str = "") -> int:
        """Keep a new version of a secret; return its number. The value that is the newest already makes none.

        Raises:
            Invalid: the name or the value cannot be one.
        """
        ring = self._ring()
        if not is_name(name):
            rule = "has letters, digits and . _ - /, and no part is empty or begins with a point"
            raise Invalid("this cannot be a name of a secret", details=(("/name", "invalid", rule),))
        if not VALUE_MIN <= len(value) <= VALUE_MAX:
            rule = f"has {VALUE_MIN} to {VALUE_MAX} characters: redaction by a shorter value would hide ordinary words"
            raise Invalid("this cannot be a secret", details=(("/value", "size", rule),))
        if not self._rules.may(by, "secret.manage"):
            await self._do(RetireSecret(by=by, name=name, trace=trace))  # refuses it, before anything is compared
        for left in reversed(range(PUT_TRIES)):
            rows = await fetch(self._store, reads.SECRET_VERSIONS, tenant=by.tenant, name=name)
            if rows and self.opened(rows[0]) == value:
                return int(rows[0].version)
            number = int(rows[0].version) + 1 if rows else 1
            sealed = ring.seal(value, "secret", by.tenant, name, str(number))
            try:
                made: int = await self._do(PutSecret(by=by, name=name, version=number, sealed=sealed, trace=trace))
                return made
            except Overloaded:
                if not left:
                    raise
        raise AssertionError("the last try has returned or raised")

    async def retire(self, by: Principal, name: str, trace: str = "") -> int:
        """Remove the versions before the newest; return its number."""
        self._ring()
        newest: int = await self._do(RetireSecret(by=by, name=name, trace=trace))
        return newest

    async def delete(self, by: Principal, name: str, trace: str = "") -> None:
        """Remove a secret. Its released values stay known to redaction."""
        self._ring()
        await self._do(DeleteSecret(by=by, name=name, trace=trace))

    async def page(self, tenant: str, after: tuple[str, str], limit: int) -> Sequence[KnownSecretRow]:
        """Return secrets of a tenant after a name and version: those kept here, and those released from elsewhere."""
        name, version = after
        return await fetch(self._store, reads.SECRETS_PAGE, tenant=tenant, name=name, version=version, limit=limit)

    def _config(self) -> SecretsConfig:
        if self.config is None:
            raise NotSupported("this server has no secrets broker: see the setting `secrets`")
        return self.config

    def _ring(self) -> KeyRing:
        self._config()
        assert self.ring is not None, "a broker that is configured has a master key"
        return self.ring

    async def close(self) -> None:
        for source in self.sources.values():
            await source.close()


def bound_of(row: SealedRow) -> tuple[str, ...]:
    """Return what the value of a row is bound to."""
    if row.tag:
        return "secret_released", row.tenant, row.name, row.tag
    return "secret", row.tenant, row.name, row.version


def _refuse(places: Sequence[int]) -> None:
    """Raises SecretNotFound if there are any."""
    if places:
        details = tuple((f"/names/{place}", "not_found", "no such secret for this work") for place in places)
        raise SecretNotFound("no such secret for this work", details=details)
