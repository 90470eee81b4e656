"""Code that goes on after its lease is lost, as reported by heartbeats."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from swarmkeeper import Done, ExecutorBot, SubTask
from swarmkeeper.sdk.attempts.at_work import LINGERING_SECONDS
from swarmkeeper.sdk.runner import serve
from tests.sdk.script import Call, lease, orchestrator, virtually

BEAT = "/bots/bot_1:heartbeat"


class Deaf(ExecutorBot):
    """Hears of no cancellation, and ends after a while."""

    seconds = 100.0

    async def execute(self, subtask: SubTask) -> Done:
        ends_at = asyncio.get_running_loop().time() + self.seconds
        while (left := ends_at - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                pass
        return Done({})


def beats_of(bot: Deaf, seconds: float) -> list[Call]:
    """All that it says while the orchestrator takes back what it works on with the first beat."""
    directives = ["lost"]

    def beats(call: Call) -> Any:
        told = [{"lease_id": each["lease_id"], "directive": directives.pop()} for each in call.body["leases"]]
        return {"leases": told, "drain": False, "messages": []}

    script = orchestrator(lease(), beats=beats)

    async def story() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, stop.set)
        await serve([bot], script.client(), stop=stop, drain_seconds=0)

    virtually(story())
    return script.to("POST", BEAT)


def test_a_bot_whose_place_is_held_by_code_that_does_not_end_says_so_until_it_ends() -> None:
    first, *others, last = beats_of(Deaf(), seconds=200)

    assert "stuck" not in first.body
    for said in others:
        [stuck] = said.body["stuck"]
        assert said.body["leases"] == []
        assert stuck["work_id"] == "sub_1"
        assert stuck["where"].startswith("test_stuck.py:")
        assert stuck["where"].endswith(" in execute")
        assert stuck["seconds"] == pytest.approx(said.at - first.at, abs=0.2)
    assert others[0].at - first.at == pytest.approx(LINGERING_SECONDS, abs=0.2)
    assert {round(after.at - before.at) for before, after in pairwise(others)} == {10}  # the rhythm
    assert last.body == {"leases": []}
    assert last.at - first.at > 95


def test_code_that_ends_soon_after_its_lease_was_lost_is_not_called_stuck() -> None:
    bot = Deaf()
    bot.seconds = LINGERING_SECONDS - 1

    assert [call.body.get("stuck") for call in beats_of(bot, seconds=60)] == [None]
