"""Whoever reads evidence out is in the log: bodies of records, and records with what proves them, counted."""

import json

import pytest

from tests.http.conftest import Caller
from tests.http.test_access import written
from tests.http.test_erasure import erase, gone
from tests.transparency.conftest import KeyFile, served
from tests.transparency.test_bodies import one_task


async def test_reads_of_bodies_and_of_records_that_leave_are_recorded_with_their_number(
    store_url: str, key_file: KeyFile
) -> None:
    key_file.add()
    async with served(store_url, key_file) as log:
        task = await one_task(log.swarm)
        await log.sign()
        records = (await log.auditor.get(f"/audit?task_id={task}")).json["items"]
        for record in records:
            assert (await log.ask(f"{record['index']}/body")).status == 200
        size = int((await log.get("checkpoint")).split(b"\n")[1])
        for path in ("0/body", "0/proof", "1/proof", f"tile/entries/000.p/{size}"):
            assert (await log.ask(path)).status == 200

        reads = {leaf["task"]: leaf for leaf in await written(log.swarm, b"audit.read")}

        assert set(reads) == {task.encode(), None}
        assert f'"count":{len(records)}'.encode() in reads[task.encode()]["body"]
        assert b'"count":4' in reads[None]["body"], "one body that belongs to no task, two proofs, one bundle"
        assert json.loads(reads[None]["leaf"])["resource"] == json.loads(reads[None]["leaf"])["actor"]["key"]


@pytest.mark.parametrize("path", ["checkpoint", "log", "tile/0/000.p/{size}", "99999/body", "99999/proof"])
async def test_what_shows_no_record_is_not_recorded(key_file: KeyFile, path: str) -> None:
    key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        await one_task(log.swarm)
        await log.sign()
        size = int((await log.get("checkpoint")).split(b"\n")[1])

        assert (await log.ask(path.format(size=size))).status in (200, 404)
        await log.auditor.get("/audit")

        assert await written(log.swarm, b"audit.read") == []


async def test_a_body_that_is_erased_is_not_read(key_file: KeyFile) -> None:
    key_file.add()
    async with served("sqlite://:memory:", key_file) as log:
        task = await one_task(log.swarm)
        (index, *_) = [record["index"] for record in (await log.auditor.get(f"/audit?task_id={task}")).json["items"]]
        admin = Caller(log.swarm.app, await log.swarm.make_key("admin"))
        assert (await erase(admin, task)).status == 202
        await gone(admin, task)

        assert (await log.ask(f"{index}/body")).json["erased"] is True
        assert await written(log.swarm, b"audit.read") == []
