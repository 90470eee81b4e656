"""The scenarios, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from swarmkeeper.bench.report import BenchReport, ScenarioOptions
from swarmkeeper.bench.scenarios.backlog import backlog
from swarmkeeper.bench.scenarios.fanout import fanout
from swarmkeeper.bench.scenarios.handoff import handoff
from swarmkeeper.bench.scenarios.heartbeats import heartbeats
from swarmkeeper.bench.scenarios.lifecycle import lifecycle
from swarmkeeper.bench.scenarios.memory import memory

SCENARIOS: Mapping[str, Callable[[ScenarioOptions], Coroutine[Any, Any, BenchReport]]] = {
    "lifecycle": lifecycle,
    "handoff": handoff,
    "backlog": backlog,
    "fanout": fanout,
    "heartbeats": heartbeats,
    "memory": memory,
}
