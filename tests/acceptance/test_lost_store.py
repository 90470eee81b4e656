"""A server and the file it keeps everything in: what callers are told when it is removed, replaced or damaged, and what
the tools do where nothing can be written."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import apsw
import httpx2
import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.core.ports import StoreDamaged
from swarmkeeper.settings import Settings
from tests.acceptance.server import Caller, Server

TASK = {"title": "kept", "subtasks": [{"key": "a", "description": ""}]}


def tasks_in(path: Path) -> set[str]:
    looking = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    return {str(name) for (name,) in looking.execute("SELECT id FROM task")}


def remove(store: Path, other: Path) -> None:
    store.unlink()


def replace(store: Path, other: Path) -> None:
    other.replace(store)


@pytest.mark.parametrize("happens", [remove, replace])
def test_a_server_that_loses_its_store_acknowledges_nothing_more_says_why_and_ends(
    tmp_path: Path, happens: Callable[[Path, Path], None]
) -> None:
    store, other = tmp_path / "swarm.db", tmp_path / "other.db"
    with Server(other):
        pass
    with Server(store) as server:
        call = Caller(server, server.key("client"))
        acknowledged = {call.post("/tasks", TASK)["id"] for _ in range(5)}

        happens(store, other)
        for _ in range(20):
            try:
                answer = call("POST", "/tasks", TASK)
            except httpx2.TransportError:
                break
            assert answer.status_code == 503, answer.text

        assert server.process is not None
        assert server.process.wait(30) == 1

    said = [json.loads(line) for line in store.with_suffix(".log").read_text().splitlines() if line.startswith("{")]
    told = {line["event"]: line for line in said}
    assert str(store) in told["store_lost"]["error"]
    assert told["store_lost"]["level"] == "error"
    copy = store.with_name("swarm.db.lost")
    assert str(copy) in told["store_left"]["done"]
    assert tasks_in(copy) == acknowledged


def break_table(path: Path, table: str) -> None:
    """Write over the first page of a table and of each index of it, as a failing disk does."""
    other = apsw.Connection(str(path))
    # What others have in their memory of the file is old from here on.
    other.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
    other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    roots = other.execute("SELECT rootpage FROM sqlite_schema WHERE tbl_name = ?", (table,)).fetchall()
    size = other.pragma("page_size")
    assert isinstance(size, int)
    with path.open("r+b", buffering=0) as file:
        for (root,) in roots:
            assert isinstance(root, int)
            os.pwrite(file.fileno(), b"\xff" * size, (root - 1) * size)
    other.close()


async def test_readyz_says_at_once_that_the_store_is_lost_or_damaged(tmp_path: Path) -> None:
    async def readiness(swarm: Orchestrator) -> tuple[int, dict[str, object]]:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(swarm.app), base_url="http://swarm") as http:
            key = await swarm.make_key("admin") if swarm.readiness()["ready"] else ""
            full = swarm.readiness(True)
            return (await http.get("/readyz", headers={"X-API-KEY": key})).status_code, full

    path = tmp_path / "swarm.db"
    async with Orchestrator(Settings(store=f"sqlite:///{path}")) as swarm:
        assert (await readiness(swarm))[0] == 200
        path.unlink()
        status, full = await readiness(swarm)
        assert (status, full["store"]) == (503, "lost")
        await swarm.ended.wait()

    shutil.copy(path.with_name("swarm.db.lost"), path)
    async with Orchestrator(Settings(store=f"sqlite:///{path}")) as swarm:
        assert (await readiness(swarm))[0] == 200
        break_table(path, "api_key")
        assert swarm.readiness()["ready"]  # nobody has looked there

        with pytest.raises(StoreDamaged):
            await swarm.knows("swk_8OIO7EeOSZ_nyDThDZShlz3oHyT01zEOS6u6QTPQfhqGBEYBGpnuhR_28GW6E")
        assert swarm.readiness(True)["store"] == "damaged"
        assert not swarm.readiness()["ready"]


LOOKING = """
import os, sys
from swarmkeeper.cli.main import main

