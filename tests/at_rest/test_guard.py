"""Nobody without the key writes into a store in which encryption has begun, also no server that was started before."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from swarmkeeper.storage.at_rest import guard
from swarmkeeper.storage.opening import store_at
from swarmkeeper.storage.refusals import WrongMasterKey
from tests.at_rest.conftest import TITLE, ask, encrypted, looked, play, refused, serving
from tests.secrets.conftest import Swarm
from tests.support.at_rest import bodies
from tests.support.postgres import server


@pytest.fixture
def shared() -> str:
    return server().new_store()


TASK = {
    "title": TITLE,
    "evaluation": "none",
    "subtasks": [{"key": "a", "description": "d", "required_skills": ["work"]}],
}


async def begun_beside(store: str) -> None:
    """Open the store with a key beside a server that has none, and let the first row be encrypted."""
    other = store_at(store, bodies=bodies())
    if store.startswith("postgres"):
        await other.open()
    else:  # a tool, such as `key create`: a second server is refused
        await other.open(exclusive=False)
        made = other.bodies.first_key()  # type: ignore[attr-defined]  # both stores have it
        await ask(store, "INSERT INTO data_key (id, tenant, key_id, nonce, wrapped) VALUES (?, ?, ?, ?, ?)", *made[0])
    await other.close()


async def plain_rows(store: str) -> int:
    ((number,),) = await ask(store, "SELECT count(*) FROM payload WHERE sealed = 0")
    return int(number)


async def status_of_submit(swarm: Swarm) -> int:
    return (await swarm.admin.post("/tasks", TASK)).status


async def test_a_server_that_was_started_before_without_the_key_writes_nothing_more(store: str) -> None:
    async with serving(store) as swarm:
        assert await status_of_submit(swarm) == 201
        before = await plain_rows(store)
        await begun_beside(store)

        answer = await swarm.admin.post("/tasks", TASK)
        assert answer.status == 503
        assert await status_of_submit(swarm) == 503, "it does not come to itself"
        assert await plain_rows(store) == before > 0
    with refused(WrongMasterKey, "set `encryption_key`"):
        async with serving(store):
            pass


async def test_a_server_with_the_key_goes_on_beside_one_that_is_refused(shared: str, key: str) -> None:
    async with serving(shared) as without, serving(shared, key) as with_key:
        assert await status_of_submit(without) == 503
        await play(with_key)
    found = await looked(shared, key)

    assert found.wrong == []
    assert found.tables["payload"].plain == 0


async def test_the_guard_waits_for_a_transaction_that_is_writing(shared: str, key: str) -> None:
    writing = await asyncpg.connect(shared)
    begun = writing.transaction()
    await begun.start()
    await writing.execute("INSERT INTO payload (id, task, body) VALUES ('p', 't', '1')")
    opened = store_at(shared, bodies=bodies())
    opening = asyncio.create_task(opened.open())
    done, _ = await asyncio.wait([opening], timeout=0.5)
    assert not done, "whoever goes over the rows after this would miss one"

    await begun.commit()
    await opening
    await opened.close()

    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="set `encryption_key`"):
        await writing.execute("INSERT INTO payload (id, task, body) VALUES ('q', 't', '1')")
    await writing.close()


async def test_a_store_says_that_it_is_encrypted_even_if_nothing_was_in_it(store: str, key: str) -> None:
    made = store_at(store)
    await made.open()
    await made.close()

    await encrypted(store, key)

    with refused(WrongMasterKey, "set `encryption_key`"):
        async with serving(store):
            pass


async def test_before_encryption_begins_the_triggers_cost_nothing(shared: str) -> None:
    async with serving(shared):
        pass
    states = await ask(shared, "SELECT tgenabled FROM pg_trigger WHERE tgname = 'refuse_plain'")

    assert [bytes(state[0]) if isinstance(state[0], bytes) else state[0] for state in states] == [b"D"] * len(
        guard.TABLES
    )
