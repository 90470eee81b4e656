"""Describes the machine of a measurement: disk speed, processors, versions and load."""

from __future__ import annotations

import gc
import os
import platform
import resource
from pathlib import Path
from typing import Any

import apsw

from swarmkeeper import __version__, files
from swarmkeeper.bench.report import percentile
from swarmkeeper.clock import SystemClock
from swarmkeeper.storage.opening import is_postgres
from swarmkeeper.storage.sqlite.store import SqliteStore

SYNCS = 100
_ROUNDS = 20_000
_PAGE = 4096
_LEVELS = ("OFF", "NORMAL", "FULL", "EXTRA")


def describe(folder: Path) -> dict[str, Any]:
    """Describe the machine, with the disk of `folder`."""
    syncs = sync_times(folder)
    return {
        "swarmkeeper": __version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "reference_cpu_ms": round(reference(), 1),
        "fsync_per_second": round(len(syncs) / sum(syncs) * 1000),
        "fsync_p50_ms": round(percentile(syncs, 0.5), 3),
        "fsync_p99_ms": round(percentile(syncs, 0.99), 3),
    }


def reference() -> float:
    """Return milliseconds of processor time for a fixed piece of Python. It shows how much other programs on the cores
    slow this one down, so that processor times of two runs can be compared."""
    gc.collect()
    gc.disable()  # how much there is to collect depends on what the process has loaded
    began = own_cpu_seconds()
    kept: dict[str, tuple[int, str]] = {}
    for number in range(_ROUNDS):
        text = str(number)
        kept[text] = (number, text + "/" + text)
    assert sum(number for number, _ in kept.values()) == _ROUNDS * (_ROUNDS - 1) // 2
    took = own_cpu_seconds() - began
    gc.enable()
    return took * 1000


def sync_times(folder: Path, times: int = SYNCS) -> list[float]:
    """Append pages and sync each as SQLite does; return the milliseconds of each."""
    clock = SystemClock()
    sync = getattr(os, "fdatasync", os.fsync)
    file = folder / "sync.probe"
    took = []
    descriptor = files.descriptor(file, os.O_WRONLY | os.O_TRUNC)
    try:
        for _ in range(times):
            began = clock.monotonic()
            os.write(descriptor, bytes(_PAGE))
            sync(descriptor)
            took.append((clock.monotonic() - began) / 1000)
    finally:
        os.close(descriptor)
        file.unlink()
    return took


async def durability(store_url: str) -> dict[str, Any]:
    """Return the store's durability settings, read from a connection opened as the server opens its own."""
    if is_postgres(store_url):
        return await _durability_of_postgres(store_url)
    store = SqliteStore(store_url)
    await store.open(exclusive=False)
    try:
        level = store.connection.pragma("synchronous")
        assert isinstance(level, int), "the level is an integer"
        return {
            "store": "sqlite file",
            "journal_mode": store.connection.pragma("journal_mode"),
            "synchronous": _LEVELS[level],
        }
    finally:
        await store.close()


async def _durability_of_postgres(store_url: str) -> dict[str, Any]:
    from swarmkeeper.storage.postgres import connections  # its driver need not be installed

    connection = await connections.connect(store_url, writing=True)
    try:
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        return {"store": "postgresql", **{name: await connection.fetchval(f"SHOW {name}") for name in names}}
    finally:
        await connections.close(connection)


def own_cpu_seconds() -> float:
    """Return the processor time of this process, without its children."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
