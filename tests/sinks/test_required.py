"""While a required sink is behind, nothing new is taken. Reads and what stops something work; results, for a while."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core import commands
from swarmkeeper.core.erasure import commands as erasure_commands
from swarmkeeper.core.errors import AuditSinkBehind
from swarmkeeper.core.kills import commands as kill_commands
from swarmkeeper.core.operations import commands as operation_commands
from swarmkeeper.core.persons import commands as person_commands
from swarmkeeper.core.secrets import commands as secret_commands
from swarmkeeper.core.sessions import commands as session_commands
from swarmkeeper.sinks import gate, running
from swarmkeeper.sinks.gate import ALWAYS, FOR_A_WHILE, SinkGate
from tests.http.conftest import Caller, Fleet
from tests.sinks.conftest import WriteSinks, audits, log_of, said, settings, table_of, until, until_there, work
from tests.sinks.receivers import Certificates, WebhookReceiver

pytestmark = pytest.mark.usefixtures("quick")
MEMORY = "sqlite://:memory:"

# What is refused at once. A new command fails the test below until somebody has decided where it belongs.
AT_ONCE = {
    *(commands.Submit, commands.Update, commands.Resume, commands.RetryFailedTask, commands.Archive),
    *(commands.SendMessage, commands.ClaimWork, commands.Register, commands.Enable, commands.CreateKey),
    *(commands.RotateKey, commands.SetTenant, commands.SetRate, commands.ReleaseLegalHold, commands.Decide),
    secret_commands.PutSecret,
    *(kill_commands.LiftKill, operation_commands.StartOperation),
    *(person_commands.CreatePerson, person_commands.RenamePerson, person_commands.EnablePerson),
    session_commands.OpenSession,  # its record must leave, too; who is signed in stays so
}


@pytest.fixture
async def outside(tmp_path: Path, certificates: Certificates) -> Any:
    made = WebhookReceiver(tmp_path, certificates)
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge a sink from the start on."""
    monkeypatch.setattr(running, "BEGIN", 0)


def test_each_command_belongs_to_one_kind() -> None:
    modules = [commands, secret_commands, kill_commands, erasure_commands, person_commands, session_commands]
    modules += [operation_commands]
    named = [each for module in modules for each in vars(module).values()]
    there = [each for each in named if isinstance(each, type) and issubclass(each, commands.Command)]
    concrete = {each for each in there if not any(issubclass(other, each) and other is not each for other in there)}

    assert concrete == AT_ONCE | FOR_A_WHILE | ALWAYS
    assert not AT_ONCE & (FOR_A_WHILE | ALWAYS)
    assert not FOR_A_WHILE & ALWAYS


def test_results_are_taken_for_a_minute_after_the_gate_has_closed() -> None:
    now = 0
    closed = SinkGate(lambda: now)
    report = object.__new__(commands.ReportResult)
    submit = object.__new__(commands.Submit)
    cancel = object.__new__(commands.Cancel)

    assert [closed(each) for each in (report, submit, cancel)] == [None, None, None]
    assert closed.set(behind=True)
    now = gate.GRACE - 1
    assert [type(closed(each)) for each in (report, submit, cancel)] == [type(None), AuditSinkBehind, type(None)]
    assert not closed.set(behind=True), "the minute does not begin again"
    now = gate.GRACE
    assert [type(closed(each)) for each in (report, submit, cancel)] == [AuditSinkBehind, AuditSinkBehind, type(None)]
    assert closed.set(behind=False)
    assert closed(report) is None
    assert closed.refused == 3


@pytest.mark.usefixtures("hasty")
async def test_calls_are_refused_while_a_required_sink_is_behind_and_taken_again(
    store_url: str, outside: WebhookReceiver, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    file = sinks_file(outside, required=True, max_lag=5)
    async with Orchestrator(settings(store_url, file)) as swarm:
        client = Caller(swarm.app, await swarm.make_key("client"))
        admin = Caller(swarm.app, await swarm.make_key("admin"))
        made = await admin.post("/keys", {"role": "client"})
        bot = await Fleet(swarm).bot("Executor", capacity=4)
        task = {"title": "t", "subtasks": [{"key": "a", "description": "d"}, {"key": "b", "description": "d"}]}
        ids = [(await client.post("/tasks", {**task, "evaluation": "none"})).json["id"] for _ in range(2)]
        leases = [await bot.one() for _ in range(4)]
        await outside.kill()
        assert (await client.post("/tasks", task)).status == 201, "the sink has not been behind for long"
        parked = asyncio.create_task(bot.lease(wait_seconds=40))
        refuse = await said(capfd, "sinks_refuse", lines)

        ended = await asyncio.wait_for(parked, 10)
        submitted = await client.post("/tasks", {"title": "new"})
        claimed = await bot.lease()
        reported = await bot.report(leases[0], output=1, claim={"max": 1})
        beaten = await bot.call.post(f"/bots/{bot.id}:heartbeat", {"leases": [{"lease_id": leases[1]["lease_id"]}]})
        released = await bot.call.post(f"/leases/{leases[2]['lease_id']}:release", {})
        read = await client.get(f"/tasks/{ids[0]}")
        cancelled = await client.post(f"/tasks/{ids[1]}:cancel")
        revoked = await admin.post(f"/keys/{made.json['id']}:revoke")
        probed = await Caller(swarm.app).get("/health")
        warnings = (await admin.get("/readyz?verbose=true")).json["warnings"]

        await outside.start()
        admit = await said(capfd, "sinks_admit", lines)
        again = await client.post("/tasks", {"title": "new"})
        shown = await log_of(swarm)
        events = await until_there(outside, shown[-1]["index"])

    assert refuse["sinks"] == "http"
    assert ended.json["leases"] == []
    for refused in (submitted, claimed):
        assert (refused.status, refused.json["code"], refused.json["retryable"]) == (503, "audit_sink_behind", True)
        assert refused.headers["retry-after"] == "5"
    assert (reported.status, reported.json["accepted"], reported.json["leases"]) == (200, True, [])
    assert [each.status for each in (beaten, released, read, cancelled, revoked, probed)] == [200] * 6, (
        beaten.json,
        released.json,
        cancelled.json,
        revoked.json,
    )
    assert any("calls that change something are refused" in warning for warning in warnings), warnings
    assert admit["level"] == "info"
    assert again.status == 201
    assert audits(events)[: len(shown)] == shown


@pytest.mark.usefixtures("hasty")
async def test_a_sink_that_is_not_required_refuses_nothing(outside: WebhookReceiver, sinks_file: WriteSinks) -> None:
    await outside.kill()
    async with Orchestrator(settings(MEMORY, sinks_file(outside))) as swarm:
        await work(swarm, 1)
        sinks = swarm._sinks
        assert sinks is not None

        async def is_behind() -> bool:
            return sinks.figures()["http"][1] > 5.5

        await until(is_behind)
        await work(swarm, 1)

        assert not sinks.gate.closed


@pytest.mark.usefixtures("hasty")
async def test_one_required_sink_of_two_is_enough(
    outside: WebhookReceiver, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sinks.toml"
    file.write_text(
        table_of("file", {"kind": "jsonl", "path": "audit.jsonl", "required": True, "max_lag": 5})
        + table_of("siem", {"kind": "http", **outside.table(), "required": True, "max_lag": 5})
    )
    await outside.kill()
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        refuse = await said(capfd, "sinks_refuse", [])

    assert refuse["sinks"] == "siem"
