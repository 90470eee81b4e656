"""Which scenarios there are, in the order in which they are told of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from swarmkeeper.bench.backlog import backlog
from swarmkeeper.bench.fanout import fanout
from swarmkeeper.bench.handoff import handoff
from swarmkeeper.bench.heartbeats import heartbeats
from swarmkeeper.bench.lifecycle import lifecycle
from swarmkeeper.bench.memory import memory
from swarmkeeper.bench.report import Options, Report

SCENARIOS: Mapping[str, Callable[[Options], Coroutine[Any, Any, Report]]] = {
    "lifecycle": lifecycle,
    "handoff": handoff,
    "backlog": backlog,
    "fanout": fanout,
    "heartbeats": heartbeats,
    "memory": memory,
}
