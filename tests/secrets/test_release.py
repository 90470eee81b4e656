"""A bot gets a secret under its own live lease, if the work's inputs refer to it and its rule lets the bot; and what
it got is in nothing that the server records."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw
import pytest

from swarmkeeper.govern.known_values import RULE
from tests.http.conftest import Answered, Caller
from tests.secrets.conftest import VALUE, Files, Swarm, running
from tests.tidy.data_classification import columns


def not_found(answer: Answered) -> bool:
    return (answer.status, answer.json["code"]) == (404, "secret_not_found")


async def test_a_bot_gets_the_value_under_its_lease_and_the_audit_log_has_its_tag(swarm: Swarm) -> None:
    assert (await swarm.put("github/token")).json == {"name": "github/token", "version": 1}
    bot = await swarm.at_work("github/token")

    answer = await bot.resolve("github/token")

    assert answer.json == {"secrets": [{"name": "github/token", "value": VALUE}]}
    assert answer.headers["cache-control"] == "no-store"
    (record,) = (await swarm.admin.get("/audit?action=secret.release")).json["items"]
    tags = swarm.orchestrator.rules.tags
    assert tags is not None
    assert record["payload"] | {"names": None} == {
        "names": None,
        "versions": ["1"],
        "tags": [tags.of("default").mark(VALUE)],
        "bot": bot.id,
        "lease": bot.lease["lease_id"],
    }
    assert record["payload"]["names"] == ["github/token"]
    assert record["task_id"] == bot.lease["task_id"]
    (shown,) = (await swarm.admin.get("/secrets")).json["items"]
    assert (shown["name"], shown["version"], shown["backend"], shown["released"]) == ("github/token", "1", "builtin", 1)
    assert VALUE not in json.dumps(shown)


async def test_a_released_value_in_a_title_is_not_shown_with_the_leases(swarm: Swarm) -> None:
    await swarm.put("token")
    holder = await swarm.bot("holder")
    for title in (f"log in with {VALUE}", "count the words"):
        await swarm.submit(title=title)
        await holder.take()

    async def titles() -> list[str]:
        return [lease["task_title"] for lease in (await holder.call.get(f"/bots/{holder.id}/leases")).json["items"]]

    assert sorted(await titles()) == ["count the words", f"log in with {VALUE}"]  # nobody knows yet that it is one
    bot = await swarm.at_work("token")
    assert await bot.values("token") == [VALUE]

    tags = swarm.orchestrator.rules.tags
    assert tags is not None
    hidden = f"[redacted:released-secret:{tags.of('default').mark(VALUE)}]"
    assert sorted(await titles()) == ["count the words", f"log in with {hidden}"]


async def test_what_the_inputs_do_not_refer_to_does_not_exist(swarm: Swarm) -> None:
    await swarm.put("github/token")
    await swarm.put("other")
    bot = await swarm.at_work("github/token", "absent")

    for name in ("absent", "other", "github/token@7", "github/token#field", "../token", "github/token/", "näme"):
        answer = await bot.resolve(name)

        assert not_found(answer), (name, answer.json)
        assert answer.json["errors"] == [
            {"pointer": "/names/0", "code": "not_found", "detail": "no such secret for this work"}
        ]


async def test_one_name_that_is_refused_refuses_all_and_counts_none(swarm: Swarm) -> None:
    await swarm.put("one")
    bot = await swarm.at_work("one", "two")

    assert not_found(await bot.resolve("one", "two"))

    assert (await swarm.admin.get("/audit?action=secret.release")).json["items"] == []
    assert (await swarm.admin.get("/secrets")).json["items"][0]["released"] == 0


async def test_a_tenants_secret_does_not_exist_for_another(swarm: Swarm) -> None:
    await swarm.put("shared")
    other = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("admin", tenant="other"))
    bot = await swarm.bot("worker", "Executor", "other")
    await swarm.submit("shared", by=other)
    await bot.take()

    foreign = await bot.resolve("shared")

    absent = await bot.resolve("no-such-secret")
    assert not_found(foreign)
    assert {**foreign.json, "request_id": ""} == {**absent.json, "request_id": ""}
    assert (await other.get("/secrets")).json["items"] == []


async def test_a_lease_of_another_bot_or_of_nobody_gives_nothing(swarm: Swarm) -> None:
    await swarm.put("token")
    bot = await swarm.at_work("token")
    thief = await swarm.bot("thief")

    assert (await thief.resolve("token", lease=bot.lease["lease_id"])).status == 403
    assert (await thief.resolve("token", lease="lea_" + "0" * 32)).json["code"] == "lease_lost"
    client = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("client"))
    path = f"/leases/{bot.lease['lease_id']}/secrets:resolve"
    assert (await client.post(path, {"names": ["token"]})).status == 403
    assert (await client.with_key(None).post(path, {"names": ["token"]})).status == 401


async def test_a_lease_that_has_ended_or_whose_time_is_up_gives_nothing(swarm: Swarm) -> None:
    await swarm.put("token")
    bot = await swarm.at_work("token")
    assert (await bot.values("token")) == [VALUE]

    await bot.report(output={})

    assert (await bot.resolve("token")).json["code"] == "lease_lost"


async def test_a_planner_and_an_evaluator_get_what_the_task_refers_to(store: str, files: Files) -> None:
    rule = files.config('[[secret]]\nname = "of-item"\n')
    async with running(store, secrets_key_file=files.key(), secrets=rule) as swarm:
        await get_what_the_task_refers_to(swarm)


async def get_what_the_task_refers_to(swarm: Swarm) -> None:
    await swarm.put("of-task")
    await swarm.put("of-item")
    planner, executor, evaluator = [
        await swarm.bot(type_, type_, "default", "any") for type_ in ("Planner", "Executor", "Evaluator")
    ]
    sent = {
        "title": "t",
        "input": {"a": ["secret://of-task"]},
        "planner_skills": ["any"],
        "evaluator_skills": ["any"],
    }
    assert (await swarm.admin.post("/tasks", sent)).status == 201
    await planner.take()

    assert await planner.values("of-task") == [VALUE]
    subtask = {"key": "k", "description": "d", "required_skills": ["any"], "input": {"b": "secret://of-item"}}
    reported = await planner.report(plan={"subtasks": [subtask]})
    assert reported.status == 200, reported.json
    await executor.take()
    assert await executor.values("of-item") == [VALUE]
    assert not_found(await executor.resolve("of-task"))
    await executor.report(output={"x": "secret://of-item"})
    await evaluator.take()
    assert await evaluator.values("of-task") == [VALUE]
    assert not_found(await evaluator.resolve("of-item"))


LETS = {
    'skills = ["deploy"]': False,
    'skills = ["deploy", "work"]': True,
    'bots = ["wor*"]': True,
    'bots = ["other"]': False,
    'labels = {team = "blue"}': True,
    'labels = {team = "red"}': False,
    "": True,
}


async def test_the_rule_of_a_secret_says_who_may_have_it(files: Files, store: str) -> None:
    tables = [
        f'[[secret]]\nname = "tok{number}*"\nbackend = "builtin"\nallow = {{ {allow} }}\n'
        for number, allow in enumerate(LETS)
    ]
    names = [f"tok{number}en" for number in range(len(LETS))]
    async with running(store, secrets=files.config("".join(tables)), secrets_key_file=files.key()) as swarm:
        for name in names:
            await swarm.put(name)
        bot = await swarm.at_work(*names, labels={"team": "blue"})

        answers = dict(zip(LETS, [await bot.resolve(name) for name in names], strict=True))

        assert {allow: answer.status == 200 for allow, answer in answers.items()} == LETS
        assert all(not_found(answer) for answer in answers.values() if answer.status != 200)


async def test_a_secret_can_be_lent_to_another_tenant(files: Files, store: str) -> None:
    config = files.config('[[secret]]\nname = "token"\nallow = {tenants = ["other"]}\n')
    async with running(store, secrets=config, secrets_key_file=files.key()) as swarm:
        await swarm.put("token")
        other = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key("admin", tenant="other"))
        bot = await swarm.bot("worker", "Executor", "other")
        await swarm.submit("token", by=other)
        await bot.take()

        assert await bot.values("token") == [VALUE]


async def test_a_lease_and_a_minute_have_only_so_many_releases(files: Files, store: str) -> None:
    config = files.config('per_lease = 3\n[[secret]]\nname = "rare"\nper_minute = 1\n')
    async with running(store, secrets=config, secrets_key_file=files.key()) as swarm:
        for name in ("often", "rare"):
            await swarm.put(name)
        bot = await swarm.at_work("often", "rare")
        assert (await bot.resolve("rare")).status == 200

        again = await bot.resolve("rare")
        assert (again.status, again.json["errors"][0]["pointer"]) == (429, "/limits/secrets/minute")
        assert 1 <= int(again.headers["retry-after"]) <= 60
        assert (await bot.resolve("often", "often")).status == 200
        full = await bot.resolve("often")
        assert (full.status, full.json["errors"][0]["pointer"]) == (429, "/limits/secrets/lease")


async def test_a_malformed_reference_is_refused_at_submission_with_its_place(swarm: Swarm) -> None:
    for name in ("", "../etc", "a//b", "a b", ".hidden", "a@", "a#"):
        reference = f"secret://{name}"
        subtask = {"key": "k", "description": "d", "input": {"deep": [{"a/b": reference}]}}

        task = await swarm.admin.post("/tasks", {"title": "t", "input": {"x": reference}})
        item = await swarm.admin.post("/tasks", {"title": "t", "subtasks": [subtask]})

        assert (name, task.status, task.json["errors"][0]["pointer"]) == (name, 422, "/input/x")
        assert (item.status, item.json["errors"][0]["pointer"]) == (422, "/subtasks/0/input/deep/0/a~1b")
        assert not name or reference not in task.body.decode()


async def test_a_malformed_reference_in_a_plan_is_refused_and_the_lease_stays(swarm: Swarm) -> None:
    planner = await swarm.bot("p", "Planner", "default", "any")
    await swarm.admin.post("/tasks", {"title": "t", "planner_skills": ["any"]})
    await planner.take()
    subtask = {"key": "k", "description": "d", "required_skills": ["any"], "input": {"a": "secret://a b"}}

    answer = await planner.report(plan={"subtasks": [subtask]})

    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/plan/subtasks/0/input/a")


@pytest.mark.parametrize("value", ["short77", ""])
async def test_a_value_that_would_hide_ordinary_words_is_refused(swarm: Swarm, value: str) -> None:
    answer = await swarm.put("token", value)

    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/value")


async def test_only_administrators_see_and_put_secrets(swarm: Swarm) -> None:
    for role in ("client", "operator", "auditor", "approver"):
        call = Caller(swarm.orchestrator.app, await swarm.orchestrator.make_key(role))
        assert (await call.get("/secrets")).status == 403
        assert (await swarm.put("token", by=call)).status == 403
        assert (await call.post("/secrets:retire", {"name": "token"})).status == 403
        assert (await call.call("DELETE", "/secrets/token")).status == 403


async def test_without_a_broker_every_call_says_so(store: str) -> None:
    async with running(store) as swarm:
        bot = await swarm.at_work("token")

        assert (await bot.resolve("token")).json["code"] == "not_supported"
        assert (await swarm.put("token")).json["code"] == "not_supported"


async def test_secrets_are_listed_in_pages(swarm: Swarm) -> None:
    for name in ("a", "b", "b", "c"):
        await swarm.put(name, f"{VALUE} of {name} {len((await swarm.admin.get('/secrets')).json['items'])}")
    found: list[tuple[str, str]] = []
    token: str | None = ""
    while token is not None and (token or not found):
        page = (await swarm.admin.get(f"/secrets?page_size=2&page_token={token}")).json
        assert len(page["items"]) <= 2
        found += [(secret["name"], secret["version"]) for secret in page["items"]]
        token = page["next_page_token"] or None

    assert found == [("a", "1"), ("b", "1"), ("b", "2"), ("c", "1")]


# ---- versions ------------------------------------------------------------------------------------------------------


async def test_a_rotated_secret_has_two_versions_until_the_old_one_is_retired(swarm: Swarm) -> None:
    for number in (1, 2, 3):
        assert (await swarm.put("token", f"{VALUE} {number}")).json["version"] == number
    assert (await swarm.put("token", f"{VALUE} 3")).json["version"] == 3  # the same call again
    bot = await swarm.at_work("token", "token@1", "token@2", "token@3")

    assert await bot.values("token", "token@2", "token@3") == [f"{VALUE} {n}" for n in (3, 2, 3)]
    assert not_found(await bot.resolve("token@1"))
    assert (await swarm.admin.post("/secrets:retire", {"name": "token"})).json["version"] == 3
    assert not_found(await bot.resolve("token@2"))
    assert await bot.values("token@3") == [f"{VALUE} 3"]
    assert (await swarm.admin.call("DELETE", "/secrets/token")).status == 204
    assert not_found(await bot.resolve("token"))
    assert (await swarm.admin.call("DELETE", "/secrets/token")).status == 404
    counts = {}
    for verb in ("put", "retire", "delete"):
        counts[verb] = len((await swarm.admin.get(f"/audit?action=secret.{verb}")).json["items"])
    assert counts == {"put": 3, "retire": 1, "delete": 1}


async def test_a_field_of_a_secret_is_released_by_itself(swarm: Swarm) -> None:
    await swarm.put("db", json.dumps({"user": "application", "password": VALUE, "port": 5432}))
    bot = await swarm.at_work("db#password", "db#user", "db#port", "db#absent")

    assert await bot.values("db#password", "db#user") == [VALUE, "application"]
    assert not_found(await bot.resolve("db#port"))
    assert not_found(await bot.resolve("db#absent"))


async def test_ten_thousand_names_are_refused_by_their_number(swarm: Swarm) -> None:
    bot = await swarm.at_work("token")

    assert (await bot.resolve(*(f"name-{n}" for n in range(10_000)))).status == 422
    assert not_found(await bot.resolve(*(f"name-{n}" for n in range(64))))


# ---- what is recorded ----------------------------------------------------------------------------------------------


def bytes_of(path: Path) -> bytes:
    return path.read_bytes() + Path(f"{path}-wal").read_bytes()


def forms() -> list[str]:
    raw = VALUE.encode()
    return [
        VALUE,
        base64.b64encode(raw).decode(),
        base64.b64encode(b"a" + raw).decode(),
        quote(VALUE, safe=""),
        raw.hex(),
        json.dumps({"v": VALUE}),
    ]


def anywhere(stored: bytes) -> list[str]:
    """Return the plain forms of the value that are in these bytes."""
    raw = VALUE.encode()
    pieces = {"plain": raw, "hex": raw.hex().encode(), "percent": quote(VALUE, safe="").encode()}
    pieces |= {f"base64 {n}": base64.b64encode(b"a" * n + raw)[3 if n else 0 : 28] for n in range(3)}
    return [name for name, piece in pieces.items() if piece in stored]


async def say_everything(swarm: Swarm, bot: Any) -> None:
    for form in forms():
        reason = {"reason": f"because of {form}"}
        await swarm.admin.post(f"/tasks/{bot.lease['task_id']}:pause", reason)
        await swarm.admin.post(f"/tasks/{bot.lease['task_id']}:resume", reason)
    for form in forms():
        await bot.beat(f"connecting with {form} now")
    await bot.report(error={"class": "not_retryable", "message": " and ".join(forms())})


async def test_a_released_value_is_in_no_evidence_column_and_not_in_the_store_before_it_is_said(
    files: Files, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store.db"
    async with running(f"sqlite:///{path}", secrets_key_file=files.key(), log_format="json") as swarm:
        await swarm.put("token")
        bot = await swarm.at_work("token")
        assert await bot.values("token") == [VALUE]
        raw = bytes_of(path)
        assert anywhere(raw) == [], "kept or released, the value is only in the store encrypted"

        await say_everything(swarm, bot)
        swarm.orchestrator.log("stalled", reason=f"the value is {VALUE}")
        events = (await swarm.admin.get("/events")).body
        audit = (await swarm.admin.get("/audit?page_size=200")).body
        task = (await swarm.admin.get(f"/tasks/{bot.lease['task_id']}?explain=true")).body

    assert anywhere(events) == anywhere(audit) == anywhere(task) == []
    assert RULE.encode() in events
    assert anywhere("".join(capfd.readouterr()).encode()) == []
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    for table, column, plane in columns():
        if plane != "evidence":
            continue
        for (stored,) in connection.execute(f'SELECT CAST("{column}" AS BLOB) FROM "{table}"'):
            assert anywhere(stored or b"") == [], (table, column)


async def test_a_released_value_is_known_after_a_restart(files: Files, store: str) -> None:
    key = files.key()
    async with running(store, secrets_key_file=key) as swarm:
        await swarm.put("token")
        bot = await swarm.at_work("token")
        assert await bot.values("token") == [VALUE]
        await swarm.admin.call("DELETE", "/secrets/token")

    async with running(store, secrets_key_file=key) as swarm:
        task = (await swarm.admin.post("/tasks", {"title": f"say {VALUE}"})).json["id"]
        events = (await swarm.admin.get(f"/tasks/{task}/events")).body

        assert swarm.orchestrator.rules.text(VALUE, tenant="default") != VALUE
        assert anywhere(events) == []


# ---- plans of bots ---------------------------------------------------------------------------------------------------


def using(*references: str, key: str = "k") -> dict[str, Any]:
    given = [f"secret://{reference}" for reference in references]
    return {"key": key, "description": "d", "required_skills": ["any"], "input": {"with": given}}


async def planned(swarm: Swarm, *references: str, submitted: tuple[str, ...] = ()) -> Any:
    """Return an executor at work on a subtask that a planner wrote, with these references."""
    planner, executor = [await swarm.bot(type_, type_, "default", "any") for type_ in ("Planner", "Executor")]
    sent = {"title": "t", "planner_skills": ["any"], "input": {"with": [f"secret://{each}" for each in submitted]}}
    assert (await swarm.admin.post("/tasks", {**sent, "evaluation": "none"})).status == 201
    await planner.take()
    assert (await planner.report(plan={"subtasks": [using(*references)]})).status == 200
    await executor.take()
    return executor


async def test_a_secret_that_a_planner_invents_needs_a_rule(swarm: Swarm) -> None:
    await swarm.put("payroll/password")
    executor = await planned(swarm, "payroll/password")

    assert not_found(await executor.resolve("payroll/password"))
    assert (await swarm.admin.get("/audit?action=secret.release")).json["items"] == []


async def test_a_planner_passes_on_what_the_submitter_refers_to_also_a_part_of_it(swarm: Swarm) -> None:
    await swarm.put("login", json.dumps({"user": "somebody", "password": VALUE}))
    executor = await planned(swarm, "login#password", submitted=("login",))

    assert await executor.values("login#password") == [VALUE]


async def test_a_rule_lets_plans_name_a_secret(store: str, files: Files) -> None:
    rules = (
        '[[secret]]\nname = "ci/*"\nallow = {skills = ["any"]}\n[[secret]]\nname = "hr/*"\nallow = {skills = ["hr"]}\n'
    )
    async with running(store, secrets_key_file=files.key(), secrets=files.config(rules)) as swarm:
        await swarm.put("ci/token")
        await swarm.put("hr/token")
        executor = await planned(swarm, "ci/token", "hr/token")

        assert await executor.values("ci/token") == [VALUE]
        assert not_found(await executor.resolve("hr/token"))


@pytest.mark.parametrize("submitted", [True, False])
async def test_a_secret_that_an_evaluator_adds_needs_a_rule_too(swarm: Swarm, submitted: bool) -> None:
    await swarm.put("mine")
    await swarm.put("payroll/password")
    executor, judge = [await swarm.bot(type_, type_, "default", "any") for type_ in ("Executor", "Evaluator")]
    sent = {"title": "t", "subtasks": [using("mine")], "evaluator_skills": ["any"], "evaluation": "final"}
    task_input = {"input": {"with": "secret://payroll/password"}} if submitted else {}
    assert (await swarm.admin.post("/tasks", {**sent, **task_input})).status == 201
    await executor.take()
    assert await executor.values("mine") == [VALUE], "the submitter's own subtask"
    await executor.report(output=1)
    await judge.take()
    verdict = {
        "decision": "rework",
        "score": 0.1,
        "reasons": ["more"],
        "subtasks": [using("payroll/password", key="x")],
    }
    assert (await judge.report(verdict=verdict)).status == 200
    await executor.take()
    while executor.lease["subtask"]["key"] != "x":
        await executor.report(output=1)
        await executor.take()

    answer = await executor.resolve("payroll/password")
    assert (answer.status == 200) == submitted, answer.json
    assert submitted or not_found(answer)
