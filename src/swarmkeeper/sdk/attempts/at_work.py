"""Calls a bot's code for a lease: on the author's loop, in a thread, or in a child process. Watches code that goes on
after its lease is lost.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from functools import partial

from swarmkeeper.sdk.attempts import preparing
from swarmkeeper.sdk.attempts.failures import shown
from swarmkeeper.sdk.attempts.sides import Sides
from swarmkeeper.sdk.attempts.user_code import Outcome, Returned, Running
from swarmkeeper.sdk.bots import BaseBot, takes_context
from swarmkeeper.sdk.leases import HeldLease, Work
from swarmkeeper.sdk.processes.isolation import Children, Job
from swarmkeeper.sdk.session import Session
from swarmkeeper.wire.requests import SubTask

log = logging.getLogger("swarmkeeper.bot")

# How long a cancelled coroutine may clean up when the bot stops, before its work is given back anyway.
CLEAN_UP_SECONDS = 2.0
# After this time, code whose lease is lost is reported as stuck. An ordinary clean-up takes less.
LINGERING_SECONDS = 5.0


class CodeAtWork:
    """Runs the code of one bot. Called on the orchestrator's side."""

    def __init__(self, bot: BaseBot, session: Session, sides: Sides) -> None:
        self._code = bot.code()
        self._with_context = takes_context(self._code)
        self._on_the_loop = inspect.iscoroutinefunction(self._code)  # else in a thread
        isolated = getattr(bot, "isolation", None) == "process"
        self._children = Children(bot, lambda: session.label, session.own) if isolated else None
        self._session, self._sides = session, sides
        self._lingering: dict[str, Running] = {}  # lease id → code that still runs after its lease was lost

    async def begin(self) -> None:
        """Start the first child process, if the bot is isolated.

        Raises:
            CannotIsolate: a child process cannot make the bot.
        """
        if self._children is not None:
            await self._children.warm()

    def close(self) -> None:
        if self._children is not None:
            self._children.close()

    async def outcome(self, lease: HeldLease, work: Work) -> Outcome:
        """Call the code and wait for its outcome.

        Raises:
            CancelledError: the bot stops.
        """
        # The answer is turned into JSON where it was made: that takes time, and calls methods of the author's objects.
        call = partial(preparing.call, self._code, (work, lease.context) if self._with_context else (work,), lease)
        name = f"swarmkeeper-work-{lease.work_id}"
        if self._children is not None:
            assert isinstance(work, SubTask), "only executors can be isolated"
            running = self._children.start(Job(work, lease.outbox.about()), lease.outbox, call)
        elif self._on_the_loop:
            return await self._outcome_of(lease, self._sides.start_on_author_loop(call, name))
        else:
            running = self._sides.start_thread(call, f"{self._session.label}-work")
        outcome = await self._outcome_of(lease, running)
        if isinstance(outcome, Returned) and inspect.isawaitable(outcome.value):
            # A plain function returned an awaitable: await it on the author's loop.
            returned = outcome.value
            if lease.ended is not None:
                preparing.discard(returned)
                return outcome
            return await self._outcome_of(lease, self._sides.start_on_author_loop(lambda: returned, name))
        return outcome

    async def _outcome_of(self, lease: HeldLease, running: Running) -> Outcome:
        """Wait for the outcome. If the lease is lost, wait until the code has ended: until then it holds its slot."""
        try:
            return await asyncio.shield(running.outcome)
        except asyncio.CancelledError:
            if running.cancel is not None:
                running.cancel()
            if lease.ended is None:  # the bot stops; a thread cannot be cancelled, so it is not waited for
                if running.cancel is not None:
                    await asyncio.wait([running.outcome], timeout=CLEAN_UP_SECONDS)
                raise
            return await self._linger(lease, running)

    async def _linger(self, lease: HeldLease, running: Running) -> Outcome:
        self._lingering[lease.lease_id] = running
        began = asyncio.get_running_loop().time()
        try:
            await asyncio.wait([running.outcome], timeout=LINGERING_SECONDS)
            if not running.outcome.done():
                why = "was lost" if lease.ended == "lost" else "was cancelled"
                text = "%s: code goes on though its work %s, and holds its slot until it ends: %s"
                log.warning(text, self._session.label, why, self._describe(lease.lease_id))
                self._session.stuck.add(lease.work_id, began, lambda: self._where(running))
            return await asyncio.shield(running.outcome)
        finally:
            self._session.stuck.ended(lease.work_id)
            del self._lingering[lease.lease_id]

    # ---- where it is

    def describe(self) -> str:
        """Describe where the code is that does not end."""
        return "; ".join(map(self._describe, self._lingering))

    def _describe(self, lease_id: str) -> str:
        lease, where = self._session.lingering[lease_id], self._where(self._lingering[lease_id])
        return f"{lease.work_id}, attempt {lease.context.attempt}" + (f", at {where}" if where else "")

    def _where(self, running: Running) -> str:
        place = self._session.own.innermost(running.where())
        return "" if place is None else shown(place)
