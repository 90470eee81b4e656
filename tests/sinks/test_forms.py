"""What goes over the wire, in the form of each standard."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmkeeper.app import Orchestrator
from swarmkeeper.clock import SystemClock
from swarmkeeper.settings import read_secret
from swarmkeeper.sinks.file import read
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.choice import target_of
from swarmkeeper.sinks.targets.syslog import framed, message
from swarmkeeper.sinks.targets.target import SinkTarget
from tests.sinks.conftest import log_of, said, settings, table_of, until, until_there, work
from tests.sinks.receivers import (
    HEADER,
    PARAMETER,
    SECRET,
    Certificates,
    OtlpReceiver,
    PlainSyslogReceiver,
    SyslogReceiver,
    WebhookReceiver,
)

pytestmark = pytest.mark.usefixtures("quick")
MEMORY = "sqlite://:memory:"


def target(folder: Path, keys: dict[str, Any], **environ: str) -> SinkTarget:
    file = folder / "sinks.toml"
    file.write_text(table_of("a", keys))
    (entry,) = read(file, read_secret, environ)
    return target_of(entry, SystemClock().now)


def record(number: int = 1, size: int = 0) -> SinkRecord:
    body = json.dumps({"id": str(number), "type": "io.swarmkeeper.audit.test.v1", "fill": "x" * size}).encode()
    return SinkRecord(number, str(number), "default", "audit.test", body, 1, "c", (("type", "audit"), ("id", "1")))


# ---- syslog ----------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.sampled_from(["id", "tenant", "task"]), st.text()), st.text(), st.booleans())
def test_whatever_is_in_a_record_it_is_one_message_in_printable_ascii(
    facts: dict[str, str], text: str, refused: bool
) -> None:
    body = json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "replace")
    made = SinkRecord(1, "1", "t", "k", body, 10**15, "c", (("type", "audit"), *facts.items()), refused)
    content = message(made, "host", "1")
    found = HEADER.match(content)

    assert all(0x20 <= byte <= 0x7E for byte in content)
    assert found is not None
    assert int(found[1]) == 8 * 13 + (4 if refused else 6)
    assert [name.decode() for name, _ in PARAMETER.findall(found[8])] == list(facts)
    assert json.loads(content[found.end() :]) == json.loads(body)
    assert framed(content) == str(len(content)).encode() + b" " + content


async def test_a_syslog_receiver_without_a_trusted_certificate_gets_nothing(
    tmp_path: Path, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> None:
    others = Certificates.made(tmp_path_factory.mktemp("others"))
    receiver = SyslogReceiver(tmp_path, certificates)
    await receiver.start()
    sink = target(tmp_path, {"kind": "syslog", **receiver.table(), "ca_file": str(others.folder / "ca.pem")})

    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        await sink.send([record()])

    await receiver.kill()
    assert receiver.raw == []


async def test_a_syslog_receiver_that_dies_before_it_has_read_everything_gets_it_again(
    tmp_path: Path, certificates: Certificates
) -> None:
    receiver = SyslogReceiver(tmp_path, certificates)
    receiver.mode = "failing"
    await receiver.start()
    sink = target(tmp_path, {"kind": "syslog", **receiver.table()})

    many = [record(number, 20_000) for number in range(50)]  # more than a receiver holds in its memory
    with pytest.raises(OSError):
        await sink.send(many)

    receiver.mode = "ok"
    assert await sink.send(many) == 50
    await receiver.kill()
    assert [event["id"] for event in receiver.events] == [str(number) for number in range(50)]


async def test_plain_syslog_goes_over_tcp(tmp_path: Path, certificates: Certificates) -> None:
    receiver = PlainSyslogReceiver(tmp_path, certificates)
    await receiver.start()
    sink = target(tmp_path, {"kind": "syslog", **receiver.table()})

    await sink.send([record(1)])
    receiver.mode = "failing"
    with pytest.raises(OSError):
        await sink.send([record(number, 20_000) for number in range(50)])

    await receiver.kill()
    assert [event["id"] for event in receiver.events] == ["1"]


async def test_a_syslog_message_says_in_its_structured_data_which_record_it_is(
    tmp_path: Path, certificates: Certificates
) -> None:
    receiver = SyslogReceiver(tmp_path, certificates)
    await receiver.start()
    file = tmp_path / "sinks.toml"
    file.write_text(table_of("siem", {"kind": "syslog", **receiver.table()}))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        shown = await log_of(swarm)
        await until_there(receiver, shown[-1]["index"])
    await receiver.kill()

    for found, expected in zip(receiver.parameters, shown, strict=False):
        assert (found["id"], found["index"], found["hash"]) == (
            expected["id"],
            str(expected["index"]),
            expected["hash"],
        )
        assert (found["tenant"], found["action"]) == ("default", expected["action"])


# ---- webhooks --------------------------------------------------------------------------------------------------------


async def test_a_batch_is_signed_with_both_secrets_and_has_the_same_id_when_it_comes_again(
    tmp_path: Path, certificates: Certificates
) -> None:
    receiver = WebhookReceiver(tmp_path, certificates)
    await receiver.start()
    other = b"y" * 24
    new = "whsec_" + base64.b64encode(other).decode()
    table = {**receiver.table(), "secrets": ["env:NEW", *receiver.table()["secrets"]]}
    sink = target(tmp_path, {"kind": "http", **table, "headers": {}}, NEW=new)
    await sink.open()
    await sink.send([record(1), record(2)])
    await sink.send([record(1), record(2)])
    await sink.send([record(3)])
    await sink.close()
    await receiver.kill()

    ids = [headers["webhook-id"] for headers, _ in receiver.requests]
    assert ids[0] == ids[1] != ids[2]
    for headers, body in receiver.requests:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signatures = [
            base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in (other, SECRET)
        ]
        assert headers["webhook-signature"] == f"v1,{signatures[0]} v1,{signatures[1]}"
        assert abs(int(headers["webhook-timestamp"]) - SystemClock().now() // 10**6) < 30


def test_a_signature_is_that_of_the_standard() -> None:
    """The example of the reference implementations."""
    from swarmkeeper.sinks.targets.webhook import secret_of, signature

    secret = secret_of("", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_receiver_that_wants_to_be_left_alone_is(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swarmkeeper.sinks.targets.target import TargetBusy

    receiver = WebhookReceiver(tmp_path, certificates)
    await receiver.start()
    receiver.mode, receiver.status = "refusing", 429
    sink = target(tmp_path, {"kind": "http", **receiver.table()})
    await sink.open()

    with pytest.raises(TargetBusy, match="429") as busy:
        await sink.send([record(1)])

    await sink.close()
    await receiver.kill()
    assert busy.value.retry_after is None


# ---- OpenTelemetry ---------------------------------------------------------------------------------------------------


async def test_records_that_a_collector_leaves_out_stop_the_sink(
    tmp_path: Path, certificates: Certificates, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver = OtlpReceiver(tmp_path, certificates)
    receiver.left_out = 2
    await receiver.start()
    file = tmp_path / "sinks.toml"
    file.write_text(table_of("otel", {"kind": "otlp", **receiver.table(), "url": f"https://127.0.0.1:{receiver.port}"}))
    async with Orchestrator(settings(MEMORY, file)) as swarm:
        await work(swarm, 1)
        stopped = await said(capfd, "sink_stopped", [])
        receiver.left_out = 0
        shown = await log_of(swarm)
        await until_there(receiver, shown[-1]["index"])

        async def nothing_is_wrong() -> bool:
            return not swarm.readiness(verbose=True)["warnings"]

        await until(nothing_is_wrong)
    await receiver.kill()

    assert stopped["reason"] == "it left out 2 records of a batch: too old"
    assert receiver.attributes[0]["swarmkeeper.tenant"] == "default"
