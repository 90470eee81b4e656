"""Programs of ours that `asyncio` starts, as forks of a process that has imported what they need.

A start of Python with a server takes most of a second of processor time. What is forked has its own memory, number and
end (tests/acceptance/process.py), and is handled as what `asyncio.create_subprocess_exec` returns.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import Process

_started = asyncio.create_subprocess_exec


class AsyncFork:
    """A fork that runs."""

    def __init__(self, process: Process, stdin: int | None, stdout: asyncio.StreamReader) -> None:
        self._process, self._input = process, stdin
        self.stdout = stdout
        self.pid = process.pid
        self.stdin = self if stdin is not None else None
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.poll()
        if self._input is not None:
            os.close(self._input)
            self._input = None
        self._ended.set()

    def write(self, data: bytes) -> None:
        if self._input is not None:
            os.write(self._input, data)  # a line, for which a pipe has room

    @property
    def returncode(self) -> int | None:
        return self._process.poll() if self._ended.is_set() else None

    async def wait(self) -> int:
        await self._ended.wait()
        return self._process.wait(20)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()


async def start(
    *command: str,
    stdin: int | None = None,
    stderr: Any = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    start_new_session: bool = False,
) -> AsyncFork:
    """Fork a process that becomes `command`; `asyncio.create_subprocess_exec` would run it with a pipe for stdout."""
    given = None
    if stdin == asyncio.subprocess.PIPE:
        its, given = os.pipe()
    log: Path | None = Path(os.devnull if isinstance(stderr, int) or stderr is None else stderr.name)
    process = Process(
        [*command],
        log=None if stderr == asyncio.subprocess.STDOUT else log,
        environment=os.environ if env is None else env,
        folder=cwd,
        stdin=None if given is None else its,
        session=start_new_session,
    )
    if given is not None:
        os.close(its)
    output = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(output), process.stdout)
    return AsyncFork(process, given, output)


def fork_programs(patch: pytest.MonkeyPatch) -> None:
    """Let what is started as `python FILE`, `python -m MODULE` and `python -c CODE` be a fork.

    Other programs are started as before, and so is a Python with other options.
    """

    async def started(*command: Any, stdout: int | None = None, **named: Any) -> Any:
        if command[0] != sys.executable or (command[1].startswith("-") and command[1] not in ("-m", "-c")):
            return await _started(*command, stdout=stdout, **named)
        assert stdout == asyncio.subprocess.PIPE
        return await start(*command, **named)

    patch.setattr(asyncio, "create_subprocess_exec", started)
