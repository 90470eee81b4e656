"""OTLP in the binary encoding: over gRPC, and over HTTP. It needs the packages of the extra `otel`.

Only the messages, stubs and channels of these libraries are used. Their exporters try for a minute and then drop what
they have; a sink tries for as long as it takes, in order, and has to know what the collector has answered.
"""

from __future__ import annotations

import base64
import os
import ssl
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# The library writes lines of its own to stderr, beside the log: what fails is raised, and logged redacted.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc  # it reads the variable
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from swarmkeeper.sinks.file import Entry, OtlpOverWeb
from swarmkeeper.sinks.targets.addresses import AddressRefused, CheckedResolver
from swarmkeeper.sinks.targets.otlp import TRACES, Signal, check_left_out, check_size
from swarmkeeper.sinks.targets.target import OneCallThread, RecordRefused, TargetBusy
from swarmkeeper.sinks.targets.web import (
    RETRY_AFTER_MAX,
    SECONDS_MAX,
    Web,
    check_literal,
    shown,
    with_path,
)

_DETAILS = "grpc-status-details-bin"
_IDS = ("traceId", "spanId", "parentSpanId")
Code = grpc.StatusCode
# What will be the same next time: an operator must act. OTLP also counts INTERNAL and UNKNOWN among these; but a
# collector or a proxy that dies within a call answers so, too.
_REFUSALS = frozenset(
    {
        *(Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.ALREADY_EXISTS, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED),
        *(Code.FAILED_PRECONDITION, Code.UNIMPLEMENTED),
    }
)
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # a proxy would connect to addresses that nobody has checked
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_retries", 0),  # the sink tries again, in order
    ("grpc.use_local_subchannel_pool", 1),  # a new channel connects at once, whatever the last one has met
    ("grpc.primary_user_agent", "swarmkeeper"),
)


