"""Decisions that need a fresh sign-in, and persons whom tokens name, with a provider on this machine."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.settings import Settings
from tests.http.conftest import Answered, Caller, Fleet
from tests.tokens.provider import Provider, toml, write

RULES = (
    'when = {groups = "judges"}\ntenant = "default"\nrole = "approver"\nperson = {claim = "email"}\n',
    'when = {groups = "people"}\ntenant = "default"\nrole = "client"\nperson = {claim = "email"}\n',
    'when = {groups = "leads"}\ntenant = "default"\nrole = "client"\nscope = "tenant"\n',
)
TASK = {"title": "t", "approval": "plan", "evaluation": "none", "subtasks": [{"key": "a", "description": ""}]}
ANN, BOB = "ann@example.com", "bob@example.com"
Starts = Callable[..., Awaitable[Orchestrator]]


@pytest.fixture
async def start(provider: Provider, tmp_path: Path) -> AsyncIterator[Starts]:
    opened: list[Orchestrator] = []

    async def started(step_up: str = "", **settings: Any) -> Orchestrator:
        text = toml(provider, *RULES, leeway_seconds=0)
        if step_up:
            text = text.replace("[[issuer.rule]]", f"[issuer.step_up]\n{step_up}\n\n[[issuer.rule]]", 1)
        file = write(tmp_path / "identity.toml", text)
        pepper = "a pepper that is not in the store"
        swarm = Orchestrator(Settings(store="sqlite://:memory:", identity=str(file), pepper=pepper, **settings))
        opened.append(await swarm.__aenter__())
        object.__setattr__(swarm.app.state.services.limits, "key_check_every", 0.01)
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        for name in (ANN, BOB):
            assert (await admin.post("/persons", {"name": name})).status == 201
        return swarm

    yield started
    for swarm in opened:
        await swarm.__aexit__(None, None, None)


def holder(swarm: Orchestrator, provider: Provider, group: str = "judges", email: str = BOB, **claims: Any) -> Caller:
    token = provider.token(groups=[group], email=email, sub=email, **claims)
    return Caller(swarm.app, headers={"authorization": f"Bearer {token}"})


async def asked(swarm: Orchestrator, provider: Provider, **more: Any) -> Any:
    client = holder(swarm, provider, "people", ANN)
    task = await client.post("/tasks", {**TASK, **more})
    assert task.status == 201, task.json
    admin = Caller(swarm.app, await swarm.make_key("admin"))
    (approval,) = (await admin.get(f"/approvals?task_id={task.json['id']}")).json["items"]
    return approval


async def approve(caller: Caller, approval: Any) -> Answered:
    return await caller.post(f"/approvals/{approval['id']}:approve", {"subject_hash": approval["subject_hash"]})


def ago(seconds: float) -> int:
    return int(time.time() - seconds)


# ---- a fresh sign-in -------------------------------------------------------------------------------------------------


async def test_a_decision_is_refused_until_its_maker_has_signed_in_again(start: Starts, provider: Provider) -> None:
    swarm = await start(step_up_seconds=300)
    approval = await asked(swarm, provider)
    assert approval["step_up"] == {"max_age_seconds": 300}

    refused = await approve(holder(swarm, provider, auth_time=ago(400)), approval)
    decided = await approve(holder(swarm, provider, auth_time=ago(200)), approval)

    assert (refused.status, refused.json["code"]) == (403, "insufficient_user_authentication")
    assert "sign in again" in refused.json["detail"]
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication", ')
    assert challenge.endswith(", max_age=300")
    assert (decided.status, decided.json["state"]) == (200, "decided")


async def test_no_api_key_and_no_token_made_from_one_is_a_sign_in(start: Starts, provider: Provider) -> None:
    swarm = await start(step_up_seconds=300)
    approval = await asked(swarm, provider)
    key = Caller(swarm.app, await swarm.make_key("approver"))
    made = (await key.post("/token", {"role": "approver"})).json["token"]

    by_key = await approve(key, approval)
    by_token = await approve(Caller(swarm.app, headers={"authorization": f"Bearer {made}"}), approval)

    assert (by_key.status, "an API key is no sign-in" in by_key.json["detail"]) == (403, True)
    assert (by_token.status, by_token.json["code"]) == (403, "insufficient_user_authentication")


IN_THE_FUTURE = 1 << 33


@pytest.mark.parametrize("claims", [{}, {"auth_time": "yesterday"}, {"auth_time": IN_THE_FUTURE}])
async def test_a_token_that_does_not_say_when_its_holder_signed_in_is_not_enough(
    start: Starts, provider: Provider, claims: dict[str, Any]
) -> None:
    swarm = await start(step_up_seconds=300)

    assert (await approve(holder(swarm, provider, **claims), await asked(swarm, provider))).status == 403


async def test_a_provider_without_auth_time_may_be_trusted_to_sign_in_for_each_token(
    start: Starts, provider: Provider
) -> None:
    swarm = await start('time = "iat"', step_up_seconds=300)
    approval = await asked(swarm, provider)

    assert (await approve(holder(swarm, provider, iat=ago(400)), approval)).status == 403
    assert (await approve(holder(swarm, provider, iat=ago(200)), approval)).status == 200


async def test_the_file_may_demand_how_somebody_signs_in(start: Starts, provider: Provider) -> None:
    swarm = await start('acr = ["gold", "silver"]\namr = "hwk"', step_up_seconds=300)
    approval = await asked(swarm, provider)
    fresh: dict[str, Any] = {"auth_time": ago(10)}
    lacking: tuple[dict[str, Any], ...] = (
        {},
        {"acr": "gold"},
        {"acr": "bronze", "amr": ["hwk"]},
        {"acr": "gold", "amr": ["pwd"]},
    )

    for claims in lacking:
        refused = await approve(holder(swarm, provider, **fresh, **claims), approval)
        assert (refused.status, 'acr_values="gold silver"' in refused.headers["www-authenticate"]) == (403, True)
    assert (await approve(holder(swarm, provider, **fresh, acr="silver", amr=["pwd", "hwk"]), approval)).status == 200


async def test_the_terms_of_a_task_may_ask_for_a_fresh_sign_in(start: Starts, provider: Provider) -> None:
    swarm = await start()
    terms = {"expires_in_seconds": 3600, "step_up": {"max_age_seconds": 60}}
    approval = await asked(swarm, provider, approval_terms=terms)

    shown = await Caller(swarm.app, await swarm.make_key("admin")).get(f"/tasks/{approval['task_id']}")
    assert shown.json["approval_terms"]["step_up"] == {"max_age_seconds": 60}
    assert (await approve(holder(swarm, provider, auth_time=ago(70)), approval)).status == 403
    assert (await approve(holder(swarm, provider, auth_time=ago(50)), approval)).status == 200


async def test_a_bots_question_may_ask_for_a_fresh_sign_in(start: Starts, provider: Provider) -> None:
    swarm = await start()
    bot = await Fleet(swarm).bot("Executor")
    client = holder(swarm, provider, "people", ANN)
    await client.post("/tasks", {**TASK, "approval": "none"})
    lease = await bot.one()
    body = {"question": "which?", "step_up": {"max_age_seconds": 60}}
    approval = (await bot.call.post(f"/leases/{lease['lease_id']}:ask", body)).json["approval_id"]

    stale = await holder(swarm, provider).post(f"/approvals/{approval}:answer", {"answer": 1})
    fresh = await holder(swarm, provider, auth_time=ago(1)).post(f"/approvals/{approval}:answer", {"answer": 1})

    assert (stale.status, fresh.status) == (403, 200)


# ---- persons ---------------------------------------------------------------------------------------------------------


async def test_a_token_belongs_to_the_person_whom_its_claim_names(start: Starts, provider: Provider) -> None:
    swarm = await start()
    admin = Caller(swarm.app, await swarm.make_key("admin"))
    persons = {row["name"]: row["id"] for row in (await admin.get("/persons")).json["items"]}
    approval = await asked(swarm, provider)

    own = await approve(holder(swarm, provider, email=ANN), approval)
    made = await admin.post("/keys", {"role": "approver", "person": persons[ANN], "owner": "elsewhere"})
    by_key = await approve(Caller(swarm.app, made.json["key"]), approval)
    decided = await approve(holder(swarm, provider), approval)

    assert (own.status, by_key.status, decided.status) == (403, 403, 200)
    assert decided.json["decision"]["person"] == persons[BOB]


async def test_a_token_of_a_person_who_is_unknown_or_disabled_is_forbidden(start: Starts, provider: Provider) -> None:
    swarm = await start()
    admin = Caller(swarm.app, await swarm.make_key("admin"))
    persons = {row["name"]: row["id"] for row in (await admin.get("/persons")).json["items"]}
    bob = holder(swarm, provider)
    assert (await bob.get("/approvals")).status == 200

    unknown = await holder(swarm, provider, email="eve@example.com").get("/approvals")
    await admin.post(f"/persons/{persons[BOB]}:disable")
    disabled = await bob.get("/approvals")

    assert (unknown.status, "its person does not exist" in unknown.json["detail"]) == (403, True)
    assert (disabled.status, "its person is disabled" in disabled.json["detail"]) == (403, True)
    await admin.post(f"/persons/{persons[BOB]}:enable")
    assert (await bob.get("/approvals")).status == 200
    await admin.post(f"/persons/{persons[BOB]}:rename", {"name": "robert"})
    assert (await bob.get("/approvals")).status == 403


async def test_a_claim_that_is_missing_is_no_person(start: Starts, provider: Provider) -> None:
    swarm = await start()
    token = provider.token(groups=["people"])

    refused = await Caller(swarm.app, headers={"authorization": f"Bearer {token}"}).get("/tasks")

    assert (refused.status, "rule 2, person" in refused.json["detail"]) == (403, True)


async def test_a_client_with_a_token_sees_its_own_tasks_unless_the_rule_says_otherwise(
    start: Starts, provider: Provider
) -> None:
    swarm = await start()
    ann = holder(swarm, provider, "people", ANN)
    task = (await ann.post("/tasks", TASK)).json["id"]
    bob, wide = holder(swarm, provider, "people", BOB), holder(swarm, provider, "leads", BOB)

    assert [each["id"] for each in (await ann.get("/tasks")).json["items"]] == [task]
    assert (await bob.get("/tasks")).json["items"] == []
    assert (await bob.get(f"/tasks/{task}")).status == 404
    assert (await wide.get(f"/tasks/{task}")).status == 200
