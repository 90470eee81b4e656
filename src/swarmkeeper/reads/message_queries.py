"""Delivers messages to bots and lists them for people. core/decide/decisions/messages.py accepts new messages.

Rule. A bot with a lease of a task gets all of the task's messages for it, oldest first: messages addressed to it by id
or name, and messages to all bots on the task, except its own. Messages are not consumed: a bot that starts the work
again gets them again. With each heartbeat, the bot sends its cursor for each lease; the answer has the messages after
it. So the orchestrator keeps no delivery state. Lost replies, restarts and several bots of one name need no special
handling: each message arrives at least once.

Messages are ordered by commit. Ids do not give this order (within a millisecond they are random), so the store keeps
it. A cursor is the id of a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Invalid, ResourceNotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import MessageRow, fetch
from swarmkeeper.core.ports import Changes, ReadsOnly, StoreDamaged, StoreUnavailable
from swarmkeeper.core.states import TaskStatus
from swarmkeeper.reads import views
from swarmkeeper.reads.queries import Queries
from swarmkeeper.reads.tasks.lists import PAGE_BYTES_MAX
from swarmkeeper.reads.views import View

# Bounds of one heartbeat's answer. The next heartbeat, with the bot's new cursor, gets the rest.
GIVEN_MAX = 64
GIVEN_BYTES_MAX = 1024 * 1024

Cursors = Sequence[str | None]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class Messages:
    """Keeps the newest message of each task in memory, so that most heartbeats need no read."""

    def __init__(self, store: ReadsOnly, queries: Queries, newest: dict[str, str] | None = None) -> None:
        """Args: `newest` is shared with another `Messages`, whose `committed` updates it; None: not shared."""
        self._store = store
        self._queries = queries
        # task -> its newest message; without ARCHIVED tasks
        self.newest: dict[str, str] = {} if newest is None else newest
        self.is_fresh: Callable[[], bool] = lambda: True  # whether `newest` may be used; see access/others.py

    async def start(self) -> None:
        for row in await fetch(self._store, named_reads.NEWEST_MESSAGES, over=TaskStatus.ARCHIVED):
            self.newest[row.task] = row.id

    def committed(self, changes: Changes) -> None:
        for message in changes.messages:
            self.newest[message.task] = message.id
        if self.newest:
            for task in changes.tasks.values():
                if task.status is TaskStatus.ARCHIVED:
                    self.newest.pop(task.id, None)

    # ---- to bots ---------------------------------------------------------------------------------------------------

    def any_for(self, cursors_by_task: Mapping[str, Cursors]) -> bool:
        """Whether there may be messages after these cursors."""
        return any(self._is_behind(task, cursors) for task, cursors in cursors_by_task.items())

    def _is_behind(self, task: str, cursors: Cursors) -> bool:
        if not self.is_fresh():
            return True
        newest = self.newest.get(task)
        return newest is not None and any(cursor != newest for cursor in cursors)

    async def given(self, bot: str, cursors_by_task: Mapping[str, Cursors]) -> list[View]:
        """Return the messages for a bot's heartbeat. If the store is not available, the next heartbeat gets them.

        Args:
            bot: the bot's id.
            cursors_by_task: for each lease of a task, the id of the last message received. None or an unknown id means
                that none was received.
        """
        given: list[View] = []
        room = GIVEN_BYTES_MAX
        for task, cursors in cursors_by_task.items():
            if not self._is_behind(task, cursors):
                continue
            try:
                rows = await fetch(
                    self._store,
                    named_reads.MESSAGES_FOR_BOT,
                    task=task,
                    bot=bot,
                    after=_json(list(cursors)),
                    limit=GIVEN_MAX - len(given),
                )
                shown = await self._shown(rows, room, bool(given))
            except (StoreUnavailable, StoreDamaged):
                break
            given += shown
            room -= sum(len(_json(view["payload"])) for view in shown)
            if len(given) >= GIVEN_MAX or room <= 0:
                break
        return given

    # ---- to people -------------------------------------------------------------------------------------------------

    async def one(self, task_id: str, message_id: str) -> View:
        """Return a message that the caller has just sent."""
        rows = await fetch(self._store, named_reads.MESSAGE_ROW, task=task_id, message=message_id)
        if not rows:
            raise ResourceNotFound("no such message")
        return (await self._shown(rows, GIVEN_BYTES_MAX, False))[0]

    async def page(
        self, principal: Principal, task_id: str, *, after: str | None, page_size: int, page_token: str
    ) -> View:
        """Return a page of a task's messages, oldest first; it ends early if it gets large.

        Raises:
            ResourceNotFound: there is no such task, or the caller may not see it.
            PermissionDenied: the caller may read the task, but not its outputs.
            Invalid: `after` is not a message of the task.
        """
        await self._queries.must_see_outputs(principal, task_id)
        if page_token:
            after = views.read_token(page_token, str)[0]
        if after is not None and not await fetch(self._store, named_reads.MESSAGE_ROW, task=task_id, message=after):
            where = (
                "/query/page_token" if page_token else "/query/after",
                "unknown_message",
                "no message of this task",
            )
            raise Invalid("must be a message of the same task", details=(where,))
        rows = await fetch(self._store, named_reads.MESSAGES_PAGE, task=task_id, after=after, limit=page_size + 1)
        shown = await self._shown(rows[:page_size], PAGE_BYTES_MAX, False)
        return views.page(shown, views.token(shown[-1]["id"]) if len(shown) < len(rows) else "")

    async def _shown(self, rows: Sequence[MessageRow], room: int, some_are: bool) -> list[View]:
        """Return the views of the first rows that fit into `room` bytes; without `some_are`, at least one."""
        fitting: list[MessageRow] = []
        for row in rows:
            room -= row.bytes
            if room < 0 and (fitting or some_are):
                break
            fitting.append(row)
        ids = _json([row.payload for row in fitting])
        found = await fetch(self._store, named_reads.PAYLOADS, ids=ids) if fitting else []
        payload_cache = {row.id: row.body for row in found}
        return [
            {
                "id": row.id,
                "from_bot": row.from_bot,
                "to_bot": row.to_bot,
                "task_id": row.task,
                "payload": views.json_of(payload_cache[row.payload]),
                "timestamp": views.time(row.at),
            }
            for row in fitting
        ]