class Encoding:
    """The binary form of the requests and answers of a signal."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        messages = import_module(f"opentelemetry.proto.collector.{signal.name}.v1.{signal.name}_service_pb2")
        name = f"Export{signal.name.capitalize()}Service"
        self._request, self._answer = (getattr(messages, f"{name}{each}") for each in ("Request", "Response"))
        self._left_out = _snake(signal.rejected)

    def message(self, request: dict[str, Any]) -> Message:
        """Return the message of a request that is written as JSON's mapping has it."""
        if self._signal is TRACES:
            for of_resource in request["resourceSpans"]:
                for of_scope in of_resource["scopeSpans"]:
                    of_scope["spans"] = [_with_bytes(span) for span in of_scope["spans"]]
        found: Message = json_format.ParseDict(request, self._request())
        return found

    def check(self, answer: Any) -> None:
        """Raises: RecordRefused: a part was left out."""
        left = answer.partial_success
        check_left_out(self._signal, getattr(left, self._left_out), left.error_message)

    def check_bytes(self, content: bytes) -> None:
        """Raises: RecordRefused: a part was left out, or may be."""
        check_size(content, self._signal)
        try:
            answer = self._answer.FromString(content)
        except DecodeError:
            return  # a proxy's page; the status has said that all is well
        self.check(answer)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _with_bytes(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span whose ids are written as protobuf's JSON has bytes; that of OTLP has them in hexadecimal."""
    ids = {name: base64.b64encode(bytes.fromhex(span[name])).decode() for name in _IDS if name in span}
    return {**span, **ids}


class BinaryCalls:
    """Implements `OtlpCalls`: the binary encoding over HTTP."""

    def __init__(self, entry: Entry, table: OtlpOverWeb, signal: Signal) -> None:
        self._web, self._encoding = Web(entry, table, with_path(table.url, signal.path)), Encoding(signal)
        self.place = self._web.place

    async def open(self) -> None:
        await self._web.open()

    async def export(self, request: dict[str, Any]) -> None:
        body = self._encoding.message(request).SerializeToString()
        self._encoding.check_bytes(await self._web.post(body, {"content-type": "application/x-protobuf"}))

    async def close(self) -> None:
        await self._web.close()


class GrpcCalls:
    """Implements `OtlpCalls`: gRPC. Calls run in a thread: the library's own loop knows nothing of ours."""

    def __init__(self, entry: Entry, table: OtlpOverWeb, signal: Signal) -> None:
        parts = urlsplit(table.url)
        self._host, self._allow_private = parts.hostname or "", table.allow_private
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self.place = f"{parts.scheme}://{parts.netloc}"
        self._authority = parts.netloc
        self._metadata = tuple((name.lower(), entry.secret(value)) for name, value in table.headers.items())
        self._credentials = _credentials(entry, table) if parts.scheme == "https" else None
        self._encoding, self._signal = Encoding(signal), signal
        self._thread = OneCallThread(entry.name)
        self._channel: grpc.Channel | None = None
        self._export: Any = None
        self._opened = 0

    async def open(self) -> None:
        await self.close()
        check_literal(self._host, allow_private=self._allow_private)
        target = await self._target()
        options = [*_OPTIONS, ("grpc.default_authority", self._authority)]
        if self._credentials is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            options.append(("grpc.ssl_target_name_override", self._host))
            self._channel = grpc.secure_channel(target, self._credentials, options)
        name = self._signal.name
        stubs = import_module(f"opentelemetry.proto.collector.{name}.v1.{name}_service_pb2_grpc")
        self._export = getattr(stubs, f"{name.capitalize()}ServiceStub")(self._channel).Export

    async def _target(self) -> str:
        """Return the checked addresses of one family; of the other one the next time, if there are two."""
        resolver = CheckedResolver(allow_private=self._allow_private)
        try:
            found = await resolver.resolve(self._host, self._port)
        except AddressRefused as error:
            raise RecordRefused(str(error)) from None
        finally:
            await resolver.close()
        families: dict[str, list[str]] = {}
        for each in found:
            address = each["host"]
            kind, written = ("ipv6", f"[{address}]") if ":" in address else ("ipv4", address)
            families.setdefault(kind, []).append(f"{written}:{self._port}")
        kind, addresses = list(families.items())[self._opened % len(families)]
        self._opened += 1
        return f"{kind}:{','.join(dict.fromkeys(addresses))}"

    async def export(self, request: dict[str, Any]) -> None:
        if self._channel is None:
            raise ConnectionError("the channel was closed")
        send = partial(self._export, timeout=SECONDS_MAX, metadata=self._metadata)
        try:
            # Messages are made there, too: that takes some milliseconds for a full batch.
            answer = await self._thread.run(lambda: send(self._encoding.message(request)))
        except grpc.RpcError as error:
            raise _said(error) from None
        except ValueError as error:  # the channel was closed meanwhile
            raise ConnectionError(str(error)) from None
        self._encoding.check(answer)

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


def _said(error: Any) -> Exception:
    """Return what a status means for the sink, as the specification of OTLP has it."""
    code, again = error.code(), _retry_delay(error)
    said = f"it answered with {code.name}: {shown((error.details() or '').encode())}"
    # Without a delay it is a bound that the request itself exceeds.
    if code in _REFUSALS or (code is Code.RESOURCE_EXHAUSTED and again is None):
        return RecordRefused(said)
    return TargetBusy(said, again)


def _retry_delay(error: Any) -> float | None:
    """Return the seconds of the status's RetryInfo, if it has one."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            info = error_details_pb2.RetryInfo()
            try:
                has_one = any(detail.Unpack(info) for detail in status_pb2.Status.FromString(value).details)
            except DecodeError:
                return None
            if has_one:
                seconds = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return float(min(max(seconds, 0.0), RETRY_AFTER_MAX))
    return None


def _credentials(entry: Entry, table: OtlpOverWeb) -> Any:
    """Return the TLS settings of a sink.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: it has no certificate.
    """
    roots = _system_roots() if table.ca_file is None else entry.path(table.ca_file).read_bytes()
    key = chain = None
    if table.certificate_file is not None and table.key_file is not None:
        chain, key = (entry.path(each).read_bytes() for each in (table.certificate_file, table.key_file))
    check = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the library itself would say at the first call only
    check.load_verify_locations(cadata=roots.decode("ascii", "replace"))
    if table.certificate_file is not None and table.key_file is not None:
        check.load_cert_chain(entry.path(table.certificate_file), entry.path(table.key_file))
    return grpc.ssl_channel_credentials(roots, key, chain)


def _system_roots() -> bytes:
    """Return the certificates that the system trusts; the library would take a list of its own.

    Raises:
        FileNotFoundError: there is no such list.
    """
    context = ssl.create_default_context()
    found = [ssl.DER_cert_to_PEM_cert(each) for each in context.get_ca_certs(binary_form=True)]
    if found:
        return "".join(found).encode()
    folder = ssl.get_default_verify_paths().capath
    files = sorted(Path(folder).glob("*.0")) if folder else []
    if not files:
        raise FileNotFoundError(2, "the system's list of certificates was not found: name one")
    return b"\n".join(each.read_bytes() for each in files)
