"""`run` as a process: it ends when asked, whatever the author's code does, and reports its health."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import Client, Done, ExecutorBot, SubTask
from swarmkeeper.sdk import instances
from swarmkeeper.sdk.health import BotHealth, overall
from swarmkeeper.sdk.processes.ending import Ender
from swarmkeeper.sdk.runner import BotStuck, run, serve
from swarmkeeper.testing.test_server import Process, TestServer, running_test_server, soon
from tests.sdk.script import (
    HEARTBEAT,
    RESULTS,
    Call,
    Stubborn,
    accepted,
    directives,
    granted,
    lease,
    orchestrator,
    parked,
    served,
    virtually,
)

pytestmark = pytest.mark.usefixtures("forks")

BOTS = """
import asyncio, sys, threading
from swarmkeeper import Done, ExecutorBot, run
from swarmkeeper.sdk.processes import ending
from swarmkeeper.sdk.health import Health

ending.ENDING_SECONDS = 0.2
never = threading.Event()

class Bot(ExecutorBot):
    name = "worker"

class Thread(Bot):
    def execute(self, subtask):
        print("at work", flush=True)
        never.wait()

class ToThread(Bot):
    async def execute(self, subtask):
        print("at work", flush=True)
        await asyncio.to_thread(never.wait)

class Blocks(Bot):
    async def execute(self, subtask):
        print("at work", flush=True)
        never.wait()

def listening(host, port):
    print(f"listening {port}", flush=True)

