"""At `info` the log tells what happened: starting and stopping, each submission, failure and lost lease, and refusals,
whose number of lines is bounded.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.http.refusals import CALLERS_MAX, LOGGED_PER_CALLER, LOGGED_TOTAL, MINUTE, Refusals
from swarmkeeper.observe.logs import Log
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"


class Forward(SystemClock):
    """A clock that a test can set forward."""

    ahead = 0

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead


class Swarm:
    """An orchestrator and its log."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.clock = Forward()
        log = Log(self.stream, Rulebook(Redactor.default()), self.clock.now)
        self.orchestrator = Orchestrator(Settings(store="sqlite://:memory:"), clock=self.clock, log=log)

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.stream.getvalue().splitlines()) if line["event"] == event]


async def test_starting_and_stopping_are_logged() -> None:
    swarm = Swarm()
    async with swarm.orchestrator:
        assert [line["store"] for line in swarm.lines("started")] == ["sqlite://:memory:"]
        assert swarm.lines("stopping") == []

    events = [json.loads(line)["event"] for line in swarm.stream.getvalue().splitlines()]
    assert events == ["started", "stopping", "stopped"]


async def test_a_submission_and_a_failure_are_logged_once_with_the_ids_of_their_calls() -> None:
    swarm = Swarm()
    async with swarm.orchestrator as orchestrator:
        admin = Caller(orchestrator.app, await orchestrator.make_key("admin"))
        subtasks = [{"key": "a", "description": "", "max_attempts": 1}]
        made = await admin.post("/tasks", {"title": f"read {TOKEN}", "subtasks": subtasks}, idempotency_key="once")
        again = await admin.post("/tasks", {"title": f"read {TOKEN}", "subtasks": subtasks}, idempotency_key="once")
        bot = await Fleet(orchestrator).bot("Executor")
        lease = await bot.one()
        error = {"message": f"no page for {TOKEN}"}
        reported = await bot.report(lease, status="failed", error=error)

    assert again.headers["idempotency-replayed"] == "true"
    (submitted,) = swarm.lines("task_submitted")
    assert submitted["task"] == made.json["id"]
    assert submitted["request_id"] == made.headers["x-request-id"]
    (failed,) = swarm.lines("work_failed")
    assert (failed["subtask"], failed["attempt"], failed["bot"]) == ("a", 1, bot.id)
    assert failed["error"].startswith("no page for ")
    assert failed["retry_in_seconds"] is None
    assert failed["request_id"] == reported.headers["x-request-id"]
    (over,) = swarm.lines("task_failed")
    assert (over["code"], over["request_id"]) == ("subtask_failed", failed["request_id"])
    assert TOKEN not in swarm.stream.getvalue()


async def test_a_lost_lease_is_logged_without_another_calls_id() -> None:
    swarm = Swarm()
    async with swarm.orchestrator as orchestrator:
        admin = Caller(orchestrator.app, await orchestrator.make_key("admin"))
        await admin.post("/tasks", {"title": "t", "subtasks": [{"key": "a", "description": ""}]})
        bot = await Fleet(orchestrator).bot("Executor")
        lease = await bot.one()
        await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": lease["lease_id"]}]})
        for seconds in range(0, 48, 4):  # longer steps look like a stalled loop, whose bots get a grace period
            swarm.clock.ahead = seconds * 1_000_000
            await admin.post("/tasks", {"title": "meanwhile"})
        late = await bot.report(lease, output=1)

    assert late.status == 409
    lost = [line for line in swarm.lines("lease_lost") if line["subtask"] == "a"]
    assert [line["bot"] for line in lost] == [bot.id]
    assert lost[0]["reason"] == "its bot sent no heartbeat in time"
    assert lost[0]["request_id"] is None
    (refused,) = swarm.lines("refused")
    assert (refused["code"], refused["status"]) == ("lease_lost", 409)
    assert refused["request_id"] == late.headers["x-request-id"]


async def test_a_refusal_is_logged_with_the_id_that_the_error_shows() -> None:
    swarm = Swarm()
    async with swarm.orchestrator as orchestrator:
        client = Caller(orchestrator.app, await orchestrator.make_key("client"))
        answers = [
            await client.post("/tasks", {"title": 5}),
            await client.get("/tasks/tsk_0"),
            await client.get("/keys"),
            await client.call("DELETE", "/tasks"),
            await client.get("/nowhere"),
            await client.with_key("swk_wrong").get("/tasks"),
        ]
        batch = await client.post("/tasks:batch", {"tasks": [{"title": 5}]})

    refused = {line["request_id"]: line for line in swarm.lines("refused")}
    assert len(refused) == len(answers) + 1
    for answer in answers:
        line = refused[answer.json["request_id"]]
        assert (line["code"], line["status"]) == (answer.json["code"], answer.status)
    assert refused[batch.headers["x-request-id"]]["code"] == "invalid"
    assert refused[answers[-1].json["request_id"]]["by"] == "127.0.0.1"
    assert refused[answers[0].json["request_id"]]["by"].startswith("key_")


class Minutes:
    """A clock and a log."""

    def __init__(self) -> None:
        self.now = 0
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.refusals = Refusals(self.log, lambda: self.now)

    def log(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    def refuse(self, by: str, code: str = "forbidden") -> None:
        self.refusals.note(by, code, status=403, method="GET", path="/keys", detail="no", request_id="req_1")

    def lines_of(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.lines if name == event]


def test_a_callers_first_refusals_are_logged_and_the_rest_counted_each_minute() -> None:
    minutes = Minutes()
    for _ in range(10_000):
        minutes.refuse("key_1")
    minutes.refusals.log_rest()
    assert len(minutes.lines) == LOGGED_PER_CALLER

    minutes.now = MINUTE
    minutes.refusals.log_rest()
    minutes.refusals.log_rest()

    assert minutes.lines_of("refused_more") == [
        {"by": "key_1", "code": "forbidden", "count": 10_000 - LOGGED_PER_CALLER}
    ]
    minutes.refuse("key_1")
    assert len(minutes.lines_of("refused")) == LOGGED_PER_CALLER + 1, "a new minute"


@pytest.mark.parametrize("callers", [50, 20_000])
def test_refusal_lines_and_memory_are_bounded_and_every_refusal_is_counted(
    callers: int,
) -> None:
    minutes = Minutes()
    for number in range(callers):
        for _ in range(3):
            minutes.refuse(f"10.0.{number >> 8}.{number & 255}")

    assert len(minutes.lines_of("refused")) <= LOGGED_TOTAL
    assert len(minutes.refusals._counts) <= CALLERS_MAX + 1
    minutes.refusals.log_rest(at_once=True)
    assert len(minutes.lines_of("refused_more")) <= CALLERS_MAX + 1
    assert (
        len(minutes.lines_of("refused")) + sum(line["count"] for line in minutes.lines_of("refused_more"))
        == 3 * callers
    )
