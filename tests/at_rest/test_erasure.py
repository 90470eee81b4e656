"""A tenant is erased by destroying its data keys: nothing of it can be read, and the log says why."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from swarmkeeper.cli.framework import running
from swarmkeeper.clock import SystemClock
from swarmkeeper.offline import doctor
from swarmkeeper.storage.opening import store_at
from tests.at_rest.conftest import PLANTED, TITLE, ask, encrypted, looked, output_of, places_of, play, serving
from tests.http.conftest import Answered, Caller
from tests.secrets.conftest import Swarm
from tests.secrets.conftest import running as started
from tests.support.at_rest import bodies
from tests.support.postgres import server

WHY = {"tenant": "default", "reason": "request 17"}
KILL = {"kind": "tenant", "name": "default", "reason": "it is closed"}


@pytest.fixture
def shared() -> str:
    return server().new_store()


async def kill(admin: Caller) -> str:
    answer = await admin.call("PUT", "/kills", KILL)
    assert answer.status == 200, answer.json
    return str(answer.json["id"])


async def erase(admin: Caller, **more: Any) -> Answered:
    """Ask until the answer is not that the last events have not reached everybody yet."""
    async with asyncio.timeout(20):
        while True:
            answer = await admin.post("/tenant:erase", {**WHY, **more})
            if answer.status != 409 or answer.json["code"] != "still_stopping":
                return answer
            await asyncio.sleep(0.1)


async def killed_and_erased(swarm: Swarm) -> str:
    kill_id = await kill(swarm.admin)
    answer = await erase(swarm.admin)
    assert (answer.status, answer.json) == (200, {"tenant": "default"})
    return kill_id


async def until_no_rows(store: str) -> None:
    """Wait until the rows of all tasks have left."""
    for _ in range(300):
        if not await ask(store, "SELECT id FROM task UNION ALL SELECT id FROM chore"):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError


async def keys_of(store: str, tenant: str = "default") -> set[str]:
    return {row[0] for row in await ask(store, "SELECT id FROM data_key WHERE tenant = ?", tenant)}


async def examined(store: str) -> tuple[list[str], Any]:
    """Return what `doctor --deep` and `audit verify --deep` find, and the verdict on the tenant's log."""
    opened = store_at(store, bodies=bodies())
    await opened.open_to_read()
    try:
        found = await doctor.examine(opened, running.shipped_rules(), deep=True, wall=SystemClock().now())
        verdicts, rows, events = await doctor.verify_deep(opened)
    finally:
        await opened.close()
    said = [f"{it.check.says}: {it.subject}" for it in found] + [str(it) for it in (*rows.mismatches, *events)]
    return said, verdicts["default"]


