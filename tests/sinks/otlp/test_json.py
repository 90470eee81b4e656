"""The official messages of OpenTelemetry read what `otlp` and `traces` send in JSON."""

import base64
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service

from swarmkeeper.app import Orchestrator
from tests.http.conftest import Fleet
from tests.sinks.conftest import WriteSinks, audits, log_of, said, settings, until_there, work
from tests.sinks.receivers import Certificates, LogRecord, OtlpReceiver, Span, TracesReceiver
from tests.sinks.test_traces import SAMPLED, TRACE, one, spans_until, submitted

pytestmark = pytest.mark.usefixtures("quick")


class OfficialReceiver(OtlpReceiver):
    def read(self, body: bytes) -> list[LogRecord]:
        asked = json_format.Parse(body, service.ExportLogsServiceRequest())
        return [
            LogRecord(
                record.body.string_value,
                record.time_unix_nano,
                record.severity_number,
                {each.key: each.value.string_value for each in record.attributes},
            )
            for of_resource in asked.resource_logs
            for of_scope in of_resource.scope_logs
            for record in of_scope.log_records
        ]

    def answer(self) -> bytes:
        answer = service.ExportLogsServiceResponse()
        if self.left_out:
            answer.partial_success.rejected_log_records = self.left_out
            answer.partial_success.error_message = "too old"
        return str(json_format.MessageToJson(answer)).encode()


async def test_the_official_messages_read_every_record(
    tmp_path: Path, certificates: Certificates, sinks_file: WriteSinks, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver = OfficialReceiver(tmp_path, certificates)
    receiver.left_out = 1
    await receiver.start()
    async with Orchestrator(settings("sqlite://:memory:", sinks_file(receiver, record_bytes=1_000_000))) as swarm:
        await work(swarm, 3)
        stopped = await said(capfd, "sink_stopped", [])
        receiver.left_out = 0
        shown = await log_of(swarm)
        events = await until_there(receiver, shown[-1]["index"])
    await receiver.kill()

    assert stopped["reason"] == "it left out 1 records of a batch: too old"
    assert audits(events)[: len(shown)] == shown
    assert receiver.attributes[0]["swarmkeeper.tenant"] == "default"


def _written(id_: bytes) -> str:
    # OTLP writes ids in hexadecimal, where the JSON mapping of protobuf has base64.
    return base64.b64encode(id_).decode()


class OfficialCollector(TracesReceiver):
    def read(self, body: bytes) -> list[Span]:
        asked = json_format.Parse(body, trace_service.ExportTraceServiceRequest())
        return [
            Span(
                _written(span.trace_id),
                _written(span.span_id),
                _written(span.parent_span_id),
                span.name,
                span.kind,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code != span.status.STATUS_CODE_ERROR,
                {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
            )
            for of_resource in asked.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    def answer(self) -> bytes:
        return str(json_format.MessageToJson(trace_service.ExportTraceServiceResponse())).encode()


async def test_the_official_messages_read_every_span(
    tmp_path: Path, certificates: Certificates, sinks_file: WriteSinks
) -> None:
    collector = OfficialCollector(tmp_path, certificates)
    await collector.start()
    async with Orchestrator(settings("sqlite://:memory:", sinks_file(collector))) as swarm:
        bot = await Fleet(swarm).bot("Executor")
        await submitted(swarm, SAMPLED)
        await bot.report(await bot.one(), output=1)
        spans = await spans_until(collector, "invoke_workflow")
    await collector.kill()

    whole, done = one(spans, "invoke_workflow"), one(spans, "invoke_agent")
    assert {span.trace for span in spans} == {TRACE}
    assert done.parent == whole.id
    assert done.attributes["swarmkeeper.attempt"] == 1
