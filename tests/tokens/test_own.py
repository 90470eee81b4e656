"""Short-lived tokens that the server gives for an API key: worth as much as the key or less, and no longer."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.access.identity import OWN_ISSUER, WantedToken
from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.errors import AuthenticationFailed
from swarmkeeper.govern import keys
from swarmkeeper.sdk.client import Client
from swarmkeeper.settings import Settings
from swarmkeeper.tokens.own import SignedTokens
from tests.http.conftest import Answered, Caller, Fleet, key_of
from tests.support.postgres import server as postgres

SECOND = 1_000_000
PEPPER = "a pepper that is not in the store"
MEMORY = Settings(store="sqlite://:memory:", pepper=PEPPER)


class Forward(SystemClock):
    """A clock that can be moved forward."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


async def made(caller: Caller, **body: Any) -> Answered:
    return await caller.post("/token", body)


def bearer(swarm: Orchestrator, token: str) -> Caller:
    return Caller(swarm.app, headers={"authorization": f"Bearer {token}"})


async def token_of(caller: Caller, **body: Any) -> str:
    answer = await made(caller, **body)
    assert answer.status == 201, answer.json
    return str(answer.json["token"])


async def test_a_token_does_what_its_key_does_until_it_expires() -> None:
    clock = Forward()
    async with Orchestrator(MEMORY, clock=clock) as swarm:
        client = Caller(swarm.app, await swarm.make_key("client"))
        answer = await made(client, expires_seconds=60)
        by_token = bearer(swarm, answer.json["token"])

        task = (await by_token.post("/tasks", {"title": "t"})).json["id"]
        seen = await client.get(f"/tasks/{task}")
        clock.ahead = 61 * SECOND
        late = await by_token.get(f"/tasks/{task}")

        assert (answer.json["role"], answer.json["expires_seconds"]) == ("client", 60)
        assert seen.status == 200
        assert (late.status, late.json["detail"]) == (401, "the token is not accepted: it has expired")
        assert (await client.get(f"/tasks/{task}")).status == 200


async def test_with_its_key_a_token_ends_at_once_and_what_waits_for_it_too() -> None:
    async with Orchestrator(MEMORY) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        record = (await admin.post("/keys", {"role": "client"})).json
        by_token = bearer(swarm, await token_of(Caller(swarm.app, record["key"])))
        task = (await by_token.post("/tasks", {"title": "t"})).json["id"]
        etag = (await by_token.get(f"/tasks/{task}")).headers["etag"]
        waiting = asyncio.create_task(by_token.get(f"/tasks/{task}?wait_seconds=20", **{"if-none-match": etag}))
        await asyncio.sleep(0.2)

        await admin.post(f"/keys/{record['id']}:revoke")

        assert (await by_token.get("/tasks")).status == 401
        async with asyncio.timeout(5):
            assert (await waiting).status == 401


async def test_what_waits_for_a_token_ends_when_it_expires() -> None:
    clock = Forward()
    async with Orchestrator(MEMORY, clock=clock) as swarm:
        by_token = bearer(swarm, await token_of(Caller(swarm.app, await swarm.make_key("client"))))
        task = (await by_token.post("/tasks", {"title": "t"})).json["id"]
        etag = (await by_token.get(f"/tasks/{task}")).headers["etag"]
        waiting = asyncio.create_task(by_token.get(f"/tasks/{task}?wait_seconds=20", **{"if-none-match": etag}))
        await asyncio.sleep(0.2)

        clock.ahead = 3600 * SECOND

        async with asyncio.timeout(5):
            assert (await waiting).status == 401


async def test_a_bots_token_leases_as_its_bot() -> None:
    async with Orchestrator(MEMORY) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        await admin.post("/tasks", {"title": "t", "subtasks": [{"key": "a", "description": "d"}], "evaluation": "none"})
        bot.call = bearer(swarm, await token_of(bot.call))

        lease = await bot.one()

        assert (await bot.report(lease, output=1)).status == 200


@pytest.mark.parametrize(
    ("role", "asked", "status"),
    [
        ("operator", "client", 201),
        ("admin", "viewer", 201),
        ("auditor", "auditor", 201),
        ("client", "operator", 403),
        ("operator", "admin", 403),
        ("viewer", "client", 403),
        ("admin", "bot:executor", 403),
        ("bot:executor", "bot:planner", 403),
    ],
)
async def test_a_token_has_the_role_of_its_key_or_one_that_may_do_less(role: str, asked: str, status: int) -> None:
    async with Orchestrator(MEMORY) as swarm:
        caller = Caller(swarm.app, await swarm.make_key(role, bot="b" if role.startswith("bot:") else None))

        assert (await made(caller, role=asked)).status == status


async def test_a_narrower_token_may_do_no_more_than_its_role() -> None:
    async with Orchestrator(MEMORY) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        viewer = bearer(swarm, await token_of(admin, role="viewer"))

        assert (await viewer.get("/tasks")).status == 200
        assert (await viewer.post("/tasks", {"title": "t"})).status == 403


