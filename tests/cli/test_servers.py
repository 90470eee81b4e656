"""`serve`, `dev` and `demo` as processes: when they report that they are ready, how they stop, what they leave."""

import json
import os
import pty
import signal
import ssl
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from tests.cli.conftest import Running
from tests.cli.shell import Server, Shell
from tests.support import postgres
from tests.test_tls import certificate, replace_by


def test_serve_answers_once_it_is_ready_and_stops_on_a_signal(tmp_path: Path) -> None:
    server = Server("serve", "--store", "sqlite:///a.db", "--port", "0", "--json", folder=tmp_path, forked=False)
    try:
        url = server.first_line()["url"]
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        assert f"listening on {url}" in server.said()
        assert "swarmkeeper key create --store sqlite:///a.db --role admin" in server.said()
    finally:
        code = server.stop()
    assert code == 0


def test_serve_warns_of_an_unknown_variable_but_not_of_a_flag_of_another_command(tmp_path: Path) -> None:
    environ = {"SWARMKEEPER_PROT": "1", "SWARMKEEPER_IDEMPOTENCY_KEY": "k"}
    server = Server("serve", "--store", "sqlite:///a.db", "--port", "0", "--json", folder=tmp_path, environ=environ)
    try:
        server.first_line()
        assert "SWARMKEEPER_PROT is not a setting" in server.said()
        assert "SWARMKEEPER_IDEMPOTENCY_KEY" not in server.said()
    finally:
        server.stop()


# It is stopped at the moment at which it prints its address.
STOPPED = """import os, signal
from swarmkeeper.cli.framework import terminal
say = terminal.say_json
terminal.say_json = lambda value: (say(value), os.kill(os.getpid(), signal.SIGTERM))
from swarmkeeper.cli.main import main
main()
"""


def test_a_server_can_be_stopped_as_soon_as_it_has_printed_its_address(tmp_path: Path) -> None:
    words = ["serve", "--store", "sqlite:///a.db", "--port", "0", "--json"]

    done = subprocess.run([sys.executable, "-c", STOPPED, *words], cwd=tmp_path, check=False, timeout=60)

    assert done.returncode == 0


def test_a_server_ends_with_the_terminal_that_it_runs_in(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    # Its output goes elsewhere. The end of the terminal reaches the shell that leads the session.
    said = tmp_path / "said"
    with said.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-c", TERMINAL, "-m", "swarmkeeper.cli", "dev", "--port", "0", "--no-demo"],
            stdin=its,
            stdout=out,
            stderr=out,
            cwd=tmp_path,
            start_new_session=True,
        )
    try:
        os.close(its)
        until = time.monotonic() + 30
        while "listening on" not in said.read_text() and time.monotonic() < until:
            time.sleep(0.1)
        server.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert server.poll() is None  # the terminal exists, so the signal reloads the rules
        os.close(ours)

        assert server.wait(20) == 0
        assert "rules_changed" in said.read_text()
    finally:
        server.kill()
        server.wait()


