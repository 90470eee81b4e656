"""Real receivers of sinks, one of each kind, which a test can kill, start again, slow down, and let refuse."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import re
import socket
import ssl
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import nats
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nats.js.errors import NotFoundError

from tests.support.brokers import NatsServer

SECRET = b"0123456789abcdef0123456789abcdef"
WHSEC = "whsec_" + base64.b64encode(SECRET).decode()
SLOW_SECONDS = 0.3

# RFC 5424, section 6. The message is JSON, so it has no newline.
HEADER = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32})"
    rb' \[([!#-<>-\\^-~]{1,32})((?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\] '
)
PARAMETER = re.compile(rb' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"')


@dataclass(frozen=True)
class Certificates:
    """An authority, and a certificate for the receiver and one for the client, in a folder."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Certificates:
        authority = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        _write(folder, "ca", _signed(issuer, authority, issuer, authority, is_ca=True), authority)
        for name in ("server", "client"):
            key = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
            _write(folder, name, _signed(subject, key, issuer, authority), key)
        return cls(folder)

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def table(self) -> dict[str, Any]:
        names = {"ca_file": "ca.pem", "certificate_file": "client.pem", "key_file": "client.key"}
        return {key: str(self.folder / name) for key, name in names.items()}


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    authority: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(authority, hashes.SHA256())
    )


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(*private))


class Receiver(ABC):
    """Keeps what it gets, in order. `mode` says how it behaves: ok, slow, failing or refusing."""

    kind: ClassVar[str]

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self.folder, self.certificates = folder, certificates
        self.mode = "ok"
        self.raw: list[bytes] = []  # everything that came over the wire
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])

    @abstractmethod
    def table(self) -> dict[str, Any]:
        """Return its table in the file of sinks, without `kind`."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def kill(self) -> None:
        """End as a crash does: connections are reset."""

    @abstractmethod
    async def received(self) -> list[dict[str, Any]]:
        """Return all CloudEvents in the order of their arrival, repeats too."""

    async def everything(self) -> bytes:
        return b"".join(self.raw)


class FileReader(Receiver):
    """The file of the sink `jsonl`. It has no other side, so it cannot be killed."""

    kind = "jsonl"

    @property
    def path(self) -> Path:
        return self.folder / "audit.jsonl"

    def table(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    async def start(self) -> None: ...

    async def kill(self) -> None: ...

    def files(self) -> list[Path]:
        """Return the files from the oldest on."""
        rotated = [path for path in self.folder.glob("audit.jsonl.*") if path.suffix[1:].isdecimal()]
        older = sorted(rotated, key=lambda path: -int(path.suffix[1:]))
        return [*older, *([self.path] if self.path.exists() else [])]

    async def received(self) -> list[dict[str, Any]]:
        text = (await self.everything()).decode()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    async def everything(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.files())


class SyslogReceiver(Receiver):
    kind = "syslog"
    tls: ClassVar[bool] = True

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        self.events: list[dict[str, Any]] = []
        self.parameters: list[dict[str, str]] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def table(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, **self.certificates.table()}

    async def start(self) -> None:
        context = self.certificates.server_context() if self.tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                length = await reader.readuntil(b" ")
                if self.mode == "slow":
                    await asyncio.sleep(SLOW_SECONDS / 20)
                content = await reader.readexactly(int(length))
                self.raw.append(content)
                if self.mode == "failing":
                    _reset(writer)
                    return
                self._take(content)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def _take(self, content: bytes) -> None:
        found = HEADER.match(content)
        assert found is not None, content
        self.parameters.append({k.decode(): v.decode() for k, v in PARAMETER.findall(found[8])})
        assert content.isascii()
        assert b"\n" not in content
        self.events.append(json.loads(content[found.end() :]))

    async def kill(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            _reset(writer)

    async def received(self) -> list[dict[str, Any]]:
        return list(self.events)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as the system does for a process that dies before it has read everything."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class PlainSyslogReceiver(SyslogReceiver):
    tls = False

    def table(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "insecure": True}


class WebReceiver(Receiver):
    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        self.events: list[dict[str, Any]] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []  # headers and body, also of those that failed
        self.paths: set[str] = set()
        self.status = 400  # of a refusal
        self._runner: web.AppRunner | None = None

    def table(self) -> dict[str, Any]:
        address = f"https://127.0.0.1:{self.port}/in?token=t0p"
        return {"url": address, "allow_private": True, **self.certificates.table()}

    async def start(self) -> None:
        application = web.Application(client_max_size=64 << 20)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(
            self._runner, "127.0.0.1", self.port, ssl_context=self.certificates.server_context(), reuse_address=True
        ).start()

    async def _serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, body))
        self.paths.add(request.path)
        self.raw += [body, json.dumps(headers).encode()]
        if self.mode == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if self.mode == "failing":
            return web.Response(status=500, text="out of order")
        if self.mode == "refusing":
            where = {"Location": "/elsewhere"} if 300 <= self.status < 400 else {}
            return web.Response(status=self.status, text="not like this", headers=where)
        return self._take(request, headers, body)

    @abstractmethod
    def _take(self, request: web.Request, headers: dict[str, str], body: bytes) -> web.Response: ...

    async def kill(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            for connection in list(runner.server.connections) if runner.server else []:
                if connection.transport is not None:
                    connection.transport.abort()
            await runner.cleanup()

    async def received(self) -> list[dict[str, Any]]:
        return list(self.events)


class WebhookReceiver(WebReceiver):
    kind = "http"

    def table(self) -> dict[str, Any]:
        secret = self.folder / "webhook.secret"
        secret.write_text(WHSEC)
        secret.chmod(0o600)
        return {**super().table(), "secrets": [f"file:{secret}"]}

    def _take(self, request: web.Request, headers: dict[str, str], body: bytes) -> web.Response:
        assert headers["content-type"].startswith("application/cloudevents-batch+json")
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        if expected not in headers["webhook-signature"].split(" "):
            return web.Response(status=401, text="a wrong signature")
        self.events += json.loads(body)
        return web.Response(status=204)


@dataclass(frozen=True)
class LogRecord:
    """What a collector reads of a log record."""

    body: str
    nanoseconds: int
    severity: int
    attributes: dict[str, str]


class OtlpReceiver(WebReceiver):
    kind = "otlp"

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        self.attributes: list[dict[str, str]] = []
        self.left_out = 0  # what a partial success says

    def _take(self, request: web.Request, headers: dict[str, str], body: bytes) -> web.Response:
        assert request.path.endswith("/v1/logs")
        assert headers["content-type"] == "application/json"
        for record in self.read(body):
            at = datetime.fromtimestamp(record.nanoseconds / 1e9, UTC)
            assert abs(at - datetime.now(UTC)) < timedelta(hours=1)
            assert record.severity in (9, 13)
            self.events.append(json.loads(record.body))
            self.attributes.append(record.attributes)
        return web.Response(body=self.answer(), content_type="application/json")

    def read(self, body: bytes) -> list[LogRecord]:
        """Read a request, as its JSON mapping is defined: 64-bit numbers are texts."""
        found = []
        for of_resource in json.loads(body)["resourceLogs"]:
            resource = {each["key"]: each["value"]["stringValue"] for each in of_resource["resource"]["attributes"]}
            assert resource["service.name"] == "swarmkeeper"
            for of_scope in of_resource["scopeLogs"]:
                for record in of_scope["logRecords"]:
                    attributes = {each["key"]: each["value"]["stringValue"] for each in record["attributes"]}
                    at = record["timeUnixNano"]
                    assert isinstance(at, str)
                    found.append(
                        LogRecord(record["body"]["stringValue"], int(at), record["severityNumber"], attributes)
                    )
        return found

    def answer(self) -> bytes:
        partial = {"rejectedLogRecords": str(self.left_out), "errorMessage": "too old"}
        return json.dumps({"partialSuccess": partial} if self.left_out else {}).encode()


@dataclass(frozen=True)
class Span:
    """What a collector reads of a span."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: int  # nanoseconds
    end: int
    ok: bool
    attributes: dict[str, str | int]


