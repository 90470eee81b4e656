"""The client without coroutines, where people use it: in threads, forks, notebooks, and at the end of a process."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from swarmkeeper import Client, sync
from tests.acceptance.server import Server
from tests.sdk.script import Call, Script, task

THREADS, CALLS = 8, 20
THREAD = "swarmkeeper-client"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("sync") / "swarm.db") as server:
        yield server


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.key("admin")


def threads_of_clients() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == THREAD}


def test_eight_threads_share_one_client(server: Server, key: str) -> None:
    before = threads_of_clients()
    with sync.Client(server.url, key) as swarm:

        def call(thread: int) -> list[bool]:
            same = []
            for number in range(CALLS):
                made = swarm.submit(f"{thread}/{number}", input={"thread": thread, "number": number}).id
                same.append(swarm.get(made).title == f"{thread}/{number}")
            return same

        with ThreadPoolExecutor(THREADS) as pool:
            answers = [answer for part in pool.map(call, range(THREADS)) for answer in part]

        titles = {each.title for each in swarm.tasks()}

    assert answers == [True] * (THREADS * CALLS)
    assert {f"{thread}/{number}" for thread in range(THREADS) for number in range(CALLS)} <= titles
    assert threads_of_clients() == before


# A client at module level: the parent uses it before the fork, parent and children after it. Nobody closes it.
FORKING = """
import os, sys, threading, warnings
from pathlib import Path
from swarmkeeper import Client, sync

swarm = sync.Client(sys.argv[1], sys.argv[2])
swarm.submit("before")
reading = swarm.tasks()
next(reading)

def call(who):
    for number in range(20):
        made = swarm.submit(f"{who}/{number}")
        assert swarm.get(made.id).title == f"{who}/{number}"

def sockets():
    # Those of a connection to the server: pairs that wake a loop are sockets, too.
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    port = format(int(sys.argv[1].rpartition(":")[2]), "04X")
    known = {f"socket:[{line.split()[9]}]" for line in lines if line.split()[2].endswith(":" + port)}
    return [name for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")
            and os.readlink(f"/proc/self/fd/{name}") in known]

# One thread is within a call when the process forks.
busy = threading.Thread(target=call, args=("thread",))
busy.start()
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork beside threads
    children = [os.fork()]
    if children[0]:
        children.append(os.fork())
if not all(children):
    children = []
    assert sockets() == [], "the parent's connections are still open here"
    try:
        next(reading)
    except RuntimeError as error:
        assert "before the process was forked" in str(error), error
    else:
        raise AssertionError("went on with what the parent had begun")
    call(f"child-{os.getpid()}")
    print("child done", flush=True)
else:
    call("parent")
    busy.join()
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ends == [0, 0], ends
    call("parent again")
    print("parent done", flush=True)
"""


def test_after_a_fork_parent_and_children_each_have_their_own_connections(
    server: Server, key: str, tmp_path: Path
) -> None:
    ended = in_a_process(FORKING, server.url, key, folder=tmp_path)

    assert ended.stderr == ""
    assert sorted(ended.stdout.split("\n")) == ["", "child done", "child done", "parent done"]
    assert ended.returncode == 0


def test_a_custom_transport_is_not_shared_over_a_fork() -> None:
    script = Script()
    script.on("GET", "/tasks/tsk_1", task())
    swarm = sync.Client("http://swarm.test", "k1", transport=script)
    swarm.get("tsk_1")

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            swarm.get("tsk_1")
            os.write(writer, b"it was used")
        except RuntimeError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    answer = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    swarm.close()

    assert answer.endswith("make a client in the child")
    assert len(script.calls) == 1


EXITING = """
import sys, threading
from swarmkeeper import Client, sync

