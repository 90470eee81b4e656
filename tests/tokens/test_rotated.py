"""Tokens of this server end with the secret that they were made by: at a rotation, on every server, within a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmkeeper.access.identity import WantedToken
from swarmkeeper.app import Orchestrator
from swarmkeeper.govern import keys
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller
from tests.http.test_rotated_keys import rotated, within_a_second
from tests.http.test_stream import stream
from tests.support.postgres import server as postgres
from tests.tokens.test_own import PEPPER, SECOND, Forward, bearer, token_of

Servers = tuple[Orchestrator, Orchestrator]


@pytest.fixture
def clock() -> Forward:
    return Forward()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else postgres().new_store()


@pytest.fixture
async def swarm(store: str, clock: Forward) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store=store, pepper=PEPPER), clock=clock) as swarm:
        yield swarm


async def a_key(swarm: Orchestrator, role: str = "operator") -> tuple[Caller, str, Caller]:
    """Return an administrator, and the id and a caller of a new key."""
    admin = Caller(swarm.app, await swarm.make_key("admin"))
    made = (await admin.post("/keys", {"role": role})).json
    return admin, made["id"], admin.with_key(made["key"])


async def test_a_rotation_ends_the_tokens_of_the_old_secret_and_what_was_exchanged_for_them(
    swarm: Orchestrator,
) -> None:
    admin, key_id, old = await a_key(swarm)
    token = bearer(swarm, await token_of(old))
    narrower = bearer(swarm, await token_of(token, role="viewer"))
    assert [(await each.get("/tasks")).status for each in (token, narrower)] == [200, 200]

    new = await rotated(admin, key_id)

    answers = [await each.get("/tasks") for each in (token, narrower)]
    why = "the token is not accepted: its API key has another secret since"
    assert [(answer.status, answer.json["detail"]) for answer in answers] == [(401, why)] * 2
    assert (await token.post("/token", {})).status == 401
    assert (await bearer(swarm, await token_of(new)).get("/tasks")).status == 200


async def test_a_rotation_ends_a_stream_and_a_wait_of_a_token_and_leaves_those_of_the_new_secret(
    swarm: Orchestrator,
) -> None:
    admin, key_id, old = await a_key(swarm)
    token = bearer(swarm, await token_of(old))
    task = (await admin.post("/tasks", {"title": "t"})).json["id"]
    async with stream(token, "/events") as before:
        waiting = asyncio.create_task(token.get(f"/tasks/{task}?wait_seconds=30&until=final"))
        await asyncio.sleep(0.1)
        new = await rotated(admin, key_id)
        async with stream(bearer(swarm, await token_of(new)), "/events") as after:
            assert (await within_a_second(waiting)).status == 401
            async with asyncio.timeout(1.5):
                await before.rest()
            await asyncio.sleep(1.2)
            assert (before.ended, after.ended) == (True, False)


async def test_with_an_overlap_the_tokens_of_the_old_secret_end_when_it_does(
    swarm: Orchestrator, clock: Forward
) -> None:
    admin, key_id, old = await a_key(swarm)
    token = bearer(swarm, await token_of(old))
    await rotated(admin, key_id, overlap_seconds=60)
    later = bearer(swarm, await token_of(old))
    assert [(await each.get("/tasks")).status for each in (token, later)] == [200, 200]

    clock.ahead = 61 * SECOND

    assert [(await each.get("/tasks")).status for each in (token, later)] == [401, 401]


async def test_every_server_of_a_store_refuses_them_within_a_second() -> None:
    settings = Settings(store=await asyncio.to_thread(postgres().new_store), pepper=PEPPER)
    async with Orchestrator(settings) as one, Orchestrator(settings) as other:
        admin, key_id, old = await a_key(one)
        token = await token_of(old)
        assert (await bearer(other, token).get("/tasks")).status == 200
        async with stream(bearer(other, token), "/events") as before:
            await rotated(admin, key_id)

            async with asyncio.timeout(1.5):
                await before.rest()
            assert before.ended
            assert (await bearer(other, token).get("/tasks")).status == 401


async def test_a_token_that_names_no_secret_is_none(swarm: Orchestrator) -> None:
    admin = Caller(swarm.app, await swarm.make_key("admin"))
    record = (await admin.post("/keys", {"role": "client"})).json
    tokens = swarm._identity._own_tokens
    assert tokens is not None

    forged = tokens.made(record["key"].split("_")[1], record["id"], "", WantedToken("client", 60))[0]

    assert (await bearer(swarm, forged).get("/tasks")).status == 401


def test_the_version_of_a_secret_tells_nothing_of_its_digest() -> None:
    digest = keys.digest(b"pepper", "secret")

    assert digest.hex()[:16] not in keys.version(digest)
    assert keys.version(digest) != keys.version(keys.digest(b"pepper", "another"))
