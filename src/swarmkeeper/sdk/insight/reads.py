"""What a dashboard reads: a task over time, what was said of it, and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from swarmkeeper.sdk.connection import chance as chances
from swarmkeeper.sdk.connection.typed import RecordCalls, segment, task_path
from swarmkeeper.sdk.errors import ApiError, Unreachable
from swarmkeeper.wire.events import SseReader
from swarmkeeper.wire.insight.changes import ChangesTold
from swarmkeeper.wire.insight.history import Timeline, TimelineLane, VerdictOfReview, VerdictPage
from swarmkeeper.wire.insight.load import LeaseHeld, LeaseHeldPage, QueuePage, QueueState


class Insight(RecordCalls):
    """A part of `Client`."""

    def timeline(self, task_id: str) -> AsyncIterator[TimelineLane]:
        """Iterate over a task's subtasks, plans and reviews, each with its attempts and waits."""
        return self._items(f"{task_path(task_id)}/timeline", Timeline)

    def verdicts(self, task_id: str, *, subtask: str | None = None) -> AsyncIterator[VerdictOfReview]:
        """Iterate over what evaluators said of a task, or of one subtask, in all rounds; the oldest first."""
        return self._items(f"{task_path(task_id)}/verdicts", VerdictPage, {"subtask": subtask})

    def queues(self) -> AsyncIterator[QueueState]:
        """Iterate over the queues in which work waits, is leased, or was within the last minute."""
        return self._items("/queues", QueuePage)

    def bot_leases(self, bot_id: str) -> AsyncIterator[LeaseHeld]:
        """Iterate over what a bot works on."""
        return self._items(f"/bots/{segment(bot_id)}/leases", LeaseHeldPage)

    async def changes(self, *, after: str | None = None) -> AsyncIterator[ChangesTold]:
        """Tell what changes in the tenant, at most twice a second, and reconnect when the connection breaks.

        Args:
            after: the cursor of the last message; None: begin with how things are.
        """
        attempt = 0
        while True:
            came = False
            try:
                async with self.calls.stream("/changes", after) as streamed:
                    reader = SseReader()
                    async for chunk in streamed.chunks:
                        for framed in reader.feed(chunk):
                            told = ChangesTold.model_validate_json(framed.data)
                            yield told
                            came, attempt, after = True, 0, told.cursor
            except ApiError as error:
                if not (isinstance(error, Unreachable) or error.retryable):
                    raise
            if not came:
                attempt += 1
                await asyncio.sleep(chances.pause(self.calls.chance, attempt))
