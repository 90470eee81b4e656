"""Simulated network between hosts and the orchestrator: requests and replies take time, and may be lost.

A request is a function of the orchestrator's edge, carried out on its host. A message in flight does not depend on its
sender: it arrives even if the sender has died since.
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
    """The caller does not know whether the request was carried out."""


class ClientGone(Exception):
    """The client no longer waits for the answer."""


class IncomingRequest:
    """One request, as the orchestrator's side sees it."""

    def __init__(self, number: int, source: str, place: str, reply: asyncio.Future[Any] | None) -> None:
        self.number, self.source, self.place = number, source, place
        self.reply = reply  # None: no caller waits for it
        self.gone = asyncio.Event()  # set when the connection is closed


class Network(Generic[_D]):
    """Carries requests to the orchestrator. `_D` is the edge that handles them there."""

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
        self._size = size  # base of the faults' durations, in seconds: the TTL of a lease
        self._trouble = trouble  # called with exceptions of the orchestrator that are not refusals
        self._server: tuple[Host, _D] | None = None
        self._sent: dict[str, int] = {}
        self._numbers = 0
        self._open: dict[int, IncomingRequest] = {}  # sent, not answered
        self._served: dict[int, IncomingRequest] = {}  # being carried out
        self._cut: dict[tuple[str, str], int] = {}  # (source, direction) -> loop time at which the partition ends

    # ---- the orchestrator's end ------------------------------------------------------------------------------------

    def serve(self, host: Host, edge: _D) -> None:
        self._server = (host, edge)

    def server_gone(self) -> None:
        """The orchestrator's process is gone: its connections break."""
        self._server = None
        for call in self._served.values():
            self._break(call)
        self._served.clear()

    # ---- a sender's end --------------------------------------------------------------------------------------------

    async def call(
        self,
        source: str,
        what: str,
        ask: Callable[[_D, IncomingRequest], Awaitable[_T]],
        *,
        seconds: float,
        connection: str = "",
    ) -> _T:
        """Send a request to the orchestrator and return its answer.

        `what` names the request (`report.t7/a`), `connection` the sending process. `seconds` is the timeout.

        Raises:
            NoAnswer: no answer came within the timeout.
            SwarmkeeperError: it was refused.
        """
        place = f"{source}:{what}"
        faults = self._faults
        self._numbers += 1
        reply: asyncio.Future[Any] = self._loop.create_future()
        call = IncomingRequest(self._numbers, connection or source, place, reply)
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
                again = IncomingRequest(-call.number, call.source, place, None)
                self._later(delay + fault.amount(self._size), self._arrive, again, ask)
            if fault := faults.strike("net.reset", place):
                self._later(delay + fault.amount(1), self._reset, call)
        try:
            async with asyncio.timeout(seconds):
                answer, error = await reply
        except TimeoutError:
            self.hang_up(call)
            raise NoAnswer(place) from None
        finally:
            self._open.pop(call.number, None)
        if error is not None:
            raise error
        found: _T = answer
        return found

    def drop(self, connection: str) -> None:
        """A process is gone: the operating system closes its connections."""
        for call in [call for call in self._open.values() if call.source == connection]:
            del self._open[call.number]
            self.hang_up(call)

    def heal(self) -> None:
        self._cut.clear()

    # ---- streamed answers ------------------------------------------------------------------------------------------

    def piece(self, call: IncomingRequest, deliver: Callable[..., None], *args: Any) -> bool:
        """Carry one more piece of a streamed answer. Return False if the connection breaks."""
        if self._is_cut(call.place.partition(":")[0], "in"):
            reached("a piece of a stream into a partition")
            return False
        if self._faults.strike("net.reset", call.place) is not None:
            return False
        self._later(LATENCY_MIN, deliver, *args)  # a fixed delay, so that pieces do not overtake each other
        return True

    # ---- messages in flight ----------------------------------------------------------------------------------------

    def _arrive(self, call: IncomingRequest, ask: Callable[[_D, IncomingRequest], Awaitable[Any]]) -> None:
        if self._server is None:
            self._break(call)
            return
        host, edge = self._server
        self._served[call.number] = call
        host.start(self._carry_out(call, ask, edge))

    async def _carry_out(
        self, call: IncomingRequest, ask: Callable[[_D, IncomingRequest], Awaitable[Any]], edge: _D
    ) -> None:
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

    def _reply(self, call: IncomingRequest, answer: tuple[Any, Exception | None]) -> None:
        if call.reply is not None and not call.reply.done():
            call.reply.set_result(answer)

    def _break(self, call: IncomingRequest) -> None:
        """The connection breaks: the waiting caller gets `NoAnswer`."""
        gone: tuple[None, Exception] = (None, NoAnswer(call.place))
        self._later(self._latency(call.place.partition(":")[0]), self._reply, call, gone)

    def _reset(self, call: IncomingRequest) -> None:
        call.gone.set()
        self._break(call)

    def hang_up(self, call: IncomingRequest) -> None:
        """The sender closes the connection."""
        source = call.place.partition(":")[0]
        if not self._is_cut(source, "out"):
            self._later(self._latency(source), call.gone.set)

    # ---- latency and partitions ------------------------------------------------------------------------------------

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
