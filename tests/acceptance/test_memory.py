"""What one key can make the server's process take of memory, with a real server in a process of its own."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.server import Caller, Server
from tests.cli.shell import Server as Started

CALLS = 8
MIB = 1 << 20
RESIDENT_MAX = 300 * MIB


def peak(pid: int) -> int:
    """The most memory that the process has had resident so far, in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def plan_of_edges() -> bytes:
    """As many edges as 13 MiB hold: far more than a plan may have."""
    edges = [f"k{number}" for number in range(100)]
    return json.dumps({"key": "k", "description": "x", "depends_on": edges}).encode()


def body(part: bytes) -> bytes:
    head, tail = b'{"title": "x", "subtasks": [', b"]}"
    return head + b",".join([part] * ((13 * MIB - len(head) - len(tail)) // (len(part) + 1))) + tail


SHAPES = {
    "edges": body(plan_of_edges()),
    "empty lists": b'{"title": "x", "input": {"a": [' + b"[]," * (MIB) + b"0]}}" + b" " * (10 * MIB),
    "inputs": json.dumps({"tasks": [{"title": "x", "input": {"a": ["b" * 9] * 70_000}}] * 14}).encode(),
}


@contextmanager
def started(folder: Path) -> Iterator[tuple[Server, int]]:
    """Start a server, and yield it with the number of its process. A fork would have the memory of the tests, too."""
    server = Server(folder / "s.db")
    words = ("serve", "--store", server.store_url, "--port", "0", "--json")
    process = Started(*words, folder=folder, environ={"SWARMKEEPER_FOUR_EYES": "False"}, forked=False)
    server.url = process.first_line()["url"]
    try:
        yield server, process.process.pid
    finally:
        process.stop()


def send(url: str, key: str, path: str, content: bytes, statuses: list[int]) -> None:
    """One call that reads its answer while it still sends."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"

        def write() -> None:
            try:
                connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
            except OSError:
                pass  # it was refused, and hung up on

        writing = threading.Thread(target=write)
        writing.start()
        statuses.append(int(connection.recv(12).split()[1]))
        writing.join()


@pytest.mark.parametrize("shape", SHAPES)
def test_many_large_bodies_of_one_key_take_a_bounded_part_of_memory(tmp_path: Path, shape: str) -> None:
    path = "/tasks:batch" if shape == "inputs" else "/tasks"
    with started(tmp_path) as (server, process):
        key, neighbour = server.key("client"), Caller(server, server.key("client", tenant="neighbour"))
        statuses: list[int] = []
        calls = [
            threading.Thread(target=send, args=(server.url, key, path, SHAPES[shape], statuses)) for _ in range(CALLS)
        ]
        for call in calls:
            call.start()
        answered = neighbour("POST", "/tasks", {"title": "y"}).status_code
        for call in calls:
            call.join()
        most = peak(process)

    assert answered == 201
    assert len(statuses) == CALLS
    assert set(statuses) <= {200, 413, 422, 429}
    assert most < RESIDENT_MAX, f"{most >> 20} MiB"
