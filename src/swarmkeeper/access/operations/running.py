"""Carries operations out: a few tasks of each at a time, so that other commands are not held up.

Every server looks for operations that nobody carries out. A server says for how long it will; when it has ended,
another one goes on soon after. Should two do the same tasks, the idempotency key of each lets it be done once.

A server reads an operation and its tasks once, when it takes it, and compares them with the seal: what somebody else
has written to the store is refused (core/operations/records.py). Then it goes by what it has in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from swarmkeeper.access.operations.callers import Callers, from_json
from swarmkeeper.core.commands import ENGINE, Command
from swarmkeeper.core.errors import SwarmkeeperError
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import fetch
from swarmkeeper.core.operations.commands import (
    ACTIONS,
    ForgetOperation,
    NoteItems,
    RefuseForged,
    TakeOperation,
    TryCommand,
)
from swarmkeeper.core.operations.reads import OPEN_OPERATIONS, OPERATION_ITEMS, OPERATION_ROW, OPERATIONS_OVER
from swarmkeeper.core.operations.records import ItemRow, Noted, OperationRecord, Seal, hash_of_items
from swarmkeeper.core.ports import Clock, LogWriter, Reader, StoreDamaged, StoreUnavailable

SECOND = 1_000_000
LOOK_SECONDS = 10.0  # between looks at the store, for what others have begun or left
HELD_FOR = 15 * SECOND  # then others may take an operation over
READ_AT_ONCE = 2_000  # tasks in one read, when an operation is taken
AT_ONCE = 24  # tasks of one operation in a slice
OPERATIONS_MAX = 32  # that are carried out at a time, in turns
# A slice is followed by a pause as long as the slice took, at least this: half of the time is for others.
PAUSE = SECOND // 100
PASSES_MAX = 5  # tries of a task that may be possible in a moment; then it is refused
BETWEEN_PASSES = SECOND
KEPT = 7 * 86_400 * SECOND  # after its end
FORGET_EVERY = 3_600 * SECOND
# Nothing was decided: the server is busy, or it stops.
_NOT_NOW = frozenset({"overloaded", "audit_sink_behind"})


class Doing(Protocol):
    async def do(self, command: Command[Any]) -> Any: ...
    async def do_all(self, commands: Sequence[Command[Any]]) -> list[Any]: ...
    def now(self) -> int: ...


@dataclass(slots=True)
class _InProgress:
    """An operation that this server carries out."""

    row: OperationRecord
    caller: Principal
    left: list[ItemRow]  # tasks of this pass
    again: list[ItemRow] = field(default_factory=list)  # that are for the next pass
    passes: int = 1


class Operations:
    """Runs in the background of each server.

    Args:
        owner: the server's name.
        seal: makes an HMAC with the pepper.
    """

    def __init__(self, store: Reader, engine: Doing, *, owner: str, seal: Seal, clock: Clock, log: LogWriter) -> None:
        self._store, self._engine, self._clock, self._log = store, engine, clock, log
        self._owner, self._seal = owner or "server", seal
        self.forged = 0  # operations that were refused because their seal does not fit
        self._callers = Callers(store, clock.now)
        self._running: dict[str, _InProgress] = {}
        self._woken = asyncio.Event()
        self._forget_at = 0

    def wake(self) -> None:
        """Look at once: an operation has been started."""
        self._woken.set()

    async def run(self) -> None:
        """Carry operations out, for ever."""
        while True:
            try:
                await self._look()
                while self._running:
                    began = self._clock.monotonic()
                    for running in list(self._running.values()):
                        await self._slice(running)
                    await self._clock.sleep(max(PAUSE, self._clock.monotonic() - began))
                    if self._woken.is_set():
                        await self._look()
                await self._forget()
            except (StoreUnavailable, StoreDamaged, SwarmkeeperError) as error:
                self._log("operations_wait", reason=str(error))
                self._running.clear()
                await self._clock.sleep(SECOND)
            await self._wait()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        waking = loop.call_later(LOOK_SECONDS, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            waking.cancel()

    async def _look(self) -> None:
        """Take the operations that nobody carries out."""
        self._woken.clear()
        for row in await fetch(self._store, OPEN_OPERATIONS, limit=OPERATIONS_MAX):
            if row.id in self._running:
                continue
            now = self._engine.now()
            if row.owner != self._owner and row.until > now:
                continue
            taking = TakeOperation(
                by=ENGINE, operation=row.id, owner=self._owner, until=now + HELD_FOR, seal=self._seal
            )
            taken = await self._engine.do(taking)
            if taken is None:
                await self._count_if_forged(row)
                continue
            items = await self._items(row.id)
            if hash_of_items(items) != taken.items_hash:
                await self._engine.do(RefuseForged(by=ENGINE, operation=row.id))
                await self._count_if_forged(row)
                continue
            left = [item for item in items if item.outcome is None]
            self._running[row.id] = _InProgress(taken, from_json(taken.caller), left)

    async def _items(self, operation: str) -> list[ItemRow]:
        found: list[ItemRow] = []
        while True:
            after = found[-1].place if found else -1
            page = await fetch(self._store, OPERATION_ITEMS, operation=operation, after=after, limit=READ_AT_ONCE)
            found += page
            if len(page) < READ_AT_ONCE:
                return found

    async def _count_if_forged(self, row: OperationRecord) -> None:
        """Count an operation that was refused just now."""
        now = await fetch(self._store, OPERATION_ROW, tenant=row.tenant, operation=row.id)
        if now and now[0].forged_at is not None:
            self.forged += 1
            self._log("operation_forged", operation=row.id, tenant=row.tenant)

    async def _slice(self, running: _InProgress) -> None:
        """Deal with the next tasks of an operation, and note what came of them."""
        row = running.row
        if not running.left:  # what was not possible in this pass is tried again
            running.left, running.again = running.again, []
            running.passes += 1
            await self._clock.sleep(BETWEEN_PASSES)
        items, running.left = running.left[:AT_ONCE], running.left[AT_ONCE:]
        reason = await self._callers.why_not(running.caller)
        noted: list[Noted] = (
            [(item.place, "refused", "unauthenticated", reason) for item in items]
            if reason is not None
            else await self._carried_out(running, items)
        )
        places = {place for place, *_ in noted}
        running.again += [item for item in items if item.place not in places]
        is_last = not running.left and not running.again
        until = self._engine.now() + HELD_FOR
        noting = NoteItems(
            by=ENGINE,
            operation=row.id,
            owner=self._owner,
            until=until,
            items=tuple(noted),
            is_last=is_last,
            seal=self._seal,
        )
        if not await self._engine.do(noting):  # another server goes on with it, or it was changed in the store
            await self._count_if_forged(row)
            is_last = True
        if is_last:
            del self._running[row.id]

    async def _carried_out(self, running: _InProgress, items: Sequence[ItemRow]) -> list[Noted]:
        commands = [self._command(running, item) for item in items]
        noted: list[Noted] = []
        for item, answer in zip(items, await self._engine.do_all(commands), strict=True):
            if isinstance(answer, SwarmkeeperError):
                if answer.code in _NOT_NOW or (answer.retryable and running.passes < PASSES_MAX):
                    continue
                noted.append((item.place, "refused", answer.code, answer.detail))
            elif running.row.dry_run and answer:
                code, _, detail = answer.partition(": ")
                noted.append((item.place, "refused", code, detail))
            else:
                noted.append((item.place, "done", None, None))
        return noted

    def _command(self, running: _InProgress, item: ItemRow) -> Command[Any]:
        row = running.row
        command = ACTIONS[row.action](
            by=running.caller,
            task=item.task,
            trace=row.trace,
            # Decided once, however often it is sent.
            idempotency=None if row.dry_run else (f"{row.id}/{item.place}", row.id),
            **json.loads(row.args),
        )
        return TryCommand(by=running.caller, inner=command, trace=row.trace) if row.dry_run else command

    async def _forget(self) -> None:
        """Remove an operation that ended long ago."""
        now = self._engine.now()
        if now < self._forget_at:
            return
        over = await fetch(self._store, OPERATIONS_OVER, before=now - KEPT)
        if over:
            by = replace(ENGINE, tenant=over[0].tenant)
            await self._engine.do(ForgetOperation(by=by, operation=over[0].id, before=now - KEPT))
            self.wake()  # there may be more
        else:
            self._forget_at = now + FORGET_EVERY
