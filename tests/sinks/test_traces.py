"""The sink `traces`: a collector gets the spans of a task, its attempts and verdicts, in its submission's trace."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.app import Orchestrator
from swarmkeeper.core import ids
from swarmkeeper.settings import Settings, read_secret
from swarmkeeper.sinks.file import read
from swarmkeeper.sinks.records import of_test
from swarmkeeper.sinks.spans import TraceParent, of_lease
from swarmkeeper.sinks.targets.choice import target_of
from tests.http.conftest import Caller, Fleet
from tests.sinks.conftest import SECONDS, WriteSinks, said, settings
from tests.sinks.receivers import Certificates, Span, TracesReceiver

pytestmark = pytest.mark.usefixtures("quick")
MEMORY = "sqlite://:memory:"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
async def collector(tmp_path: Path, certificates: Certificates) -> AsyncIterator[TracesReceiver]:
    made = TracesReceiver(tmp_path, certificates)
    await made.start()
    yield made
    await made.kill()


async def submitted(swarm: Orchestrator, trace: str | None = SAMPLED, **more: Any) -> str:
    client = Caller(swarm.app, await swarm.make_key("client"))
    task = {"title": "t", "subtasks": [{"key": "a", "description": "d"}], "evaluation": "none", **more}
    answer = await client.post("/tasks", task, **({} if trace is None else {"traceparent": trace}))
    assert answer.status == 201, answer.json
    return str(answer.json["id"])


async def spans_until(collector: TracesReceiver, name: str, count: int = 1) -> list[Span]:
    """Wait for spans whose name begins so; return all that came, each once."""
    async with asyncio.timeout(SECONDS):
        while True:
            found = list({span.id: span for span in collector.spans}.values())
            if sum(span.name.startswith(name) for span in found) >= count:
                return found
            await asyncio.sleep(0.05)


def one(spans: list[Span], name: str) -> Span:
    (found,) = (span for span in spans if span.name.startswith(name))
    return found


async def test_a_task_and_its_attempts_are_spans_below_the_callers(
    store_url: str, collector: TracesReceiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(store_url, sinks_file(collector))) as swarm:
        fleet = Fleet(swarm)
        planner, bot, judge = [await fleet.bot(kind) for kind in ("Planner", "Executor", "Evaluator")]
        task = await submitted(swarm, subtasks=None, evaluation="final")
        plan = await planner.one()
        await planner.report(plan, plan={"subtasks": [{"key": "a", "description": "d"}]})
        lease = await bot.one()
        await bot.report(lease, output=1, usage={"tokens": 7, "cost_micro_usd": 9})
        review = await judge.one()
        await judge.report(review, verdict={"decision": "accept", "score": 1.0})
        spans = await spans_until(collector, "invoke_workflow")

    names = ("invoke_workflow", "plan planner", "invoke_agent executor", "invoke_agent evaluator")
    whole, planned, done, judged = (one(spans, name) for name in names)
    assert {span.trace for span in spans} == {TRACE}
    assert whole.parent == PARENT
    assert {planned.parent, done.parent, judged.parent, one(spans, "verdict").parent} == {whole.id}
    # The bot's own spans hang below its attempt's.
    assert lease["traceparent"] == f"00-{TRACE}-{done.id}-01"
    assert plan["traceparent"].split("-")[2] == planned.id
    assert all(span.ok and whole.start <= span.start <= span.end <= whole.end for span in spans)
    assert done.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "swarmkeeper",
        "gen_ai.agent.id": bot.id,
        "gen_ai.agent.name": "executor",
        "gen_ai.agent.version": "1.0",
        "gen_ai.conversation.id": task,
        "swarmkeeper.tenant": "default",
        "swarmkeeper.task.id": task,
        "swarmkeeper.work.id": lease["work_id"],
        "swarmkeeper.work.kind": "execute",
        "swarmkeeper.lease.id": lease["lease_id"],
        "swarmkeeper.attempt": 1,
        "swarmkeeper.attempt.ending": "succeeded",
        "swarmkeeper.usage.tokens": 7,
        "swarmkeeper.usage.cost_micro_usd": 9,
    }
    assert whole.attributes["swarmkeeper.task.outcome"] == "accepted"
    assert one(spans, "verdict").attributes["swarmkeeper.verdict.decision"] == "accept"


async def test_each_attempt_that_failed_is_a_span_with_its_error(
    collector: TracesReceiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        await submitted(swarm, subtasks=[{"key": "a", "description": "d", "max_attempts": 2}])
        for _ in range(2):
            await bot.report(await bot.one(), error={"class": "retryable", "message": "no"})
        spans = await spans_until(collector, "invoke_workflow")

    attempts = [span for span in spans if span.name.startswith("invoke_agent")]
    assert [span.attributes["swarmkeeper.attempt"] for span in attempts] == [1, 2]
    assert [span.attributes["error.type"] for span in attempts] == ["failed", "failed"]
    assert not any(span.ok for span in spans)


async def test_an_attempt_that_its_task_took_along_is_a_span(collector: TracesReceiver, sinks_file: WriteSinks) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        task = await submitted(swarm)
        await bot.one()
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        assert (await admin.post(f"/tasks/{task}:cancel", {"reason": "no more"})).status == 200
        spans = await spans_until(collector, "invoke_workflow")

    assert one(spans, "invoke_agent").attributes["swarmkeeper.attempt.ending"] == "cancelled"
    assert one(spans, "invoke_workflow").attributes["error.type"] == "cancelled"


async def test_a_task_without_a_caller_with_spans_is_the_root_of_its_trace(
    collector: TracesReceiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        await submitted(swarm, None)
        await bot.report(await bot.one(), output=1)
        spans = await spans_until(collector, "invoke_workflow")

    assert one(spans, "invoke_workflow").parent == ""


async def test_what_is_not_sampled_is_not_sent(collector: TracesReceiver, sinks_file: WriteSinks) -> None:
    low, high = "0" * 31 + "1", "f" * 32  # by the random part of its id, the one is outside of a half, the other within
    async with Orchestrator(settings(MEMORY, sinks_file(collector, sample=0.5))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        flags = []
        for trace in (f"00-{low}-{PARENT}-01", f"00-{high}-{PARENT}-00", f"00-{high}-{PARENT}-01"):
            await submitted(swarm, trace)
            lease = await bot.one()
            flags.append(lease["traceparent"][-2:])
            await bot.report(lease, output=1)
        spans = await spans_until(collector, "invoke_workflow")

    assert flags == ["00", "00", "01"]
    assert {span.trace for span in spans} == {high}
    assert len(spans) == 2, "the attempt and the task of the third"


@given(st.binary(min_size=16, max_size=16), st.floats(0, 1), st.floats(0, 1))
def test_a_greater_share_has_every_trace_of_a_smaller_one(seed: bytes, first: float, second: float) -> None:
    trace = TraceParent.of(ids.traceparent(seed))
    assert trace is not None
    assert trace.began_here

    assert trace.within(max(first, second)) or not trace.within(min(first, second))
    assert trace.within(1.0)
    assert not trace.within(0.0)


def test_of_evenly_spread_traces_a_share_is_sampled() -> None:
    traces = [TraceParent.of(ids.traceparent(bytes(9) + (n << 44).to_bytes(7))) for n in range(1 << 12)]

    assert sum(trace is not None and trace.within(0.25) for trace in traces) == 1 << 10


async def test_no_secret_leaves(collector: TracesReceiver, sinks_file: WriteSinks) -> None:
    secret = "ghp_Zx8Kq2Lm5Np7Rs1Tv4WyZx8Kq2Lm5Np7Rs1T"
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor", secret)
        again = {"type": "Executor", "version": secret}
        assert (await bot.call.post("/bots/register", again)).status in (200, 201)
        await submitted(swarm, title=secret, labels={"token": secret})
        await bot.report(await bot.one(), error={"class": "not_retryable", "message": secret})
        await spans_until(collector, "invoke_workflow")

    raw = await collector.everything()
    assert secret[4:16].encode() not in raw
    assert b"[redacted:" in raw


async def test_whatever_the_collector_does_no_span_is_lost(
    store_url: str, collector: TracesReceiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(store_url, sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        for mode in ("failing", "dead", "ok"):
            if mode == "dead":
                await collector.kill()
            else:
                collector.mode = mode
            await submitted(swarm)
            await bot.report(await bot.one(), output=1)
            await asyncio.sleep(0.5)
            if mode == "dead":
                await collector.start()
        spans = await spans_until(collector, "invoke_workflow", 3)

    assert sum(span.name == "invoke_agent executor" for span in spans) == 3


async def test_a_collector_that_leaves_spans_out_stops_the_sink(
    collector: TracesReceiver, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    collector.left_out = 2
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        await submitted(swarm)
        await bot.report(await bot.one(), output=1)
        stopped = await said(capfd, "sink_stopped", [])

    assert stopped["reason"] == "it left out 2 spans of a batch: too old"


async def test_a_check_sends_a_span_of_its_own(collector: TracesReceiver, sinks_file: WriteSinks) -> None:
    (entry,) = read(sinks_file(collector), read_secret)
    target = target_of(entry, lambda: 1)

    await target.open()
    assert await target.send([of_test(1_000_000, "tst_1")]) == 1
    await target.close()

    (span,) = collector.spans
    assert (span.name, span.parent, span.start) == ("swarmkeeper sinks check", "", 1_000_000_000)


async def test_without_a_collector_a_lease_has_the_trace_of_its_task() -> None:
    async with Orchestrator(Settings(store=MEMORY)) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        await submitted(swarm)

        assert (await bot.one())["traceparent"] == SAMPLED


def test_a_task_without_a_trace_has_leases_without_one() -> None:
    assert of_lease("", "lse_1", 1.0) == ""
