"""Permissions over HTTP, keys, and the calls that need no key."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.govern import access
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet, key_of

OPEN = ("/", "/health", "/livez", "/readyz", "/version", "/openapi.json", "/docs")

# (method, path, body, action that the role must have)
ASKED = [
    ("POST", "/tasks", {"title": "x"}, "task.submit"),
    ("POST", "/tasks/tsk_0:cancel", None, "task.cancel"),
    ("POST", "/tasks/tsk_0:pause", None, "task.pause"),
    ("POST", "/tasks/tsk_0:resume", None, "task.resume"),
    ("POST", "/tasks/tsk_0:retry", None, "task.retry"),
    ("POST", "/tasks/tsk_0:archive", None, "task.archive"),
    ("PATCH", "/tasks/tsk_0", {"priority": 1}, "task.update"),
    ("GET", "/tasks", None, "task.read"),
    ("GET", "/bots", None, "bot.read"),
    ("POST", "/bots/bot_0:drain", None, "bot.drain"),
    ("POST", "/bots/bot_0:enable", None, "bot.enable"),
    ("DELETE", "/bots/bot_0", None, "bot.delete"),
    ("GET", "/skills", None, "skill.read"),
    ("GET", "/keys", None, "key.read"),
    ("POST", "/keys", {"role": "client"}, "key.manage"),
    ("POST", "/keys/key_0:revoke", None, "key.manage"),
    ("POST", "/keys/key_0:rotate", None, "key.manage"),
    ("GET", "/events", None, "event.read"),
    ("POST", "/leases", {"bot_id": "bot_0", "wait_seconds": 0}, "work.lease"),
    ("GET", "/metrics", None, "ops.metrics"),
    ("GET", "/readyz?verbose", None, "ops.verbose"),
]


@pytest.mark.parametrize("role", list(access.ROLES))
async def test_a_role_may_do_what_the_table_says_and_nothing_else(swarm: Orchestrator, role: str) -> None:
    caller = Caller(swarm.app, await key_of(swarm, "default", role))
    allowed = set()
    for method, path, body, action in ASKED:
        answer = await caller.call(method, path, body)
        assert answer.status != 401
        if answer.status != 403:
            allowed.add(action)

    assert allowed == {action for *_, action in ASKED if action in access.ROLES[role]}


async def test_everything_but_the_open_calls_needs_a_key(nobody: Caller) -> None:
    for number, (method, path, body, _) in enumerate(ASKED):
        stranger = Caller(nobody.app, client=f"10.0.0.{number}")
        assert (await stranger.call(method, path, body)).status == 401
    for path in OPEN:
        assert (await nobody.get(path)).status == (307 if path == "/" else 200)


async def test_a_bot_key_belongs_to_one_bot_of_one_type(admin: Caller, fleet: Fleet) -> None:
    bot, other = await fleet.bot("Executor", "one"), await fleet.bot("Executor", "two")

    for_another = await bot.call.post("/leases", {"bot_id": other.id, "wait_seconds": 0})
    other_name = await bot.call.post("/bots/register", {"type": "Executor", "version": "1", "name": "three"})
    other_type = await bot.call.post("/bots/register", {"type": "Planner", "version": "1"})
    again = await bot.call.post("/bots/register", {"type": "executor", "version": "2", "skills": ["a"]})

    assert [each.status for each in (for_another, other_name, other_type)] == [403] * 3
    assert (again.status, again.json["id"], again.json["version"], again.json["skills"]) == (200, bot.id, "2", ["a"])
    assert (await bot.call.get(f"/bots/{bot.id}")).status == 200
    assert (await bot.call.get(f"/bots/{other.id}")).status == 403


async def test_a_bot_reads_the_tasks_it_works_on_and_no_others(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    subtasks = [{"key": "a", "description": ""}]
    mine = (await client.post("/tasks", {"title": "mine", "subtasks": subtasks})).json["id"]
    await bot.one()
    other = (await client.post("/tasks", {"title": "other", "subtasks": subtasks})).json["id"]

    assert (await bot.call.get(f"/tasks/{mine}")).status == 200
    assert (await bot.call.get(f"/tasks/{other}")).status == 404
    assert (await bot.call.get("/tasks")).status == 403


async def test_an_auditor_sees_everything_but_outputs(swarm: Orchestrator, client: Caller, fleet: Fleet) -> None:
    auditor = Caller(swarm.app, await key_of(swarm, "default", "auditor"))
    bot = await fleet.bot("Executor")
    body = {"title": "t", "evaluation": "none", "subtasks": [{"key": "a", "description": ""}]}
    path = f"/tasks/{(await client.post('/tasks', body)).json['id']}"
    await bot.report(await bot.one(), output="secret")

    assert (await client.get(path)).json["result"] == {"a": "secret"}
    assert (await auditor.get(path)).json["result"] is None
    assert (await auditor.get(f"{path}/subtasks/a")).json["output"] is None
    assert (await auditor.get(f"{path}/subtasks/a/output")).status == 403


async def test_a_new_key_is_shown_once_and_works_until_it_is_revoked(admin: Caller) -> None:
    made = await admin.post("/keys", {"role": "client", "owner": "ann", "expires_days": 1}, idempotency_key="k1")
    again = await admin.post("/keys", {"role": "client", "owner": "ann", "expires_days": 1}, idempotency_key="k1")
    holder = admin.with_key(made.json["key"])

    assert (made.status, made.json["owner"], made.json["id"]) == (201, "ann", again.json["id"])
    assert "key" not in again.json
    assert all("key" not in each for each in (await admin.get("/keys")).json["items"])
    assert (await holder.get("/tasks")).status == 200
    assert (await admin.post(f"/keys/{made.json['id']}:revoke")).json["revoked_at"] is not None
    assert (await holder.get("/tasks")).status == 401
    refused = await admin.post(f"/keys/{made.json['id']}:rotate")
    assert (refused.status, refused.json["code"]) == (409, "illegal_transition")


async def test_a_rotated_key_has_two_secrets_for_a_while(swarm: Orchestrator, admin: Caller) -> None:
    made = (await admin.post("/keys", {"role": "client"})).json
    old = admin.with_key(made["key"])

    with_overlap = (await admin.post(f"/keys/{made['id']}:rotate", {"overlap_seconds": 60})).json
    middle = admin.with_key(with_overlap["key"])
    assert (with_overlap["id"], with_overlap["key"] != made["key"]) == (made["id"], True)
    assert [(await each.get("/tasks")).status for each in (old, middle)] == [200, 200]

    newest = admin.with_key((await admin.post(f"/keys/{made['id']}:rotate")).json["key"])
    assert [(await each.get("/tasks")).status for each in (old, middle, newest)] == [401, 401, 200]


async def test_a_key_is_used_only_from_its_networks(swarm: Orchestrator, admin: Caller) -> None:
    networks = ["10.1.0.0/16", "2001:db8::/32"]
    made = (await admin.post("/keys", {"role": "client", "networks": networks})).json

    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"):
        for _ in range(2):  # the second time from memory
            assert (await Caller(swarm.app, made["key"], client=address).get("/tasks")).status == 200
    for address in ("10.2.0.1", "2001:db9::1", "127.0.0.1", "", "10.1.2.3.example"):
        refused = await Caller(swarm.app, made["key"], client=address).get("/tasks")
        assert (refused.status, refused.json["code"]) == (401, "unauthenticated")
    assert made["networks"] == networks


async def test_calls_from_elsewhere_with_a_good_key_are_told_apart_in_the_audit_log(
    swarm: Orchestrator, admin: Caller
) -> None:
    made = (await admin.post("/keys", {"role": "client", "networks": ["10.1.0.0/16"]})).json
    for _ in range(3):
        await Caller(swarm.app, made["key"], client="192.0.2.1").get("/tasks")
    await swarm._identity.accesses.write(swarm.engine.do_all)

    refused = [each for each in (await admin.get("/audit")).json["items"] if each["event"] == "access.refused"]
    assert [each["payload"]["code"] for each in refused] == ["key_network"]
    assert refused[0]["payload"]["count"] == 3


@pytest.mark.parametrize("networks", [[], ["10.1.0.1/16"], ["home"], ["10.1.0.0/33"], [7], ["10.0.0.0/8"] * 33])
async def test_what_is_no_network_is_refused_with_its_place(admin: Caller, networks: Any) -> None:
    refused = await admin.post("/keys", {"role": "client", "networks": networks})

    assert refused.status == 422
    assert refused.json["errors"][0]["pointer"].startswith("/networks")


@pytest.mark.parametrize(("days", "expires"), [(None, 365), (0, None), (7, 7)])
async def test_a_key_expires_after_a_year_unless_it_says_otherwise(
    admin: Caller, days: int | None, expires: int | None
) -> None:
    asked = {"role": "client"} if days is None else {"role": "client", "expires_days": days}
    made = (await admin.post("/keys", asked)).json

    if expires is None:
        assert made["expires_at"] is None
    else:
        lasts = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
        assert abs(lasts - timedelta(days=expires)) < timedelta(minutes=1)


async def test_a_servers_own_number_of_days_counts_for_new_keys() -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:", key_days=0)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        assert (await admin.post("/keys", {"role": "client"})).json["expires_at"] is None


async def test_a_key_shows_when_it_was_last_used(swarm: Orchestrator, admin: Caller) -> None:
    made = (await admin.post("/keys", {"role": "client"})).json
    assert made["last_used"] is None
    await admin.with_key(made["key"]).get("/tasks")
    await swarm._identity.accesses.write(swarm.engine.do_all, at_once=True)

    shown = {each["id"]: each["last_used"] for each in (await admin.get("/keys")).json["items"]}
    assert shown[made["id"]] is not None
    assert abs(datetime.now(UTC) - datetime.fromisoformat(shown[made["id"]])) < timedelta(minutes=1)


async def test_metrics_are_open_on_this_machine_only_if_enabled(swarm: Orchestrator, nobody: Caller) -> None:
    assert (await nobody.get("/metrics")).status == 401
    object.__setattr__(swarm.app.state.services.limits, "metrics_open", True)

    assert (await nobody.get("/metrics")).headers["content-type"].startswith("text/plain")
    for name in ("x_forwarded_for", "x_forwarded_host", "x_real_ip", "forwarded", "via", "cf_connecting_ip"):
        assert (await nobody.get("/metrics", **{name: "10.0.0.1"})).status == 401, name
    assert (await Caller(swarm.app, client="10.0.0.1").get("/metrics")).status == 401


async def test_open_metrics_are_for_no_page_of_a_name_that_leads_to_this_machine(
    swarm: Orchestrator, nobody: Caller
) -> None:
    """DNS rebinding: the browser calls from this machine, and says in `Host` whose name it has resolved."""
    limits = swarm.app.state.services.limits
    object.__setattr__(limits, "metrics_open", True)
    object.__setattr__(limits, "public_url", "https://swarm.example.org")

    for host in ("localhost:8080", "127.0.0.1:8080", "127.0.0.2", "[::1]:8080", "Swarm.Example.Org"):
        assert (await nobody.get("/metrics", host=host)).status == 200, host
    hostile = (
        *("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"),
        *("swarm.example.org.evil.example", "swarm.example.org:8080", "localhost@evil.example", "[::1", "0.0.0.0"),
    )
    for number, host in enumerate(
        hostile, 1
    ):  # from many addresses: too many refused calls of one are refused for that
        caller = Caller(swarm.app, client=f"127.0.1.{number}")
        assert (await caller.get("/metrics", host=host)).status == 401, host
    object.__setattr__(limits, "public_url", "")
    assert (await nobody.get("/metrics", host="swarm.example.org")).status == 401


async def test_readiness_shows_operators_more(swarm: Orchestrator, admin: Caller, nobody: Caller) -> None:
    assert (await nobody.get("/readyz")).json == {"status": "ok"}
    assert (await admin.get("/readyz?verbose")).json["engine"] == "running"
    swarm.drain()
    unready = await nobody.get("/readyz")
    assert (unready.status, unready.json) == (503, {"status": "unready"})


async def test_releasing_without_permission_is_forbidden_rather_than_lease_lost(
    swarm: Orchestrator, client: Caller, nobody: Caller
) -> None:
    auditor = nobody.with_key(await swarm.make_key("auditor"))
    for caller in (client, auditor):
        answer = await caller.post("/leases/lse_1:release", {})
        assert (answer.status, answer.json["code"]) == (403, "forbidden")


async def test_guessing_keys_is_slowed_down_and_a_valid_key_is_not(
    swarm: Orchestrator, admin: Caller, nobody: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarm._identity, "_monotonic", lambda: 1)  # however long the calls take here
    await admin.get("/health")
    assert (await admin.get("/tasks")).status == 200
    guesses = [await nobody.get("/tasks", x_api_key="swk_guess") for _ in range(12)]

    assert [each.status for each in guesses] == [401] * 10 + [429] * 2
    assert (guesses[-1].json["code"], guesses[-1].headers["retry-after"]) == ("rate_limited", "1")
    assert (await admin.get("/tasks")).status == 200
    assert (await Caller(nobody.app, client="10.0.0.9").get("/tasks")).status == 401


async def test_behind_a_trusted_proxy_callers_are_distinguished_by_the_forwarded_address(
    swarm: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swarm._identity, "_monotonic", lambda: 1)  # however long the calls take here
    limits = swarm.app.state.services.limits
    object.__setattr__(limits, "trusted_proxies", ("127.0.0.0/8",))
    proxy, stranger = Caller(swarm.app), Caller(swarm.app, client="10.0.0.9")
    for _ in range(10):
        assert (await proxy.get("/tasks", x_forwarded_for="1.1.1.1, 2.2.2.2")).status == 401

    assert (await proxy.get("/tasks", x_forwarded_for="9.9.9.9, 2.2.2.2")).status == 429
    assert (await proxy.get("/tasks", x_forwarded_for="2.2.2.2, 3.3.3.3")).status == 401
    # X-Forwarded-For is ignored unless it comes from a trusted proxy.
    assert (await stranger.get("/tasks", x_forwarded_for="2.2.2.2")).status == 401


async def test_refusals_of_a_valid_key_are_logged_and_counted(
    swarm: Orchestrator, client: Caller, admin: Caller
) -> None:
    for _ in range(3):
        assert (await client.get("/keys")).status == 403

    (refused,) = await written(swarm, b"access.refused")
    assert b'"count":3' in refused["body"]


async def written(swarm: Orchestrator, action: bytes) -> list[Any]:
    """Have written what was counted, and return the records with this action."""
    await swarm._identity.accesses.write(swarm.engine.do_all, at_once=True)
    leaves = await swarm.store.read("audit_records", {"tenant": "default", "place": 0, "size": 100, "n": 100})
    return [leaf for leaf in leaves if leaf["action"] == action]


async def test_calls_without_a_key_and_looks_at_what_is_not_there_are_recorded(
    swarm: Orchestrator, client: Caller
) -> None:
    stranger = Caller(swarm.app, client="10.0.0.9")
    for _ in range(4):
        assert (await stranger.get("/tasks")).status == 401
        assert (await client.get("/tasks/tsk_0123456789ABCDEFGHIJKLMNOP")).status == 404

    bodies = [record["body"] for record in await written(swarm, b"access.refused")]

    assert len(bodies) == 2
    assert b'"code":"not_found","count":4' in bodies[0]
    assert b'"code":"authentication_failed","count":4' in bodies[1]
    assert b"10.0.0.9" in bodies[1]


async def test_reads_of_outputs_and_of_keys_are_recorded_with_their_number(
    swarm: Orchestrator, client: Caller, admin: Caller, fleet: Fleet
) -> None:
    executor = await fleet.bot("Executor")
    wanted = {"title": "x", "subtasks": [{"key": "a", "description": "y"}], "evaluation": "none"}
    task = (await client.post("/tasks", wanted)).json["id"]
    assert (await client.get(f"/tasks/{task}")).json["result"] is None
    assert await written(swarm, b"output.read") == [], "there is no output yet"
    await executor.report(await executor.one(), output={"n": 1})
    for path in ("", "/subtasks/a", "/subtasks/a/output"):
        assert (await client.get(f"/tasks/{task}{path}")).status == 200
    assert (await admin.get("/keys")).status == 200

    (outputs,) = await written(swarm, b"output.read")
    (listed,) = await written(swarm, b"key.read")

    assert b'"count":3' in outputs["body"]
    assert outputs["task"] == task.encode()
    assert b'"count":1' in listed["body"]