class TracesReceiver(WebReceiver):
    kind = "traces"

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        self.spans: list[Span] = []
        self.left_out = 0  # what a partial success says

    def _take(self, request: web.Request, headers: dict[str, str], body: bytes) -> web.Response:
        assert request.path.endswith("/v1/traces")
        assert headers["content-type"] == "application/json"
        self.spans += self.read(body)
        return web.Response(body=self.answer(), content_type="application/json")

    def read(self, body: bytes) -> list[Span]:
        """Read a request, as its JSON mapping is defined: ids in hexadecimal, 64-bit numbers as texts."""
        found = []
        for of_resource in json.loads(body)["resourceSpans"]:
            resource = {each["key"]: each["value"]["stringValue"] for each in of_resource["resource"]["attributes"]}
            assert resource["service.name"] == "swarmkeeper"
            for of_scope in of_resource["scopeSpans"]:
                for span in of_scope["spans"]:
                    assert re.fullmatch("[0-9a-f]{32}", span["traceId"])
                    assert re.fullmatch("[0-9a-f]{16}", span["spanId"])
                    attributes = {
                        each["key"]: int(each["value"]["intValue"])
                        if "intValue" in each["value"]
                        else each["value"]["stringValue"]
                        for each in span.get("attributes", ())
                    }
                    times = (span["startTimeUnixNano"], span["endTimeUnixNano"])
                    assert all(isinstance(each, str) for each in times)
                    ok = span.get("status", {}).get("code") != 2
                    ids = (span["traceId"], span["spanId"], span.get("parentSpanId", ""))
                    found.append(Span(*ids, span["name"], span["kind"], int(times[0]), int(times[1]), ok, attributes))
        return found

    def answer(self) -> bytes:
        said = {"rejectedSpans": str(self.left_out), "errorMessage": "too old"}
        return json.dumps({"partialSuccess": said} if self.left_out else {}).encode()


class NatsReceiver(Receiver):
    kind = "nats"

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder, certificates)
        inside = folder / "nats"
        inside.mkdir()
        self.server = NatsServer(inside)

    def table(self) -> dict[str, Any]:
        return {"url": self.server.url}

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def kill(self) -> None:
        await asyncio.to_thread(self.server.kill)

    async def received(self) -> list[dict[str, Any]]:
        try:
            client = await nats.connect(self.server.url, allow_reconnect=False, connect_timeout=2)
        except (OSError, nats.errors.Error):
            return []
        try:
            context = client.jetstream()
            try:
                info = await context.stream_info("swarmkeeper-audit")
            except NotFoundError:
                return []
            found = []
            for number in range(max(1, info.state.first_seq), info.state.last_seq + 1):
                message = await context.get_msg("swarmkeeper-audit", number)
                assert message.data is not None
                self.raw.append(message.data)
                found.append(json.loads(message.data))
            return found
        finally:
            await client.close()


KINDS: tuple[type[Receiver], ...] = (FileReader, SyslogReceiver, OtlpReceiver, WebhookReceiver, NatsReceiver)
WITH_ANOTHER_SIDE = KINDS[1:]
OVER_HTTP: tuple[type[WebReceiver], ...] = (OtlpReceiver, WebhookReceiver)
