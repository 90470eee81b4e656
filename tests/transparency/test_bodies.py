"""Bodies of audit records, proved to whoever may read them: from the signed root to what the log says was done."""

import json
from typing import Any

import msgspec
import pytest

from swarmkeeper.transparency import outside
from swarmkeeper.transparency.checkpoints import Head
from swarmkeeper.transparency.notes import BadNote
from swarmkeeper.transparency.outside import ProvedRecord, proved_body
from tests.http.conftest import Caller, Fleet
from tests.http.test_erasure import erase, gone
from tests.transparency.conftest import KeyFile, served

HEAD = Head("swarm.example.org/default", 1, bytes(32))
SENT = {"title": "Read a page", "subtasks": [{"key": "read", "description": "", "required_skills": ["web"]}]}


async def test_each_body_is_proved_from_the_signed_root_to_its_payload_and_events(
    store_url: str, key_file: KeyFile
) -> None:
    key = key_file.add()
    async with served(store_url, key_file) as log:
        await one_task(log.swarm)
        await log.sign()
        shown = (await log.auditor.get("/audit?page_size=200")).json["items"]

        for record in shown:
            found = outside.proved(await log.get(f"{record['index']}/proof"), [key])
            body = json.loads(proved_body(found, await log.get(f"{record['index']}/body")) or "")
            assert (body["payload"], body["events"]) == (record["payload"], record["events"])
        assert len(shown) > 5


async def test_what_opens_a_body_shows_nothing_of_the_hashes_of_rows(key_file: KeyFile) -> None:
    key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        task = await one_task(log.swarm)
        for record in (await log.auditor.get(f"/audit?task_id={task}")).json["items"]:
            opened = (await log.ask(f"{record['index']}/body")).json
            assert set(json.loads(opened["body"])) <= {"events", "events_hash", "events_hashes", "payload"}
            assert len(bytes.fromhex(opened["salt"])) == 16, "one half: the other one would show the hashes of rows"


@pytest.mark.parametrize(
    ("field", "forged"),
    [
        ("body", lambda text: text.replace("Read a page", "Read a book")),
        ("salt", lambda text: "00" + text[2:]),
        ("rest", lambda text: text[:-2] + "00"),
        ("salt", lambda text: text[:-1]),
        ("rest", lambda _: None),
        ("index", lambda index: index + 1),
    ],
)
async def test_a_forged_body_is_refused(key_file: KeyFile, field: str, forged: Any) -> None:
    key = key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        task = await one_task(log.swarm)
        await log.sign()
        record = (await log.auditor.get(f"/audit?task_id={task}")).json["items"][0]
        found = outside.proved(await log.get(f"{record['index']}/proof"), [key])
        given = json.loads(await log.get(f"{record['index']}/body"))

    assert proved_body(found, json.dumps(given).encode()) == given["body"]
    changed = {**given, field: forged(given[field])}
    assert changed != given
    with pytest.raises(BadNote):
        proved_body(found, json.dumps(changed).encode())


async def test_a_part_of_the_body_is_not_passed_off_as_salt(key_file: KeyFile) -> None:
    key = key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        await one_task(log.swarm)
        await log.sign()
        found = outside.proved(await log.get("0/proof"), [key])
        given = json.loads(await log.get("0/body"))

    shifted = {**given, "salt": given["salt"] + b"{".hex(), "body": given["body"][1:]}  # the same bytes are hashed
    with pytest.raises(BadNote, match="another length"):
        proved_body(found, json.dumps(shifted).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b'{"index":"0"}', b"\xff", b"{"])
def test_what_is_no_body_is_refused(data: bytes) -> None:
    record = ProvedRecord(0, b'{"body":{"alg":"sha256-salted-parts","commitment":"00"}}', HEAD)

    with pytest.raises(BadNote, match="no body of a record"):
        proved_body(record, data)


async def test_of_an_erased_body_nothing_is_left_nor_its_salt(store_url: str, key_file: KeyFile) -> None:
    key = key_file.add()
    async with served(store_url, key_file) as log:
        task = await one_task(log.swarm)
        (first, *_) = (await log.auditor.get(f"/audit?task_id={task}")).json["items"]
        admin = Caller(log.swarm.app, await log.swarm.make_key("admin"))
        assert (await erase(admin, task)).status == 202
        await gone(admin, task)
        given = (await log.ask(f"{first['index']}/body")).json
        await log.sign()
        found = outside.proved(await log.get(f"{first['index']}/proof"), [key])

    assert given == {**given, "erased": True, "salt": None, "body": None, "rest": None}
    assert proved_body(found, json.dumps(given).encode()) is None


async def test_only_who_may_read_the_audit_log_gets_bodies_and_only_of_the_own_tenant(key_file: KeyFile) -> None:
    key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        await log.grow(3)
        assert (await log.ask("2/body")).status == 200
        assert (await log.ask("999/body")).status == 404
        for role in ("client", "operator", "approver", "viewer", "bot:executor"):
            other = Caller(log.swarm.app, await log.swarm.make_key(role))
            assert (await other.get("/audit/2/body")).status == 403, role
        stranger = Caller(log.swarm.app, await log.swarm.make_key("auditor", tenant="other"))
        own = (await stranger.get("/audit?page_size=200")).json["items"]
        assert (await stranger.get(f"/audit/{len(own)}/body")).status == 404
        assert (await Caller(log.swarm.app).get("/audit/2/body")).status == 401


async def test_a_record_of_an_earlier_version_says_that_only_the_store_can_verify_its_body(
    key_file: KeyFile,
) -> None:
    key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        await log.grow(1)
        given = (await log.ask("0/body")).json
    record = msgspec.json.encode({"body": {"alg": "sha256-salted", "commitment": "00"}})
    old = {**given, "alg": "sha256-salted", "salt": None, "body": None, "rest": None}

    with pytest.raises(BadNote, match="only the store"):
        proved_body(ProvedRecord(0, record, HEAD), json.dumps(old).encode())


async def one_task(swarm: Any) -> str:
    """Complete a task without a review; return its id."""
    client = Caller(swarm.app, await swarm.make_key("client"))
    task: str = (await client.post("/tasks", {**SENT, "evaluation": "none"})).json["id"]
    bot = await Fleet(swarm).bot("Executor", "reader", skills=["web"])
    await bot.report(await bot.one(), output={"words": 3})
    return task
