"""The default `instance` of a bot: this host and process, so that each process of one bot has work of its own."""

from __future__ import annotations

import itertools
import os
import socket
import threading

_HOST_LENGTH_MAX = 100  # the orchestrator takes 128 characters in all

_lock = threading.Lock()
_numbers = itertools.count(1)
_taken: set[tuple[str, str | None, str]] = set()  # type, name, instance: of bots of this process that are at work


def take(type_: str, name: str | None) -> str:
    """An instance that no other bot of this type and name has in this process, until it is given back.

    What a bot without a name will be called is known when it is registered: it shares its instance with no other.

    In a container it names the container alone where the bot is its first process: a restarted one is the same bot.
    """
    plain = _host() if os.getpid() == 1 else f"{_host()}-{os.getpid()}"
    with _lock:
        number, instance = 1, plain
        while any(_clash((type_, name, instance), other) for other in _taken):
            number += 1
            instance = f"{plain}-{number}"
        _taken.add((type_, name, instance))
    return instance


def _clash(one: tuple[str, str | None, str], other: tuple[str, str | None, str]) -> bool:
    return one[2] == other[2] and (one[1] is None or other[1] is None or one[:2] == other[:2])


def process() -> str:
    """A word that no other session of any process has: by it the orchestrator notices two that share an instance."""
    return f"{_host()}-{os.getpid()}-{next(_numbers)}"


def _host() -> str:
    # A header carries ASCII alone.
    return socket.gethostname().encode("ascii", "replace").decode()[:_HOST_LENGTH_MAX]


def give_back(type_: str, name: str | None, instance: str) -> None:
    with _lock:
        _taken.discard((type_, name, instance))