swarm = sync.Client(sys.argv[1], sys.argv[2])
made = swarm.submit("Nobody does it")
following = swarm.events(made.id, follow=True)
next(following)
another = sync.Client(sys.argv[1], sys.argv[2])
{}
"""


@pytest.mark.parametrize(
    "end",
    [
        "",
        "threading.Thread(target=lambda: swarm.wait(made.id), daemon=True).start()",
        "import atexit; atexit.register(swarm.close)",
        "swarm.close(); swarm.close(); another.close()",
    ],
)
def test_a_process_with_an_open_client_ends_quietly(end: str, server: Server, key: str, tmp_path: Path) -> None:
    ended = in_a_process(EXITING.format(end), server.url, key, folder=tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")


def in_a_process(program: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program with every warning shown, so that it names what is left open."""
    file = folder / "program.py"
    file.write_text(program, encoding="utf-8")
    command = [sys.executable, "-W", "always::ResourceWarning", str(file), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def waiting(called: threading.Event, cancelled: threading.Event) -> Script:
    """Return a server that never answers; it sets `called` for a call, `cancelled` when that call is cancelled."""
    script = Script()

    async def never(call: Call) -> Any:
        called.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    script.on("GET", "/tasks/tsk_1", never)
    script.on("GET", "/tasks/tsk_2", task(id="tsk_2"))
    return script


def test_an_interrupt_ends_the_call_and_not_the_client() -> None:
    called, cancelled = threading.Event(), threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        called.wait()
        signal.pthread_kill(main, signal.SIGINT)

    with sync.Client("http://swarm.test", "k1", transport=waiting(called, cancelled)) as swarm:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            swarm.wait("tsk_1")

        assert cancelled.wait(30)
        assert swarm.get("tsk_2").id == "tsk_2"


def test_close_ends_the_calls_of_other_threads() -> None:
    called, cancelled = threading.Event(), threading.Event()
    swarm = sync.Client("http://swarm.test", "k1", transport=waiting(called, cancelled))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(swarm.wait, "tsk_1")
        called.wait(30)
        swarm.close()

        with pytest.raises(RuntimeError, match="was closed while this call waited"):
            other.result(30)
    assert cancelled.is_set()
    with pytest.raises(RuntimeError, match="this client is closed"):
        swarm.get("tsk_2")


def test_a_client_that_was_dropped_leaves_no_thread() -> None:
    before = threads_of_clients()
    script = Script()
    script.on("GET", "/tasks", {"items": [task(id="tsk_1"), task(id="tsk_2")], "next_page_token": ""})
    swarm = sync.Client("http://swarm.test", "k1", transport=script)
    gone = weakref.ref(swarm)
    assert next(swarm.tasks()).id == "tsk_1"
    [thread] = threads_of_clients() - before

    del swarm
    gc.collect()

    assert gone() is None
    thread.join(30)
    assert not thread.is_alive()
    assert script.closed


async def test_it_may_be_called_on_a_running_loop_as_in_a_notebook(server: Server, key: str) -> None:
    with sync.Client(server.url, key) as swarm:
        made = swarm.submit("From a notebook")

        assert swarm.get(made.id).title == "From a notebook"


def test_a_call_from_its_own_loop_is_refused() -> None:
    script = Script()

    def again(call: Call) -> Any:
        return swarm.get("tsk_1").model_dump(mode="json")

    script.on("GET", "/tasks/tsk_1", again)
    with sync.Client("http://swarm.test", "k1", transport=script) as swarm:
        with pytest.raises(RuntimeError, match="within its own transport"):
            swarm.get("tsk_1")


def test_a_client_with_coroutines_may_be_used_on_several_event_loops(server: Server, key: str) -> None:
    swarm = Client(server.url, key)

    async def story() -> str:
        made = await swarm.submit("On a loop of its own")
        async with aclosing(swarm.events(made.id, follow=True)) as feed:  # type: ignore[type-var]  # it is a generator
            return (await anext(feed)).subject or ""  # by the library for streams

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # from connections whose loop has ended
        subjects = [asyncio.run(story()) for _ in range(3)]
        asyncio.run(swarm.aclose())
        gc.collect()

    assert len(set(subjects)) == 3
