"""The file of sinks: what is wrong is refused, and the message names file, table and key, and never a secret."""

import base64
import os
import sys
from pathlib import Path

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.settings import BadSetting, Settings, read_secret
from swarmkeeper.sinks.bad_sinks import BadSinks
from swarmkeeper.sinks.file import Entry, HttpTable, read
from swarmkeeper.sinks.targets.choice import target_of

GOOD = "whsec_" + base64.b64encode(b"x" * 32).decode()
GRPC = 'kind = "otlp"\nprotocol = "grpc"\n'
HTTP = 'kind = "http"\nurl = "https://example.org/in"\n'


def entries(folder: Path, text: str, **environ: str) -> list[Entry]:
    file = folder / "sinks.toml"
    file.write_text(text)
    return read(file, read_secret, environ)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no sink: each is a table [sink.NAME]"),
        ("[sink.a", "not valid TOML"),
        ("[sinks.a]\n", "sinks: unknown; sinks are tables [sink.NAME]"),
        ("[sink]\na = 1\n", "[sink.a]: expected a table"),
        ('[sink."A b"]\nkind = "jsonl"\n', "[sink.A b]: a name has up to 64 lower-case letters, digits, _ and -"),
        ("[sink.a]\n", "[sink.a] kind: expected one of jsonl, syslog, otlp, http, nats, traces, metrics"),
        ('[sink.a]\nkind = "kafka"\n', "[sink.a] kind: expected one of"),
        ('[sink.a]\nkind = "jsonl"\n', "[sink.a] path: missing"),
        ('[sink.a]\nkind = "jsonl"\npath = "x"\nmode = 1\n', "[sink.a] mode: unknown key"),
        ('[sink.a]\nkind = "jsonl"\npath = "x"\nkeep = "3"\n', "[sink.a] keep: Input should be a valid integer"),
        ('[sink.a]\nkind = "jsonl"\npath = "x"\nmax_lag = 9\n', "max_lag: it has a meaning only with required = true"),
        ('[sink.a]\nkind = "jsonl"\npath = "x"\nrequired = true\nmax_lag = 1\n', "[sink.a] max_lag: Input should be"),
        (
            '[sink.a]\nkind = "jsonl"\npath = "x"\n[sink.b]\nkind = "jsonl"\npath = "./x"\n',
            "[sink.b] path: [sink.a] writes to this file",
        ),
        ('[sink.a]\nkind = "syslog"\nhost = "h"\nport = 0\n', "[sink.a] port: Input should be"),
        ('[sink.a]\nkind = "syslog"\nhost = "h"\ncertificate_file = "c"\n', "it goes together with key_file"),
        (
            '[sink.a]\nkind = "syslog"\nhost = "h"\ninsecure = true\nca_file = "c"\n',
            "insecure: with it, there is no TLS",
        ),
        (f"[sink.a]\n{HTTP}", "[sink.a] secrets: missing"),
        (f'[sink.a]\n{HTTP}secrets = ["{GOOD}"]\n', "a secret stands elsewhere: write env:NAME or file:PATH"),
        (f'[sink.a]\n{HTTP}secrets = ["env:NONE"]\n', "[sink.a] secrets: the environment variable NONE is not set"),
        (f'[sink.a]\n{HTTP}secrets = ["file:none"]\n', "[sink.a] secrets: the file cannot be read"),
        (f'[sink.a]\n{HTTP}secrets = ["env:A", "env:A", "env:A"]\n', "[sink.a] secrets: List should have at most 2"),
        ('[sink.a]\nkind = "otlp"\nurl = "http://h:4318"\n', "url: expected https://…; http:// needs insecure = true"),
        ('[sink.a]\nkind = "otlp"\nurl = "https://user:pass@h"\n', "[sink.a] url: expected a URL like"),
        ('[sink.a]\nkind = "otlp"\nurl = "file:///etc/passwd"\n', "[sink.a] url: expected a URL like"),
        ('[sink.a]\nkind = "otlp"\nurl = "https://h"\nheaders = { "a b" = "x" }\n', "headers: a name of a header"),
        ('[sink.a]\nkind = "otlp"\nurl = "https://h"\nheaders = { "a" = "x\\ny" }\n', "headers.a: expected printable"),
        ('[sink.a]\nkind = "traces"\nurl = "https://h"\nsample = 1.5\n', "[sink.a] sample: Input should be"),
        *(
            (
                f'[sink.a]\nkind = "traces"\nurl = "https://h"\n{key}\n',
                f"{key.split()[0]}: it has a meaning only for sinks of",
            )
            for key in ("required = true", "events = false", "record_bytes = 9999")
        ),
        (f"[sink.a]\n{GRPC}url = 'https://h:4317/v1/logs'\n", "url: with grpc, expected host and port alone"),
        (f"[sink.a]\n{GRPC}url = 'https://h?a=b'\n", "url: with grpc, expected host and port alone"),
        *(
            (f"[sink.a]\n{GRPC}url = 'https://h'\nheaders = {{ '{name}' = 'x' }}\n", f"headers.{name}: gRPC does not")
            for name in ("a!b", "grpc-timeout", "trace-bin")
        ),
        ('[sink.a]\nkind = "otlp"\nurl = "https://h"\nprotocol = "http"\n', "[sink.a] protocol: Input should be"),
        ('[sink.a]\nkind = "http"\nurl = "https://h"\nprotocol = "grpc"\n', "[sink.a] protocol: unknown key"),
        ('[sink.a]\nkind = "metrics"\nurl = "https://h"\ninterval = 0\n', "[sink.a] interval: Input should be"),
        ('[sink.a]\nkind = "metrics"\nurl = "https://h"\nevents = true\n', "events: it has a meaning only for"),
        ('[sink.a]\nkind = "otlp"\nurl = "https://h"\ninterval = 9\n', "[sink.a] interval: unknown key"),
        ('[sink.a]\nkind = "nats"\nurl = "https://h"\n', "[sink.a] url: expected nats://host:4222"),
        ('[sink.a]\nkind = "nats"\nurl = "nats://h"\nstream = "a.b"\n', "[sink.a] stream: String should match"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadSinks) as refused:
        entries(tmp_path, text)

    assert str(refused.value).startswith(str(tmp_path / "sinks.toml"))
    assert said in str(refused.value)
    assert "pass@" not in str(refused.value)
    assert GOOD[6:] not in str(refused.value)


