"""The default `instance` of a bot: this host and process, so that each process of one bot has work of its own."""

from __future__ import annotations

import os
import socket
import threading

_HOST_LENGTH_MAX = 100  # the orchestrator takes 128 characters in all

_lock = threading.Lock()
_taken: set[tuple[str, str | None, str]] = set()  # type, name, instance: of bots of this process that are at work


def take(type_: str, name: str | None) -> str:
    """An instance that no other bot of this type and name has in this process, until it is given back.

    In a container it names the container alone where the bot is its first process: a restarted one is the same bot.
    """
    host, pid = socket.gethostname()[:_HOST_LENGTH_MAX], os.getpid()
    plain = host if pid == 1 else f"{host}-{pid}"
    with _lock:
        number, instance = 1, plain
        while (type_, name, instance) in _taken:
            number += 1
            instance = f"{plain}-{number}"
        _taken.add((type_, name, instance))
    return instance


def give_back(type_: str, name: str | None, instance: str) -> None:
    with _lock:
        _taken.discard((type_, name, instance))
