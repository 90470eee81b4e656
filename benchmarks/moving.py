"""Measures a move to PostgreSQL and a backup drill: `python benchmarks/moving.py`, which prints JSON.

Each command runs in a process of its own, with the imports of a start, as an operator runs it. The server of PostgreSQL
comes from a package of the test requirements, with every commit on the disk.

- `move`: `migrate` of a SQLite store with so many subtasks; one of a hundred is done, the others wait. It ends after
  every row was compared and `doctor --deep` found nothing. `root_equal`: the roots of all audit logs are the same
- `drill`: with so many events and two clients that go on: a backup, the server killed, a restore into another database,
  `doctor --deep` and `audit verify` on it. `missing`: tasks that were acknowledged before the backup, and are not in it

`seconds` are of the clock. `cpu` are seconds of processor time, of the commands and of PostgreSQL together: they depend
little on what else the machine does. The server that the clients load is not counted; what PostgreSQL does for it is.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from swarmkeeper.app import OWN, Orchestrator
from swarmkeeper.core.answers import not_replayed
from swarmkeeper.core.commands import ClaimWork, Register, ReportResult, Submit
from swarmkeeper.core.model import SubtaskSpec
from swarmkeeper.settings import Settings
from tests.acceptance.server import BIN, PEPPER, Server
from tests.acceptance.test_backup import Load
from tests.support.postgres import PostgresServer, rows

OF_A_TASK = 500  # subtasks
DONE_OF = 100  # one of so many is done
BATCH = 20
OUTPUT = b'{"n":1}'
_TICKS = os.sysconf("SC_CLK_TCK")
# Among the numbers of a process: its own processor time in two parts, then that of its children that have ended.
_USED, _USED_BY_ENDED = 10, 14
_FREE = {"log_level": "error", "open_tasks": 0, "open_subtasks": 0, "tasks_a_minute_key": 0, "tasks_a_minute_tenant": 0}


async def fill(url: str, items: int, done: int, *, of_a_task: int = OF_A_TASK) -> None:
    """Let the engine take tasks with so many subtasks in all, and do some of them."""
    plan = tuple(SubtaskSpec(f"k{number}", "one of many") for number in range(of_a_task))
    submit = Submit(by=OWN, title="many", spec=b'{"title":"many"}', evaluation="none", subtasks=plan)
    settings = Settings(store=url, pepper=PEPPER, log_level="error", four_eyes=False, open_tasks=0, open_subtasks=0)
    async with Orchestrator(settings) as swarm:
        for _ in range(items // of_a_task):
            not_replayed(await swarm.engine.do(submit))
        register = Register(by=OWN, type="Executor", version="1", name="one", capacity=1000)
        bot, _ = not_replayed(await swarm.engine.do(register))
        for begin in range(0, done, BATCH):
            claim = ClaimWork(by=OWN, bot=bot, most=min(BATCH, done - begin))
            claimed = await swarm.engine.claim(claim, parks=False).answer
            reports = [
                ReportResult(
                    by=OWN,
                    bot=bot,
                    task=None,
                    lease_id=lease.lease_id,
                    content=OUTPUT,
                    content_hash=hashlib.sha256(OUTPUT).hexdigest(),
                    output=OUTPUT,
                )
                for lease in claimed.leases
            ]
            answers, _ = await swarm.engine.report(reports)
            assert not any(isinstance(answer, BaseException) for answer in answers)


class _Meter:
    """Sums the clock's seconds and the processor time of steps."""

    def __init__(self, database: PostgresServer) -> None:
        self._database = database.pid
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    def run(self, step: str, *arguments: str) -> dict[str, Any]:
        """Run a command in a process of its own; return what it prints as JSON."""
        began, used = time.monotonic(), self._used()
        environment = {**os.environ, "SWARMKEEPER_PEPPER": PEPPER}
        done = subprocess.run(
            [sys.executable, str(BIN / "swarmkeeper"), *arguments], env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
        self.seconds[step] = round(time.monotonic() - began, 2)
        self.cpu[step] = round(self._used() - used, 2)
        found: dict[str, Any] = json.loads(done.stdout) if "--json" in arguments else {}
        return found

    def _used(self) -> float:
        return _of_children() + _of_server(self._database)

    def figures(self) -> dict[str, Any]:
        return {
            "seconds": round(sum(self.seconds.values()), 1),
            "cpu": round(sum(self.cpu.values()), 1),
            "seconds_of": self.seconds,
            "cpu_of": self.cpu,
        }


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _of_server(pid: int) -> float:
    """Return what a server of PostgreSQL has used: it, its processes, and those that have ended."""
    ticks = sum(_stat(pid)[_USED:_USED_BY_ENDED])
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # it has just ended
            ticks += sum(_stat(int(child))[_USED:_USED_BY_ENDED][:2])
    return ticks / _TICKS


def _stat(pid: int) -> list[int]:
    """Return the numbers of a process that follow its name and state."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return [int(number) for number in text.rpartition(")")[2].split()[1:]]


def move(postgres: PostgresServer, folder: Path, items: int) -> dict[str, Any]:
    source, target = f"sqlite:///{folder / 'store.db'}", postgres.new_database(keep=True)
    asyncio.run(fill(source, items, items // DONE_OF))
    connection = apsw.Connection(str(folder / "store.db"), flags=apsw.SQLITE_OPEN_READONLY)
    roots = {tenant: root.hex() for tenant, root in connection.execute("SELECT tenant, root FROM audit_tree")}
    connection.close()
    meter = _Meter(postgres)
    moved = meter.run("migrate", "migrate", "--from", source, "--to", target, "--json")
    assert moved["healthy"], moved["findings"]
    equal = {tenant: audit["root"] for tenant, audit in moved["audit"].items()} == roots
    return {"items": moved["rows"]["work"], "rows": sum(moved["rows"].values()), "root_equal": equal, **meter.figures()}


def drill(postgres: PostgresServer, folder: Path, events: int) -> dict[str, Any]:
    first, second = (postgres.new_database(keep=True) for _ in range(2))
    file, meter = str(folder / "b.backup"), _Meter(postgres)
    with Server(folder / "first", database=first, settings=_FREE) as server:
        key = server.key("admin")
        asyncio.run(fill(first, events // 4, events // 4, of_a_task=5))
        while rows(first, "SELECT count(*) AS n FROM event")[0]["n"] < events:
            asyncio.run(fill(first, 500, 500, of_a_task=5))
        with Load(server, key) as load:
            load.reach(20)
            before = set(load.acknowledged)
            meter.run("backup", "backup", "--store", first, "--to", file, "--json")
            load.reach(len(load.acknowledged) + 5)
        server.kill()
    meter.run("restore", "restore", "--from", file, "--to", second)
    meter.run("doctor", "doctor", "--deep", "--store", second)
    meter.run("verify", "audit", "verify", second)
    kept = {row["id"] for row in rows(second, "SELECT id FROM task")}
    (found,) = rows(second, "SELECT count(*) AS n FROM event")
    return {"events": found["n"], "missing": len(before - kept), **meter.figures()}


def measure(items: int, events: int) -> dict[str, Any]:
    postgres = PostgresServer(durable=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = {"move": move(postgres, Path(folder), items)} if items else {}
            return found | ({"drill": drill(postgres, Path(folder), events)} if events else {})
    finally:
        postgres.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000, help="subtasks of the move; 0: no move")
    parser.add_argument("--events", type=int, default=30_000, help="events of the drill; 0: no drill")
    given = parser.parse_args()
    print(json.dumps(measure(given.items, given.events), indent=2))


if __name__ == "__main__":
    main()
