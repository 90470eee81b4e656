"""Servers of this version and of the next one share a store in PostgreSQL while it is upgraded."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg

from swarmkeeper.storage.postgres import migrations
from tests.acceptance.process import Process, ran
from tests.acceptance.server import BIN, PEPPER, Caller, Server
from tests.acceptance.test_backup import Load
from tests.support.postgres import server as postgres

# What a later version may add without disturbing this one.
LAST = migrations.known()[-1].number
EXPAND = f"""-- runs from: schema {LAST}
ALTER TABLE task ADD COLUMN mood text COLLATE "C";
ALTER TABLE event ADD COLUMN weight bigint NOT NULL DEFAULT 1;
CREATE TABLE mood (id text COLLATE "C" PRIMARY KEY, name text NOT NULL);
CREATE INDEX work_by_round ON work (task, round);
"""
CONTRACT = "ALTER TABLE task DROP COLUMN mood;"
# The program of a later version: this one, with more migrations.
LATER = """
import sys
from swarmkeeper.storage.migration_files import Migration
from swarmkeeper.storage.postgres import migrations

known = [*migrations.known(), *(Migration(number, f"{{number:04}}_later", sql) for number, sql in {added!r})]
migrations.known = lambda: known
from swarmkeeper.cli.main import main
sys.exit(main())
"""


def later(folder: Path, name: str, *added: str) -> list[str]:
    file = folder / f"{name}.py"
    file.write_text(LATER.format(added=list(enumerate(added, LAST + 1))), encoding="utf-8")
    return [sys.executable, str(file)]


def run(folder: Path, program: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SWARMKEEPER_PEPPER": PEPPER}
    return ran([*program, *words], folder=folder, environment=environ)


def ask(database: str, sql: str) -> list[tuple[Any, ...]]:
    async def work() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(database)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(work())


def finish(submitted_to: Caller, done_by: Caller, bot: str) -> None:
    """A task handed in at one server is done at the other."""
    subtasks = [{"key": "a", "description": ""}]
    task = submitted_to.post("/tasks", {"title": "both", "evaluation": "none", "subtasks": subtasks})["id"]
    (lease,) = done_by.post("/leases", {"bot_id": bot, "wait_seconds": 20, "lease_seconds": 60})["leases"]
    body = {"bot_id": bot, "lease_id": lease["lease_id"], "status": "succeeded", "output": {}}
    done_by.post(f"/tasks/{task}/results", body)
    assert submitted_to.get(f"/tasks/{task}")["outcome"] == "accepted"


def test_a_server_works_on_while_the_schema_is_expanded_and_beside_the_next_version(tmp_path: Path) -> None:
    database = postgres().new_database(keep=True)
    expanding, contracting = later(tmp_path, "n1", EXPAND), later(tmp_path, "n2", EXPAND, CONTRACT)
    with Server(tmp_path / "now", database=database) as now:
        key = now.key("admin")
        refused = run(tmp_path, expanding, "serve", "--store", database, "--port", "0")
        assert (refused.returncode, "swarmkeeper migrate" in refused.stderr) == (6, True)
        with Load(now, key) as load:
            load.reach(5)
            migrated = run(tmp_path, expanding, "migrate", "--store", database)
            assert migrated.returncode == 0, migrated.stderr
            load.reach(len(load.acknowledged) + 20)
        recorded = ask(database, "SELECT number, runs_from FROM migration ORDER BY number")
        assert recorded == [*((number, number) for number in range(1, LAST + 1)), (LAST + 1, LAST)]

        new = Server(tmp_path / "new", database=database, program=[*expanding, "serve"])
        new.start()
        here, there = Caller(now, key), Caller(new, key)
        bot = there.post("/bots/register", {"type": "Executor", "version": "1", "name": "b"})["id"]
        for one, other in ((here, there), (there, here), (here, here)):
            finish(one, other, bot)
        now.stop()
        now.start()  # back to this version: it opens the newer schema
        finish(Caller(now, key), there, bot)
        new.stop()
        now.stop()
        now.cli("doctor", "--deep", "--store", database)

        assert run(tmp_path, contracting, "migrate", "--store", database).returncode == 0
        now.cli("serve", "--store", database, "--port", "0", code=1)


def test_two_that_migrate_at_once_do_it_once(tmp_path: Path) -> None:
    database = postgres().new_database()
    server = Server(tmp_path / "any", database=database)  # with a pepper, which a new database needs
    server.cli("migrate", "--store", database)
    program = later(tmp_path, "slow", EXPAND + "SELECT pg_sleep(3);")

    words = [*program, "migrate", "--store", database]
    both = [Process(words, log=tmp_path / "both.log", environment=os.environ) for _ in range(2)]

    assert [one.wait(100) for one in both] == [0, 0]
    for one in both:
        one.stop()
    assert ask(database, "SELECT max(number), count(*) FROM migration") == [(LAST + 1, LAST + 1)]
    assert ask(database, "SELECT value FROM meta WHERE key = 'epoch'") == [(2,)]


async def test_a_migration_does_not_wait_long_for_a_table_that_is_in_use(tmp_path: Path) -> None:
    database = await asyncio.to_thread(lambda: postgres().new_store())
    program = later(tmp_path, "n1", EXPAND)
    reader = await asyncpg.connect(database)
    async with reader.transaction():
        await reader.fetch("SELECT 1 FROM event")
        async with asyncio.timeout(18):  # a session of ours waits for 20 seconds
            refused = await asyncio.to_thread(run, tmp_path, program, "migrate", "--store", database)
    await reader.close()

    assert (refused.returncode, "try again in a moment" in refused.stderr) == (1, True)
    assert "lock timeout" in refused.stderr
    again = await asyncio.to_thread(run, tmp_path, program, "migrate", "--store", database)
    assert again.returncode == 0


def test_a_copy_is_made_by_the_version_that_knows_its_schema(tmp_path: Path) -> None:
    """This version backs up a store of a later schema; only the later version restores it."""
    database, other = postgres().new_store(), postgres().new_database()
    program, file = later(tmp_path, "n1", EXPAND), str(tmp_path / "b.backup")
    assert run(tmp_path, program, "migrate", "--store", database).returncode == 0
    this = [sys.executable, str(BIN / "swarmkeeper")]

    assert run(tmp_path, this, "backup", "--store", database, "--to", file).returncode == 0
    refused = run(tmp_path, this, "restore", "--from", file, "--to", other)
    restored = run(tmp_path, program, "restore", "--from", file, "--to", other)

    assert (refused.returncode, "schema_differs" in refused.stderr) == (1, True)
    assert restored.returncode == 0, restored.stderr
    assert ask(other, "SELECT count(*) FROM mood") == [(0,)]
