"""Answers of collectors that are cut, slow, endless or malformed: what was taken is certain, or it is sent again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from google.protobuf import any_pb2
from google.rpc import status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs

from swarmkeeper.app import Orchestrator
from swarmkeeper.sinks.file import read
from swarmkeeper.sinks.records import of_test
from swarmkeeper.sinks.targets import rpc
from swarmkeeper.sinks.targets.choice import target_of
from swarmkeeper.sinks.targets.target import RecordRefused, SinkTarget, TargetBusy
from swarmkeeper.sinks.targets.web import ANSWER_BYTES_MAX
from tests.sinks.conftest import MEMORY, WriteSinks, nothing_is_lost, said, settings, work
from tests.sinks.otlp.receivers import Cable, Code, GrpcReceiver

pytestmark = pytest.mark.usefixtures("quick")
RECORD = of_test(int(time.time() * 1e6), "tst_1")


class Web:
    """Answers every request with pieces of a body, with a pause before each but the first."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.pause, self.ends, self.requests = 0.05, True, 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        await request.read()
        answer = web.StreamResponse(headers={"content-type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for piece in self.pieces:
            await answer.write(piece)
            await asyncio.sleep(self.pause)
        if not self.ends:
            assert request.transport is not None
            request.transport.abort()
        return answer


@pytest.fixture
async def served() -> AsyncIterator[tuple[Web, int]]:
    made = Web()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield made, runner.addresses[0][1]
    await runner.cleanup()


def target(folder: Path, port: int, protocol: str) -> SinkTarget:
    keys = {"kind": "otlp", "url": f"http://127.0.0.1:{port}", "protocol": protocol}
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**keys, "allow_private": True, "insecure": True}.items()]
    (folder / "sinks.toml").write_text("\n".join(["[sink.otlp]", *lines, ""]))
    (entry,) = read(folder / "sinks.toml", lambda path, key: "")
    return target_of(entry, lambda: 1)


def left_out(protocol: str, why: str = "too old") -> bytes:
    """Return an answer that says that one record was left out."""
    if protocol == "http/json":
        return json.dumps({"partialSuccess": {"errorMessage": why, "rejectedLogRecords": "1"}}).encode()
    answer = logs.ExportLogsServiceResponse()
    answer.partial_success.error_message, answer.partial_success.rejected_log_records = why, 1
    return bytes(answer.SerializeToString())


OVER_HTTP = pytest.mark.parametrize("protocol", ["http/json", "http/protobuf"])


@OVER_HTTP
async def test_an_answer_that_comes_in_pieces_is_read_to_its_end(
    protocol: str, served: tuple[Web, int], tmp_path: Path
) -> None:
    collector, port = served
    whole = left_out(protocol)
    collector.pieces = [whole[:7], whole[7:]]
    sink = target(tmp_path, port, protocol)
    await sink.open()

    with pytest.raises(RecordRefused, match="it left out 1 records of a batch: too old"):
        await sink.send([RECORD])
    await sink.close()


