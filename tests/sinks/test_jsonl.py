"""The file of a sink: rotated, private, whole lines only, also on a disk that is full and after a crash."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper.app import Orchestrator
from swarmkeeper.sinks.file import Entry, JsonlTable
from swarmkeeper.sinks.records import SinkRecord
from swarmkeeper.sinks.targets.jsonl import JsonlTarget
from tests.acceptance.process import Process
from tests.sinks.conftest import audits, log_of, settings, table_of, until_there, work
from tests.sinks.receivers import Certificates, FileReader

pytestmark = pytest.mark.usefixtures("quick")
ROOT = Path(__file__).parents[2]


def target(folder: Path, **more: Any) -> JsonlTarget:
    table = JsonlTable(kind="jsonl", path="audit.jsonl", **more)
    return JsonlTarget(Entry("file", table, folder, {}), table)


def record(number: int, size: int = 40) -> SinkRecord:
    body = json.dumps({"id": number, "fill": "x" * size}).encode()
    return SinkRecord(number, str(number), "default", "audit.test", body)


def numbers(reader: FileReader) -> list[int]:
    text = b"".join(path.read_bytes() for path in reader.files()).decode()
    return [json.loads(line)["id"] for line in text.splitlines()]


@pytest.fixture
def reader(tmp_path: Path, certificates: Certificates) -> FileReader:
    return FileReader(tmp_path, certificates)


async def test_only_its_owner_may_read_the_file(reader: FileReader, tmp_path: Path) -> None:
    reader.path.touch(0o644)
    writing = target(tmp_path)
    await writing.open()
    await writing.send([record(1)])
    await writing.close()

    assert stat.S_IMODE(reader.path.stat().st_mode) == 0o600


async def test_a_full_file_is_replaced_and_the_oldest_one_removed(reader: FileReader, tmp_path: Path) -> None:
    writing = target(tmp_path, rotate_bytes=65_536, keep=2)
    await writing.open()
    for number in range(30):
        await writing.send([record(number, 10_000)])
    await writing.close()

    files = reader.files()
    assert [path.name for path in files] == ["audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"]
    assert all(path.stat().st_size <= 65_536 for path in files)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    left = numbers(reader)
    assert left == list(range(left[0], 30))
    assert left[0] > 0


@pytest.mark.parametrize("torn", [b'{"id": 2, "fi', b"x" * 200_000])
async def test_a_line_that_a_crash_has_cut_off_is_removed(torn: bytes, reader: FileReader, tmp_path: Path) -> None:
    reader.path.write_bytes(record(1).body + b"\n" + torn)
    writing = target(tmp_path)
    await writing.open()
    await writing.send([record(2), record(3)])
    await writing.close()

    assert numbers(reader) == [1, 2, 3]


async def test_a_link_is_not_followed(reader: FileReader, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("of somebody else\n")
    reader.path.symlink_to(other)

    with pytest.raises(OSError):
        await target(tmp_path).open()

    assert other.read_text() == "of somebody else\n"


async def test_two_do_not_write_to_one_file(tmp_path: Path) -> None:
    first, second = target(tmp_path), target(tmp_path)
    await first.open()

    with pytest.raises(OSError, match="another process"):
        await second.open()

    await first.close()
    await second.open()
    await second.close()


# Runs an orchestrator whose sink may write 20,000 bytes, and then as much as it wants.
ON_A_FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from swarmkeeper.app import Orchestrator
from swarmkeeper.outgoing import owned
from tests.sinks.conftest import log_of, settings, work

owned.WAIT_SECONDS_MAX = 0.3

async def main(file):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    async with Orchestrator(settings("sqlite://:memory:", Path(file))) as swarm:
        await work(swarm, 60)
        last = (await log_of(swarm))[-1]["index"]
        while not swarm._sinks.figures()["file"][0].failures:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        print("full", (Path(file).parent / "audit.jsonl").stat().st_size, flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        async with asyncio.timeout(30):
            while swarm._sinks.figures()["file"][0].sent <= last:
                await asyncio.sleep(0.05)
        print("last", last, flush=True)

asyncio.run(main(sys.argv[1]))
"""


def test_on_a_full_disk_no_record_is_lost_or_half_written(reader: FileReader, tmp_path: Path) -> None:
    file = tmp_path / "sinks.toml"
    file.write_text(table_of("file", {"kind": "jsonl", **reader.table()}))
    program, log = tmp_path / "on_a_full_disk.py", tmp_path / "on_a_full_disk.err"
    program.write_text(ON_A_FULL_DISK)
    process = Process([sys.executable, str(program), str(file)], log=log, environment=os.environ, folder=ROOT)
    try:
        said = process.stdout.read().split()
        assert process.wait(100) == 0, log.read_text()[-3000:]
    finally:
        process.stop()
    full, last = said[1], int(said[3])
    assert 0 < int(full) <= 20_000
    events = [json.loads(line) for line in reader.path.read_text().splitlines()]
    assert [one["index"] for one in audits(events)][: last + 1] == list(range(last + 1))


async def test_a_sink_whose_file_was_rotated_meanwhile_has_all_records(reader: FileReader, tmp_path: Path) -> None:
    file = tmp_path / "sinks.toml"
    file.write_text(table_of("jsonl", {"kind": "jsonl", **reader.table(), "rotate_bytes": 65_536, "keep": 100}))
    async with Orchestrator(settings("sqlite://:memory:", file)) as swarm:
        await work(swarm, 150)
        shown = await log_of(swarm)
        events = await until_there(reader, shown[-1]["index"])

    assert len(reader.files()) > 1
    assert [one["index"] for one in audits(events)][: len(shown)] == list(range(len(shown)))
