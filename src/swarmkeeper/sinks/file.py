"""The file of sinks (TOML): what may be written in it, and every mistake with its place.

Sinks are configured by this file alone. Nobody who can only call the API can send the audit log elsewhere.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from swarmkeeper.broker.addresses import checked, is_nats
from swarmkeeper.files import BadFile, read_text
from swarmkeeper.sinks.bad_sinks import BadSinks, ReadSecret
from swarmkeeper.sinks.targets.addresses import web_address

BYTES_MAX = 1 << 20  # of the file
SINKS_MAX = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}")
_METADATA = re.compile(r"[a-z0-9_.-]{1,100}")
KIB = 1024
# Syslog receivers must take 2 KiB and should take 8 KiB (RFC 5425); those of NATS take 1 MiB unless configured.
SYSLOG_BYTES, NATS_BYTES, OTHER_BYTES = 8 * KIB, 768 * KIB, 1024 * KIB
RECORD_BYTES_MIN = 2 * KIB
# Owning a sink and noting its cursor take some seconds: a smaller bound would refuse calls although all is well.
MAX_LAG_MIN = 5


def _secret_place(written: str) -> str:
    kind, _, where = written.partition(":")
    if kind not in ("env", "file") or not where:
        raise ValueError("a secret stands elsewhere: write env:NAME or file:PATH")
    return written


def _nonempty(written: str) -> str:
    if not written.strip() or "\0" in written:
        raise ValueError("expected a text that is not empty")
    return written


SecretPlace = Annotated[str, AfterValidator(_secret_place)]
WebAddress = Annotated[str, AfterValidator(web_address)]
Words = Annotated[str, AfterValidator(_nonempty)]
RecordBytes = Annotated[int, Field(ge=RECORD_BYTES_MIN, le=64 * KIB * KIB)]


class SinkTable(BaseModel):
    """The keys that all kinds have."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    events: bool = False  # send the feed's events, too
    required: bool = False  # refuse calls that change something while the sink is further behind than max_lag
    max_lag: Annotated[float, Field(ge=MAX_LAG_MIN, le=86_400)] = 60.0  # seconds
    record_bytes: RecordBytes = OTHER_BYTES  # a larger record is sent without its payload

    @property
    def reads_audit(self) -> bool:
        return True

    @property
    def reads_events(self) -> bool:
        return self.events

    @model_validator(mode="after")
    def _a_bound_needs_its_rule(self) -> SinkTable:
        if "max_lag" in self.model_fields_set and not self.required:
            raise ValueError("max_lag: it has a meaning only with required = true")
        return self


class JsonlTable(SinkTable):
    kind: Literal["jsonl"]
    path: Words
    rotate_bytes: Annotated[int, Field(ge=64 * KIB, le=1 << 40)] = 100 * KIB * KIB
    keep: Annotated[int, Field(ge=1, le=10_000)] = 10  # older files besides the current one


class _Tls(SinkTable):
    ca_file: Words | None = None
    certificate_file: Words | None = None
    key_file: Words | None = None

    @model_validator(mode="after")
    def _a_certificate_has_a_key(self) -> _Tls:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file: it goes together with key_file")
        return self


class SyslogTable(_Tls):
    kind: Literal["syslog"]
    host: Words
    port: Annotated[int, Field(ge=1, le=65_535)] = 6514
    insecure: bool = False  # plain TCP
    record_bytes: RecordBytes = SYSLOG_BYTES

    @model_validator(mode="after")
    def _plain_has_no_certificates(self) -> SyslogTable:
        if self.insecure and (self.ca_file or self.certificate_file):
            raise ValueError("insecure: with it, there is no TLS, and certificates have no meaning")
        return self


class _Web(_Tls):
    url: WebAddress
    insecure: bool = False  # http://
    allow_private: bool = False  # addresses of private networks and of this machine
    headers: dict[str, Words] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _plain_says_so(self) -> _Web:
        if urlsplit(self.url).scheme == "http" and not self.insecure:
            raise ValueError("url: expected https://…; http:// needs insecure = true")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name):
                raise ValueError("headers: a name of a header has letters, digits and hyphens")
            if not value.isprintable() or not value.isascii():
                raise ValueError(f"headers.{name}: expected printable ASCII, env:NAME or file:PATH")
        return self


class HttpTable(_Web):
    kind: Literal["http"]
    secrets: Annotated[list[SecretPlace], Field(min_length=1, max_length=2)]


class OtlpOverWeb(_Web):
    """What goes to a collector of OpenTelemetry, in one of the three forms of OTLP."""

    protocol: Literal["http/json", "http/protobuf", "grpc"] = "http/json"

    @model_validator(mode="after")
    def _grpc_has_no_path(self) -> OtlpOverWeb:
        if self.protocol != "grpc":
            return self
        parts = urlsplit(self.url)
        if parts.path.strip("/") or parts.query:
            raise ValueError("url: with grpc, expected host and port alone, like https://host:4317")
        for name in self.headers:
            if (
                not _METADATA.fullmatch(name.lower())
                or name.lower().startswith("grpc-")
                or name.lower().endswith("-bin")
            ):
                raise ValueError(f"headers.{name}: gRPC does not take a header of this name")
        return self


class OtlpTable(OtlpOverWeb):
    kind: Literal["otlp"]


class _OfNoRecords(OtlpOverWeb):
    @model_validator(mode="after")
    def _is_no_evidence(self) -> _OfNoRecords:
        for key in ("required", "events", "record_bytes"):
            if key in self.model_fields_set:
                raise ValueError(f"{key}: it has a meaning only for sinks of audit records")
        return self

    @property
    def reads_audit(self) -> bool:
        return False


