"""Messages on their way to bots, and lists of them. Leaving one is core/decide/decisions/messages.py.

The rule. With a lease of a task a bot is given all of the task's messages that are for it, the oldest first: those that
name it, by id or name, and those to whoever works on the task that it did not send itself. A message is never used up:
a bot that takes the work up again is told again what was said. The bot says with each beat how far it has heard, for
each lease; what comes after that is in the answer. So the orchestrator remembers nothing about who heard what, and a
lost reply, a restart and a second bot of the same name all come out right: a message comes at least once.

The order is that in which messages were committed. Ids do not tell it (within a millisecond they are random), so it
stays the store's, and a cursor is the id of a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from swarmkeeper.core import named_reads
from swarmkeeper.core.errors import Invalid, NotFound
from swarmkeeper.core.model import Principal
from swarmkeeper.core.named_reads import MessageRow, fetch
from swarmkeeper.core.ports import Changes, ReadsOnly, StoreDamaged, StoreUnavailable
from swarmkeeper.core.states import TaskStatus
from swarmkeeper.reads import views
from swarmkeeper.reads.queries import PAGE_BYTES_MAX, Queries
from swarmkeeper.reads.views import View

# What one heartbeat's answer carries: more waits for the next, which says how far the bot has come.
GIVEN_MAX = 64
GIVEN_BYTES_MAX = 1024 * 1024

Cursors = Sequence[str | None]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class Messages:
    """Knows which tasks have messages, so that the beats of bots whose tasks have none read nothing."""

    def __init__(self, store: ReadsOnly, queries: Queries, newest: dict[str, str] | None = None) -> None:
        """Args: `newest` is that of another one, which is told of commits."""
        self._store = store
        self._queries = queries
        # task -> its newest message, but of tasks that are ARCHIVED
        self.newest: dict[str, str] = {} if newest is None else newest

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

    def any_for(self, heard: Mapping[str, Cursors]) -> bool:
        """Whether there may be a message that was not heard yet."""
        return any(self._is_behind(task, cursors) for task, cursors in heard.items())

    def _is_behind(self, task: str, cursors: Cursors) -> bool:
        newest = self.newest.get(task)
        return newest is not None and any(cursor != newest for cursor in cursors)

    async def given(self, bot: str, heard: Mapping[str, Cursors]) -> list[View]:
        """What to tell a bot with this beat. `heard`: task -> the last message heard, for each lease the bot has of it.

        A message that is not known counts as none heard. Where the store does not answer, the next beat tells.
        """
        given: list[View] = []
        room = GIVEN_BYTES_MAX
        for task, cursors in heard.items():
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
            room -= sum(len(_json(one["payload"])) for one in shown)
            if len(given) >= GIVEN_MAX or room <= 0:
                break
        return given

    # ---- to people -------------------------------------------------------------------------------------------------

    async def one(self, task_id: str, message_id: str) -> View:
        """A message that the caller has just sent."""
        rows = await fetch(self._store, named_reads.MESSAGE_ROW, task=task_id, message=message_id)
        if not rows:
            raise NotFound("no such message")
        return (await self._shown(rows, GIVEN_BYTES_MAX, False))[0]

    async def page(
        self, principal: Principal, task_id: str, *, after: str | None, page_size: int, page_token: str
    ) -> View:
        """A page of a task's messages, the oldest first; a page ends early rather than carry too much.

        Raises:
            NotFound: the task is not the caller's to see.
            Forbidden: the caller may see the task, but not what work on it has brought about.
            Invalid: `after` is no message of the task.
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
        """As many as there is room for: at least one, if nothing is there yet."""
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
