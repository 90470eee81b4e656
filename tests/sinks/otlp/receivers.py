"""Collectors with the official messages and services of OpenTelemetry: over gRPC, and binary over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

from tests.sinks.receivers import SLOW_SECONDS, Certificates, OtlpReceiver, Receiver, Span, TracesReceiver, WebReceiver

Code = grpc.StatusCode


@dataclass
class Kept:
    """What a collector has got."""

    events: list[dict[str, Any]] = field(default_factory=list)
    attributes: list[dict[str, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    pushes: list[Any] = field(default_factory=list)  # ResourceMetrics

    def take_logs(self, asked: Any) -> None:
        for of_resource in asked.resource_logs:
            assert _named(of_resource.resource.attributes)["service.name"] == "swarmkeeper"
            for of_scope in of_resource.scope_logs:
                for record in of_scope.log_records:
                    assert record.severity_number in (9, 13)
                    assert abs(record.time_unix_nano / 1e9 - time.time()) < 3600
                    self.events.append(json.loads(record.body.string_value))
                    self.attributes.append(_named(record.attributes))

    def take_spans(self, asked: Any) -> None:
        for of_resource in asked.resource_spans:
            assert _named(of_resource.resource.attributes)["service.name"] == "swarmkeeper"
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    assert len(span.trace_id) == 16
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    times = (span.start_time_unix_nano, span.end_time_unix_nano)
                    ok = span.status.code != span.status.STATUS_CODE_ERROR
                    self.spans.append(Span(*ids, span.name, span.kind, *times, ok, _named(span.attributes)))

    def take_metrics(self, asked: Any) -> None:
        self.pushes += asked.resource_metrics


def _named(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _left_out(answer: Any, member: str, count: int) -> Any:
    if count:
        setattr(answer.partial_success, member, count)
        answer.partial_success.error_message = "too old"
    return answer


class GrpcReceiver(Receiver):
    """`mode` as for the others; `code` and `retry_seconds` say how it fails and refuses."""

    kind = "otlp"

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        self.kept = Kept()
        self.code, self.retry_seconds = Code.UNAVAILABLE, -1.0  # below 0: it says nothing of that
        self.left_out = 0
        self.calls: list[tuple[float, str]] = []  # when, and in which mode
        self.metadata: list[dict[str, str]] = []
        self.takes_before_failing = False  # it has what it says that it has not
        self.plain = False
        self._server: grpc.Server | None = None

    @property
    def spans(self) -> list[Span]:
        return self.kept.spans

    def table(self) -> dict[str, Any]:
        scheme, more = ("http", {"insecure": True}) if self.plain else ("https", self.certificates.table())
        return {"url": f"{scheme}://127.0.0.1:{self.port}", "protocol": "grpc", "allow_private": True, **more}

    async def start(self) -> None:
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        receiver = self

        class Logs(logs_grpc.LogsServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # the name of the service's method
                receiver.serve(request, context, receiver.kept.take_logs)
                return _left_out(logs.ExportLogsServiceResponse(), "rejected_log_records", receiver.left_out)

        class Traces(traces_grpc.TraceServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # likewise
                receiver.serve(request, context, receiver.kept.take_spans)
                return _left_out(traces.ExportTraceServiceResponse(), "rejected_spans", receiver.left_out)

        class Metrics(metrics_grpc.MetricsServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  # likewise
                receiver.serve(request, context, receiver.kept.take_metrics)
                return _left_out(metrics.ExportMetricsServiceResponse(), "rejected_data_points", receiver.left_out)

        services: list[tuple[Any, Any]] = [
            (logs_grpc.add_LogsServiceServicer_to_server, Logs()),
            (traces_grpc.add_TraceServiceServicer_to_server, Traces()),
            (metrics_grpc.add_MetricsServiceServicer_to_server, Metrics()),
        ]
        for add, service in services:
            add(service, server)
        address, folder = f"127.0.0.1:{self.port}", self.certificates.folder
        if self.plain:
            server.add_insecure_port(address)
        else:
            files = [(folder / name).read_bytes() for name in ("server.key", "server.pem", "ca.pem")]
            server.add_secure_port(address, grpc.ssl_server_credentials([(files[0], files[1])], files[2], True))
        server.start()
        self._server = server

    def serve(self, request: Any, context: Any, take: Callable[[Any], None]) -> None:
        self.calls.append((time.monotonic(), self.mode))
        self.metadata.append(dict(context.invocation_metadata()))
        self.raw.append(request.SerializeToString())
        if self.mode == "slow":
            time.sleep(SLOW_SECONDS)
        if self.mode == "hanging":
            context.send_initial_metadata(())
            while context.is_active():
                time.sleep(0.02)
            return
        if self.mode in ("failing", "refusing"):
            if self.takes_before_failing:
                take(request)
            self._abort(context)
        take(request)

    def _abort(self, context: Any) -> None:
        if self.retry_seconds < 0:
            context.abort(self.code, "not like this")
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(self.retry_seconds * 1e9))
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        status = status_pb2.Status(code=self.code.value[0], message="not like this", details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, "not like this")

    async def kill(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(lambda: server.stop(None).wait())

    async def received(self) -> list[dict[str, Any]]:
        return list(self.kept.events)


class GrpcTraces(GrpcReceiver):
    kind = "traces"


class GrpcMetrics(GrpcReceiver):
    kind = "metrics"


class BinaryReceiver(OtlpReceiver):
    """The binary encoding over HTTP."""

    def table(self) -> dict[str, Any]:
        return {**super().table(), "protocol": "http/protobuf"}

    def _take(self, request: web.Request, headers: dict[str, str], body: bytes) -> web.Response:
        assert headers["content-type"] == "application/x-protobuf"
        assert request.path.endswith("/v1/logs")
        kept = Kept(self.events, self.attributes)
        kept.take_logs(logs.ExportLogsServiceRequest.FromString(body))
        answer = _left_out(logs.ExportLogsServiceResponse(), "rejected_log_records", self.left_out)
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")


class BinaryTraces(TracesReceiver):
    def table(self) -> dict[str, Any]:
        return {**super().table(), "protocol": "http/protobuf"}

    def _take(self, request: web.Request, headers: dict[str, str], body: bytes) -> web.Response:
        assert request.path.endswith("/v1/traces")
        Kept(spans=self.spans).take_spans(traces.ExportTraceServiceRequest.FromString(body))
        answer = _left_out(traces.ExportTraceServiceResponse(), "rejected_spans", self.left_out)
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")


class WebMetrics(WebReceiver):
    """Metrics over HTTP, in JSON or binary."""

    kind = "metrics"
    protocol = "http/json"

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        self.kept = Kept()

    def table(self) -> dict[str, Any]:
        return {**super().table(), "protocol": self.protocol}

    def _take(self, request: web.Request, headers: dict[str, str], body: bytes) -> web.Response:
        from google.protobuf import json_format

        assert request.path.endswith("/v1/metrics")
        if self.protocol == "http/json":
            asked = json_format.Parse(body, metrics.ExportMetricsServiceRequest())
        else:
            asked = metrics.ExportMetricsServiceRequest.FromString(body)
        self.kept.take_metrics(asked)
        return web.Response(body=b"" if self.protocol != "http/json" else b"{}")


class BinaryMetrics(WebMetrics):
    protocol = "http/protobuf"


class Cable:
    """Lies between a sink and its receiver, and is cut: both sides see a reset, at any byte."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.host = "127.0.0.1"
        self.answers = True  # whether bytes of the receiver go through
        self.resets = False  # whether each connection is cut at once
        self.joined = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._joined, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.joined += 1
        if self.resets:
            await reader.read(1)
            self.cut()
            return
        try:
            there, to = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(to)
        await asyncio.gather(self._pass(reader, to, lambda: True), self._pass(there, writer, lambda: self.answers))

    async def _pass(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, lets: Callable[[], bool]) -> None:
        try:
            while data := await source.read(65_536):
                if lets():
                    to.write(data)
                    await to.drain()
        except OSError:
            pass
        finally:
            to.transport.abort()

    def cut(self) -> None:
        for writer in self._writers:
            found = writer.get_extra_info("socket")
            if found is not None and not writer.transport.is_closing():
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()