class TracesTable(_OfNoRecords):
    """Spans of tasks and attempts, for a collector of OpenTelemetry. It gets no audit records."""

    kind: Literal["traces"]
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0  # the share of traces that are sent

    @property
    def reads_events(self) -> bool:
        return True


class MetricsTable(_OfNoRecords):
    """The server's metrics, for a collector of OpenTelemetry. Every server sends its own."""

    kind: Literal["metrics"]
    interval: Annotated[float, Field(ge=1, le=3600)] = 60.0  # seconds


class NatsTable(SinkTable):
    kind: Literal["nats"]
    url: Words
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "swarmkeeper-audit"
    record_bytes: RecordBytes = NATS_BYTES


AnyTable = JsonlTable | SyslogTable | OtlpTable | HttpTable | NatsTable | TracesTable | MetricsTable
_ADAPTER: TypeAdapter[AnyTable] = TypeAdapter(Annotated[AnyTable, Field(discriminator="kind")])
KINDS = ("jsonl", "syslog", "otlp", "http", "nats", "traces", "metrics")


class Entry:
    """One sink as the file describes it, with its secrets."""

    def __init__(self, name: str, table: AnyTable, folder: Path, secrets: Mapping[str, str]) -> None:
        self.name, self.table, self._folder, self._secrets = name, table, folder, secrets

    def __repr__(self) -> str:
        return f"Entry({self.name!r})"  # secrets are in the rest

    def path(self, written: str) -> Path:
        """Return a path as it is meant: from the folder of the file on."""
        return self._folder / written

    def secret(self, written: str) -> str:
        """Return what `env:NAME` or `file:PATH` stands for; any other text is itself."""
        return self._secrets.get(written, written)


def read(path: Path, read_secret: ReadSecret, environ: Mapping[str, str] | None = None) -> list[Entry]:
    """Read and check the file of sinks.

    Raises:
        BadSinks: it cannot be used.
    """
    environ = os.environ if environ is None else environ
    try:
        content = tomllib.loads(read_text(path, BYTES_MAX))
    except BadFile as bad:
        raise BadSinks(f"{path}: the file {bad}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSinks(f"{path}: not valid TOML: {error}") from None
    tables = content.pop("sink", {})
    for other in content:
        raise BadSinks(f"{path}: {other}: unknown; sinks are tables [sink.NAME]")
    if not isinstance(tables, dict) or not tables:
        raise BadSinks(f"{path}: no sink: each is a table [sink.NAME]")
    if len(tables) > SINKS_MAX:
        raise BadSinks(f"{path}: more than {SINKS_MAX} sinks")
    entries = [_entry(path, name, table, read_secret, environ) for name, table in tables.items()]
    _no_file_twice(path, entries)
    return entries


def _entry(path: Path, name: str, content: Any, read_secret: ReadSecret, environ: Mapping[str, str]) -> Entry:
    where = f"{path}: [sink.{name}]"
    if not _NAME.fullmatch(name):
        raise BadSinks(f"{where}: a name has up to 64 lower-case letters, digits, _ and -")
    if not isinstance(content, dict):
        raise BadSinks(f"{where}: expected a table")
    if content.get("kind") not in KINDS:
        raise BadSinks(f"{where} kind: expected one of {', '.join(KINDS)}")
    try:
        table = _ADAPTER.validate_python(content)
    except ValidationError as error:
        raise BadSinks("\n".join(f"{where} {_said(found)}" for found in error.errors(include_input=False))) from None
    secrets: dict[str, str] = {}
    for key, written in _secret_keys(table):
        if written.startswith(("env:", "file:")):
            secrets[written] = _secret(where, key, written, path.parent, read_secret, environ)
    entry = Entry(name, table, path.parent, secrets)
    if isinstance(table, NatsTable):
        _check_nats(where, entry.secret(table.url))
    return entry


def _said(found: Any) -> str:
    """Return key and rule of one mistake, without the value: it may be a secret."""
    place = ".".join(str(part) for part in found["loc"][1:])  # the first part is the kind
    said = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        said = "unknown key"
    elif found["type"] == "missing":
        said = "missing"
    return f"{place}: {said}" if place else said


def _secret_keys(table: AnyTable) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if isinstance(table, HttpTable):
        found += [("secrets", written) for written in table.secrets]
    if isinstance(table, _Web):
        found += [(f"headers.{name}", written) for name, written in table.headers.items()]
    if isinstance(table, NatsTable):
        found.append(("url", table.url))
    return found


def _secret(
    where: str, key: str, written: str, folder: Path, read_secret: ReadSecret, environ: Mapping[str, str]
) -> str:
    kind, _, place = written.partition(":")
    if kind == "env":
        text = environ.get(place, "").strip()
        if not text:
            raise BadSinks(f"{where} {key}: the environment variable {place} is not set")
    else:
        try:
            text = read_secret(str(folder / place), key)
        except Exception as error:  # of the settings: its message names key and reason
            raise BadSinks(f"{where} {error}") from None
    if not text.isprintable() or not text.isascii():
        raise BadSinks(f"{where} {key}: expected one line of printable ASCII")
    return text


def _check_nats(where: str, url: str) -> None:
    try:
        if is_nats(checked(url)):
            return
    except ValueError:
        pass
    raise BadSinks(f"{where} url: expected nats://host:4222 or tls://host:4222, or env:NAME with such an address")


def _no_file_twice(path: Path, entries: list[Entry]) -> None:
    known: dict[Path, str] = {}
    for entry in entries:
        if isinstance(entry.table, JsonlTable):
            file = entry.path(entry.table.path).resolve()
            if file in known:
                raise BadSinks(f"{path}: [sink.{entry.name}] path: [sink.{known[file]}] writes to this file")
            known[file] = entry.name
