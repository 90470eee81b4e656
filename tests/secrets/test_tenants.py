"""What is released to bots of one tenant is hidden in that tenant alone: another cannot find out what it is, and cannot
take its room. The log of the server hides all."""

from __future__ import annotations

import io
from typing import Any

import pytest

from swarmkeeper.observe.logs import Log
from tests.govern.test_known_values import FORMS, PLAIN
from tests.http.conftest import Caller
from tests.secrets.conftest import Files, Swarm, running
from tests.support.postgres import server

Json = Any


@pytest.fixture
def url() -> str:
    return server().new_store()


async def releasing(swarm: Swarm, tenant: str, value: str = PLAIN) -> Caller:
    """Release a value to a bot of a tenant; return the tenant's administrator."""
    admin = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("admin", tenant=tenant))
    assert (await swarm.put("token", value, by=admin)).status in (200, 201)
    bot = await swarm.bot(tenant=tenant)
    await swarm.submit("token", by=admin)
    await bot.take()
    assert await bot.values("token") == [value]
    return admin


async def tried(by: Caller, text: str) -> Json:
    answer = await by.post("/redaction:test", {"value": {"a": text, text: 1}})
    assert answer.status == 200, answer.json
    return answer.json


async def submitted(by: Caller, title: str) -> Json:
    """Submit a task with this title; return what the audit log and the feed say about it."""
    sent = await by.post("/tasks", {"title": title, "subtasks": [{"key": "k", "description": "d"}]})
    records = await by.get(f"/tasks/{sent.json['id']}/audit")
    events = await by.get(f"/tasks/{sent.json['id']}/events")
    return [record["payload"] for record in records.json["items"]], [event["data"] for event in events.json["items"]]


async def test_a_value_of_one_tenant_makes_no_difference_in_another(swarm: Swarm) -> None:
    globex = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("admin", tenant="globex"))
    before = {form: await tried(globex, text) for form, text in FORMS.items()}
    assert PLAIN in str(await submitted(globex, PLAIN))

    await releasing(swarm, "acme")

    assert {form: await tried(globex, text) for form, text in FORMS.items()} == before
    assert before["plain"] == {"value": {"a": PLAIN, PLAIN: 1}, "redacted_fields": []}
    assert PLAIN in str(await submitted(globex, PLAIN))
    wrong = await globex.post("/tasks", {"title": "t", PLAIN: 1})
    assert PLAIN.replace("/", "~1") in str(wrong.json["errors"])


async def test_in_its_own_tenant_it_is_hidden_wherever_it_comes(swarm: Swarm) -> None:
    acme = await releasing(swarm, "acme")

    for form, text in FORMS.items():
        shown = await tried(acme, text)
        assert text not in str(shown["value"]), form
    assert PLAIN not in str(await submitted(acme, PLAIN))
    wrong = await acme.post("/tasks", {"title": "t", PLAIN: 1})
    assert "released-secret" in str(wrong.json["errors"])


async def test_a_request_id_that_is_a_value_comes_back_to_all_but_its_own_tenant(swarm: Swarm) -> None:
    value = "id-of-a-secret-1"
    acme = await releasing(swarm, "acme", value)
    globex = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("admin", tenant="globex"))
    unknown = Caller(swarm.orchestrator.app, "")

    async def echoed(by: Caller) -> bool:
        answer = await by.get("/tasks", **{"x-request-id": value})
        return bool(answer.headers["x-request-id"] == value)

    assert [await echoed(by) for by in (acme, globex, unknown)] == [False, True, True]


async def test_each_replica_hides_it_in_every_form_for_its_tenant_and_in_none_for_another(
    url: str, files: Files
) -> None:
    key = files.key()
    async with running(url, secrets_key_file=key) as one, running(url, secrets_key_file=key) as two:
        await releasing(one, "acme")

        for rules in (one.orchestrator.rules, two.orchestrator.rules):
            for form, text in FORMS.items():
                assert text not in rules.text(text, tenant="acme"), form
                assert rules.text(text, tenant="globex") == text, form


async def test_lines_of_the_log_hide_the_values_of_all_tenants(swarm: Swarm) -> None:
    await releasing(swarm, "acme")
    await releasing(swarm, "globex", "a value of globex")
    stream = io.StringIO()

    Log(stream, swarm.orchestrator.rules, swarm.clock.now)("fault", what=f"{PLAIN} and a value of globex")

    assert stream.getvalue().count("[redacted:released-secret]") == 2


async def test_a_tenant_with_as_many_values_as_may_be_keeps_no_other_from_releasing(
    swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.govern.known_values.VALUES_MAX", 1)
    acme = await releasing(swarm, "acme")
    await swarm.put("second", "a second value", by=acme)
    bot = await swarm.bot("another", tenant="acme")
    await swarm.submit("second", by=acme)
    await bot.take()
    assert (await bot.resolve("second")).status == 503

    globex = await releasing(swarm, "globex", "a value of globex")

    assert "a value of globex" not in str(await tried(globex, "a value of globex"))
    assert PLAIN not in str((await tried(acme, PLAIN))["value"])
