"""OTLP over gRPC loses nothing and keeps the order, whatever the collector does, and says what it was answered."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.sinks.bad_sinks import BadSinks
from swarmkeeper.sinks.file import read
from swarmkeeper.sinks.targets.choice import target_of
from tests.http.conftest import Fleet
from tests.sinks.conftest import (
    MEMORY,
    SECONDS,
    WriteSinks,
    audits,
    indices,
    log_of,
    nothing_is_lost,
    said,
    settings,
    until_there,
    work,
)
from tests.sinks.otlp.receivers import BinaryReceiver, BinaryTraces, Cable, Code, GrpcReceiver, GrpcTraces
from tests.sinks.receivers import Certificates, Receiver
from tests.sinks.test_crashes import killed_thrice
from tests.sinks.test_traces import SAMPLED, TRACE, one, spans_until, submitted

pytestmark = pytest.mark.usefixtures("quick")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)


@pytest.fixture(params=[GrpcReceiver, BinaryReceiver])
async def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates
) -> AsyncIterator[Receiver]:
    made: Receiver = request.param(tmp_path, certificates)
    await made.start()
    yield made
    await made.kill()


async def test_a_collector_gets_each_record_in_order_as_the_api_shows_it(
    receiver: Any, store_url: str, sinks_file: WriteSinks
) -> None:
    file = sinks_file(receiver, record_bytes=1_000_000, headers={"Authorization": "Bearer t0p"})
    async with Orchestrator(settings(store_url, file)) as swarm:
        await work(swarm, 5)
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])

    assert audits(events)[: len(shown)] == shown
    assert len(events) == len(audits(events)), "without a crash nothing comes twice"
    attributes = receiver.kept.attributes if isinstance(receiver, GrpcReceiver) else receiver.attributes
    assert attributes[0]["swarmkeeper.tenant"] == "default"
    headers = receiver.metadata[0] if isinstance(receiver, GrpcReceiver) else receiver.requests[0][0]
    assert headers["authorization"] == "Bearer t0p"


async def test_a_collector_without_tls_gets_them_too(
    tmp_path: Path, certificates: Certificates, sinks_file: WriteSinks
) -> None:
    collector = GrpcReceiver(tmp_path, certificates)
    collector.plain = True
    await collector.start()
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        await work(swarm, 2)
        events = await until_there(collector, 2)
    await collector.kill()

    assert indices(events)[:3] == [0, 1, 2]


async def test_while_the_collector_is_killed_again_and_again_nothing_is_lost(
    receiver: Any, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    await receiver.kill()
    async with Orchestrator(settings(MEMORY, sinks_file(receiver))) as swarm:
        await work(swarm, 2)
        waits = await said(capfd, "sink_waits", lines)
        await receiver.start()
        await said(capfd, "sink_goes_on", lines)
        for _ in range(3):
            await receiver.kill()
            await work(swarm, 5)
            await receiver.start()
            await work(swarm, 5)
        await nothing_is_lost(swarm, receiver)

    assert (waits["level"], waits["sink"]) == ("warning", "otlp")


async def test_a_connection_that_is_cut_at_any_moment_loses_nothing(
    collector: GrpcReceiver, sinks_file: WriteSinks, tmp_path: Path
) -> None:
    cable = Cable(collector.port)
    await cable.start()
    file = sinks_file(collector)
    file.write_text(file.read_text().replace(f":{collector.port}", f":{cable.port}"))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        await until_there(collector, 1)
        for number in range(6):
            cable.answers = number % 2 == 0  # else the collector has a batch, and its answer is lost
            collector.mode = "slow"
            await work(swarm, 3)
            await asyncio.sleep(0.05 * number)
            cable.cut()
            cable.answers = True
        collector.mode = "ok"
        await nothing_is_lost(swarm, collector)
    await cable.stop()


@pytest.mark.parametrize("has_taken_it", [False, True])
@pytest.mark.parametrize(
    "code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.INTERNAL, Code.UNKNOWN], ids=str
)
async def test_a_collector_that_fails_gets_the_same_again(
    code: Any, has_taken_it: bool, collector: GrpcReceiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        await work(swarm, 2)
        await until_there(collector, 2)
        collector.code, collector.mode, collector.takes_before_failing = code, "failing", has_taken_it
        async with asyncio.timeout(10):
            await work(swarm, 5)
        await asyncio.sleep(0.7)
        stopped = swarm._sinks.figures()["otlp"][0].stopped if swarm._sinks else True
        collector.mode = "ok"
        await nothing_is_lost(swarm, collector)

    assert not stopped


async def test_a_slow_collector_loses_nothing_and_holds_up_nobody(
    collector: GrpcReceiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        collector.mode = "slow"
        async with asyncio.timeout(10):
            await work(swarm, 20)
        events = await nothing_is_lost(swarm, collector)

    assert len(events) == len(audits(events))


async def test_a_collector_that_never_answers_holds_up_nobody(
    collector: GrpcReceiver, sinks_file: WriteSinks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("swarmkeeper.sinks.targets.rpc.SECONDS_MAX", 0.8)
    cable = Cable(collector.port)
    await cable.start()
    file = sinks_file(collector)
    file.write_text(file.read_text().replace(f":{collector.port}", f":{cable.port}"))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 2)
        await until_there(collector, 2)
        cable.answers = False
        async with asyncio.timeout(5):
            await work(swarm, 10)
        await asyncio.sleep(1.5)
        cable.cut()
        cable.answers = True
        await nothing_is_lost(swarm, collector)
    await cable.stop()


async def test_a_collector_that_is_exhausted_is_left_alone_for_as_long_as_it_says(
    collector: GrpcReceiver, sinks_file: WriteSinks
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        await work(swarm, 2)
        await until_there(collector, 2)
        collector.code, collector.retry_seconds, collector.mode = Code.RESOURCE_EXHAUSTED, 2.0, "failing"
        await work(swarm, 5)
        await until(lambda: any(mode == "failing" for _, mode in collector.calls))
        collector.mode = "ok"
        await nothing_is_lost(swarm, collector)

    (failed_at,) = [at for at, mode in collector.calls if mode == "failing"]
    after = [at for at, mode in collector.calls if at > failed_at]
    assert 2.0 <= after[0] - failed_at < 6.0


@pytest.mark.parametrize(
    "code",
    [Code.INVALID_ARGUMENT, Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED, Code.RESOURCE_EXHAUSTED],
    ids=str,
)
async def test_what_is_refused_is_not_skipped_the_sink_stops_and_says_so(
    code: Any, collector: GrpcReceiver, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        await work(swarm, 1)
        await until_there(collector, 1)
        collector.mode, collector.code = "refusing", code
        await work(swarm, 3)
        stopped = await said(capfd, "sink_stopped", [])
        tries = sum(mode == "refusing" for _, mode in collector.calls)
        collector.mode = "ok"
        await nothing_is_lost(swarm, collector)

    assert stopped["reason"] == f"it answered with {code.name}: not like this"
    assert tries <= 3, "it does not try again at once"


async def test_a_collector_that_leaves_records_out_stops_the_sink(
    receiver: Any, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.left_out = 2
    async with Orchestrator(settings(MEMORY, sinks_file(receiver))) as swarm:
        await work(swarm, 2)
        stopped = await said(capfd, "sink_stopped", [])

    assert stopped["reason"] == "it left out 2 records of a batch: too old"


@pytest.mark.parametrize("kind", [GrpcTraces, BinaryTraces])
async def test_spans_come_in_these_forms_too(
    kind: Any, tmp_path: Path, certificates: Certificates, sinks_file: WriteSinks
) -> None:
    collector = kind(tmp_path, certificates)
    await collector.start()
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        for mode in ("failing", "ok"):
            collector.mode = mode
            await submitted(swarm, SAMPLED)
            lease = await bot.one()
            await bot.report(lease, output=1)
            await asyncio.sleep(0.5)
        spans = await spans_until(collector, "invoke_workflow", 2)
    await collector.kill()

    assert {span.trace for span in spans} == {TRACE}
    assert lease["traceparent"].split("-")[2] in {span.id for span in spans}
    (whole,) = [span for span in spans if span.id == one(spans[-2:], "invoke_agent").parent]
    assert whole.attributes["swarmkeeper.task.outcome"] == "accepted"


# ---- where it may go -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_is_refused_unless_the_file_permits_it(
    host: str, collector: GrpcReceiver, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    file = sinks_file(collector)
    file.write_text(file.read_text().replace("allow_private = true\n", "").replace("127.0.0.1", host))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        stopped = await said(capfd, "sink_stopped", [])

    assert "allow_private = true permits it" in stopped["reason"]
    assert collector.calls == []


async def test_a_proxy_of_the_environment_is_not_used(
    collector: GrpcReceiver, sinks_file: WriteSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        await work(swarm, 1)
        await until_there(collector, 1)


async def test_a_name_leads_to_the_collector_and_is_what_its_certificate_must_have(
    collector: GrpcReceiver, sinks_file: WriteSinks
) -> None:
    file = sinks_file(collector)
    file.write_text(file.read_text().replace("127.0.0.1", "localhost"))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        await until_there(collector, 1)

    assert all("localhost" in str(entry) for entry in [file.read_text()])


@pytest.mark.parametrize("wrong", ["authority", "client"])
async def test_a_wrong_certificate_gets_nothing(
    wrong: str,
    collector: GrpcReceiver,
    sinks_file: WriteSinks,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
) -> None:
    others = Certificates.made(tmp_path_factory.mktemp("others")).folder
    own = collector.certificates.folder
    file = sinks_file(collector)
    names = ["ca.pem"] if wrong == "authority" else ["client.pem", "client.key"]
    for name in names:
        file.write_text(file.read_text().replace(str(own / name), str(others / name)))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        waits = await said(capfd, "sink_waits", [])
    command = [sys.executable, "-m", "swarmkeeper", "sinks", "check", str(file), "--json"]
    check = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told, beside = await check.communicate()

    assert "UNAVAILABLE" in waits["reason"]
    assert "UNAVAILABLE" in json.loads(told)["problem"]
    assert beside == b"", "the library writes no lines of its own"
    assert collector.calls == []


async def test_a_check_sends_a_record_of_its_own(collector: GrpcReceiver, sinks_file: WriteSinks) -> None:
    from swarmkeeper.settings import read_secret
    from swarmkeeper.sinks.records import of_test

    (entry,) = read(sinks_file(collector), read_secret)
    target = target_of(entry, lambda: 1)

    await target.open()
    assert await target.send([of_test(int(time.time() * 1e6), "tst_1")]) == 1
    await target.close()
    await target.close()

    assert [event["id"] for event in collector.kept.events] == ["tst_1"]


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path, sinks_file: WriteSinks) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    (tmp_path / "sinks.toml").write_text(
        '[sink.a]\nkind = "otlp"\nurl = "https://h:4317"\nprotocol = "grpc"\nca_file = "ca.pem"\n'
    )
    (entry,) = read(tmp_path / "sinks.toml", lambda path, key: "")

    with pytest.raises(BadSinks, match=r"\[sink.a\] ca_file"):
        target_of(entry, SystemClock().now)


async def test_a_server_that_is_killed_while_it_sends_leaves_nothing_out(
    collector: GrpcReceiver, sinks_file: WriteSinks, tmp_path: Path
) -> None:
    file = sinks_file(collector, record_bytes=1_000_000)
    await killed_thrice(f"sqlite:///{tmp_path}/swarm.db", collector, file, tmp_path)


async def test_without_a_ca_file_the_systems_certificates_count(
    collector: GrpcReceiver, sinks_file: WriteSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = collector.certificates.folder
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    file = sinks_file(collector)
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith("ca_file")))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        await until_there(collector, 1)


def test_the_systems_certificates_may_be_a_folder_and_without_any_a_file_must_be_named(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sinks.toml").write_text('[sink.a]\nkind = "otlp"\nurl = "https://h:4317"\nprotocol = "grpc"\n')
    (entry,) = read(tmp_path / "sinks.toml", lambda path, key: "")
    (tmp_path / "roots").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "roots"))

    with pytest.raises(BadSinks, match=r"\[sink.a\] ca_file.*: the system's list of certificates was not found"):
        target_of(entry, SystemClock().now)
    (tmp_path / "roots" / "0a1b2c3d.0").write_bytes((certificates.folder / "ca.pem").read_bytes())
    assert target_of(entry, SystemClock().now).place == "https://h:4317"