@pytest.fixture
def no_rows_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the rows of tasks, which otherwise leave in the background."""

    async def nothing(self: Any) -> None:
        """Do nothing."""

    monkeypatch.setattr("swarmkeeper.access.retention.Retention.look_for_erasures", nothing)


# ---- what can be read afterwards -------------------------------------------------------------------------------------


async def test_after_the_answer_nothing_of_the_tenant_can_be_read_and_reads_say_so(
    store: str, key: str, no_rows_leave: None
) -> None:
    async with serving(store, key) as swarm:
        task = await play(swarm)
        before = await keys_of(store)
        await killed_and_erased(swarm)

        for path in (f"/tasks/{task}", f"/tasks/{task}/subtasks/grow/output", f"/tasks/{task}/messages"):
            answer = await swarm.admin.get(path)
            assert (answer.status, answer.json["code"]) == (404, "erased"), path
        listed = (await swarm.admin.get("/tasks")).json["items"]
        assert [(item["id"], item["input"]) for item in listed] == [(task, {})]
        feed = (await swarm.admin.get("/events?page_size=200")).json["items"]
        assert all(event["data"].get("erased") for event in feed[:-1])
        assert (feed[-1]["type"], feed[-1]["data"]["keys"]) == ("io.swarmkeeper.tenant.erased.v1", len(before))
        records = (await swarm.admin.get("/audit?page_size=200")).json["items"]
        assert [record["erased"] for record in records] == [True] * (len(records) - 1) + [False]
        opened = (await swarm.admin.get(f"/audit/{records[0]['index']}/body")).json
        assert (opened["erased"], opened["salt"], opened["body"], opened["rest"]) == (True, None, None, None)
        last = records[-1]
        assert (last["action"], last["payload"]["reason"]) == ("tenant.erase", "request 17")
        assert set(last["resource"].split(",")) == before
        assert PLANTED not in str((listed, feed, records))
    assert not before & await keys_of(store)
    assert {row[0] for row in await ask(store, "SELECT id FROM erased_key")} == before


async def test_what_the_tenant_does_afterwards_is_encrypted_under_a_new_key(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        old = await play(swarm)
        kill_id = await killed_and_erased(swarm)
        assert (await swarm.admin.call("DELETE", f"/kills/{kill_id}")).status == 204

        task = await play(swarm, name="other")

        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
        assert (await output_of(swarm, old)).status == 404
    assert await places_of(store, PLANTED) == set()
    assert (await looked(store, key)).wrong == []
    async with serving(store, key) as swarm:
        assert (await output_of(swarm, task)).json["text"] == PLANTED * 3
        assert (await output_of(swarm, old)).status == 404


async def test_rows_of_the_tasks_leave_in_the_background_with_their_titles(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm, 3)
        await killed_and_erased(swarm)
        await until_no_rows(store)
    assert await places_of(store, TITLE) == set()
    assert (await ask(store, "SELECT count(*) FROM payload")) == [(0,)]
    found, verdict = await examined(store)
    assert (found, verdict.status) == ([], "whole")


# ---- what verifying says ---------------------------------------------------------------------------------------------


async def test_verifying_counts_what_was_erased_and_names_the_record(store: str, key: str, no_rows_leave: None) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        await killed_and_erased(swarm)

    found, verdict = await examined(store)
    ((place,),) = await ask(store, "SELECT place FROM audit_leaf WHERE action = 'tenant.erase'")

    assert (found, verdict.status) == ([], "whole")
    assert (verdict.erased, verdict.erasures, verdict.erased_by) == (place, 1, (place,))
    tables = (await looked(store, key)).tables
    assert all(counted.erased for counted in tables.values())


async def test_a_tenant_erased_again_is_whole_too(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        kill_id = await killed_and_erased(swarm)
        await swarm.admin.call("DELETE", f"/kills/{kill_id}")
        await play(swarm, name="other")
        await killed_and_erased(swarm)
        await until_no_rows(store)

    found, verdict = await examined(store)

    assert (found, verdict.status) == ([], "whole")


@pytest.mark.parametrize("forged", [False, True])
async def test_a_data_key_that_is_missing_without_a_record_is_found(store: str, key: str, forged: bool) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        mine = await keys_of(store)
    for each in mine:
        await ask(store, "DELETE FROM data_key WHERE id = ?", each)
        if forged:
            await ask(
                store,
                "INSERT INTO erased_key (id, tenant, erased_at, erased_by) VALUES (?, ?, 1, ?)",
                each,
                "default",
                "k",
            )

    found, verdict = await examined(store)

    assert verdict.status == "tampered"
    if forged:
        assert verdict.reason == "the body is missing, and no later record says that it was erased"
        assert any("erased_key" in line and "no record of the log tells of it" in line for line in found)
    else:
        assert (await looked(store, key)).wrong


async def test_a_record_of_what_was_erased_cannot_be_removed(store: str, key: str, no_rows_leave: None) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        await killed_and_erased(swarm)
    await ask(store, "DELETE FROM erased_key")

    found, verdict = await examined(store)

    assert verdict.status == "tampered"
    assert any("erased_key" in line and "it is missing" in line for line in found)


# ---- when it is refused ----------------------------------------------------------------------------------------------


async def test_it_is_refused_while_a_legal_hold_keeps_anything_of_the_tenant(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        task = await play(swarm)
        await kill(swarm.admin)
        hold = {"reason": "case 12", "task_id": task}
        await swarm.admin.post("/legal-holds", hold)

        kept = await erase(swarm.admin)
        assert (await output_of(swarm, task)).status == 200
        await swarm.admin.post("/legal-holds:release", hold)
        let_go = await erase(swarm.admin)

        assert (kept.status, kept.json["detail"]) == (
            409,
            "a legal hold keeps data of this tenant: release the hold first",
        )
        assert let_go.status == 200


async def test_it_is_refused_while_the_tenant_works(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        submitted = await swarm.admin.post("/tasks", {"title": "open"})
        alive = await erase(swarm.admin)
        await kill(swarm.admin)
        busy = await erase(swarm.admin)
        await swarm.admin.post(f"/tasks/{submitted.json['id']}:cancel")

        assert (await erase(swarm.admin)).status == 200
        assert (alive.status, busy.status) == (409, 409)
        assert "kill it first" in alive.json["detail"]
        assert "cancel the tenant's tasks first" in busy.json["detail"]


async def test_whoever_killed_the_tenant_does_not_erase_it(store: str, key: str) -> None:
    async with started(store, encryption_key=key) as swarm:
        task = await play_alone(swarm)
        other = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("admin", owner="another"))
        await kill(swarm.admin)

        alone = await erase(swarm.admin)
        both = await erase(other)

        assert (alone.status, alone.json["code"]) == (403, "forbidden")
        assert both.status == 200
        assert task


async def play_alone(swarm: Swarm) -> str:
    answer = await swarm.admin.post("/tasks", {"title": TITLE, "input": {"text": PLANTED}})
    assert answer.status == 201, answer.json
    task = str(answer.json["id"])
    assert (await swarm.admin.post(f"/tasks/{task}:cancel")).status == 200
    return task


async def test_it_is_refused_if_a_body_may_be_plain(store: str, key: str) -> None:
    async with serving(store) as swarm:
        await play(swarm)
    async with serving(store, key) as swarm:
        await kill(swarm.admin)
        refused = await erase(swarm.admin)
        assert (refused.status, "store encrypt" in refused.json["detail"]) == (409, True)
    await encrypted(store, key)
    async with serving(store, key) as swarm:
        assert (await erase(swarm.admin)).status == 200
    assert (await looked(store, key)).wrong == []


async def test_another_tenant_and_another_role_cannot_erase_it(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        await kill(swarm.admin)
        theirs = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("admin", tenant="umbrella"))
        operator = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("operator"))

        assert (await theirs.post("/tenant:erase", WHY)).status == 404
        assert (await operator.post("/tenant:erase", WHY)).status == 403
        assert (await swarm.admin.post("/tenant:erase", {**WHY, "tenant": "umbrella"})).status == 404
    assert await keys_of(store)


async def test_a_failed_task_that_was_erased_is_not_retried(store: str, key: str, no_rows_leave: None) -> None:
    async with serving(store, key) as swarm:
        bot = await swarm.bot()
        task = await swarm.submit(evaluation="none")
        await bot.take()
        await bot.report(error={"class": "not_retryable"})
        kill_id = await killed_and_erased(swarm)
        await swarm.admin.call("DELETE", f"/kills/{kill_id}")

        answer = await swarm.admin.post(f"/tasks/{task}:retry")

        assert (answer.status, answer.json["code"]) == (404, "erased")


async def test_the_client_erases_the_tenant(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        before = await keys_of(store)
        await kill(swarm.admin)
        async with swarm.orchestrator.client(await swarm.orchestrator.make_key("admin")) as client:
            answer = await client.erase_tenant("default", reason=WHY["reason"])

    assert answer.tenant == "default"
    assert before
    assert not before & await keys_of(store)


# ---- twice, and on several servers -----------------------------------------------------------------------------------


async def test_asking_again_changes_nothing(store: str, key: str) -> None:
    async with serving(store, key) as swarm:
        await play(swarm)
        await killed_and_erased(swarm)
        keys = await keys_of(store)

        assert (await erase(swarm.admin)).status == 200
        first, again = [await swarm.admin.post("/tenant:erase", WHY, idempotency_key="e1") for _ in range(2)]
        assert (first.status, again.status) == (200, 200)
        assert again.headers["idempotency-replayed"] == "true"
        assert len((await swarm.admin.get("/audit?action=tenant.erase")).json["items"]) == 1
    assert await keys_of(store) == keys


async def test_another_server_forgets_the_keys_within_a_second(shared: str, key: str, no_rows_leave: None) -> None:
    async with serving(shared, key) as swarm, serving(shared, key) as other:
        task = await play(other)
        before = await keys_of(shared)
        known = other.orchestrator.store.bodies.keys  # type: ignore[attr-defined]  # both stores have it
        assert all(known.get(each) for each in before)
        assert (await output_of(other, task)).status == 200
        await killed_and_erased(swarm)
        await asyncio.sleep(1)

        assert not any(known.get(each) for each in before)
        assert (await output_of(other, task)).status == 404
        assert (await other.admin.get("/audit?action=tenant.erase")).json["items"][0]["erased"] is False


async def test_a_server_that_writes_at_the_same_moment_encrypts_nothing_under_a_destroyed_key(
    shared: str, key: str
) -> None:
    async with serving(shared, key) as swarm, serving(shared, key) as other:
        await play(other)
        await kill(swarm.admin)
        labels = asyncio.create_task(busy(other))
        erased = await erase(swarm.admin)
        labels.cancel()
        assert erased.status == 200
    ((place,),) = await ask(shared, "SELECT place FROM audit_leaf WHERE action = 'tenant.erase'")
    later = await ask(shared, "SELECT body FROM audit_leaf WHERE tenant = 'default' AND place > ?", place)
    gone = {row[0] for row in await ask(shared, "SELECT id FROM erased_key")}
    opened = bodies()
    assert opened.keys is not None
    assert later, "the other server went on"
    used = {base64.b64decode(json.loads(body)["sealed/1"])[:16].hex() for (body,) in later}
    assert not used & gone


async def busy(swarm: Swarm) -> None:
    """Write records without a task, again and again."""
    while True:
        await swarm.orchestrator.make_key("viewer")
