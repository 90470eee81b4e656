"""Keys on the real store: cached, looked up, rotated, revoked, guessed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swarmkeeper.access.identity import FAILURES_A_SECOND, LOOKUPS_A_SECOND, SECOND, Identity
from swarmkeeper.broker.local import LocalBroker
from swarmkeeper.clock import SystemClock, SystemEntropy
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import CreateKey, RevokeKey, RotateKey
from swarmkeeper.core.errors import AuthenticationFailed, RateLimited
from swarmkeeper.core.model import Limits, Principal
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.engine.loop import Engine
from swarmkeeper.govern import keys
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.storage.sqlite.store import SqliteStore

ADMIN = Principal("acme", "tests", "admin")


class Desk:
    """An Identity with a clock that the test moves, and a count of reads."""

    def __init__(self, store: SqliteStore, engine: Engine, pepper: bytes) -> None:
        self.store, self.engine = store, engine
        self.at = engine.now()
        self.identity = Identity(store, pepper, now=lambda: self.at, wall=lambda: self.at, monotonic=lambda: self.at)
        self.reads = 0
        self._read = store.read
        store.read = self._counted  # type: ignore[method-assign]  # counts on its way

    async def _counted(self, name: str, parameters: Any) -> Any:
        self.reads += 1
        return await self._read(name, parameters)

    async def key(self, **more: Any) -> tuple[str, str]:
        """Create a key; return its id and text."""
        made = keys.new_key(SystemEntropy().secret(keys.ENTROPY_BYTES))
        command = CreateKey(
            by=ADMIN, role="client", public_id=made.public_id, digest=self.identity.digest(made.secret), **more
        )
        return not_replayed(await self.engine.once(command)), made.text

    async def fails(self, text: str | None, source: str = "here") -> bool:
        try:
            await self.identity.authenticate(text, source)
        except AuthenticationFailed:
            return True
        return False


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    store = SqliteStore("sqlite://:memory:")
    await store.open()
    engine = Engine(
        store,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        rules=Rulebook(Redactor.default()),
        limits=Limits(),
        broker=LocalBroker(),
        log=lambda event, **fields: None,
    )
    await engine.start()
    yield Desk(store, engine, (await store.start()).pepper)
    await store.close()


async def test_a_key_says_who_calls_and_is_read_once(desk: Desk) -> None:
    key_id, text = await desk.key(owner="ann", skills=("b", "a"))

    whos = [await desk.identity.authenticate(text) for _ in range(5)]

    assert set(whos) == {Principal("acme", key_id, "client", None, "ann", frozenset({"a", "b"}), sees_own=True)}
    assert desk.reads == 1


async def test_a_key_made_after_the_start_is_good_at_once(desk: Desk) -> None:
    await desk.key()
    _, text = await desk.key()

    assert not await desk.fails(text)


async def test_what_is_no_key_or_nobodys_or_has_another_secret_is_refused(desk: Desk) -> None:
    _, text = await desk.key()
    public_id, _ = keys.parse(text) or ("", "")
    other = keys.new_key(b"7" * 32)

    for wrong in (None, "", "swk_x", text[:-1], text + "x", other.text, keys.written(public_id, other.secret)):
        assert await desk.fails(wrong)
    assert desk.identity.failures == 7


async def test_a_key_is_good_until_the_very_moment_it_expires(desk: Desk) -> None:
    _, text = await desk.key(expires=60 * SECOND)
    who = await desk.identity.authenticate(text)
    (row,) = await desk.store.read("key_by_public_id", {"public_id": (keys.parse(text) or ("", ""))[0]})

    desk.at = row["expires_at"] - 1
    assert (await desk.identity.still_good(who), await desk.fails(text)) == (True, False)
    desk.at = row["expires_at"]
    assert (await desk.identity.still_good(who), await desk.fails(text)) == (False, True)


async def test_a_revoked_key_ends_with_its_commit(desk: Desk) -> None:
    key_id, text = await desk.key()
    who = await desk.identity.authenticate(text)
    before = desk.reads
    assert [await desk.identity.still_good(who) for _ in range(9)] == [True] * 9
    assert desk.reads == before

    await desk.engine.once(RevokeKey(by=ADMIN, key=key_id))
    desk.identity.forget([key_id])

    assert not await desk.identity.still_good(who)
    assert await desk.fails(text)


async def test_what_another_process_did_is_seen_once_everything_was_forgotten(desk: Desk) -> None:
    key_id, text = await desk.key()
    who = await desk.identity.authenticate(text)

    await desk.engine.once(RevokeKey(by=ADMIN, key=key_id))
    assert not await desk.fails(text)
    desk.identity.forget_all()

    assert await desk.fails(text)
    assert not await desk.identity.still_good(who)


async def test_after_a_rotation_the_old_secret_is_good_until_the_overlap_ends(desk: Desk) -> None:
    key_id, old = await desk.key()
    await desk.identity.authenticate(old)
    new = keys.new_key(SystemEntropy().secret(32)).secret
    rotate = RotateKey(by=ADMIN, key=key_id, digest=desk.identity.digest(new), overlap=60 * SECOND)
    _, public_id = not_replayed(await desk.engine.once(rotate))
    desk.identity.forget([key_id])
    text = keys.written(public_id, new)
    (row,) = await desk.store.read("key_by_public_id", {"public_id": public_id})

    desk.at = row["previous_until"] - 1
    assert [await desk.fails(each) for each in (old, text)] == [False, False]
    desk.at = row["previous_until"]
    assert [await desk.fails(each) for each in (old, text)] == [True, False]


async def test_wrong_keys_are_slowed_down_by_source_and_good_ones_never(desk: Desk) -> None:
    _, text = await desk.key()
    await desk.identity.authenticate(text, "here")
    for _ in range(FAILURES_A_SECOND):
        assert await desk.fails("wrong")

    with pytest.raises(RateLimited) as refused:
        await desk.identity.authenticate("wrong", "here")
    assert refused.value.retry_after == 1
    assert not await desk.fails(text)
    assert await desk.fails("wrong", "elsewhere")
    desk.at += SECOND // FAILURES_A_SECOND
    assert await desk.fails("wrong")


async def test_unknown_keys_are_looked_up_only_so_often_and_good_ones_do_not_count(desk: Desk) -> None:
    for _ in range(LOOKUPS_A_SECOND + 20):
        await desk.identity.authenticate((await desk.key())[1], "here")
    desk.reads = 0

    for n in range(LOOKUPS_A_SECOND * 2):
        with pytest.raises((AuthenticationFailed, RateLimited)):
            await desk.identity.authenticate(keys.new_key(n.to_bytes(32)).text, "here")

    assert desk.reads == LOOKUPS_A_SECOND


async def test_keys_that_are_looked_up_at_once_count_only_if_nobody_knows_them(desk: Desk) -> None:
    good = [(await desk.key())[1] for _ in range(2 * LOOKUPS_A_SECOND)]
    read = desk.store.read

    async def slowly(name: str, parameters: Any) -> Any:
        await asyncio.sleep(0)
        return await read(name, parameters)

    desk.store.read = slowly  # type: ignore[method-assign]  # as over a network

    await asyncio.gather(*(desk.identity.authenticate(text, "here") for text in good))
    strange = [keys.new_key(n.to_bytes(32)).text for n in range(2 * LOOKUPS_A_SECOND)]
    refused = await asyncio.gather(
        *(desk.identity.authenticate(text, "here") for text in strange), return_exceptions=True
    )
    desk.at += SECOND

    assert {type(error) for error in refused} <= {AuthenticationFailed, RateLimited}
    with pytest.raises(RateLimited, match="unknown API keys"):  # the debt of those that were under way
        await desk.identity.authenticate(keys.new_key(bytes(32)).text, "here")


async def test_a_key_that_could_not_be_looked_up_does_not_count_as_unknown(desk: Desk) -> None:
    _, text = await desk.key()
    read = desk.store.read

    async def away(name: str, parameters: Any) -> Any:
        raise StoreUnavailable("the database restarts")

    desk.store.read = away  # type: ignore[method-assign]  # it cannot be reached
    for _ in range(LOOKUPS_A_SECOND + 1):
        with pytest.raises(StoreUnavailable):
            await desk.identity.authenticate(text, "here")
    desk.store.read = read  # type: ignore[method-assign]  # it is back

    assert (await desk.identity.authenticate(text, "here")).role == "client"


async def test_the_use_of_a_key_that_is_revoked_expired_or_guessed_is_counted_for_its_tenant(desk: Desk) -> None:
    revoked_id, revoked = await desk.key()
    await desk.engine.once(RevokeKey(by=ADMIN, key=revoked_id))
    _, good = await desk.key()
    expired_id, expired = await desk.key(expires=SECOND)
    desk.at += 2 * SECOND
    known = keys.parse(good)
    assert known is not None

    for text in (revoked, expired, expired, keys.written(known[0], "A" * 43), "swk_nonsense", None):
        assert await desk.fails(text)

    counts = {key_and_code: noted.count for key_and_code, noted in desk.identity.accesses._refusals.items()}
    assert counts[revoked_id, "key_revoked"] == 1
    assert counts[expired_id, "key_expired"] == 2
    assert sum(count for (_, code), count in counts.items() if code == "key_wrong") == 1
    assert {noted.by.tenant for noted in desk.identity.accesses._refusals.values()} == {"acme"}
    assert desk.identity.accesses._strangers["here"].count == 2


async def test_it_is_known_when_a_bot_was_heard_of_last(desk: Desk) -> None:
    presence = desk.identity.presence
    presence.seen("bot_1")
    heard = desk.at

    desk.at += 5
    assert (presence.last_seen("bot_1"), presence.last_seen("bot_2")) == (heard, None)
    presence.forget("bot_1")
    assert presence.last_seen("bot_1") is None
