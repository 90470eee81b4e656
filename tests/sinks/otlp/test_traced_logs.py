"""While traces are sent, log lines name the trace and the span that they belong to."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.core.commands import Cancel, ReportResult
from swarmkeeper.core.decide import decide
from swarmkeeper.core.ids import span_id
from swarmkeeper.engine import batch
from swarmkeeper.govern.redaction.redactor import Redactor
from swarmkeeper.govern.rulebook import Rulebook
from swarmkeeper.observe.logs import Log
from swarmkeeper.reads.queries import Queries
from swarmkeeper.settings import Settings
from tests.http.conftest import Caller, Fleet
from tests.sinks.conftest import WriteSinks
from tests.sinks.receivers import Certificates, TracesReceiver

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER, OTHER_PARENT = "5bf92f3577b34da6a3ce929d0e0e4737", "10f067aa0ba902b7"
SAMPLED, OTHERS = f"00-{TRACE}-{PARENT}-01", f"00-{OTHER}-{OTHER_PARENT}-01"
MEMORY = "sqlite://:memory:"


class Lines:
    """A log, and what is in it."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.log = Log(self._stream, Rulebook(Redactor.default()), SystemClock().now, level="debug")

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self._stream.getvalue().splitlines()) if line["event"] == event]

    def one(self, event: str) -> dict[str, Any]:
        (line,) = self.of(event)
        return line

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


def trace_of(line: dict[str, Any]) -> tuple[str | None, str | None]:
    return line.get("trace_id"), line.get("span_id")


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
async def traced(
    tmp_path: Path, certificates: Certificates, sinks_file: WriteSinks, lines: Lines
) -> AsyncIterator[Orchestrator]:
    collector = TracesReceiver(tmp_path, certificates)
    await collector.start()
    async with Orchestrator(Settings(store=MEMORY, sinks=str(sinks_file(collector))), log=lines.log) as swarm:
        yield swarm
    await collector.kill()


@pytest.fixture
async def untraced(lines: Lines) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(Settings(store=MEMORY), log=lines.log) as swarm:
        yield swarm


async def submit(swarm: Orchestrator, traceparent: str | None = SAMPLED) -> str:
    client = Caller(swarm.app, await swarm.make_key("client"))
    subtasks = [{"key": "a", "description": "d", "max_attempts": 1}]
    headers = {} if traceparent is None else {"traceparent": traceparent}
    answer = await client.post("/tasks", {"title": "t", "subtasks": subtasks, "evaluation": "none"}, **headers)
    return str(answer.json["id"])


def breaks(monkeypatch: pytest.MonkeyPatch, kind: type[object]) -> None:
    """Let every decision about commands of a kind fail."""

    def broken(working: Any, command: Any) -> Any:
        answer = decide(working, command)
        if isinstance(command, kind):
            raise RuntimeError("a bug")
        return answer

    monkeypatch.setattr(batch, "decide", broken)


async def test_what_happened_to_a_task_names_the_span_of_the_task_or_of_the_attempt(
    traced: Orchestrator, lines: Lines
) -> None:
    task = await submit(traced)
    bot = await Fleet(traced).bot("Executor")
    lease = await bot.one()
    await bot.report(lease, status="failed", error={"message": "no"})

    assert trace_of(lines.one("task_submitted")) == (TRACE, span_id(task))
    assert trace_of(lines.one("task_failed")) == (TRACE, span_id(task))
    # That the bot was given: its own log lines and spans are below it.
    assert f"00-{TRACE}-{lines.one('work_failed')['span_id']}-01" == lease["traceparent"]


async def test_lines_of_a_request_name_the_span_of_its_caller(traced: Orchestrator, lines: Lines) -> None:
    client = Caller(traced.app, await traced.make_key("client", scope="tenant"))
    await client.get("/tasks/tsk_0", traceparent=SAMPLED)
    own = await client.get("/tasks/tsk_0")

    theirs, ours = lines.of("refused")
    assert trace_of(theirs) == (TRACE, PARENT)
    # Nobody sends a span for a call that came without one.
    assert trace_of(ours) == (own.headers["traceparent"].split("-")[1], None)
    assert [trace_of(line) for line in lines.of("request")] == [trace_of(theirs), trace_of(ours)]


async def test_a_fault_of_a_command_names_its_request_and_the_trace_of_its_task(
    traced: Orchestrator, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await submit(traced)
    bot = await Fleet(traced).bot("Executor")
    lease = await bot.one()
    breaks(monkeypatch, ReportResult)

    answer = await bot.report(lease, output=1)

    assert answer.status == 500
    fault = lines.one("fault")
    assert fault["request_id"] == answer.headers["x-request-id"] == answer.json["request_id"]
    assert trace_of(fault) == (TRACE, span_id(task))


async def test_a_fault_names_the_tasks_trace_also_if_the_call_has_another(
    traced: Orchestrator, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await submit(traced)
    client = Caller(traced.app, await traced.make_key("client", scope="tenant"))
    breaks(monkeypatch, Cancel)

    await client.post(f"/tasks/{task}:cancel", {}, traceparent=OTHERS)

    assert trace_of(lines.one("fault")) == (TRACE, span_id(task))
    assert trace_of(lines.of("request")[-1]) == (OTHER, OTHER_PARENT)


async def test_a_fault_outside_of_the_engine_names_its_request(
    traced: Orchestrator, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Caller(traced.app, await traced.make_key("client", scope="tenant"))

    async def broken(*args: Any, **more: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Queries, "task_then", broken)
    monkeypatch.setattr(Queries, "task", broken)
    answer = await client.get("/tasks/tsk_0", traceparent=SAMPLED)

    assert answer.status == 500
    fault = lines.one("fault")
    assert fault["request_id"] == answer.headers["x-request-id"]
    assert trace_of(fault) == (TRACE, PARENT)


async def test_without_traces_no_line_names_one(
    untraced: Orchestrator, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    await submit(untraced)
    bot = await Fleet(untraced).bot("Executor")
    breaks(monkeypatch, ReportResult)
    answer = await bot.report(await bot.one(), output=1)

    assert lines.one("fault")["request_id"] == answer.headers["x-request-id"]
    assert lines.of("task_submitted")
    assert not [line for line in lines.all() if "trace_id" in line or "span_id" in line]