async def test_a_token_makes_nothing_that_outlives_it() -> None:
    async with Orchestrator(MEMORY) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        key = (await admin.post("/keys", {"role": "client"})).json["id"]
        by_token = bearer(swarm, await token_of(admin))

        for path, body in (("/keys", {"role": "client"}), (f"/keys/{key}:rotate", {})):
            answer = await by_token.post(path, body)
            assert (answer.status, answer.json["code"]) == (403, "forbidden"), path
        assert (await by_token.post(f"/keys/{key}:revoke")).status == 200, "this ends something"


@pytest.mark.parametrize(
    ("pepper", "why"),
    [(PEPPER, "its API key is revoked, expired or elsewhere"), (PEPPER[::-1], "its signature is wrong")],
)
async def test_a_token_of_another_store_is_none_here(pepper: str, why: str) -> None:
    other = Settings(store="sqlite://:memory:", pepper=pepper)
    async with Orchestrator(MEMORY) as here, Orchestrator(other) as there:
        token = await token_of(Caller(there.app, await there.make_key("admin")))

        answer = await bearer(here, token).get("/tasks")

        assert (answer.status, answer.json["detail"]) == (401, f"the token is not accepted: {why}")


async def test_with_a_pepper_in_the_store_there_are_none_and_whoever_reads_the_store_can_sign_none() -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:")) as swarm:
        record = await key_of(swarm, "default", "admin")
        admin = Caller(swarm.app, record)
        stored = (await swarm.store.start()).pepper
        (row,) = (await admin.get("/keys")).json["items"]
        secret = keys.version(keys.digest(stored, record.split("_")[2]))
        forged = SignedTokens(stored, SystemClock().now).made(
            record.split("_")[1], row["id"], secret, WantedToken("admin", 600)
        )[0]

        answer = await made(admin)

        assert (answer.status, answer.json["code"]) == (422, "not_supported")
        assert (await bearer(swarm, forged).get("/tasks")).status == 401


@pytest.fixture
def database() -> str:
    return postgres().new_store()


async def test_every_server_of_a_store_takes_it(database: str) -> None:
    settings = Settings(store=database, pepper=PEPPER)
    async with Orchestrator(settings) as one, Orchestrator(settings) as other:
        token = await token_of(Caller(one.app, await one.make_key("admin")))

        assert (await bearer(other, token).get("/tasks")).status == 200


async def test_it_counts_only_as_bearer_and_beside_no_key(tmp_path: Path) -> None:
    async with Orchestrator(MEMORY) as swarm:
        key = await swarm.make_key("admin")
        token = await token_of(Caller(swarm.app, key))

        assert (await Caller(swarm.app, token).get("/tasks")).status == 401
        both = Caller(swarm.app, key, headers={"authorization": f"Bearer {token}"})
        assert (await both.get("/tasks")).status == 401


async def test_the_client_makes_and_uses_one() -> None:
    async with Orchestrator(MEMORY) as swarm, swarm.client(await swarm.make_key("client")) as client:
        given_token = await client.make_token(expires_seconds=60)
        assert isinstance(client, Client)

        assert (await bearer(swarm, given_token.token).get("/tasks")).status == 200


async def test_that_tokens_were_made_is_in_the_audit_log_without_them() -> None:
    async with Orchestrator(MEMORY) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        token = await token_of(admin)
        await swarm._identity.accesses.write(swarm.engine.do_all, at_once=True)

        records = (await admin.get("/audit?page_size=200")).json["items"]

        assert any(record["event"] == "token.make" for record in records), [each["event"] for each in records]
        assert token[-20:] not in json.dumps(records)


# ---- forgeries -------------------------------------------------------------------------------------------------------


def own(pepper: bytes = b"p" * 32) -> SignedTokens:
    return SignedTokens(pepper, lambda: 1_000 * SECOND)


def test_what_is_signed_is_what_is_read() -> None:
    found = own().verified(own().made("pub", "key_1", "first", WantedToken("client", 60))[0])

    assert found is not None
    assert (found.public_id, found.secret, found.role, found.login.subject) == ("pub", "first", "client", "key_1")
    assert (found.login.issuer, found.login.expires_at) == (OWN_ISSUER, 1_060 * SECOND)


@given(st.data())
def test_a_token_with_any_character_changed_is_none(data: st.DataObject) -> None:
    token = own().made("pub", "key_1", "first", WantedToken("client", 60))[0]
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCXYZabcxyz0189-_.=").filter(lambda letter: letter != token[place]))

    try:
        found = own().verified(token[:place] + other + token[place + 1 :])
    except AuthenticationFailed:
        return
    assert found is None, "it names another issuer"


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "EdDSA", "typ": "JWT"}])
def test_a_token_with_another_header_is_refused(header: dict[str, str]) -> None:
    head, rest = own().made("pub", "key_1", "first", WantedToken("admin", 60))[0].split(".", 1)
    forged = base64.urlsafe_b64encode(json.dumps({"typ": "swarmkeeper+jwt", **header}).encode()).rstrip(b"=").decode()
    assert head != forged

    with pytest.raises(AuthenticationFailed):
        own().verified(f"{forged}.{rest}")