words = {words!r}
for path in sys.argv[1:]:
    for command in words:
        sys.argv = ["swarmkeeper", *(word.format(path) for word in command)]
        print(path, command[0], "ends with", flush=True)
        try:
            main()
        except SystemExit as end:
            print(end.code)
print(sorted(os.listdir(os.path.dirname(path))))
"""
COMMANDS = [
    ["audit", "verify", "sqlite:///{}"],
    ["doctor", "--deep", "--store", "sqlite:///{}"],
    ["tenant", "list", "--store", "sqlite:///{}", "--json"],
]


def unwritable(folder: Path) -> list[str]:
    """What to put before a program so that it can write nothing into a folder: a read-only mount, or no right to."""
    folder.chmod(0o500)
    mount = f"mount --bind '{folder}' '{folder}' && mount -o remount,ro,bind '{folder}' && exec \"$@\""
    ways = [
        ["unshare", "-m", "sh", "-c", mount, "-"],
        ["unshare", "-rm", "sh", "-c", mount, "-"],
        ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"],
        ["env"],
    ]
    for way in ways:
        tried = subprocess.run([*way, "test", "!", "-w", str(folder)], check=False, capture_output=True)
        if tried.returncode == 0:
            return way
    raise AssertionError("this machine lets everybody write everywhere")


def test_reading_commands_work_where_nothing_can_be_written_and_miss_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    live = tmp_path / "live.db"
    running = apsw.Connection(str(live))
    running.pragma("journal_mode", "wal")
    running.wal_autocheckpoint(0)
    create = [
        sys.executable,
        "-m",
        "swarmkeeper.cli",
        "key",
        "create",
        "--role",
        "admin",
        "--store",
        f"sqlite:///{live}",
    ]
    subprocess.run(create, check=True, capture_output=True)
    running.wal_checkpoint()
    subprocess.run(create, check=True, capture_output=True)
    forms = {"killed.db": ("", "-wal", "-shm"), "copied.db": ("", "-wal"), "alone.db": ("",)}
    for name, sides in forms.items():
        for side in sides:
            shutil.copy(f"{live}{side}", f"{folder / name}{side}")
    running.close()
    shutil.copy(live, folder / "closed.db")
    before = sorted(file.name for file in folder.iterdir())

    program = textwrap.dedent(LOOKING).replace("{words!r}", repr(COMMANDS))
    stores = [str(folder / name) for name in ("killed.db", "copied.db", "closed.db", "alone.db")]
    done = subprocess.run(
        [*unwritable(folder), sys.executable, "-c", program, *stores],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    folder.chmod(0o700)

    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    found = [line for line in said if line.startswith("audit log")]
    # The last has no write-ahead log: what the first checkpoint carried over is all that it holds.
    assert found == ["audit log verified: 2 records"] * 3 + ["audit log verified: 1 records"], (said, done.stderr)
    assert said.count("healthy") == 4, (said, done.stderr)
    assert [line for line in said if line.isdigit() and line != "0"] == []
    assert said[-1] == repr(before)


def test_a_server_whose_stderr_is_on_a_full_device_serves_on_and_counts_what_it_could_not_say(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'swarm.db'}"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        server = subprocess.Popen(
            [sys.executable, "-m", "swarmkeeper.cli", "serve", "--store", store, "--port", "0", "--json",
             "--log-level", "debug", "--metrics-open"],
            stdout=subprocess.PIPE, stderr=full, text=True, cwd=tmp_path, env=buffered,
        )  # fmt: skip
    assert server.stdout is not None
    try:
        url = json.loads(server.stdout.readline())["url"]
        for _ in range(20):
            assert httpx2.get(f"{url}/health").status_code == 200
        figures = httpx2.get(f"{url}/metrics").text
        lost = float(
            next(line for line in figures.splitlines() if "log_lines_lost_total" in line and line[0] != "#").split()[1]
        )
        assert lost >= 20
    finally:
        server.terminate()
        code = server.wait(30)
        server.stdout.close()
    assert code == 0
