"""The SQLite library is set up for a server before its first connection, and left alone by everybody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# How often SQLite found no room in its pool while tasks were submitted, and called malloc.
SERVER = """
import asyncio, sys
import apsw
from swarmkeeper.core.commands import Submit
from swarmkeeper.app import OWN
from swarmkeeper.server import serving
from swarmkeeper.settings import Settings

async def main() -> None:
    settings = Settings(store=f"sqlite:///{sys.argv[1]}/swarm.db", log_level="error", port=0)
    async with serving(settings, take_over_logs=sys.argv[2] == "alone") as served:
        engine = served.swarm.engine
        connection = engine._store.connection
        kept = [connection.cursor() for _ in range(40)]
        for number, cursor in enumerate(kept):
            cursor.execute(f"SELECT {number} UNION ALL SELECT 1")  # each keeps a prepared statement
        connection.status(apsw.SQLITE_DBSTATUS_LOOKASIDE_MISS_FULL, True)
        await engine.do_all([Submit(by=OWN, title="hello", spec=b"{}") for _ in range(5)])
        print(connection.status(apsw.SQLITE_DBSTATUS_LOOKASIDE_MISS_FULL)[1])

asyncio.run(main())
"""

OTHERS = """
import apsw
from swarmkeeper.storage import library

mine = apsw.Connection(":memory:")
assert not library.tune()
assert mine.execute("SELECT 1").get == 1
mine.close()
assert library.tune()
assert apsw.Connection(":memory:").execute("SELECT json('[1]')").get == "[1]"
"""


def run(source: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_servers_statements_find_room_in_the_pool(tmp_path: Path) -> None:
    misses = {}
    for way in ("alone", "embedded"):
        (tmp_path / way).mkdir()
        misses[way] = int(run(SERVER, str(tmp_path / way), way))
    assert misses["embedded"] > 100
    assert misses["alone"] == 0


def test_the_library_is_not_touched_while_somebody_uses_it() -> None:
    run(OTHERS)
