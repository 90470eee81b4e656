"""Numbers what transactions have told: events get their place in the feed, audit records theirs in their tenant's tree.

Theory. A transaction writes what it tells as one row of the outbox, in its last statement, and commits: then it is
durable, but has no number yet. One sequencer at a time reads rows, whatever is visible, in the order of their ids; one
statement then writes their contents with their numbers, and deletes them. So numbers have no gaps, and a reader that
sees a number sees all numbers before it, as in SQLite. Causes come before effects: if a transaction B has read what A
committed, every reader that sees B's row sees A's, too; and B's row has the higher id, since it was written after all
that B read.

Which replica is the sequencer decides an advisory lock of a session, on a connection of its own. The others try to get
it again and again. If the owner dies, PostgreSQL frees the lock, and all that was not numbered is still in the outbox.
If the owner stands still, another one ends its connection. The same connection shows others that this server lives.
All that a sequencer writes goes through the connection that has the lock: without the lock it can write nothing.

A turn costs much the same for one row and for many. So before a turn, the sequencer rests a moment, unless somebody
waits for numbers: a busy server's rows share their turns. It rests longer while nobody follows the feed of events:
there is no other server, and no caller to whom events are sent. Who reads events or evidence ends the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any

import asyncpg

from swarmkeeper.core.ports import StoreUnavailable
from swarmkeeper.core.rules import tree
from swarmkeeper.storage import rows
from swarmkeeper.storage.derived import saving
from swarmkeeper.storage.derived.spans import Folded
from swarmkeeper.storage.postgres.connections import close, translated_errors
from swarmkeeper.storage.postgres.execution import Execution
from swarmkeeper.storage.postgres.outbox import Told, unpacked

KEPT_MAX = 5_000  # events that are kept for this process; it reads them after each turn
ROWS_MAX = 64  # of one turn: readers see its numbers only when all have theirs
_KEY = "hashtextextended('swarmkeeper/sequencer', 0)"
_OWN = f"SELECT pg_try_advisory_lock({_KEY})"
_OWN_FOR_NOW = f"SELECT pg_try_advisory_xact_lock({_KEY})"
_PRESENT = "SELECT pg_advisory_lock_shared(hashtextextended('swarmkeeper/server', 0))"
_SECONDS_BETWEEN_TRIES = 0.25
_FROZEN = 3_000_000  # microseconds
_SECONDS_FOR_LAST_TURN = 1.0  # at the end
_SECONDS_TO_GATHER = 0.011  # before a turn: others share it, and what was committed is handed out first
_SECONDS_TO_GATHER_UNFOLLOWED = 0.05  # while nobody follows the feed
_SECONDS_IDLE_MIN, _SECONDS_IDLE_MAX = 0.025, 0.1  # without a hint: it was lost, or a tool has written rows


class NumberedEvents:
    """The last events that this process has numbered, with their numbers: it need not read them from the store.

    They are without a gap, since while this process is the sequencer nobody else numbers any.
    """

    def __init__(self) -> None:
        self._rows: list[rows.Row] = []
        self._next: int | None = None  # the number of the event after them; None: it is not known

    def add(self, first: int, events: Sequence[rows.Row]) -> None:
        """Add the events of a turn, of which the first has this number."""
        if first != self._next or len(self._rows) > KEPT_MAX:
            self._rows.clear()
        self._rows += events
        self._next = first + len(events)

    def forget(self) -> None:
        self._rows.clear()
        self._next = None

    def after(self, seq: int) -> list[rows.Row] | None:
        """Return those after an event, if they are all there are; forget those before."""
        if self._next is None or not self._next - len(self._rows) <= seq + 1 <= self._next:
            return None
        del self._rows[: len(self._rows) - (self._next - seq - 1)]
        return list(self._rows)


async def place_turn(
    connection: asyncpg.Connection,
    *,
    owns: bool,
    filled: bool = False,
    near: set[str] | None = None,
    numbered: NumberedEvents | None = None,
    folded: Folded | None = None,
) -> int:
    """Number the first rows of the outbox, and return how many they were.

    Args:
        owns: this connection is the sequencer's. Otherwise nothing is done while there is one.
        filled: there are some, so that it is not worth asking first.
        near: the tenants of the last turn, which this one most likely needs, too; then those of this turn.
        numbered: gets the events that the sequencer has numbered.
        folded: what is known of sums over days.
    """
    folded = folded or Folded()
    near = set() if near is None else near
    numbered = NumberedEvents() if numbered is None else numbered
    with translated_errors():
        execution = Execution(connection)
        if not filled and await execution.value("newest_outbox") is None:
            return 0
        if owns:
            return await _place_first(execution, near, numbered, folded)
        async with connection.transaction():
            return (
                await _place_first(execution, near, numbered, folded) if await connection.fetchval(_OWN_FOR_NOW) else 0
            )


async def _place_first(execution: Execution, near: set[str], numbered: NumberedEvents, folded: Folded) -> int:
    taken, ((last,),), trees = await execution.fetch_together(
        [
            ("first_outbox", {"limit": ROWS_MAX}),
            ("meta", {"key": "pos"}),
            ("load_tree", {"keys": rows.to_json(sorted(near))}),
        ]
    )
    if not taken:
        return 0
    taken.sort(key=itemgetter(0))
    told = [unpacked(body) for _, body, *_ in taken]
    tenants = {leaf[_TENANT] for one in told for leaf in one.leaves}
    if unread := tenants - near:
        trees += await execution.fetch("load_tree", keys=rows.to_json(sorted(unread)))
    near.clear()
    near.update(tenants)
    known = {row[0]: rows.AUDIT_TREE.from_row(row) for row in map(tuple, trees) if row[0] in tenants}
    tallies = saving.summed(part for one in told for part in one.tallies)
    if folded.due(tallies[2]):
        async with execution.connection.transaction():
            await execution.run(folded.before(tallies[2]))
    summed = saving.writes_of(*tallies, folded.late(tallies[2]))
    writes, drops = _placing(told, last, taken[0][2], dict.fromkeys(sorted(tenants)) | known, summed)
    writes.append(("delete_outbox", [(number,) for number, *_ in taken]))
    events = writes[0][1]
    if drops:
        # Apart from the others: one statement cannot add to a row and remove it.
        async with execution.connection.transaction():
            await execution.write(writes)
            await execution.write(drops)
    else:
        await execution.write(writes)
    if any(sealed for *_, sealed in taken):
        numbered.forget()  # who reads them from the store gets them decrypted
    else:
        numbered.add(last + 1, events)
    return len(taken)


def _placing(
    told: list[Told], last: int, until: int, trees: dict[str, tree.AuditTree | None], tallies: saving.Writes
) -> tuple[saving.Writes, saving.Writes]:
    """Return the statements that write what was told with its numbers, and those that follow them.

    Args:
        last: the last number that an event has.
        until: when the rows were read: all that was committed before has its numbers then.
        trees: of all tenants that were told of; None: it has none yet.
        tallies: the statements for counts and sums.
    """
    events = [tuple(event) for one in told for event in one.events]
    _check_sequences(events)
    numbered = [(number, *event) for number, event in enumerate(events, last + 1)]
    leaves = [rows.AUDIT_LEAF.from_row(leaf) for one in told for leaf in one.leaves]
    placed, grown = tree.place(trees, leaves)
    counts = _summed(one.counts for one in told)
    alive = [one.alive_at for one in told if one.alive_at is not None]
    numbers = [("pos", last + len(events)), ("sequenced_until", until)]
    writes: saving.Writes = [
        ("place_event", numbered),
        ("insert_audit_leaf", list(map(rows.AUDIT_LEAF.to_row, placed))),
        ("put_tree", list(map(rows.AUDIT_TREE.to_row, grown.values()))),
        ("count_opened", [(*numbers, tenant) for tenant, numbers in sorted(counts.items())]),
        *(write for write in tallies if not write[0].startswith("drop_")),
        ("raise_meta", [*numbers, ("alive_at", max(alive, default=0))]),  # the latest time that an engine has reached
    ]
    return writes, [write for write in tallies if write[0].startswith("drop_")]


def _check_sequences(events: Iterable[rows.Row]) -> None:
    """Check that within a turn each task's events are in order: otherwise outbox rows were taken in a wrong order."""
    last: dict[str, int] = {}
    for event in events:
        task, sequence = event[_TASK], event[_SEQUENCE]
        if task is not None:
            assert last.get(task, sequence - 1) == sequence - 1, f"events of {task} are not in order"
            last[task] = sequence


