"""Commands that start at once in a shell: `swarmkeeper` and `warm-python` in a folder for its PATH.

A start of Python with what a command imports takes half a second of processor time. Here one process has imported it,
and each command is a fork of that process: with the arguments, environment, folder and files of whoever calls it, with
an exit code or signal of its own, and with its own memory. What a shell calls is warm_client.py, which hands these on.

`python -m tests.support.warm SOCKET` serves until its standard input ends.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

import swarmkeeper

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CLIENT = Path(__file__).with_name("warm_client.py")
NAMES = ("swarmkeeper", "warm-python")
LOADED = (
    *("tests.acceptance.loaded", "swarmkeeper.testing", "swarmkeeper.sim.harness", "swarmkeeper.sdk.runner"),
    # What a command imports that calls a server: two thirds of its cost.
    *("swarmkeeper.cli.framework.typed_calls", "swarmkeeper.sdk.connection.http_session", "typer._click.decorators"),
    # And what the pages call several times.
    *("swarmkeeper.sim.core_run", "swarmkeeper.sim.pool", "swarmkeeper.sim.rehearse.scenario_files"),
    *("swarmkeeper.sim.rehearse.report", "swarmkeeper.swarm.check"),
)


@contextlib.contextmanager
def warm_commands(folder: Path) -> Iterator[Path]:
    """Write the commands into `folder`, and serve them."""
    address = folder / "socket"
    for name in NAMES:
        write_client(folder, name, address)
    program = [sys.executable, "-m", "tests.support.warm", str(address)]
    with subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield folder
        server.communicate()


def write_client(folder: Path, name: str, address: Path) -> Path:
    """Write the program that asks for a fork, and hands on what it was called with."""
    file = folder / name
    text = CLIENT.read_text(encoding="utf-8")
    file.write_text(f"#!{sys.executable} -IS\n{text}\nmain({name!r}, {str(address)!r})\n", encoding="utf-8")
    file.chmod(0o755)
    return file


class Call:
    """What a shell calls."""

    def __init__(self, connection: socket.socket) -> None:
        data, self.files, _, _ = socket.recv_fds(connection, 65_536, 3)
        length, _, data = data.partition(b"\n")
        while len(data) < int(length):
            data += connection.recv(65_536)
        self.name, self.folder, count, *rest = (os.fsdecode(word) for word in data.split(b"\0"))
        self.arguments = rest[: int(count)]
        self.environment = dict(variable.split("=", 1) for variable in rest[int(count) :])

    def let_go(self) -> None:
        for file in self.files:
            os.close(file)

    def run(self) -> None:
        """Be the program that is called."""
        for file, (number, name, mode) in zip(self.files, STREAMS, strict=True):
            os.dup2(file, number)
            os.close(file)
            errors = "backslashreplace" if name == "stderr" else "strict"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors=errors))
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        if self.name == "swarmkeeper":
            sys.argv, sys.path[0] = [str(BIN / self.name), *self.arguments], str(BIN)
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:
            option, code, *arguments = self.arguments
            assert option == "-c", "nobody needs more"
            sys.argv, sys.path[0] = [option, *arguments], ""
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def load() -> None:
    """Import what the commands import."""
    for name in LOADED:
        importlib.import_module(name)
    for name in swarmkeeper.__all__:
        getattr(swarmkeeper, name)  # which loads what it comes from


def serve(address: str, told: TextIO) -> Call | None:
    """Serve until standard input ends, and say when it begins. In a process that is to be a program, return which."""
    gc.collect()
    gc.freeze()  # what all share is not looked at, and so not copied, again
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    callers: dict[int, socket.socket] = {}  # of each program that runs
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes)
        print("ready", file=told, flush=True)
        while True:
            waited: list[Any] = [0, woken, listener, *callers.values()]
            ready, _, _ = select.select(waited, [], [])
            if 0 in ready:
                for program in callers:
                    os.kill(program, signal.SIGKILL)
                return None
            if listener in ready:
                connection, _ = listener.accept()
                call = Call(connection)
                program = os.fork()
                if program == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for file in (listener, connection, *callers.values()):
                        file.close()
                    os.setsid()
                    return call
                call.let_go()
                with contextlib.suppress(OSError):
                    connection.send(b"%d\n" % program)
                callers[program] = connection
            for program, connection in callers.items():
                if connection in ready:  # the caller was killed
                    os.kill(program, signal.SIGKILL)
            if woken in ready:
                os.read(woken, 64)
                _tell_ends(callers)


def _tell_ends(callers: dict[int, socket.socket]) -> None:
    while callers:
        program, status = os.waitpid(-1, os.WNOHANG)
        if not program:
            return
        with callers.pop(program) as connection, contextlib.suppress(OSError):
            connection.send(b"%d\n" % os.waitstatus_to_exitcode(status))


def leave(code: object) -> NoReturn:
    """End as Python does, but leave its memory to the system: to go through all of it would copy all that is shared."""
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    getattr(threading, "_shutdown")()  # noqa: B009 - the type checker does not know it
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def main(address: str) -> None:
    load()
    called = serve(address, sys.stdout)
    if called is None:
        return
    try:
        called.run()
    except SystemExit as end:
        leave(end.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        leave(1)
    leave(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
