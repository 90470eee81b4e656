"""The orchestrator's simulated process: it boots on its store, crashes, pauses, is upgraded, and restarts."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from swarmkeeper.core.model import Limits
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.engine.loop import Engine
from swarmkeeper.sim.kernel.clock import VirtualClock
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Fault, Faults
from swarmkeeper.sim.kernel.faulty_store import FaultyStore
from swarmkeeper.sim.kernel.loop import SECOND, Host, VirtualLoop
from swarmkeeper.sim.kernel.named_choice import NamedChoice, NamedEntropy
from swarmkeeper.sim.kernel.network import Network
from swarmkeeper.sim.kernel.trace import Trace
from swarmkeeper.sim.oracle import shares
from swarmkeeper.sim.oracle.model import Model
from swarmkeeper.sim.play.core.core_edge import CoreEdge
from swarmkeeper.sim.play.engine import new_engine

MINUTE = 60.0
SKEW_MAX = 200_000  # parts per million


class SimulatedOrchestrator:
    def __init__(
        self,
        url: str,
        *,
        loop: VirtualLoop,
        clock: VirtualClock,
        choice: NamedChoice,
        faults: Faults,
        trace: Trace,
        network: Network[CoreEdge],
        model: Model,
        limits: Limits,
        policed: bool,
    ) -> None:
        self._url, self._loop, self._clock, self._choice = url, loop, clock, choice
        self._policed = policed
        self._faults, self._trace, self._network, self._model, self._limits = faults, trace, network, model, limits
        self._entropy = NamedEntropy(choice, lambda: loop.now)
        self._image: bytes | None = None
        self._ttl = limits.lease_ttl / SECOND
        self.runs = 0  # how often it has booted
        self.host: Host | None = None
        self.engine: Engine | None = None
        self.store: FaultyStore | None = None
        self._stopped: Engine | None = None  # the last engine that was asked to stop
        self._ways: tuple[tuple[str, Callable[[Fault], None]], ...] = (
            ("orch.crash", self._crash),
            ("orch.pause", self._pause),
            ("orch.clock_jump", self._jump),
            ("orch.skew", self._skew),
        )

    # ---- life ------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        self.runs += 1
        self._trace("boot", "orchestrator", str(self.runs))
        self.host = Host(self._loop, "orchestrator")
        store = self.store = FaultyStore(
            self._url,
            choice=self._choice,
            faults=self._faults,
            entropy=self._entropy,
            committed=self._model.committed,
            wrong=lambda why: self._model.broken("7.kept", "orchestrator", why),
            describe=self._model.describe,
            die=self.crash,
            image=self._image,
            run=self.runs,
        )
        self._model.connection = lambda: store.connection
        self.host.start(self._live(self.host, self.store))

    async def _live(self, host: Host, store: FaultyStore) -> None:
        await store.open()
        if self.runs > 1:
            self._model.compare("after a restart")
        engine = self.engine = new_engine(
            store, self._clock, self._entropy, self._limits, self._log, policed=self._policed
        )
        while True:
            try:
                await engine.start()
                break
            except StoreUnavailable:
                await asyncio.sleep(1)
        self._watch(engine)
        self._model.check_rows("after a restart")
        self._network.serve(host, CoreEdge(engine, store, self._entropy, self._model))
        try:
            await engine.run()
        except Exception as error:
            self._model.broken("0.engine", "orchestrator", f"the engine's loop ended with {error!r}")
        if engine is not self._stopped:
            self._model.broken("0.engine", "orchestrator", "the engine's loop ended by itself")

    def _watch(self, engine: Engine) -> None:
        """Check the shares of the engine, if there is more than one tenant."""
        if self._model.isolation is not None:
            shares.watch(engine, lambda why: self._model.broken("9.share", "orchestrator", why))

    def crash(self, why: str, *, down: float | None = None) -> None:
        """Die now. A new process boots on the committed state after `down` seconds, by default a random time."""
        if self.host is None or not self.host.alive:
            return
        self._trace("crash", "orchestrator", why)
        reached(f"the orchestrator died {why}")
        self._gone()
        self._boot_in(self._ttl * self._choice.spread(0.1, 3.0, "down", self.runs) if down is None else down)

    def _gone(self) -> None:
        assert self.host is not None
        assert self.store is not None
        self.host.die()
        self._network.server_gone()
        self._image = self.store.drop()

    def _boot_in(self, seconds: float) -> None:
        self._loop.call_later(seconds, self.boot, context=contextvars.Context())

    async def _upgrade(self) -> None:
        """Shut down gracefully: answer accepted requests, then let another version take over."""
        engine, host = self.engine, self.host
        if engine is None or host is None or not host.alive:
            return
        reached("the orchestrator was upgraded")
        self._stopped = engine
        engine.stop()
        while engine.running and host.alive:  # noqa: ASYNC110  # the product has no event for it
            await asyncio.sleep(0.05)
        if host.alive:
            self._trace("crash", "orchestrator", "stopped in order")
            self._gone()
            self._boot_in(2.0)

    # ---- faults ----------------------------------------------------------------------------------------------------

    async def inject_faults(self) -> None:
        """Inject faults minute by minute, until faults stop."""
        while not self._faults.healed:
            strikes: list[tuple[Fault, Callable[[Fault], None]]] = []
            for kind, act in self._ways:
                if fault := self._faults.strike(kind, "orchestrator:minute"):
                    strikes.append((fault, act))
            for fault, act in strikes:
                self._loop.call_later(MINUTE * fault.unit("when"), act, fault)
            if self._faults.strike("orch.upgrade", "orchestrator:minute"):
                await self._upgrade()
            await asyncio.sleep(MINUTE)

    def _crash(self, fault: Fault) -> None:
        self.crash("at any moment", down=fault.amount(self._ttl))

    def _pause(self, fault: Fault) -> None:
        if self.host is not None:
            self.host.pause(round(fault.amount(self._ttl) * SECOND))

    def _jump(self, fault: Fault) -> None:
        ahead = fault.amount(10 * self._ttl) * (1 if fault.unit("direction") < 0.5 else -1)
        self._clock.jump(round(ahead * SECOND))

    def _skew(self, fault: Fault) -> None:
        """Make the orchestrator's clock run faster or slower than those of bots, for a time."""
        self._clock.skew(round((fault.unit("pace") * 2 - 1) * SKEW_MAX))
        self._loop.call_later(fault.amount(20 * self._ttl), self._clock.skew, 0, context=contextvars.Context())

    def _log(self, event: str, **fields: Any) -> None:
        if event in ("fault", "batch_failed"):
            self._model.broken("0.fault", "orchestrator", f"{event}: {fields}")
        elif event == "stalled":
            reached("the engine noticed that it had stood still")
