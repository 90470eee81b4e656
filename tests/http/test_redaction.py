"""POST /redaction:test, and redaction rules that change while the server runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.sdk.client import Client
from swarmkeeper.settings import BadSetting, Settings
from tests.http.conftest import Caller

TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
RULES = """version = 1
[[detector]]
id = "badge"
keywords = ["badge-"]
pattern = "badge-([0-9]{4})"
hit = ["badge-1234"]
miss = ["badge-x"]
[[allow]]
id = "test-mail"
rules = ["email"]
patterns = [".*@example[.]com"]
hit = ["a@example.com"]
miss = ["a@example.org"]
"""


async def test_a_value_comes_back_as_the_evidence_would_show_it(admin: Caller) -> None:
    answer = await admin.post("/redaction:test", {"value": {"note": ["mail a@b.example"], "password": 1}})

    assert answer.status == 200
    assert answer.json["value"] == {"note": ["mail [redacted:email]"], "password": "[redacted:secret-field]"}
    assert answer.json["redacted_fields"] == [
        {"pointer": "/note/0", "rule": "email", "action": "replaced", "in": "value"},
        {"pointer": "/password", "rule": "secret-field", "action": "replaced", "in": "value"},
    ]


async def test_equal_secrets_have_equal_tags(admin: Caller) -> None:
    shown = (await admin.post("/redaction:test", {"value": [TOKEN, f"see {TOKEN}"]})).json["value"]

    assert shown[0].startswith("[redacted:github-token:")
    assert shown[1] == f"see {shown[0]}"


async def test_the_value_is_not_stored_and_a_large_one_is_refused(admin: Caller) -> None:
    before = (await admin.get("/audit")).json["items"]

    assert (await admin.post("/redaction:test", {"value": ["x" * 1000] * 60})).status == 200
    refused = await admin.post("/redaction:test", {"value": ["x" * 1000] * 70})

    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/value")
    assert (await admin.post("/redaction:test", {})).status == 422
    assert (await admin.get("/audit")).json["items"] == before


async def test_only_auditors_and_admins_may_test_redaction(swarm: Orchestrator) -> None:
    for role, status in (("auditor", 200), ("admin", 200), ("client", 403), ("operator", 403), ("approver", 403)):
        caller = Caller(swarm.app, await swarm.make_key(role))
        assert (await caller.post("/redaction:test", {"value": 1})).status == status


async def test_the_sdk_client_tests_redaction(swarm: Orchestrator) -> None:
    async with swarm.client() as client:
        tested = await client.test_redaction({"a": "password=hunter2"})

    assert tested.value == {"a": "password=[redacted:password-pair]"}
    assert tested.redacted_fields[0].pointer == "/a"
    assert isinstance(client, Client)


async def test_rules_are_reloaded_and_an_invalid_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "redaction.toml"
    file.write_text("version = 1")
    async with Orchestrator(Settings(store="sqlite://:memory:", redaction=(str(file),))) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))

        async def shown() -> str:
            return str((await admin.post("/redaction:test", {"value": "badge-1234 a@example.com"})).json["value"])

        first = swarm.rules.hash
        assert await shown() == "badge-1234 [redacted:email]"

        file.write_text(RULES)
        assert await swarm.reload_rules()
        second = swarm.rules.hash
        assert await swarm.reload_rules()  # unchanged: nothing to record
        assert await shown() == "badge-[redacted:badge] a@example.com"

        file.write_text(RULES.replace("{4}", "{9}"))
        assert not await swarm.reload_rules()
        file.unlink()
        assert not await swarm.reload_rules()
        assert swarm.rules.hash == second
        assert await shown() == "badge-[redacted:badge] a@example.com"

        records = [record for record in (await admin.get("/audit")).json["items"] if record["event"] == "rules.change"]

    assert [record["outcome"] for record in records] == ["accepted", "refused", "refused"]
    assert records[0]["payload"] == {"from": first, "to": second}
    assert [record["rules"] for record in records] == [second] * 3
    assert "badge" in records[1]["payload"]["problem"]
    assert "cannot be read" in records[2]["payload"]["problem"]


def test_a_server_does_not_start_with_invalid_rules(tmp_path: Path) -> None:
    file = tmp_path / "redaction.toml"
    file.write_text(RULES.replace("{4}", "{9}"))

    with pytest.raises(BadSetting, match="detector 'badge': hit 1 is not found"):
        Orchestrator(Settings(redaction=(str(file),)))
    with pytest.raises(BadSetting, match="cannot be read"):
        Orchestrator(Settings(redaction=(str(tmp_path / "none.toml"),)))


def test_a_pipe_is_refused_as_a_file_of_rules(tmp_path: Path) -> None:
    pipe = tmp_path / "redaction.toml"
    os.mkfifo(pipe)

    with pytest.raises(BadSetting, match=r"redaction\.toml: is no plain file"):
        Orchestrator(Settings(redaction=(str(pipe),)))