run(vars()[sys.argv[1]](), stuck_seconds=float(sys.argv[2]), health=Health(None, "127.0.0.1", 0, listening))
"""


@asynccontextmanager
async def bot_process(
    stand: TestServer, tmp_path: Path, which: str, stuck_seconds: float = 100
) -> AsyncIterator[Process]:
    file = tmp_path / "bots.py"
    file.write_text(BOTS)
    key = await stand.swarm.make_key("admin")
    environment = {"SWARMKEEPER_URL": stand.url, "SWARMKEEPER_API_KEY": key}
    process = await Process.start([sys.executable, str(file), which, str(stuck_seconds)], environment)
    try:
        yield process
    finally:
        await process.kill()


async def given(stand: TestServer, process: Process, **subtask: Any) -> str:
    """Submit a task, wait until the bot works on it, and return its id."""
    task = await stand.client.submit("t", evaluation="none", subtasks=[{"key": "a", "description": "x", **subtask}])
    assert await soon(lambda: "at work" in process.said, 30), process.said
    return task.id


@pytest.mark.parametrize("which", ["Thread", "ToThread", "Blocks"])
async def test_a_second_signal_gives_back_the_work_and_ends_a_process_whose_code_hangs(
    which: str, tmp_path: Path
) -> None:
    async with running_test_server() as stand, bot_process(stand, tmp_path, which) as process:
        task_id = await given(stand, process)
        process.ask_to_stop()
        assert await soon(lambda: "draining" in process.said, 20), process.said
        process.ask_to_stop()

        assert await process.ended(20), process.said
        [attempt] = (await stand.client.subtask(task_id, "a")).attempts
        assert attempt.ending == "released"


@pytest.mark.parametrize("which", ["Thread", "Blocks"])
async def test_a_bot_with_all_slots_stuck_says_so_and_exits_with_an_error(which: str, tmp_path: Path) -> None:
    async with running_test_server() as stand, bot_process(stand, tmp_path, which, stuck_seconds=0.3) as process:
        await given(stand, process, timeout_seconds=1, max_attempts=1)

        assert await process.ended(20), process.said
        assert process.returncode not in (0, None)
        assert "worker: stuck: code that does not end has held every slot for 0.3 s" in process.said
        assert "in execute" in process.said
        assert "bots.py" in process.said


async def test_probes_report_a_stuck_bot(tmp_path: Path) -> None:
    async with running_test_server() as stand, bot_process(stand, tmp_path, "Thread") as process:
        assert await soon(lambda: "registered" in process.said, 30), process.said
        port = int(process.said.partition("listening ")[2].split()[0])
        assert await soon(lambda: probe(port, "/readyz", 200), 10)
        await given(stand, process, timeout_seconds=1, max_attempts=1)

        assert await soon(lambda: probe(port, "/livez", 503), 20)
        status, body = await asked(port, "/readyz")
        assert (status, body["status"]) == (503, "stuck")
        assert body["bots"][0]["name"] == "worker"
        assert "attempt 1, at" in body["bots"][0]["why"]
        assert (await asked(port, "/other"))[0] == 404


def test_a_signal_ends_a_process_that_the_authors_code_forked() -> None:
    with Ender():
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):  # the fork must not continue the test run
                os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


def test_run_outside_the_main_thread_says_what_to_do() -> None:
    def elsewhere() -> str:
        with pytest.raises(SystemExit) as ended:
            run(Stubborn(1), client=orchestrator().client())
        return str(ended.value)

    with ThreadPoolExecutor() as threads:
        assert "needs the main thread; elsewhere, await serve(...)" in threads.submit(elsewhere).result()


async def asked(port: int, path: str) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: here\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body)


async def probe(port: int, path: str, status: int) -> bool:
    return (await asked(port, path))[0] == status


async def test_malformed_probe_requests_do_not_stop_the_bot(tmp_path: Path) -> None:
    async with running_test_server() as stand, bot_process(stand, tmp_path, "Thread") as process:
        assert await soon(lambda: "registered" in process.said, 30), process.said
        port = int(process.said.partition("listening ")[2].split()[0])
        for sent in (b"", b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe \xff \r\n\r\n", b"x" * 200_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            with contextlib.suppress(OSError):  # it may have answered and closed before all is sent
                writer.write_eof()
                await reader.read()
            writer.close()

        assert await probe(port, "/readyz", 200)
        assert "Traceback" not in process.said


# ---- the same, by script ---------------------------------------------------------------------------------------------


def test_inside_an_application_a_stuck_bot_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BotStuck, match=r"worker is stuck: .* for 60 s: sub_1, attempt 1, at script.py:\d+ in ex"):
        served(orchestrator(lease(1), heartbeats=directives("lost")), Stubborn(100), seconds=200, stuck_seconds=60)

    assert "code goes on though its work was lost" in caplog.text


def test_a_slot_that_is_freed_in_time_is_no_error() -> None:
    served(orchestrator(lease(1), heartbeats=directives("lost")), Stubborn(50), seconds=200, stuck_seconds=60)


def test_the_other_bots_of_the_process_finish_their_work_when_one_is_stuck() -> None:
    script, reported = orchestrator(lease(1)), []

    class Good(ExecutorBot):
        name = "good"

        async def execute(self, subtask: SubTask) -> Done:
            await asyncio.sleep(70)
            return Done({"good": True})

    class Bad(Stubborn):
        name = "bad"

    def report(call: Call) -> Any:
        reported.append(call.body["lease_id"])
        return accepted()

    script.instead("POST", "/leases", granted(lease(1)), granted(lease(2)), parked)
    script.instead("POST", HEARTBEAT, directives(lse_1="lost"))
    script.instead("POST", RESULTS, report)

    with pytest.raises(BotStuck):
        virtually(serve([Bad(500), Good()], script.client(), stuck_seconds=60))

    assert reported == ["lse_2"]


def test_the_overall_status_is_the_worst_of_the_bots() -> None:
    def bots(*statuses: Any) -> list[BotHealth]:
        return [BotHealth("b", status, 0, 1) for status in statuses]

    assert overall(bots("ok", "ok")) == "ok"
    assert overall(bots("ok", "unreachable", "starting")) == "unreachable"
    assert overall(bots("unreachable", "stuck")) == "stuck"
    assert overall([]) == "starting"


@pytest.mark.parametrize("name", ["file", "port"])
async def test_a_bot_reports_its_health_where_the_environment_says(tmp_path: Path, name: str) -> None:
    program = tmp_path / "bot.py"
    program.write_text("from swarmkeeper import *\n@executor\ndef bot(subtask): return Done()\nrun(bot)\n")
    file = tmp_path / "health"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    where = (
        {"SWARMKEEPER_HEALTH_FILE": str(file)} if name == "file" else {"SWARMKEEPER_HEALTH_PORT": f"127.0.0.1:{port}"}
    )

    async def is_ok() -> bool:
        if name == "file":
            return file.exists() and json.loads(file.read_text())["status"] == "ok"
        with contextlib.suppress(ConnectionRefusedError):  # it does not listen yet
            return await probe(port, "/readyz", 200)
        return False

    async with running_test_server() as stand:
        environment = {
            "SWARMKEEPER_URL": stand.url,
            "SWARMKEEPER_API_KEY": await stand.swarm.make_key("admin"),
            **where,
        }
        process = await Process.start([sys.executable, str(program)], environment)
        try:
            assert await soon(is_ok, 30), process.said
        finally:
            await process.kill()


async def test_a_health_port_that_is_none_ends_the_bot_with_a_message(tmp_path: Path) -> None:
    program = tmp_path / "bot.py"
    program.write_text("from swarmkeeper import *\n@executor\ndef bot(subtask): return Done()\nrun(bot)\n")
    process = await Process.start([sys.executable, str(program)], {"SWARMKEEPER_HEALTH_PORT": "here:there"})
    try:
        assert await process.ended(20), process.said
        assert "the health port must be PORT or HOST:PORT" in process.said
    finally:
        await process.kill()


# ---- the command -----------------------------------------------------------------------------------------------------


async def test_the_health_file_of_bot_run_says_whether_it_reaches_the_orchestrator(
    tmp_path: Path,
) -> None:
    (tmp_path / "bot.py").write_text(
        "from swarmkeeper import *\nfrom swarmkeeper.sdk import health, runner\n"
        "health.FILE_SECONDS, runner.UNREACHABLE_SECONDS = 0.05, 0.3\n"
        "@executor(name='w')\nasync def bot(subtask): return Done()\n"
    )
    health = tmp_path / "health"
    words = ["-m", "swarmkeeper.cli", "bot", "run", str(tmp_path / "bot.py"), "--health-file", str(health)]

    def says(status: str) -> bool:
        return health.exists() and json.loads(health.read_text())["status"] == status

    async with running_test_server() as stand:
        port = int(stand.url.rpartition(":")[2])
        environment = {"SWARMKEEPER_API_KEY": await stand.swarm.make_key("admin")}
        nobody = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        dead = nobody.sockets[0].getsockname()[1]
        process = await Process.start([sys.executable, *words, "--url", f"http://127.0.0.1:{dead}"], environment)
        try:
            assert await soon(lambda: says("unreachable"), 30), process.said
            assert stat.S_IMODE(health.stat().st_mode) == 0o600
            nobody.close()
            pipe = await asyncio.start_server(lambda r, w: _pass(r, w, port), "127.0.0.1", dead)
            assert await soon(lambda: says("ok"), 30), process.said
            process.ask_to_stop()
            assert await process.ended(20), process.said
            assert process.returncode == 0
            assert not health.exists()
            pipe.close()
        finally:
            await process.kill()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Forward bytes in both directions until either side ends."""
    there, back = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while some := await source.read(65_536):
                sink.write(some)
                await sink.drain()
        sink.close()

    await asyncio.gather(copy(reader, back), copy(there, writer))


