"""What an answer with leases shows is what the store has, although nothing is read for it after the commit."""

import asyncio
import gc
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.engine.lease_facts import Granted
from swarmkeeper.reads import lease_views
from swarmkeeper.reads.lease_views import Leases
from swarmkeeper.reads.payload_cache import PayloadCache
from tests.http.conftest import BotCaller, Caller, Fleet, Json


class Shown:
    """The leases shown since the last look, each with its view."""

    def __init__(self, swarm: Orchestrator) -> None:
        self._swarm = swarm
        self.leases: list[tuple[Granted, Json]] = []

    async def checked(self) -> int:
        """Compare each view with the one read from the store; return how many there were."""
        found, self.leases = self.leases, []
        store: Any = self._swarm.store
        for granted, view in found:
            # Not from its cache, which has what this process wrote.
            (read,) = await Leases(store, PayloadCache(store)).views([replace(granted, facts=None)])
            assert msgspec.json.encode(view) == msgspec.json.encode(read)  # the order counts, too
        self.leases = []
        return len(found)


@pytest.fixture
def shown(swarm: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> Shown:
    shown = Shown(swarm)
    right = lease_views.view

    def view(granted: Granted) -> Json:
        made = right(granted)
        shown.leases.append((granted, made))
        return made

    monkeypatch.setattr(lease_views, "view", view)
    return shown


def subtask(key: str, *depends_on: Json, **more: Json) -> Json:
    return {"key": key, "description": f"do {key}", "depends_on": list(depends_on), **more}


async def work(bot: BotCaller, shown: Shown, most: int, **content: Json) -> int:
    """Do all that the bot may have, one claim with each report; return how many leases it got."""
    leases = (await bot.lease(max=most)).json["leases"]
    count = await shown.checked()
    while leases:
        answer = await bot.report(leases.pop(0), **content, claim={"max": most})
        assert answer.status == 200, answer.json
        leases += answer.json["leases"]
        count += await shown.checked()
    return count


@pytest.mark.parametrize("evaluation", ["final", "each"])
async def test_views_of_plans_subtasks_and_reviews_are_as_read(
    client: Caller, fleet: Fleet, shown: Shown, evaluation: str
) -> None:
    planner, evaluator = await fleet.bot("Planner"), await fleet.bot("Evaluator", capacity=8)
    executor = await fleet.bot("Executor", capacity=8)
    body = {"title": "t", "description": "d", "input": {"a": [1, "ü"]}, "labels": {"x": "y"}, "evaluation": evaluation}
    task = (await client.post("/tasks", body)).json["id"]
    plan = [
        subtask("z", input={"n": 1.5}),
        subtask("a", input={"k": None}, max_attempts=1),
        subtask("join", "z", {"key": "a", "when": "done"}),
        subtask("end", "join"),
    ]

    counts = [await work(planner, shown, 1, plan={"subtasks": plan})]
    for _ in range(6):
        counts.append(await work(executor, shown, 4, output={"done": [True, None]}))
        counts.append(await work(evaluator, shown, 4, verdict={"decision": "accept", "reasons": ["good"]}))

    assert (await client.get(f"/tasks/{task}")).json["outcome"] == "accepted"
    assert sum(counts) == (1 + 4 + 1 if evaluation == "final" else 1 + 4 + 4 + 1)


async def test_a_failed_parent_is_not_upstream(client: Caller, fleet: Fleet, shown: Shown) -> None:
    bot = await fleet.bot("Executor", capacity=2)
    plan = [
        subtask("bad", max_attempts=1, on_failure="continue"),
        subtask("good"),
        subtask("next", {"key": "bad", "when": "done"}, "good"),
    ]
    await client.post("/tasks", {"title": "t", "evaluation": "none", "subtasks": plan})
    bad, good = (await bot.lease(max=2)).json["leases"]
    await bot.report(bad, error={"class": "not_retryable", "message": "no"})
    await shown.checked()

    answer = await bot.report(good, output=41, claim={"max": 1})

    assert answer.json["leases"][0]["upstream"] == {"good": 41}
    assert await shown.checked() == 1


async def test_what_a_verdict_adds_is_shown_with_the_results_it_needs(
    client: Caller, fleet: Fleet, shown: Shown
) -> None:
    executor, evaluator = await fleet.bot("Executor"), await fleet.bot("Evaluator")
    await client.post("/tasks", {"title": "t", "subtasks": [subtask("first")]})
    await work(executor, shown, 1, output=41)
    waiting = asyncio.create_task(executor.lease(max=1, wait_seconds=5))
    (review,) = (await evaluator.lease(max=1)).json["leases"]
    await asyncio.sleep(0.1)
    await shown.checked()

    verdict = {"decision": "rework", "subtasks": [subtask("more", "first")], "reasons": ["more"]}
    answer = await evaluator.report(review, verdict=verdict)

    assert answer.status == 200, answer.json
    assert [lease["upstream"] for lease in (await waiting).json["leases"]] == [{"first": 41}]
    assert await shown.checked() == 1


async def test_a_claim_of_light_leases_reads_nothing_after_its_commit(
    swarm: Orchestrator, client: Caller, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = await fleet.bot("Executor", capacity=4)
    await client.post("/tasks", {"title": "t", "evaluation": "none", "subtasks": [subtask("a"), subtask("b", "a")]})
    first = await bot.one()

    async def read(*_: Any) -> Any:
        raise AssertionError("the store is read")

    monkeypatch.setattr(swarm.store, "read", read)
    monkeypatch.setattr(swarm.store, "snapshot", read)

    answer = await bot.report(first, output={"n": 1}, claim={"max": 1})

    assert answer.json["leases"][0]["upstream"] == {"a": {"n": 1}}


async def test_leases_that_show_much_are_read(client: Caller, fleet: Fleet, shown: Shown) -> None:
    bot = await fleet.bot("Executor", capacity=9)
    await client.post(
        "/tasks", {"title": "t", "evaluation": "none", "subtasks": [subtask("a"), subtask("b", "a"), subtask("c", "a")]}
    )
    first = await bot.one()

    answer = await bot.report(first, output="x" * 40_000, claim={"max": 2})

    assert [len(lease["upstream"]["a"]) for lease in answer.json["leases"]] == [40_000, 40_000]
    assert all(granted.facts is not None for granted, _ in shown.leases)  # read, and shown by the same function


async def test_a_second_attempt_shows_the_first(client: Caller, fleet: Fleet, shown: Shown) -> None:
    bot = await fleet.bot("Executor")
    await client.post("/tasks", {"title": "t", "evaluation": "none", "subtasks": [subtask("a")]})
    first = await bot.one()
    await bot.call.post(f"/leases/{first['lease_id']}:release", {"reason": "later"})

    again = await bot.one()

    assert again["previous"]["ending"] == "released"


async def test_a_report_that_claims_leaves_nothing_for_the_garbage_collector(client: Caller, fleet: Fleet) -> None:
    bot = await fleet.bot("Executor")
    await client.post("/tasks", {"title": "t", "evaluation": "none", "subtasks": [subtask("a"), subtask("b", "a")]})
    lease = await bot.one()
    gc.collect()
    gc.disable()
    try:
        (answer,) = [await bot.report(lease, output=1, claim={"max": 1})]
        assert len(answer.json["leases"]) == 1
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        ours = [record for record in gc.garbage if type(record).__module__.startswith("swarmkeeper.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert ours == []
