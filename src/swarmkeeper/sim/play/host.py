"""Base of every participant outside the orchestrator: its name, its process, and its retries over the network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Json, Principal
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.faults import Faults
from swarmkeeper.sim.kernel.loop import Host, VirtualLoop
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.network import IncomingRequest, NoAnswer
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.play.scenarios import Scenario

_T = TypeVar("_T")
_E = TypeVar("_E")

CALL_SECONDS = 10.0
PAUSE_MIN, PAUSE_MAX = 0.3, 5.0  # seconds between tries


def canonical(value: Json) -> bytes:
    """Return canonical JSON: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class OrchestratorConnection(Protocol):
    """Connection to the orchestrator: the network itself at level core, the SDK at other levels."""

    async def call(
        self,
        source: str,
        what: str,
        ask: Callable[[Any, IncomingRequest], Awaitable[_T]],
        *,
        seconds: float,
        connection: str = "",
    ) -> _T:
        """Carry out `ask` on the orchestrator's edge; see `kernel.network.Network.call`."""

    def drop(self, connection: str) -> None:
        """Close the connections of a process that has ended."""


@dataclass(frozen=True, slots=True)
class Environment:
    """The parts of a run that participants use."""

    scenario: Scenario
    loop: VirtualLoop
    clock: VirtualClock
    choice: NamedChoice
    faults: Faults
    trace: Trace
    network: OrchestratorConnection
    model: Model
    ended: asyncio.Event  # set when no new tasks are submitted


class Party(Generic[_E]):
    """A participant that sends requests to the orchestrator, and retries them. `_E` is the edge that it calls."""

    def __init__(self, env: Environment, name: str, by: Principal) -> None:
        self.env, self.name, self.by = env, name, by
        self.host = Host(env.loop, name)
        self.process = name  # name of the current process, for its connections

    async def ask(
        self, what: str, ask: Callable[[_E, IncomingRequest], Awaitable[_T]], *, seconds: float = CALL_SECONDS
    ) -> _T:
        """Send a request, and retry until there is an answer. `what` names it, `seconds` is the timeout of each try.

        Raises:
            SwarmkeeperError: the request was refused, and a retry would not help.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return await self.once(what, ask, seconds=seconds)
            except NoAnswer:
                pass
            except SwarmkeeperError as error:
                if not error.retryable:
                    raise
            bound = min(PAUSE_MAX, PAUSE_MIN * 2 ** min(tries, 6))
            await asyncio.sleep(self.env.choice.between(0.1, bound, "pause", self.name, what, tries))

    async def once(
        self, what: str, ask: Callable[[_E, IncomingRequest], Awaitable[_T]], *, seconds: float = CALL_SECONDS
    ) -> _T:
        return await self.env.network.call(self.name, what, ask, seconds=seconds, connection=self.process)
