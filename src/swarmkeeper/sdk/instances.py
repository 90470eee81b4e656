"""The default `instance` of a bot: host and process id, so that each process of a bot is given its own work."""

from __future__ import annotations

import itertools
import os
import socket
import threading

_HOST_LENGTH_MAX = 100  # the orchestrator takes an instance of 128 characters

_lock = threading.Lock()
_numbers = itertools.count(1)
_taken: set[tuple[str, str | None, str]] = set()  # (type, name, instance) of the bots that run in this process


def take(type_: str, name: str | None) -> str:
    """Return an instance that no other bot of this type and name uses in this process, until it is given back.

    A bot without a name gets one at registration, which may equal another's: it never shares an instance.

    If the bot is the first process of a container, the instance is the host name alone, so that a restarted container
    is the same bot.
    """
    plain = _host() if os.getpid() == 1 else f"{_host()}-{os.getpid()}"
    with _lock:
        number, instance = 1, plain
        # Of a copy: one may be given back meanwhile.
        while any(_clash((type_, name, instance), other) for other in _taken.copy()):
            number += 1
            instance = f"{plain}-{number}"
        _taken.add((type_, name, instance))
    return instance


def _clash(new: tuple[str, str | None, str], taken: tuple[str, str | None, str]) -> bool:
    return new[2] == taken[2] and (new[1] is None or taken[1] is None or new[:2] == taken[:2])


def process() -> str:
    """Return a word unique to this session, by which the orchestrator notices two processes with one instance."""
    return f"{_host()}-{os.getpid()}-{next(_numbers)}"


def _host() -> str:
    # Headers carry ASCII only.
    return socket.gethostname().encode("ascii", "replace").decode()[:_HOST_LENGTH_MAX]


def give_back(type_: str, name: str | None, instance: str) -> None:
    """Free an instance that `take` returned.

    It does not take the lock: the garbage collector may call this in a thread that is inside `take` and holds it.
    """
    _taken.discard((type_, name, instance))
