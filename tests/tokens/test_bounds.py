"""Tokens of this server for some skills or for one task: what they get, see and may do, on both stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.app import Orchestrator
from swarmkeeper.core import commands
from swarmkeeper.core.errors import PermissionDenied, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.persons.records import TokenLogin
from swarmkeeper.http.app import ROUTES
from swarmkeeper.http.routers.keys import narrowed
from swarmkeeper.http.routing import StrictRoute
from swarmkeeper.settings import Settings
from swarmkeeper.tokens.own import SignedTokens
from swarmkeeper.wire.people import TokenRequest
from tests.http.conftest import BotCaller, Caller, Fleet
from tests.http.test_authorisation import NEEDS
from tests.support.postgres import server as postgres
from tests.tokens.test_own import PEPPER, Forward, bearer, made, token_of

SECOND = 1_000_000
NOWHERE = "tsk_00000000000000000000000000"


@dataclass
class World:
    swarm: Orchestrator
    admin: Caller
    bot: BotCaller  # with its key
    clock: Forward

    async def task(self, *skills: str, number: int = 1) -> str:
        subtasks = [
            {"key": f"s{index}", "description": "d", "required_skills": [skill] if skill else []}
            for index, skill in enumerate(list(skills) * number)
        ]
        answer = await self.admin.post("/tasks", {"title": "t", "subtasks": subtasks, "evaluation": "none"})
        assert answer.status == 201, answer.json
        return str(answer.json["id"])

    async def narrowed(self, **bounds: Any) -> BotCaller:
        return BotCaller(bearer(self.swarm, await token_of(self.bot.call, **bounds)), self.bot.id)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str:
    return "sqlite://:memory:" if request.param == "sqlite" else postgres().new_store()


@pytest.fixture
async def world(store: str) -> AsyncIterator[World]:
    clock = Forward()
    async with Orchestrator(Settings(store=store, pepper=PEPPER), clock=clock) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        bot = await Fleet(swarm).bot("Executor", skills=["read", "write"], capacity=64)
        yield World(swarm, admin, bot, clock)


def same(one: Any, other: Any) -> bool:
    """Whether two refusals tell the caller the same."""
    shown = [
        {name: value for name, value in each.json.items() if name not in ("request_id", "instance")}
        for each in (one, other)
    ]
    return one.status == other.status and shown[0] == shown[1]


# ---- skills --------------------------------------------------------------------------------------------------------


async def test_a_token_for_some_skills_gets_no_other_work(world: World) -> None:
    await world.task("read", "write", "")
    reader = await world.narrowed(skills=["read"])

    leases = (await reader.lease(max=9)).json["leases"]
    named = (await reader.lease(max=9, skills=["write"])).json["leases"]

    assert [lease["subtask"]["key"] for lease in leases] == ["s0", "s2"], "what requires no skill needs none"
    assert named == []
    assert len((await world.bot.lease(max=9)).json["leases"]) == 1


async def test_leases_of_other_skills_are_not_there_for_it(world: World) -> None:
    task = await world.task("write")
    (lease,) = (await world.bot.lease(claim_id="c1")).json["leases"]
    reader = await world.narrowed(skills=["read"])
    path = f"/leases/{lease['lease_id']}"
    unknown = "/leases/lse_0000000000000000"

    assert (await reader.lease(claim_id="c1")).json["leases"] == []
    result = {"bot_id": reader.id, "status": "succeeded", "output": 1}
    for call, body in ((":release", {}), (":ask", {"question": "which?"}), ("/secrets:resolve", {"names": ["n"]})):
        assert same(await reader.call.post(path + call, body), await reader.call.post(unknown + call, body)), call
    refused = await reader.call.post(f"/tasks/{task}/results", {**result, "lease_id": lease["lease_id"]})
    absent = await reader.call.post(f"/tasks/{task}/results", {**result, "lease_id": unknown[8:]})
    assert same(refused, absent)
    assert refused.json["code"] == "lease_lost"
    beat = (await reader.call.post(f"/bots/{reader.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})).json
    assert beat["leases"][0]["directive"] == "lost"
    assert (await world.bot.report(lease, output=1)).status == 200


async def test_a_bot_that_registers_with_it_has_no_more_skills(world: World) -> None:
    reader = await world.narrowed(skills=["read"])
    body = {"type": "Executor", "version": "1.0", "name": "executor", "instance": "two"}

    refused = await reader.call.post("/bots/register", {**body, "skills": ["read", "write"]})
    taken = await reader.call.post("/bots/register", body)

    assert refused.status == 403
    assert taken.json["skills"] == ["read"]


# ---- one task ------------------------------------------------------------------------------------------------------


async def test_a_token_for_one_task_gets_the_work_of_this_one(world: World) -> None:
    other = await world.task("read", number=700)  # more than are looked at for a bot
    own = await world.task("read", "write")
    narrow = await world.narrowed(task=own)

    leases = (await narrow.lease(max=9)).json["leases"]

    assert [(lease["task_id"], lease["subtask"]["key"]) for lease in leases] == [(own, "s0"), (own, "s1")]
    assert (await narrow.lease()).json == {"leases": [], "reason": "nothing_ready"}
    assert (await narrow.report(leases[0], output=1)).status == 200
    assert (await world.bot.lease()).json["leases"][0]["task_id"] == other


async def test_with_skills_as_well_it_gets_only_what_fits_both(world: World) -> None:
    await world.task("write")
    own = await world.task("read", "write")
    narrow = await world.narrowed(task=own, skills=["write"])

    assert [lease["subtask"]["key"] for lease in (await narrow.lease(max=9)).json["leases"]] == ["s1"]


async def test_a_poll_that_waits_with_it_gets_what_becomes_ready_in_its_task_alone(world: World) -> None:
    steps = [{"key": "a", "description": "d"}, {"key": "b", "description": "d", "depends_on": ["a"]}]
    own = (await world.admin.post("/tasks", {"title": "t", "subtasks": steps, "evaluation": "none"})).json["id"]
    (first,) = (await world.bot.lease()).json["leases"]
    narrow = await world.narrowed(task=own)
    waiting = asyncio.create_task(narrow.lease(wait_seconds=20))
    await asyncio.sleep(0.2)

    await world.task("read")
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await world.bot.report(first, output=1)

    async with asyncio.timeout(10):
        (lease,) = (await waiting).json["leases"]
    assert (lease["task_id"], lease["subtask"]["key"]) == (own, "b")


async def test_leases_of_other_tasks_are_not_there_for_it(world: World) -> None:
    own, other = await world.task("read"), await world.task("write")
    lease = next(
        lease for lease in (await world.bot.lease(max=9, claim_id="c1")).json["leases"] if lease["task_id"] == other
    )
    narrow = await world.narrowed(task=own)
    path, unknown = f"/leases/{lease['lease_id']}", "/leases/lse_0000000000000000"

    assert [each["task_id"] for each in (await narrow.lease(max=9, claim_id="c1")).json["leases"]] == [own]
    for call, body in ((":release", {}), (":ask", {"question": "which?"}), ("/secrets:resolve", {"names": ["n"]})):
        assert same(await narrow.call.post(path + call, body), await narrow.call.post(unknown + call, body)), call
    results = [{"lease_id": each, "status": "succeeded", "output": 1} for each in (lease["lease_id"], unknown[8:])]
    batch = (await narrow.call.post("/results", {"bot_id": narrow.id, "results": results})).json["results"]
    assert batch[0] == batch[1]
    assert batch[0]["code"] == "lease_lost"
    for task in (own, other):
        result = {"bot_id": narrow.id, "lease_id": lease["lease_id"], "status": "succeeded", "output": 1}
        assert (await narrow.call.post(f"/tasks/{task}/results", result)).status in (404, 409)
    assert (await world.bot.report(lease, output=1)).status == 200


def of(*, task: bool) -> list[StrictRoute]:
    return [route for route in ROUTES if not route.open and ("{task_id}" in route.path_format) is task]


@pytest.mark.parametrize("route", of(task=True), ids=lambda route: f"{route.method} {route.path_format}")
async def test_another_task_is_for_it_as_if_it_were_not_there(route: StrictRoute) -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:", pepper=PEPPER)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        body = {"title": "t", "subtasks": [{"key": "s0", "description": ""}]}
        own, other = [(await admin.post("/tasks", body)).json["id"] for _ in range(2)]
        narrow = bearer(swarm, await token_of(admin, task=own))
        wanted = NEEDS[f"{route.method} {route.path_format}"].body
        sent = wanted if route.method in ("POST", "PATCH") else None

        answers = [
            await narrow.call(route.method, route.path_format.format(task_id=task, subtask="s0"), sent)
            for task in (other, NOWHERE)
        ]
        at_home = await narrow.call(route.method, route.path_format.format(task_id=own, subtask="s0"), sent)

        assert same(*answers)
        assert answers[0].status == 404
        assert (at_home.status, (at_home.json or {}).get("detail")) != (404, "no such task")


@pytest.mark.parametrize("route", of(task=False), ids=lambda route: f"{route.method} {route.path_format}")
async def test_what_is_of_no_task_is_refused_except_what_its_bot_needs(route: StrictRoute) -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:", pepper=PEPPER)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        narrow = bearer(swarm, await token_of(admin, task=NOWHERE))
        names = {
            name: f"{name[:3]}_0000000000"
            for name in (
                "bot_id",
                "lease_id",
                "key_id",
                "approval_id",
                "kill_id",
                "person_id",
                "operation_id",
                "session_id",
            )
        }
        path = route.path_format.format(**names, name="n", path="0/000", index=0)
        wanted = NEEDS[f"{route.method} {route.path_format}"].body

        answer = await narrow.call(route.method, path, wanted if route.method in ("POST", "PUT", "PATCH") else None)

        of_bot = ("/leases", "/results", "/bots/register", ":heartbeat", "/token", ":release", ":ask", "s:resolve")
        is_refused = answer.status == 403 and "for one task alone" in answer.json["detail"]
        needed = route.method == "POST" and route.path_format.endswith(of_bot) and "legal" not in route.path_format
        assert is_refused is not needed, answer.json


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (lambda by: commands.Cancel(by=by, task=NOWHERE), ResourceNotFound),
        (lambda by: commands.Submit(by=by, title="t", spec=b"{}"), PermissionDenied),
        (lambda by: commands.Drain(by=by, bot="bot_1"), PermissionDenied),
    ],
)
async def test_the_engine_itself_refuses_it_whatever_the_route(command: Any, error: type[Exception]) -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:")) as swarm:
        login = TokenLogin("i", "s", "id", "k", 2**60, task="tsk_1")

        with pytest.raises(error):
            await swarm.engine.do(command(Principal("default", "key_1", "admin", token=login)))


# ---- narrower and narrower -----------------------------------------------------------------------------------------


async def test_a_token_of_a_token_keeps_its_bounds_and_ends_no_later(world: World) -> None:
    own = await world.task("read", "write")
    first = bearer(
        world.swarm, (await made(world.bot.call, skills=["read"], task=own, expires_seconds=120)).json["token"]
    )
    world.clock.ahead = 60 * SECOND

    second = (await made(first, expires_seconds=3600)).json
    third = bearer(world.swarm, second["token"])
    refused = [
        await made(third, skills=["write"]),
        await made(third, skills=["read", "write"]),
        await made(third, task=NOWHERE),
        await made(third, role="admin"),
    ]

    assert (second["skills"], second["task"]) == (["read"], own)
    assert 0 < second["expires_seconds"] <= 60
    assert [answer.status for answer in refused] == [403] * 4
    leases = (await BotCaller(third, world.bot.id).lease(max=9)).json["leases"]
    assert [lease["subtask"]["key"] for lease in leases] == ["s0"]
    world.clock.ahead = 121 * SECOND
    assert (await third.post("/token", {})).status == 401


async def test_skills_that_the_key_does_not_have_or_that_have_no_effect_are_refused() -> None:
    async with Orchestrator(Settings(store="sqlite://:memory:", pepper=PEPPER)) as swarm:
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        body = {"role": "bot:executor", "bot": "b", "skills": ["read"]}
        key = Caller(swarm.app, (await admin.post("/keys", body)).json["key"])

        assert (await made(key, skills=["write"])).status == 403
        assert (await made(key, skills=["read"])).status == 201
        without = await made(admin, role="client", skills=["read"])
        assert (without.status, without.json["errors"][0]["code"]) == (422, "no_effect")
        assert (await made(key, skills=[])).status == 422
        assert (await made(key, task="no id")).status == 422


SKILLS = st.none() | st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True)
ASKED = st.fixed_dictionaries(
    {
        "skills": SKILLS,
        "task": st.none() | st.sampled_from(["tsk_1", "tsk_2"]),
        "expires_seconds": st.integers(60, 3600),
    }
)


@given(st.lists(ASKED, min_size=1, max_size=5))
def test_no_chain_of_exchanges_ever_widens_a_token(chain: list[dict[str, Any]]) -> None:
    tokens = SignedTokens(b"p" * 32, lambda: 1_000 * SECOND)
    caller = Principal("default", "key_1", "bot:executor", skills=frozenset("abc"))
    for asked in chain:
        before = caller.token
        sent = TokenRequest(**{name: value for name, value in asked.items() if value is not None})
        try:
            wanted = narrowed(caller, sent)
        except PermissionDenied:
            continue
        text, seconds = tokens.made("pub", "key_1", "first", wanted)
        found = tokens.verified(text)
        assert found is not None
        login = found.login
        caller = replace(caller, skills=login.skills or caller.skills, token=login)
        assert seconds <= asked["expires_seconds"]
        assert asked["skills"] is None or login.skills == frozenset(asked["skills"])
        assert asked["task"] is None or login.task == asked["task"]
        if before is not None:
            assert before.skills is None or (login.skills is not None and login.skills <= before.skills)
            assert before.task in (None, login.task)
            assert login.expires_at <= before.expires_at
