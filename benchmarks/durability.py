"""What durability costs: the same changes committed one by one and fifty at a time, at FULL (the default) and NORMAL.

    python benchmarks/durability.py [--changes 2000] [--folder DIR]

The levels take turns, so that a disk that grows slow meets them all; ratios are what counts.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import apsw

ROUNDS = 8
SIZES = (1, 50)
LEVELS = ("FULL", "NORMAL")


def opened(folder: Path, level: str) -> apsw.Connection:
    connection = apsw.Connection(str(folder / f"{level}.db"))
    for pragma in ("journal_mode = WAL", f"synchronous = {level}", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, status TEXT NOT NULL, version INTEGER NOT NULL) STRICT"
    )
    connection.executemany("INSERT INTO item VALUES (?, 'READY', 1)", [(number,) for number in range(10_000)])
    return connection


def changes_per_second(connection: apsw.Connection, changes: int, size: int) -> float:
    began = time.perf_counter()
    for first in range(0, changes, size):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE item SET status = 'LEASED', version = version + 1 WHERE id = ?",
            [((first + number) * 7 % 10_000,) for number in range(size)],
        )
        connection.execute("COMMIT")
    return changes / (time.perf_counter() - began)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--changes", type=int, default=2000)
    asked.add_argument("--folder", type=Path)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        connections = {level: opened(Path(folder), level) for level in LEVELS}
        rates: dict[tuple[str, int], list[float]] = {(level, size): [] for level in LEVELS for size in SIZES}
        for _ in range(ROUNDS):
            for (level, size), found in rates.items():
                found.append(changes_per_second(connections[level], given.changes // ROUNDS * size, size))
        median = {key: statistics.median(found) for key, found in rates.items()}
        for (level, size), rate in median.items():
            print(f"synchronous {level:<6}  {size:3} a commit  {rate:10,.0f} changes/s")
        for size in SIZES:
            print(f"NORMAL is {median['NORMAL', size] / median['FULL', size]:.2f} times FULL at {size} a commit")
        print(f"fifty a commit is {median['FULL', 50] / median['FULL', 1]:.1f} times one a commit, at FULL")
        for connection in connections.values():
            connection.close()


if __name__ == "__main__":
    main()
