"""What every participant outside of the orchestrator has: a name, a process, and patience with the network."""

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
from swarmkeeper.sim.kernel.network import Call, NoAnswer
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.play.scenarios import Scenario

_T = TypeVar("_T")
_E = TypeVar("_E")

CALL_SECONDS = 10.0
PAUSE_MIN, PAUSE_MAX = 0.3, 5.0  # seconds between tries


def canonical(value: Json) -> bytes:
    """Return the JSON text of a value, always the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Calls(Protocol):
    """The way to the orchestrator: the network itself at level core, the SDK at the others."""

    async def call(
        self, source: str, what: str, ask: Callable[[Any, Call], Awaitable[_T]], *, seconds: float, connection: str = ""
    ) -> _T:
        """Carry out `ask` on the orchestrator's edge; see `kernel.network.Network.call`."""

    def drop(self, connection: str) -> None:
        """Close the connections of a process that has ended."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a run is made of, as far as those who take part have to know."""

    scenario: Scenario
    loop: VirtualLoop
    clock: VirtualClock
    choice: NamedChoice
    faults: Faults
    trace: Trace
    network: Calls
    model: Model
    ended: asyncio.Event  # no new tasks come


class Party(Generic[_E]):
    """A participant who asks the orchestrator for things, and asks again. `_E` is the edge that it asks."""

    def __init__(self, env: Environment, name: str, by: Principal) -> None:
        self.env, self.name, self.by = env, name, by
        self.host = Host(env.loop, name)
        self.process = name  # of the present process, for its connections

    async def ask(self, what: str, ask: Callable[[_E, Call], Awaitable[_T]], *, seconds: float = CALL_SECONDS) -> _T:
        """Ask until there is an answer.

        Raises:
            SwarmkeeperError: it was refused, and asking again would not help.
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

    async def once(self, what: str, ask: Callable[[_E, Call], Awaitable[_T]], *, seconds: float = CALL_SECONDS) -> _T:
        return await self.env.network.call(self.name, what, ask, seconds=seconds, connection=self.process)
