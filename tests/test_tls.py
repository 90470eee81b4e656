"""A server with a certificate of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from swarmkeeper.server import CannotServe, Served, serving
from swarmkeeper.settings import BadSetting, Settings


def certificate(folder: Path, name: str = "server", password: bytes | None = None) -> dict[str, str]:
    """Write a new certificate for 127.0.0.1, signed by itself, and its key; return the settings that name them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kept = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    files = {"tls_cert": folder / f"{name}.pem", "tls_key": folder / f"{name}.key"}
    files["tls_cert"].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    files["tls_key"].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, kept))
    files["tls_key"].chmod(0o600)
    return {setting: str(file) for setting, file in files.items()}


def replace_by(there: str, new: str) -> None:
    Path(there).write_bytes(Path(new).read_bytes())


def spoil(files: dict[str, str], how: str, folder: Path) -> None:
    match how:
        case "missing":
            Path(files["tls_cert"]).unlink()
        case "others":
            files["tls_key"] = certificate(folder, "other")["tls_key"]
        case "garbage":
            Path(files["tls_cert"]).write_text(json.dumps({"not": "a certificate"}))
        case "open":
            Path(files["tls_key"]).chmod(0o644)


def settings(**more: Any) -> Settings:
    return Settings(store="sqlite://:memory:", port=0, log_level="error", **more)


async def asked(served: Served, trusted: str, path: str = "/livez") -> tuple[int, str]:
    """Call the server as somebody who trusts one certificate; return the status and whose certificate it showed."""
    context = ssl.create_default_context(cafile=trusted)
    port = int(served.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("peercert")["subject"][0][0][1]
    writer.write(f"GET {path} HTTP/1.1\r\nHost: swarm\r\nConnection: close\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status, shown


async def test_a_server_with_a_certificate_speaks_tls_and_only_tls(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    async with serving(settings(**files)) as served:
        assert served.url.startswith("https://127.0.0.1:")
        assert await asked(served, files["tls_cert"]) == (200, "server")

        reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
        writer.write(b"GET /livez HTTP/1.1\r\nHost: swarm\r\n\r\n")
        assert b"200" not in await reader.read()
        writer.close()


async def test_a_server_with_a_certificate_may_be_reached_by_others(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    store = f"sqlite:///{tmp_path / 'a.db'}"
    open_to_all = replace(settings(**files), store=store, host="0.0.0.0")

    with pytest.raises(CannotServe, match="no keys"):  # and not: without TLS
        async with serving(open_to_all):
            pass


async def test_a_renewed_certificate_is_shown_from_then_on(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    async with serving(settings(**files)) as served:
        renewed = certificate(tmp_path, "renewed")
        for setting, file in files.items():
            replace_by(file, renewed[setting])
        served.reload_certificate()

        assert await asked(served, renewed["tls_cert"]) == (200, "renewed")


async def test_half_of_a_renewed_pair_changes_nothing(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    trusted = tmp_path / "trusted.pem"
    replace_by(str(trusted), files["tls_cert"])
    async with serving(settings(**files)) as served:
        replace_by(files["tls_cert"], certificate(tmp_path, "renewed")["tls_cert"])
        with pytest.raises(BadSetting, match="cannot be used together"):
            served.reload_certificate()

        assert await asked(served, str(trusted)) == (200, "server")


@pytest.mark.parametrize("spoilt", ["missing", "others", "garbage", "password", "open"])
async def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, spoilt: str) -> None:
    files = certificate(tmp_path, password=b"secret" if spoilt == "password" else None)
    spoil(files, spoilt, tmp_path)

    with pytest.raises(CannotServe, match="tls_"):
        async with serving(settings(**files)):
            pass


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(BadSetting, match="tls_key: missing"):
        settings(tls_cert="server.pem")