def test_all_mistakes_of_a_table_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSinks) as refused:
        entries(tmp_path, '[sink.a]\nkind = "jsonl"\nkeep = 0\nx = 1\n')

    assert len(str(refused.value).splitlines()) == 3


def test_secrets_come_from_the_environment_or_a_private_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{GOOD}\n")
    (tmp_path / "secret").chmod(0o600)
    (found,) = entries(tmp_path, f'[sink.a]\n{HTTP}secrets = ["file:secret", "env:B"]\n', B="whsec_b")
    table = found.table

    assert isinstance(table, HttpTable)
    assert [found.secret(written) for written in table.secrets] == [GOOD, "whsec_b"]
    assert GOOD not in repr(found)


def test_a_secret_that_everyone_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(GOOD)
    (tmp_path / "secret").chmod(0o644)

    with pytest.raises(BadSinks, match=r"\[sink.a\] secrets: everyone on this machine may read the file"):
        entries(tmp_path, f'[sink.a]\n{HTTP}secrets = ["file:secret"]\n')


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", GOOD[6:], "whsec_not base64!", f"{GOOD}="])
def test_a_secret_in_another_form_is_refused(secret: str, tmp_path: Path) -> None:
    (found,) = entries(tmp_path, f'[sink.a]\n{HTTP}secrets = ["env:A"]\n', A=secret)

    with pytest.raises(BadSinks, match=r"\[sink.a\] secrets: expected whsec_"):
        target_of(found, SystemClock().now)


def test_a_certificate_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (found,) = entries(tmp_path, '[sink.a]\nkind = "syslog"\nhost = "h"\nca_file = "none.pem"\n')

    with pytest.raises(BadSinks, match=r"\[sink.a\] ca_file"):
        target_of(found, SystemClock().now)


async def test_a_server_does_not_start_with_a_file_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="the file cannot be read"):
        async with Orchestrator(Settings(store="sqlite://:memory:", sinks=str(tmp_path / "none.toml"))):
            pass


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_without_its_packages_a_form_is_refused_with_what_helps(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "swarmkeeper.sinks.targets.rpc", raising=False)
    monkeypatch.delattr("swarmkeeper.sinks.targets.rpc", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    (found,) = entries(tmp_path, f'[sink.a]\nkind = "otlp"\nurl = "https://h"\nprotocol = "{protocol}"\n')

    with pytest.raises(BadSinks, match=r"\[sink.a\] protocol: .* pip install 'swarmkeeper\[otel\]'"):
        target_of(found, SystemClock().now)


def test_a_pipe_in_place_of_the_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sinks.toml")

    with pytest.raises(BadSinks, match="no plain file"):
        read(tmp_path / "sinks.toml", lambda place, what: "")
