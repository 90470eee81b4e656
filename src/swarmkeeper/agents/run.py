"""One attempt of an agent, as its adapter sees it: it counts, keeps the caps, and reports to the attempt's context."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from swarmkeeper.agents.caps import CapReached, Caps, ModelUsage
from swarmkeeper.sdk.attempts.sendable import Unsendable, cut
from swarmkeeper.sdk.context import Context

Json = Any
Cost = Callable[[str | None, ModelUsage], int | None]  # micro-USD; None: the price is unknown

_ERROR_LENGTH_MAX = 500  # of a tool's error in a log line
_MESSAGE_LENGTH_MAX = 200


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    tool_calls: int = 0
    tokens: int = 0


class AgentRun:
    """What an adapter reports to. Its methods may be called from threads.

    Attributes:
        work_id: the work's id and round: the same in every attempt of a round, so fit for a `thread_id`.
        caps: to be given to the framework, too, where it has such limits.
        options: to be passed to the framework's run, by name.
        traceparent: W3C Trace Context of the attempt; None: there is none.
    """

    def __init__(
        self,
        context: Context,
        caps: Caps,
        *,
        work_id: str,
        envelope: Callable[[Json], Json] = lambda state: state,
        options: Mapping[str, Any] | None = None,
        cost: Cost | None = None,
        masked: Callable[[str], str] = str,
    ) -> None:
        self.work_id = work_id
        self.caps = caps
        self.options = dict(options or {})
        self.task_id = context.task_id
        self.traceparent = context.traceparent
        self._context, self._envelope, self._cost, self._masked = context, envelope, cost, masked
        self._counts = _Counts()
        self._cap: CapReached | None = None
        self._noted = ""

    # ---- model requests

    def request(self) -> None:
        """Count a model request that is about to be sent.

        Raises:
            CapReached: no further request is allowed.
        """
        self.check()
        if self._counts.requests >= self.caps.requests:
            self._reached("requests", self.caps.requests)
        if self._counts.tokens >= self.caps.tokens:
            self._reached("tokens", self.caps.tokens)
        self._counts.requests += 1
        self.report(f"model request {self._counts.requests}")

    def used(self, usage: ModelUsage, *, cost_follows: bool = False) -> None:
        """Add what one request has used. It is reported with the next heartbeat, whatever becomes of the run.

        Above the cap, the next request is refused; a request that gave the result is not lost.

        Args:
            cost_follows: the program may state what all of it costs, at its end.
        """
        tokens = max(usage.tokens, 0)
        self._counts.tokens += tokens
        cost = None if self._cost is None else self._cost(usage.model, usage)
        unpriced = tokens if cost is None and not cost_follows else 0
        self._context.use(tokens=tokens, cost_micro_usd=max(cost or 0, 0), unpriced_tokens=unpriced)

    def check_tokens(self) -> None:
        """For a program that sends its requests itself: end it once it has used more tokens than allowed.

        Raises:
            CapReached: it has.
        """
        if self._counts.tokens > self.caps.tokens:
            self._reached("tokens", self.caps.tokens)

    def used_at_least(self, requests: int, tokens: int) -> None:
        """Add what the framework's totals of this attempt have beyond what was reported: agents in tools used it."""
        counts = self._counts
        counts.requests = max(counts.requests, requests)
        if tokens > counts.tokens:
            self.used(ModelUsage(0, tokens - counts.tokens))

    # ---- tools

    def tool(self, name: str, arguments: object = None) -> None:
        """Count a tool call that begins.

        Raises:
            CapReached: no further tool call is allowed.
        """
        self.check()
        if self._counts.tool_calls >= self.caps.tool_calls:
            self._reached("tool_calls", self.caps.tool_calls)
        self._counts.tool_calls += 1
        shown = "" if arguments is None else f" {_shown(arguments)}"
        self._context.log(self._masked(cut(f"tool {name}{shown}", _ERROR_LENGTH_MAX)))
        self.report(f"tool {name}")

    def tool_ended(self, name: str, error: object = None) -> None:
        """Report that a tool call ended; `error`: what went wrong, also if the agent goes on."""
        if error is not None:
            self._context.log(self._masked(cut(f"tool {name} failed: {error}", _ERROR_LENGTH_MAX)))
            self.report(f"tool {name} failed")

    # ---- progress and state

    def report(self, message: str) -> None:
        """Show what the agent does now. The fraction is the share of the requests that it may make."""
        fraction = min(self._counts.requests / self.caps.requests, 0.99)
        self._context.progress(fraction, self._masked(cut(message, _MESSAGE_LENGTH_MAX)))

    def note(self, line: str) -> None:
        """Add a line to the attempt's log; a line that is the same as the last one is left out."""
        if line != self._noted:
            self._noted = line
            self._context.log(self._masked(cut(line, _ERROR_LENGTH_MAX)))

    def checkpoint(self, state: Json) -> None:
        """Keep a state for the next attempt, if this one dies. One that is too large is left out: the log says so."""
        try:
            self._context.checkpoint(self._envelope(state))
        except Unsendable as error:
            self.note(f"the agent's state was not kept: {error}")

    def check(self) -> None:
        """Raise what ends this run: a cap that the framework swallowed, or a cancellation that a thread did not see.

        Raises:
            CapReached: a cap was reached before.
            CancelledError: the work is cancelled or lost.
        """
        if self._cap is not None:
            raise self._cap
        if self._context.cancelled:
            raise asyncio.CancelledError

    @property
    def cap_reached(self) -> CapReached | None:
        """The cap that this run has reached. Frameworks may swallow the exception."""
        return self._cap

    def _reached(self, cap: str, most: int) -> None:
        self._cap = CapReached(cap, most)
        self._context.log(str(self._cap))
        raise self._cap


def _shown(arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    if isinstance(arguments, Mapping):
        return json.dumps(dict(arguments), ensure_ascii=False, default=str)
    return str(arguments)
