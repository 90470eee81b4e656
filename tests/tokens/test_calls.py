"""Calls with tokens: what they may do, how they end, and what the audit log says of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.access.identity import LOOKUPS_A_SECOND
from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from tests.http.conftest import BotCaller, Caller, Fleet
from tests.http.signed_in import signed_in
from tests.tokens.provider import Provider, SigningKey, toml, write

RULES = (
    'when = {groups = "bots"}\ntenant = "default"\nrole = "bot:executor"\nbot_name = {claim = "sub"}\n',
    'when = {groups = "judges"}\ntenant = "default"\nrole = "approver"\nowner = {claim = "email"}\n',
    'when = {groups = "people"}\ntenant = "default"\nrole = "client"\nowner = {claim = "email"}\nscope = "tenant"\n',
    'when = {groups = "audit"}\ntenant = "default"\nrole = "admin"\n',
    'when = {groups = "strangers"}\ntenant = "nowhere"\nrole = "client"\n',
)
TASK = {"title": "t", "evaluation": "none", "subtasks": [{"key": "a", "description": ""}]}


@pytest.fixture
async def swarm(provider: Provider, tmp_path: Path) -> AsyncIterator[Orchestrator]:
    file = write(tmp_path / "identity.toml", toml(provider, *RULES, leeway_seconds=0))
    async with Orchestrator(Settings(store="sqlite://:memory:", identity=str(file))) as swarm:
        object.__setattr__(swarm.app.state.services.limits, "key_check_every", 0.01)
        await swarm.make_key("admin")  # the tenant comes into being with it
        yield swarm


@pytest.fixture
async def admin(swarm: Orchestrator) -> Caller:
    return Caller(swarm.app, await swarm.make_key("admin"))


@pytest.fixture
async def fleet(swarm: Orchestrator) -> Fleet:
    return Fleet(swarm)


def bearer(swarm: Orchestrator, token: str, **more: str) -> Caller:
    return Caller(swarm.app, headers={"authorization": f"Bearer {token}", **more})


def holder(swarm: Orchestrator, provider: Provider, *groups: str, **claims: Any) -> Caller:
    return bearer(swarm, provider.token(groups=groups, **claims))


async def bot_of(swarm: Orchestrator, provider: Provider, name: str = "reader", **claims: Any) -> BotCaller:
    caller = holder(swarm, provider, "bots", sub=name, **claims)
    answer = await caller.post("/bots/register", {"type": "Executor", "version": "1"})
    assert answer.status in (200, 201), answer.json
    return BotCaller(caller, answer.json["id"])


async def test_a_bot_and_a_client_work_with_tokens_alone(swarm: Orchestrator, provider: Provider) -> None:
    client = holder(swarm, provider, "people", email="ann@example.com")
    bot = await bot_of(swarm, provider)

    made = await client.post("/tasks", TASK)
    await bot.report(await bot.one(), output=1)

    assert (await client.get(f"/tasks/{made.json['id']}")).json["outcome"] == "accepted"
    assert (await client.get("/keys")).status == 403
    assert (await bot.call.post("/tasks", TASK)).status == 403
    assert provider.calls == 1


async def test_a_token_is_bound_to_one_bot_over_all_its_renewals(swarm: Orchestrator, provider: Provider) -> None:
    client = holder(swarm, provider, "people", email="ann@example.com")
    bot, other = await bot_of(swarm, provider), await bot_of(swarm, provider, "writer")
    await client.post("/tasks", TASK)
    lease = await bot.one()

    renewed = BotCaller(holder(swarm, provider, "bots", sub="reader", jti="2"), bot.id)
    stranger = BotCaller(other.call, bot.id)

    assert (await stranger.lease()).status == 403
    assert (await stranger.report(lease, output=1)).status == 403
    assert (await renewed.report(lease, output=1)).json["accepted"]


async def test_a_token_that_no_rule_fits_is_good_and_forbidden(swarm: Orchestrator, provider: Provider) -> None:
    for groups in ([], ["guests"]):
        refused = await holder(swarm, provider, *groups).get("/tasks")
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
        assert "no rule" in refused.json["detail"]


async def test_a_token_of_a_tenant_that_does_not_exist_is_forbidden(swarm: Orchestrator, provider: Provider) -> None:
    refused = await holder(swarm, provider, "strangers").post("/tasks", TASK)

    assert (refused.status, "its tenant does not exist" in refused.json["detail"]) == (403, True)


async def test_a_bad_token_is_refused_with_the_reason_and_the_scheme(swarm: Orchestrator, provider: Provider) -> None:
    refused = await holder(swarm, provider, "people", exp=int(time.time()) - 60).get("/tasks")

    assert (refused.status, refused.json["code"]) == (401, "unauthenticated")
    assert refused.json["detail"] == "the token is not accepted: it has expired"
    assert refused.headers["www-authenticate"].startswith("Bearer")


async def test_without_issuers_no_token_is_accepted(provider: Provider) -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:")) as swarm:
        assert (await holder(swarm, provider, "people").get("/tasks")).status == 401


async def test_readiness_says_which_issuer_does_not_give_its_keys(
    swarm: Orchestrator, provider: Provider, admin: Caller
) -> None:
    provider.fails = "500"
    unknown = await holder(swarm, provider, "people").get("/tasks")

    assert (unknown.status, unknown.json["code"], unknown.json["retryable"]) == (503, "overloaded", True)
    assert unknown.headers["retry-after"] == "2"
    assert (await admin.get("/readyz?verbose")).json["warnings"] == [
        f"the keys of the issuer {provider.url} cannot be read: it answered with 500"
    ]


async def test_a_key_and_a_token_at_once_are_refused(swarm: Orchestrator, provider: Provider) -> None:
    token, key = provider.token(groups=["people"], email="a@b.example"), await swarm.make_key("client")

    assert (await bearer(swarm, token).get("/tasks")).status == 200
    assert (await bearer(swarm, token, **{"x-api-key": key}).get("/tasks")).status == 401
    assert (await bearer(swarm, token, **{"x-api-key": token}).get("/tasks")).status == 401
    assert (await Caller(swarm.app, token).get("/tasks")).status == 401  # only as a bearer
    assert (await bearer(swarm, key).get("/tasks")).status == 200  # a key may be one, as before
    assert (await bearer(swarm, key, **{"x-api-key": key}).get("/tasks")).status == 200


async def test_a_stream_ends_when_its_token_expires(swarm: Orchestrator, provider: Provider) -> None:
    caller = holder(swarm, provider, "audit", exp=int(time.time()) + 2)
    pieces: asyncio.Queue[Any] = asyncio.Queue()

    async with asyncio.timeout(5):
        await caller.stream("GET", "/events", None, pieces, headers={"accept": "text/event-stream"})
    assert (await pieces.get())["status"] == 200
    assert (await caller.get("/tasks")).status == 401


async def test_a_poll_ends_when_its_token_expires_and_not_sooner(swarm: Orchestrator, provider: Provider) -> None:
    short = await bot_of(swarm, provider, exp=int(time.time()) + 2)
    long = BotCaller(holder(swarm, provider, "bots", sub="reader"), short.id)
    waiting = asyncio.create_task(long.lease(wait_seconds=30))
    await asyncio.sleep(0.1)  # it waits before the other one begins

    async with asyncio.timeout(5):
        ended = await short.lease(wait_seconds=30)
    assert (ended.status, ended.json["code"]) == (401, "unauthenticated")
    await asyncio.sleep(0.05)
    assert not waiting.done()  # another token of the same subject
    waiting.cancel()


async def test_a_wait_ends_when_the_issuer_withdraws_the_key(swarm: Orchestrator, provider: Provider) -> None:
    client = holder(swarm, provider, "people", email="ann@example.com")
    made = await client.post("/tasks", TASK)
    waiting = asyncio.create_task(client.get(f"/tasks/{made.json['id']}?wait_seconds=30"))
    await asyncio.sleep(0.05)
    assert not waiting.done()

    provider.keys = [SigningKey.made("RS256", "next")]
    assert swarm._tokens is not None
    (issuer,) = swarm._tokens._issuers.values()
    for name in ("_read_at", "_tried_at"):
        setattr(issuer.keys, name, getattr(issuer.keys, name) - 301_000_000)  # jwks_seconds is 300

    async with asyncio.timeout(5):
        assert (await waiting).status == 401
    assert (await client.get("/tasks")).status == 401


async def audited(swarm: Orchestrator, admin: Caller, event: str) -> list[Any]:
    await swarm._identity.accesses.write(swarm.engine.do_all, at_once=True)
    return [each for each in (await admin.get("/audit?page_size=200")).json["items"] if each["event"] == event]


async def test_the_audit_log_says_whose_token_it_was_and_never_the_token(
    swarm: Orchestrator, provider: Provider, admin: Caller
) -> None:
    token = provider.token(groups=["people"], email="ann@example.com", sub="ann")
    caller = bearer(swarm, token)
    await caller.post("/tasks", TASK)
    await caller.get("/keys")

    (submitted,) = await audited(swarm, admin, "task.submit")
    whole = (await admin.get("/audit?page_size=200")).body.decode()

    assert submitted["payload"]["identity"] == {"issuer": provider.url, "subject": "ann"}
    assert submitted["actor"]["key"].startswith("oid_")
    assert token not in whole
    assert token.rpartition(".")[2] not in whole


async def test_a_subject_that_is_personal_is_redacted_in_the_audit_log(
    swarm: Orchestrator, provider: Provider, admin: Caller
) -> None:
    await holder(swarm, provider, "people", email="ann@example.com", sub="ann@example.com").post("/tasks", TASK)

    (submitted,) = await audited(swarm, admin, "task.submit")
    assert submitted["payload"]["identity"]["subject"].startswith("[redacted:")
    assert "ann@example.com" not in (await admin.get("/audit?page_size=200")).body.decode()


async def test_refused_tokens_are_counted_by_source_and_slowed_down(
    swarm: Orchestrator, provider: Provider, admin: Caller
) -> None:
    bad = Caller(swarm.app, headers={"authorization": f"Bearer {provider.token()}x"}, client="192.0.2.7")
    good = Caller(
        swarm.app,
        headers={"authorization": f"Bearer {provider.token(groups=['people'], email='a@b.example')}"},
        client="192.0.2.7",
    )

    answers = [(await bad.get("/tasks")).status for _ in range(15)]
    assert set(answers) == {401, 429}
    assert answers[:10] == [401] * 10
    assert (await good.get("/tasks")).status == 200  # a good token is never refused for that

    (refused,) = await audited(swarm, admin, "access.refused")
    assert (refused["payload"]["source"], refused["payload"]["count"]) == ("192.0.2.7", 15)


async def test_a_refusal_by_role_is_audited_with_the_subject(
    swarm: Orchestrator, provider: Provider, admin: Caller
) -> None:
    caller = holder(swarm, provider, "people", email="ann@example.com")
    assert (await caller.get("/keys")).status == 403
    assert (await caller.post("/bots/register", {"type": "Executor", "version": "1"})).status == 403

    refused = await audited(swarm, admin, "access.refused")
    assert refused
    assert {each["payload"]["identity"]["subject"] for each in refused} == {"ann"}


# ---- four eyes -------------------------------------------------------------------------------------------------------


async def decided(swarm: Orchestrator, judge: Caller) -> int:
    """Return the status of a decision on the plan that waits for one."""
    (approval,) = (await judge.get("/approvals?state=open")).json["items"]
    answer = await judge.post(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})
    return answer.status


PLANNED = {**TASK, "approval": "plan"}


async def test_nobody_approves_the_task_of_their_own_token(swarm: Orchestrator, provider: Provider) -> None:
    """By the subject, and by the owner, although a token leaves no row that names its owner."""
    ann = {"sub": "ann", "email": "ann@example.com"}
    assert (await holder(swarm, provider, "people", **ann).post("/tasks", PLANNED)).status == 201

    assert await decided(swarm, holder(swarm, provider, "judges", **ann)) == 403
    assert await decided(swarm, holder(swarm, provider, "judges", **{**ann, "email": "a.n@example.com"})) == 403
    assert await decided(swarm, holder(swarm, provider, "judges", **{**ann, "sub": "other"})) == 403
    assert await decided(swarm, holder(swarm, provider, "judges", sub="bob", email="bob@example.com")) == 200


async def test_keys_and_tokens_of_one_owner_are_one_person(swarm: Orchestrator, provider: Provider) -> None:
    ann = {"sub": "ann", "email": "ann@example.com"}
    key = Caller(swarm.app, await swarm.make_key("approver", owner="ann@example.com"))
    other = Caller(swarm.app, await swarm.make_key("approver", owner="bob@example.com"))
    await holder(swarm, provider, "people", **ann).post("/tasks", PLANNED)

    assert await decided(swarm, key) == 403
    assert await decided(swarm, other) == 200

    client = Caller(swarm.app, await swarm.make_key("client", owner="ann@example.com"))
    await client.post("/tasks", PLANNED)
    assert await decided(swarm, holder(swarm, provider, "judges", **ann)) == 403


async def test_nobody_approves_a_plan_of_a_bot_for_the_task_of_their_own_token(
    swarm: Orchestrator, provider: Provider, fleet: Fleet
) -> None:
    ann = {"sub": "ann", "email": "ann@example.com"}
    planner = await fleet.bot("Planner")
    made = await holder(swarm, provider, "people", **ann).post(
        "/tasks", {"title": "t", "evaluation": "none", "approval": "plan"}
    )
    assert made.status == 201
    await planner.report(await planner.one(), plan={"subtasks": [{"key": "a", "description": ""}]})

    assert await decided(swarm, holder(swarm, provider, "judges", **ann)) == 403
    assert await decided(swarm, holder(swarm, provider, "judges", **{**ann, "sub": "other"})) == 403
    assert await decided(swarm, holder(swarm, provider, "judges", sub="bob", email="bob@example.com")) == 200


async def test_nobody_approves_what_their_own_token_asked_for_again(swarm: Orchestrator, provider: Provider) -> None:
    ann = {"sub": "ann", "email": "ann@example.com"}
    client = Caller(swarm.app, await swarm.make_key("client", owner="zoe"))
    bob = holder(swarm, provider, "judges", sub="bob", email="bob@example.com")
    made = await client.post("/tasks", PLANNED)
    (approval,) = (await bob.get("/approvals?state=open")).json["items"]
    rejected = await bob.post(f"/approvals/{approval['id']}:reject", {"reason": "no"})
    assert rejected.status == 200, rejected.json

    retried = await holder(swarm, provider, "people", **ann).post(f"/tasks/{made.json['id']}:retry")

    assert retried.status == 200, retried.json
    assert await decided(swarm, holder(swarm, provider, "judges", **ann)) == 403
    assert await decided(swarm, holder(swarm, provider, "judges", **{**ann, "sub": "other"})) == 403
    assert await decided(swarm, bob) == 200


async def test_a_flood_of_bad_tokens_has_only_so_many_verified_and_a_known_good_one_goes_on(
    swarm: Orchestrator, provider: Provider
) -> None:
    def caller(token: str) -> Caller:
        return Caller(swarm.app, headers={"authorization": f"Bearer {token}"}, client="192.0.2.7")

    good = caller(provider.token(groups=["people"], email="a@b.example"))
    assert (await good.get("/tasks")).status == 200
    assert swarm._tokens is not None
    before, began = swarm._tokens.verified, time.monotonic()

    bad = provider.token(groups=["people"]).rpartition(".")[0]
    for number in range(3 * LOOKUPS_A_SECOND):
        answer = await caller(f"{bad}.{number:04x}{'A' * 338}").get("/tasks")
        assert answer.status == (401 if number < 10 else answer.status)
    seconds = time.monotonic() - began

    assert answer.status == 429
    assert swarm._tokens.verified - before <= LOOKUPS_A_SECOND * (1 + seconds)
    assert LOOKUPS_A_SECOND <= swarm._tokens.verified - before < 3 * LOOKUPS_A_SECOND
    assert (await good.get("/tasks")).status == 200
    elsewhere = holder(swarm, provider, "people", email="c@d.example")
    assert (await elsewhere.get("/tasks")).status == 200


async def test_good_tokens_do_not_count_however_many_come(swarm: Orchestrator, provider: Provider) -> None:
    for number in range(LOOKUPS_A_SECOND + 20):
        token = provider.token(groups=["people"], email=f"{number}@b.example", sub=f"p{number}")
        assert (await bearer(swarm, token).get("/tasks")).status == 200


async def test_a_session_that_a_providers_token_opened_is_the_same_caller_and_ends_with_the_token(
    swarm: Orchestrator, provider: Provider
) -> None:
    token = provider.token(groups=["judges"], email="ann@example.com", exp=int(time.time()) + 2)
    by_token = bearer(swarm, token)
    by_cookie = await signed_in(bearer(swarm, token))

    one, other = (await by_token.get("/session")).json, (await by_cookie.get("/session")).json

    assert {**one, "session_id": None} == {**other, "session_id": None}
    assert (other["role"], other["owner"]) == ("approver", "ann@example.com")
    assert token not in repr(await swarm.store.read("session_row", {"session": other["session_id"]}))
    await asyncio.sleep(2.1)
    assert (await by_cookie.get("/session")).status == 401
