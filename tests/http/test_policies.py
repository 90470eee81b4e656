"""Policies through the API, and what happens when their files change."""

from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.policy.files import shipped
from swarmkeeper.settings import BadSetting, Settings
from tests.http.conftest import Caller, Fleet

ALL = '@id("all") permit (principal, action, resource);\n'
NO_PRIVATE = (
    '@id("no-private") @message("private data stays at home")\n'
    'forbid (principal, action in [Action::"task.submit", Action::"work.claim"], resource)\n'
    'when { resource.labels.contains("data=private") };\n'
)
NO_AUDIT = '@id("no-audit") forbid (principal, action == Action::"audit.read", resource);\n'
PRIVATE = {"title": "t", "labels": {"data": "private"}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "some.cedar"
    made.write_text(ALL + NO_PRIVATE)
    return made


def write(file: Path, *policies: str) -> None:
    file.write_text("".join(policies))


def server(**settings: Any) -> Orchestrator:
    return Orchestrator(Settings(store="sqlite://:memory:", **settings))


async def test_a_denied_call_gets_403_with_the_policy_and_its_message(file: Path) -> None:
    async with server(policies=str(file)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))

        denied = await admin.post("/tasks", PRIVATE)

        assert (denied.status, denied.json["code"]) == (403, "forbidden")
        assert denied.json["detail"] == "policy denies task.submit: no-private: private data stays at home"
        assert (await admin.post("/tasks", {"title": "t"})).status == 201
        await swarm._identity.accesses.write(swarm.engine.do_all, at_once=True)
        refusal = (await admin.get("/audit?action=access.refused")).json["items"][0]
        assert refusal["decision"]["effect"] == "deny"
        assert refusal["decision"]["reasons"] == ["forbidden", "POST /tasks policy:no-private"]
        record = (await admin.get("/audit?action=task.submit")).json["items"][0]
        assert record["decision"]["reasons"] == ["policy:all"]


async def test_a_label_that_may_not_be_submitted_may_not_be_added_later_and_one_that_protects_not_taken_away(
    file: Path,
) -> None:
    write(
        file,
        ALL,
        '@id("no-egress") forbid (principal, action in [Action::"task.submit", Action::"task.update"], resource)\n'
        'when { resource.labels.contains("egress") };\n',
        '@id("stays-private") forbid (principal, action == Action::"task.update", resource)\n'
        'when { resource.removed.contains("data=private") };\n',
    )
    async with server(policies=str(file)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        path = f"/tasks/{(await admin.post('/tasks', PRIVATE)).json['id']}"

        added = await admin.call("PATCH", path, {"labels": {"data": "private", "egress": "1"}})
        taken = await admin.call("PATCH", path, {"labels": {}})
        other = await admin.call("PATCH", path, {"labels": {"data": "private", "kind": "a"}, "priority": 0})

        assert (added.status, "no-egress" in added.json["detail"]) == (403, True)
        assert (taken.status, "stays-private" in taken.json["detail"]) == (403, True)
        assert (other.status, other.json["labels"]) == (200, {"data": "private", "kind": "a"})


async def test_reading_the_audit_log_can_be_denied(file: Path) -> None:
    write(file, ALL, NO_AUDIT)
    async with server(policies=str(file)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))

        for path in ("/audit", "/audit/log", "/audit/0/body"):
            denied = await admin.get(path)
            assert (denied.status, "no-audit" in denied.json["detail"]) == (403, True)