_TASK = rows.EVENT.table.columns.index("task")
_SEQUENCE = rows.EVENT.table.columns.index("sequence")
_TENANT = rows.AUDIT_LEAF.table.columns.index("tenant")


def _summed(counts: Iterable[dict[str, list[int]]]) -> dict[str, list[int]]:
    total: dict[str, list[int]] = {}
    for one in counts:
        for tenant, numbers in one.items():
            total[tenant] = [a + b for a, b in zip(total.get(tenant, [0, 0, 0]), numbers, strict=True)]
    return total


class Sequencer:
    """Runs in the background: is the sequencer, or waits to become it."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._hinted = asyncio.Event()
        self._filled = False  # this process has written rows since the last turn began
        self._waiting: list[asyncio.Future[bool]] = []  # for the end of a turn that has not begun
        self._awaited = asyncio.Event()  # somebody waits so
        self._near: set[str] = set()  # the tenants of the last turn
        self._folded = Folded()
        self.numbered_events = NumberedEvents()
        self.on_numbered: Callable[[], Awaitable[None]] = _nobody
        self.followed: Callable[[], bool] = lambda: True  # whether somebody waits for events as they are committed
        self._task: asyncio.Task[None] | None = None
        self.owns = False
        self._numbered_at = 0.0  # when the last whole turn began
        self.pid = 0  # of its connection, while there is one
        self.trouble = ""  # why the last turn failed, unless the server could not be reached

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        if self._task is not None:
            with suppress(TimeoutError):  # what was written last gets its numbers: it may be that no other server runs
                async with asyncio.timeout(_SECONDS_FOR_LAST_TURN):
                    await self.numbered()
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def hint(self, *, filled: bool = False) -> None:
        """Look at once: something may have been told.

        Args:
            filled: something was, by this process.
        """
        self._filled |= filled
        self._hinted.set()

    async def numbered(self) -> bool:
        """Wait until everything that was committed before has its numbers; return False if others must be asked for it.

        It ends soon: with the next turn, or when this server is not the sequencer any more.
        """
        if not self.owns:
            return False
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._hinted.set()
        self._awaited.set()
        is_numbered: bool = await waiting
        return is_numbered

    def numbered_ago(self) -> float | None:
        """How many seconds ago everything that was committed before had its numbers; None if others must be asked."""
        if not self.owns or not self._numbered_at:
            return None
        return asyncio.get_running_loop().time() - self._numbered_at

    async def _run(self) -> None:
        while True:
            try:
                await self._own_and_place()
            except StoreUnavailable:
                pass  # without a server, or if it ends the connection: try again
            except Exception as error:  # it must go on: all readers of events wait for it
                self.trouble = f"events cannot be numbered: {str(error) or type(error).__name__}"
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    async def _own_and_place(self) -> None:
        connection = await self._connect()
        try:
            with translated_errors():
                self.pid = connection.get_server_pid()
                await connection.execute(_PRESENT)
                while not await connection.fetchval(_OWN):  # another replica is the sequencer
                    await Execution(connection).value("end_frozen_sequencer", microseconds=_FROZEN)
                    await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
            self._folded.forget()  # another replica may have folded more
            self.owns = True
            idle = _SECONDS_IDLE_MIN
            while True:
                if await self._place_all(connection):
                    self.trouble, idle = "", _SECONDS_IDLE_MIN
                    await self.on_numbered()
                if await _set_within(self._hinted, idle):
                    idle = _SECONDS_IDLE_MIN
                    rest = _SECONDS_TO_GATHER if self.followed() else _SECONDS_TO_GATHER_UNFOLLOWED
                    await _set_within(self._awaited, rest)
                idle = min(2 * idle, _SECONDS_IDLE_MAX)
        finally:
            self.owns, self.pid, self._numbered_at = False, 0, 0.0
            self.numbered_events.forget()
            self._answer(self._waiting, is_numbered=False)
            await close(connection)

    async def _place_all(self, connection: asyncpg.Connection) -> bool:
        """Number what the outbox holds now, and answer those who wait for it; return whether it held anything."""
        self._hinted.clear()
        self._awaited.clear()
        filled, self._filled = self._filled, False
        waiting, self._waiting = self._waiting, []
        began = asyncio.get_running_loop().time()
        is_numbered = found_any = False
        try:
            given: dict[str, Any] = {"owns": True, "filled": filled, "near": self._near, "folded": self._folded}
            while (placed := await place_turn(connection, **given, numbered=self.numbered_events)) == ROWS_MAX:
                found_any = True
            is_numbered = True
            self._numbered_at = began
        finally:
            self._answer(waiting, is_numbered=is_numbered)
        return found_any or placed > 0

    @staticmethod
    def _answer(waiting: Iterable[asyncio.Future[bool]], *, is_numbered: bool) -> None:
        for each in waiting:
            if not each.done():  # its task may have been cancelled
                each.set_result(is_numbered)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait until an event is set; after `seconds` set it, and return False."""
    if event.is_set():
        return True
    late = False

    def end() -> None:
        nonlocal late
        late = not event.is_set()
        event.set()

    timer = asyncio.get_running_loop().call_later(seconds, end)  # costs less than a timeout, which cancels the task
    try:
        await event.wait()
    finally:
        timer.cancel()
    return not late


async def _nobody() -> None:
    """Tell nobody."""
