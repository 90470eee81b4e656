"""Bodies under keys that are not in the store: none on the disk, the right key is needed, every change is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.core.named_reads import RESULTS_OF_TASK, fetch
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.core.states import Kind, Status
from swarmkeeper.offline import doctor
from swarmkeeper.settings import BadSetting
from swarmkeeper.storage.at_rest.bodies import MAGIC
from swarmkeeper.storage.opening import store_at
from swarmkeeper.storage.refusals import WrongMasterKey
from tests.at_rest.conftest import (
    PLANTED,
    TITLE,
    ask,
    encrypted,
    looked,
    output_of,
    places_of,
    play,
    refused,
    serving,
    times_in_files,
)
from tests.support.at_rest import MASTER, OTHER, bodies, key_file


async def examined(store: str) -> tuple[list[str], set[str]]:
    """Return what `doctor --deep` finds, and what the verification of the audit logs says."""
    from swarmkeeper.cli.framework import running
    from swarmkeeper.clock import SystemClock

    opened = store_at(store, bodies=bodies())
    await opened.open_to_read()
    try:
        found = await doctor.examine(opened, running.shipped_rules(), deep=True, wall=SystemClock().now())
        verdicts = await doctor.verify_audit(opened)
    finally:
        await opened.close()
    return [f"{it.check.says}: {it.subject}" for it in found], {verdict.status for verdict in verdicts.values()}


# ---- what is on the disk ---------------------------------------------------------------------------------------------


async def test_with_a_key_nothing_that_is_written_has_a_readable_body(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        task = await play(swarm)
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3

    assert await places_of(store, PLANTED) == set()
    assert await places_of(store, TITLE) == {"task.title"}
    assert await times_in_files(store, PLANTED) == 0
    assert await examined(store) == ([], {"whole"})


async def test_after_the_pass_nothing_of_what_was_plain_is_left_in_the_files(store: str, key: str) -> None:
    async with serving(store) as swarm:
        task = await play(swarm, 3)
    assert await places_of(store, PLANTED) == {"payload.body"}, "the search finds what is there"
    assert await places_of(store, TITLE) == {"task.title", "event.body", "audit_leaf.body"}
    assert await times_in_files(store, PLANTED) > 0

    done = await encrypted(store, key)

    assert done["cleaned"]
    assert (await ask(store, "SELECT count(*) FROM data_key WHERE tenant = 'default'")) == [(1,)]
    assert all(done["encrypted"].values())
    assert await places_of(store, PLANTED) == set()
    assert await places_of(store, TITLE) == {"task.title"}
    assert await times_in_files(store, PLANTED) == 0
    found = await looked(store, key)
    assert found.wrong == []
    assert sum(counted.plain for counted in found.tables.values()) == 0
    assert await examined(store) == ([], {"whole"})
    async with serving(store, key) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
        assert (await swarm.admin.get(f"/tasks/{task}/events")).status == 200


async def test_plain_and_encrypted_bodies_are_read_together_until_the_pass(store: str, key: str) -> None:
    async with serving(store) as swarm:
        before = await play(swarm)
    async with serving(store, key) as swarm:
        after = await play(swarm, name="other")
        for task in (before, after):
            assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
    found = await looked(store, key)

    assert all(counted.plain and counted.encrypted for counted in found.tables.values())
    assert await examined(store) == ([], {"whole"})


async def test_a_pass_again_changes_nothing(store: str, key: str) -> None:
    async with serving(store) as swarm:
        await play(swarm)
    await encrypted(store, key)
    before = await ask(store, "SELECT id, body FROM payload ORDER BY id")

    assert set((await encrypted(store, key))["encrypted"].values()) == {0}
    assert await ask(store, "SELECT id, body FROM payload ORDER BY id") == before


async def test_lengths_and_counts_of_bytes_are_those_of_the_bodies(store: str, key: str) -> None:
    async with serving(store) as swarm:
        await play(swarm)
    ((of_one,),) = await ask(store, "SELECT stored_bytes FROM tenant")
    async with serving(store, key) as swarm:
        task = await play(swarm, name="other")
        assert await becomes(store, [(2 * of_one,)])
        asked = {"task": task, "kind": str(Kind.EXECUTE), "status": str(Status.SUCCEEDED)}
        outputs = await fetch(swarm.orchestrator.store, RESULTS_OF_TASK, **asked)
        assert [output.bytes for output in outputs] == [len(f'{{"text":"{PLANTED * 3}"}}')]

        for _ in range(100):
            if (await swarm.admin.post(f"/tasks/{task}:erase", {"reason": "asked"})).status != 409:
                break
            await asyncio.sleep(0.1)  # the feed lacks events of the task
        assert await becomes(store, [(of_one,)]), "erasing counts as writing did"


async def becomes(store: str, expected: list[tuple[int]]) -> bool:
    """Whether the counted bytes become these soon. PostgreSQL counts after the commit."""
    for _ in range(100):
        if await ask(store, "SELECT stored_bytes FROM tenant") == expected:
            return True
        await asyncio.sleep(0.05)
    return False


# ---- keys ------------------------------------------------------------------------------------------------------------


async def test_a_store_with_encrypted_bodies_is_refused_without_a_key_and_with_a_wrong_one(
    store: str, key: str, tmp_path: Path
) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)

    with refused(WrongMasterKey, "set `encryption_key`"):
        async with serving(store):
            pass
    with refused(WrongMasterKey, "which is none of the given ones"):
        async with serving(store, key_file(tmp_path / "wrong", OTHER)):
            pass
    async with serving(store, key_file(tmp_path / "both", OTHER, MASTER)):
        pass


async def test_each_tenant_has_a_key_of_its_own_wrapped_in_the_store(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        await swarm.orchestrator.make_key("admin", tenant="umbrella")
    kept = await ask(store, "SELECT tenant, key_id, wrapped FROM data_key")

    assert {tenant for tenant, _, _ in kept} == {"", "default", "umbrella"}
    known = bodies()
    opened = store_at(store, bodies=known)
    await opened.open_to_read()
    await opened.close()
    assert known.keys is not None
    secrets = [known.keys.for_tenant(tenant).secret for tenant, _, _ in kept]
    assert len(set(secrets)) == len(kept)
    for secret in (*secrets, MASTER):
        for _, _, wrapped in kept:
            assert secret not in wrapped


async def test_a_key_of_a_transaction_that_did_not_commit_is_forgotten(store: str) -> None:
    from swarmkeeper.core.model import TaskRecord
    from swarmkeeper.testing import records
    from swarmkeeper.testing.saving import load, save, save_and_raise

    opened = store_at(store, bodies=bodies())
    await opened.open()
    try:
        task = records.bare(TaskRecord, id="tsk_1")
        changes = records.changes_of(task)
        changes.payloads["tsk_1/spec"] = ("tsk_1", b'"body"')
        with pytest.raises(ZeroDivisionError):
            await save_and_raise(opened, changes)
        await save(opened, changes)
    finally:
        await opened.close()

    again = store_at(store, bodies=bodies())
    await again.open()
    try:
        assert await load(again, ("payload", "tsk_1/spec")) == [b'"body"'], "its key was stored with the second try"
    finally:
        await again.close()


async def test_the_master_key_is_replaced_without_touching_a_body(store: str, key: str, tmp_path: Path) -> None:
    from swarmkeeper.cli.at_rest import encryption
    from tests.at_rest.conftest import settings

    async with serving(store, key) as swarm:
        task = await play(swarm)
    before = await ask(store, "SELECT id, body FROM payload ORDER BY id")
    both, new = key_file(tmp_path / "both", OTHER, MASTER), key_file(tmp_path / "new", OTHER)
    number, _ = await encryption._rotate(settings(store, both))

    assert number == 2
    assert (await encryption._rotate(settings(store, both)))[0] == 0, "again, there is nothing to do"
    assert await ask(store, "SELECT id, body FROM payload ORDER BY id") == before
    async with serving(store, new) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
    with refused(WrongMasterKey, "which is none of the given ones"):
        async with serving(store, key):
            pass


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("file:/nowhere", "cannot be read"),
        ("command:false", "ends with 1"),
        ("command:echo short", "is no master key"),
        ("vault:/nowhere", "cannot be read"),
        ("/a/path", "expected file:"),
        ("file:", "expected file:"),
    ],
)
async def test_a_place_without_a_key_is_refused(place: str, why: str, tmp_path: Path) -> None:
    with refused(BadSetting, why):
        async with serving(f"sqlite:///{tmp_path}/s.db", place):
            pass


async def test_the_key_may_come_from_a_command(tmp_path: Path) -> None:
    key_file(tmp_path / "master")
    store = f"sqlite:///{tmp_path}/s.db"
    async with serving(store, f"command:cat {tmp_path}/master") as swarm:
        await play(swarm)

    assert await examined(store) == ([], {"whole"})


async def test_a_server_without_the_key_that_meets_an_encrypted_body_says_so_and_gives_nothing_out(
    store: str, key: str
) -> None:
    async with serving(store) as swarm:
        task = await play(swarm)
        if store.startswith("sqlite"):
            import apsw

            from swarmkeeper.storage.at_rest import passes
            from swarmkeeper.storage.at_rest.raw import SqliteBodies
            from tests.at_rest.conftest import path_of

            beside = apsw.Connection(str(path_of(store)))
            await passes.encrypt(SqliteBodies(beside), bodies())
            beside.close()
        else:
            async with serving(store, key) as other:
                await play(other, name="other")
            await encrypted_beside(store)
        answer = await output_of(swarm, task)

        assert answer.status == 503
        assert PLANTED not in str(answer.json)


async def encrypted_beside(store: str) -> None:
    import asyncpg

    from swarmkeeper.storage.at_rest import passes
    from swarmkeeper.storage.at_rest.raw import PostgresBodies

    connection = await asyncpg.connect(store)
    await passes.encrypt(PostgresBodies(connection), bodies())
    await connection.close()


# ---- changes ---------------------------------------------------------------------------------------------------------

BODY = {"payload": "id", "event": "id", "audit_leaf": "id"}


@asynccontextmanager
async def spoilt(store: str, table: str, how: str) -> AsyncIterator[str]:
    """Change a body of a table as one could who has the disk, until the end; give the id of its row."""
    order = "ORDER BY length(body) DESC, id"
    two = await ask(store, f"SELECT id, body FROM {table} WHERE body IS NOT NULL {order} LIMIT 2")
    (row_id, body), (_, other) = two
    raw = body.encode() if isinstance(body, str) else body
    at = raw.index(b'"', 13) - 8 if table != "payload" else len(raw) - 1
    match how:
        case "flipped":
            changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
            if table != "payload":  # another letter of base64
                changed = raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :]
        case "cut":
            changed = raw[: len(raw) // 2]
        case "moved":
            changed = other.encode() if isinstance(other, str) else other
        case "another key":
            changed = MAGIC + b"k" * 16 + raw[len(MAGIC) + 16 :]
    given: Any = changed.decode() if isinstance(body, str) else changed
    await ask(store, f"UPDATE {table} SET body = ? WHERE id = ?", given, row_id)
    yield str(row_id)
    await ask(store, f"UPDATE {table} SET body = ? WHERE id = ?", body, row_id)


async def test_a_body_that_was_changed_cut_or_moved_is_found(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm, 2)
    for table, how in product(("payload", "event", "audit_leaf"), ("flipped", "cut", "moved")):
        async with spoilt(store, table, how) as row_id:
            found = await looked(store, key)
            findings, verdicts = await examined(store)

        if (table, how) == ("payload", "cut") or how != "cut":
            assert any(row_id in trouble for trouble in found.wrong), (table, how, found.wrong)
        if table != "payload":
            assert "whole" not in verdicts, (table, how)
        assert findings, (table, how)
    assert (await looked(store, key)).wrong == [], "each was put back"
    assert await examined(store) == ([], {"whole"})


async def test_a_body_under_a_key_that_there_is_not_is_found(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
    async with spoilt(store, "payload", "another key") as row_id:
        assert (await looked(store, key)).wrong == [
            f"the body of payload {row_id} is encrypted under a key that the store does not have"
        ]


@pytest.mark.parametrize("table", ["event", "audit_leaf"])
async def test_what_stands_outside_of_the_encrypted_part_cannot_be_changed_alone(
    store: str, key: str, table: str
) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
    name = '"to":"' if table == "event" else '"events":["'
    text = "CAST(body AS TEXT)" if store.startswith("sqlite") or table == "event" else "convert_from(body, 'UTF8')"
    row_id, body = (await ask(store, f"SELECT id, {text} FROM {table} WHERE {text} LIKE '%{name}%' LIMIT 1"))[0]
    changed = body.replace(name, f"{name}x", 1)
    await ask(
        store, f"UPDATE {table} SET body = ? WHERE id = ?", changed if table == "event" else changed.encode(), row_id
    )

    assert any(row_id in trouble for trouble in (await looked(store, key)).wrong)


async def test_a_payload_that_is_marked_wrongly_is_found(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
    (row_id,) = (await ask(store, "SELECT id FROM payload ORDER BY id LIMIT 1"))[0]
    await ask(store, "UPDATE payload SET sealed = 0 WHERE id = ?", row_id)

    assert (await looked(store, key)).wrong == [f"payload {row_id}: whether it is encrypted is marked wrongly"]


async def test_a_body_of_another_tenant_is_found(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        task = await play(swarm)
    await ask(store, "UPDATE task SET tenant = ? WHERE id = ?", "umbrella", task)

    assert any(f"payload {task}" in trouble for trouble in (await looked(store, key)).wrong)


async def test_a_body_that_was_changed_is_not_given_out(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        task = await play(swarm)
    result = (await ask(store, "SELECT result FROM work WHERE task = ?", task))[0][0]
    (body,) = (await ask(store, "SELECT body FROM payload WHERE id = ?", result))[0]
    await ask(store, "UPDATE payload SET body = ? WHERE id = ?", body[:-1] + bytes([body[-1] ^ 1]), result)
    async with serving(store, key) as swarm:
        answer = await output_of(swarm, task)

    assert answer.status >= 500
    assert PLANTED not in str(answer.json)


async def test_without_a_key_the_reads_of_a_tool_say_what_is_missing(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
    opened = store_at(store)
    await opened.open_to_read()
    try:
        with pytest.raises(StoreUnavailable, match="set `encryption_key`"):
            await doctor.verify_audit(opened)
    finally:
        await opened.close()


async def test_salts_of_audit_records_are_encrypted_with_their_bodies(store: str, key: str) -> None:
    """Who has a salt can compare what a body may have said with the commitment, also when its key was destroyed."""
    async with serving(store) as swarm:
        await play(swarm)
    assert all(salt for (salt,) in await ask(store, "SELECT salt FROM audit_leaf"))
    await encrypted(store, key)
    async with serving(store, key) as swarm:
        await play(swarm)
        assert (await swarm.admin.get("/audit/0/body")).json["salt"]

    assert {salt for (salt,) in await ask(store, "SELECT salt FROM audit_leaf")} == {b""}
    assert await examined(store) == ([], {"whole"})
    await ask(store, "UPDATE audit_leaf SET salt = ? WHERE place = 2", b"x" * 32)
    assert (await examined(store))[1] == {"tampered"}
