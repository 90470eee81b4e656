"""Guards against nondeterminism: while a simulation runs, its calls to the real clock, real randomness, threads, the
network and other programs raise.

A simulation is what its thread does. Other threads of the process call what they called before: a simulation starts
none of them and gives work to none of them, so nothing that it does depends on them.

Two things are not caught: names imported earlier (`from time import time`), and calls made by C code. The linter keeps
the first out of the product.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import random  # noqa: TID251  # to be closed, not used
import secrets  # noqa: TID251  # to be closed, not used
import socket
import subprocess
import threading
import time  # noqa: TID251  # to be closed, not used
import uuid  # noqa: TID251  # to be closed, not used
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_GUARDED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")),
    (os, ("urandom", "getrandom", "system", "fork", "posix_spawn", "posix_spawnp", "_exit")),
    (secrets, ("token_bytes", "token_hex", "token_urlsafe", "randbelow", "choice")),
    (random, ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "getrandbits")),
    (uuid, ("uuid1", "uuid4")),
    (threading.Thread, ("start",)),
    (concurrent.futures.ThreadPoolExecutor, ("submit",)),
    (socket, ("create_connection", "getaddrinfo", "gethostbyname")),
    (socket.socket, ("connect", "connect_ex", "bind", "sendto")),
    (subprocess.Popen, ("__init__",)),
    # A virtual loop inherits these; real loops override them.
    (asyncio.AbstractEventLoop, ("create_connection", "create_server", "getaddrinfo", "subprocess_exec")),
)


class Escaped(BaseException):
    """Simulated code called something nondeterministic. A `BaseException`, so that no error handler swallows it."""


class _Guards:
    """The guards of one thread, for as long as they are set."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._thread: int | None = threading.get_ident()

    def around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != self._thread:
                return real(*args, **options)
            words = f"{name} is used within a simulation: take it from what is passed in"
            self._notify(words)
            raise Escaped(words)

        return guarded

    def end(self) -> None:
        """Let the thread pass too: a module may have been imported meanwhile, and have kept a guard by its name."""
        self._thread = None


@contextmanager
def nondeterminism_guards(notify: Callable[[str], None] = lambda words: None) -> Iterator[None]:
    """Guard the calls of `_GUARDED` while the block runs: each that this thread makes raises `Escaped`.

    `notify` is called with the message first, because a task may hold the exception back.
    """
    before = [
        (owner, name, getattr(owner, name)) for owner, names in _GUARDED for name in names if hasattr(owner, name)
    ]
    guards = _Guards(notify)
    try:
        for owner, name, real in before:
            setattr(owner, name, guards.around(f"{owner.__name__}.{name}", real))
        yield
    finally:
        guards.end()
        for owner, name, real in before:
            setattr(owner, name, real)