# ---- processes of one bot --------------------------------------------------------------------------------------------


async def test_three_replicas_of_one_bot_work_at_the_same_time(client: Client) -> None:
    meeting = asyncio.Barrier(3)  # passes only three at a time

    class Replica(ExecutorBot):
        name = "replica"

        async def execute(self, subtask: SubTask) -> Done:
            async with asyncio.timeout(20):
                await meeting.wait()
            return Done()

    stop = asyncio.Event()
    serving = [asyncio.create_task(serve([Replica()], client, stop=stop)) for _ in range(3)]
    subtasks = [{"key": f"s{n}", "description": "x", "max_attempts": 1} for n in range(3)]
    task = await client.submit("three at once", evaluation="none", subtasks=subtasks)
    ended = await client.wait(task.id, timeout=30)
    bots = [bot async for bot in client.bots()]
    stop.set()
    await asyncio.gather(*serving)

    assert ended.outcome == "accepted"
    assert len({bot.instance for bot in bots}) == 3
    assert all(str(os.getpid()) in bot.instance for bot in bots)


def test_an_instance_belongs_to_one_bot_until_it_is_given_back() -> None:
    first, second = instances.take("Executor", "w"), instances.take("Executor", "w")
    other = instances.take("Executor", "v")

    assert first != second
    assert other == first  # another bot's

    instances.give_back("Executor", "w", first)
    assert instances.take("Executor", "w") == first
    for instance in (first, second):
        instances.give_back("Executor", "w", instance)
    instances.give_back("Executor", "v", other)


def test_an_instance_may_be_given_back_while_another_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the garbage collector does at any moment, in whatever thread it runs."""
    first = instances.take("Executor", "w")
    clash = instances._clash

    def collected(new: Any, taken: Any) -> bool:
        instances.give_back("Executor", "w", first)
        return clash(new, taken)

    monkeypatch.setattr(instances, "_clash", collected)
    second = instances.take("Executor", "w")
    monkeypatch.undo()

    third = instances.take("Executor", "w")
    assert third != second
    for instance in (second, third):
        instances.give_back("Executor", "w", instance)


def test_a_bot_without_a_name_shares_its_instance_with_no_other_bot() -> None:
    first, second = instances.take("Executor", None), instances.take("Planner", None)
    named = instances.take("Executor", "w")

    assert len({first, second, named}) == 3
    for type_, name, instance in (("Executor", None, first), ("Planner", None, second), ("Executor", "w", named)):
        instances.give_back(type_, name, instance)


async def test_two_processes_with_one_instance_get_a_warning_that_says_what_to_do(
    caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    class Twin(ExecutorBot):
        name, instance = "twin", "pod-1"

        async def execute(self, subtask: SubTask) -> Done:
            return Done()

    twins = [Twin(), Twin()]
    for twin in twins:
        twin.connect(client)
        await twin.register()
    with caplog.at_level(logging.WARNING, "swarmkeeper.bot"):
        for turn in range(6):
            session = twins[turn % 2]._session
            assert session is not None
            await session.claim(1, wait_seconds=0)

    warned = [record.getMessage() for record in caplog.records if "another process polls" in record.getMessage()]
    assert len(warned) == 2  # once for each process
    assert "('pod-1')" in warned[0]
    assert "bot run --instance" in warned[0]