async def test_a_changed_file_takes_effect_only_if_it_is_valid(file: Path) -> None:
    async with server(policies=str(file)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        write(file, ALL, '@id("bad") forbid (principal, action, resource) when { principal.nope };')

        assert not await swarm.reload_policies()
        assert (await admin.post("/tasks", PRIVATE)).status == 403, "the former policies stay"

        write(file, ALL)
        assert await swarm.reload_policies()
        assert (await admin.post("/tasks", PRIVATE)).status == 201
        records = (await admin.get("/audit?action=rules.change")).json["items"]
        assert [(each["resource"], each["outcome"]) for each in records] == [
            ("policies", "refused"),
            ("policies", "accepted"),
        ]


def test_a_server_with_a_bad_policy_does_not_start(file: Path) -> None:
    file.write_text(f"{ALL}\n@id('x') permit;")

    with pytest.raises(BadSetting) as refused:
        server(policies=str(file))

    assert f"policies: {file}:3: " in str(refused.value)


async def test_work_that_policies_keep_from_a_bot_is_explained(file: Path) -> None:
    async with server(policies=str(file)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        bot = await Fleet(swarm).bot("Executor", "worker")
        body = {"title": "t", "subtasks": [{"key": "a", "description": "d"}]}
        task = (await admin.post("/tasks", body)).json["id"]
        await admin.call("PATCH", f"/tasks/{task}", {"labels": {"data": "private"}})

        assert (await bot.lease()).json["leases"] == []

        told = (await admin.get(f"/tasks/{task}?explain=true")).json["explanation"]["waiting"][0]
        assert told["reason"] == "policy"
        assert told["detail"] == (
            "worker could take it, but policy denies it: no-private: private data stays at home;"
            " its labels: data=private (of its task)"
        )


async def test_policies_on_trial_are_recorded_and_not_obeyed(file: Path) -> None:
    async with server(policies_shadow=str(file)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))

        assert (await admin.post("/tasks", PRIVATE)).status == 201

        record = (await admin.get("/audit?action=task.submit")).json["items"][0]
        assert record["decision"]["reasons"] == ["policy:all", "shadow:no-private"]


async def test_work_into_which_too_much_flows_is_refused_and_the_explanation_names_rule_and_sources() -> None:
    files = f"{shipped('all.cedar')},{shipped('no-lethal-trifecta.cedar')}"
    async with server(policies=files) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        bot = await Fleet(swarm).bot("Executor", "worker")
        subtasks = [
            {"key": "read", "description": "", "labels": {"private": "customers"}},
            {"key": "fetch", "description": "", "labels": {"untrusted": ""}},
            {"key": "send", "description": "", "depends_on": ["read", "fetch"]},
        ]
        task = (await admin.post("/tasks", {"title": "t", "subtasks": subtasks, "labels": {"egress": ""}})).json["id"]
        for _ in range(2):
            (lease,) = (await bot.lease()).json["leases"]
            assert (await bot.report(lease, output=1)).status == 200

        assert (await bot.lease()).json["leases"] == []

        (told,) = (await admin.get(f"/tasks/{task}?explain=true")).json["explanation"]["waiting"]
        assert (told["key"], told["reason"]) == ("send", "policy")
        assert told["detail"] == (
            "worker could take it, but policy denies it: no-lethal-trifecta-flow: private data and untrusted text flow"
            " into work with a way out: let it depend on less, or close the way out; its labels: egress (of its task),"
            " private=customers (of subtask read), untrusted (of subtask fetch)"
        )
        listed = {each["key"]: each for each in (await admin.get(f"/tasks/{task}")).json["subtasks"]}
        assert listed["read"]["labels"] == {"private": "customers"}
        assert listed["send"]["effective_labels"] == [
            {"name": "egress", "value": "", "from": None},
            {"name": "private", "value": "customers", "from": "read"},
            {"name": "untrusted", "value": "", "from": "fetch"},
        ]


async def test_labels_that_bots_set_are_told_apart_from_those_of_the_task(file: Path) -> None:
    write(
        file,
        ALL,
        '@id("only-approved") forbid (principal, action == Action::"work.claim", resource)\n'
        'unless { resource.kind == "plan" || resource.task_labels.contains("approved") };\n',
    )
    async with server(policies=str(file)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        planner, bot = await Fleet(swarm).bot("Planner", "p"), await Fleet(swarm).bot("Executor", "w")
        task = (await admin.post("/tasks", {"title": "t"})).json["id"]
        (lease,) = (await planner.lease()).json["leases"]
        plan = {"subtasks": [{"key": "a", "description": "", "labels": {"approved": "1"}}]}
        assert (await planner.report(lease, plan=plan)).status == 200

        assert (await bot.lease()).json["leases"] == []

        await admin.call("PATCH", f"/tasks/{task}", {"labels": {"approved": "1"}})
        assert len((await bot.lease()).json["leases"]) == 1