# Makes stdin the terminal of its session, and executes Python with the given arguments.
TERMINAL = """import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_serve_shows_a_renewed_certificate_after_a_hangup_and_keeps_it_if_the_next_one_is_broken(
    tmp_path: Path,
) -> None:
    files, renewed = certificate(tmp_path), certificate(tmp_path, "renewed")
    flags = ("--tls-cert", files["tls_cert"], "--tls-key", files["tls_key"])
    server = Server("serve", "--store", "sqlite:///a.db", "--port", "0", "--json", *flags, folder=tmp_path)

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port))

    def hang_up_until(done: Callable[[], bool]) -> None:
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 20
        while not done():
            assert time.monotonic() < until, server.said()
            time.sleep(0.1)

    try:
        port = int(server.first_line()["url"].removeprefix("https://127.0.0.1:"))
        assert shown() == Path(files["tls_cert"]).read_text()
        for setting, file in files.items():
            replace_by(file, renewed[setting])
        hang_up_until(lambda: shown() == Path(renewed["tls_cert"]).read_text())

        Path(files["tls_cert"]).write_text("no certificate")
        hang_up_until(lambda: "certificate_refused" in server.said())
        assert shown() == Path(renewed["tls_cert"]).read_text()
    finally:
        server.stop()


def test_serve_takes_changed_policies_on_a_hangup_only_if_they_are_valid(tmp_path: Path) -> None:
    policies = tmp_path / "ours.cedar"
    permit = '@id("all") permit (principal, action, resource);'
    policies.write_text(permit)
    store = f"sqlite:///{tmp_path / 'a.db'}"
    server = Server("serve", "--store", store, "--port", "0", "--json", "--policies", str(policies), folder=tmp_path)

    def hang_up_until(said: str) -> None:
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 20
        while said not in server.said():
            assert time.monotonic() < until, server.said()
            time.sleep(0.1)

    try:
        url = server.first_line()["url"]
        made = Server("key", "create", "--store", store, "--role", "client", "--json", folder=tmp_path)
        key = made.first_line()["key"]
        made.end()
        policies.write_text("permit;")
        hang_up_until("policies_refused")
        assert call(url, key, "/tasks", {"title": "t"})["status"] == "CREATED"

        policies.write_text(permit + '\n@id("none") forbid (principal, action == Action::"task.submit", resource);')
        hang_up_until("policies_changed")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            call(url, key, "/tasks", {"title": "t"})
    finally:
        server.stop()


def test_serve_ends_polls_and_streams_when_it_stops(running: Running, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'a.db'}"
    server = Server("serve", "--store", store, "--port", "0", "--json", "--stop-seconds", "20", folder=tmp_path)
    try:
        url = server.first_line()["url"]
        made = Server("key", "create", "--store", store, "--role", "admin", "--json", folder=tmp_path)
        key = made.first_line()["key"]
        made.end()
        bot = call(url, key, "/bots/register", {"type": "Executor", "version": "1"})["id"]
        poll = Server(
            "api",
            "POST",
            "/leases",
            "--data",
            json.dumps({"bot_id": bot, "wait_seconds": 60}),
            folder=tmp_path,
            environ={"SWARMKEEPER_URL": url, "SWARMKEEPER_API_KEY": key},
        )
        parked(url, key)
    finally:
        code = server.stop(signal.SIGINT)
    assert code == 0
    assert poll.first_line()["leases"] == []
    poll.end()


def parked(url: str, key: str) -> None:
    """Wait until a poll is parked."""
    gives_up_at = time.monotonic() + 30
    while not call(url, key, "/readyz?verbose=true")["parked_polls"]:
        assert time.monotonic() < gives_up_at, "no poll was parked"
        time.sleep(0.05)


def call(url: str, key: str, path: str, body: object = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"X-API-KEY": key, "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=10) as answer:
        told: dict[str, object] = json.load(answer)
        return told


def test_a_second_server_on_one_store_is_refused(running: Running, tmp_path: Path) -> None:
    server = Server("serve", "--store", running.store, "--port", "0", folder=tmp_path)

    assert server.end() == 6
    assert "error[store_held]" in server.said()


def test_serve_without_a_key_refuses_addresses_beyond_loopback(tmp_path: Path) -> None:
    server = Server("serve", "--store", "sqlite:///a.db", "--host", "0.0.0.0", "--port", "0", folder=tmp_path)

    assert server.end() == 1
    assert "error[cannot_serve]" in server.said()
    assert "swarmkeeper key create --store sqlite:///a.db --role admin" in server.said()


def test_serve_with_a_generated_first_key_listens_beyond_loopback_and_writes_the_key_nowhere(
    shell: Shell, tmp_path: Path
) -> None:
    key = shell("key", "generate").out.strip()
    words = ("serve", "--store", "sqlite:///a.db", "--host", "0.0.0.0", "--port", "0", "--insecure", "--json")
    server = Server(
        *words, folder=tmp_path, environ={"SWARMKEEPER_BOOTSTRAP_KEY": key, "SWARMKEEPER_LOG_LEVEL": "debug"}
    )
    try:
        port = str(server.first_line()["url"]).rpartition(":")[2]
        listed = call(f"http://127.0.0.1:{port}", key, "/keys")["items"]
    finally:
        code = server.stop()

    assert code == 0
    assert isinstance(listed, list)
    assert [each["role"] for each in listed] == ["admin"]
    kept = server.said().encode() + b"".join(file.read_bytes() for file in tmp_path.glob("a.db*"))
    assert key.split("_")[2].encode() not in kept


def test_an_older_store_is_unchanged_until_migrate_is_given(shell: Shell) -> None:
    shell("key", "create", "--store", "sqlite:///a.db", "--role", "admin")
    connection = apsw.Connection("a.db")
    connection.execute("CREATE TABLE older (x)")
    connection.execute(
        "INSERT INTO migration (number, name, sha256)"
        " SELECT number + 1, 'later', sha256 FROM migration ORDER BY number DESC LIMIT 1"
    )
    connection.close()

    newer = Server("serve", "--store", "sqlite:///a.db", "--port", "0", folder=shell.folder)

    assert newer.end() == 1
    assert "the version of swarmkeeper that made it" in newer.said()


def test_no_secret_of_a_query_or_header_reaches_the_log_of_serve(tmp_path: Path) -> None:
    secret = "swk_8OIO7EeOSZ_nyDThDZShlz3oHyT01zEOS6u6QTPQfhqGBEYBGpnuhR_28GW6E"
    server = Server(
        "serve", "--store", "sqlite:///a.db", "--port", "0", "--json", "--log-level", "debug", folder=tmp_path
    )
    try:
        url = server.first_line()["url"]
        for path in (f"/tasks?api_key={secret}", f"/{secret}", f"/tasks/{secret}"):
            with pytest.raises(urllib.error.HTTPError):
                call(url, secret, path)
    finally:
        server.stop()

    assert '"event": "request"' in server.said()
    assert "swk_8OIO7EeOSZ" not in server.said()


def test_dev_keeps_everything_in_its_folder_and_resumes_from_there(shell: Shell) -> None:
    first = Server("dev", "--port", "0", "--json", folder=shell.folder)
    try:
        ready = first.first_line()
        assert ready["api_key"].startswith("swk_")
        assert "review-planner" in ready["bots"]
        assert shell("bot", "list", "--json").out.count("\n") >= 0
        task = shell("submit", "Say hello", "--skill", "greet").out.strip()
        assert task.startswith("tsk_")
    finally:
        assert first.stop() == 0

    folder = shell.folder / ".swarmkeeper"
    assert (folder / ".gitignore").read_text().endswith("*\n")
    for file in (*(folder / "keys").iterdir(), folder / "store.db", folder / "settings.toml"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    gone = shell("task", "list")
    assert (gone.code, "error[unreachable]" in gone.err) == (10, True)

    second = Server("dev", "--port", "0", "--no-demo", "--json", folder=shell.folder)
    try:
        ready = second.first_line()
        assert ready["resumed"]
        assert ready["bots"] == []
        assert "api_key" not in ready
        assert task in shell("task", "list").out
        assert shell("doctor", "--deep").code == 0
    finally:
        assert second.stop() == 0


def test_the_link_that_dev_prints_signs_a_browser_in_once(tmp_path: Path) -> None:
    server = Server("dev", "--port", "0", "--no-demo", "--json", folder=tmp_path)
    try:
        page, _, token = server.first_line()["dashboard"].partition("#t=")
        origin = page.removesuffix("/ui/")
        headers = {"authorization": f"Bearer {token}", "origin": origin, "sec-fetch-site": "same-origin"}
        redeem = urllib.request.Request(f"{origin}/session:redeem", method="POST", headers=headers)
        with urllib.request.urlopen(page) as shown, urllib.request.urlopen(redeem) as answer:
            assert b"<title>swarmkeeper</title>" in shown.read()
            assert json.load(answer)["role"] == "admin"
            assert "HttpOnly" in answer.headers["set-cookie"]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(redeem)
    finally:
        server.stop()

    assert token not in server.said()


def test_demo_reviews_a_directory_and_verifies_its_own_audit_log(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "one.py").write_text("def one():\n    return 1\n")
    (code / "notes.md").write_text("# Notes\nhttps://example.org\n")

    first = demo(tmp_path)
    (code / "one.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    second = demo(tmp_path)

    assert first.splitlines()[0].startswith("accepted: Review code, 2 files in ")
    assert "audit log verified: " in first
    assert "one.py:1 one is public and not documented" in first
    assert len(first.splitlines()) <= 22
    assert "| functions | 1 |" in report_of(first)
    assert "| functions | 2 |" in report_of(second)


def report_of(said: str) -> str:
    (line,) = [line for line in said.splitlines() if line.startswith("report ")]
    return Path(line.removeprefix("report ").strip()).read_text(encoding="utf-8")


def test_demo_runs_on_postgresql_too(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "one.py").write_text("def one():\n    return 1\n")

    said = demo(tmp_path, "--store", postgres.server().new_database())

    assert said.splitlines()[0].startswith("accepted: Review code, 1 file in ")
    assert "audit log verified: " in said


def test_demo_says_why_a_store_cannot_be_used(shell: Shell) -> None:
    (shell.folder / "one.py").write_text("x = 1\n")

    away = shell("demo", ".", "--store", "postgresql://nobody:geheim@127.0.0.1:1/x")
    unknown = shell("demo", ".", "--store", "other://x")

    assert (away.code, unknown.code) == (1, 1)
    assert "the database cannot be reached now" in away.err
    assert "geheim" not in away.err + away.out
    assert "this is not the address of a store" in unknown.err


def demo(folder: Path, *arguments: str) -> str:
    run = Server("demo", "code", *arguments, folder=folder, environ={"TMPDIR": str(folder)})
    assert run.process.stdout is not None
    said = run.process.stdout.read()
    assert run.end() == 0, run.said()
    assert "SUCCEEDED" in run.said()
    return said


def test_demo_reports_that_there_is_nothing_to_review(shell: Shell) -> None:
    assert shell("demo", "nowhere").code == 2
