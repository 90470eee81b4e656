"""The network between hosts and the orchestrator: requests and replies that take time, and do not always arrive.

A request is a function of the orchestrator's edge, carried out on its host. What is under way belongs to nobody: it
arrives also when its sender has died since.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from swarmkeeper.core.errors import Overloaded, SwarmkeeperError
from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.sim.kernel.coverage import reached
from swarmkeeper.sim.kernel.faults import Faults
from swarmkeeper.sim.kernel.loop import SECOND, Host, VirtualLoop
from swarmkeeper.sim.kernel.named_choice import NamedChoice
from swarmkeeper.sim.kernel.trace import Trace

_T = TypeVar("_T")
_D = TypeVar("_D")

LATENCY_MIN, LATENCY_MAX = 0.0005, 0.02  # seconds


class NoAnswer(Exception):
    """Whether it was done is not known."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Call:
    """One request, as the orchestrator's side has it."""

    def __init__(self, number: int, source: str, place: str, reply: asyncio.Future[Any] | None) -> None:
        self.number, self.source, self.place = number, source, place
        self.reply = reply  # None: nobody waits for it
        self.gone = asyncio.Event()  # the connection is


class Network(Generic[_D]):
    """`_D` is the orchestrator's edge: what carries out requests there."""

    def __init__(
        self,
        loop: VirtualLoop,
        choice: NamedChoice,
        faults: Faults,
        trace: Trace,
        *,
        size: float,
        trouble: Callable[[str], None],
    ) -> None:
        self._loop, self._choice, self._faults, self._trace = loop, choice, faults, trace
        self._size = size  # seconds by which sizes of faults are measured: the TTL of a lease
        self._trouble = trouble  # told of what the orchestrator raised that is no refusal
        self._server: tuple[Host, _D] | None = None
        self._sent: dict[str, int] = {}
        self._numbers = 0
        self._open: dict[int, Call] = {}  # sent, not answered
        self._served: dict[int, Call] = {}  # being carried out
        self._cut: dict[tuple[str, str], int] = {}  # (who, direction) -> until when

    # ---- the orchestrator's end ------------------------------------------------------------------------------------

    def serve(self, host: Host, edge: _D) -> None:
        self._server = (host, edge)

    def server_gone(self) -> None:
        """Its process is gone: connections break."""
        self._server = None
        for call in self._served.values():
            self._break(call)
        self._served.clear()

    # ---- a sender's end --------------------------------------------------------------------------------------------

    async def call(
        self, source: str, what: str, ask: Callable[[_D, Call], Awaitable[_T]], *, seconds: float, connection: str = ""
    ) -> _T:
        """Ask the orchestrator; `what` names the request (`report.t7/a`), `connection` whose process it belongs to.

        Raises:
            NoAnswer: none came within the time.
            SwarmkeeperError: it was refused.
        """
        place = f"{source}:{what}"
        faults = self._faults
        self._numbers += 1
        reply: asyncio.Future[Any] = self._loop.create_future()
        call = Call(self._numbers, connection or source, place, reply)
        self._open[call.number] = call
        delay = self._latency(source)
        self._partition(source, place)
        if self._is_cut(source, "out"):
            reached("a request into a partition")
        elif faults.strike("net.lose_request", place) is None:
            if fault := faults.strike("net.delay", place):
                delay += fault.amount(self._size)
            if fault := faults.strike("net.reorder", place):
                delay += fault.amount(0.5)
            self._later(delay, self._arrive, call, ask)
            if fault := faults.strike("net.duplicate", place):
                again = Call(-call.number, call.source, place, None)
                self._later(delay + fault.amount(self._size), self._arrive, again, ask)
            if fault := faults.strike("net.reset", place):
                self._later(delay + fault.amount(1), self._reset, call)
        try:
            async with asyncio.timeout(seconds):
                answer, error = await reply
        except TimeoutError:
            self._hang_up(call)
            raise NoAnswer(place) from None
        finally:
            self._open.pop(call.number, None)
        if error is not None:
            raise error
        found: _T = answer
        return found

    def drop(self, connection: str) -> None:
        """A process is gone: its system closes its connections."""
        for call in [call for call in self._open.values() if call.source == connection]:
            del self._open[call.number]
            self._hang_up(call)

    def heal(self) -> None:
        self._cut.clear()

    # ---- answers that go on ----------------------------------------------------------------------------------------

    def piece(self, call: Call, deliver: Callable[..., None], *args: Any) -> bool:
        """Carry one more piece of an answer; False where the connection breaks on that."""
        if self._is_cut(call.place.partition(":")[0], "in"):
            reached("a piece of a stream into a partition")
            return False
        if self._faults.strike("net.reset", call.place) is not None:
            return False
        self._later(LATENCY_MIN, deliver, *args)  # always the same: pieces do not overtake each other
        return True

    def leave(self, call: Call) -> None:
        """Whoever heard such an answer does not any more."""
        self._hang_up(call)

    # ---- what is under way -----------------------------------------------------------------------------------------

    def _arrive(self, call: Call, ask: Callable[[_D, Call], Awaitable[Any]]) -> None:
        if self._server is None:
            self._break(call)
            return
        host, edge = self._server
        self._served[call.number] = call
        host.start(self._carry_out(call, ask, edge))

    async def _carry_out(self, call: Call, ask: Callable[[_D, Call], Awaitable[Any]], edge: _D) -> None:
        answer: Any = None
        error: Exception | None = None
        try:
            answer = await ask(edge, call)
        except ClientGone:
            reached("a client hung up before its answer")
            return
        except SwarmkeeperError as refused:
            error = refused
        except StoreUnavailable:
            error = Overloaded("the store cannot take it now", retry_after=1)
        except Exception as trouble:
            self._trouble(f"{call.place}: {trouble!r}")
            return
        finally:
            self._served.pop(call.number, None)
        if call.reply is None:
            return
        source = call.place.partition(":")[0]
        if self._is_cut(source, "in"):
            reached("a reply into a partition")
        elif self._faults.strike("net.lose_reply", call.place) is None:
            self._later(self._latency(source), self._reply, call, (answer, error))

    def _reply(self, call: Call, answer: tuple[Any, Exception | None]) -> None:
        if call.reply is not None and not call.reply.done():
            call.reply.set_result(answer)

    def _break(self, call: Call) -> None:
        """Whoever waits hears that there is nobody any more."""
        gone: tuple[None, Exception] = (None, NoAnswer(call.place))
        self._later(self._latency(call.place.partition(":")[0]), self._reply, call, gone)

    def _reset(self, call: Call) -> None:
        call.gone.set()
        self._break(call)

    def _hang_up(self, call: Call) -> None:
        source = call.place.partition(":")[0]
        if not self._is_cut(source, "out"):
            self._later(self._latency(source), call.gone.set)

    # ---- how long, and whether -------------------------------------------------------------------------------------

    def _later(self, seconds: float, act: Callable[..., None], *args: Any) -> None:
        self._loop.call_later(seconds, act, *args, context=contextvars.Context())

    def _latency(self, source: str) -> float:
        self._sent[source] = n = self._sent.get(source, 0) + 1
        return self._choice.spread(LATENCY_MIN, LATENCY_MAX, "latency", source, n)

    def _partition(self, source: str, place: str) -> None:
        for direction in ("out", "in"):
            if fault := self._faults.strike(f"net.partition_{direction}", place):
                self._cut[source, direction] = self._loop.now + round(fault.amount(self._size) * SECOND)

    def _is_cut(self, source: str, direction: str) -> bool:
        return self._cut.get((source, direction), 0) > self._loop.now
