"""Guards against nondeterminism: while a simulation runs, calls to the real clock, real randomness, threads, the
network and other programs raise.

Two things are not caught: names imported earlier (`from time import time`), and calls made by C code. The linter keeps
the first out of the product.
"""

from __future__ import annotations

import asyncio
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
from typing import Any, NoReturn

_GUARDED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")),
    (os, ("urandom", "getrandom", "system", "fork", "posix_spawn", "posix_spawnp", "_exit")),
    (secrets, ("token_bytes", "token_hex", "token_urlsafe", "randbelow", "choice")),
    (random, ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample", "uniform", "getrandbits")),
    (uuid, ("uuid1", "uuid4")),
    (threading.Thread, ("start",)),
    (socket, ("create_connection", "getaddrinfo", "gethostbyname")),
    (socket.socket, ("connect", "connect_ex", "bind", "sendto")),
    (subprocess.Popen, ("__init__",)),
    # A virtual loop inherits these; real loops override them.
    (asyncio.AbstractEventLoop, ("create_connection", "create_server", "getaddrinfo", "subprocess_exec")),
)


class Escaped(BaseException):
    """Simulated code called something nondeterministic. A `BaseException`, so that no error handler swallows it."""


def _guard(name: str, notify: Callable[[str], None]) -> Any:
    def refuse(*args: object, **options: object) -> NoReturn:
        words = f"{name} is used within a simulation: take it from what is passed in"
        notify(words)
        raise Escaped(words)

    return refuse


@contextmanager
def nondeterminism_guards(notify: Callable[[str], None] = lambda words: None) -> Iterator[None]:
    """Guard the calls of `_GUARDED` while the block runs: each raises `Escaped`.

    `notify` is called with the message first, because a task may hold the exception back.
    """
    before = [
        (owner, name, getattr(owner, name)) for owner, names in _GUARDED for name in names if hasattr(owner, name)
    ]
    try:
        for owner, name, _ in before:
            setattr(owner, name, _guard(f"{owner.__name__}.{name}", notify))
        yield
    finally:
        for owner, name, real in before:
            setattr(owner, name, real)