@OVER_HTTP
async def test_after_an_answer_that_is_too_long_to_be_read_the_sink_stops(
    protocol: str, served: tuple[Web, int], tmp_path: Path
) -> None:
    collector, port = served
    collector.pieces, collector.pause = [left_out(protocol, "too old " * (ANSWER_BYTES_MAX // 8))], 0
    sink = target(tmp_path, port, protocol)
    await sink.open()

    with pytest.raises(RecordRefused, match="more than 64 KiB: whether it took all records is not known"):
        await sink.send([RECORD])
    await sink.close()


@OVER_HTTP
async def test_an_answer_that_ends_too_early_is_none(protocol: str, served: tuple[Web, int], tmp_path: Path) -> None:
    collector, port = served
    collector.pieces, collector.ends = [left_out(protocol)[:7]], False
    sink = target(tmp_path, port, protocol)
    await sink.open()

    with pytest.raises(Exception) as raised:
        await sink.send([RECORD])
    await sink.close()

    assert not isinstance(raised.value, RecordRefused | AssertionError)


@OVER_HTTP
async def test_an_answer_that_never_ends_is_given_up(
    protocol: str, served: tuple[Web, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmkeeper.sinks.targets.web.SECONDS_MAX", 0.5)
    collector, port = served
    collector.pieces, collector.pause = [b" "] * 10_000, 0.01
    sink = target(tmp_path, port, protocol)
    await sink.open()

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await sink.send([RECORD])
    await sink.close()

    assert time.monotonic() - began < 5


# ---- gRPC ------------------------------------------------------------------------------------------------------------


async def test_a_collector_that_begins_an_answer_and_never_ends_it_holds_up_nobody(
    collector: GrpcReceiver, sinks_file: WriteSinks, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("swarmkeeper.sinks.targets.rpc.SECONDS_MAX", 0.8)
    async with Orchestrator(settings(MEMORY, sinks_file(collector))) as swarm:
        collector.mode = "hanging"
        async with asyncio.timeout(5):
            await work(swarm, 5)
        waits = await said(capfd, "sink_waits", [])
        collector.mode = "ok"
        await nothing_is_lost(swarm, collector)

    assert "DEADLINE_EXCEEDED" in waits["reason"]


async def test_a_collector_that_resets_every_connection_is_tried_again_with_pauses(
    collector: GrpcReceiver, sinks_file: WriteSinks
) -> None:
    cable = Cable(collector.port)
    cable.resets = True
    await cable.start()
    file = sinks_file(collector)
    file.write_text(file.read_text().replace(f":{collector.port}", f":{cable.port}"))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        async with asyncio.timeout(5):
            await work(swarm, 5)
        await asyncio.sleep(2)
        tries = cable.joined
        cable.resets = False
        await nothing_is_lost(swarm, collector)
    await cable.stop()

    assert 2 <= tries <= 40, "not as fast as it can"


async def test_a_certificate_for_another_name_gets_nothing(
    collector: GrpcReceiver, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    cable = Cable(collector.port)
    cable.host = "127.0.0.2"  # the certificate is for 127.0.0.1
    await cable.start()
    file = sinks_file(collector)
    file.write_text(file.read_text().replace(f"127.0.0.1:{collector.port}", f"127.0.0.2:{cable.port}"))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        waits = await said(capfd, "sink_waits", [])
    await cable.stop()

    assert cable.joined > 0
    assert "UNAVAILABLE" in waits["reason"]
    assert collector.calls == []


async def test_a_metrics_or_audit_batch_left_out_over_grpc_is_said_with_its_number(
    collector: GrpcReceiver, sinks_file: WriteSinks
) -> None:
    collector.left_out = 3
    (entry,) = read(sinks_file(collector), lambda path, key: "")
    sink = target_of(entry, lambda: 1)
    await sink.open()

    with pytest.raises(RecordRefused, match="it left out 3 records of a batch: too old"):
        await sink.send([RECORD])
    await sink.close()


class Failed:
    """An error of a call, as the library raises it."""

    def __init__(self, code: Any, *metadata: tuple[str, Any]) -> None:
        self._code, self._metadata = code, metadata

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return "not now"

    def trailing_metadata(self) -> tuple[tuple[str, Any], ...]:
        return self._metadata


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE], ids=str)
@pytest.mark.parametrize("wrong", ["no status", "no detail"])
def test_a_malformed_delay_is_none(wrong: str, code: Any) -> None:
    broken = any_pb2.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff\xff")
    value = b"\xff\xff" if wrong == "no status" else status_pb2.Status(details=[broken]).SerializeToString()

    meant = rpc._said(Failed(code, ("grpc-status-details-bin", value)))

    assert isinstance(meant, RecordRefused if code is Code.RESOURCE_EXHAUSTED else TargetBusy)
    assert getattr(meant, "retry_after", None) is None


async def test_a_check_of_a_collector_that_leaves_records_out_says_so(
    collector: GrpcReceiver, sinks_file: WriteSinks
) -> None:
    collector.left_out = 1
    command = [sys.executable, "-m", "swarmkeeper", "sinks", "check", str(sinks_file(collector)), "--json"]
    check = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    told, _ = await check.communicate()

    assert json.loads(told)["problem"] == "it left out 1 records of a batch: too old"
